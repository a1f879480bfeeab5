package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRefusedFiles(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"duration", "remote:\n  retry:\n    initial_backoff: 5 parsecs\n",
			`taffrail.yaml:3:22: remote.retry.initial_backoff: "5 parsecs" is not a duration; write 500ms, 30s, 10m or 7d`},
		{"duration without unit", "remote:\n  timeout: 30\n",
			`taffrail.yaml:2:12: remote.timeout: "30" has no unit: it is not a duration; write 500ms, 30s, 10m or 7d`},
		{"duration too long", "log: {sync_interval: 999999d}\n",
			`taffrail.yaml:1:22: log.sync_interval: "999999d" is too long; a duration is at most 106751d`},
		{"size", "log:\n  segment_size: 1 parsec\n",
			`taffrail.yaml:2:17: log.segment_size: "1 parsec" is not a size; write 256KiB, 64MB or a number of bytes`},
		{"bool", "remote:\n  enabled: yes\n", `taffrail.yaml:2:12: remote.enabled: "yes" is neither true nor false`},
		{"int", "remote:\n  batch_size: 2.5\n", `taffrail.yaml:2:15: remote.batch_size: "2.5" is not a whole number; write 3 or 2500`},
		{"float", "remote: {retry: {backoff_multiplier: two}}\n",
			`taffrail.yaml:1:38: remote.retry.backoff_multiplier: "two" is not a number; write 2 or 1.5`},
		{"infinity", "remote: {retry: {backoff_multiplier: .inf}}\n",
			`taffrail.yaml:1:38: remote.retry.backoff_multiplier: ".inf" is not a number; write 2 or 1.5`},

		{"misspelt key", "remote:\n  ulr: http://vm\n", `taffrail.yaml:2:3: remote.ulr: unknown key; did you mean remote.url?`},
		{"misspelt block", "remot:\n  url: http://vm\n", `taffrail.yaml:1:1: remot: unknown key; did you mean remote?`},
		{"key in the wrong block", "batch_size: 5\n", `taffrail.yaml:1:1: batch_size: unknown key; did you mean remote.batch_size?`},
		{"key of nothing", "logging:\n  colour_of_magic: octarine\n",
			`taffrail.yaml:2:3: logging.colour_of_magic: unknown key; known here: level, format`},
		{"unknown collector", "collectors:\n  gpu:\n    enabled: false\n",
			`taffrail.yaml:2:3: collectors.gpu: unknown key; did you mean collectors.cpu?`},
		{"key of another collector", "collectors: {cpu: {max_interfaces: 3}}\n",
			`taffrail.yaml:1:20: collectors.cpu.max_interfaces: unknown key; did you mean collectors.network.max_interfaces?`},
		{"duplicate key", "remote:\n  url: http://a\n  timeout: 5s\n  url: http://b\n",
			`taffrail.yaml:4:3: remote.url: stands twice, first on line 2; remove one`},
		{"duplicate block", "remote:\n  url: http://a\nlog:\nremote:\n", `taffrail.yaml:4:1: remote: stands twice, first on line 1; remove one`},
		{"duplicate tag", "device:\n  tags: {a: 1, a: 2}\n", `taffrail.yaml:2:16: device.tags.a: stands twice, first on line 2; remove one`},

		{"scalar for block", "remote: http://vm\n", `taffrail.yaml:1:9: remote: a block of keys is wanted here; write url: on a line below`},
		{"list at the top", "- a\n", `taffrail.yaml:1:1: a block of keys is wanted here; write device: on a line below`},
		{"block for scalar", "remote:\n  url:\n    host: vm\n", `taffrail.yaml:3:5: remote.url: one value is wanted here, not a block of keys`},
		{"list for scalar", "remote:\n  url: [a]\n", `taffrail.yaml:2:8: remote.url: one value is wanted here, not a list`},
		{"scalar for list", "collectors: {network: {include: eth0}}\n",
			`taffrail.yaml:1:33: collectors.network.include: a list is wanted here; write [a, b], or [] for none`},
		{"list in list", "collectors: {network: {include: [[a]]}}\n",
			`taffrail.yaml:1:34: collectors.network.include[0]: one value is wanted here, not a list`},
		{"scalar for tags", "device: {tags: site}\n",
			`taffrail.yaml:1:16: device.tags: names and values are wanted here; write {site: oslo}, or {} for none`},
		{"block in tags", "device:\n  tags:\n    site: {a: b}\n", `taffrail.yaml:3:11: device.tags.site: one value is wanted here, not a block of keys`},
		{"no value", "remote:\n  url:\n", `taffrail.yaml:2:3: remote.url: has no value; write one ("" for an empty one), or remove the key`},
		{"null list", "collectors: {network: {include: ~}}\n",
			`taffrail.yaml:1:33: collectors.network.include: a list is wanted here; write [a, b], or [] for none`},
		{"anchor", "remote:\n  url: &u http://vm\n",
			`taffrail.yaml:2:8: remote.url: anchors, aliases and tags are not supported; write the value itself`},
		{"tag", "remote:\n  batch_size: !!int 5\n",
			`taffrail.yaml:2:15: remote.batch_size: anchors, aliases and tags are not supported; write the value itself`},
		{"merge", "remote:\n  <<: {url: x}\n",
			`taffrail.yaml:2:3: remote: a key is a plain word; anchors, merges and complex keys are not supported`},
		{"two documents", "log:\n---\nremote:\n  url: x\n", `taffrail.yaml:3:1: begins a second document; a configuration is one`},
		{"syntax", "remote:\n  url: a: b\n", `taffrail.yaml:2:8: not YAML: mapping value is not allowed in this context`},
		{"tab", "remote:\n\turl: x\n", `taffrail.yaml:2:1: not YAML: found character '\t' that cannot start any token`},
		{"not UTF-8", "remote:\n  url: \xff\n", `taffrail.yaml:2: is not UTF-8; save the file as UTF-8`},

		{"url scheme", "remote:\n  url: vm:8428\n",
			`taffrail.yaml:2:8: remote.url: "vm:8428" is not a URL of scheme http or https with a host; write http://host:8428`},
		{"url host", "remote: {url: 'http:///x'}\n",
			`taffrail.yaml:1:15: remote.url: "http:///x" is not a URL of scheme http or https with a host; write http://host:8428`},
		{"url port", "remote: {url: 'http://vm:99999'}\n",
			`taffrail.yaml:1:15: remote.url: "http://vm:99999" is not a URL of scheme http or https with a host; write http://host:8428`},
		{"url password", "remote: {url: 'ftp://me:hunter2@vm'}\n",
			`taffrail.yaml:1:15: remote.url: "ftp://me:xxxxx@vm" is not a URL of scheme http or https with a host; write http://host:8428`},
		{"url password, malformed", "remote: {url: 'http://me:hunter2@vm:x'}\n",
			`taffrail.yaml:1:15: remote.url: "http://xxxxx@vm:x" is not a URL of scheme http or https with a host; write http://host:8428`},
		{"read url", "remote:\n  read_url: on\n",
			`taffrail.yaml:2:13: remote.read_url: "on" is not a URL of scheme http or https with a host; write http://host:8428`},
		{"proxy", "remote:\n  proxy_url: socks4://p\n",
			`taffrail.yaml:2:14: remote.proxy_url: "socks4://p" is not a URL of scheme http or https or socks5 with a host; write http://host:8428`},
		{"skew url", "monitoring:\n  clock_skew_url: x\n",
			`taffrail.yaml:2:19: monitoring.clock_skew_url: "x" is not a URL of scheme http or https with a host; write http://host:8428`},
		{"target", "collectors:\n  scrape:\n    targets:\n    - http://a\n    - b\n",
			`taffrail.yaml:5:7: collectors.scrape.targets[1]: "b" is not a URL of scheme http or https with a host; write http://host:8428`},

		{"segment too small", "log:\n  segment_size: 63KiB\n", `taffrail.yaml:2:17: log.segment_size: 63KiB is out of bounds; write 64KiB to 64MiB`},
		{"segment too large", "log:\n  segment_size: 65MiB\n", `taffrail.yaml:2:17: log.segment_size: 65MiB is out of bounds; write 64KiB to 64MiB`},
		{"retention below two segments", "log:\n  segment_size: 64MiB\n  retention:\n    max_bytes: 100MiB\n",
			`taffrail.yaml:4:16: log.retention.max_bytes: 100MiB is less than two segments; write 128MiB or more, or 0 for no bound`},
		{"negative sync", "log:\n  sync_interval: -1s\n", `taffrail.yaml:2:18: log.sync_interval: -1s is negative; write 0 for a sync at each append`},
		{"negative age", "log: {retention: {max_age: -1d}}\n", `taffrail.yaml:1:28: log.retention.max_age: -1d is negative; write 0 for no bound`},
		{"lag", "storage:\n  max_lag: 0\n", `taffrail.yaml:2:12: storage.max_lag: 0s is not positive; write 500ms, 30s, 10m or 7d`},
		{"index size", "storage:\n  max_bytes: 5\n", `taffrail.yaml:2:14: storage.max_bytes: 5 is too small; write 1MiB or more, or 0 for no bound`},
		{"index retention", "storage:\n  retention: -7d\n", `taffrail.yaml:2:14: storage.retention: -7d is negative; write 0 for no bound`},
		{"upload interval", "remote:\n  upload_interval: 0s\n", `taffrail.yaml:2:20: remote.upload_interval: 0s is not positive; write 500ms, 30s, 10m or 7d`},
		{"timeout", "remote:\n  timeout: -1s\n", `taffrail.yaml:2:12: remote.timeout: -1s is not positive; write 500ms, 30s, 10m or 7d`},
		{"batch", "remote:\n  batch_size: 0\n", `taffrail.yaml:2:15: remote.batch_size: 0 is too small; write 1 or more`},
		{"chunk", "remote:\n  chunk_size: -4\n", `taffrail.yaml:2:15: remote.chunk_size: -4 is too small; write 1 or more`},
		{"chunk bytes", "remote:\n  max_chunk_bytes: 1023\n", `taffrail.yaml:2:20: remote.max_chunk_bytes: 1023 is too small; write 1KiB or more`},
		{"backfill", "remote:\n  backfill_bytes_per_second: -1\n", `taffrail.yaml:2:30: remote.backfill_bytes_per_second: "-1" is not a size; write 256KiB, 64MB or a number of bytes`},
		{"jitter", "remote:\n  retry:\n    jitter_percent: 101\n", `taffrail.yaml:3:21: remote.retry.jitter_percent: 101 is out of bounds; write 0 to 100`},
		{"multiplier", "remote:\n  retry:\n    backoff_multiplier: 0.9\n", `taffrail.yaml:3:25: remote.retry.backoff_multiplier: 0.9 is too small; write 1 or more`},
		{"attempts", "remote:\n  retry:\n    max_attempts: -1\n", `taffrail.yaml:3:19: remote.retry.max_attempts: -1 is negative; write 0 for one attempt`},
		{"initial backoff", "remote:\n  retry:\n    initial_backoff: 0\n", `taffrail.yaml:3:22: remote.retry.initial_backoff: 0s is not positive; write 500ms, 30s, 10m or 7d`},
		{"max backoff by its other side", "remote:\n  retry:\n    initial_backoff: 1m\n",
			`taffrail.yaml:3:22: remote.retry.max_backoff: 30s is less than initial_backoff; write 1m or more`},
		{"skew threshold", "monitoring:\n  clock_skew_warn_threshold_ms: 0\n",
			`taffrail.yaml:2:33: monitoring.clock_skew_warn_threshold_ms: 0 is too small; write 1 or more`},
		{"collector interval", "collectors:\n  cpu:\n    interval: 0\n", `taffrail.yaml:3:15: collectors.cpu.interval: 0s is not positive; write 500ms, 30s, 10m or 7d`},
		{"collector timeout", "collectors:\n  scrape:\n    timeout: 0\n", `taffrail.yaml:3:14: collectors.scrape.timeout: 0s is not positive; write 500ms, 30s, 10m or 7d`},
		{"interfaces", "collectors: {network: {max_interfaces: 0}}\n", `taffrail.yaml:1:40: collectors.network.max_interfaces: 0 is too small; write 1 or more`},
		{"pattern", "collectors:\n  network:\n    exclude:\n    - lo\n    - '(eth'\n",
			"taffrail.yaml:5:7: collectors.network.exclude[1]: \"(eth\" is not a regular expression (RE2): missing closing ): `(eth`"},
		{"pattern that breaks out of its anchors", "collectors: {network: {include: ['a)|(b']}}\n",
			"taffrail.yaml:1:34: collectors.network.include[0]: \"a)|(b\" is not a regular expression (RE2): unexpected ): `a)|(b`"},
		{"pattern of another dialect", "collectors: {disk: {allowed_devices: ['sd(?!a)']}}\n",
			"taffrail.yaml:1:39: collectors.disk.allowed_devices[0]: \"sd(?!a)\" is not a regular expression (RE2): invalid or unsupported Perl syntax: `(?!`"},
		{"empty pattern", "collectors: {disk: {allowed_devices: ['']}}\n",
			`taffrail.yaml:1:39: collectors.disk.allowed_devices[0]: an empty pattern matches no name; remove it`},
		{"listen", "health:\n  listen: 9100\n", `taffrail.yaml:2:11: health.listen: "9100" is not host:port; write 127.0.0.1:9100 or :9100`},
		{"listen port", "health: {listen: 'localhost:http'}\n", `taffrail.yaml:1:18: health.listen: "localhost:http" is not host:port; write 127.0.0.1:9100 or :9100`},
		{"listen range", "health: {listen: ':65536'}\n", `taffrail.yaml:1:18: health.listen: ":65536" is not host:port; write 127.0.0.1:9100 or :9100`},
		{"degraded threshold", "health: {degraded_threshold: 0}\n", `taffrail.yaml:1:30: health.degraded_threshold: 0s is not positive; write 500ms, 30s, 10m or 7d`},
		{"error threshold", "health: {error_threshold: 0}\n", `taffrail.yaml:1:27: health.error_threshold: 0s is not positive; write 500ms, 30s, 10m or 7d`},
		{"level", "logging:\n  level: loud\n", `taffrail.yaml:2:10: logging.level: "loud" is no level; write trace, debug, info, warn or error`},
		{"format", "logging:\n  format: xml\n", `taffrail.yaml:2:11: logging.format: "xml" is no format; write auto, console or json`},
		{"reserved tag", "device:\n  tags:\n    device_id: x\n", `taffrail.yaml:3:16: device.tags.device_id: device_id is reserved; choose another name`},
		{"reserved on the wire", "device:\n  tags:\n    device.id: x\n", `taffrail.yaml:3:16: device.tags.device.id: device_id is reserved; choose another name`},
		{"name tag", "device: {tags: {__name__: x}}\n", `taffrail.yaml:1:27: device.tags.__name__: __name__ is reserved; choose another name`},
		{"empty tag name", "device: {tags: {'': x}}\n", `taffrail.yaml:1:21: device.tags.: bad series: empty label name`},
		{"long tag", "device: {tags: {a: " + strings.Repeat("x", 1025) + "}}\n",
			`taffrail.yaml:1:20: device.tags.a: bad series: label a has a value of 1025 bytes, at most 1024 are allowed`},
		{"control character in the id", `device: {id: "a\nb"}`, `taffrail.yaml:1:14: device.id: holds the control character '\n'`},
		{"token and file", "remote:\n  auth_token: hunter2\n  auth_token_file: /x\n",
			`taffrail.yaml:2:15: remote.auth_token: is set, and so is remote.auth_token_file; keep one of the two`},
		{"token with a line break", "remote:\n  auth_token: \"hunter2\\n\"\n",
			`taffrail.yaml:2:15: remote.auth_token: holds a character that an HTTP header cannot carry`},
		{"token file missing", "remote:\n  auth_token_file: /nowhere/token\n",
			`taffrail.yaml:2:20: remote.auth_token_file: /nowhere/token: no such file or directory`},
		{"ca file missing", "remote:\n  ca_file: /nowhere/ca.pem\n",
			`taffrail.yaml:2:12: remote.ca_file: stat /nowhere/ca.pem: no such file or directory`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := decode("taffrail.yaml", []byte(tt.file), nil, nil)
			wantError(t, err, tt.want)
		})
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted; want %s", want)
	}
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Errorf("error is a %T, want *Error", err)
	}
}

