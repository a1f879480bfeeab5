package projections

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"taffrail/internal/event"
)

// courier plays shipper and receiver in a story. What may be done, the log's
// ledger says; what became of every single sample, the courier knows by itself,
// in the plainest way, for others to be compared with.
type courier struct {
	*story
	open   *shipment   // the batch that is being sent
	part   []*sample   // of the record that was sent in part
	sent   []*shipment // that are not settled
	fates  map[sampleID]*sample
	marked map[uint64]int64 // upload state of ticks
	// blurred: since batches were mixed, the ledger has some counted under
	// another name.
	blurred bool
}

type sampleID struct {
	idx uint64
	key string
}

type sample struct {
	sampleID
	ms   int64
	fate fate
}

type fate int

const (
	unsent fate = iota
	took
	doubtful
	refused
	deleted
)

// shipment is a batch with the samples of its lines.
type shipment struct {
	plan  *event.Plan
	lines [][][]*sample // by chunk
	done  []map[int]bool
	doubt []bool
	// rng is what of a batch that was sent is in the log, and all are its samples.
	rng event.Range
	all []*sample
	// mixed: samples that were acknowledged were sent again, or given up, beside
	// others in doubt. The ledger knows numbers and not which are which.
	mixed bool
}

func newCourier(s *story) *courier {
	return &courier{story: s, fates: map[sampleID]*sample{}, marked: map[uint64]int64{}}
}

// work does what a shipper does next.
func (c *courier) work() {
	switch x := c.r.IntN(10); {
	case x < 2 && len(c.ledger.Unsettled) > 0:
		c.look()
	case c.open == nil || x == 2:
		c.plan()
	default:
		c.deliver()
	}
}

// in returns the samples of a range that can be sent, in order of the log.
func (c *courier) in(r event.Range) (all []*sample) {
	for idx := r.From; idx <= r.To && idx <= c.l.last(); idx++ {
		rec := c.l.records[idx-1]
		tick, ok := rec.Event.(*event.Tick)
		if !ok {
			continue
		}
		time := finalTime(c.l.records, idx, tick)
		for i := range tick.Samples {
			if s := &tick.Samples[i]; time.ok && s.Sendable() {
				id := sampleID{idx, s.Series.Key()}
				if c.fates[id] == nil {
					c.fates[id] = &sample{sampleID: id, ms: time.ms}
				}
				all = append(all, c.fates[id])
			}
		}
	}
	return all
}

// render makes of samples to lines of at most so many of one series.
func render(all []*sample, limit int) (lines [][]*sample) {
	series := map[string][]*sample{}
	for _, s := range all {
		series[s.key] = append(series[s.key], s)
	}
	for _, key := range slices.Sorted(maps.Keys(series)) {
		slices.SortFunc(series[key], func(a, b *sample) int { return cmp.Compare(a.ms, b.ms) })
		lines = slices.AppendSeq(lines, slices.Chunk(series[key], limit))
	}
	slices.SortStableFunc(lines, func(a, b []*sample) int { return cmp.Compare(a[0].ms, b[0].ms) })
	return lines
}

// plan makes a batch of what is next, or gives it up, whatever is open.
func (c *courier) plan() {
	last := c.l.last()
	if c.held > 0 {
		last = c.held - 1
	}
	var r event.Range
	first := 0
	if p := c.ledger.Part; p != nil {
		r, first = p.Range, p.Line
	} else {
		from := uint64(1)
		if c.r.IntN(3) == 0 { // the latest first
			from += last * 3 / 4
		}
		covered := c.ledger.Covered()
		missing, ok := covered.Missing(from, last)
		if !ok {
			missing, ok = covered.Missing(1, last)
		}
		if !ok {
			return
		}
		r = event.Range{From: missing.From, To: min(missing.To, missing.From+uint64(c.r.IntN(12)))}
	}
	c.planRange(r, first)
}

