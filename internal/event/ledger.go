package event

import "slices"

// Ledger is what became of every record of the log: a fold over its events.
// Every segment's header carries it, so that the records which an old segment
// held are never needed to know what was sent.
type Ledger struct {
	// Acknowledged holds the records that need no sending any more.
	Acknowledged RangeSet `msgpack:"acknowledged"`
	// Open is the batch that was planned last, while it is not complete.
	Open *OpenPlan `msgpack:"open,omitempty"`
	// NextLine is not zero while lines before it, of the record after the
	// cursor, are acknowledged and those from it on are not.
	NextLine int `msgpack:"next_line,omitempty"`
	// Appended counts the samples that could be sent since the log's beginning,
	// those whose time is not known yet left out; Sent counts those of them that
	// were acknowledged.
	Appended uint64 `msgpack:"appended"`
	Sent     uint64 `msgpack:"sent"`
	// Dropped counts the sendable samples that were deleted unsent.
	Dropped uint64 `msgpack:"dropped"`
	Times   Times  `msgpack:"times"`
	// Alive is the session that was seen last.
	Alive Alive `msgpack:"alive"`
}

// Alive is a session and the last moment at which it was seen to work. Its
// SessionID is empty when the session has ended.
type Alive struct {
	SessionID string `msgpack:"session"`
	BootID    string `msgpack:"boot_id"`
	LastMS    int64  `msgpack:"last_ms"` // wall clock
}

// OpenPlan is a plan and which of its chunks are acknowledged.
type OpenPlan struct {
	Plan  Plan   `msgpack:"plan"`
	Acked []bool `msgpack:"acked"`
}

// Done reports whether every chunk is acknowledged.
func (o *OpenPlan) Done() bool { return !slices.Contains(o.Acked, false) }

// Cursor returns the index up to which everything is acknowledged.
func (l *Ledger) Cursor() uint64 { return l.Acknowledged.Prefix() }

// Pending returns how many sendable samples are not acknowledged.
func (l *Ledger) Pending() uint64 {
	done := l.Sent + l.Dropped
	return max(l.Appended, done) - done
}

// Apply folds the event of a record into the ledger. Events are to be folded in
// the order of the log. An acknowledgement of a batch that is not open changes
// nothing.
func (l *Ledger) Apply(index uint64, ev Event) {
	l.Appended += uint64(l.Times.Apply(index, ev))
	l.seeAlive(ev)
	switch ev := ev.(type) {
	case *SegmentHeader:
		// It says what the records before it came to, also those that are
		// damaged or gone.
		*l = ev.Ledger.Clone()
	case *Plan:
		// A plan that is made while another is open replaces it: the log no
		// longer renders to what was planned. What of it was acknowledged
		// is sent again.
		if l.Open != nil {
			for i, acked := range l.Open.Acked {
				if acked {
					l.Sent -= uint64(l.Open.Plan.Chunks[i].Samples)
				}
			}
		}
		l.Open = &OpenPlan{Plan: *ev, Acked: make([]bool, len(ev.Chunks))}
	case *Ack:
		l.acknowledge(ev)
	case *Drop:
		l.Dropped += uint64(ev.Samples)
		l.Acknowledged.Add(ev.Range)
	}
}

// seeAlive notes which session works.
func (l *Ledger) seeAlive(ev Event) {
	switch ev := ev.(type) {
	case *Session:
		if ev.Phase == SessionStart {
			l.Alive = Alive{SessionID: ev.ID, BootID: ev.BootID, LastMS: ev.WallMS}
		} else if ev.ID == l.Alive.SessionID {
			l.Alive = Alive{}
		}
	case *Tick, *Plan, *Ack:
		l.Alive.LastMS = ev.At().WallMS
	}
}

func (l *Ledger) acknowledge(ack *Ack) {
	open := l.Open
	if open == nil || open.Plan.Batch != ack.Batch {
		return
	}
	for _, c := range ack.Chunks {
		if c < 0 || c >= len(open.Acked) || open.Acked[c] {
			continue
		}
		open.Acked[c] = true
		l.Sent += uint64(open.Plan.Chunks[c].Samples)
	}
	if !open.Done() {
		return
	}
	l.Open = nil
	if plan := &open.Plan; plan.More {
		l.NextLine = plan.FirstLine
		for _, c := range plan.Chunks {
			l.NextLine += c.Lines
		}
	} else {
		l.NextLine = 0
		l.Acknowledged.Add(plan.Range)
	}
}

// Clone returns a copy that shares nothing that Apply changes.
func (l *Ledger) Clone() Ledger {
	c := *l
	c.Acknowledged = slices.Clone(l.Acknowledged)
	if l.Open != nil {
		open := *l.Open
		open.Acked = slices.Clone(l.Open.Acked)
		c.Open = &open
	}
	return c
}
