package shipper

import (
	"context"
	"math"

	"taffrail/internal/event"
)

// sieve is a source that leaves of another only what a Salvage sends: of the
// ticks that are chosen and have a time, the samples that are chosen and that a
// receiver takes.
type sieve struct {
	ctx    context.Context // whose end ends the reading
	source Source
	sv     *Salvage
	count  bool // what is left out
	chosen map[*event.Series]bool
	tick   event.Tick // what is left of the source's
}

// maxChosen bounds what is remembered of the series that were matched.
const maxChosen = 1 << 16

// Next returns the next tick of which something is left.
func (f *sieve) Next() (uint64, event.Event, error) {
	for {
		if f.ctx.Err() != nil {
			return 0, nil, context.Cause(f.ctx)
		}
		index, ev, err := f.source.Next()
		if err != nil {
			return 0, nil, err
		}
		f.sv.read++
		tick, ok := ev.(*event.Tick)
		if ok && f.sv.read%progressRecords == 0 {
			ms, _ := tick.EffectiveTime()
			f.sv.progress(Progress{Stage: Looking, AtMS: ms})
		}
		if admitted := f.sv.opts.Admits == nil || f.sv.opts.Admits(ev); ok && admitted && f.sift(tick) {
			return index, &f.tick, nil
		}
	}
}

// Close closes the source.
func (f *sieve) Close() error { return f.source.Close() }

// sift makes f.tick of what is to be sent of a tick, and reports whether there is
// any.
func (f *sieve) sift(tick *event.Tick) bool {
	samples := f.tick.Samples[:0]
	f.tick = *tick
	ms, timed := tick.EffectiveTime()
	untimely := ""
	switch {
	case !timed:
		untimely = event.ReasonTimeUnknown
	case ms < f.sv.oldest:
		untimely = event.ReasonTooOld
	case ms > f.sv.newest:
		untimely = event.ReasonFarFuture
	}
	for i := range tick.Samples {
		s := &tick.Samples[i]
		if !f.matches(s.Series) {
			continue
		}
		reason := unsendable(s)
		if reason == "" {
			reason = untimely
		}
		if reason == "" {
			samples = append(samples, *s)
		} else if f.count {
			f.sv.summary.NotSent[reason]++
		}
	}
	f.tick.Samples = samples
	return len(samples) > 0
}

func (f *sieve) matches(s *event.Series) bool {
	if f.sv.opts.Matches == nil {
		return true
	}
	chosen, known := f.chosen[s]
	if !known {
		if f.chosen == nil || len(f.chosen) >= maxChosen {
			f.chosen = make(map[*event.Series]bool)
		}
		chosen = f.sv.opts.Matches(s)
		f.chosen[s] = chosen
	}
	return chosen
}

// unsendable returns why no receiver takes a sample, whatever its time, or "".
func unsendable(s *event.Sample) string {
	switch {
	case s.Series.Type == event.Text:
		return ReasonText
	case math.IsNaN(s.Value):
		return ReasonNaN
	case math.IsInf(s.Value, 0):
		return ReasonInfinite
	}
	return ""
}
