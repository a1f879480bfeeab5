package event

import "slices"

// OpenPlan is a plan and how far it is carried out.
type OpenPlan struct {
	Plan   Plan         `msgpack:"plan"`
	Index  uint64       `msgpack:"index"`            // of its record
	Chunks []ChunkState `msgpack:"chunks"`           // as many as the plan has
	Except []Gap        `msgpack:"except,omitempty"` // lines that were rejected
}

// ChunkState is what became of a chunk's lines.
type ChunkState struct {
	Lines    RangeSet `msgpack:"lines,omitempty"` // that need no sending, from 0
	Acked    int      `msgpack:"acked,omitempty"` // samples
	Rejected int      `msgpack:"rejected,omitempty"`
	Doubt    bool     `msgpack:"doubt,omitempty"`
}

// Done reports whether nothing of chunk i is to be sent.
func (o *OpenPlan) Done(i int) bool {
	c := &o.Chunks[i]
	return c.Doubt || c.Lines.Len() >= uint64(o.Plan.Chunks[i].Lines)
}

// Complete reports whether nothing of the batch is to be sent.
func (o *OpenPlan) Complete() bool {
	for i := range o.Chunks {
		if !o.Done(i) {
			return false
		}
	}
	return true
}

// totals adds up the samples of all chunks.
func (o *OpenPlan) totals() (acked, rejected, doubt int) {
	for i := range o.Chunks {
		c := &o.Chunks[i]
		acked, rejected = acked+c.Acked, rejected+c.Rejected
		if c.Doubt {
			doubt += o.left(i)
		}
	}
	return acked, rejected, doubt
}

// take notes that lines of a chunk were acknowledged, and returns how many
// samples this adds: none for lines that were before.
func (o *OpenPlan) take(lines Lines) int {
	if lines.Chunk < 0 || lines.Chunk >= len(o.Chunks) || lines.From < 0 || lines.To < lines.From ||
		lines.To >= o.Plan.Chunks[lines.Chunk].Lines {
		return 0
	}
	c := &o.Chunks[lines.Chunk]
	before := c.Lines.Len()
	c.Lines.Add(Range{uint64(lines.From), uint64(lines.To)})
	if c.Lines.Len() == before {
		return 0
	}
	n := min(max(lines.Samples, 0), o.left(lines.Chunk))
	c.Acked += n
	return n
}

// left returns how many samples of a chunk are neither acknowledged nor rejected.
func (o *OpenPlan) left(chunk int) int {
	c := &o.Chunks[chunk]
	return max(0, o.Plan.Chunks[chunk].Samples-c.Acked-c.Rejected)
}

// takeAll notes that a chunk was acknowledged, and returns how many samples this
// adds.
func (o *OpenPlan) takeAll(chunk int) int {
	if chunk < 0 || chunk >= len(o.Chunks) {
		return 0
	}
	c, planned := &o.Chunks[chunk], o.Plan.Chunks[chunk]
	if planned.Lines > 0 {
		c.Lines.Add(Range{0, uint64(planned.Lines - 1)})
	}
	n := o.left(chunk)
	c.Acked += n
	return n
}

func (o *OpenPlan) clone() OpenPlan {
	c := *o
	c.Chunks = slices.Clone(o.Chunks)
	for i := range c.Chunks {
		c.Chunks[i].Lines = c.Chunks[i].Lines.Clone()
	}
	return c
}

func (l *Ledger) plan(index uint64, plan *Plan) {
	// A plan that is made while another is open replaces it: the log no longer
	// renders to what was planned. What of it was acknowledged is sent again.
	l.void()
	l.Open = &OpenPlan{Plan: *plan, Index: index, Chunks: make([]ChunkState, len(plan.Chunks))}
	if len(plan.Names) > 0 {
		l.Names = append(slices.Clone(l.Names), plan.Names...)
		slices.Sort(l.Names)
		l.Names = slices.Compact(l.Names)
	}
}

// void gives up the open batch: its samples are sent in another one, or never.
// Those of a repair belong to a batch that is unsettled, and stay what they are.
func (l *Ledger) void() {
	if l.Open != nil && !l.Open.Plan.Repair() {
		acked, rejected, _ := l.Open.totals()
		l.take(&l.Sent, acked)
		l.take(&l.Rejected, rejected)
	}
	l.Open = nil
}

func (l *Ledger) acknowledge(ack *Ack) {
	open := l.Open
	if open == nil || open.Plan.Batch != ack.Batch {
		return
	}
	n := 0
	for _, c := range ack.Chunks {
		n += open.takeAll(c)
	}
	for _, lines := range ack.Lines {
		n += open.take(lines)
	}
	for _, c := range ack.Doubt {
		if c >= 0 && c < len(open.Chunks) {
			open.Chunks[c].Doubt = true
		}
	}
	if open.Plan.Repair() {
		// All but those that were in doubt count as sent already.
		n = l.relieve(l.unsettled(open.Plan.Range), n)
	}
	l.Sent += uint64(n)
	l.complete()
}

// rejectLine gives up a line of the open batch.
func (l *Ledger) rejectLine(ev *Reject) {
	open := l.Open
	if open == nil || open.Plan.Batch != ev.Line.Batch {
		return
	}
	if n := open.take(Lines{Chunk: ev.Line.Chunk, From: ev.Line.Line, To: ev.Line.Line, Samples: ev.Samples}); n > 0 {
		c, gaps := &open.Chunks[ev.Line.Chunk], open.Plan.LineGaps(ev.Line)
		c.Acked -= n
		c.Rejected += n
		if open.Plan.Repair() {
			l.lose(open.Plan.Range, n, gaps)
		} else {
			l.Rejected += uint64(n)
			open.Except = append(slices.Clip(open.Except), gaps...)
		}
	}
	l.complete()
}

// complete closes the open batch if nothing of it is to be sent.
func (l *Ledger) complete() {
	open := l.Open
	if open == nil || !open.Complete() {
		return
	}
	l.Open = nil
	plan := &open.Plan
	if plan.Repair() {
		return // its samples belong to a batch that is unsettled
	}
	acked, _, doubt := open.totals()
	entry := Unsettled{
		Batch: plan.Batch, Plan: open.Index, Range: plan.Range,
		FirstMS: plan.FirstMS, LastMS: plan.LastMS, Samples: acked + doubt, Doubt: doubt, Except: open.Except,
	}
	if l.Part != nil {
		entry.Samples += l.Part.Samples
		entry.Doubt += l.Part.Doubt
		entry.Except = append(slices.Clip(l.Part.Except), entry.Except...)
		entry.Batch, entry.Plan = "", 0
	}
	if plan.More {
		part := Part{Range: plan.Range, Line: plan.FirstLine, Samples: entry.Samples, Doubt: entry.Doubt, Except: entry.Except}
		for _, c := range plan.Chunks {
			part.Line += c.Lines
		}
		l.Part = &part
		return
	}
	l.Part = nil
	if entry.Doubt == 0 {
		l.Acknowledged.Add(plan.Range)
	}
	l.sent(entry)
}
