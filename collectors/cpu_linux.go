//go:build linux

package collectors

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/prometheus/procfs"
)

// allCores is the value of the label core for the sum of all.
const allCores = "all"

// CPU reads /proc/stat and records
//
//	cpu.usage_percent{core}  gauge, 0 to 100, 2 decimals; core is "0", "1", … or "all"
//
// which is the time since the collection before that was neither idle nor
// waiting for I/O, of the time that passed on that core; time stolen by a
// hypervisor counts as used. The kernel counts in ticks of 10 ms, so that over
// one second a percent is the finest step, and over ten a tenth of it.
//
// A core has no value when it is read for the first time (also after it was
// offline), when one of its counters went backwards (they do on some kernels
// when a core comes back from an idle state, and when they wrap around), and
// when no time passed.
type CPU struct {
	roots Roots
	last  map[string]procfs.CPUStat // by label
}

// NewCPU returns the collector called "cpu".
func NewCPU(roots Roots) *CPU { return &CPU{roots: roots.withDefaults()} }

// Name returns "cpu".
func (c *CPU) Name() string { return "cpu" }

// Collect implements Collector.
func (c *CPU) Collect(_ context.Context, rec *Recorder) error {
	fs, err := c.roots.procfs()
	if err != nil {
		return err
	}
	stat, err := fs.Stat()
	if err != nil {
		return fmt.Errorf("read %s: %w", c.roots.proc("stat"), err)
	}
	if len(stat.CPU) == 0 {
		return fmt.Errorf("read %s: it names no cpu", c.roots.proc("stat"))
	}
	c.record(stat, rec)
	return nil
}

// record compares stat with the one before and keeps it for the next.
func (c *CPU) record(stat procfs.Stat, rec *Recorder) {
	now := make(map[string]procfs.CPUStat, len(stat.CPU)+1)
	one := func(core string, cur procfs.CPUStat) {
		now[core] = cur
		last, found := c.last[core]
		if !found {
			return
		}
		if percent, ok := cpuUsage(last, cur); ok {
			rec.Decimal("cpu.usage_percent", 2, percent, "core", core)
		}
	}
	one(allCores, stat.CPUTotal)
	for _, id := range slices.Sorted(maps.Keys(stat.CPU)) {
		one(strconv.FormatInt(id, 10), stat.CPU[id])
	}
	c.last = now
}

// cpuUsage returns the percentage of the time between two reads that a core
// was at work. It is not ok if a counter went backwards or no time passed.
func cpuUsage(last, cur procfs.CPUStat) (percent float64, ok bool) {
	// Guest and GuestNice are not in these lists: User and Nice contain them
	// (kernel/sched/cputime.c, account_guest_time).
	busy, ok := grown(
		[]float64{last.User, last.Nice, last.System, last.IRQ, last.SoftIRQ, last.Steal},
		[]float64{cur.User, cur.Nice, cur.System, cur.IRQ, cur.SoftIRQ, cur.Steal},
	)
	if !ok {
		return 0, false
	}
	idle, ok := grown([]float64{last.Idle, last.Iowait}, []float64{cur.Idle, cur.Iowait})
	if !ok || busy+idle <= 0 {
		return 0, false
	}
	return 100 * busy / (busy + idle), true
}

// grown returns by how much the sum of some counters grew, or not ok if one of
// them shrank.
func grown(last, cur []float64) (sum float64, ok bool) {
	for i := range cur {
		if cur[i] < last[i] {
			return 0, false
		}
		sum += cur[i] - last[i]
	}
	return sum, true
}
