package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"taffrail/internal/config"
	"taffrail/internal/device"
	"taffrail/shipper"
)

// shipperOptions returns what a configuration file makes of the shipper.
func shipperOptions(t *testing.T, yaml string) shipper.Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "taffrail.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	opts, err := newShipperOptions(cfg.Remote, "boat", device.Clock{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return opts
}

func TestConfigWiring_BatchSize(t *testing.T) {
	if got := shipperOptions(t, "remote: {url: 'http://a.test', batch_size: 123}").BatchSize; got != 123 {
		t.Errorf("batch size %d", got)
	}
}

func TestConfigWiring_CustomBatchSizeVsDefault(t *testing.T) {
	if got := shipperOptions(t, "remote: {url: 'http://a.test'}").BatchSize; got != 2500 {
		t.Errorf("batch size %d by default", got)
	}
	if got := shipperOptions(t, "remote: {url: 'http://a.test', batch_size: 1}").BatchSize; got != 1 {
		t.Errorf("batch size %d", got)
	}
}

func TestConfigWiring_ChunkSize(t *testing.T) {
	if got := shipperOptions(t, "remote: {url: 'http://a.test'}"); got.ChunkSize != 50 || got.MaxChunkBytes != 256<<10 {
		t.Errorf("chunk size %d, %d bytes by default", got.ChunkSize, got.MaxChunkBytes)
	}
	if got := shipperOptions(t, "remote: {url: 'http://a.test', chunk_size: 7, max_chunk_bytes: 10KiB}"); got.ChunkSize != 7 || got.MaxChunkBytes != 10<<10 {
		t.Errorf("chunk size %d, %d bytes", got.ChunkSize, got.MaxChunkBytes)
	}
}

func TestConfigWiring_AuthToken(t *testing.T) {
	if got := shipperOptions(t, "remote: {url: 'http://a.test', auth_token: hunter2}").Remote.AuthToken; got != "hunter2" {
		t.Errorf("token %q", got)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(" hunter3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := shipperOptions(t, "remote: {url: 'http://a.test', auth_token_file: '"+file+"'}").Remote.AuthToken; got != "hunter3" {
		t.Errorf("token %q from its file", got)
	}
}

func TestConfigWiring_RetryAndRemote(t *testing.T) {
	opts := shipperOptions(t, `
remote:
  url: http://a.test
  timeout: 4s
  upload_interval: 9s
  retry: {max_attempts: 5, initial_backoff: 2s, max_backoff: 1m, backoff_multiplier: 3, jitter_percent: 0}
`)
	want := shipper.Retry{MaxAttempts: 5, InitialBackoff: 2 * time.Second, MaxBackoff: time.Minute, Multiplier: 3, JitterPercent: 0}
	if opts.Retry != want {
		t.Errorf("retry %+v, want %+v", opts.Retry, want)
	}
	if opts.Remote.URL != "http://a.test/api/v1/import" || opts.Remote.Timeout != 4*time.Second || opts.UploadInterval != 9*time.Second {
		t.Errorf("remote %+v", opts.Remote)
	}
	if off := shipperOptions(t, "remote: {url: 'http://a.test', retry: {enabled: false}}"); off.Retry.MaxAttempts != 1 {
		t.Errorf("%d attempts without retries", off.Retry.MaxAttempts)
	}
	if _, err := http.NewRequest(http.MethodPost, opts.Remote.URL, nil); err != nil {
		t.Error(err)
	}
}

func TestConfigWiring_Collectors(t *testing.T) {
	cfg := config.Default()
	cfg.Collectors.Thermal.Enabled = false
	own := config.Duration(3 * time.Second)
	cfg.Collectors.CPU.Interval = &own
	jobs, err := newJobs(cfg.Collectors, 7*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	intervals := map[string]time.Duration{}
	for _, j := range jobs {
		intervals[j.Collector.Name()] = j.Interval
	}
	if _, on := intervals["thermal"]; on {
		t.Error("a collector that is switched off runs")
	}
	if intervals["cpu"] != 3*time.Second || intervals["memory"] != 7*time.Second {
		t.Errorf("intervals %v", intervals)
	}
}
