package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"taffrail/internal/event"
)

// problems are what is not as it should be, a line each.
type problems []string

func (p *problems) unless(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Sprintf(format, args...))
	}
}

// checkLedger looks at what the log and the daemon say of all uploads together.
func checkLedger(e *evidence) []string {
	var p problems
	l := &e.log.ledger
	p.unless(l.Appended > 0 && uint64(e.samples.count()) == l.Appended, "the log counts %d samples and holds %d", l.Appended, e.samples.count())
	p.unless(l.Sent+l.Rejected == l.Appended && l.Dropped == 0, "%d samples are appended, %d acknowledged, %d rejected, %d dropped", l.Appended, l.Sent, l.Rejected, l.Dropped)
	p.unless(l.Doubt() == 0 && l.UnsettledSamples() == 0, "%d samples are in doubt, %d not settled", l.Doubt(), l.UnsettledSamples())
	lost := 0
	for _, n := range e.samples.reasons {
		lost += n
	}
	p.unless(uint64(lost) == l.Rejected, "the log counts %d samples as rejected, and its events name %d", l.Rejected, lost)
	p.unless(e.last.Rejected == l.Rejected, "health says that %d samples are rejected, the log %d", e.last.Rejected, l.Rejected)
	return p
}

// onlyReason says that all that was given up was for one reason, or that nothing
// was where that is "".
func (p *problems) onlyReason(e *evidence, reason string) {
	for _, other := range slices.Sorted(maps.Keys(e.samples.reasons)) {
		p.unless(other == reason, "%d samples are given up: %s", e.samples.reasons[other], other)
	}
	if reason != "" {
		p.unless(e.samples.reasons[reason] > 0, "nothing is given up: %s", reason)
	}
}

// onlySeries says that these series were given up, or samples of them, and no
// others; of each there is a reject that names it.
func (p *problems) onlySeries(e *evidence, reason string, given func(series string) bool) {
	named := e.log.named(reason)
	for _, series := range slices.Sorted(maps.Keys(e.samples.lost)) {
		p.unless(given(series), "%d samples of %s are given up", e.samples.lost[series], series)
		p.unless(named[series] > 0, "%s is given up and no reject names it", series)
	}
	for _, series := range slices.Sorted(maps.Keys(e.samples.kept)) {
		p.unless(!given(series), "%d samples of %s are not given up", e.samples.kept[series], series)
	}
}

// once says that a receiver that merges nothing was given nothing twice.
func (p *problems) once(e *evidence) {
	p.unless(e.scenario.dedup > 0 || e.twice == 0, "the receiver holds %d samples twice", e.twice)
}

func wasCut(e *evidence) []string {
	var p problems
	p.unless(e.sent.fates[fateCut] > 0, "no body was cut")
	p.unless(e.log.repairs > 0, "nothing was repaired")
	p.onlyReason(e, "")
	p.once(e)
	return p
}

func wasLate(e *evidence) []string {
	var p problems
	p.unless(e.sent.fates[fateLate] > 0, "no body was late")
	p.unless(e.scenario.dedup > 0 || e.log.doubts > 0, "no chunk was in doubt")
	p.onlyReason(e, "")
	p.once(e)
	return p
}

func wasMerged(e *evidence) []string {
	var p problems
	p.unless(e.outcome.Found < e.samples.points.Count(), "the receiver has merged nothing")
	p.unless(e.log.repairs == 0 && e.sent.again == 0, "%d repairs, %d requests were sent again", e.log.repairs, e.sent.again)
	p.onlyReason(e, "")
	return p
}

func (p *problems) onlyOld(e *evidence) {
	old := e.scenario.history.samples(kept)
	p.unless(int(e.log.ledger.Rejected) == old, "%d samples are given up, and %d are older than the receiver keeps", e.log.ledger.Rejected, old)
	p.unless(e.samples.points.Count() > 0, "nothing is left")
}

func wasTooOld(e *evidence) []string {
	var p problems
	p.onlyReason(e, event.ReasonTooOld)
	p.onlyOld(e)
	p.unless(e.log.repairs == 0, "%d repairs", e.log.repairs)
	return p
}

func wasDropped(e *evidence) []string {
	var p problems
	p.unless(e.reads["/flags"].Requests > 0, "nobody has asked what the receiver is")
	p.onlyReason(e, event.ReasonReceiverDropped)
	p.onlyOld(e)
	p.unless(e.log.repairs == settleRounds, "%d repairs, want two rounds", e.log.repairs)
	return p
}

func wasLimited(e *evidence) []string {
	var p problems
	p.onlyReason(e, event.ReasonReceiverDropped)
	p.onlySeries(e, event.ReasonReceiverDropped, func(series string) bool { return !strings.HasSuffix(series, "{}") })
	return p
}

// settleRounds is how often what a receiver drops is sent again.
const settleRounds = 2

func wasRefused(e *evidence) []string {
	var p problems
	p.unless(e.sent.fates[fateRefused] > 0, "nothing was refused")
	p.unless(e.sent.slowest <= uploadInterval, "the rest of a batch took %v to arrive, at most %v", e.sent.slowest, uploadInterval)
	p.onlyReason(e, event.ReasonRefused)
	p.onlySeries(e, event.ReasonRefused, func(series string) bool { return slices.Contains(poisoned(), series) })
	p.unless(e.log.repairs == 0, "%d repairs", e.log.repairs)
	rejects := make(map[string]int) // by the batch
	for _, r := range e.log.rejects {
		if r.Line == nil {
			p.unless(false, "a reject names no line")
			continue
		}
		rejects[r.Line.Batch]++
		p.unless(r.Line.Status == 400 && r.Line.Answer != "", "a reject says %d %q", r.Line.Status, r.Line.Answer)
	}
	for batch, n := range rejects {
		p.unless(n == 1 && e.sent.refused[batch], "%d rejects of batch %s, of which something was refused: %v", n, batch, e.sent.refused[batch])
	}
	p.unless(len(rejects) == len(e.sent.refused), "rejects of %d batches, something was refused of %d", len(rejects), len(e.sent.refused))
	return p
}
