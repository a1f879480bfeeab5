//go:build linux

package collectors

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/procfs"
)

// Memory reads /proc/meminfo and records, all gauges in bytes,
//
//	memory.total_bytes       MemTotal
//	memory.available_bytes   MemAvailable: what programs can get without swapping
//	memory.used_bytes        MemTotal − MemAvailable
//	memory.swap_total_bytes  SwapTotal
//	memory.swap_used_bytes   SwapTotal − SwapFree
//
// Caches that the kernel gives back on demand are available and not used.
type Memory struct {
	roots Roots
}

// NewMemory returns the collector called "memory".
func NewMemory(roots Roots) *Memory { return &Memory{roots: roots.withDefaults()} }

// Name returns "memory".
func (m *Memory) Name() string { return "memory" }

// Collect implements Collector.
func (m *Memory) Collect(_ context.Context, rec *Recorder) error {
	fs, err := m.roots.procfs()
	if err != nil {
		return err
	}
	info, err := fs.Meminfo()
	if err == nil {
		err = recordMemory(info, rec)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", m.roots.proc("meminfo"), err)
	}
	return nil
}

// recordMemory records what of memory and swap is told in full.
func recordMemory(info procfs.Meminfo, rec *Recorder) error {
	memory := pool{"memory.total_bytes", "memory.used_bytes", "memory.available_bytes"}
	swap := pool{"memory.swap_total_bytes", "memory.swap_used_bytes", ""}
	return errors.Join(
		memory.record(rec, "MemTotal", info.MemTotalBytes, "MemAvailable", info.MemAvailableBytes),
		swap.record(rec, "SwapTotal", info.SwapTotalBytes, "SwapFree", info.SwapFreeBytes),
	)
}

// A pool has the names under which an amount, what is used and what is left of
// it are recorded; an empty name is not.
type pool struct{ total, used, left string }

func (p pool) record(rec *Recorder, totalField string, total *uint64, leftField string, left *uint64) error {
	switch {
	case total == nil:
		return fmt.Errorf("no %s", totalField)
	case left == nil:
		return fmt.Errorf("no %s", leftField)
	case *left > *total:
		return fmt.Errorf("%s is %d bytes, more than %s with %d", leftField, *left, totalField, *total)
	}
	rec.Gauge(p.total, float64(*total))
	rec.Gauge(p.used, float64(*total-*left))
	if p.left != "" {
		rec.Gauge(p.left, float64(*left))
	}
	return nil
}
