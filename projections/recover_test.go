package projections

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taffrail/internal/event"
)

// damages are what can have happened to an index while nobody looked.
var damages = []struct {
	name   string
	reason string // of setting aside; "": whatever fits
	do     func(t *testing.T, path string)
}{
	{"missing", "none", func(t *testing.T, path string) { remove(t, path) }},
	{"empty file", "none", func(t *testing.T, path string) { write(t, path, nil) }},
	{"no database", "corrupt", func(t *testing.T, path string) { write(t, path, bytes.Repeat([]byte("no database "), 999)) }},
	{"a directory", "unreadable", func(t *testing.T, path string) {
		remove(t, path)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}},
	{"later version", "newer", func(t *testing.T, path string) {
		alter(t, path, "PRAGMA user_version = 999", "INSERT INTO schema_version VALUES (999, 'x', '')")
	}},
	{"later version in the header alone", "newer", func(t *testing.T, path string) { alter(t, path, "PRAGMA user_version = 999") }},
	{"another program's", "foreign", func(t *testing.T, path string) {
		alter(t, path, "PRAGMA application_id = 1")
	}},
	{"a table is gone", "corrupt", func(t *testing.T, path string) { alter(t, path, "DROP TABLE sessions") }},
	{"a view is gone", "corrupt", func(t *testing.T, path string) { alter(t, path, "DROP VIEW metrics") }},
	{"a column is new", "corrupt", func(t *testing.T, path string) { alter(t, path, "ALTER TABLE records ADD COLUMN x") }},
	{"rows without a position", "corrupt", func(t *testing.T, path string) { alter(t, path, "DELETE FROM state") }},
	{"position behind the end", "past_end", func(t *testing.T, path string) { setPosition(t, path, 100_000, 1) }},
	{"position with another checksum", "foreign", func(t *testing.T, path string) { setPosition(t, path, 3, 1) }},
	{"a sample is gone", "corrupt", func(t *testing.T, path string) {
		alter(t, path, "DELETE FROM samples WHERE idx = (SELECT max(idx) FROM samples)")
	}},
	{"a sample is of no record", "corrupt", func(t *testing.T, path string) {
		alter(t, path, "INSERT INTO samples VALUES (999999, 1, 1)")
	}},
	{"a value is another", "corrupt", func(t *testing.T, path string) {
		alter(t, path, "UPDATE samples SET value = 17.25 WHERE idx = (SELECT min(idx) FROM samples)")
	}},
	{"a time is another", "corrupt", func(t *testing.T, path string) {
		alter(t, path, "UPDATE records SET ts_ms = 5 WHERE idx = (SELECT min(idx) FROM records)")
	}},
	{"a text is another", "corrupt", func(t *testing.T, path string) {
		alter(t, path, "UPDATE events SET text = 'x' WHERE idx = (SELECT min(idx) FROM events)")
	}},
	{"a text is gone", "corrupt", func(t *testing.T, path string) {
		alter(t, path, "DELETE FROM events WHERE kind = 'text' AND idx = (SELECT min(idx) FROM events WHERE kind = 'text')")
	}},
	{"a rejected sample is gone", "corrupt", func(t *testing.T, path string) {
		alter(t, path, "DELETE FROM rejected WHERE idx = (SELECT min(idx) FROM rejected)")
	}},
	{"a rejected sample is another", "corrupt", func(t *testing.T, path string) {
		alter(t, path, "UPDATE rejected SET series_id = 999 WHERE (idx, series_id) IN (SELECT idx, series_id FROM rejected LIMIT 1)")
	}},
	{"a rejected sample is of no record", "corrupt", func(t *testing.T, path string) {
		edit(t, path, func(db *sql.DB) {
			row := withSum(int64(999_999), int64(1))
			if _, err := db.ExecContext(t.Context(), "INSERT INTO rejected VALUES (?, ?, ?)", row...); err != nil {
				t.Fatal(err)
			}
		})
	}},
	{"the batches at work are no JSON", "corrupt", func(t *testing.T, path string) {
		edit(t, path, func(db *sql.DB) {
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			s := newState()
			if err := s.load(t.Context(), conn); err != nil {
				t.Fatal(err)
			}
			s.uploads = "{"
			if err := s.flush(t.Context(), conn); err != nil {
				t.Fatal(err)
			}
			if err := s.table.stmt.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}},
	{"a chunk is another", "corrupt", func(t *testing.T, path string) {
		alter(t, path, "UPDATE upload_checkpoints SET state = 'acknowledged'")
	}},
	{"a session ended otherwise", "corrupt", func(t *testing.T, path string) {
		alter(t, path, "UPDATE sessions SET ended = 'completed' WHERE n = 1")
	}},
	{"an index differs from its table", "corrupt", misindex},
	{"a series has another name", "corrupt", func(t *testing.T, path string) {
		alter(t, path, "UPDATE series SET name = 'x' WHERE id = 1")
	}},
}

func TestDamageIsRebuilt(t *testing.T) {
	l := newStory(t, 5).live(300)
	pristine := options(t, l)
	want := build(t, pristine)
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			o := options(t, l)
			copyFile(t, pristine.Path, o.Path)
			d.do(t, o.Path)
			bubble(t, o, func(t *testing.T, e *Engine) {
				status := settled(t, e)
				same(t, d.name, want, engineDump(t, e))
				if d.reason == "none" {
					if status.Rebuilds != 0 {
						t.Fatalf("set aside as %s", status.LastReason)
					}
					return
				}
				if status.Rebuilds != 1 || status.LastReason != d.reason {
					t.Fatalf("set aside %d times, as %q, want once as %q", status.Rebuilds, status.LastReason, d.reason)
				}
				if _, err := os.Stat(status.LastAside); err != nil || !strings.Contains(status.LastAside, "index.db."+d.reason+"-2000") {
					t.Fatalf("set aside as %q: %v", status.LastAside, err)
				}
			})
		})
	}
}

