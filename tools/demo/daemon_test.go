package main

import (
	"os"
	"path/filepath"
	"testing"

	"taffrail/internal/config"
)

func TestConfigurationIsTaken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "taffrail.yaml")
	if err := os.WriteFile(file, []byte(configuration("http://127.0.0.1:2")), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, warnings, err := config.Load(file, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %q", err, warnings)
	}
	if cfg.Device.ID != deviceID || cfg.Remote.URL == "" {
		t.Errorf("got %+v", cfg)
	}
}
