package main

import (
	"path/filepath"
	"time"

	"taffrail/internal/config"
)

// settings are the flags that choose and override the configuration; run, check
// and collect share them.
type settings struct {
	Config   string        `help:"Configuration file (YAML)." placeholder:"FILE"`
	StateDir string        `help:"Where log, index and lock are kept." default:"./taffrail-data" placeholder:"DIR"`
	Remote   string        `help:"Receiver to ship to, as remote.url." placeholder:"URL"`
	Interval time.Duration `help:"Interval of collectors without one of their own, 10s by default." placeholder:"D"`
	Listen   string        `help:"Address of the health endpoints, as health.listen." placeholder:"ADDR"`
}

// load returns the effective configuration and warnings about it.
func (s *settings) load(env []string) (config.Config, []string, error) {
	if s.Interval < 0 {
		return config.Config{}, nil, &config.Error{Where: "--interval", Problem: "must be positive, such as 1s or 10s"}
	}
	var flags []config.Flag
	if s.Remote != "" {
		flags = append(flags, config.Flag{Name: "--remote", Key: "remote.url", Value: s.Remote})
	}
	if s.Listen != "" {
		flags = append(flags, config.Flag{Name: "--listen", Key: "health.listen", Value: s.Listen})
	}
	return config.Load(s.Config, env, flags...)
}

// logDir is where the segments lie in a state directory.
func logDir(stateDir string) string { return filepath.Join(stateDir, "log") }