func TestTooManyTags(t *testing.T) {
	var b strings.Builder
	b.WriteString("device:\n  tags:\n")
	for i := range 31 {
		b.WriteString("    t" + strings.Repeat("x", i) + ": v\n")
	}
	_, _, err := decode("f", []byte(b.String()), nil, nil)
	wantError(t, err, "f:3:5: device.tags: 31 tags, at most 30 are allowed")
}

func TestRefusedVariables(t *testing.T) {
	tests := []struct{ name, entry, want string }{
		{"value", "TAFFRAIL_REMOTE_RETRY_MAX_BACKOFF=soon",
			`TAFFRAIL_REMOTE_RETRY_MAX_BACKOFF: remote.retry.max_backoff: "soon" is not a duration; write 500ms, 30s, 10m or 7d`},
		{"empty number", "TAFFRAIL_REMOTE_BATCH_SIZE=", `TAFFRAIL_REMOTE_BATCH_SIZE: remote.batch_size: "" is not a whole number; write 3 or 2500`},
		{"validation", "TAFFRAIL_REMOTE_RETRY_JITTER_PERCENT=-1",
			`TAFFRAIL_REMOTE_RETRY_JITTER_PERCENT: remote.retry.jitter_percent: -1 is out of bounds; write 0 to 100`},
		{"list item", "TAFFRAIL_COLLECTORS_NETWORK_INCLUDE=eth0,(", "TAFFRAIL_COLLECTORS_NETWORK_INCLUDE: " +
			"collectors.network.include[1]: \"(\" is not a regular expression (RE2): missing closing ): `(`"},
		{"misspelt", "TAFFRAIL_REMOTE_ULR=http://me:hunter2@vm", `TAFFRAIL_REMOTE_ULR: unknown variable; did you mean TAFFRAIL_REMOTE_URL?`},
		{"without its block", "TAFFRAIL_AUTH_TOKEN=hunter2", `TAFFRAIL_AUTH_TOKEN: unknown variable; did you mean TAFFRAIL_REMOTE_AUTH_TOKEN?`},
		{"nothing like it", "TAFFRAIL_COLOUR_OF_MAGIC=octarine", `TAFFRAIL_COLOUR_OF_MAGIC: unknown variable; see taffrail check for all keys; a dot of a key is an underscore`},
		{"a block", "TAFFRAIL_REMOTE_RETRY=x", `TAFFRAIL_REMOTE_RETRY: unknown variable; see taffrail check for all keys; a dot of a key is an underscore`},
		{"tags", "TAFFRAIL_DEVICE_TAGS=site", `TAFFRAIL_DEVICE_TAGS: device.tags: "site" has no =; write site=oslo,rack=3`},
		{"tag twice", "TAFFRAIL_DEVICE_TAGS=a=1,a=2", `TAFFRAIL_DEVICE_TAGS: device.tags: a stands twice; remove one`},
		{"reserved tag", "TAFFRAIL_DEVICE_TAGS=__name__=2", `TAFFRAIL_DEVICE_TAGS: device.tags.__name__: __name__ is reserved; choose another name`},
		{"not UTF-8", "TAFFRAIL_STORAGE_PATH=\xff", `TAFFRAIL_STORAGE_PATH: storage.path: is not UTF-8`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := decode("", nil, []string{"HOME=/root", tt.entry}, nil)
			wantError(t, err, tt.want)
		})
	}
}

