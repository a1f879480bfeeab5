package config

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func mustDecode(t *testing.T, file string, env ...string) (Config, []string) {
	t.Helper()
	cfg, warnings, err := decode("taffrail.yaml", []byte(file), env, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, warnings
}

// TestDefaults checks the design's table against what is printed: every key,
// in order, with its value.
func TestDefaults(t *testing.T) {
	want := `device:
  id: "" # the device's own
  tags: {}
log:
  segment_size: 1MiB
  sync_interval: 0s
  retention:
    max_age: 30d
    max_bytes: 1GiB
storage:
  path: "" # the state directory
  retention: 7d
  max_bytes: 256MiB
  max_lag: 10m
  wal_checkpoint_interval: 1h
  wal_checkpoint_size_mb: 64
collectors:
  cpu:
    enabled: true
    # interval: 10s
    timeout: 5s
  memory:
    enabled: true
    # interval: 10s
    timeout: 5s
  disk:
    enabled: true
    # interval: 10s
    timeout: 5s
    allowed_devices: ["sd[a-z]+", "hd[a-z]+", "vd[a-z]+", "xvd[a-z]+", "nvme[0-9]+n[0-9]+", "mmcblk[0-9]+"]
  network:
    enabled: true
    # interval: 10s
    timeout: 5s
    include: []
    exclude: [lo, "docker.*", "veth.*", "br-.*", "wlan.*mon", "virbr.*", "wwan.*", "wwp.*", "usb.*"]
    max_interfaces: 32
  thermal:
    enabled: true
    # interval: 10s
    timeout: 5s
  system:
    enabled: true
    # interval: 10s
    timeout: 5s
  clock:
    enabled: true
    # interval: 10s
    timeout: 5s
  self:
    enabled: true
    # interval: 1m
    timeout: 5s
  textfile:
    enabled: true
    # interval: 10s
    timeout: 5s
    dir: ""
  scrape:
    enabled: true
    # interval: 10s
    timeout: 5s
    targets: []
remote:
  url: ""
  read_url: ""
  # enabled: false
  auth_token: ""
  auth_token_file: ""
  ca_file: ""
  proxy_url: ""
  upload_interval: 30s
  timeout: 30s
  batch_size: 2500
  chunk_size: 50
  max_chunk_bytes: 256KiB
  replay_window: 1m
  clock_hold: 10m
  backfill_bytes_per_second: 0
  retry:
    enabled: true
    max_attempts: 3
    initial_backoff: 1s
    max_backoff: 30s
    backoff_multiplier: 2
    jitter_percent: 20
monitoring:
  clock_skew_url: ""
  clock_skew_check_interval: 5m
  clock_skew_warn_threshold_ms: 2000
  meta_interval: 1m
health:
  listen: "127.0.0.1:9100"
  # degraded_threshold: 1m
  error_threshold: 10m
logging:
  level: info
  format: auto
`
	got := string(Default().YAML())
	if got != want {
		t.Errorf("Default().YAML() is\n%s", got)
	}
	if err := Default().Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	for _, file := range []string{"", "\n", "# nothing\n", "---\n", "%YAML 1.2\n---\n", "remote:\nlog:\n  # segment_size: 2MiB\n", "{}\n", "\ufeffremote:\n"} {
		cfg, warnings := mustDecode(t, file)
		if !reflect.DeepEqual(cfg, Default()) || len(warnings) > 0 {
			t.Errorf("%q is not the defaults", file)
		}
	}
}

// everything sets each key to something other than its default.
const everything = `
device: {id: 0123, tags: {site: oslo, rack: 7, "a b": "#x: \"y\"", on: yes}}
log: {segment_size: 2MiB, sync_interval: 1.5s, retention: {max_age: 1d12h, max_bytes: 64MB}}
storage: {path: /data, retention: 2d, max_bytes: 1GB, max_lag: 1m, wal_checkpoint_interval: 2h, wal_checkpoint_size_mb: 8}
collectors:
  cpu: {enabled: false, interval: 1s, timeout: 500ms}
  memory: {enabled: false, interval: 2s, timeout: 501ms}
  disk: {enabled: false, interval: 3s, timeout: 502ms, allowed_devices: ["sd[ab]", 'x\d{1,2}']}
  network: {enabled: false, interval: 4s, timeout: 503ms, include: [eth.*], exclude: [], max_interfaces: 5}
  thermal: {enabled: false, interval: 5s, timeout: 504ms}
  system: {enabled: false, interval: 6s, timeout: 505ms}
  clock: {enabled: false, interval: 7s, timeout: 506ms}
  self: {enabled: false, interval: 8s, timeout: 507ms}
  textfile: {enabled: false, interval: 9s, timeout: 508ms, dir: /var/prom}
  scrape: {enabled: false, interval: 11s, timeout: 509ms, targets: ["http://localhost:9/metrics", "http://u:pw@h/m"]}
remote:
  url: https://user:hunter2@vm:8428/x?authKey=hunter3&a=b
  read_url: off
  enabled: false
  auth_token: hunter4
  auth_token_file: ""
  ca_file: ""
  proxy_url: socks5://hunter5@proxy:1080
  upload_interval: 1ns
  timeout: 5s
  batch_size: 1
  chunk_size: 2
  max_chunk_bytes: 1KiB
  replay_window: 0
  clock_hold: 0
  backfill_bytes_per_second: 100kB
  retry: {enabled: false, max_attempts: 0, initial_backoff: 2s, max_backoff: 3s, backoff_multiplier: 1.25, jitter_percent: 0}
monitoring: {clock_skew_url: "http://t/", clock_skew_check_interval: 1m, clock_skew_warn_threshold_ms: 1, meta_interval: 2m}
health: {listen: ":0", degraded_threshold: 1d, error_threshold: 2d}
logging: {level: debug, format: json}
`

func TestEveryKeyIsDecoded(t *testing.T) {
	cfg, warnings := mustDecode(t, everything)
	if len(warnings) > 0 {
		t.Errorf("warnings: %q", warnings)
	}
	def := Default()
	defaults := flatten(&def)
	for i, n := range flatten(&cfg) {
		switch n.path {
		case "remote.auth_token_file", "remote.ca_file": // they name files; tested apart
			continue
		}
		if !n.block && reflect.DeepEqual(n.ptr, defaults[i].ptr) {
			t.Errorf("%s is still the default", n.path)
		}
	}
	for _, check := range []struct {
		what      string
		got, want any
	}{
		{"id", cfg.Device.ID, "0123"},
		{"tags", cfg.Device.Tags, map[string]string{"site": "oslo", "rack": "7", "a b": `#x: "y"`, "on": "yes"}},
		{"read_url", cfg.Remote.ReadURL, ReadOff},
		{"exclude", cfg.Collectors.Network.Exclude, []string{}},
		{"devices", cfg.Collectors.Disk.AllowedDevices, []string{"sd[ab]", `x\d{1,2}`}},
		{"max_age", cfg.Log.Retention.MaxAge.Std(), 36 * time.Hour},
		{"max_bytes", cfg.Log.Retention.MaxBytes, Size(64e6)},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s = %v, want %v", check.what, check.got, check.want)
		}
	}
}

