package event

import "slices"

// Times is what the log knows of the clock: which ticks wait for their time, and
// which times were decided. It is a fold over the log's events, and part of the
// ledger.
type Times struct {
	// BootID and OffsetMS, wall time less boot time, are those of the last tick
	// or clock event; Trusted says whether its wall clock was.
	BootID   string `msgpack:"boot_id"`
	OffsetMS int64  `msgpack:"offset_ms"`
	Trusted  bool   `msgpack:"trusted"`
	// BootMS is the boot time of the last tick.
	BootMS int64 `msgpack:"boot_ms"`
	// NewestMS is the latest time that a tick has so far, and NewestTrustedMS
	// the latest that was trusted; 0 before the first.
	NewestMS        int64 `msgpack:"newest_ms"`
	NewestTrustedMS int64 `msgpack:"newest_trusted_ms"`
	// DisorderMS is the latest time up to which the order of times is not that
	// of records, since a clock was set back: a stretch of time behind it holds
	// records that follow each other, and no others.
	DisorderMS int64 `msgpack:"disorder_ms,omitempty"`
	// Held are the ticks without a time, one entry a boot.
	Held []Held `msgpack:"held"`
	// Decisions are those on ticks that may still be in the log, in order.
	Decisions []Decision `msgpack:"decisions"`
}

// Held is a run of untrusted ticks of one boot that wait for a decision.
type Held struct {
	BootID   string `msgpack:"boot_id"`
	Range    Range  `msgpack:"range"`
	Samples  int    `msgpack:"samples"`   // sendable ones
	FirstMS  int64  `msgpack:"first_ms"`  // boot time of the first tick
	LastMS   int64  `msgpack:"last_ms"`   // and of the last
	OffsetMS int64  `msgpack:"offset_ms"` // wall time less boot time at the last
}

// Apply folds the event of a record. It returns how many samples that can be sent
// have a time since it. Events are to be folded in the order of the log.
func (t *Times) Apply(index uint64, ev Event) (timed int) {
	switch ev := ev.(type) {
	case *Tick:
		return t.tick(index, ev)
	case *Clock:
		if ev.BootID != t.BootID || ev.Trusted || ev.StepMS != 0 {
			t.closeOpen(index - 1)
		}
		t.BootID, t.OffsetMS, t.Trusted = ev.BootID, ev.WallMS-ev.BootMS, ev.Trusted
		if d := ev.Decision; d != nil {
			t.decide(d)
			if d.Verdict != VerdictUnknown {
				return d.Samples
			}
		}
	}
	return 0
}

func (t *Times) tick(index uint64, tick *Tick) (timed int) {
	boot := t.BootID
	if tick.Context != nil {
		boot = tick.Context.BootID
	}
	if boot != t.BootID {
		t.closeOpen(index - 1)
	}
	t.BootID, t.BootMS = boot, tick.BootMS
	t.OffsetMS, t.Trusted = tick.WallMS-tick.BootMS, tick.Trusted
	known := *tick
	if !tick.Trusted {
		if known.Decision = t.Find(index, boot); known.Decision == nil {
			t.hold(index, boot, tick)
			return 0
		}
	}
	ms, ok := known.EffectiveTime()
	if !ok {
		return 0
	}
	t.takes(ms, ms)
	if tick.Trusted {
		t.NewestTrustedMS = max(t.NewestTrustedMS, ms)
	}
	return tick.sendable()
}

func (t *Times) hold(index uint64, boot string, tick *Tick) {
	// Copies of Times share the slice.
	t.Held = slices.Clone(t.Held)
	n := len(t.Held)
	if n == 0 || t.Held[n-1].BootID != boot {
		t.Held = append(t.Held, Held{BootID: boot, Range: Range{From: index}, FirstMS: tick.BootMS})
		n++
	}
	h := &t.Held[n-1]
	h.Range.To, h.LastMS, h.OffsetMS = index, tick.BootMS, tick.WallMS-tick.BootMS
	h.Samples += tick.sendable()
}

// decide takes what the decision covers out of the held.
func (t *Times) decide(d *Decision) {
	if d.Range.To == 0 {
		t.closeOpen(d.Range.From - 1)
	}
	t.Decisions = append(slices.Clone(t.Decisions), *d)
	t.Held = slices.DeleteFunc(slices.Clone(t.Held), func(h Held) bool {
		decided := h.BootID == d.BootID && h.Range.From >= d.Range.From
		if decided && d.Verdict != VerdictUnknown {
			t.takes(h.FirstMS+d.OffsetMS, h.LastMS+d.OffsetMS)
		}
		return decided
	})
	if d.Verdict != VerdictUnknown {
		t.NewestMS = max(t.NewestMS, d.LastMS)
	}
}

// takes notes that ticks have times from first to last.
func (t *Times) takes(first, last int64) {
	if first <= t.NewestMS {
		t.DisorderMS = t.NewestMS
	}
	t.NewestMS = max(t.NewestMS, last)
}

// closeOpen ends an open decision with the record at last: the boot is over,
// the clock was set or is trusted from here on, or another decision follows.
func (t *Times) closeOpen(last uint64) {
	if n := len(t.Decisions); n > 0 && t.Decisions[n-1].Range.To == 0 {
		t.Decisions = slices.Clone(t.Decisions)
		t.Decisions[n-1].Range.To = last
	}
}

// Find returns the decision on the untrusted tick with an index of a boot, or
// nil while there is none.
func (t *Times) Find(index uint64, boot string) *Decision {
	for i := range t.Decisions {
		d := &t.Decisions[i]
		if d.BootID == boot && d.Range.From <= index && (index <= d.Range.To || d.Range.To == 0) {
			return d
		}
	}
	return nil
}

// Forget drops decisions on records before first. Open ones stay.
func (t *Times) Forget(first uint64) {
	n := 0
	for n < len(t.Decisions) && t.Decisions[n].Range.To != 0 && t.Decisions[n].Range.To < first {
		n++
	}
	if n > 0 {
		t.Decisions = slices.Clone(t.Decisions[n:])
	}
}
