package eventlog

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"taffrail/internal/event"
	"taffrail/internal/synthetic"
)

// aged is a log of segments of one 10-series tick a minute, the receiver's
// acknowledgements left to the test.
type aged struct {
	*Log
	dir    string
	device *synthetic.Device
}

func newAged(t *testing.T, bounds Retention) *aged {
	t.Helper()
	o := lazily(testOptions(t.TempDir()))
	o.SegmentSize, o.Retention = 4<<10, bounds
	dir := t.TempDir()
	return &aged{
		Log:    mustOpen(t, dir, o),
		dir:    dir,
		device: synthetic.NewDevice(10, 60_000, event.Stamp{WallMS: epoch, BootMS: 60_000}, 1),
	}
}

func (a *aged) ticks(t *testing.T, n int) {
	t.Helper()
	for range n {
		if _, err := a.Append(a.device.Next()); err != nil {
			t.Fatal(err)
		}
	}
}

// ship acknowledges all that is in the log, and settles it.
func (a *aged) ship(t *testing.T) {
	t.Helper()
	ledger := a.Ledger()
	plan := &event.Plan{Batch: "b", Range: event.Range{From: ledger.Cursor() + 1, To: a.LastIndex()},
		Chunks: []event.Chunk{{Samples: int(ledger.Pending())}}}
	settle := &event.Settle{Ranges: []event.Range{plan.Range}}
	for _, ev := range []event.Event{plan, &event.Ack{Batch: "b", Chunks: []int{0}}, settle} {
		if _, err := a.Append(ev); err != nil {
			t.Fatal(err)
		}
	}
}

