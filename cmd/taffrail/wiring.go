package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"taffrail/collectors"
	"taffrail/internal/config"
	"taffrail/internal/device"
	"taffrail/internal/event"
	eventlog "taffrail/log"
	"taffrail/shipper"
)

// What follows turns the configuration into the stages' options, one function a
// stage, and does nothing else.

// newLogger returns a logger that writes to w.
func newLogger(cfg config.Logging, w io.Writer) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("logging.level: %w", err)
	}
	file, isFile := w.(*os.File)
	terminal := isFile && isatty.IsTerminal(file.Fd())
	if cfg.Format == config.FormatConsole || cfg.Format == config.FormatAuto && terminal {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.RFC3339, NoColor: !terminal}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger(), nil
}

// newContext returns what every sample of a session is recorded with.
func newContext(cfg config.Device, sessionID string) (event.Context, error) {
	roots := device.Roots{}
	id := cfg.ID
	if id == "" {
		id = roots.ID()
	}
	return event.Context{
		SessionID: sessionID,
		BootID:    roots.BootID(),
		DeviceID:  id,
		Tags:      event.LabelsFromMap(cfg.Tags),
	}, nil
}

// newJobs returns the enabled collectors with their intervals; fallback is that
// of collectors without one of their own.
func newJobs(cfg config.Collectors, fallback time.Duration) ([]collectors.Job, error) {
	all, err := collectors.All(collectors.SourceOptions{
		Disk: collectors.DiskOptions{Allowed: cfg.Disk.AllowedDevices},
		Network: collectors.NetworkOptions{
			Include:       cfg.Network.Include,
			Exclude:       cfg.Network.Exclude,
			MaxInterfaces: cfg.Network.MaxInterfaces,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("collectors: %w", err)
	}
	var jobs []collectors.Job
	for _, c := range all {
		common, ok := cfg.Get(c.Name())
		if !ok || !common.Enabled {
			continue
		}
		jobs = append(jobs, collectors.Job{
			Collector: c,
			Interval:  cfg.Interval(c.Name(), fallback),
			Timeout:   common.Timeout.Std(),
		})
	}
	return jobs, nil
}

// newLogOptions returns the log's options; ship says that there is a receiver.
func newLogOptions(cfg config.Log, ship bool, ctx event.Context, clock device.Clock) eventlog.Options {
	return eventlog.Options{
		SegmentSize:  int64(cfg.SegmentSize),
		SyncInterval: cfg.SyncInterval.Std(),
		Context:      ctx,
		Version:      version,
		Now:          stamper(clock),
		Retention: eventlog.Retention{
			MaxAge:   cfg.Retention.MaxAge.Std(),
			MaxBytes: int64(cfg.Retention.MaxBytes),
			Ship:     ship,
		},
	}
}

// newShipperOptions returns the options of an active remote.
func newShipperOptions(cfg config.Remote, deviceID string, clock device.Clock, logger zerolog.Logger) (shipper.Options, error) {
	token, err := cfg.Token()
	if err != nil {
		return shipper.Options{}, err
	}
	return shipper.Options{
		Remote: shipper.Remote{
			URL:       cfg.ImportURL(),
			ReadURL:   cfg.ReadURL,
			AuthToken: token,
			CAFile:    cfg.CAFile,
			ProxyURL:  cfg.ProxyURL,
			Timeout:   cfg.Timeout.Std(),
			UserAgent: "taffrail/" + version,
			DeviceID:  deviceID,
		},
		UploadInterval:         cfg.UploadInterval.Std(),
		BatchSize:              cfg.BatchSize,
		ChunkSize:              cfg.ChunkSize,
		MaxChunkBytes:          int(cfg.MaxChunkBytes),
		ReplayWindow:           cfg.ReplayWindow.Std(),
		BackfillBytesPerSecond: int(cfg.BackfillBytesPerSecond),
		Retry: shipper.Retry{
			MaxAttempts:    cfg.RetryMaxAttempts(),
			InitialBackoff: cfg.Retry.InitialBackoff.Std(),
			MaxBackoff:     cfg.Retry.MaxBackoff.Std(),
			Multiplier:     cfg.Retry.BackoffMultiplier,
			JitterPercent:  float64(cfg.Retry.JitterPercent),
		},
		Now:    stamper(clock),
		Logger: logger,
	}, nil
}

// stamper is a clock for those who do not ask whether it is trusted.
func stamper(clock device.Clock) func() event.Stamp {
	return func() event.Stamp {
		stamp, _ := clock.Now()
		return stamp
	}
}
