package eventlog

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"taffrail/internal/event"
	"taffrail/internal/synthetic"
)

// shipments is a log in which batches are planned, acknowledged whole and in
// part, in several pieces of one record, and planned anew.
func shipments(small int) []event.Event {
	var events []event.Event
	device := synthetic.NewDevice(4, 1000, event.Stamp{WallMS: epoch}, 5)
	for i := range 150 {
		events = append(events, copyEvent(device.Next()))
		n := uint64(i)
		plan := testPlan(fmt.Sprintf("batch-%d", i), event.Range{From: 3*n + 1, To: 3*n + 3}, 3)
		for c := range plan.Chunks {
			plan.Chunks[c].Samples = 1 + c
		}
		switch i % small {
		case 3:
			events = append(events, plan, &event.Ack{Batch: plan.Batch, Chunks: []int{0, 1, 2}})
		case 5: // one by one, twice, and chunks that are not there
			events = append(events, plan,
				&event.Ack{Batch: plan.Batch, Chunks: []int{2}}, &event.Ack{Batch: plan.Batch, Chunks: []int{2, 7, -1}},
				&event.Ack{Batch: "another", Chunks: []int{0}}, &event.Ack{Batch: plan.Batch, Chunks: []int{0, 1}})
		case 8: // left open, then replaced
			events = append(events, plan, &event.Ack{Batch: plan.Batch, Chunks: []int{1}})
		case 9: // the first part of one record
			plan.FirstLine, plan.More = 0, true
			events = append(events, plan, &event.Ack{Batch: plan.Batch, Chunks: []int{0, 1, 2}})
		case 10: // its end
			plan.FirstLine = 153
			events = append(events, plan, &event.Ack{Batch: plan.Batch, Chunks: []int{0, 2}})
		}
	}
	return events
}

// sameLedger compares ledgers: an empty list is as good as none.
func sameLedger(a, b event.Ledger) bool {
	text := func(l event.Ledger) string {
		body, err := json.Marshal(l)
		if err != nil {
			panic(err)
		}
		return strings.ReplaceAll(string(body), "null", "[]")
	}
	return text(a) == text(b)
}

func TestTheLedgerIsTheSameAfterAReopeningAnywhere(t *testing.T) {
	for _, size := range []int64{1 << 20, 4_000} {
		dir := t.TempDir()
		o := lazily(testOptions(t.TempDir()))
		o.SegmentSize = size
		l := mustOpen(t, dir, o)
		lines, openPlans := 0, 0
		for i, ev := range shipments(11) {
			if _, err := l.Append(ev); err != nil {
				t.Fatal(err)
			}
			want := l.Ledger()
			if want.Part != nil {
				lines += want.Part.Line
			}
			if want.Open != nil {
				openPlans++
			}
			if i%4 != 0 {
				continue
			}
			mustClose(t, l)
			l = mustOpen(t, dir, o)
			if got := l.Ledger(); !sameLedger(got, want) {
				t.Fatalf("after %d events:\ngot  %+v\nwant %+v", i+1, got, want)
			}
		}
		if l := l.Ledger(); l.Appended == 0 || l.Sent == 0 || l.Pending() == 0 || lines == 0 || openPlans == 0 {
			t.Fatalf("the events do not reach everything: %+v, %d lines, %d open", l, lines, openPlans)
		}
	}
}

func shipped(t *testing.T) (dir string, o Options, want event.Ledger) {
	t.Helper()
	dir = t.TempDir()
	o = lazily(testOptions(t.TempDir()))
	o.SegmentSize = 4_000
	l := mustOpen(t, dir, o)
	for _, ev := range shipments(11) {
		if _, err := l.Append(ev); err != nil {
			t.Fatal(err)
		}
	}
	want = l.Ledger()
	mustClose(t, l)
	return dir, o, want
}

func TestTheLastSegmentAloneHasTheWholeLedger(t *testing.T) {
	dir, o, want := shipped(t)
	list := names(t, dir)
	for _, name := range list[:len(list)-1] {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		l := mustOpen(t, dir, o)
		if got := l.Ledger(); !sameLedger(got, want) {
			t.Fatalf("without %s:\ngot  %+v\nwant %+v", name, got, want)
		}
		mustClose(t, l)
	}
	if len(names(t, dir)) != 1 {
		t.Fatalf("segments %v", names(t, dir))
	}
}

func TestDamagedHeadersFallBackToAnEarlierOne(t *testing.T) {
	dir, o, want := shipped(t)
	list := names(t, dir)
	for _, name := range slices.Backward(list) {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[40] ^= 1
		if err := os.WriteFile(path, b, 0o640); err != nil {
			t.Fatal(err)
		}
		l := mustOpen(t, dir, o)
		if got := l.Ledger(); !sameLedger(got, want) {
			t.Fatalf("without the header of %s and all after:\ngot  %+v\nwant %+v", name, got, want)
		}
		mustClose(t, l)
	}
	if len(list) < 4 || len(names(t, dir)) != len(list) {
		t.Fatalf("segments %v, before %v", names(t, dir), list)
	}
}

// A header whose two lists differ in length would lead the ledger astray.
func TestAHeaderWithAnImpossibleLedgerIsRefused(t *testing.T) {
	h := &event.SegmentHeader{Ledger: event.Ledger{Open: &event.OpenPlan{Plan: *testPlan("b", event.Range{From: 1, To: 2}, 1), Chunks: make([]event.ChunkState, 2)}}}
	body, err := encodeBody(h)
	if err != nil {
		t.Fatal(err)
	}
	if ev, err := decodeBody(event.KindSegment, body); err == nil {
		t.Fatalf("decoded %+v", ev)
	}
}

func TestInspectAgreesWithTheLog(t *testing.T) {
	dir, _, want := shipped(t)
	in, err := Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	samples := 0
	for _, rec := range readIntact(t, dir) {
		if tick, ok := rec.Event.(*event.Tick); ok {
			samples += len(tick.Samples)
		}
	}
	if in.DeviceID != testContext.DeviceID || in.Series != 4 || in.Samples != samples || in.Records["samples"] != 150 ||
		in.Segments != len(names(t, dir)) || in.Shipped.Acknowledged != want.Sent || in.Shipped.Pending != want.Pending() ||
		in.Shipped.Cursor != want.Cursor() || in.FirstMS != epoch || in.LastMS != epoch+149_000 || len(in.Damage) != 0 {
		t.Fatalf("%+v; ledger %+v", in, want)
	}
}