func (c *courier) planRange(r event.Range, first int) {
	all := c.in(r)
	if first == 0 && (len(all) == 0 || c.open == nil && c.r.IntN(12) == 0) {
		reason := event.ReasonEmpty
		if len(all) > 0 {
			reason = []string{event.ReasonTooOld, event.ReasonFarFuture}[c.r.IntN(2)]
		}
		c.add(&event.Reject{Stamp: c.stamp(), Range: r, Samples: len(all), Reason: reason})
		c.mark(r, uploadRejected)
		setFate(all, refused)
		return
	}
	lines := render(all, 1+c.r.IntN(3))[first:]
	p := &event.Plan{Range: r, FirstLine: first}
	if one := all[0].idx == all[len(all)-1].idx; one && len(lines) > 1 && c.r.IntN(3) > 0 {
		lines, p.More = lines[:1+c.r.IntN(len(lines)-1)], true
	}
	c.begin(p, lines)
}

// begin puts a plan into the log. One that is open is void.
func (c *courier) begin(p *event.Plan, lines [][]*sample) {
	c.void()
	p.Stamp, p.DeviceID = c.stamp(), "buoy-7"
	p.Batch = fmt.Sprintf("batch-%d", c.l.last())
	b := &shipment{plan: p}
	for len(lines) > 0 {
		n := 1 + c.r.IntN(len(lines))
		samples := slices.Concat(lines[:n]...)
		p.Chunks = append(p.Chunks, event.Chunk{Lines: n, Samples: len(samples), Bytes: 100, SHA256: bytes.Repeat([]byte{byte(c.r.IntN(256))}, 32)})
		b.lines, b.all = append(b.lines, lines[:n]), append(b.all, samples...)
		b.done, b.doubt = append(b.done, map[int]bool{}), append(b.doubt, false)
		lines = lines[n:]
	}
	p.FirstMS, p.LastMS = b.all[0].ms, b.all[0].ms
	for _, s := range b.all {
		p.FirstMS, p.LastMS = min(p.FirstMS, s.ms), max(p.LastMS, s.ms)
	}
	c.add(p)
	c.open = b
}

// void forgets what was taken of the open batch, unless it repeats others.
func (c *courier) void() {
	if c.open != nil && !c.open.plan.Repair() {
		setFate(c.open.all, unsent)
	}
	c.open = nil
}

// portion are lines of a chunk.
type portion struct{ chunk, from, to int }

// deliver sends chunks of the open batch. What was refused comes into the log
// first, for the rest may complete the batch.
func (c *courier) deliver() {
	b := c.open
	var taken, refused []portion
	var doubts []int
	for i, lines := range b.lines {
		for from := 0; from < len(lines) && !b.doubt[i]; from++ {
			if b.done[i][from] {
				continue
			}
			to := from
			for to+1 < len(lines) && !b.done[i][to+1] {
				to++
			}
			x := c.r.IntN(12)
			switch {
			case x == 0: // not sent
			case x == 1:
				doubts = append(doubts, i)
			case x == 2 && to > from:
				taken = append(taken, portion{i, from, from + c.r.IntN(to-from)})
			case x < 6:
				refused = append(refused, portion{i, to, to})
				if to > from {
					taken = append(taken, portion{i, from, to - 1})
				}
			default:
				taken = append(taken, portion{i, from, to})
			}
			if from = to; x == 1 {
				break
			}
		}
	}
	for _, p := range refused {
		c.refuse(p.chunk, p.from)
	}
	if len(taken)+len(doubts) > 0 {
		c.acknowledge(taken, doubts)
	}
}

