//go:build linux

package collectors

import (
	"strings"
	"testing"
)

func TestMemoryCollector_CanonicalUsedCalculation(t *testing.T) {
	// MemTotal − MemAvailable, and nothing with MemFree, Buffers or Cached.
	got := mustCollect(t, NewMemory(fixtures), NewRecorder())
	wantValues(t, got, map[string]float64{
		"memory.total_bytes{}":      3884392 * 1024,
		"memory.available_bytes{}":  2913228 * 1024,
		"memory.used_bytes{}":       (3884392 - 2913228) * 1024,
		"memory.swap_total_bytes{}": 102396 * 1024,
		"memory.swap_used_bytes{}":  (102396 - 101116) * 1024,
	})
}

func TestMemoryCollector_IncompleteFile(t *testing.T) {
	for _, c := range []struct {
		name, meminfo, want string
		samples             int
	}{
		{"no MemAvailable", "MemTotal: 100 kB\nMemFree: 50 kB\nSwapTotal: 10 kB\nSwapFree: 5 kB\n", "no MemAvailable", 2},
		{"no MemTotal", "MemAvailable: 50 kB\nSwapTotal: 10 kB\nSwapFree: 5 kB\n", "no MemTotal", 2},
		{"no swap", "MemTotal: 100 kB\nMemAvailable: 50 kB\n", "no SwapTotal", 3},
		{"more than all", "MemTotal: 100 kB\nMemAvailable: 101 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n", "MemAvailable is 103424 bytes", 2},
	} {
		roots := newDevice(t, "proc/meminfo", c.meminfo)
		got, err := collect(t, NewMemory(roots), NewRecorder())
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), roots.proc("meminfo")) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if len(got) != c.samples {
			t.Errorf("%s: samples %v, want %d", c.name, got, c.samples)
		}
	}
}
