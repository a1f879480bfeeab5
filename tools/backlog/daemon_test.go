package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"taffrail/internal/config"
)

func TestConfigurationIsTaken(t *testing.T) {
	for _, readURL := range []string{"", "off"} {
		opts, err := parseArgs("--read-url", readURL)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "taffrail.yaml")
		if err := os.WriteFile(file, []byte(configuration("http://127.0.0.1:2", opts)), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, warnings, err := config.Load(file, nil)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%v, warnings %q", err, warnings)
		}
		if cfg.Device.ID != deviceID || cfg.Remote.UploadInterval.Std() != opts.upload || cfg.Remote.ReadURL != readURL {
			t.Errorf("got %+v", cfg.Remote)
		}
	}
}

func TestDetailsAreRead(t *testing.T) {
	health := func(storage, uploader string) (details, error) {
		return decodeDetails(strings.NewReader(`{"status":"ok","components":{"storage":{"details":` + storage + `},"uploader":{"status":"ok","details":` + uploader + `}}}`))
	}
	d, err := health(`{"caught_up":true,"head":7}`, `{"cursor":9,"settled":8,"settle_bytes_received":77}`)
	if err != nil || !d.Storage.CaughtUp || d.Uploader.Settled == nil || *d.Uploader.Settled != 8 || d.Uploader.SettleDown != 77 {
		t.Errorf("got %+v (%v)", d, err)
	}
	if d, err := health(`{}`, `{"cursor":9}`); err != nil || d.Storage.CaughtUp || d.Uploader.Settled != nil {
		t.Errorf("got %+v (%v)", d, err)
	}
	for _, text := range []string{"", "<html>", "{}", `{"components":{"storage":{"details":{}}}}`} {
		if d, err := decodeDetails(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %+v", text, d)
		}
	}
}