func (c *courier) acknowledge(taken []portion, doubts []int) {
	b := c.open
	ack := &event.Ack{Stamp: c.stamp(), Batch: b.plan.Batch, Doubt: doubts}
	for _, p := range taken {
		n := 0
		for line := p.from; line <= p.to; line++ {
			b.done[p.chunk][line] = true
			n += len(b.lines[p.chunk][line])
			for _, s := range b.lines[p.chunk][line] {
				if s.fate != refused {
					s.fate = took
				}
			}
		}
		ack.Samples += n
		if p.from == 0 && p.to == len(b.lines[p.chunk])-1 {
			ack.Chunks = append(ack.Chunks, p.chunk)
		} else {
			ack.Lines = append(ack.Lines, event.Lines{Chunk: p.chunk, From: p.from, To: p.to, Samples: n})
		}
	}
	for _, i := range doubts {
		b.doubt[i] = true
		for _, s := range slices.Concat(b.lines[i]...) {
			if s.fate == unsent {
				s.fate = doubtful
			}
		}
	}
	c.add(ack)
	c.complete()
}

// refuse gives up a line.
func (c *courier) refuse(chunk, line int) {
	b := c.open
	samples := b.lines[chunk][line]
	b.done[chunk][line] = true
	c.mix(b.plan.Range, samples)
	c.add(&event.Reject{Stamp: c.stamp(), Range: b.plan.Range, Samples: len(samples), Reason: event.ReasonRefused, Line: &event.RejectedLine{
		Batch: b.plan.Batch, Chunk: chunk, Line: line, Series: samples[0].key,
		FirstMS: samples[0].ms, LastMS: samples[len(samples)-1].ms, Status: 400, Answer: "no"}})
	// What was settled in the meantime stays so.
	if !b.plan.Repair() || slices.ContainsFunc(c.sent, func(of *shipment) bool { return of.rng.Overlaps(b.plan.Range) }) {
		setFate(samples, refused)
	}
	c.complete()
}

// complete closes the open batch when nothing of it is to be sent.
func (c *courier) complete() {
	b := c.open
	done := true
	for i := range b.lines {
		done = done && (b.doubt[i] || len(b.done[i]) == len(b.lines[i]))
	}
	if done != (c.ledger.Open == nil) {
		c.t.Fatalf("the batch is done: %t, and the ledger has %+v", done, c.ledger.Open)
	}
	if !done {
		return
	}
	c.open = nil
	switch {
	case b.plan.Repair():
	case b.plan.More:
		c.part = append(c.part, b.all...)
	default:
		b.all = append(b.all, c.part...)
		b.rng, c.part = b.plan.Range, nil
		c.sent = append(c.sent, b)
		if !slices.ContainsFunc(b.all, func(s *sample) bool { return s.fate == doubtful }) {
			c.mark(b.rng, uploadAcked)
		}
	}
}

// look looks at the receiver for a batch: it is there, or samples are missing.
func (c *courier) look() {
	e := c.ledger.Unsettled[c.r.IntN(len(c.ledger.Unsettled))]
	var missing []*sample
	for _, s := range c.in(e.Range) {
		if s.fate == took && e.Doubt == 0 || s.fate == doubtful || s.fate == took && c.r.IntN(20) == 0 {
			missing = append(missing, s)
		}
	}
	x := c.r.IntN(4)
	repairing := c.open != nil && c.open.plan.Range.Overlaps(e.Range)
	if x < 2 || len(missing) == 0 || x == 2 && c.open != nil || x == 3 && repairing {
		settle := &event.Settle{Stamp: c.stamp(), Proof: event.ProofExport}
		for _, other := range c.ledger.Unsettled {
			if other.Range == e.Range || c.r.IntN(3) == 0 {
				settle.Ranges = append(settle.Ranges, other.Range)
				settle.Samples += other.Samples
			}
		}
		c.settle(settle)
		return
	}
	var gaps []event.Gap
	if c.r.IntN(2) == 0 { // some of one series
		key := missing[c.r.IntN(len(missing))].key
		missing = slices.DeleteFunc(missing, func(s *sample) bool { return s.key != key || c.r.IntN(3) == 0 })
		for _, s := range missing {
			gaps = append(gaps, event.Gap{FromMS: s.ms, ToMS: s.ms, Series: []string{s.key}})
		}
	} else { // all that a record has left
		idx := missing[c.r.IntN(len(missing))].idx
		missing = slices.DeleteFunc(c.in(event.Range{From: idx, To: idx}), func(s *sample) bool { return s.fate == refused })
		gaps = []event.Gap{{FromMS: missing[0].ms, ToMS: missing[0].ms}}
	}
	if len(missing) == 0 {
		return
	}
	if x == 2 {
		c.begin(&event.Plan{Range: e.Range, Gaps: gaps}, render(missing, 2))
		c.mix(e.Range, missing)
		return
	}
	c.mix(e.Range, missing)
	c.add(&event.Reject{Stamp: c.stamp(), Range: e.Range, Samples: len(missing), Reason: event.ReasonReceiverDropped, Gaps: gaps})
	setFate(missing, refused)
}

