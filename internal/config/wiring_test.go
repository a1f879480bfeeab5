package config

import (
	"testing"
	"time"
)

// retryOf decodes a file of lines below remote.
func retryOf(t *testing.T, file string) Remote {
	t.Helper()
	cfg, warnings, err := decode("taffrail.yaml", []byte(file), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) > 0 {
		t.Errorf("warnings: %q", warnings)
	}
	return cfg.Remote
}

func wantRetry(t *testing.T, got Remote, want Retry, attempts int) {
	t.Helper()
	if got.Retry != want {
		t.Errorf("retry = %+v, want %+v", got.Retry, want)
	}
	if n := got.RetryMaxAttempts(); n != attempts {
		t.Errorf("RetryMaxAttempts() = %d, want %d", n, attempts)
	}
}

// tableRetry is the design's table, written out.
func tableRetry() Retry {
	return Retry{
		Enabled: true, MaxAttempts: 3, InitialBackoff: Duration(time.Second),
		MaxBackoff: Duration(30 * time.Second), BackoffMultiplier: 2, JitterPercent: 20,
	}
}

func TestConfigWiring_RetryEnabled(t *testing.T) {
	want := Retry{
		Enabled: true, MaxAttempts: 7, InitialBackoff: Duration(250 * time.Millisecond),
		MaxBackoff: Duration(90 * time.Second), BackoffMultiplier: 1.5, JitterPercent: 35,
	}
	wantRetry(t, retryOf(t, `
remote:
  retry:
    enabled: true
    max_attempts: 7
    initial_backoff: 250ms
    max_backoff: 1.5m
    backoff_multiplier: 1.5
    jitter_percent: 35
`), want, 7)
}

func TestConfigWiring_RetryDisabled(t *testing.T) {
	want := tableRetry()
	want.Enabled, want.MaxAttempts = false, 9
	wantRetry(t, retryOf(t, "remote:\n  retry:\n    enabled: false\n    max_attempts: 9\n"), want, 1)

	// No attempt at all would be remote.enabled: false.
	want.Enabled, want.MaxAttempts = true, 0
	wantRetry(t, retryOf(t, "remote:\n  retry:\n    max_attempts: 0\n"), want, 1)
}

func TestConfigWiring_RetryDefaults(t *testing.T) {
	for _, file := range []string{
		"",
		"remote:\n  url: http://vm:8428\n",
		"remote:\n  url: http://vm:8428\n  retry:\n",
		"remote:\n  url: http://vm:8428\n  retry: {}\n",
	} {
		wantRetry(t, retryOf(t, file), tableRetry(), 3)
	}
}

func TestConfigWiring_RetryExplicitlyDisabled(t *testing.T) {
	want := Retry{
		Enabled: false, MaxAttempts: 5, InitialBackoff: Duration(2 * time.Second),
		MaxBackoff: Duration(time.Minute), BackoffMultiplier: 3, JitterPercent: 10,
	}
	wantRetry(t, retryOf(t, `
remote:
  retry: {enabled: false, max_attempts: 5, initial_backoff: 2s, max_backoff: 1m, backoff_multiplier: 3, jitter_percent: 10}
`), want, 1)
}

func TestConfigWiring_RetryExplicitlyEnabled(t *testing.T) {
	want := tableRetry()
	want.MaxAttempts = 1
	wantRetry(t, retryOf(t, "remote:\n  retry: {enabled: true, max_attempts: 1}\n"), want, 1)
	want.MaxAttempts = 2
	wantRetry(t, retryOf(t, "remote:\n  retry: {enabled: true, max_attempts: 2}\n"), want, 2)
}

func TestConfigWiring_RetryDisabledWithOnlyEnabledFalse(t *testing.T) {
	want := tableRetry()
	want.Enabled = false
	wantRetry(t, retryOf(t, "remote:\n  retry:\n    enabled: false\n"), want, 1)
}

func TestConfigWiring_RetryEnabledWithOnlyEnabledTrue(t *testing.T) {
	wantRetry(t, retryOf(t, "remote:\n  retry:\n    enabled: true\n"), tableRetry(), 3)
}

func TestConfigWiring_RetryJitterDefaultWhenPartialConfig(t *testing.T) {
	want := tableRetry()
	want.MaxAttempts, want.InitialBackoff = 4, Duration(5*time.Second)
	got := retryOf(t, "remote:\n  retry:\n    max_attempts: 4\n    initial_backoff: 5s\n")
	wantRetry(t, got, want, 4)
	if got.Retry.JitterPercent != 20 {
		t.Errorf("jitter_percent = %d, want 20", got.Retry.JitterPercent)
	}
}

func TestConfigWiring_RetryExplicitZeroJitter(t *testing.T) {
	want := tableRetry()
	want.JitterPercent = 0
	wantRetry(t, retryOf(t, "remote:\n  retry:\n    jitter_percent: 0\n"), want, 3)

	cfg, _, err := decode("", nil, []string{"TAFFRAIL_REMOTE_RETRY_JITTER_PERCENT=0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantRetry(t, cfg.Remote, want, 3)
}
