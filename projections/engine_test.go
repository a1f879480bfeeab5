package projections

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"taffrail/internal/event"
)

// ticks appends n ticks of samples each.
func appendTicks(t testing.TB, l *memoryLog, n, samples int) {
	t.Helper()
	series := make([]*event.Series, samples)
	for i := range series {
		series[i] = mustSeries(t, fmt.Sprintf("s%d_bytes", i), event.Counter)
	}
	ctx := &event.Context{SessionID: "r", BootID: "b", DeviceID: "d"}
	for range n {
		at := int64(l.last())
		tick := &event.Tick{Stamp: event.Stamp{WallMS: epoch + at*1000, BootMS: at * 1000}, Trusted: true, Context: ctx}
		for i, s := range series {
			tick.Samples = append(tick.Samples, event.Sample{Series: s, Value: float64(at)*1.5 + float64(i)})
		}
		l.append(fmt.Sprintf("%020d", at/50), tick)
	}
}

// A transaction is made when the oldest record has waited long enough, or when
// enough wait; before, queries are answered from memory.
func TestCommitByLagAndSize(t *testing.T) {
	l := newMemoryLog()
	o := options(t, l)
	o.MaxLag, o.MaxSamples = time.Minute, 100
	bubble(t, o, func(t *testing.T, e *Engine) {
		began := time.Now()
		appendTicks(t, l, 1, 10)
		if n := len(queryAll(t, e, anySeries)); n != 10 {
			t.Fatalf("%d rows", n)
		}
		if s := e.Status(); s.Position.Index != 0 || s.Head.Index != 1 || s.Waiting != 11 {
			t.Fatalf("status %+v", s)
		}
		time.Sleep(59 * time.Second)
		appendTicks(t, l, 1, 10)
		queryAll(t, e, anySeries)
		if s := e.Status(); s.Position.Index != 0 {
			t.Fatalf("written after %s", time.Since(began))
		}
		time.Sleep(3 * time.Second)
		if s := e.Status(); s.Position.Index != 2 || s.Waiting != 0 || s.LastCommit.Sub(began) > 62*time.Second {
			t.Fatalf("not written after a minute: %+v", s)
		}
		appendTicks(t, l, 12, 10)
		sameRows(t, e, l)
		if s := e.Status(); s.Position.Index != 12 || s.Head.Index != 14 {
			t.Fatalf("not written with 100 waiting: %+v", s)
		}
		flush(t, e)
		if s := e.Status(); s.Position.Index != 14 || s.Position != s.Head {
			t.Fatalf("status %+v", s)
		}
		sameRows(t, e, l)
	})
}

// A stop writes what was appended until then and leaves no WAL.
func TestStopWritesAll(t *testing.T) {
	l := newMemoryLog()
	o := options(t, l)
	bubble(t, o, func(t *testing.T, e *Engine) { appendTicks(t, l, 30, 3) })
	if _, err := os.Stat(o.Path + "-wal"); err == nil {
		t.Fatal("a WAL is left")
	}
	opened := l.opened
	same(t, "after a stop", build(t, options(t, l)), dumpOf(t, o.Path))
	if opened != 1 {
		t.Fatalf("the log was opened %d times", opened)
	}
}

// A commit that fails loses nothing: what was in memory is read again.
func TestCommitFails(t *testing.T) {
	l := newMemoryLog()
	o := options(t, l)
	bubble(t, o, func(t *testing.T, e *Engine) {
		appendTicks(t, l, 5, 3)
		flush(t, e)
		e.mu.Lock()
		db := e.db
		e.mu.Unlock()
		// A full disk, as far as SQLite can tell.
		if _, err := db.conn.ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
			t.Fatal(err)
		}
		appendTicks(t, l, 500, 20)
		if err := e.Flush(t.Context()); err == nil {
			t.Fatal("written to a full disk")
		}
		time.Sleep(time.Millisecond)
		if s := e.Status(); s.Rebuilds != 0 || s.LastError == nil {
			t.Fatalf("status %+v", s)
		}
		time.Sleep(time.Minute)
		flush(t, e)
		if s := e.Status(); s.Rebuilds != 0 || s.LastError != nil {
			t.Fatalf("status %+v", s)
		}
		sameRows(t, e, l)
	})
	same(t, "after a failed commit", build(t, options(t, l)), dumpOf(t, o.Path))
}

// The WAL is cut on a timer and above a size, and a reader that is in the way
// only delays that.
func TestWALIsCut(t *testing.T) {
	l := newMemoryLog()
	o := options(t, l)
	o.MaxSamples, o.CheckpointSize, o.CheckpointInterval = 200, 100_000, 10*time.Minute
	bubble(t, o, func(t *testing.T, e *Engine) {
		e.mu.Lock()
		db := e.db
		e.mu.Unlock()
		settled(t, e)
		appendTicks(t, l, 2, 10)
		flush(t, e) // what the migrations wrote is cut away
		appendTicks(t, l, 2, 10)
		flush(t, e)
		if db.walSize() == 0 {
			t.Fatalf("nothing in the WAL: %+v", e.Status())
		}
		time.Sleep(11 * time.Minute)
		if s := e.Status(); db.walSize() != 0 || s.LastCheckpoint.Busy || s.LastCheckpoint.At.IsZero() {
			t.Fatalf("WAL of %d bytes after the interval: %+v", db.walSize(), s)
		}
		for range 40 {
			appendTicks(t, l, 30, 10)
			flush(t, e)
			if size := db.walSize(); size > 100_000 {
				t.Fatalf("WAL of %d bytes", size)
			}
		}
		tx, err := db.read.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM records").Scan(&n); err != nil {
			t.Fatal(err)
		}
		for db.walSize() <= 100_000 {
			appendTicks(t, l, 30, 10)
			flush(t, e)
		}
		if s := e.Status(); !s.LastCheckpoint.Busy || s.LastError != nil {
			t.Fatalf("with a reader: %+v", s)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if s := e.Status(); db.walSize() != 0 || s.LastCheckpoint.Busy {
			t.Fatalf("after the reader: %d bytes, %+v", db.walSize(), s.LastCheckpoint)
		}
	})
}

