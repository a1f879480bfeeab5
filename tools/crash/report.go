package main

import (
	"fmt"
	"strings"
	"time"

	"taffrail/internal/event"
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
	settled    kind = "settle"   // all of it counts as there, and nothing was given up
)

// shownProblems is how many problems of a kind are printed.
const shownProblems = 5

// report is what a trial came to.
type report struct {
	mode          string
	seed          uint64
	kills         int // of the daemon
	early         int // of them, those while it was starting
	receiverKills int
	stops         int           // of the receiver, in order
	took, end     time.Duration // of all, and from the last start of the daemon on
	segments      int
	torn          int // times that recovery cut a torn end off
	ticks         int // in the log
	seen          int // of them, those that were witnessed
	chunks        int // sent
	repeated      int // of them, those that had been sent before
	parts         int // of them, those that were only some lines of one
	probes        int
	swaps         int            // chunks in whose place another went
	linkTwice     int            // samples of those others
	lost          int            // answers that the daemon did not get
	repairs       int            // plans of samples that were missing, or in doubt
	repeats       uint64         // batches that the last daemon sent again unasked
	proofs        map[string]int // samples that were settled, by the proof
	unsettled     uint64
	rejected      uint64
	outcome       reconcile.Outcome
	raw           int // samples that the receiver holds twice before it removes duplicates
	problems      map[kind][]string
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
	swaps := ""
	if r.swaps > 0 {
		swaps = fmt.Sprintf(", %d never and as many others twice (%d samples)", r.swaps, r.linkTwice)
	}
	return fmt.Sprintf("%s, seed %d: %d kills (%d at start), receiver %d kills, %d stops, %d answers lost; "+
		"log %d ticks in %d segments, %d torn ends, verify %d wrong; witnessed %d, %d wrong; "+
		"sent %d chunks, %d again%s, %d in part, %d probes, %d wrong; %d repairs, %d repeats in the end; "+
		"settled %d by count, %d by export, %d by connection, %d not, %d rejected; "+
		"receiver %d samples: %d missing, %d twice, %d extra, %d off (raw twice %d); %.0f s, the end %.0f s: %s",
		r.mode, r.seed, r.kills, r.early, r.receiverKills, r.stops, r.lost,
		r.ticks, r.segments, r.torn, count(verified), r.seen, count(witnessed),
		r.chunks, r.repeated, swaps, r.parts, r.probes, count(planned), r.repairs, r.repeats,
		r.proofs[event.ProofCount], r.proofs[event.ProofExport], r.proofs[event.ProofConnection], r.unsettled, r.rejected,
		o.Found, o.Missing, o.Twice, o.Extra, o.Off, r.raw, r.took.Seconds(), r.end.Seconds(), verdict)
}

// details lists the first problems of each kind.
func (r *report) details() string {
	var b strings.Builder
	for _, of := range []kind{running, verified, witnessed, planned, atReceiver, settled} {
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

// totals add up the reports of a mode.
type totals struct {
	mode                                 string
	trials, failed, kills, receiverKills int
	lost, seen, unlogged, chunks, wrong  int
	again, repairs, found, raw           int
	missing, twice, extra, off           int
	rejected                             uint64
}

func (t *totals) add(r *report) {
	t.trials++
	if !r.ok() {
		t.failed++
	}
	t.kills += r.kills
	t.receiverKills += r.receiverKills
	t.lost += r.lost
	t.seen += r.seen
	t.unlogged += len(r.problems[witnessed])
	t.chunks += r.chunks
	t.again += r.repeated
	t.wrong += len(r.problems[planned])
	t.repairs += r.repairs
	t.rejected += r.rejected
	o := &r.outcome
	t.found += o.Found
	t.missing += o.Missing
	t.twice += o.Twice
	t.extra += o.Extra
	t.off += o.Off
	t.raw += r.raw
}

// line sums all trials up.
func (t *totals) line() string {
	verdict := "ok"
	if t.failed > 0 {
		verdict = fmt.Sprintf("%d FAILED", t.failed)
	}
	return fmt.Sprintf("%s, total: %d seeds, %d kills, receiver %d kills, %d answers lost; %d appends witnessed, %d wrong; "+
		"%d chunks, %d again, %d wrong; %d repairs; %d samples: %d missing, %d twice, %d extra, %d off, %d rejected (raw twice %d): %s",
		t.mode, t.trials, t.kills, t.receiverKills, t.lost, t.seen, t.unlogged,
		t.chunks, t.again, t.wrong, t.repairs, t.found, t.missing, t.twice, t.extra, t.off, t.rejected, t.raw, verdict)
}
