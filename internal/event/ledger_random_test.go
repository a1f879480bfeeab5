package event

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// chaos makes events that fit the ledger, nearly fit it, or are absurd.
type chaos struct {
	*rand.Rand
	l     Ledger
	index uint64
	// Of all that was applied: samples of plans that are no repairs, and what
	// rejects of whole ranges and drops said. Numbers below zero count as none.
	planned, given, dropped uint64
}

func (c *chaos) batch() string { return string(rune('a' + c.IntN(3))) }

// count returns a number of samples, now and then an absurd one.
func (c *chaos) count() int {
	switch c.IntN(30) {
	case 0:
		return -c.IntN(50)
	case 1:
		return 1 << 40
	}
	return c.IntN(30)
}

func (c *chaos) rng() Range {
	switch c.IntN(30) {
	case 0:
		return Range{9, 3}
	case 1:
		return Range{0, ^uint64(0)}
	}
	if n := len(c.l.Unsettled); n > 0 && c.IntN(2) == 0 {
		return c.l.Unsettled[c.IntN(n)].Range
	}
	from := 1 + uint64(c.IntN(300))
	return Range{from, from + uint64(c.IntN(20))}
}

// position returns a place among n, or beside them.
func (c *chaos) position(n int) int { return c.IntN(n+2) - 1 }

func (c *chaos) gaps() (gaps []Gap) {
	for range 1 + c.IntN(2) {
		g := Gap{FromMS: c.Int64N(50), ToMS: c.Int64N(50)}
		if c.IntN(2) == 0 {
			g.Series = []string{"s"}
		}
		gaps = append(gaps, g)
	}
	return gaps
}

func (c *chaos) plan() *Plan {
	p := &Plan{Batch: c.batch(), Range: c.rng(), FirstMS: c.Int64N(50), LastMS: c.Int64N(50)}
	for range c.IntN(4) {
		p.Chunks = append(p.Chunks, Chunk{Lines: c.IntN(6), Samples: c.count()})
	}
	switch c.IntN(6) {
	case 0:
		p.More = true
	case 1:
		p.Gaps = c.gaps()
	}
	if part := c.l.Part; part != nil && c.IntN(2) == 0 {
		p.Range, p.FirstLine = part.Range, part.Line
	}
	return p
}

func (c *chaos) event() Event {
	chunks, batch := 3, c.batch()
	if c.l.Open != nil {
		chunks = len(c.l.Open.Chunks)
		if c.IntN(8) > 0 {
			batch = c.l.Open.Plan.Batch
		}
	}
	switch x := c.IntN(100); {
	case x < 20:
		return c.plan()
	case x < 50:
		ack := &Ack{Batch: batch, Samples: c.count()}
		for range c.IntN(3) {
			ack.Chunks = append(ack.Chunks, c.position(chunks))
		}
		for range c.IntN(3) {
			from := c.position(5)
			ack.Lines = append(ack.Lines, Lines{Chunk: c.position(chunks), From: from, To: from + c.IntN(4) - 1, Samples: c.count()})
		}
		for range c.IntN(2) {
			ack.Doubt = append(ack.Doubt, c.position(chunks))
		}
		return ack
	case x < 60:
		return refusedOf(batch, c.position(chunks), c.position(5), c.count())
	case x < 72:
		s := &Settle{Samples: c.count()}
		for range c.IntN(3) {
			s.Ranges = append(s.Ranges, c.rng())
		}
		return s
	case x < 80:
		return &Reject{Range: c.rng(), Samples: c.count(), Reason: ReasonReceiverDropped, Gaps: c.gaps()}
	case x < 85:
		return wholeOf(c.rng().From, c.rng().To, c.count(), ReasonTooOld)
	case x < 87:
		return wholeOf(1, 9, c.count(), ReasonTimeUnknown)
	case x < 92:
		return dropOf(c.rng().From, c.rng().To, c.count())
	case x < 95:
		header := &SegmentHeader{Ledger: c.l.Clone()}
		return header
	}
	return tickOf(PlausibleSinceMS+int64(c.index), c.IntN(30))
}

// apply folds an event and keeps count of what it can have added at most.
func (c *chaos) apply(ev Event) {
	c.index++
	n := func(samples int) uint64 { return uint64(max(samples, 0)) }
	switch ev := ev.(type) {
	case *Plan:
		for _, chunk := range ev.Chunks {
			if !ev.Repair() {
				c.planned += n(chunk.Samples)
			}
		}
	case *Reject:
		if ev.Whole() && ev.Reason != ReasonTimeUnknown {
			c.given += n(ev.Samples)
		}
	case *Drop:
		c.dropped += n(ev.Samples)
	}
	c.l.Apply(c.index, ev)
}

