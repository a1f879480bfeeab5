package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"taffrail/internal/event"
)

// shownProblems is how many problems are printed.
const shownProblems = 10

// report is what a trial came to.
type report struct {
	name      string
	took, end time.Duration // of all, and of the daemon that was to settle
	last      progress      // of that daemon
	evidence  evidence
	problems  []string
}

func (r *report) problem(lines ...string) { r.problems = append(r.problems, lines...) }

func (r *report) ok() bool { return len(r.problems) == 0 }

// line sums the trial up.
func (r *report) line() string {
	verdict := "ok"
	if !r.ok() {
		verdict = "FAILED"
	}
	e := &r.evidence
	o, l := &e.outcome, &e.log
	rest := ""
	if len(e.sent.refused) > 0 {
		rest = fmt.Sprintf("the rest of a batch arrived within %.1f s; ", e.sent.slowest.Seconds())
	}
	return fmt.Sprintf("%s: sent %d requests in %d batches, %d again, %d probes, %s; %s%d repairs, %d chunks in doubt; "+
		"settled %d by count, %d by export; rejected %d (%s); log %d samples, receiver %d of %d series: "+
		"%d missing, %d twice, %d extra, %d off (raw %d, twice %d); %.0f s, the end %.0f s: %s",
		r.name, e.sent.requests, len(l.plans), e.sent.again, e.sent.probes, counts(e.sent.fates), rest, l.repairs, l.doubts,
		l.proofs[event.ProofCount], l.proofs[event.ProofExport], l.ledger.Rejected, counts(e.samples.reasons),
		l.ledger.Appended, o.Found, o.Series, o.Missing, o.Twice, o.Extra, o.Off, e.found, e.twice,
		r.took.Seconds(), r.end.Seconds(), verdict)
}

// counts returns what there is how often, as text.
func counts(of map[string]int) string {
	if len(of) == 0 {
		return "none"
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%d %s", of[what], what))
	}
	return strings.Join(parts, ", ")
}

// details lists the first problems.
func (r *report) details() string {
	var b strings.Builder
	for _, line := range r.problems[:min(shownProblems, len(r.problems))] {
		fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(line, "\n", "\n    "))
	}
	if more := len(r.problems) - shownProblems; more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	return b.String()
}
