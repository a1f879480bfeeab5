package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"taffrail/internal/event"
	eventlog "taffrail/log"
)

// contents are what a log says of its uploads.
type contents struct {
	ledger  event.Ledger
	plans   map[string]*event.Plan
	repairs int            // plans of samples that the receiver lacked
	doubts  int            // chunks that were sent without an answer
	proofs  map[string]int // samples that were settled, by the proof
	rejects []*event.Reject
}

// readContents reads the log of a state directory. Damage is left out: logtool
// verify tells of it.
func readContents(stateDir string) (contents, error) {
	r, err := eventlog.OpenReader(stateDir)
	if err != nil {
		return contents{}, err
	}
	defer r.Close()
	return foldContents(r.Next)
}

// foldContents reads all events that next gives, to io.EOF.
func foldContents(next func() (event.Record, error)) (contents, error) {
	c := contents{plans: make(map[string]*event.Plan), proofs: make(map[string]int)}
	for {
		rec, err := next()
		switch {
		case err == io.EOF:
			return c, nil
		case errors.Is(err, eventlog.ErrCorrupt):
			continue
		case err != nil:
			return c, fmt.Errorf("read log: %w", err)
		}
		c.ledger.Apply(rec.Index, rec.Event)
		switch ev := rec.Event.(type) {
		case *event.Plan:
			// The id follows from the bytes, so that a repair of a whole batch has
			// the id of the batch.
			if c.plans[ev.Batch] == nil {
				c.plans[ev.Batch] = ev
			}
			if ev.Repair() {
				c.repairs++
			}
		case *event.Ack:
			c.doubts += len(ev.Doubt)
		case *event.Settle:
			c.proofs[ev.Proof] += ev.Samples
		case *event.Reject:
			if ev.Samples > 0 {
				c.rejects = append(c.rejects, ev)
			}
		}
	}
}

// gaveUp returns the reject that gives up a sample, or nil. series is the name and
// the labels.
func (c *contents) gaveUp(index uint64, ms int64, series string) *event.Reject {
	for _, r := range c.rejects {
		if index < r.Range.From || index > r.Range.To {
			continue
		}
		if r.Whole() {
			return r
		}
		gaps := r.Gaps
		if r.Line != nil {
			gaps = lineGaps(c.plans[r.Line.Batch], r.Line)
		}
		if slices.ContainsFunc(gaps, func(g event.Gap) bool {
			return g.FromMS <= ms && ms <= g.ToMS && (len(g.Series) == 0 || slices.ContainsFunc(g.Series, func(key string) bool {
				return event.KeyText(key) == series
			}))
		}) {
			return r
		}
	}
	return nil
}

func lineGaps(plan *event.Plan, line *event.RejectedLine) []event.Gap {
	if plan == nil {
		return nil
	}
	return plan.LineGaps(line)
}

// named returns the series, as name and labels, that rejects name for a reason,
// and how often each.
func (c *contents) named(reason string) map[string]int {
	names := make(map[string]int)
	for _, r := range c.rejects {
		if r.Reason != reason {
			continue
		}
		if r.Line != nil {
			names[event.KeyText(r.Line.Series)]++
		}
		for _, g := range r.Gaps {
			for _, key := range g.Series {
				names[event.KeyText(key)]++
			}
		}
	}
	return names
}
