package projections

import (
	"context"
	"database/sql"
	"encoding/json"
	"reflect"
	"slices"

	"taffrail/internal/event"
)

// uploads folds what became of the samples. What an event means, the log's own
// ledger decides, which the index keeps a part of: the batch that is open, the
// record that is sent in part and the batches that are not settled.
type uploads struct {
	ledger event.Ledger
	chunks map[chunkKey]*chunk // those of the open batch, and those that changed
	dirty  []*chunk
	find   func(within event.Range) ([]*chunk, error) // unsettled ones in the database
	table  table
}

// outcome is what an event means for records and samples.
type outcome struct {
	marks  []mark
	losses []loss
}

func newUploads() uploads {
	return uploads{chunks: map[chunkKey]*chunk{}, table: table{name: "upload_checkpoints", columns: chunkColumns}}
}

// load takes what encode returned, and the rows that belong to it.
func (u *uploads) load(ctx context.Context, conn *sql.Conn, encoded string) error {
	u.find = func(within event.Range) ([]*chunk, error) {
		return loadChunks(ctx, conn, "state IN ('acknowledged', 'doubt') AND to_idx >= ? AND from_idx <= ?",
			int64(within.From), int64(within.To))
	}
	if encoded == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(encoded), &u.ledger); err != nil {
		return broken("corrupt", "the batches at work: %s", err)
	}
	if u.ledger.Open == nil {
		return nil
	}
	chunks, err := loadChunks(ctx, conn, "plan_idx = ?", int64(u.ledger.Open.Index))
	for _, c := range chunks {
		u.chunks[c.chunkKey] = c
	}
	return err
}

// encode returns the ledger for the table state.
func (u *uploads) encode() (string, error) {
	l := &u.ledger
	text, err := json.Marshal(struct {
		Open      *event.OpenPlan
		Part      *event.Part
		Unsettled []event.Unsettled
	}{l.Open, l.Part, l.Unsettled})
	return string(text), err
}

// apply folds the next record.
func (u *uploads) apply(rec *event.Record) (out outcome, err error) {
	switch rec.Event.(type) {
	case *event.SegmentHeader, *event.Plan, *event.Ack, *event.Settle, *event.Reject, *event.Drop:
	default:
		return out, nil
	}
	// The sets are empty before the event and then hold what it adds. What was
	// open changes in place.
	before, after := u.ledger, u.ledger
	after.Apply(rec.Index, rec.Event)
	if len(after.Unsettled) == 0 {
		after.Unsettled = nil
	}
	u.ledger = event.Ledger{Open: after.Open, Part: after.Part, Unsettled: after.Unsettled}

	ms := rec.Event.At().WallMS
	out.mark(after.Acknowledged, uploadAcked)
	switch ev := rec.Event.(type) {
	case *event.SegmentHeader:
		out.mark(after.GivenUp, uploadRejected)
		err = u.believe(&before, &after, &out)
	case *event.Plan:
		u.void(before.Open, &out)
		u.progress(after.Open, ms)
	case *event.Ack:
		u.progress(before.Open, ms)
	case *event.Settle:
		err = u.settle(after.Settled)
	case *event.Reject:
		out.mark(after.GivenUp, uploadRejected)
		u.reject(ev, before.Open, after.Rejected > 0, &out)
	case *event.Drop:
		out.mark(after.GivenUp, uploadDropped)
		if after.Open == nil {
			u.void(before.Open, &out)
		}
		if p := before.Part; p != nil && after.Part == nil {
			out.losses = append(out.losses, loss{p.Range, p.Except, true})
		}
	}
	// Whatever an event says, it is about records before it.
	for i := range out.losses {
		l := &out.losses[i]
		l.To = min(l.To, rec.Index-1)
	}
	return out, err
}

func (o *outcome) mark(set event.RangeSet, upload int64) {
	for _, r := range set {
		o.marks = append(o.marks, mark{r, upload})
	}
}

// chunk returns the row of a chunk of the open batch.
func (u *uploads) chunk(open *event.OpenPlan, i int) *chunk {
	c := u.chunks[chunkKey{open.Index, i}]
	if c == nil {
		c = chunkOf(open, i)
		u.chunks[c.chunkKey] = c
		u.touch(c)
	}
	return c
}

// progress notes how far the chunks of a batch have come; nil is none.
func (u *uploads) progress(open *event.OpenPlan, ms int64) {
	if open == nil {
		return
	}
	for i := range open.Chunks {
		c, now := u.chunk(open, i), &open.Chunks[i]
		state := chunkState(open, i)
		if c.state == state && c.acked == now.Acked && c.rejected == now.Rejected {
			continue
		}
		if state == chunkAcknowledged {
			c.ackedMS = ms
		}
		c.state, c.acked, c.rejected = state, now.Acked, now.Rejected
		u.touch(c)
	}
}

