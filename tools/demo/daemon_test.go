package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"taffrail/internal/config"
)

func TestConfigurationIsTaken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "taffrail.yaml")
	if err := os.WriteFile(file, []byte(configuration("http://127.0.0.1:2", "127.0.0.1:1")), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, warnings, err := config.Load(file, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %q", err, warnings)
	}
	if cfg.Device.ID != deviceID || cfg.Health.Listen != "127.0.0.1:1" || cfg.Remote.URL == "" {
		t.Errorf("got %+v", cfg)
	}
}

func TestWithoutSettingsKeepsTheRest(t *testing.T) {
	got := withoutSettings([]string{"HOME=/h", "TAFFRAIL_REMOTE_URL=http://elsewhere", "PATH=/b"})
	if want := []string{"HOME=/h", "PATH=/b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCountsReadHealthOfAnyStatus(t *testing.T) {
	for _, c := range []struct {
		body string
		want uploadCounts
		ok   bool
	}{
		{`{"status":"error","components":{"uploader":{"details":{"appended_samples":7,"acknowledged_samples":5}}}}`, uploadCounts{7, 5}, true},
		{`{"components":{"log":{}}}`, uploadCounts{}, false},
		{`{"components":{"uploader":{}}}`, uploadCounts{}, false},
		{`<html>`, uploadCounts{}, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(c.body))
		}))
		got, err := (&daemon{url: server.URL}).counts(t.Context())
		server.Close()
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%s: got %+v, %v", c.body, got, err)
		}
	}
}
