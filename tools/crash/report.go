package main

import (
	"fmt"
	"strings"
	"time"

	"taffrail/tools/reconcile"
)

// kind says which of the checks a problem belongs to.
type kind string

const (
	running    kind = "run"      // the daemon does its work, and ends only when it is told to
	verified   kind = "verify"   // logtool finds no damage
	witnessed  kind = "witness"  // what was acknowledged is in the log
	planned    kind = "plan"     // what was sent was planned before, with these bytes
	atReceiver kind = "receiver" // the receiver holds what the log holds
)

// shownProblems is how many problems of a kind are printed.
const shownProblems = 5

// report is what a trial came to.
type report struct {
	seed     uint64
	kills    int
	early    int // kills while the daemon was starting
	stops    int // of the receiver
	took     time.Duration
	segments int
	torn     int // times that recovery cut a torn end off
	ticks    int // in the log
	seen     int // of them, those that were witnessed
	chunks   int // sent
	repeated int // of them, those that had been sent before
	lost     int // answers that the daemon did not get
	outcome  reconcile.Outcome
	raw      int // samples that the receiver holds twice before it removes duplicates
	problems map[kind][]string
}

func (r *report) problem(of kind, lines ...string) {
	if len(lines) == 0 {
		return
	}
	if r.problems == nil {
		r.problems = make(map[kind][]string)
	}
	r.problems[of] = append(r.problems[of], lines...)
}

func (r *report) ok() bool { return len(r.problems) == 0 }

// line sums the trial up.
func (r *report) line() string {
	verdict := "ok"
	if !r.ok() {
		verdict = "FAILED"
	}
	count := func(of kind) int { return len(r.problems[of]) }
	o := &r.outcome
	return fmt.Sprintf("seed %d: %d kills (%d at start), %d receiver stops, %d answers lost; "+
		"log %d ticks in %d segments, %d torn ends, verify %d wrong; witnessed %d, %d wrong; "+
		"sent %d chunks, %d again, %d wrong; receiver %d samples: %d missing, %d twice, %d extra, %d off (raw twice %d); %.0f s: %s",
		r.seed, r.kills, r.early, r.stops, r.lost,
		r.ticks, r.segments, r.torn, count(verified), r.seen, count(witnessed),
		r.chunks, r.repeated, count(planned), o.Found, o.Missing, o.Twice, o.Extra, o.Off, r.raw, r.took.Seconds(), verdict)
}

// details lists the first problems of each kind.
func (r *report) details() string {
	var b strings.Builder
	for _, of := range []kind{running, verified, witnessed, planned, atReceiver} {
		lines := r.problems[of]
		for _, line := range lines[:min(shownProblems, len(lines))] {
			fmt.Fprintf(&b, "  %s: %s\n", of, strings.ReplaceAll(line, "\n", "\n    "))
		}
		if more := len(lines) - shownProblems; more > 0 {
			fmt.Fprintf(&b, "  %s: and %d more\n", of, more)
		}
	}
	return b.String()
}

// totals add up reports.
type totals struct {
	trials, failed, kills, seen, found   int
	missing, twice, extra, off, unlogged int
}

func (t *totals) add(r *report) {
	t.trials++
	if !r.ok() {
		t.failed++
	}
	t.kills += r.kills
	t.seen += r.seen
	t.unlogged += len(r.problems[witnessed])
	o := &r.outcome
	t.found += o.Found
	t.missing += o.Missing
	t.twice += o.Twice
	t.extra += o.Extra
	t.off += o.Off
}

// line sums all trials up.
func (t *totals) line() string {
	verdict := "ok"
	if t.failed > 0 {
		verdict = fmt.Sprintf("%d FAILED", t.failed)
	}
	return fmt.Sprintf("total: %d seeds, %d kills; %d appends witnessed, %d wrong; %d samples: %d missing, %d twice, %d extra, %d off: %s",
		t.trials, t.kills, t.seen, t.unlogged, t.found, t.missing, t.twice, t.extra, t.off, verdict)
}
