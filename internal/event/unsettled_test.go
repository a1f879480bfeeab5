package event

import (
	"fmt"
	"reflect"
	"testing"
)

// send lets a batch of ten samples over a range be planned and acknowledged.
func send(l *Ledger, from, to uint64) {
	batch := fmt.Sprint(from)
	p := planOf(batch, from, to, 10)
	p.FirstMS, p.LastMS = int64(from)*1000, int64(to)*1000
	l.Apply(from, p)
	l.Apply(from, refusedOf(batch, 0, 0, 1))
	l.Apply(from, ackOf(batch, 0))
}

// However long nothing is settled, the ledger stays small: of batches that follow
// each other in the log the oldest become one.
func TestUnsettledBatchesBecomeOne(t *testing.T) {
	var l Ledger
	const n = maxUnsettled + 50
	for i := range uint64(n) {
		send(&l, 1+i*10, 10+i*10)
	}
	if len(l.Unsettled) != maxUnsettled {
		t.Fatalf("%d batches", len(l.Unsettled))
	}
	first, second := l.Unsettled[0], l.Unsettled[1]
	if first.Range != (Range{1, 510}) || first.FirstMS != 1000 || first.LastMS != 510_000 || first.Samples != 51*9 || len(first.Except) != 51 ||
		first.Plan != 0 || first.Batch != "" {
		t.Fatalf("the first is %+v", first)
	}
	if second.Range != (Range{511, 520}) || second.Plan == 0 || second.Batch != "511" || len(second.Except) != 1 {
		t.Fatalf("the second is %+v", second)
	}
	if l.UnsettledSamples() != n*9 || l.Sent != n*9 || l.Rejected != n || l.Cursor() != n*10 {
		t.Fatalf("%d unsettled, %d sent, %d rejected, cursor %d", l.UnsettledSamples(), l.Sent, l.Rejected, l.Cursor())
	}
	// A part of what became one proves nothing of the rest.
	l.Apply(1, settleOf(Range{1, 10}))
	if l.SettledCursor() != 0 || len(l.Unsettled) != maxUnsettled {
		t.Fatalf("settled up to %d", l.SettledCursor())
	}
	l.Apply(1, settleOf(Range{1, 520}))
	if l.SettledCursor() != 520 || len(l.Unsettled) != maxUnsettled-2 {
		t.Fatalf("settled up to %d, %d batches", l.SettledCursor(), len(l.Unsettled))
	}
}

// Fresh batches and those of a backlog are sent by turns, the backlog's in the
// order of the log or not: none of them is the neighbour of the one before.
func TestUnsettledBatchesThatWereSentByTurns(t *testing.T) {
	for name, backlog := range map[string]func(i uint64) uint64{
		"oldest first": func(i uint64) uint64 { return i },
		"newest first": func(i uint64) uint64 { return 9_999 - i },
	} {
		var l Ledger
		for i := range uint64(1000) {
			send(&l, 1+backlog(i)*10, 10+backlog(i)*10)
			send(&l, 200_001+i*10, 200_010+i*10)
		}
		if len(l.Unsettled) != maxUnsettled || l.UnsettledSamples() != 2000*9 {
			t.Errorf("%s: %d batches with %d samples", name, len(l.Unsettled), l.UnsettledSamples())
		}
		for i, a := range l.Unsettled {
			for _, b := range l.Unsettled[i+1:] {
				if a.Range.Overlaps(b.Range) {
					t.Fatalf("%s: %v and %v overlap", name, a.Range, b.Range)
				}
			}
		}
		l.Apply(1, settleOf(Range{1, 300_000}))
		if len(l.Unsettled) != 0 || l.Settled.Len() != 20_000 {
			t.Errorf("%s: %d batches, %d records settled", name, len(l.Unsettled), l.Settled.Len())
		}
	}
}

// Batches in doubt become one as well, and nothing of the doubt is lost.
func TestUnsettledDoubtsBecomeOne(t *testing.T) {
	var l Ledger
	l.Apply(1, tickOf(PlausibleSinceMS, 4000))
	for i := range uint64(300) {
		l.Apply(i+1, planOf("b", 1+i*10, 10+i*10, 4, 6))
		l.Apply(i+1, &Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}})
	}
	if l.Doubt() != 1800 || l.Sent != 1200 || l.Pending() != 2800 || len(l.Unsettled) != maxUnsettled {
		t.Fatalf("%d in doubt, %d sent, %d pending, %d batches", l.Doubt(), l.Sent, l.Pending(), len(l.Unsettled))
	}
	l.Apply(1, settleOf(Range{1, 3000}))
	if l.Doubt() != 0 || l.Sent != 3000 || l.Cursor() != 3000 {
		t.Fatalf("%d in doubt, %d sent, cursor %d", l.Doubt(), l.Sent, l.Cursor())
	}
}

// A record in doubt needs no plan and is no part of what was answered for.
func TestCovered(t *testing.T) {
	var l Ledger
	for i, ev := range []Event{
		planOf("a", 1, 5, 10), ackOf("a", 0),
		planOf("b", 6, 9, 10), doubtOf("b", 0),
		wholeOf(10, 12, 3, ReasonTooOld),
		planOf("c", 20, 25, 10),
	} {
		l.Apply(uint64(i+1), ev)
	}
	if got, want := l.Covered(), (RangeSet{{1, 12}}); !reflect.DeepEqual(got, want) {
		t.Errorf("covered are %v, want %v", got, want)
	}
	if l.Cursor() != 5 {
		t.Errorf("the cursor is at %d", l.Cursor())
	}
	l.Covered()[0].To = 99
	if l.Acknowledged[0].To != 5 {
		t.Error("Covered gives the ledger's own set away")
	}
}

// Between the first and the last sample of a repair's line there are some that the
// receiver has.
func TestLineGaps(t *testing.T) {
	line := &RejectedLine{Series: "s", FirstMS: 10, LastMS: 20}
	for _, tc := range []struct {
		name string
		gaps []Gap
		want []Gap
	}{
		{"no repair", nil, []Gap{{10, 20, []string{"s"}}}},
		{"all series", []Gap{{FromMS: 5, ToMS: 12}, {FromMS: 15, ToMS: 15}}, []Gap{{10, 12, []string{"s"}}, {15, 15, []string{"s"}}}},
		{"the series among others", []Gap{{12, 30, []string{"r", "s"}}}, []Gap{{12, 20, []string{"s"}}}},
		{"another series", []Gap{{12, 30, []string{"r"}}, {FromMS: 21, ToMS: 30}, {FromMS: 1, ToMS: 9}}, nil},
	} {
		if got := (&Plan{Gaps: tc.gaps}).LineGaps(line); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
