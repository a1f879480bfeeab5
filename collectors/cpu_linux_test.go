//go:build linux

package collectors

import (
	"math"
	"testing"

	"github.com/prometheus/procfs"
)

// stat returns a /proc/stat that begins with these lines.
func stat(lines string) string {
	return lines + "intr 1 0\nctxt 1\nbtime 1795492495\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n"
}

func TestCPUCollector_FirstSampleSkip(t *testing.T) {
	c, rec := NewCPU(fixtures), NewRecorder()
	if got := mustCollect(t, c, rec); len(got) != 0 {
		t.Errorf("the first read gives %v, want nothing", got)
	}
	c.roots.Proc = "testdata/fixtures/later/proc"
	if got := mustCollect(t, c, rec); len(got) == 0 {
		t.Error("the second read gives nothing")
	}
}

func TestCPUCollector_DeltaCalculation(t *testing.T) {
	c, rec := NewCPU(fixtures), NewRecorder()
	mustCollect(t, c, rec)
	c.roots.Proc = "testdata/fixtures/later/proc"
	got := mustCollect(t, c, rec)
	wantValues(t, got, map[string]float64{
		`cpu.usage_percent{"core":"0"}`:   35,    // 350 of 1000 ticks
		`cpu.usage_percent{"core":"1"}`:   72.22, // 650 of 900
		`cpu.usage_percent{"core":"all"}`: 52.63, // 1000 of 1900
	})
	for series, s := range got {
		if s.Series.Decimals != 2 {
			t.Errorf("%s has %d decimals, want 2", series, s.Series.Decimals)
		}
	}
}

func TestCPUUsage_EachCounter(t *testing.T) {
	last := procfs.CPUStat{User: 100, Nice: 10, System: 50, Idle: 800, Iowait: 20, IRQ: 3, SoftIRQ: 4, Steal: 5, Guest: 6, GuestNice: 7}
	for _, c := range []struct {
		name string
		add  procfs.CPUStat
		want float64
	}{
		{"user", procfs.CPUStat{User: 1, Idle: 3}, 25},
		{"nice", procfs.CPUStat{Nice: 1, Idle: 3}, 25},
		{"system", procfs.CPUStat{System: 1, Idle: 3}, 25},
		{"irq", procfs.CPUStat{IRQ: 1, Idle: 3}, 25},
		{"softirq", procfs.CPUStat{SoftIRQ: 1, Idle: 3}, 25},
		{"steal", procfs.CPUStat{Steal: 1, Idle: 3}, 25},
		{"waiting for I/O is not work", procfs.CPUStat{User: 1, Iowait: 3}, 25},
		{"a guest's time is in user already", procfs.CPUStat{User: 2, Guest: 2, Idle: 2}, 50},
		{"a nice guest's in nice", procfs.CPUStat{Nice: 2, GuestNice: 2, Idle: 2}, 50},
		{"all idle", procfs.CPUStat{Idle: 9}, 0},
		{"all work", procfs.CPUStat{User: 9}, 100},
	} {
		cur := procfs.CPUStat{
			User: last.User + c.add.User, Nice: last.Nice + c.add.Nice, System: last.System + c.add.System,
			Idle: last.Idle + c.add.Idle, Iowait: last.Iowait + c.add.Iowait, IRQ: last.IRQ + c.add.IRQ,
			SoftIRQ: last.SoftIRQ + c.add.SoftIRQ, Steal: last.Steal + c.add.Steal,
			Guest: last.Guest + c.add.Guest, GuestNice: last.GuestNice + c.add.GuestNice,
		}
		if got, ok := cpuUsage(last, cur); !ok || got != c.want {
			t.Errorf("%s: %v, %v, want %v", c.name, got, ok, c.want)
		}
	}
}

