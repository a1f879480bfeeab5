package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"taffrail/internal/config"
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
	spareMemory()
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
	d := &daemon{cfg: cfg, jobs: jobs, stateDir: lock.Dir(), logger: logger, reloads: c.reloads(ctx, sys.env, logger)}
	if c.WitnessFd > 0 {
		d.witness = os.NewFile(uintptr(c.WitnessFd), "witness")
	}
	return d.run(ctx)
}

// reloads returns the configurations that are read at each SIGHUP until ctx is
// done. One that cannot be used is told of, and the one before stays in force.
func (c *runCmd) reloads(ctx context.Context, env []string, logger zerolog.Logger) <-chan config.Config {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	loaded := make(chan config.Config)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			cfg, warnings, err := c.load(env)
			for _, w := range warnings {
				logger.Warn().Msg(w)
			}
			if err != nil {
				logger.Error().Err(err).Str("error_type", "config").Msg("the new configuration is not used")
				continue
			}
			logger.Info().Msg("the remote's keys are read anew; what else has changed needs a restart")
			select {
			case <-ctx.Done():
			case loaded <- cfg:
			}
		}
	}()
	return loaded
}

// claim makes the state directory where it is missing, checks that it can be
// written, and locks it.
func claim(dir string) (*lockfile.Lock, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("state directory %s cannot be made: %w; choose another with --state-dir", dir, rootCause(err))
	}
	if err := checkLogDir(logDir(dir)); err != nil {
		return nil, fmt.Errorf("state directory %s cannot be written: %w; choose another with --state-dir", dir, err)
	}
	lock, err := lockfile.Acquire(dir)
	var held *lockfile.HeldError
	if err == nil || errors.As(err, &held) {
		return lock, err
	}
	return nil, fmt.Errorf("state directory %s cannot be written: %w; choose another with --state-dir", dir, rootCause(err))
}

// checkLogDir checks that new segments can be made in the log's directory, where
// there is one.
func checkLogDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return rootCause(err)
	case !info.IsDir():
		return fmt.Errorf("its %s: %w", filepath.Base(dir), unix.ENOTDIR)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("its %s: %w", filepath.Base(dir), err)
	}
	return nil
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