func (a *aged) bytes(t *testing.T) (total int64) {
	t.Helper()
	for _, name := range names(t, a.dir) {
		info, err := os.Stat(filepath.Join(a.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return total
}

// drops returns the drop events of the log.
func (a *aged) drops(t *testing.T) []*event.Drop {
	t.Helper()
	var all []*event.Drop
	for _, rec := range readIntact(t, a.dir) {
		if d, ok := rec.Event.(*event.Drop); ok {
			all = append(all, d)
		}
	}
	return all
}

func TestRetentionRemovesWhatIsShipped(t *testing.T) {
	a := newAged(t, Retention{MaxBytes: 20 << 10, Ship: true})
	for range 20 {
		a.ticks(t, 100)
		a.ship(t)
	}
	// The bound is looked at when a segment begins; then that one fills.
	if got := a.bytes(t); got > 20<<10+8<<10 || got < 12<<10 {
		t.Errorf("the log takes %d bytes", got)
	}
	if drops := a.drops(t); len(drops) != 0 {
		t.Errorf("drops %+v", drops)
	}
	ledger := a.Ledger()
	if ledger.Pending() != 0 || ledger.Sent != 20*100*10 {
		t.Errorf("%d sent, %d pending", ledger.Sent, ledger.Pending())
	}
	if v := mustVerify(t, a.dir); v.Damaged {
		t.Errorf("%+v", v)
	}
}

func TestRetentionKeepsWhatIsNotShipped(t *testing.T) {
	a := newAged(t, Retention{MaxAge: time.Hour, Ship: true})
	a.ticks(t, 2000)
	before := names(t, a.dir)
	if err := a.Retain(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, a.dir); !slices.Equal(got, before) || len(got) < 5 {
		t.Errorf("%d segments of %d are left", len(got), len(before))
	}
	a.ship(t)
	if err := a.Retain(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, a.dir); len(got) > 3 {
		t.Errorf("%d segments of over an hour are left: %v", len(got), got)
	}
}

func TestRetentionWithoutAReceiverTakesAllForShipped(t *testing.T) {
	a := newAged(t, Retention{MaxAge: 10 * time.Hour})
	a.ticks(t, 5000)
	first := readIntact(t, a.dir)[0]
	header := first.Event.(*event.SegmentHeader)
	newest := a.Ledger().Times.NewestMS
	if age := time.Duration(newest-header.Ledger.Times.NewestMS) * time.Millisecond; age < 10*time.Hour || age > 30*time.Hour {
		t.Errorf("the oldest segment begins %s ago", age)
	}
}

func TestRetentionSaysWhatItDrops(t *testing.T) {
	a := newAged(t, Retention{MaxBytes: 20 << 10, Ship: true})
	a.ticks(t, 300)
	a.ship(t)
	a.ticks(t, 5000)
	drops := a.drops(t)
	if len(drops) == 0 {
		// Early drops may be gone with their segments: the ledger has them all.
		t.Error("no drop is left in the log")
	}
	ledger := a.Ledger()
	kept := uint64(0)
	for _, rec := range readIntact(t, a.dir) {
		if tick, ok := rec.Event.(*event.Tick); ok && rec.Index > ledger.Cursor() {
			kept += uint64(tick.SendableCount())
		}
	}
	if ledger.Dropped == 0 || ledger.Pending() != kept || ledger.Sent == 0 || ledger.Sent+ledger.Dropped+kept != 5300*10 {
		t.Errorf("%d dropped, %d pending, %d in the log, %d sent", ledger.Dropped, ledger.Pending(), kept, ledger.Sent)
	}
	for _, d := range drops {
		if d.Reason != reasonMaxBytes || d.Samples <= 0 || d.Range.To < d.Range.From {
			t.Errorf("%+v", d)
		}
	}
	mustClose(t, a.Log)
	again := mustOpen(t, a.dir, testOptions(t.TempDir()))
	if got := again.Ledger(); !sameLedger(got, ledger) {
		t.Errorf("after a restart the ledger is %+v, was %+v", got, ledger)
	}
}

// What was acknowledged and not settled is kept, and if it must go, it does not
// count as lost.
func TestRetentionKeepsWhatIsNotSettled(t *testing.T) {
	a := newAged(t, Retention{MaxAge: time.Hour, Ship: true})
	a.ticks(t, 2000)
	ledger := a.Ledger()
	plan := &event.Plan{Batch: "b", Range: event.Range{From: 1, To: a.LastIndex()}, Chunks: []event.Chunk{{Lines: 1, Samples: int(ledger.Pending())}}}
	for _, ev := range []event.Event{plan, &event.Ack{Batch: "b", Chunks: []int{0}}} {
		if _, err := a.Append(ev); err != nil {
			t.Fatal(err)
		}
	}
	before := names(t, a.dir)
	if err := a.Retain(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, a.dir); !slices.Equal(got, before) {
		t.Errorf("%d segments of %d are left", len(got), len(before))
	}
	a.opts.Retention.MaxBytes = 8 << 10
	if err := a.Retain(); err != nil {
		t.Fatal(err)
	}
	if got := a.Ledger(); len(names(t, a.dir)) >= len(before) || got.Dropped != 0 || got.Sent != ledger.Pending() {
		t.Errorf("%d dropped, %d sent, %d segments", got.Dropped, got.Sent, len(names(t, a.dir)))
	}
}

// A drop that cannot be written keeps what it would have covered.
func TestNothingIsDroppedUnsaid(t *testing.T) {
	a := newAged(t, Retention{Ship: true})
	a.ticks(t, 3000)
	before := names(t, a.dir)
	a.opts.Retention.MaxBytes = 8 << 10
	failSyncs(t, a.Log)
	if err := a.Retain(); err == nil {
		t.Error("no error")
	}
	if got := names(t, a.dir); !slices.Equal(got, before) {
		t.Errorf("%d segments of %d are left", len(got), len(before))
	}
	a.ticks(t, 10)
	if err := a.Retain(); err != nil {
		t.Errorf("after the disk works again: %v", err)
	}
	if got := len(names(t, a.dir)); got > 4 {
		t.Errorf("%d segments are left", got)
	}
}
