package config

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"taffrail/internal/event"
)

// Bounds on log.segment_size. Below, headers outweigh what they head; above,
// the tail that the log library keeps in memory does not fit a small device.
const (
	minSegmentSize = 64 * KiB
	maxSegmentSize = 64 * MiB
)

// minChunkBytes is the least that one line with its labels fits into.
const minChunkBytes = KiB

// Validate checks what a type alone does not say. Load has called it; who
// changes a configuration afterwards calls it again. It looks at the files that
// the configuration names. An error is an *Error.
func (c Config) Validate() error {
	for _, check := range []func() error{
		c.checkDevice, c.checkLog, c.checkStorage, c.checkCollectors,
		c.checkRemote, c.checkAuth, c.checkRetry, c.checkMonitoring, c.checkHealth, c.checkLogging,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func bad(key, format string, args ...any) error {
	return &Error{Key: key, Problem: fmt.Sprintf(format, args...)}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func positive(key string, d Duration) error {
	if d <= 0 {
		return bad(key, "%v is not positive; write 500ms, 30s, 10m or 7d", d)
	}
	return nil
}

func notNegative[T Duration | Size | int](key string, v T, zero string) error {
	if v < 0 {
		return bad(key, "%v is negative; write 0 for %s", v, zero)
	}
	return nil
}

func atLeast[T Size | int | float64](key string, v, least T) error {
	if v < least {
		return bad(key, "%v is too small; write %v or more", v, least)
	}
	return nil
}

func (c Config) checkDevice() error {
	if _, err := event.NewLabels(event.Label{Name: "device_id", Value: c.Device.ID}); err != nil {
		return bad("device.id", "%v", err)
	}
	if i := strings.IndexFunc(c.Device.ID, unicode.IsControl); i >= 0 {
		return bad("device.id", "holds the control character %q", c.Device.ID[i])
	}
	for _, name := range sortedNames(c.Device.Tags) {
		key := "device.tags." + name
		if reserved := wireName(name); reserved == "device_id" || reserved == "__name__" {
			return bad(key, "%s is reserved; choose another name", reserved)
		}
		if _, err := event.NewLabels(event.Label{Name: name, Value: c.Device.Tags[name]}); err != nil {
			return bad(key, "%v", err)
		}
	}
	if n := len(c.Device.Tags); n > event.MaxLabels {
		return bad("device.tags", "%d tags, at most %d are allowed", n, event.MaxLabels)
	}
	return nil
}

func sortedNames(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// wireName is the label name that a receiver gets for name: a tag device.id
// would arrive as device_id.
func wireName(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '_' || r == ':' || unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '_'
	}, name)
}

func (c Config) checkLog() error {
	l := c.Log
	if l.SegmentSize < minSegmentSize || l.SegmentSize > maxSegmentSize {
		return bad("log.segment_size", "%v is out of bounds; write %v to %v", l.SegmentSize, minSegmentSize, maxSegmentSize)
	}
	if m := l.Retention.MaxBytes; m != 0 && m < 2*l.SegmentSize {
		return &Error{
			Key:     "log.retention.max_bytes",
			Problem: fmt.Sprintf("%v is less than two segments; write %v or more, or 0 for no bound", m, 2*l.SegmentSize),
			related: "log.segment_size",
		}
	}
	return first(
		notNegative("log.sync_interval", l.SyncInterval, "a sync at each append"),
		notNegative("log.retention.max_age", l.Retention.MaxAge, "no bound"),
	)
}

func (c Config) checkStorage() error {
	s := c.Storage
	if s.MaxBytes != 0 && s.MaxBytes < MiB {
		return bad("storage.max_bytes", "%v is too small; write 1MiB or more, or 0 for no bound", s.MaxBytes)
	}
	return first(
		notNegative("storage.retention", s.Retention, "no bound"),
		positive("storage.max_lag", s.MaxLag),
		positive("storage.wal_checkpoint_interval", s.WALCheckpointInterval),
		atLeast("storage.wal_checkpoint_size_mb", s.WALCheckpointSizeMB, 1),
	)
}

func (c Config) checkCollectors() error {
	for _, n := range c.Collectors.all() {
		path := "collectors." + n.name
		if n.Interval != nil {
			if err := positive(path+".interval", *n.Interval); err != nil {
				return err
			}
		}
		if err := positive(path+".timeout", n.Timeout); err != nil {
			return err
		}
	}
	for i, target := range c.Collectors.Scrape.Targets {
		if err := checkURL(fmt.Sprintf("collectors.scrape.targets[%d]", i), target, "http", "https"); err != nil {
			return err
		}
	}
	network := c.Collectors.Network
	return first(
		checkPatterns("collectors.disk.allowed_devices", c.Collectors.Disk.AllowedDevices),
		checkPatterns("collectors.network.include", network.Include),
		checkPatterns("collectors.network.exclude", network.Exclude),
		atLeast("collectors.network.max_interfaces", network.MaxInterfaces, 1),
	)
}

func checkPatterns(key string, patterns []string) error {
	for i, p := range patterns {
		item := fmt.Sprintf("%s[%d]", key, i)
		if p == "" {
			return bad(item, "an empty pattern matches no name; remove it")
		}
		// Alone first: "a)(b" compiles only between the anchors.
		_, err := regexp.Compile(p)
		if err == nil {
			_, err = regexp.Compile("^(?:" + p + ")$")
		}
		if err != nil {
			reason := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
			return bad(item, "%q is not a regular expression (RE2): %s", p, reason)
		}
	}
	return nil
}

func (c Config) checkRemote() error {
	r := c.Remote
	for _, u := range []struct {
		key, value string
		schemes    []string
	}{
		{"remote.url", r.URL, []string{"http", "https"}},
		{"remote.read_url", r.ReadURL, []string{"http", "https"}},
		{"remote.proxy_url", r.ProxyURL, []string{"http", "https", "socks5"}},
	} {
		if u.value == "" || u.value == ReadOff && u.key == "remote.read_url" {
			continue
		}
		if err := checkURL(u.key, u.value, u.schemes...); err != nil {
			return err
		}
	}
	return first(
		positive("remote.upload_interval", r.UploadInterval),
		positive("remote.timeout", r.Timeout),
		atLeast("remote.batch_size", r.BatchSize, 1),
		atLeast("remote.chunk_size", r.ChunkSize, 1),
		atLeast("remote.max_chunk_bytes", r.MaxChunkBytes, minChunkBytes),
		notNegative("remote.replay_window", r.ReplayWindow, "none"),
		notNegative("remote.clock_hold", r.ClockHold, "no wait"),
		notNegative("remote.backfill_bytes_per_second", r.BackfillBytesPerSecond, "no limit"),
	)
}

func (c Config) checkAuth() error {
	r := c.Remote
	if r.AuthToken != "" && r.AuthTokenFile != "" {
		return &Error{
			Key:     "remote.auth_token",
			Problem: "is set, and so is remote.auth_token_file; keep one of the two",
			related: "remote.auth_token_file",
		}
	}
	if strings.ContainsFunc(r.AuthToken, notInHeader) {
		return bad("remote.auth_token", "holds a character that an HTTP header cannot carry")
	}
	if r.AuthTokenFile != "" {
		f, err := openToken(r.AuthTokenFile)
		if err != nil {
			return bad("remote.auth_token_file", "%v", err)
		}
		if err := f.Close(); err != nil {
			return bad("remote.auth_token_file", "%v", err)
		}
	}
	if r.CAFile != "" {
		if info, err := os.Stat(r.CAFile); err != nil {
			return bad("remote.ca_file", "%v", err)
		} else if !info.Mode().IsRegular() {
			return bad("remote.ca_file", "%s is not a file", r.CAFile)
		}
	}
	return nil
}

func (c Config) checkRetry() error {
	r := c.Remote.Retry
	if r.JitterPercent < 0 || r.JitterPercent > 100 {
		return bad("remote.retry.jitter_percent", "%d is out of bounds; write 0 to 100", r.JitterPercent)
	}
	err := first(
		notNegative("remote.retry.max_attempts", r.MaxAttempts, "one attempt"),
		positive("remote.retry.initial_backoff", r.InitialBackoff),
		positive("remote.retry.max_backoff", r.MaxBackoff),
		atLeast("remote.retry.backoff_multiplier", r.BackoffMultiplier, 1.0),
	)
	if err == nil && r.MaxBackoff < r.InitialBackoff {
		err = &Error{
			Key:     "remote.retry.max_backoff",
			Problem: fmt.Sprintf("%v is less than initial_backoff; write %v or more", r.MaxBackoff, r.InitialBackoff),
			related: "remote.retry.initial_backoff",
		}
	}
	return err
}

func (c Config) checkMonitoring() error {
	m := c.Monitoring
	if m.ClockSkewURL != "" {
		if err := checkURL("monitoring.clock_skew_url", m.ClockSkewURL, "http", "https"); err != nil {
			return err
		}
	}
	return first(
		positive("monitoring.clock_skew_check_interval", m.ClockSkewCheckInterval),
		positive("monitoring.meta_interval", m.MetaInterval),
		atLeast("monitoring.clock_skew_warn_threshold_ms", m.ClockSkewWarnThresholdMS, 1),
	)
}

func (c Config) checkHealth() error {
	h := c.Health
	if err := checkListen(h.Listen); err != nil {
		return err
	}
	if h.DegradedThreshold != nil {
		if err := positive("health.degraded_threshold", *h.DegradedThreshold); err != nil {
			return err
		}
	}
	return positive("health.error_threshold", h.ErrorThreshold)
}

func checkListen(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" || !validPort(port) || strings.ContainsAny(host, " /@") {
		return bad("health.listen", "%q is not host:port; write 127.0.0.1:9100 or :9100", address)
	}
	return nil
}

func (c Config) checkLogging() error {
	levels := []string{"trace", "debug", "info", "warn", "error"}
	if !slices.Contains(levels, c.Logging.Level) {
		return bad("logging.level", "%q is no level; write %s", c.Logging.Level, orList(levels))
	}
	formats := []string{FormatAuto, FormatConsole, FormatJSON}
	if !slices.Contains(formats, c.Logging.Format) {
		return bad("logging.format", "%q is no format; write %s", c.Logging.Format, orList(formats))
	}
	return nil
}

func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
