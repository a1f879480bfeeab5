package projections

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"taffrail/internal/event"
)

// What retention leaves is the same however the log was cut into transactions,
// and when it is read in one go.
func TestRetentionIsAFunctionOfTheLog(t *testing.T) {
	for seed := range uint64(2) {
		for _, bound := range []struct {
			retention time.Duration
			bytes     int64
		}{{time.Hour, -1}, {5 * time.Minute, -1}, {-1, 20_000}, {-1, 1}} {
			t.Run(fmt.Sprintf("seed %d %s %d", seed, bound.retention, bound.bytes), func(t *testing.T) {
				story := newStory(t, 200+seed)
				o := options(t, story.l)
				o.Retention, o.MaxBytes, o.MaxSamples = bound.retention, bound.bytes, 60
				var live string
				bubble(t, o, func(t *testing.T, e *Engine) {
					for range 20 {
						story.live(12)
						flush(t, e)
					}
					settled(t, e)
					live = engineDump(t, e)
				})
				if strings.Count(live, "\nrecords ") > 130 {
					t.Fatal("nothing was removed")
				}
				for _, samples := range []int{1, 100_000} {
					again := options(t, story.l)
					again.Retention, again.MaxBytes, again.MaxSamples = bound.retention, bound.bytes, samples
					same(t, fmt.Sprintf("transactions of %d", samples), build(t, again), live)
				}
			})
		}
	}
}

func TestRetentionByAge(t *testing.T) {
	l := newMemoryLog()
	appendTicks(t, l, 100, 2) // one a second
	o := options(t, l)
	o.Retention = 10 * time.Second
	build(t, o)
	if got := column(t, o.Path, "SELECT (SELECT min(idx) || '-' || max(idx) || ' ' || count(*) FROM records) || ', ' || (SELECT min(idx) || ' ' || count(*) FROM samples) || ', ' || (SELECT group_concat(file) FROM segments) || ', ' || (SELECT cut_idx FROM state)"); got != "90-100 11, 90 22, 00000000000000000001, 89" {
		t.Fatal(got)
	}
	// The index may be kept longer from now on: what is gone stays gone.
	o.Retention = -1
	appendTicks(t, l, 5, 2)
	build(t, o)
	if got := column(t, o.Path, "SELECT min(idx) || '-' || max(idx) FROM records"); got != "90-105" {
		t.Fatal(got)
	}
}

// A clock that was wrong by years, and trusted, does not empty the index once it
// is right again.
func TestRetentionAfterABogusTime(t *testing.T) {
	l := newClockLog(t)
	for i := range 20 {
		l.tick("a", true, epoch+int64(i)*1000, int64(i))
	}
	l.tick("a", true, epoch+1e12, 50)
	for i := range 20 {
		l.tick("b", true, epoch+int64(60+i)*1000, int64(i))
	}
	o := options(t, l.memoryLog)
	o.Retention = 10 * time.Minute
	build(t, o)
	if got := column(t, o.Path, "SELECT min(idx) || '-' || max(idx) FROM records"); got != "21-41" {
		t.Fatal(got)
	}
}

// Many ticks without a time do not keep those behind them from going.
func TestRetentionOfUntimed(t *testing.T) {
	l := newClockLog(t)
	l.tick("a", true, epoch, 1)
	for i := range pruneTicks + 100 {
		l.tick("b", false, int64(i), int64(i))
	}
	l.tick("c", true, epoch+1000, 1)
	o := options(t, l.memoryLog)
	o.Retention = 10 * time.Second
	build(t, o)
	l.tick("c", true, epoch+11_500, 2)
	build(t, o)
	if got := column(t, o.Path, "SELECT min(idx) || ' ' || count(*) FROM records"); got != fmt.Sprintf("%d 1", pruneTicks+103) {
		t.Fatal(got)
	}
}

// An acknowledgement that comes after its ticks are gone leaves no checkpoint.
func TestRetentionOfCheckpoints(t *testing.T) {
	l := newMemoryLog()
	appendTicks(t, l, 10, 1)
	l.append("1", &event.Plan{Batch: "late", Range: event.Range{From: 1, To: 10}, Chunks: []event.Chunk{{Lines: 1}}})
	appendTicks(t, l, 100, 1)
	o := options(t, l)
	o.Retention = 10 * time.Second
	build(t, o)
	if got := column(t, o.Path, "SELECT count(*) || '' FROM upload_checkpoints"); got != "1" {
		t.Fatalf("%s checkpoints of an open batch", got)
	}
	l.append("1", &event.Ack{Batch: "late", Chunks: []int{0}})
	want := build(t, o)
	if got := column(t, o.Path, "SELECT count(*) || '' FROM upload_checkpoints"); got != "0" {
		t.Fatalf("%s checkpoints are left", got)
	}
	again := options(t, l)
	again.Retention = o.Retention
	same(t, "in one go", want, build(t, again))
}

// The file stays near the bound.
func TestRetentionBySize(t *testing.T) {
	l := newMemoryLog()
	o := options(t, l)
	o.MaxBytes, o.MaxSamples = 1<<20, 5000
	for range 20 {
		appendTicks(t, l, 120, 50)
		build(t, o)
	}
	info, err := os.Stat(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() < 700<<10 || info.Size() > 1400<<10 {
		t.Fatalf("the database has %d bytes", info.Size())
	}
}