// Whatever bit flips, the index is rebuilt or was not touched by it.
func TestFlippedBits(t *testing.T) {
	l := newStory(t, 6).live(300)
	pristine := options(t, l)
	want := build(t, pristine)
	whole, err := os.ReadFile(pristine.Path)
	if err != nil {
		t.Fatal(err)
	}
	const seed = 11
	r := rand.New(rand.NewPCG(seed, 0))
	rebuilds := 0
	for range 40 {
		b := bytes.Clone(whole)
		bit := r.IntN(8 * len(b))
		b[bit/8] ^= 1 << (bit % 8)
		rebuilds += survives(t, l, want, fmt.Sprintf("bit %d of byte %d", bit%8, bit/8), b)
	}
	// About half of so small a database is free space within its pages.
	if rebuilds < 15 {
		t.Fatalf("%d of 40 flips were noticed", rebuilds)
	}
}

func TestTruncatedDatabase(t *testing.T) {
	l := newStory(t, 6).live(200)
	pristine := options(t, l)
	want := build(t, pristine)
	whole, err := os.ReadFile(pristine.Path)
	if err != nil {
		t.Fatal(err)
	}
	const seed = 12
	r := rand.New(rand.NewPCG(seed, 0))
	for range 15 {
		n := 1 + r.IntN(len(whole)-1)
		if survives(t, l, want, fmt.Sprintf("cut at %d", n), whole[:n]) == 0 {
			t.Fatalf("a database cut at %d of %d bytes was taken", n, len(whole))
		}
	}
}

// survives starts an engine on a database and returns how often it was rebuilt.
func survives(t *testing.T, l *memoryLog, want, what string, database []byte) (rebuilds int) {
	t.Helper()
	o := options(t, l)
	write(t, o.Path, database)
	bubble(t, o, func(t *testing.T, e *Engine) {
		rebuilds = settled(t, e).Rebuilds
		same(t, what, want, engineDump(t, e))
	})
	return rebuilds
}

