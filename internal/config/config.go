// Package config is the agent's configuration: what can be set, what holds
// where nothing is set, and the refusal of everything else.
//
// The guarantees:
//
//   - Load returns a configuration that passed Validate, or an *Error of one
//     line that says where the bad value stands (file, line and column,
//     environment variable or flag), the key's full path, and what would be
//     right. No value of remote.auth_token and no password of a URL is in it.
//   - Sources are laid over each other: defaults, file, environment, flags. A
//     key that a source does not mention keeps the value below it, and an
//     explicit zero or false counts as mentioned. A list or a map from the
//     environment replaces the one below it.
//   - A value is written the same way in every source: each scalar is read from
//     its text, whatever YAML would take it for.
//   - What YAML prints, Load reads back to the same configuration.
//
// It assumes a file of at most 64 KiB in one YAML document without anchors,
// aliases and tags. It reads no clock and keeps no state.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Config holds every key of the configuration. Field tags are the keys.
type Config struct {
	Device     Device     `key:"device"`
	Log        Log        `key:"log"`
	Storage    Storage    `key:"storage"`
	Collectors Collectors `key:"collectors"`
	Remote     Remote     `key:"remote"`
	Monitoring Monitoring `key:"monitoring"`
	Health     Health     `key:"health"`
	Logging    Logging    `key:"logging"`
}

// Device says who measures.
type Device struct {
	ID   string            `key:"id"` // empty: found out from the device itself
	Tags map[string]string `key:"tags"`
}

// Log bounds the event log.
type Log struct {
	SegmentSize  Size         `key:"segment_size"`
	SyncInterval Duration     `key:"sync_interval"` // 0: every append
	Retention    LogRetention `key:"retention"`
}

// LogRetention is how much of the log is kept; 0 sets no bound.
type LogRetention struct {
	MaxAge   Duration `key:"max_age"`
	MaxBytes Size     `key:"max_bytes"`
}

// Storage is the index database. A retention or size of 0 sets no bound.
type Storage struct {
	Path                  string   `key:"path"` // empty: the state directory
	Retention             Duration `key:"retention"`
	MaxBytes              Size     `key:"max_bytes"`
	MaxLag                Duration `key:"max_lag"`
	WALCheckpointInterval Duration `key:"wal_checkpoint_interval"`
	WALCheckpointSizeMB   int      `key:"wal_checkpoint_size_mb"`
}

// Remote is the receiver and how it is sent to.
type Remote struct {
	URL                    string   `key:"url"`
	ReadURL                string   `key:"read_url"` // empty: derived from URL; "off": no read access
	Enabled                *bool    `key:"enabled"`  // nil: true where URL is set
	AuthToken              string   `key:"auth_token"`
	AuthTokenFile          string   `key:"auth_token_file"`
	CAFile                 string   `key:"ca_file"`
	ProxyURL               string   `key:"proxy_url"`
	UploadInterval         Duration `key:"upload_interval"`
	Timeout                Duration `key:"timeout"`
	BatchSize              int      `key:"batch_size"`
	ChunkSize              int      `key:"chunk_size"`
	MaxChunkBytes          Size     `key:"max_chunk_bytes"`
	ReplayWindow           Duration `key:"replay_window"`
	ClockHold              Duration `key:"clock_hold"`
	BackfillBytesPerSecond Size     `key:"backfill_bytes_per_second"` // 0: no limit
	Retry                  Retry    `key:"retry"`
}

// Retry is the back-off within one upload cycle.
type Retry struct {
	Enabled           bool     `key:"enabled"`
	MaxAttempts       int      `key:"max_attempts"` // the first one included
	InitialBackoff    Duration `key:"initial_backoff"`
	MaxBackoff        Duration `key:"max_backoff"`
	BackoffMultiplier float64  `key:"backoff_multiplier"`
	JitterPercent     int      `key:"jitter_percent"`
}

// Monitoring is the agent's watch over its clock and itself.
type Monitoring struct {
	ClockSkewURL             string   `key:"clock_skew_url"` // empty: the remote's origin with /health
	ClockSkewCheckInterval   Duration `key:"clock_skew_check_interval"`
	ClockSkewWarnThresholdMS int      `key:"clock_skew_warn_threshold_ms"`
	MetaInterval             Duration `key:"meta_interval"`
}

