package event

import (
	"reflect"
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

func TestLedger(t *testing.T) {
	const good = PlausibleSinceMS
	plan := func(batch string, from, to uint64, samples ...int) *Plan {
		return &Plan{Batch: batch, Range: Range{from, to}, Chunks: chunks(samples...)}
	}
	ack := func(batch string, c ...int) *Ack { return &Ack{Batch: batch, Chunks: c} }
	part := plan("p", 1, 4, 10, 20)
	part.FirstLine, part.More = 7, true
	tests := []struct {
		name    string
		events  []Event
		cursor  uint64
		sent    uint64
		pending uint64
		line    int
		open    []bool
	}{
		{name: "nothing"},
		{name: "ticks", events: []Event{tickOf(good, 100), tickOf(good, 50)}, pending: 150},
		{name: "a tick before the clock was set", events: []Event{tickOf(good-1, 100), tickOf(good, 1)}, pending: 1},
		{name: "planned", events: []Event{tickOf(good, 100), plan("a", 1, 5, 10, 20)}, pending: 100, open: []bool{false, false}},
		{name: "acknowledged in part", events: []Event{tickOf(good, 100), plan("a", 1, 5, 10, 20), ack("a", 1)}, pending: 80, sent: 20, open: []bool{false, true}},
		{name: "acknowledged", events: []Event{tickOf(good, 100), plan("a", 1, 5, 10, 20), ack("a", 1, 0)}, pending: 70, sent: 30, cursor: 5},
		{name: "acknowledged twice", events: []Event{tickOf(good, 100), plan("a", 1, 5, 10, 20), ack("a", 1, 1), ack("a", 1), ack("a", 0), ack("a", 0, 1)}, pending: 70, sent: 30, cursor: 5},
		{name: "another batch acknowledged", events: []Event{tickOf(good, 100), plan("a", 1, 5, 10, 20), ack("b", 0, 1)}, pending: 100, open: []bool{false, false}},
		{name: "chunks that are not there", events: []Event{plan("a", 1, 5, 10, 20), ack("a", -1, 2, 99)}, open: []bool{false, false}},
		{name: "an ack without a plan", events: []Event{ack("a", 0)}},
		{name: "two batches, the second first", events: []Event{tickOf(good, 100), plan("b", 6, 9, 5), ack("b", 0), plan("a", 1, 5, 10), ack("a", 0)}, pending: 85, sent: 15, cursor: 9},
		{name: "replaced while open", events: []Event{tickOf(good, 100), plan("a", 1, 5, 10, 20), ack("a", 1), plan("b", 1, 5, 30), ack("a", 0)}, pending: 100, open: []bool{false}},
		{name: "replaced and acknowledged", events: []Event{tickOf(good, 100), plan("a", 1, 5, 10, 20), ack("a", 1), plan("b", 1, 5, 30), ack("b", 0)}, pending: 70, sent: 30, cursor: 5},
		{name: "a part of a record", events: []Event{tickOf(good, 100), part, ack("p", 0, 1)}, pending: 70, sent: 30, line: 7 + 15},
		{name: "its end", events: []Event{tickOf(good, 100), part, ack("p", 0, 1), plan("q", 1, 4, 2), ack("q", 0)}, pending: 68, sent: 32, cursor: 4},
		{name: "more sent than there ever was", events: []Event{plan("a", 1, 5, 10), ack("a", 0)}, sent: 10, cursor: 5},
		{name: "an empty batch", events: []Event{plan("a", 1, 5), ack("a")}, cursor: 5},
		{name: "a header says what went before", events: []Event{
			plan("a", 1, 5, 10),
			&SegmentHeader{Ledger: Ledger{Acknowledged: RangeSet{{1, 9}}, Appended: 70, Sent: 60, NextLine: 3}},
		}, cursor: 9, pending: 10, sent: 60, line: 3},
		{name: "events that say nothing of uploads", events: []Event{&Session{}, &Unknown{Of: 90}}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var l Ledger
			for i, ev := range tc.events {
				before := l.Clone()
				was := before.Clone()
				l.Apply(uint64(i+1), ev)
				if !reflect.DeepEqual(before, was) {
					t.Fatal("Apply changed a clone")
				}
			}
			if l.Cursor() != tc.cursor || l.Sent != tc.sent || l.Pending() != tc.pending || l.NextLine != tc.line {
				t.Fatalf("cursor %d, sent %d, pending %d, next line %d: %+v", l.Cursor(), l.Sent, l.Pending(), l.NextLine, l)
			}
			var open []bool
			if l.Open != nil {
				open = l.Open.Acked
			}
			if !reflect.DeepEqual(open, tc.open) {
				t.Fatalf("open %v, want %v", open, tc.open)
			}
		})
	}
}

func TestLedgerDoesNotKeepTheHeadersOwn(t *testing.T) {
	header := &SegmentHeader{Ledger: Ledger{Open: &OpenPlan{Plan: Plan{Batch: "a", Chunks: chunks(1, 2)}, Acked: []bool{false, false}}}}
	var l Ledger
	l.Apply(1, header)
	l.Apply(2, &Ack{Batch: "a", Chunks: []int{0}})
	if header.Ledger.Open.Acked[0] || !l.Open.Acked[0] {
		t.Fatalf("header %v, ledger %v", header.Ledger.Open.Acked, l.Open.Acked)
	}
}