// Removing the files under a running engine leads to new ones with the same
// content, also when new things keep coming.
func TestRemovedWhileRunning(t *testing.T) {
	for i, names := range [][]string{{"", "-wal", "-shm"}, {""}, {"-wal"}, {"-wal"}} {
		story := newStory(t, 9)
		l := story.live(200)
		o := options(t, l)
		var live string
		bubble(t, o, func(t *testing.T, e *Engine) {
			settled(t, e)
			flush(t, e)
			for _, suffix := range names {
				remove(t, o.Path+suffix)
				if i == 3 {
					write(t, o.Path+suffix, nil) // another file in its place
				}
			}
			story.live(20)
			time.Sleep(10 * time.Second)
			story.live(20)
			if s := settled(t, e); s.Rebuilds != 1 || s.LastReason != "removed" {
				t.Fatalf("after removing %q: %+v", names, s)
			}
			live = engineDump(t, e)
		})
		same(t, fmt.Sprintf("removed %q", names), live, dumpOf(t, o.Path))
		same(t, fmt.Sprintf("removed %q", names), build(t, options(t, l)), live)
	}
}

// A kill in the middle of a rebuild leaves an index that goes on.
func TestKillsDuringRebuild(t *testing.T) {
	l := newStory(t, 10).live(400)
	want := build(t, options(t, l))
	o := options(t, l)
	o.MaxSamples = 50
	for n := 0; n < int(l.last()); n += int(l.last()) / 20 {
		ctx, cancel := context.WithCancel(t.Context())
		cut := o
		// The log fails in the middle of a transaction, as a kill would.
		cut.Open = func(from uint64) (Source, error) {
			s, err := l.open(from)
			return &failing{s, n, cancel}, err
		}
		if _, err := Build(ctx, cut); err == nil {
			t.Fatal("the log did not fail")
		}
		cancel()
	}
	same(t, "after twenty kills", want, build(t, o))
}

type failing struct {
	Source
	after  int
	cancel func()
}

func (f *failing) Next() (event.Record, error) {
	rec, err := f.Source.Next()
	if err == nil && rec.Index > uint64(f.after) {
		return rec, errors.New("killed")
	}
	return rec, err
}

// The index of another log is not taken for this one's, and one that is, is
// taken although the record at its position is damaged by now.
func TestWhoseIndex(t *testing.T) {
	story := newStory(t, 13)
	l := story.live(100)
	o := options(t, l)
	build(t, o)

	other := newMemoryLog()
	other.salt, other.records = "other", l.records
	for i := range other.records {
		other.records[i].CRC++
	}
	taken := options(t, other)
	copyFile(t, o.Path, taken.Path)
	status, err := Build(t.Context(), taken)
	if err != nil || status.LastReason != "foreign" {
		t.Fatalf("another log's index: %+v, %v", status, err)
	}
	for i := range l.records {
		l.records[i].CRC-- // the slice is shared
	}

	at := l.last()
	l.damaged[at] = true
	story.tick()
	story.live(10)
	status, err = Build(t.Context(), o)
	if next := column(t, o.Path, fmt.Sprintf("SELECT min(idx) || '' FROM records WHERE idx > %d", at)); next != fmt.Sprint(at+1) {
		t.Fatalf("behind record %d the index goes on with %s", at, next)
	}
	if err != nil || status.Rebuilds != 0 {
		t.Fatalf("damaged at the position: %+v, %v", status, err)
	}
	// With no record left that it knows, it cannot vouch for itself.
	for i := range l.last() {
		l.damaged[i+1] = true
	}
	story.live(10)
	status, err = Build(t.Context(), o)
	if err != nil || status.LastReason != "foreign" {
		t.Fatalf("nothing known is left: %+v, %v", status, err)
	}
}

