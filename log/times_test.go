package eventlog

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"taffrail/internal/event"
	"taffrail/internal/synthetic"
)

// untrusted appends a tick at a boot time whose wall clock shows wall.
func untrusted(t *testing.T, l *Log, boot, wall int64) uint64 {
	t.Helper()
	tick := synthetic.NewDevice(3, 1000, event.Stamp{}, 1).Next()
	tick.Stamp, tick.Trusted = event.Stamp{WallMS: wall, BootMS: boot}, false
	index, err := l.Append(tick)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// effective returns the known times of the ticks that a reader gives.
func effective(t *testing.T, r *Reader) map[uint64]int64 {
	t.Helper()
	defer r.Close()
	records, damage := drain(t, r)
	if len(damage) > 0 {
		t.Fatal(damage[0])
	}
	times := map[uint64]int64{}
	for _, rec := range records {
		if tick, ok := rec.Event.(*event.Tick); ok {
			if ms, known := tick.EffectiveTime(); known {
				times[rec.Index] = ms
			}
		}
	}
	return times
}

func TestReadersKnowWhatIsDecidedLater(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(t.TempDir())
	o.SegmentSize = 600
	l := mustOpen(t, dir, o)
	var waiting []uint64
	for i := range int64(10) {
		waiting = append(waiting, untrusted(t, l, 1000*i, i))
	}
	if got := effective(t, l.NewReader(0)); len(got) != 0 {
		t.Fatalf("times before anything was decided: %v", got)
	}
	decision := &event.Decision{
		BootID: testContext.BootID, Range: event.Range{From: waiting[0], To: waiting[9]},
		Verdict: event.VerdictShift, OffsetMS: epoch, Samples: 10, LastMS: epoch + 9000,
	}
	if _, err := l.Append(&event.Clock{BootID: testContext.BootID, Trusted: true, Decision: decision}); err != nil {
		t.Fatal(err)
	}
	want := map[uint64]int64{}
	for i, index := range waiting {
		want[index] = epoch + 1000*int64(i)
	}
	if got := effective(t, l.NewReader(0)); !maps.Equal(got, want) {
		t.Errorf("a reader of the open log has %v, want %v", got, want)
	}
	taken, err := l.Taken(epoch+3000, epoch+5000)
	if want := map[int64]bool{epoch + 3000: true, epoch + 4000: true, epoch + 5000: true}; err != nil || !maps.Equal(taken, want) {
		t.Errorf("taken %v, %v", taken, err)
	}
	boots, err := l.BootTimes(event.Range{From: waiting[2], To: waiting[4]})
	if err != nil || !slices.Equal(boots, []int64{2000, 3000, 4000}) {
		t.Errorf("boot times %v, %v", boots, err)
	}
	mustClose(t, l)
	if len(names(t, dir)) < 3 {
		t.Fatal("the log has too few segments for this test")
	}
	files := func(path string) *Reader {
		r, err := OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if got := effective(t, files(dir)); !maps.Equal(got, want) {
		t.Errorf("a reader of files has %v, want %v", got, want)
	}
	// Alone, a segment before the decision knows of none.
	if got := effective(t, files(filepath.Join(dir, names(t, dir)[0]))); len(got) != 0 {
		t.Errorf("the first segment alone has %v", got)
	}
	again := mustOpen(t, dir, o)
	if got := effective(t, again.NewReader(0)); !maps.Equal(got, want) {
		t.Errorf("after a restart a reader has %v, want %v", got, want)
	}
	// The decision reaches a reader through the headers too.
	mustClose(t, again)
	for _, name := range names(t, dir)[:len(names(t, dir))-1] {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	last := mustOpen(t, dir, o)
	times := last.Times()
	if d := times.Find(waiting[3], testContext.BootID); d == nil || d.OffsetMS != epoch {
		t.Errorf("after the loss of older segments the decision is %+v", d)
	}
}

func TestLogOfANewerFormatIsSetAside(t *testing.T) {
	state := t.TempDir()
	dir := filepath.Join(state, "log")
	l := mustOpen(t, dir, testOptions(t.TempDir()))
	history{}.append(t, l, script(3, 5, 1)...)
	mustClose(t, l)
	path := filepath.Join(dir, segmentName(1))
	newer, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The checksum does not match then, nor need it: a later format may differ
	// in all but its beginning.
	newer[slices.Index(newer, frameMagic[0])+len(frameMagic)] = FormatVersion + 1
	if err := os.WriteFile(path, newer, 0o640); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir, testOptions(t.TempDir()))
	aside := l.Recovery().Aside
	if len(aside) != 1 {
		t.Fatalf("aside: %v", aside)
	}
	if kept, err := os.ReadFile(filepath.Join(aside[0], segmentName(1))); err != nil || !slices.Equal(kept, newer) {
		t.Errorf("what was set aside has changed: %v", err)
	}
	h := history{}
	h.append(t, l, script(3, 5, 1)...)
	mustClose(t, l)
	h.check(t, readIntact(t, dir))
}