// TestReplacedElements: once a variable replaced a list or a map, the file is
// not blamed for what is in it.
func TestReplacedElements(t *testing.T) {
	file := []byte("collectors: {network: {exclude: [a, b]}}\ndevice: {tags: {device_id: x}}\n")
	_, _, err := decode("f", file, []string{"TAFFRAIL_COLLECTORS_NETWORK_EXCLUDE=a,)", "TAFFRAIL_DEVICE_TAGS="}, nil)
	wantError(t, err, "TAFFRAIL_COLLECTORS_NETWORK_EXCLUDE: collectors.network.exclude[1]: "+
		"\")\" is not a regular expression (RE2): unexpected ): `)`")
	_, _, err = decode("f", file, []string{"TAFFRAIL_DEVICE_TAGS=device_id=y"}, nil)
	wantError(t, err, "TAFFRAIL_DEVICE_TAGS: device.tags.device_id: device_id is reserved; choose another name")
	_, _, err = decode("f", file, nil, nil)
	wantError(t, err, "f:2:28: device.tags.device_id: device_id is reserved; choose another name")
}

func TestRefusedFlags(t *testing.T) {
	_, _, err := decode("", nil, nil, []Flag{{"--remote", "remote.url", "vm"}})
	wantError(t, err, `--remote: remote.url: "vm" is not a URL of scheme http or https with a host; write http://host:8428`)
	_, _, err = decode("", nil, nil, []Flag{{"--remote", "remote.uri", "vm"}})
	wantError(t, err, `--remote: remote.uri: unknown key`)
}

