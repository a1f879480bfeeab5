package event

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func chunks(samples ...int) (c []Chunk) {
	for _, n := range samples {
		c = append(c, Chunk{Lines: n / 2, Samples: n})
	}
	return c
}

func tickOf(wallMS int64, samples int) *Tick {
	t := &Tick{Trusted: wallMS >= PlausibleSinceMS, Stamp: Stamp{WallMS: wallMS}}
	for range samples {
		t.Samples = append(t.Samples, Sample{Series: &Series{Name: "x"}})
	}
	return t
}

// entries returns the unsettled batches as FROM-TO SAMPLES, and what of these is in
// doubt and how many gaps were left out.
func entries(l *Ledger) string {
	var b strings.Builder
	for i, u := range l.Unsettled {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d-%d %d", u.Range.From, u.Range.To, u.Samples)
		if u.Doubt > 0 {
			fmt.Fprintf(&b, " doubt %d", u.Doubt)
		}
		if len(u.Except) > 0 {
			fmt.Fprintf(&b, " gaps %d", len(u.Except))
		}
	}
	return b.String()
}

func planOf(batch string, from, to uint64, samples ...int) *Plan {
	return &Plan{Batch: batch, Range: Range{from, to}, Chunks: chunks(samples...)}
}

func repairOf(batch string, from, to uint64, samples ...int) *Plan {
	p := planOf(batch, from, to, samples...)
	p.Gaps = []Gap{{FromMS: 1, ToMS: 9}}
	return p
}

func partOf(batch string, from, to uint64, first int, samples ...int) *Plan {
	p := planOf(batch, from, to, samples...)
	p.FirstLine, p.More = first, true
	return p
}

func ackOf(batch string, c ...int) *Ack { return &Ack{Batch: batch, Chunks: c} }

func doubtOf(batch string, c ...int) *Ack { return &Ack{Batch: batch, Doubt: c} }

func linesOf(batch string, chunk, from, to, samples int) *Ack {
	return &Ack{Batch: batch, Lines: []Lines{{Chunk: chunk, From: from, To: to, Samples: samples}}}
}

func refusedOf(batch string, chunk, line, samples int) *Reject {
	return &Reject{Samples: samples, Reason: ReasonRefused, Line: &RejectedLine{Batch: batch, Chunk: chunk, Line: line, Series: "s", FirstMS: 2, LastMS: 3}}
}

func settleOf(ranges ...Range) *Settle { return &Settle{Ranges: ranges} }

func droppedOf(from, to uint64, samples int) *Reject {
	return &Reject{Range: Range{from, to}, Samples: samples, Reason: ReasonReceiverDropped, Gaps: []Gap{{FromMS: 5, ToMS: 6}}}
}

func wholeOf(from, to uint64, samples int, reason string) *Reject {
	return &Reject{Range: Range{from, to}, Samples: samples, Reason: reason}
}

func dropOf(from, to uint64, samples int) *Drop {
	return &Drop{Range: Range{from, to}, Samples: samples}
}

