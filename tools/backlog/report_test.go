package main

import (
	"strings"
	"testing"
	"time"

	"taffrail/tools/agent"
	"taffrail/tools/badlink"
	"taffrail/tools/reconcile"
)

// at is a moment of a drain whose receiver could be reached at 0.
func at(seconds float64) time.Time {
	return time.Unix(1790000000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

func TestFreshIsWhatIsTakenAboutTheContact(t *testing.T) {
	const upload = 30 * time.Second
	var m measured
	m.see(at(1), at(2), upload) // no contact yet
	if m.contact = at(10); !m.fresh.IsZero() {
		t.Errorf("fresh at %v before the contact", m.fresh)
	}
	m.see(at(-300_000), at(11), upload) // of the backlog
	m.see(at(-21), at(12), upload)
	if !m.fresh.IsZero() || m.oldest != 0 {
		t.Errorf("fresh at %v, oldest %v", m.fresh, m.oldest)
	}
	m.see(at(9), at(13), upload)
	m.see(at(9), at(40), upload)
	m.see(at(38), at(41), upload)
	if m.fresh != at(13) || m.oldest != 31*time.Second {
		t.Errorf("fresh at %v, oldest %v", m.fresh, m.oldest)
	}
}

func TestDaemonIsFollowedToTheEndOfTheBacklog(t *testing.T) {
	read := func(second float64, acked, cursor uint64, up int64) reading {
		r := reading{at: at(second), counts: agent.Counts{Acknowledged: acked, Cursor: cursor}}
		r.traffic = badlink.Traffic{Up: up}
		if up > 1000 {
			r.traffic.Contact = at(1)
		}
		return r
	}
	first := read(0, 500, 20, 1000)
	var m measured
	for _, r := range []reading{
		first,
		read(2, 600, 20, 2000),
		read(5, 1500, 90, 6000),
		read(6, 2000, 95, 7000), // the backlog has 1000
		read(7, 2100, 100, 9000),
		read(8, 3000, 200, 12_000),
	} {
		m.follow(first, r, 1000, 100)
	}
	if m.contact != at(1) || m.drained != at(5) || m.complete != at(7) || m.acked != 1000 || m.up != 5000 {
		t.Errorf("measured %+v", m)
	}
	if m.over(true) {
		t.Error("over without a fresh sample")
	}
	if m.fresh = at(3); !m.over(true) {
		t.Error("not over")
	}
	settled := uint64(99)
	end := read(9, 3000, 200, 12_000)
	end.details.Uploader.Settled = &settled
	if m.follow(first, end, 1000, 100); m.over(true) || !m.over(false) {
		t.Error("settled before it was")
	}
	settled, end.at = 100, at(80)
	if m.follow(first, end, 1000, 100); !m.over(true) || m.settled != at(80) || m.drained != at(5) {
		t.Errorf("measured %+v", m)
	}
	if rate := m.perSecond(); rate != 250 {
		t.Errorf("%v samples/s, want 250", rate)
	}
	if rate := new(measured).perSecond(); rate != 0 {
		t.Errorf("nothing goes at %v samples/s", rate)
	}
}

func goodReport(t *testing.T) *report {
	opts, err := parseArgs("--samples", "1800")
	if err != nil {
		t.Fatal(err)
	}
	return &report{
		opts:    opts,
		history: history{series: 180, ticks: opts.ticks(), interval: opts.interval},
		measured: measured{there: at(0), contact: at(1), fresh: at(31), drained: at(50), complete: at(60), oldest: 39 * time.Second,
			acked: 1800, up: 5400, down: 180, memory: memory{20_000_000, 39_000_000}},
		outcome: &reconcile.Outcome{Appended: 1800, Acknowledged: 1800, Found: 1800, Series: 180},
		added:   1850,
	}
}

func TestBoundsAreKept(t *testing.T) {
	r := goodReport(t)
	r.vmagent = &vmagentResult{samples: 1800, contact: at(0), last: at(90), up: 9000}
	var b strings.Builder
	if !r.print(&b) {
		t.Errorf("not all is well:\n%s", b.String())
	}
	for _, want := range []string{
		"contact 1.0 s after", "37 samples/s", "3.00 B a sample up, 0.100 B down", "given 1850 samples and holds 1800: 50 repeated",
		"30.0 s after the contact", "vmagent: 20 samples/s", "5.00 B a sample", "37 / 20 samples/s = 1.84",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

func TestEveryBoundCanBeMissed(t *testing.T) {
	for name, change := range map[string]func(*report){
		"fresh too late":    func(r *report) { r.fresh = at(33) },
		"never fresh":       func(r *report) { r.fresh = time.Time{} },
		"stale":             func(r *report) { r.oldest = 41 * time.Second },
		"not drained":       func(r *report) { r.drained = time.Time{} },
		"not complete":      func(r *report) { r.complete = time.Time{} },
		"not settled":       func(r *report) { r.details.Uploader.Settled = new(uint64) },
		"different":         func(r *report) { r.outcome.Differences = []string{"only in the log: x"} },
		"not compared":      func(r *report) { r.outcome = nil },
		"too much memory":   func(r *report) { r.memory.peak = 40_000_000 },
		"nothing happened":  func(r *report) { r.measured, r.outcome = measured{}, nil },
		"nothing was found": func(r *report) { r.outcome = &reconcile.Outcome{} },
	} {
		r := goodReport(t)
		change(r)
		var b strings.Builder
		if r.print(&b) || !strings.Contains(b.String(), "MISSED") {
			t.Errorf("%s: passed as\n%s", name, b.String())
		}
	}
	r := goodReport(t)
	r.details.Uploader.Settled, r.settled = new(uint64), at(90)
	var b strings.Builder
	if !r.print(&b) || !strings.Contains(b.String(), "settled 89.0 s after the contact") {
		t.Errorf("settled, and printed as\n%s", b.String())
	}
	r = goodReport(t)
	r.memory = memory{} // a system that does not tell
	if !r.print(new(strings.Builder)) {
		t.Error("memory that is not known is no miss")
	}
}