func TestTokenFileModes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	if err := os.WriteFile(path, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func() (Config, error) {
		cfg, _, err := decode("", nil, nil, []Flag{{"--f", "remote.auth_token_file", path}})
		return cfg, err
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		cfg, err := load()
		if err != nil {
			t.Fatalf("mode %04o: %v", mode, err)
		}
		if token, err := cfg.Remote.Token(); err != nil || token != "hunter2" {
			t.Errorf("Token() = %q, %v", token, err)
		}
	}
	for _, mode := range []string{"0640", "0604", "0620", "0601", "0644", "0700"} {
		var bits os.FileMode
		for _, c := range mode {
			bits = bits<<3 | os.FileMode(c-'0')
		}
		if err := os.Chmod(path, bits); err != nil {
			t.Fatal(err)
		}
		_, err := load()
		wantError(t, err, "--f: remote.auth_token_file: "+path+" has mode "+mode+" and others may use it; run chmod 600 "+path)
		if _, err := (Remote{AuthTokenFile: path}).Token(); err == nil {
			t.Errorf("Token() of a file with mode %s succeeded", mode)
		}
	}
	path = dir
	_, err := load()
	wantError(t, err, "--f: remote.auth_token_file: "+dir+" is not a file")
}

func TestTokenContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for content, want := range map[string]string{
		" \n":                      " is empty",
		"a b":                      " holds a character that an HTTP header cannot carry",
		strings.Repeat("x", 10000): " is longer than 8KiB",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Remote{AuthTokenFile: path}.Token()
		if err == nil || err.Error() != "read token: "+path+want {
			t.Errorf("Token() error = %v, want %s", err, want)
		}
	}
	if token, err := (Remote{AuthToken: "plain"}).Token(); err != nil || token != "plain" {
		t.Errorf("Token() = %q, %v", token, err)
	}
}

func TestLoadFiles(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.yaml")
	_, _, err := Load(missing, nil)
	wantError(t, err, missing+": cannot be read: no such file or directory")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("a missing file is not fs.ErrNotExist")
	}
	_, _, err = Load(dir, nil)
	wantError(t, err, dir+": cannot be read: is a directory")

	long := filepath.Join(dir, "long.yaml")
	if err := os.WriteFile(long, make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err = Load(long, nil)
	wantError(t, err, long+": is longer than 64KiB; a configuration is not")

	good := filepath.Join(dir, "good.yaml")
	if err := os.WriteFile(good, []byte("remote: {url: 'http://vm'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := Load(good, nil)
	if err != nil || cfg.Remote.URL != "http://vm" {
		t.Errorf("Load = %q, %v", cfg.Remote.URL, err)
	}
}
