package timekeeper

import (
	"fmt"
	"slices"
	"time"

	"taffrail/internal/event"
)

// maxNudge is how far, in milliseconds, a run of ticks is moved at most to keep
// its times from those of other ticks.
const maxNudge = 1000

// shift decides the ticks of this boot that wait, now that the clock is trusted.
// It returns nil where none do.
func (k *Keeper) shift(times *event.Times, tick *event.Tick) (*event.Decision, error) {
	held := k.heldOf(times)
	if held == nil {
		return nil, nil
	}
	return k.decide(times, held, event.VerdictShift, tick.WallMS-tick.BootMS)
}

// asIs decides that untrusted ticks are sent as they are: those that wait, and
// those that follow. It returns nil where that was decided before, or where it
// is too early. Ticks under an implausible clock wait on while the boot lasts:
// trust may still come, and they could not be sent anyway.
func (k *Keeper) asIs(times *event.Times, tick *event.Tick) (*event.Decision, error) {
	next := k.log.LastIndex() + 1
	if times.Find(next, k.opts.BootID) != nil {
		return nil, nil
	}
	if !plausible(times, tick.WallMS) {
		return nil, nil
	}
	offset := tick.WallMS - tick.BootMS
	held := k.heldOf(times)
	if held == nil {
		if k.opts.Hold > 0 {
			return nil, nil
		}
		return &event.Decision{BootID: k.opts.BootID, Range: event.Range{From: next}, Verdict: event.VerdictAsIs, OffsetMS: offset}, nil
	}
	if time.Duration(tick.BootMS-held.FirstMS)*time.Millisecond < k.opts.Hold {
		return nil, nil
	}
	d, err := k.decide(times, held, event.VerdictAsIs, offset)
	if d != nil {
		d.Range.To = 0 // and what follows
	}
	return d, err
}

// decideEnded decides the ticks of a boot that is over.
func (k *Keeper) decideEnded(held event.Held) error {
	times := k.log.Times()
	verdict := event.VerdictAsIs
	if !plausible(&times, held.FirstMS+held.OffsetMS) {
		verdict = event.VerdictUnknown
	}
	d, err := k.decide(&times, &held, verdict, held.OffsetMS)
	if err != nil {
		return err
	}
	stamp := event.Stamp{WallMS: held.LastMS + held.OffsetMS, BootMS: held.LastMS}
	if _, err := k.log.Append(&event.Clock{Stamp: stamp, BootID: held.BootID, Decision: d}); err != nil {
		return err
	}
	if verdict != event.VerdictUnknown {
		return nil
	}
	_, err = k.log.Append(&event.Reject{Stamp: stamp, Range: held.Range, Samples: held.Samples, Reason: event.ReasonTimeUnknown})
	return err
}

// plausible reports whether wall may be the time of something that happens after
// all that is in the log.
func plausible(times *event.Times, wall int64) bool {
	return wall >= event.PlausibleSinceMS && wall >= times.NewestTrustedMS
}

// heldOf returns the ticks of this boot that wait, or nil.
func (k *Keeper) heldOf(times *event.Times) *event.Held {
	for i := range times.Held {
		if times.Held[i].BootID == k.opts.BootID {
			return &times.Held[i]
		}
	}
	return nil
}

// decide returns the decision on a run of ticks, its offset changed by as little
// as keeps their times from those of other ticks.
func (k *Keeper) decide(times *event.Times, held *event.Held, verdict string, offset int64) (*event.Decision, error) {
	d := &event.Decision{BootID: held.BootID, Range: held.Range, Verdict: verdict, OffsetMS: offset, Samples: held.Samples}
	first, last := held.FirstMS+offset, held.LastMS+offset
	if verdict == event.VerdictUnknown {
		return d, nil
	}
	if d.LastMS = last; first > times.NewestMS {
		return d, nil
	}
	taken, err := k.log.Taken(first, last+maxNudge)
	if err != nil {
		return nil, fmt.Errorf("look up times: %w", err)
	}
	boots, err := k.log.BootTimes(held.Range)
	if err != nil {
		return nil, fmt.Errorf("look up boot times: %w", err)
	}
	for ; d.OffsetMS <= offset+maxNudge; d.OffsetMS, d.LastMS = d.OffsetMS+1, d.LastMS+1 {
		free := !slices.ContainsFunc(boots, func(boot int64) bool { return taken[boot+d.OffsetMS] })
		if free {
			return d, nil
		}
	}
	// A second without a free millisecond in every place: let a receiver merge
	// what meets, rather than lose all of it.
	d.OffsetMS, d.LastMS = offset, last
	return d, nil
}