// Whatever the log says, valid or absurd: nothing panics, the sets stay sorted,
// copies share nothing, and no sample counts that was in no plan, reject or drop.
func TestLedgerOfRandomEvents(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var settled, doubts, parts, repairs int
	for range 100 {
		c := &chaos{Rand: r}
		for range 150 {
			ev := c.event()
			before := c.l.Clone()
			was := copyOf(t, &before)
			c.apply(ev)
			if !reflect.DeepEqual(copyOf(t, &before), was) {
				t.Fatalf("%T changed a clone:\n%+v\n%+v", ev, was, before)
			}
			sound(t, c, ev)
			settled, doubts = settled+int(c.l.Settled.Len()), doubts+int(c.l.Doubt())
			if c.l.Part != nil {
				parts++
			}
			if c.l.Open != nil && c.l.Open.Plan.Repair() && len(c.l.Open.Chunks) > 0 && c.l.Open.Chunks[0].Acked > 0 {
				repairs++
			}
		}
	}
	if settled == 0 || doubts == 0 || parts == 0 || repairs == 0 {
		t.Fatalf("%d settled, %d doubts, %d parts, %d repairs", settled, doubts, parts, repairs)
	}
}

// sound fails where a ledger is in a state that it must never be in.
func sound(t *testing.T, c *chaos, ev Event) {
	t.Helper()
	l := &c.l
	bad := func(what string) { t.Helper(); t.Fatalf("after %+v: %s: %+v", ev, what, l) }
	for name, set := range map[string]RangeSet{"acknowledged": l.Acknowledged, "given up": l.GivenUp, "settled": l.Settled} {
		checkSet(t, name, set)
	}
	done := l.Acknowledged.Clone()
	for _, r := range l.GivenUp {
		done.Add(r)
	}
	for _, r := range l.Settled {
		if _, missing := done.Missing(r.From, r.To); missing {
			bad("settled is what was neither acknowledged nor given up")
		}
	}
	waiting := l.Doubt()
	for _, u := range l.Unsettled {
		if u.Doubt < 0 || u.Doubt > u.Samples {
			bad("a batch has more in doubt than it has")
		}
	}
	if p := l.Part; p != nil {
		if p.Doubt < 0 || p.Doubt > p.Samples {
			bad("a part has more in doubt than it has")
		}
		waiting += uint64(p.Doubt)
	}
	if o := l.Open; o != nil {
		if o.Complete() && len(o.Chunks) > 0 && !fresh(o) {
			bad("a batch is complete and open")
		}
		for i, chunk := range o.Chunks {
			if chunk.Acked < 0 || chunk.Rejected < 0 || chunk.Acked+chunk.Rejected > max(0, o.Plan.Chunks[i].Samples) {
				bad("a chunk counts more than it has")
			}
			if chunk.Lines.Len() > uint64(o.Plan.Chunks[i].Lines) {
				bad("a chunk has more lines than were planned")
			}
			checkSet(t, "lines", chunk.Lines)
		}
	}
	if got, most := l.Sent+l.Rejected+l.Dropped+waiting, c.planned+c.given+c.dropped; got > most {
		bad("more counts than was planned, given up or dropped")
	}
	if l.Pending() > l.Appended {
		bad("more is pending than there is")
	}
}

// fresh reports whether nothing became of a batch yet. One without a line is
// complete from the beginning; the next event of it closes it.
func fresh(o *OpenPlan) bool {
	for i := range o.Chunks {
		if c := &o.Chunks[i]; c.Acked > 0 || c.Rejected > 0 || c.Doubt || len(c.Lines) > 0 {
			return false
		}
	}
	return true
}

func checkSet(t *testing.T, name string, set RangeSet) {
	t.Helper()
	for i, r := range set {
		if r.To < r.From || i > 0 && r.From <= set[i-1].To+1 {
			t.Fatalf("%s %v is not in its shortest form", name, set)
		}
	}
}

// A ledger that goes on from a header is the one that wrote it.
func TestLedgerGoesOnFromAHeader(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		c := &chaos{Rand: r}
		var restored Ledger
		from := r.IntN(80)
		for i := range 120 {
			if i == from {
				own := copyOf(t, &c.l) // as it comes back from a file
				restored.Apply(c.index, &SegmentHeader{Ledger: own})
			}
			ev := c.event()
			c.apply(ev)
			if i >= from {
				restored.Apply(c.index, ev)
			}
		}
		if want, got := copyOf(t, &c.l), copyOf(t, &restored); !reflect.DeepEqual(want, got) {
			t.Fatalf("from event %d on\n%+v\nwant\n%+v", from, got, want)
		}
	}
}
