//go:build linux

package collectors

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// System reads /proc/loadavg and /proc/uptime and records
//
//	system.load1           gauge, tasks that run or wait over 1 minute, 2 decimals
//	system.load5           the same over 5 minutes
//	system.load15          the same over 15 minutes
//	system.uptime_seconds  gauge, seconds since boot, suspend included, 2 decimals
type System struct {
	roots Roots
}

// NewSystem returns the collector called "system".
func NewSystem(roots Roots) *System { return &System{roots: roots.withDefaults()} }

// Name returns "system".
func (s *System) Name() string { return "system" }

// Collect implements Collector. One file that cannot be read does not keep it
// from the other.
func (s *System) Collect(_ context.Context, rec *Recorder) error {
	return errors.Join(s.load(rec), s.uptime(rec))
}

func (s *System) load(rec *Recorder) error {
	fs, err := s.roots.procfs()
	if err != nil {
		return err
	}
	load, err := fs.LoadAvg()
	if err != nil {
		return fmt.Errorf("read %s: %w", s.roots.proc("loadavg"), err)
	}
	rec.Decimal("system.load1", 2, load.Load1)
	rec.Decimal("system.load5", 2, load.Load5)
	rec.Decimal("system.load15", 2, load.Load15)
	return nil
}

func (s *System) uptime(rec *Recorder) error {
	path := s.roots.proc("uptime")
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	seconds, err := parseUptime(string(text))
	if err != nil {
		return fmt.Errorf("parse %s: %w", path, err)
	}
	rec.Decimal("system.uptime_seconds", 2, seconds)
	return nil
}

// parseUptime returns the first of the two numbers in /proc/uptime; the second
// is the time that all cores together were idle.
func parseUptime(text string) (float64, error) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return 0, errors.New("it is empty")
	}
	return strconv.ParseFloat(fields[0], 64)
}