func TestLedger(t *testing.T) {
	const good = PlausibleSinceMS
	tick := tickOf(good, 100)
	for _, tc := range []struct {
		name    string
		events  []Event
		cursor  uint64
		settled uint64 // cursor
		sent    uint64
		reject  uint64
		drop    uint64
		pending uint64
		line    int
		open    []bool
		batches string // unsettled
	}{
		{name: "nothing"},
		{name: "ticks", events: []Event{tick, tickOf(good, 50)}, pending: 150},
		{name: "a tick before the clock was set", events: []Event{tickOf(good-1, 100), tickOf(good, 1)}, pending: 1},
		{name: "planned", events: []Event{tick, planOf("a", 1, 5, 10, 20)}, pending: 100, open: []bool{false, false}},
		{name: "acknowledged in part", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 1)}, pending: 80, sent: 20, open: []bool{false, true}},
		{name: "acknowledged", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 1, 0)}, pending: 70, sent: 30, cursor: 5, batches: "1-5 30"},
		{name: "acknowledged twice", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 1, 1), ackOf("a", 1), ackOf("a", 0), ackOf("a", 0, 1)}, pending: 70, sent: 30, cursor: 5, batches: "1-5 30"},
		{name: "another batch acknowledged", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("b", 0, 1)}, pending: 100, open: []bool{false, false}},
		{name: "chunks that are not there", events: []Event{planOf("a", 1, 5, 10, 20), ackOf("a", -1, 2, 99), doubtOf("a", -1, 2)}, open: []bool{false, false}},
		{name: "an ack without a plan", events: []Event{ackOf("a", 0)}},
		{name: "two batches, the second first", events: []Event{tick, planOf("b", 6, 9, 5), ackOf("b", 0), planOf("a", 1, 5, 10), ackOf("a", 0)}, pending: 85, sent: 15, cursor: 9, batches: "6-9 5, 1-5 10"},
		{name: "replaced while open", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 1), planOf("b", 1, 5, 30), ackOf("a", 0)}, pending: 100, open: []bool{false}},
		{name: "replaced and acknowledged", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 1), planOf("b", 1, 5, 30), ackOf("b", 0)}, pending: 70, sent: 30, cursor: 5, batches: "1-5 30"},
		{name: "more sent than there ever was", events: []Event{planOf("a", 1, 5, 10), ackOf("a", 0)}, sent: 10, cursor: 5, batches: "1-5 10"},
		{name: "an empty batch", events: []Event{planOf("a", 1, 5), ackOf("a")}, cursor: 5, batches: "1-5 0"},
		{name: "events that say nothing of uploads", events: []Event{&Session{}, &Unknown{Of: 90}}},

		{name: "a part of a record", events: []Event{tick, partOf("p", 1, 4, 7, 10, 20), ackOf("p", 0, 1)}, pending: 70, sent: 30, line: 7 + 15},
		{name: "its end", events: []Event{tick, partOf("p", 1, 4, 7, 10, 20), ackOf("p", 0, 1), planOf("q", 1, 4, 2), ackOf("q", 0)}, pending: 68, sent: 32, cursor: 4, batches: "1-4 32"},
		{name: "a part in doubt, and with a line refused", events: []Event{tick, partOf("p", 1, 4, 0, 10, 20), refusedOf("p", 0, 1, 2), ackOf("p", 0), doubtOf("p", 1)},
			pending: 90, sent: 8, reject: 2, line: 15},
		{name: "its end too", events: []Event{tick, partOf("p", 1, 4, 0, 10, 20), refusedOf("p", 0, 1, 2), ackOf("p", 0), doubtOf("p", 1), planOf("q", 1, 4, 2), ackOf("q", 0)},
			pending: 88, sent: 10, reject: 2, batches: "1-4 30 doubt 20 gaps 1"},

		{name: "lines", events: []Event{tick, planOf("a", 1, 5, 10, 20), linesOf("a", 1, 2, 4, 6)}, pending: 94, sent: 6, open: []bool{false, false}},
		{name: "the same lines again", events: []Event{tick, planOf("a", 1, 5, 10, 20), linesOf("a", 1, 2, 4, 6), linesOf("a", 1, 2, 4, 6), linesOf("a", 1, 3, 3, 2)}, pending: 94, sent: 6, open: []bool{false, false}},
		{name: "lines one after the other", events: []Event{tick, planOf("a", 1, 5, 10, 20), linesOf("a", 1, 0, 4, 10), linesOf("a", 1, 5, 9, 10)}, pending: 80, sent: 20, open: []bool{false, true}},
		{name: "lines and the chunk", events: []Event{tick, planOf("a", 1, 5, 10, 20), linesOf("a", 1, 0, 4, 10), ackOf("a", 1, 0)}, pending: 70, sent: 30, cursor: 5, batches: "1-5 30"},
		{name: "lines that are not there", events: []Event{tick, planOf("a", 1, 5, 10), linesOf("a", 0, 3, 5, 6), linesOf("a", 0, -1, 2, 6), linesOf("a", 0, 3, 2, 6), linesOf("a", 1, 0, 1, 6), linesOf("a", -1, 0, 1, 6)},
			pending: 100, open: []bool{false}},
		{name: "lines with more samples than the chunk", events: []Event{tick, planOf("a", 1, 5, 10), linesOf("a", 0, 0, 1, 99), linesOf("a", 0, 2, 4, 6)}, pending: 90, sent: 10, cursor: 5, batches: "1-5 10"},
		{name: "lines with fewer than none", events: []Event{tick, planOf("a", 1, 5, 10), linesOf("a", 0, 0, 1, -99)}, pending: 100, open: []bool{false}},
		{name: "lines over lines", events: []Event{tick, planOf("a", 1, 5, 10), linesOf("a", 0, 0, 2, 6), linesOf("a", 0, 1, 3, 6), refusedOf("a", 0, 4, 2)}, pending: 90, sent: 10, cursor: 5, batches: "1-5 10"},

		{name: "a line refused", events: []Event{tick, planOf("a", 1, 5, 10, 20), refusedOf("a", 0, 3, 2)}, pending: 98, reject: 2, open: []bool{false, false}},
		{name: "refused twice", events: []Event{tick, planOf("a", 1, 5, 10, 20), refusedOf("a", 0, 3, 2), refusedOf("a", 0, 3, 2)}, pending: 98, reject: 2, open: []bool{false, false}},
		{name: "taken, then refused", events: []Event{tick, planOf("a", 1, 5, 10, 20), linesOf("a", 0, 3, 3, 2), refusedOf("a", 0, 3, 2)}, pending: 98, sent: 2, open: []bool{false, false}},
		{name: "refused, the others taken", events: []Event{tick, planOf("a", 1, 5, 10, 20), refusedOf("a", 0, 3, 2), ackOf("a", 0, 1)}, pending: 70, sent: 28, reject: 2, cursor: 5, batches: "1-5 28 gaps 1"},
		{name: "the last one refused", events: []Event{tick, planOf("a", 1, 5, 10), linesOf("a", 0, 0, 3, 8), refusedOf("a", 0, 4, 2)}, pending: 90, sent: 8, reject: 2, cursor: 5, batches: "1-5 8 gaps 1"},
		{name: "the last one refused, of no samples", events: []Event{tick, planOf("a", 1, 5, 10), linesOf("a", 0, 0, 3, 10), refusedOf("a", 0, 4, 0)}, pending: 90, sent: 10, cursor: 5, batches: "1-5 10"},
		{name: "all refused", events: []Event{tick, planOf("a", 1, 5, 4), refusedOf("a", 0, 0, 2), refusedOf("a", 0, 1, 2)}, pending: 96, reject: 4, cursor: 5, batches: "1-5 0 gaps 2"},
		{name: "a line of another batch refused", events: []Event{tick, planOf("a", 1, 5, 10), refusedOf("b", 0, 0, 2)}, pending: 100, open: []bool{false}},
		{name: "refused and replaced", events: []Event{tick, planOf("a", 1, 5, 10, 20), refusedOf("a", 0, 3, 2), ackOf("a", 1), planOf("b", 1, 5, 30)}, pending: 100, open: []bool{false}},

		{name: "in doubt", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 0), doubtOf("a", 1)}, pending: 90, sent: 10, batches: "1-5 30 doubt 20"},
		{name: "in doubt but for a line", events: []Event{tick, planOf("a", 1, 5, 20), linesOf("a", 0, 0, 3, 8), refusedOf("a", 0, 4, 2), doubtOf("a", 0)}, pending: 90, sent: 8, reject: 2, batches: "1-5 18 doubt 10 gaps 1"},
		{name: "in doubt, then answered", events: []Event{tick, planOf("a", 1, 5, 10, 20), doubtOf("a", 1), ackOf("a", 1), ackOf("a", 0)}, pending: 70, sent: 30, cursor: 5, batches: "1-5 30"},
		{name: "in doubt and replaced", events: []Event{tick, planOf("a", 1, 5, 10, 20), doubtOf("a", 1), planOf("b", 1, 5, 30)}, pending: 100, open: []bool{false}},
		{name: "settled", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 0, 1), settleOf(Range{1, 5})}, pending: 70, sent: 30, cursor: 5, settled: 5},
		{name: "in doubt, then settled", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 0), doubtOf("a", 1), settleOf(Range{1, 5})}, pending: 70, sent: 30, cursor: 5, settled: 5},
		{name: "settled twice", events: []Event{tick, planOf("a", 1, 5, 10), doubtOf("a", 0), settleOf(Range{1, 5}), settleOf(Range{1, 5})}, pending: 90, sent: 10, cursor: 5, settled: 5},
		{name: "another range settled", events: []Event{tick, planOf("a", 1, 5, 10), ackOf("a", 0), settleOf(Range{1, 4}, Range{2, 5}, Range{6, 9})}, pending: 90, sent: 10, cursor: 5, batches: "1-5 10"},
		{name: "two settled as one", events: []Event{tick, planOf("a", 1, 5, 10), ackOf("a", 0), planOf("b", 6, 9, 10), doubtOf("b", 0), planOf("c", 10, 11, 10), ackOf("c", 0), settleOf(Range{1, 9})},
			pending: 70, sent: 30, cursor: 11, settled: 9, batches: "10-11 10"},

		{name: "what is there is not repaired", events: []Event{tick, planOf("a", 1, 5, 10), ackOf("a", 0), repairOf("r", 1, 5, 4), ackOf("r", 0)}, pending: 90, sent: 10, cursor: 5, batches: "1-5 10"},
		{name: "in doubt, repaired", events: []Event{tick, planOf("a", 1, 5, 10), doubtOf("a", 0), repairOf("r", 1, 5, 4), ackOf("r", 0)}, pending: 96, sent: 4, batches: "1-5 10 doubt 6"},
		{name: "in doubt, repaired, settled", events: []Event{tick, planOf("a", 1, 5, 10), doubtOf("a", 0), repairOf("r", 1, 5, 4), ackOf("r", 0), settleOf(Range{1, 5})}, pending: 90, sent: 10, cursor: 5, settled: 5},
		{name: "in doubt, repaired without an answer", events: []Event{tick, planOf("a", 1, 5, 10), doubtOf("a", 0), repairOf("r", 1, 5, 4, 2), doubtOf("r", 0), ackOf("r", 1)}, pending: 98, sent: 2, batches: "1-5 10 doubt 8"},
		{name: "a repair replaced", events: []Event{tick, planOf("a", 1, 5, 10), doubtOf("a", 0), repairOf("r", 1, 5, 4, 2), ackOf("r", 0), repairOf("s", 1, 5, 2), ackOf("r", 1)}, pending: 96, sent: 4, open: []bool{false}, batches: "1-5 10 doubt 6"},
		{name: "a batch replaced by a repair", events: []Event{tick, planOf("a", 1, 5, 10), doubtOf("a", 0), planOf("b", 6, 9, 4, 2), ackOf("b", 0), repairOf("r", 1, 5, 4)}, pending: 100, open: []bool{false}, batches: "1-5 10 doubt 10"},
		{name: "a repair of what was settled since", events: []Event{tick, planOf("a", 1, 5, 10), doubtOf("a", 0), repairOf("r", 1, 5, 4, 2), settleOf(Range{1, 5}), ackOf("r", 0), refusedOf("r", 1, 0, 2)}, pending: 90, sent: 10, cursor: 5, settled: 5},
		{name: "a line of a repair refused", events: []Event{tick, planOf("a", 1, 5, 10), ackOf("a", 0), repairOf("r", 1, 5, 4), refusedOf("r", 0, 0, 2), ackOf("r", 0)}, pending: 90, sent: 8, reject: 2, cursor: 5, batches: "1-5 8 gaps 1"},
		{name: "a line of a repair in doubt refused", events: []Event{tick, planOf("a", 1, 5, 10), doubtOf("a", 0), repairOf("r", 1, 5, 4), refusedOf("r", 0, 0, 2), ackOf("r", 0)}, pending: 96, sent: 2, reject: 2, batches: "1-5 8 doubt 6 gaps 1"},

		{name: "dropped by the receiver", events: []Event{tick, planOf("a", 1, 5, 10), ackOf("a", 0), droppedOf(1, 5, 3)}, pending: 90, sent: 7, reject: 3, cursor: 5, batches: "1-5 7 gaps 1"},
		{name: "dropped while in doubt", events: []Event{tick, planOf("a", 1, 5, 10), doubtOf("a", 0), droppedOf(2, 4, 3)}, pending: 97, reject: 3, batches: "1-5 7 doubt 7 gaps 1"},
		{name: "more dropped than were in doubt", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 1), doubtOf("a", 0), droppedOf(1, 5, 13), settleOf(Range{1, 5})}, pending: 70, sent: 17, reject: 13, cursor: 5, settled: 5},
		{name: "more dropped than were sent", events: []Event{tick, planOf("a", 1, 5, 10), ackOf("a", 0), droppedOf(1, 5, 300)}, pending: 90, reject: 10, cursor: 5, batches: "1-5 0 gaps 1"},
		{name: "fewer than none dropped", events: []Event{tick, planOf("a", 1, 5, 10), ackOf("a", 0), droppedOf(1, 5, -3)}, pending: 90, sent: 10, cursor: 5, batches: "1-5 10 gaps 1"},
		{name: "dropped of nothing that was sent", events: []Event{tick, planOf("a", 1, 5, 10), ackOf("a", 0), droppedOf(6, 9, 3)}, pending: 90, sent: 10, cursor: 5, batches: "1-5 10"},
		{name: "dropped after it was settled", events: []Event{tick, planOf("a", 1, 5, 10), ackOf("a", 0), settleOf(Range{1, 5}), droppedOf(1, 5, 3)}, pending: 90, sent: 10, cursor: 5, settled: 5},

		{name: "too old", events: []Event{tick, wholeOf(1, 5, 30, ReasonTooOld)}, pending: 70, reject: 30, cursor: 5, settled: 5},
		{name: "empty", events: []Event{tick, planOf("a", 1, 5, 10), ackOf("a", 0), wholeOf(6, 9, 0, ReasonEmpty)}, pending: 90, sent: 10, cursor: 9, batches: "1-5 10"},
		{name: "without a time", events: []Event{tick, wholeOf(1, 5, 30, ReasonTimeUnknown)}, pending: 100},
		{name: "fewer than none", events: []Event{tick, wholeOf(1, 5, -30, ReasonFarFuture), dropOf(6, 7, -1)}, pending: 100, cursor: 7, settled: 7},
		{name: "the rest of a part", events: []Event{tick, partOf("p", 1, 4, 0, 10, 20), ackOf("p", 0), doubtOf("p", 1), wholeOf(1, 4, 0, ReasonEmpty)}, pending: 70, sent: 10, reject: 20, cursor: 4, settled: 4},

		{name: "deleted unsent", events: []Event{tick, dropOf(1, 5, 30)}, pending: 70, drop: 30, cursor: 5, settled: 5},
		{name: "deleted when acknowledged", events: []Event{tick, planOf("a", 1, 5, 10), ackOf("a", 0), dropOf(1, 5, 0)}, pending: 90, sent: 10, cursor: 5, settled: 5},
		{name: "deleted in doubt", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 1), doubtOf("a", 0), dropOf(1, 5, 0)}, pending: 70, sent: 20, drop: 10, cursor: 5, settled: 5},
		{name: "deleted in doubt, with what was not sent", events: []Event{tick, planOf("a", 1, 5, 10, 20), refusedOf("a", 0, 0, 2), ackOf("a", 1), doubtOf("a", 0), dropOf(1, 9, 25)},
			pending: 45, sent: 20, reject: 2, drop: 33, cursor: 9, settled: 9},
		{name: "the beginning deleted in doubt", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 1), doubtOf("a", 0), dropOf(1, 3, 0)}, pending: 80, sent: 20, cursor: 3, settled: 3, batches: "4-5 30 doubt 10"},
		{name: "the rest settled", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 1), doubtOf("a", 0), dropOf(1, 3, 0), settleOf(Range{1, 5})}, pending: 70, sent: 30, cursor: 5, settled: 5},
		{name: "the rest deleted", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 1), doubtOf("a", 0), dropOf(1, 3, 0), dropOf(4, 5, 0)}, pending: 70, sent: 20, drop: 10, cursor: 5, settled: 5},
		{name: "the rest repaired and given up", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 1), doubtOf("a", 0), repairOf("r", 1, 5, 4), dropOf(1, 3, 0), ackOf("r", 0), droppedOf(1, 5, 6), settleOf(Range{4, 5})},
			pending: 70, sent: 24, reject: 6, cursor: 5, settled: 5},
		{name: "deleted while open", events: []Event{tick, planOf("a", 1, 5, 10, 20), refusedOf("a", 0, 0, 2), ackOf("a", 1), dropOf(1, 5, 30), ackOf("a", 0)}, pending: 70, drop: 30, cursor: 5, settled: 5},
		{name: "the beginning deleted while open, planned anew", events: []Event{tick, planOf("a", 1, 5, 10, 20), ackOf("a", 1), dropOf(1, 3, 12), planOf("b", 4, 5, 18), ackOf("b", 0)}, pending: 70, sent: 18, drop: 12, cursor: 5, settled: 3, batches: "4-5 18"},
		{name: "a part deleted", events: []Event{tick, partOf("p", 1, 4, 0, 10, 20), refusedOf("p", 0, 0, 1), ackOf("p", 0), doubtOf("p", 1), dropOf(1, 4, 50)}, pending: 50, drop: 50, cursor: 4, settled: 4},

		{name: "a header says what went before", events: []Event{
			planOf("a", 1, 5, 10),
			&SegmentHeader{Ledger: Ledger{Acknowledged: RangeSet{{1, 9}}, Appended: 70, Sent: 60, Part: &Part{Range: Range{10, 10}, Line: 3}}},
		}, cursor: 9, pending: 10, sent: 60, line: 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var l Ledger
			for i, ev := range tc.events {
				before := l.Clone()
				was := copyOf(t, &before)
				l.Apply(uint64(i+1), ev)
				if !reflect.DeepEqual(copyOf(t, &before), was) {
					t.Fatal("Apply changed a clone")
				}
			}
			line := 0
			if l.Part != nil {
				line = l.Part.Line
			}
			if l.Cursor() != tc.cursor || l.Sent != tc.sent || l.Pending() != tc.pending || line != tc.line {
				t.Errorf("cursor %d, sent %d, pending %d, next line %d", l.Cursor(), l.Sent, l.Pending(), line)
			}
			if l.SettledCursor() != tc.settled || l.Rejected != tc.reject || l.Dropped != tc.drop {
				t.Errorf("settled up to %d, rejected %d, dropped %d", l.SettledCursor(), l.Rejected, l.Dropped)
			}
			if got := entries(&l); got != tc.batches {
				t.Errorf("unsettled %s, want %s", got, tc.batches)
			}
			var open []bool
			if l.Open != nil {
				for i := range l.Open.Chunks {
					open = append(open, l.Open.Done(i))
				}
			}
			if !reflect.DeepEqual(open, tc.open) {
				t.Errorf("open %v, want %v", open, tc.open)
			}
			if t.Failed() {
				t.Logf("%+v", l)
			}
		})
	}
}

