package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"taffrail/internal/lockfile"
)

type runCmd struct {
	settings
	// WitnessFd is an inherited file that is told of every tick that the log has
	// taken; see witness.
	WitnessFd int `hidden:"" placeholder:"N"`
}

// Run collects, keeps and ships until ctx is done.
func (c *runCmd) Run(ctx context.Context, sys system) error {
	cfg, warnings, err := c.load(sys.env)
	if err != nil {
		return err
	}
	logger, err := newLogger(cfg.Logging, sys.stderr)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	for _, w := range warnings {
		logger.Warn().Msg(w)
	}
	jobs, err := newJobs(cfg.Collectors, c.Interval)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	lock, err := claim(c.StateDir)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	defer release(lock, logger)
	d := &daemon{cfg: cfg, jobs: jobs, stateDir: lock.Dir(), logger: logger}
	if c.WitnessFd > 0 {
		d.witness = os.NewFile(uintptr(c.WitnessFd), "witness")
	}
	return d.run(ctx)
}

// claim makes the state directory where it is missing, checks that it can be
// written, and locks it.
func claim(dir string) (*lockfile.Lock, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("state directory %s cannot be made: %w; choose another with --state-dir", dir, rootCause(err))
	}
	lock, err := lockfile.Acquire(dir)
	var held *lockfile.HeldError
	if err == nil || errors.As(err, &held) {
		return lock, err
	}
	return nil, fmt.Errorf("state directory %s cannot be written: %w; choose another with --state-dir", dir, rootCause(err))
}

// rootCause strips the path and the call from a file system's error.
func rootCause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) && filepath.IsAbs(path.Path) {
		return path.Err
	}
	return err
}

func release(lock *lockfile.Lock, logger zerolog.Logger) {
	if err := lock.Release(); err != nil {
		logger.Error().Err(err).Str("error_type", "lock").Msg("state directory not released")
	}
}