func TestCPUCollector_CounterWraparound(t *testing.T) {
	const before = "cpu  200 0 0 200 0 0 0 0 0 0\ncpu0 100 0 0 100 0 0 0 0 0 0\ncpu1 100 0 0 100 0 0 0 0 0 0\n"
	for name, after := range map[string]string{
		"user":    "cpu  60 0 0 300 0 0 0 0 0 0\ncpu0 10 0 0 150 0 0 0 0 0 0\ncpu1 150 0 0 150 0 0 0 0 0 0\n",
		"idle":    "cpu  300 0 0 60 0 0 0 0 0 0\ncpu0 900 0 0 10 0 0 0 0 0 0\ncpu1 150 0 0 150 0 0 0 0 0 0\n",
		"restart": "cpu  6 0 0 6 0 0 0 0 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\ncpu1 150 0 0 150 0 0 0 0 0 0\n",
	} {
		t.Run(name, func(t *testing.T) {
			roots := newDevice(t, "proc/stat", stat(before))
			c, rec := NewCPU(roots), NewRecorder()
			mustCollect(t, c, rec)
			writeFile(t, roots.proc("stat"), stat(after))
			// Only the core whose counters all grew has a value.
			wantValues(t, mustCollect(t, c, rec), map[string]float64{`cpu.usage_percent{"core":"1"}`: 50})
			// The read after it starts from the new counters.
			writeFile(t, roots.proc("stat"), stat(
				"cpu  1000 0 0 1000 0 0 0 0 0 0\ncpu0 1000 0 0 1000 0 0 0 0 0 0\ncpu1 160 0 0 160 0 0 0 0 0 0\n"))
			if got := mustCollect(t, c, rec); len(got) != 3 {
				t.Errorf("after the wrap-around: %v", got)
			}
		})
	}
}

func TestCPUCollector_NoDivisionByZero(t *testing.T) {
	c, rec := NewCPU(fixtures), NewRecorder()
	for range 3 { // three identical reads: no time passed
		for series, s := range mustCollect(t, c, rec) {
			t.Errorf("%s is %v, want no sample", series, s.Value)
		}
	}
	if got, ok := cpuUsage(procfs.CPUStat{}, procfs.CPUStat{}); ok || math.IsNaN(got) {
		t.Errorf("cpuUsage of nothing is %v, %v", got, ok)
	}
}

func TestCPUCollector_HotPlug(t *testing.T) {
	roots := newDevice(t)
	c, rec := NewCPU(roots), NewRecorder()
	for i, step := range []struct {
		stat string
		want []string
	}{
		{"cpu  10 0 0 10 0 0 0 0 0 0\ncpu0 10 0 0 10 0 0 0 0 0 0\n", nil},
		{"cpu  30 0 0 30 0 0 0 0 0 0\ncpu0 20 0 0 20 0 0 0 0 0 0\ncpu3 10 0 0 10 0 0 0 0 0 0\n", []string{"0", "all"}},
		{"cpu  50 0 0 50 0 0 0 0 0 0\ncpu0 30 0 0 30 0 0 0 0 0 0\ncpu3 20 0 0 20 0 0 0 0 0 0\n", []string{"0", "3", "all"}},
		{"cpu  60 0 0 60 0 0 0 0 0 0\ncpu0 40 0 0 40 0 0 0 0 0 0\n", []string{"0", "all"}},
		{"cpu  80 0 0 80 0 0 0 0 0 0\ncpu0 50 0 0 50 0 0 0 0 0 0\ncpu3 30 0 0 30 0 0 0 0 0 0\n", []string{"0", "all"}},
	} {
		writeFile(t, roots.proc("stat"), stat(step.stat))
		got := labelValues(mustCollect(t, c, rec), "core")
		if len(got) != len(step.want) {
			t.Errorf("read %d: cores %v, want %v", i, got, step.want)
			continue
		}
		for k := range got {
			if got[k] != step.want[k] {
				t.Errorf("read %d: cores %v, want %v", i, got, step.want)
			}
		}
	}
}