// void notes that nothing more of a batch is sent; nil is none. What was taken of
// a repair stays taken.
func (u *uploads) void(open *event.OpenPlan, out *outcome) {
	if open == nil {
		return
	}
	repair := open.Plan.Repair()
	for i := range open.Chunks {
		if c := u.chunk(open, i); !repair || c.state == chunkPlanned {
			c.state = chunkReplaced
			u.touch(c)
		}
	}
	if !repair {
		out.losses = append(out.losses, loss{open.Plan.Range, open.Except, true})
	}
}

// reject takes single samples out of those that count, if the ledger did.
func (u *uploads) reject(ev *event.Reject, open *event.OpenPlan, counted bool, out *outcome) {
	if ev.Line != nil {
		u.progress(open, ev.WallMS)
	}
	switch {
	case !counted || ev.Whole():
	case ev.Line != nil:
		out.losses = append(out.losses, loss{open.Plan.Range, open.Plan.LineGaps(ev.Line), false})
	default:
		out.losses = append(out.losses, loss{ev.Range, ev.Gaps, false})
	}
}

// settle notes that the batches of ranges were seen at the receiver.
func (u *uploads) settle(ranges event.RangeSet) error {
	for _, r := range ranges {
		if err := u.settleThose(r, func(c *chunk) bool { return c.rng.Overlaps(r) }); err != nil {
			return err
		}
	}
	return nil
}

// settleThose settles the chunks that are not settled and that a condition which
// is true within a range at most selects. A batch that is being sent is left out.
func (u *uploads) settleThose(within event.Range, which func(c *chunk) bool) error {
	found, err := u.find(within)
	if err != nil {
		return err
	}
	for _, c := range found {
		if u.chunks[c.chunkKey] == nil {
			u.chunks[c.chunkKey] = c
		}
	}
	for _, c := range u.chunks {
		if sending := u.ledger.Open != nil && u.ledger.Open.Index == c.plan; !sending && c.unsettled() && which(c) {
			c.state = chunkSettled
			u.touch(c)
		}
	}
	return nil
}

// believe takes from a segment's header what the records before it would have
// said, as far as they are damaged or gone.
func (u *uploads) believe(before, after *event.Ledger, out *outcome) error {
	if reflect.DeepEqual(before.Open, after.Open) && reflect.DeepEqual(before.Part, after.Part) &&
		reflect.DeepEqual(before.Unsettled, after.Unsettled) {
		return nil // nothing was missed
	}
	if o := before.Open; o != nil && (after.Open == nil || after.Open.Index != o.Index) {
		u.missed(o, after, out)
	}
	u.progress(after.Open, 0)
	if o := after.Open; o != nil && !o.Plan.Repair() {
		out.losses = append(out.losses, loss{o.Plan.Range, o.Except, false})
	}
	if p := after.Part; p != nil {
		out.losses = append(out.losses, loss{p.Range, p.Except, false})
	}
	for i := range after.Unsettled {
		out.losses = append(out.losses, loss{after.Unsettled[i].Range, after.Unsettled[i].Except, false})
	}
	// Settled are also the records that were given up.
	return u.settleThose(event.Range{To: 1<<63 - 1}, func(c *chunk) bool {
		_, unsettled := after.Settled.Missing(c.rng.From, c.rng.To)
		return !unsettled && !slices.ContainsFunc(after.GivenUp, c.rng.Overlaps)
	})
}

// missed closes a batch whose end was not seen.
func (u *uploads) missed(open *event.OpenPlan, after *event.Ledger, out *outcome) {
	state := ""
	switch last := open.Plan.Range.To; {
	case open.Plan.Repair():
	case after.Acknowledged.Contains(last):
		state = chunkAcknowledged
	case slices.ContainsFunc(after.Unsettled, func(e event.Unsettled) bool { return e.Range.Overlaps(open.Plan.Range) }):
		state = chunkDoubt
	case after.Part != nil && after.Part.Range.Overlaps(open.Plan.Range):
		state = chunkAcknowledged
	}
	if state == "" {
		u.void(open, out)
		return
	}
	for i := range open.Chunks {
		if c := u.chunk(open, i); c.state == chunkPlanned {
			c.state = state
			u.touch(c)
		}
	}
}

func (u *uploads) touch(c *chunk) {
	if !c.modified {
		c.modified = true
		u.dirty = append(u.dirty, c)
	}
}

// openPlan returns the record of the plan of the batch that is open, or 0.
func (u *uploads) openPlan() int64 {
	if u.ledger.Open == nil {
		return 0
	}
	return int64(u.ledger.Open.Index)
}

func (u *uploads) flush(ctx context.Context, conn *sql.Conn) error {
	for _, c := range u.dirty {
		if err := u.table.put(ctx, conn, c.row()); err != nil {
			return err
		}
		c.modified = false
	}
	u.dirty = nil
	for key := range u.chunks {
		if int64(key.plan) != u.openPlan() {
			delete(u.chunks, key)
		}
	}
	return nil
}
