//go:build linux

package collectors

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"taffrail/internal/event"
)

// newDeviceScheduler returns one with all collectors on the real /proc and
// /sys.
func newDeviceScheduler(tb testing.TB) *Scheduler {
	tb.Helper()
	all, err := All(SourceOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	var jobs []Job
	for _, c := range all {
		jobs = append(jobs, Job{Collector: c})
	}
	s, err := NewScheduler(jobs, nil, Options{Clock: bubbleClock{time.Now()}})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func collectOnce(tb testing.TB, s *Scheduler) map[string]float64 {
	tb.Helper()
	tick, statuses, err := s.CollectOnce(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	for _, st := range statuses {
		// A container may lack what a device has; nothing may go wrong with
		// what every Linux has.
		if !st.Healthy() && slices.Contains([]string{"cpu", "memory", "system", "network"}, st.Name) {
			tb.Errorf("%s: %v", st.Name, st.Error)
		}
	}
	all := make(map[string]float64, len(tick.Samples))
	for _, s := range tick.Samples {
		if !s.Sendable() {
			tb.Errorf("%s is %v", s.Series, s.Value)
		}
		if s.Series.Type == event.Counter && s.Value < 0 {
			tb.Errorf("%s is %v", s.Series, s.Value)
		}
		all[s.Series.String()] = s.Value
	}
	return all
}

func TestCollectors_OnThisMachine(t *testing.T) {
	s := newDeviceScheduler(t)
	first := collectOnce(t, s)
	if _, found := first[`cpu.usage_percent{"core":"all"}`]; found {
		t.Error("a cpu usage after one read")
	}
	// Until the kernel's counters have moved, at 100 Hz.
	deadline := time.Now().Add(time.Minute)
	var got map[string]float64
	for usage, found := 0.0, false; !found; usage, found = got[`cpu.usage_percent{"core":"all"}`] {
		if time.Now().After(deadline) {
			t.Fatal("no cpu usage within a minute")
		}
		got = collectOnce(t, s)
		if usage < 0 || usage > 100 {
			t.Errorf("cpu usage of %v percent", usage)
		}
		runtime.Gosched()
	}
	inside := func(series string, low, high float64) {
		t.Helper()
		if v, found := got[series]; !found || v < low || v > high {
			t.Errorf("%s is %v (found: %v), want %v to %v", series, v, found, low, high)
		}
	}
	const mib = 1 << 20
	total := got["memory.total_bytes{}"]
	inside(`cpu.usage_percent{"core":"all"}`, 0, 100)
	inside("memory.total_bytes{}", 16*mib, 1<<50)
	inside("memory.available_bytes{}", 0, total)
	inside("memory.used_bytes{}", 1, total)
	inside("memory.swap_used_bytes{}", 0, got["memory.swap_total_bytes{}"])
	inside("system.load1{}", 0, 1e6)
	inside("system.load15{}", 0, 1e6)
	inside("system.uptime_seconds{}", 1, 1e10)
	inside("network.interfaces_dropped_total{}", 0, math.MaxInt32)
	if sum := got["memory.used_bytes{}"] + got["memory.available_bytes{}"]; sum != total {
		t.Errorf("used and available are %v together, the total is %v", sum, total)
	}
	for series, v := range first {
		if now, found := got[series]; found && len(series) > 5 && now < v && isTotal(series) {
			t.Errorf("%s went from %v to %v", series, v, now)
		}
	}
}

// isTotal reports whether a series' name, without its labels, ends in _total.
func isTotal(series string) bool {
	name := series[:slices.Index([]byte(series), '{')]
	return len(name) > 6 && name[len(name)-6:] == "_total"
}

// BenchmarkCollectAll is one whole collection on the real /proc and /sys.
func BenchmarkCollectAll(b *testing.B) {
	s := newDeviceScheduler(b)
	collectOnce(b, s)
	b.ReportAllocs()
	samples := 0
	for b.Loop() {
		tick, _, err := s.CollectOnce(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		samples = len(tick.Samples)
	}
	b.ReportMetric(float64(samples), "samples/op")
}

// BenchmarkRecorder is a collection of 200 known series.
func BenchmarkRecorder(b *testing.B) {
	rec := NewRecorder()
	var names []string
	for i := range 200 {
		names = append(names, time.Duration(i).String())
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, n := range names {
			rec.Counter("network.rx_bytes_total", 1, "interface", n)
		}
		if _, err := rec.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}
