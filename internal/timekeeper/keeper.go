// Package timekeeper stands between the collectors and the log and sees to it
// that every tick has the right time, or can be given it later.
//
// What it guarantees:
//
//   - A tick under a trusted clock has its time when it is appended, and that
//     never changes.
//   - A tick under a clock that nobody trusts waits. When trust comes in the same
//     boot, all that wait are shifted once, by boot time. When it does not come,
//     they are sent as they are if the wall clock is plausible, and else never.
//   - No two ticks of a log have the same time, so no series has two samples at
//     one time, whatever steps the clock made.
//   - All of it is in the log, as clock events; this package keeps nothing that
//     it could not take from there.
//
// It reads no clock: ticks bring their stamps. It assumes to be the only one who
// appends ticks to its log.
package timekeeper

import (
	"fmt"
	"sync"
	"time"

	"taffrail/internal/event"
)

// stepThreshold is the change of wall time against boot time from which on the
// clock was set and did not just drift, in milliseconds. NTP slews by at most
// 0.5 ms a second.
const stepThreshold = 50

// Log is what the timekeeper needs of the log.
type Log interface {
	Append(ev event.Event) (index uint64, err error)
	// Times returns what the log knows of the clock.
	Times() event.Times
	// LastIndex returns the index of the last record.
	LastIndex() uint64
	// Taken returns which milliseconds of [from, to] are the time of a tick,
	// and BootTimes the boot times of the untrusted ticks in a range. Both read
	// the log from disk; they are called after a clock was set back.
	Taken(from, to int64) (map[int64]bool, error)
	BootTimes(r event.Range) ([]int64, error)
}

// Options configure a Keeper.
type Options struct {
	BootID string
	// Hold is how long ticks with a plausible wall clock wait for trust before
	// they are sent as they are.
	Hold time.Duration
	// Source names what the trust of ticks rests on.
	Source string
}

// Keeper is a sink for ticks.
type Keeper struct {
	log  Log
	opts Options

	mu        sync.Mutex // guards what follows, and the order of appends
	last      event.Stamp
	known     bool           // last is that of a tick of this boot
	taken     map[int64]bool // times of ticks from takenFrom on; nil unless the clock is behind the newest
	takenFrom int64
}

// New returns a keeper for the log. Ticks of other boots that wait for their
// time are decided now: trust cannot come any more.
func New(log Log, opts Options) (*Keeper, error) {
	k := &Keeper{log: log, opts: opts}
	times := log.Times()
	if times.BootID == opts.BootID && times.BootMS > 0 {
		k.last, k.known = event.Stamp{WallMS: times.BootMS + times.OffsetMS, BootMS: times.BootMS}, true
	}
	for _, h := range times.Held {
		if h.BootID == opts.BootID {
			continue
		}
		if err := k.decideEnded(h); err != nil {
			return nil, fmt.Errorf("decide times: %w", err)
		}
	}
	return k, nil
}

// Append stores a tick under the time that it is to have, with a clock event
// before it where there is something to say. Other events are passed on. The
// tick's stamp may be moved by milliseconds.
func (k *Keeper) Append(ev event.Event) (uint64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	tick, ok := ev.(*event.Tick)
	if !ok {
		return k.log.Append(ev)
	}
	// A boot's ticks differ in boot time, so that a shift keeps them apart.
	if k.known && tick.BootMS <= k.last.BootMS {
		tick.BootMS = k.last.BootMS + 1
	}
	if err := k.observeLocked(tick); err != nil {
		return 0, err
	}
	if err := k.separateLocked(tick); err != nil {
		return 0, err
	}
	index, err := k.log.Append(tick)
	if err != nil {
		return 0, err
	}
	k.last, k.known = tick.Stamp, true
	return index, nil
}

// observeLocked appends a clock event where the tick shows that the clock was
// set, that it is trusted now, or that those who wait have waited long enough.
func (k *Keeper) observeLocked(tick *event.Tick) error {
	times := k.log.Times()
	var step int64
	if k.known {
		step = (tick.WallMS - tick.BootMS) - (k.last.WallMS - k.last.BootMS)
	}
	if step >= -stepThreshold && step <= stepThreshold {
		step = 0
	}
	wasTrusted := times.BootID == k.opts.BootID && times.Trusted
	if wasTrusted && step == 0 {
		// The kernel takes its word back after hours without a server. The
		// clock still shows what it showed, give or take its drift.
		tick.Trusted = true
	}
	c := &event.Clock{Stamp: tick.Stamp, BootID: k.opts.BootID, Trusted: tick.Trusted, StepMS: step}
	if tick.Trusted {
		c.Source = k.opts.Source
	}
	var err error
	if tick.Trusted && !wasTrusted {
		c.Decision, err = k.shift(&times, tick)
	} else if !tick.Trusted {
		c.Decision, err = k.asIs(&times, tick)
	}
	if err != nil || c.Decision == nil && step == 0 && tick.Trusted == wasTrusted {
		return err
	}
	_, err = k.log.Append(c)
	return err
}

// separateLocked moves a tick that has its time now to one that no other tick
// has. Only after the clock was set back is there anything to do.
func (k *Keeper) separateLocked(tick *event.Tick) error {
	times := k.log.Times()
	at, moves := tick.WallMS, &tick.WallMS
	if !tick.Trusted {
		d := times.Find(k.log.LastIndex()+1, k.opts.BootID)
		if d == nil || d.Verdict == event.VerdictUnknown {
			return nil // it waits, or has no time
		}
		at, moves = tick.BootMS+d.OffsetMS, &tick.BootMS
	}
	if at > times.NewestMS {
		k.taken = nil
		return nil
	}
	if k.taken == nil || at < k.takenFrom {
		taken, err := k.log.Taken(at, times.NewestMS)
		if err != nil {
			return fmt.Errorf("look up times: %w", err)
		}
		k.taken, k.takenFrom = taken, at
	}
	for k.taken[at] {
		at++
		*moves++
	}
	k.taken[at] = true
	return nil
}