func (c *courier) settle(settle *event.Settle) {
	held := func(r event.Range) bool {
		return slices.ContainsFunc(settle.Ranges, func(s event.Range) bool { return s.Holds(r) })
	}
	for _, e := range c.ledger.Unsettled {
		if held(e.Range) {
			c.mark(e.Range, uploadAcked)
		}
	}
	c.sent = slices.DeleteFunc(c.sent, func(b *shipment) bool {
		for _, s := range b.all {
			if held(b.rng) && s.fate == doubtful {
				s.fate = took
			}
		}
		return held(b.rng)
	})
	c.add(settle)
}

// mix notes that samples were taken out of a batch for which the ledger has only
// the number of those in doubt.
func (c *courier) mix(r event.Range, samples []*sample) {
	for _, b := range c.sent {
		if b.rng.Overlaps(r) && slices.ContainsFunc(samples, func(s *sample) bool { return s.fate == took }) &&
			slices.ContainsFunc(b.all, func(s *sample) bool { return s.fate == doubtful }) {
			b.mixed, c.blurred = true, true
		}
	}
}

// drop deletes the oldest records that are not settled. As nothing is really
// deleted here, their ticks stay in the index.
func (c *courier) drop() {
	r := event.Range{From: c.ledger.SettledCursor() + 1, To: c.l.last() / 2}
	if c.held > 0 {
		r.To = min(r.To, c.held-1)
	}
	if r.To < r.From {
		return
	}
	covered := c.ledger.Covered()
	gone := slices.DeleteFunc(c.in(r), func(s *sample) bool { return covered.Contains(s.idx) })
	c.add(&event.Drop{Stamp: c.stamp(), Range: r, Samples: len(gone), Reason: "full"})
	c.mark(r, uploadDropped)
	c.sent = slices.DeleteFunc(c.sent, func(b *shipment) bool {
		for _, s := range b.all {
			if r.Holds(b.rng) && s.fate == doubtful {
				s.fate = deleted
			}
		}
		if !r.Holds(b.rng) && b.rng.Overlaps(r) {
			b.rng.From = r.To + 1
		}
		return r.Holds(b.rng)
	})
	if c.ledger.Part == nil {
		setFate(c.part, unsent)
		c.part = nil
	}
	switch {
	case c.open == nil:
	case c.ledger.Open == nil:
		c.void()
	case c.open.plan.Range.Overlaps(r):
		// It cannot be sent any more as it was planned.
		c.rest(r)
	}
	setFate(gone, deleted)
}

// rest plans anew what a drop has left of the open batch.
func (c *courier) rest(dropped event.Range) {
	b := c.open
	left := b.plan.Range
	left.From = max(left.From, dropped.To+1)
	all := c.in(left)
	if b.plan.Repair() {
		for _, s := range all {
			if s.fate != refused {
				c.begin(&event.Plan{Range: left, Gaps: []event.Gap{{FromMS: s.ms, ToMS: s.ms, Series: []string{s.key}}}}, [][]*sample{{s}})
				c.mix(left, []*sample{s})
				return
			}
		}
	}
	if len(all) > 0 && !b.plan.Repair() {
		c.begin(&event.Plan{Range: left}, render(all, 2))
		return
	}
	// Nothing is left: another batch takes its place.
	c.begin(&event.Plan{Range: event.Range{From: c.l.last(), To: c.l.last()}, Gaps: []event.Gap{{}}}, [][]*sample{{{}}})
}