// Trouble with the log is waited out, with no rebuild and no end of Run.
func TestLogFails(t *testing.T) {
	story := newStory(t, 14)
	l := story.live(50)
	o := options(t, l)
	o.MinBackoff = 10 * time.Second
	bubble(t, o, func(t *testing.T, e *Engine) {
		l.mu.Lock()
		l.failure = errors.New("card pulled out")
		l.mu.Unlock()
		story.live(20)
		time.Sleep(2 * time.Second)
		if s := e.Status(); s.LastError == nil || !strings.Contains(s.LastError.Error(), "read log: card pulled out") || s.Ready {
			t.Fatalf("status %+v", s)
		}
		if _, err := e.Pending(t.Context()); !errors.Is(err, ErrNotReady) {
			t.Fatalf("a query in between: %v", err)
		}
		time.Sleep(20 * time.Second)
		if s := e.Status(); s.LastError != nil || s.Rebuilds != 0 || !s.CaughtUp {
			t.Fatalf("status %+v", s)
		}
		sameRows(t, e, l)
	})
}

// A lock that another program holds is waited out too.
func TestLockedByAnother(t *testing.T) {
	l := newStory(t, 15).live(50)
	o := options(t, l)
	build(t, o)
	bubble(t, o, func(t *testing.T, e *Engine) {
		other, err := pool(o.Path, false)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		conn, err := other.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
			t.Fatal(err)
		}
		l.append("00000000000000000001", &event.Reject{Reason: "x"})
		if err := e.Flush(t.Context()); err == nil {
			t.Fatal("written under another's lock")
		}
		if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		other.Close()
		time.Sleep(time.Minute)
		flush(t, e)
		if s := e.Status(); s.Rebuilds != 0 || s.Position.Index != l.last() {
			t.Fatalf("status %+v", s)
		}
	})
}

func TestSetAsideKeepsTwo(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "index.db")
	write(t, path+".old", nil) // not ours to remove
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for i := range 5 {
		write(t, path, []byte{byte(i)})
		write(t, path+"-wal", nil)
		if _, err := setAside(path, "past_end", now.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := "index.db.old index.db.past_end-20260504T030501.000Z index.db.past_end-20260504T030501.000Z-wal " +
		"index.db.past_end-20260504T030601.000Z index.db.past_end-20260504T030601.000Z-wal"
	if got := strings.Join(names, " "); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if to, err := setAside(path, "removed", now); to != "" || err != nil {
		t.Fatalf("nothing there: %q, %v", to, err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// edit calls fn with a database that nobody else has open.
func edit(t *testing.T, path string, fn func(db *sql.DB)) {
	t.Helper()
	db, err := pool(path, false)
	if err != nil {
		t.Fatal(err)
	}
	fn(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func alter(t *testing.T, path string, statements ...string) {
	t.Helper()
	edit(t, path, func(db *sql.DB) {
		for _, text := range statements {
			if _, err := db.ExecContext(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// misindex gives a row another time, with a right checksum, behind the back of
// the index over the times.
func misindex(t *testing.T, path string) {
	t.Helper()
	var text string
	var page int64
	edit(t, path, func(db *sql.DB) {
		if err := db.QueryRowContext(t.Context(), "SELECT sql, rootpage FROM sqlite_schema WHERE name = 'records_by_time'").Scan(&text, &page); err != nil {
			t.Fatal(err)
		}
	})
	alter(t, path, "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'records_by_time'")
	edit(t, path, func(db *sql.DB) {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		r := newRecords()
		if err := r.change(t.Context(), conn, func(row []any) bool {
			row[colTime] = intOf(row[colTime]) + 1
			return true
		}, "ts_ms IS NOT NULL AND idx > ? AND idx <= ?", 0, 20); err != nil {
			t.Fatal(err)
		}
		if err := r.update.Close(); err != nil {
			t.Fatal(err)
		}
	})
	alter(t, path, fmt.Sprintf("PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES ('index', 'records_by_time', 'records', %d, '%s')", page, text))
}

// setPosition moves an index to another position, with a right checksum.
func setPosition(t *testing.T, path string, idx uint64, crc uint32) {
	t.Helper()
	edit(t, path, func(db *sql.DB) {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s := newState()
		if err := s.load(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		s.position = Position{Index: idx, CRC: crc}
		if err := s.flush(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
	})
}
