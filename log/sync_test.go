package eventlog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"taffrail/internal/event"
)

// failSyncs puts /dev/null in the place of the open segment, which takes every
// write and refuses every fsync, as a card does that has just died.
func failSyncs(t *testing.T, l *Log) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	links, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		to, _ := os.Readlink(filepath.Join("/proc/self/fd", link.Name()))
		if to != l.segment.path {
			continue
		}
		fd, err := strconv.Atoi(link.Name())
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Dup3(int(null.Fd()), fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("%s is not open", l.segment.path)
}

func isUnsynced(l *Log) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lazy != nil
}

func TestTicksAreSyncedWithinTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(t.TempDir())
		o.SyncInterval = 10 * time.Second
		l := mustOpen(t, t.TempDir(), o)
		events := script(3, 5, 1)
		h := history{}
		for i := range 3 {
			h.append(t, l, events[1+i])
			if !isUnsynced(l) {
				t.Fatal("a tick was synced at once")
			}
			time.Sleep(o.SyncInterval - time.Millisecond)
			synctest.Wait()
			if i == 0 && !isUnsynced(l) {
				t.Fatal("synced before the interval was over")
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if isUnsynced(l) {
				t.Fatal("not synced when the interval was over")
			}
		}
		h.append(t, l, events[4])
		if err := l.Sync(); err != nil || isUnsynced(l) {
			t.Fatalf("Sync: %v", err)
		}
		h.append(t, l, events[5])
		mustClose(t, l)
	})
}

func TestAllButTicksAreSyncedAtOnceWithWhatIsBeforeThem(t *testing.T) {
	plan := testPlan("b", event.Range{From: 1, To: 2}, 1)
	for _, ev := range []event.Event{plan, &event.Ack{Batch: "b", Chunks: []int{0}}, script(1, 0, 1)[0], &event.Unknown{Of: 77, Body: []byte{0xc0}}} {
		l := mustOpen(t, t.TempDir(), lazily(testOptions(t.TempDir())))
		h := history{}
		h.append(t, l, script(3, 1, 1)[1], ev)
		if isUnsynced(l) {
			t.Fatalf("a %s left something to be synced", ev.Kind())
		}
		failSyncs(t, l)
		refused(t, l, ev)
	}
}

func TestWithoutAnIntervalEveryAppendIsSynced(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, testOptions(t.TempDir()))
	events := script(3, 20, 1)
	h := history{}
	accepted(t, l, h, events[:5]...)
	failSyncs(t, l)
	refused(t, l, events[5])
	// The file whose fsync failed is not written again.
	first := len(files(t, dir)[segmentName(1)])
	accepted(t, l, h, events[5:]...)
	mustClose(t, l)
	if n := len(files(t, dir)[segmentName(1)]); n != first || len(names(t, dir)) != 2 {
		t.Fatalf("%d bytes became %d, segments %v", first, n, names(t, dir))
	}
	h.check(t, readIntact(t, dir))
}

// What was answered for before a sync fails is written once more.
func TestAFailedSyncInTheBackgroundLosesNothing(t *testing.T) {
	for _, after := range []int{0, 14} { // with and without an append behind it
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			o := testOptions(t.TempDir())
			o.SyncInterval = time.Second
			l := mustOpen(t, dir, o)
			events := script(3, 20, 1)[:6+after]
			h := history{}
			accepted(t, l, h, events[:5]...)
			time.Sleep(2500 * time.Millisecond)
			accepted(t, l, h, events[5])
			failSyncs(t, l)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if l.Failure() == nil {
				t.Fatal("Failure is not set")
			}
			if after > 0 {
				accepted(t, l, h, events[6:]...)
			}
			ledger := l.Ledger()
			mustClose(t, l)
			var want, got []event.Stamp
			for _, ev := range events {
				want = append(want, ev.At())
			}
			samples := uint64(0)
			for _, rec := range readIntact(t, dir) {
				if rec.Event.Kind() != event.KindSegment {
					got = append(got, rec.Event.At())
				}
				if tick, ok := rec.Event.(*event.Tick); ok {
					samples += uint64(tick.SendableCount())
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("the log holds %v, want %v", got, want)
			}
			if after > 0 && ledger.Appended != samples {
				t.Fatalf("the ledger counts %d samples, the log holds %d", ledger.Appended, samples)
			}
			if n := len(names(t, dir)); n != 2 {
				t.Fatalf("%d segments", n)
			}
		})
	}
}

// A rotation whose last fsync fails is reported, and the next append succeeds.
func TestASyncThatFailsWhenASegmentIsClosed(t *testing.T) {
	for _, size := range []int64{1, 2_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := t.TempDir()
			o := testOptions(t.TempDir())
			o.SegmentSize = size
			l := mustOpen(t, dir, o)
			events := script(3, 60, 1)
			h := history{}
			i := 0
			for ; i == 0 || l.size < size; i++ {
				accepted(t, l, h, events[i])
			}
			failSyncs(t, l)
			refused(t, l, events[i])
			accepted(t, l, h, events[i:]...)
			mustClose(t, l)
			h.check(t, readIntact(t, dir))
			if v := mustVerify(t, dir); v.Damaged || len(v.Gaps) > 0 {
				t.Fatalf("%+v", v)
			}
		})
	}
}