func TestYAMLRoundTrip(t *testing.T) {
	for _, file := range []string{"", everything} {
		cfg, _ := mustDecode(t, file)
		for _, c := range []Config{cfg, cfg.Masked()} {
			printed := c.YAML()
			again, _ := mustDecode(t, string(printed))
			if !reflect.DeepEqual(again, c) {
				t.Errorf("read back differently:\n%s", printed)
			}
			if second := again.YAML(); !bytes.Equal(second, printed) {
				t.Errorf("printed differently the second time:\n%s\n%s", printed, second)
			}
		}
	}
}

func TestMasked(t *testing.T) {
	cfg, _ := mustDecode(t, everything)
	before := cfg.YAML()
	shown := string(cfg.Masked().YAML())
	if strings.Contains(shown, "hunter") || strings.Contains(shown, "pw") {
		t.Errorf("a secret is shown:\n%s", shown)
	}
	for _, want := range []string{
		`url: "https://user:xxxxx@vm:8428/x?authKey=xxxxx&a=b"`, "auth_token: xxxxx",
		`proxy_url: "socks5://xxxxx@proxy:1080"`, `"http://u:xxxxx@h/m"`,
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("%s is not in\n%s", want, shown)
		}
	}
	if !bytes.Equal(cfg.YAML(), before) {
		t.Error("Masked changed its receiver")
	}
	for in, want := range map[string]string{
		"":                            "",
		"http://vm:8428/a?x=1":        "http://vm:8428/a?x=1",
		"http://me:pw@vm:port/?key=1": "http://xxxxx@vm:port/?xxxxx",
		"me:pw@vm:port":               "xxxxx@vm:port",
		"http://me@vm":                "http://xxxxx@vm",
	} {
		if got := MaskURL(in); got != want {
			t.Errorf("MaskURL(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPrecedence(t *testing.T) {
	file := "remote: {url: 'http://file', timeout: 1s, batch_size: 10}\ncollectors: {network: {exclude: [a, '(']}}\ndevice: {tags: {a: 1, device_id: x}}\n"
	env := []string{
		"TAFFRAIL_REMOTE_URL=http://env", "TAFFRAIL_REMOTE_TIMEOUT=2s", "OTHER=x", "TAFFRAILX=1",
		"TAFFRAIL_COLLECTORS_NETWORK_EXCLUDE= lo , br.* ", "TAFFRAIL_COLLECTORS_NETWORK_INCLUDE=",
		"TAFFRAIL_DEVICE_TAGS=site=oslo, q=a=b", "TAFFRAIL_REMOTE_ENABLED=false",
		"TAFFRAIL_COLLECTORS_CPU_INTERVAL=3s", "TAFFRAIL_REMOTE_RETRY_MAX_ATTEMPTS=8",
	}
	cfg, _, err := decode("f", []byte(file), env, []Flag{{"--remote", "remote.url", "http://flag"}})
	if err != nil {
		t.Fatal(err)
	}
	r := cfg.Remote
	if r.URL != "http://flag" || r.Timeout.Std() != 2*time.Second || r.BatchSize != 10 || r.ChunkSize != 50 {
		t.Errorf("flag, variable, file, default: %q %v %d %d", r.URL, r.Timeout, r.BatchSize, r.ChunkSize)
	}
	if r.Enabled == nil || *r.Enabled || r.Retry.MaxAttempts != 8 || cfg.Collectors.CPU.Interval.Std() != 3*time.Second {
		t.Errorf("from the environment: %v %d %v", r.Enabled, r.Retry.MaxAttempts, cfg.Collectors.CPU.Interval)
	}
	if got := cfg.Collectors.Network; !reflect.DeepEqual(got.Exclude, []string{"lo", "br.*"}) || len(got.Include) != 0 {
		t.Errorf("lists from the environment: %q %q", got.Exclude, got.Include)
	}
	if want := map[string]string{"site": "oslo", "q": "a=b"}; !reflect.DeepEqual(cfg.Device.Tags, want) {
		t.Errorf("tags = %v, want %v", cfg.Device.Tags, want)
	}
}

func TestVariables(t *testing.T) {
	if got := Variable("remote.retry.max_attempts"); got != "TAFFRAIL_REMOTE_RETRY_MAX_ATTEMPTS" {
		t.Errorf("Variable = %s", got)
	}
	seen := map[string]string{}
	for _, key := range Keys() {
		if other, twice := seen[Variable(key)]; twice {
			t.Errorf("%s and %s share %s", key, other, Variable(key))
		}
		seen[Variable(key)] = key
	}
	if len(seen) != 78 {
		t.Errorf("%d keys", len(seen))
	}
}

func TestGuards(t *testing.T) {
	for _, interval := range []string{"0", "-5s"} {
		shown := map[string]string{"0": "0s", "-5s": "-5s"}[interval]
		cfg, warnings := mustDecode(t, "monitoring:\n  clock_skew_check_interval: "+interval+"\n",
			"TAFFRAIL_MONITORING_META_INTERVAL="+interval,
			"TAFFRAIL_STORAGE_WAL_CHECKPOINT_INTERVAL="+interval, "TAFFRAIL_STORAGE_WAL_CHECKPOINT_SIZE_MB=-1")
		if !reflect.DeepEqual(cfg, Default()) {
			t.Errorf("interval %s: not the defaults", interval)
		}
		want := []string{
			"TAFFRAIL_STORAGE_WAL_CHECKPOINT_INTERVAL: storage.wal_checkpoint_interval: " + shown + " is not positive; using the default, 1h",
			"taffrail.yaml:2:30: monitoring.clock_skew_check_interval: " + shown + " is not positive; using the default, 5m",
			"TAFFRAIL_MONITORING_META_INTERVAL: monitoring.meta_interval: " + shown + " is not positive; using the default, 1m",
			"TAFFRAIL_STORAGE_WAL_CHECKPOINT_SIZE_MB: storage.wal_checkpoint_size_mb: -1 is not positive; using the default, 64",
		}
		if !reflect.DeepEqual(warnings, want) {
			t.Errorf("warnings:\n%s", strings.Join(warnings, "\n"))
		}
	}
	_, warnings := mustDecode(t, "remote:\n  enabled: true\n")
	if want := []string{"taffrail.yaml:2:12: remote.enabled: is true, but no remote.url is set: nothing is sent"}; !reflect.DeepEqual(warnings, want) {
		t.Errorf("warnings: %q", warnings)
	}
	// Set by hand, they are mistakes of the caller.
	cfg := Default()
	cfg.Monitoring.MetaInterval = 0
	if err := cfg.Validate(); err == nil || err.Error() != "monitoring.meta_interval: 0s is not positive; write 500ms, 30s, 10m or 7d" {
		t.Errorf("Validate() = %v", err)
	}
}

func TestRemoteURLs(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		url     string
		enabled *bool
		active  bool
		imports string
		skew    string
	}{
		{"", nil, false, "", ""},
		{"", &yes, false, "", ""},
		{"http://vm:8428", nil, true, "http://vm:8428/api/v1/import", "http://vm:8428/health"},
		{"http://vm:8428", &no, false, "http://vm:8428/api/v1/import", ""},
		{"https://u:p@vm/?extra_label=a=b", &yes, true, "https://u:p@vm/api/v1/import?extra_label=a=b", "https://u:p@vm/health"},
		{"http://[::1]:8480/insert/0/prometheus/api/v1/import", nil, true, "http://[::1]:8480/insert/0/prometheus/api/v1/import", "http://[::1]:8480/health"},
	}
	for _, tt := range tests {
		cfg := Default()
		cfg.Remote.URL, cfg.Remote.Enabled = tt.url, tt.enabled
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		if got := cfg.Remote.Active(); got != tt.active {
			t.Errorf("%q: Active() = %v", tt.url, got)
		}
		if got := cfg.Remote.ImportURL(); got != tt.imports {
			t.Errorf("%q: ImportURL() = %q, want %q", tt.url, got, tt.imports)
		}
		if got := cfg.ClockSkewURL(); got != tt.skew {
			t.Errorf("%q: ClockSkewURL() = %q, want %q", tt.url, got, tt.skew)
		}
		cfg.Monitoring.ClockSkewURL = "http://time/"
		if got := cfg.ClockSkewURL(); got != "http://time/" {
			t.Errorf("%q: own ClockSkewURL() = %q", tt.url, got)
		}
	}
}

func TestDegradedThreshold(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{
		5 * time.Minute: 10 * time.Minute, 2 * time.Minute: 4 * time.Minute, time.Minute: 2 * time.Minute,
		30 * time.Second: time.Minute, 10 * time.Second: 20 * time.Second,
		500 * time.Millisecond: time.Second, 499 * time.Millisecond: time.Second, time.Nanosecond: time.Second,
		math.MaxInt64: math.MaxInt64,
	} {
		cfg := Default()
		cfg.Remote.UploadInterval = Duration(interval)
		if got := cfg.DegradedThreshold(); got != want {
			t.Errorf("interval %v: %v, want %v", interval, got, want)
		}
		own := Duration(7 * time.Second)
		cfg.Health.DegradedThreshold = &own
		if got := cfg.DegradedThreshold(); got != 7*time.Second {
			t.Errorf("interval %v: own threshold %v", interval, got)
		}
	}
}

func TestCollectorIntervals(t *testing.T) {
	cfg, _ := mustDecode(t, "collectors: {cpu: {interval: 2s}, disk: {enabled: false}}\n")
	c := cfg.Collectors
	for _, tt := range []struct {
		name     string
		fallback time.Duration
		want     time.Duration
	}{
		{"cpu", 0, 2 * time.Second}, {"cpu", time.Minute, 2 * time.Second},
		{"memory", 0, 10 * time.Second}, {"memory", time.Second, time.Second},
		{"self", 0, time.Minute}, {"self", time.Second, time.Minute},
	} {
		if got := c.Interval(tt.name, tt.fallback); got != tt.want {
			t.Errorf("Interval(%s, %v) = %v, want %v", tt.name, tt.fallback, got, tt.want)
		}
	}
	var keys []string
	for _, n := range children(&c, "") {
		keys = append(keys, n.name)
	}
	if !reflect.DeepEqual(c.Names(), keys) {
		t.Errorf("Names() = %q, keys are %q", c.Names(), keys)
	}
	if disk, ok := c.Get("disk"); !ok || disk.Enabled {
		t.Errorf("Get(disk) = %+v, %v", disk, ok)
	}
	if _, ok := c.Get("gpu"); ok {
		t.Error("Get knows a gpu")
	}
}