// What a query took from the head is left out where the database has it by then.
func TestNoRowTwiceOverACommit(t *testing.T) {
	l := newMemoryLog()
	appendTicks(t, l, 10, 3)
	e, err := New(options(t, l))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.session(t.Context(), func(ctx context.Context, w *writer, source Source) error {
		for range 6 {
			rec, err := source.Next()
			if err == nil {
				err = w.add(rec)
			}
			if err != nil {
				return err
			}
			if rec.Index == 4 {
				if err := w.commit(ctx); err != nil {
					return err
				}
			}
		}
		head, marks := w.head.view()
		if err := w.commit(ctx); err != nil {
			return err
		}
		return w.db.reading(ctx, func(ctx context.Context, tx *sql.Tx) error {
			q := &query{match: anySeries, until: 1 << 62}
			page, _, err := q.ticks(ctx, tx, head, marks)
			if len(page) != 6 {
				t.Errorf("%d ticks of 6", len(page))
			}
			return err
		})
	}); err != nil {
		t.Fatal(err)
	}
}

// Without a WAL nothing of what the settings promise holds.
func TestNoWAL(t *testing.T) {
	e, err := New(options(t, newMemoryLog()))
	if err != nil {
		t.Fatal(err)
	}
	err = e.session(t.Context(), func(ctx context.Context, w *writer, _ Source) error {
		if _, err := w.db.conn.ExecContext(ctx, "PRAGMA journal_mode = DELETE"); err != nil {
			return err
		}
		_, err := w.db.checkpoint(ctx)
		return err
	})
	if rebuildReason(err) != "corrupt" {
		t.Fatalf("error %v", err)
	}
}

// While readers are at work and the engine is stopped, both come to their end.
func TestQueriesBesideCommits(t *testing.T) {
	story := newStory(t, 31)
	l := story.live(300)
	o := options(t, l)
	o.MaxSamples = 50
	bubble(t, o, func(t *testing.T, e *Engine) {
		done := make(chan error)
		for range 3 {
			go func() {
				var err error
				for range 10 {
					if _, err = e.Pending(t.Context()); err != nil {
						break
					}
					last := int64(-1 << 62)
					if err = e.Query(t.Context(), anySeries, 0, 1<<62, func(r Row) bool {
						if r.TimeMS < last {
							err = fmt.Errorf("%d after %d", r.TimeMS, last)
						}
						last = r.TimeMS
						return true
					}); err != nil {
						break
					}
				}
				done <- err
			}()
		}
		for range 20 {
			story.live(3)
			time.Sleep(time.Second)
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestSegments(t *testing.T) {
	l := newMemoryLog()
	appendTicks(t, l, 60, 2)
	l.append("00000000000000000001", &event.Reject{Stamp: event.Stamp{WallMS: epoch + 77}})
	o := options(t, l)
	o.MaxSamples = 40
	build(t, o)
	want := fmt.Sprintf("0 1-50 0-49000 records 50 ticks 50 samples 100 texts 0 first %d, 1 51-61 50000-77 records 11 ticks 10 samples 20 texts 0 first %d",
		l.records[0].CRC, l.records[50].CRC)
	if got := column(t, o.Path, fmt.Sprintf(`SELECT group_concat(CAST(file AS INTEGER) || ' ' || first_idx || '-' || last_idx || ' ' ||
		(first_ms - %d) || '-' || (last_ms - %[1]d) || ' records ' || records || ' ticks ' || ticks || ' samples ' || samples ||
		' texts ' || texts || ' first ' || first_crc, ', ') FROM segments`, int64(epoch))); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestOptionsRequired(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Fatal("an engine without a path")
	}
	o := options(t, newMemoryLog())
	o.Retention, o.MaxBytes = 0, 0
	o, err := o.withDefaults()
	if err != nil || o.MaxLag != 10*time.Minute || o.MaxSamples != 100_000 || o.Retention != 7*24*time.Hour || o.MaxBytes != 256<<20 ||
		o.CheckpointInterval != time.Hour || o.CheckpointSize != 64<<20 {
		t.Fatalf("defaults: %+v, %v", o, err)
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Pending(t.Context()); err == nil {
		t.Fatal("a count before Run")
	}
}

// No file of the database stays open: SQLite would unlink the next one's WAL
// when the forgotten connection goes.
func TestNothingStaysOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // only Linux tells
	}
	story := newStory(t, 51)
	l := story.live(100)
	o := options(t, l)
	o.MaxSamples = 60
	bubble(t, o, func(t *testing.T, e *Engine) {
		settled(t, e)
		for i := range 3 {
			story.live(30)
			sameRows(t, e, l)
			flush(t, e)
			if i == 1 {
				if err := os.Remove(o.Path); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Minute)
		}
	})
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil && strings.HasPrefix(to, o.Path) {
			t.Errorf("%s is open", to)
		}
	}
}