// Health is where the agent's state is served, and its thresholds.
type Health struct {
	Listen            string    `key:"listen"`
	DegradedThreshold *Duration `key:"degraded_threshold"` // nil: twice the upload interval, at least a second
	ErrorThreshold    Duration  `key:"error_threshold"`
}

// Logging is the agent's own log on stderr.
type Logging struct {
	Level  string `key:"level"`
	Format string `key:"format"`
}

// Formats of logging.format. FormatAuto is FormatConsole on a terminal and
// FormatJSON elsewhere.
const (
	FormatAuto    = "auto"
	FormatConsole = "console"
	FormatJSON    = "json"
)

// ReadOff is the remote.read_url of a receiver that may not be queried.
const ReadOff = "off"

// Default returns what holds where nothing is set.
func Default() Config {
	return Config{
		Device: Device{Tags: map[string]string{}},
		Log: Log{
			SegmentSize: MiB,
			Retention:   LogRetention{MaxAge: 30 * Day, MaxBytes: GiB},
		},
		Storage: Storage{
			Retention:             7 * Day,
			MaxBytes:              256 * MiB,
			MaxLag:                Duration(10 * time.Minute),
			WALCheckpointInterval: Duration(time.Hour),
			WALCheckpointSizeMB:   64,
		},
		Collectors: defaultCollectors(),
		Remote: Remote{
			UploadInterval: Duration(30 * time.Second),
			Timeout:        Duration(30 * time.Second),
			BatchSize:      2500,
			ChunkSize:      50,
			MaxChunkBytes:  256 * KiB,
			ReplayWindow:   Duration(60 * time.Second),
			ClockHold:      Duration(10 * time.Minute),
			Retry: Retry{
				Enabled:           true,
				MaxAttempts:       3,
				InitialBackoff:    Duration(time.Second),
				MaxBackoff:        Duration(30 * time.Second),
				BackoffMultiplier: 2,
				JitterPercent:     20,
			},
		},
		Monitoring: Monitoring{
			ClockSkewCheckInterval:   Duration(5 * time.Minute),
			ClockSkewWarnThresholdMS: 2000,
			MetaInterval:             Duration(60 * time.Second),
		},
		Health:  Health{Listen: "127.0.0.1:9100", ErrorThreshold: Duration(10 * time.Minute)},
		Logging: Logging{Level: "info", Format: FormatAuto},
	}
}

// Flag is a value from the command line for one key.
type Flag struct {
	Name  string // as the user typed it, for messages: "--remote"
	Key   string // "remote.url"
	Value string
}

// maxFileBytes bounds the file. The YAML parser takes time in the square of
// the nesting depth, and a configuration with every key set has 3 KiB.
const maxFileBytes = 64 << 10

// Load reads the file at path over the defaults, then the TAFFRAIL_ variables
// of env (as os.Environ returns it), then flags. An empty path means no file.
// The warnings are one line each. An error is always an *Error.
func Load(path string, env []string, flags ...Flag) (cfg Config, warnings []string, err error) {
	var file []byte
	if path != "" {
		if file, err = readFile(path); err != nil {
			return Config{}, nil, err
		}
	}
	return decode(path, file, env, flags)
}

func decode(path string, file []byte, env []string, flags []Flag) (Config, []string, error) {
	cfg := Default()
	l := layers{cfg: &cfg, origins: origins{}}
	if err := l.applyYAML(path, file); err != nil {
		return Config{}, nil, err
	}
	if err := l.applyEnv(env); err != nil {
		return Config{}, nil, err
	}
	for _, f := range flags {
		if err := l.applyText(f.Name, f.Key, f.Value); err != nil {
			return Config{}, nil, err
		}
	}
	warnings := l.guard()
	if err := cfg.Validate(); err != nil {
		return Config{}, nil, l.origins.locate(err)
	}
	return cfg, warnings, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fileError(path, err)
	}
	if len(b) > maxFileBytes {
		return nil, &Error{Where: path, Problem: fmt.Sprintf("is longer than %v; a configuration is not", Size(maxFileBytes))}
	}
	return b, nil
}

func fileError(path string, err error) error {
	problem := "cannot be read: "
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		problem += pe.Err.Error()
	} else {
		problem += err.Error()
	}
	return &Error{Where: path, Problem: problem, err: err}
}
