package event

import "slices"

// Ledger is what became of every record of the log: a fold over its events.
// Every segment's header carries it, so that the records which an old segment
// held are never needed to know what was sent.
//
// A record's samples are planned, acknowledged, settled; or in doubt and then
// settled; or given up.
type Ledger struct {
	// Acknowledged holds the records whose samples the receiver has answered
	// for, and GivenUp those that were rejected or dropped as a whole. Both
	// need no sending any more.
	Acknowledged RangeSet `msgpack:"acknowledged"`
	GivenUp      RangeSet `msgpack:"given_up,omitempty"`
	// Settled holds the records that are not needed any more.
	Settled RangeSet `msgpack:"settled,omitempty"`
	// Open is the batch that was planned last, while it is not complete.
	Open *OpenPlan `msgpack:"open,omitempty"`
	// Part is set while a record that exceeds a batch alone is sent in part.
	Part *Part `msgpack:"part,omitempty"`
	// Unsettled are the batches that were sent and not settled yet, in the
	// order in which they were sent.
	Unsettled []Unsettled `msgpack:"unsettled,omitempty"`
	// Names are the inside names of the metrics that were sent under the name
	// that they have on the wire; see package shipper.
	Names []string `msgpack:"names,omitempty"`
	// Appended counts the samples that could be sent since the log's beginning,
	// those whose time is not known yet left out; Sent counts those of them that
	// were acknowledged.
	Appended uint64 `msgpack:"appended"`
	Sent     uint64 `msgpack:"sent"`
	// Dropped counts the sendable samples that were deleted unsent, and Rejected
	// those that were given up and stay in the log.
	Dropped  uint64 `msgpack:"dropped"`
	Rejected uint64 `msgpack:"rejected,omitempty"`
	Times    Times  `msgpack:"times"`
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

// Part says that the lines before Line of a range of one record were sent.
type Part struct {
	Range Range `msgpack:"range"`
	Line  int   `msgpack:"line"`
	// Samples counts theirs that were not rejected, and Doubt those of them that
	// are in doubt; Except are the lines that were rejected.
	Samples int   `msgpack:"samples"`
	Doubt   int   `msgpack:"doubt,omitempty"`
	Except  []Gap `msgpack:"except,omitempty"`
}

// Unsettled is a batch that was sent: its chunks were acknowledged, or are in
// doubt.
type Unsettled struct {
	Batch string `msgpack:"batch"`
	// Plan is the record of its plan, 0 where the entry stands for several.
	Plan    uint64 `msgpack:"plan"`
	Range   Range  `msgpack:"range"`
	FirstMS int64  `msgpack:"first_ms"`
	LastMS  int64  `msgpack:"last_ms"`
	Samples int    `msgpack:"samples"` // those that were rejected left out
	// Doubt counts the samples that were not acknowledged, and Except are those
	// that were rejected.
	Doubt  int   `msgpack:"doubt,omitempty"`
	Except []Gap `msgpack:"except,omitempty"`
}

// maxUnsettled bounds the ledger. Beyond it the oldest batches that follow each
// other in the log become one entry.
const maxUnsettled = 256

// Cursor returns the index up to which nothing is to be sent any more.
func (l *Ledger) Cursor() uint64 {
	done := l.Acknowledged.Clone()
	for _, r := range l.GivenUp {
		done.Add(r)
	}
	return done.Prefix()
}

// SettledCursor returns the index up to which no record is needed any more.
func (l *Ledger) SettledCursor() uint64 { return l.Settled.Prefix() }

// Covered holds the records that are in no need of a plan: they are
// acknowledged, given up, or in doubt.
func (l *Ledger) Covered() RangeSet {
	covered := l.Acknowledged.Clone()
	for _, r := range l.GivenUp {
		covered.Add(r)
	}
	for i := range l.Unsettled {
		covered.Add(l.Unsettled[i].Range)
	}
	return covered
}

// Pending returns how many sendable samples are not acknowledged.
func (l *Ledger) Pending() uint64 {
	done := l.Done()
	return max(l.Appended, done) - done
}

// Done returns how many sendable samples need no sending any more.
func (l *Ledger) Done() uint64 { return l.Sent + l.Dropped + l.Rejected }

// Doubt returns how many samples were sent without an answer.
func (l *Ledger) Doubt() uint64 {
	n := uint64(0)
	for i := range l.Unsettled {
		n += uint64(l.Unsettled[i].Doubt)
	}
	return n
}

// UnsettledSamples returns how many samples were sent and are not settled yet.
func (l *Ledger) UnsettledSamples() uint64 {
	n := uint64(0)
	for i := range l.Unsettled {
		n += uint64(l.Unsettled[i].Samples)
	}
	return n
}

// Apply folds the event of a record into the ledger. Events are to be folded in
// the order of the log. An acknowledgement of a batch that is not open changes
// nothing.
//
// It adds to Acknowledged, GivenUp and Settled and never looks at them, and it
// changes what Open points to also where it closes the batch: whoever follows the
// events can empty the sets before each, and keep what was open.
func (l *Ledger) Apply(index uint64, ev Event) {
	l.Appended += uint64(l.Times.Apply(index, ev))
	l.seeAlive(ev)
	switch ev := ev.(type) {
	case *SegmentHeader:
		// It says what the records before it came to, also those that are
		// damaged or gone.
		*l = ev.Ledger.Clone()
	case *Plan:
		l.plan(index, ev)
	case *Ack:
		l.acknowledge(ev)
	case *Settle:
		for _, r := range ev.Ranges {
			l.settle(r)
		}
	case *Reject:
		l.reject(ev)
	case *Drop:
		l.Dropped += uint64(max(ev.Samples, 0))
		l.giveUp(ev.Range)
		l.forget(ev.Range)
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
	case *Tick, *Plan, *Ack, *Settle:
		l.Alive.LastMS = ev.At().WallMS
	}
}

func (l *Ledger) settle(r Range) {
	l.Unsettled = slices.DeleteFunc(slices.Clone(l.Unsettled), func(u Unsettled) bool {
		if !r.Holds(u.Range) {
			return false
		}
		l.Sent += uint64(u.Doubt)
		l.Acknowledged.Add(u.Range)
		l.Settled.Add(u.Range)
		return true
	})
}

func (l *Ledger) reject(ev *Reject) {
	switch {
	case ev.Reason == ReasonTimeUnknown: // never counted as appended
	case ev.Whole():
		l.Rejected += uint64(max(ev.Samples, 0))
		l.giveUp(ev.Range)
		if l.Part != nil && ev.Range.Overlaps(l.Part.Range) {
			// The rest of its lines cannot be read, nor what is in doubt.
			l.Rejected += uint64(l.Part.Doubt)
			l.Part = nil
		}
	case ev.Line != nil:
		l.rejectLine(ev)
	default:
		l.lose(ev.Range, ev.Samples, ev.Gaps)
	}
}

// lose takes samples of a batch that was sent out of what counts as sent. Of a
// batch that is settled or deleted there are none.
func (l *Ledger) lose(r Range, samples int, gaps []Gap) {
	i := l.unsettled(r)
	if i < 0 {
		return
	}
	samples = min(max(samples, 0), l.Unsettled[i].Samples)
	l.Rejected += uint64(samples)
	l.take(&l.Sent, samples-l.relieve(i, samples))
	u := &l.Unsettled[i]
	u.Samples -= samples
	u.Except = append(slices.Clip(u.Except), gaps...)
}

// relieve takes samples out of the doubt of an entry and returns how many of
// them were in it.
func (l *Ledger) relieve(i, samples int) int {
	if i < 0 {
		return 0
	}
	l.Unsettled = slices.Clone(l.Unsettled) // copies of the ledger share it
	u := &l.Unsettled[i]
	n := min(samples, u.Doubt)
	u.Doubt -= n
	return n
}

// take lowers a count, to zero at most.
func (l *Ledger) take(count *uint64, samples int) { *count -= min(*count, uint64(max(samples, 0))) }

// unsettled returns the place of the entry to which r belongs, or -1. The
// beginning of r can have been deleted since.
func (l *Ledger) unsettled(r Range) int {
	return slices.IndexFunc(l.Unsettled, func(u Unsettled) bool { return u.Range.Overlaps(r) })
}

func (l *Ledger) giveUp(r Range) {
	l.GivenUp.Add(r)
	l.Settled.Add(r)
}

// forget takes deleted records out of what was planned and sent. A drop counts
// all samples of records that were planned and are not sent; of a batch that was
// sent, what is in doubt is given up here, when the last of its records goes.
func (l *Ledger) forget(r Range) {
	l.Unsettled = slices.DeleteFunc(slices.Clone(l.Unsettled), func(u Unsettled) bool {
		if !r.Holds(u.Range) {
			return false
		}
		l.Dropped += uint64(u.Doubt)
		return true
	})
	for i := range l.Unsettled {
		if u := &l.Unsettled[i]; u.Range.Overlaps(r) && r.To < u.Range.To {
			u.Range.From, u.Plan = r.To+1, 0
		}
	}
	if p := l.Part; p != nil && r.Overlaps(p.Range) {
		l.take(&l.Sent, p.Samples-p.Doubt)
		l.take(&l.Rejected, len(p.Except)) // each a line of one record, so of one sample
		l.Part = nil
	}
	if l.Open != nil && r.Holds(l.Open.Plan.Range) {
		l.void()
	}
}

// sent adds a batch to those that are to be settled.
func (l *Ledger) sent(u Unsettled) {
	l.Unsettled = append(slices.Clone(l.Unsettled), u)
	for len(l.Unsettled) > maxUnsettled && l.join() {
	}
}

// join makes one of the first two entries whose records follow each other,
// wherever they stand: fresh batches and those of a backlog are sent by turns. It
// reports whether there are any.
func (l *Ledger) join() bool {
	for i := range l.Unsettled {
		for j := i + 1; j < len(l.Unsettled); j++ {
			a, b := &l.Unsettled[i], &l.Unsettled[j]
			if b.Range.To+1 == a.Range.From {
				a, b = b, a
			}
			if a.Range.To+1 != b.Range.From {
				continue
			}
			l.Unsettled[i] = Unsettled{
				Range:   Range{a.Range.From, b.Range.To},
				FirstMS: min(a.FirstMS, b.FirstMS),
				LastMS:  max(a.LastMS, b.LastMS),
				Samples: a.Samples + b.Samples,
				Doubt:   a.Doubt + b.Doubt,
				Except:  append(slices.Clip(a.Except), b.Except...),
			}
			l.Unsettled = slices.Delete(l.Unsettled, j, j+1)
			return true
		}
	}
	return false
}

// Clone returns a copy that shares nothing that Apply changes.
func (l *Ledger) Clone() Ledger {
	c := *l
	c.Acknowledged = l.Acknowledged.Clone()
	c.GivenUp = l.GivenUp.Clone()
	c.Settled = l.Settled.Clone()
	if l.Open != nil {
		open := l.Open.clone()
		c.Open = &open
	}
	return c
}