// mislead writes events that fit nothing and mean nothing.
func (c *courier) mislead() {
	last := c.l.last()
	nowhere := event.Range{From: last + 10, To: last + 20}
	switch c.r.IntN(6) {
	case 0:
		c.add(&event.Ack{Stamp: c.stamp(), Batch: "another", Chunks: []int{0, 1}, Doubt: []int{0}, Samples: 5})
	case 1:
		if c.open != nil {
			c.add(&event.Ack{Stamp: c.stamp(), Batch: c.open.plan.Batch, Chunks: []int{99, -1}, Doubt: []int{7}, Lines: []event.Lines{{Chunk: 0, From: 5, To: 900, Samples: 3}}})
		}
	case 2:
		c.add(&event.Settle{Stamp: c.stamp(), Ranges: []event.Range{nowhere}})
	case 3:
		c.add(&event.Reject{Stamp: c.stamp(), Range: nowhere, Samples: 9, Reason: event.ReasonReceiverDropped, Gaps: []event.Gap{{ToMS: 1 << 60}}})
	case 4:
		c.add(&event.Reject{Stamp: c.stamp(), Range: event.Range{From: 1, To: last}, Samples: 9, Reason: event.ReasonRefused,
			Line: &event.RejectedLine{Batch: "another", Series: c.series[0].Key(), LastMS: 1 << 60}})
	case 5:
		if cursor := c.ledger.SettledCursor(); cursor > 0 && !slices.ContainsFunc(c.sent, func(b *shipment) bool { return b.rng.From <= cursor }) {
			c.add(&event.Reject{Stamp: c.stamp(), Range: event.Range{From: 1, To: cursor}, Samples: 9, Reason: event.ReasonReceiverDropped, Gaps: []event.Gap{{ToMS: 1 << 60}}})
		}
	}
}

// finish lets everything that can be sent be sent and settled.
func (c *courier) finish() {
	c.sync()
	for range 10_000 {
		switch {
		case c.open != nil:
			c.deliver()
		case len(c.ledger.Unsettled) > 0:
			c.look()
		case c.count(unsent, doubtful) > 0:
			c.plan()
		default:
			return
		}
	}
	c.t.Fatal("the story has no end")
}

// mark notes what became of the ticks in a range of which nothing became before.
func (c *courier) mark(r event.Range, upload int64) {
	for idx := r.From; idx <= min(r.To, c.l.last()); idx++ {
		if c.marked[idx] == uploadNone {
			c.marked[idx] = upload
		}
	}
}

func setFate(samples []*sample, f fate) {
	for _, s := range samples {
		s.fate = f
	}
}

// count returns how many samples have one of some fates.
func (c *courier) count(fates ...fate) (n uint64) {
	for _, s := range c.in(event.Range{From: 1, To: c.l.last()}) {
		if slices.Contains(fates, s.fate) {
			n++
		}
	}
	return n
}

// openDoubts returns how many doubtful samples are of the open batch, or of the
// record that is sent in part.
func (c *courier) openDoubts() (n uint64) {
	all := c.part
	if c.open != nil && !c.open.plan.Repair() {
		all = slices.Concat(all, c.open.all)
	}
	for _, s := range all {
		if s.fate == doubtful {
			n++
		}
	}
	return n
}

// is returns what became of a sample, in words.
func (c *courier) is(s *sample) string {
	switch upload := c.marked[s.idx]; {
	case upload == uploadRejected || s.fate == refused:
		return "rejected"
	case upload == uploadAcked:
		return "uploaded"
	case upload == uploadDropped:
		return "dropped"
	}
	return "pending"
}

func (id sampleID) String() string {
	return fmt.Sprintf("%d:%s", id.idx, strings.ReplaceAll(id.key, "\x00", ""))
}