// copyOf returns a copy that shares nothing at all.
func copyOf(t *testing.T, l *Ledger) (c Ledger) {
	t.Helper()
	text, err := json.Marshal(l)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Copies go on by themselves: what one appends to a list is not in another's way.
func TestClonesGoTheirOwnWay(t *testing.T) {
	// Lists of three, five and so on have room for one more in memory.
	for n := range 20 {
		var batches, lines, drops []Event
		lines = append(lines, planOf("a", 1, 5, 200))
		drops = append(drops, planOf("a", 1, 5, 200), ackOf("a", 0))
		for i := range n {
			from := uint64(100 + i*10)
			batches = append(batches, planOf("x", from, from+5, 10), ackOf("x", 0))
			lines = append(lines, refusedOf("a", 0, i, 2))
			drops = append(drops, droppedOf(1, 5, 1))
		}
		joined := slices.Clone(drops)
		for i := range uint64(maxUnsettled - 1) {
			joined = append(joined, planOf("x", 6+i, 6+i, 10), ackOf("x", 0))
		}
		parts := append([]Event{partOf("a", 1, 5, 0, 200)}, lines[1:]...)
		parts = append(parts, ackOf("a", 0))
		for _, tc := range []struct {
			name       string
			before     []Event
			one, other []Event
		}{
			{"batches", batches, []Event{planOf("b", 1, 5, 10), ackOf("b", 0)}, []Event{planOf("c", 11, 15, 10), ackOf("c", 0)}},
			{"refused lines", lines, []Event{refusedOf("a", 0, 90, 2)}, []Event{&Reject{Samples: 2, Line: &RejectedLine{Batch: "a", Line: 91, FirstMS: 7}}}},
			{"refused lines of a part", parts, []Event{planOf("b", 1, 5, 20), refusedOf("b", 0, 1, 2), ackOf("b", 0)}, []Event{planOf("c", 1, 5, 20), ackOf("c", 0)}},
			{"refused lines of parts", parts, []Event{partOf("b", 1, 5, 0, 20), refusedOf("b", 0, 1, 2), ackOf("b", 0)},
				[]Event{partOf("b", 1, 5, 0, 20), &Reject{Samples: 2, Line: &RejectedLine{Batch: "b", FirstMS: 7}}, ackOf("b", 0)}},
			{"joined batches", joined, []Event{droppedOf(6, 6, 1), planOf("y", 900, 900, 10), ackOf("y", 0)},
				[]Event{&Reject{Range: Range{6, 6}, Samples: 1, Gaps: []Gap{{FromMS: 7}}}, planOf("z", 901, 901, 10), ackOf("z", 0)}},
			{"dropped samples", drops, []Event{droppedOf(1, 5, 1)}, []Event{&Reject{Range: Range{1, 5}, Samples: 1, Gaps: []Gap{{FromMS: 7}}}}},
		} {
			var one Ledger
			for _, ev := range tc.before {
				one.Apply(1, ev)
			}
			other := one.Clone()
			for _, ev := range tc.one {
				one.Apply(1, ev)
			}
			was := copyOf(t, &one)
			for _, ev := range tc.other {
				other.Apply(1, ev)
			}
			if is := copyOf(t, &one); !reflect.DeepEqual(is, was) {
				t.Errorf("%s after %d: what a clone applied changed\n%+v to\n%+v", tc.name, n, was, is)
			}
		}
	}
}

func TestLedgerDoesNotKeepTheHeadersOwn(t *testing.T) {
	header := &SegmentHeader{Ledger: Ledger{Open: &OpenPlan{Plan: Plan{Batch: "a", Chunks: chunks(2, 4)}, Chunks: make([]ChunkState, 2)}}}
	var l Ledger
	l.Apply(1, header)
	l.Apply(2, &Ack{Batch: "a", Chunks: []int{0}})
	if header.Ledger.Open.Done(0) || !l.Open.Done(0) {
		t.Fatalf("header %v, ledger %v", header.Ledger.Open, l.Open)
	}
}
