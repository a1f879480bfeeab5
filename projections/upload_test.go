package projections

import (
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"taffrail/internal/event"
)

// uploadFixture is a log with numbers, texts, a NaN and an infinity in each of
// two ticks.
type uploadFixture struct {
	l    *memoryLog
	ctx  *event.Context
	wall int64
}

func newUploadFixture(t *testing.T) *uploadFixture {
	f := &uploadFixture{l: newMemoryLog(), wall: epoch}
	f.ctx = &event.Context{SessionID: "run-1", BootID: "boot-1", DeviceID: "buoy-7"}
	f.l.append("00000000000000000001",
		&event.SegmentHeader{Stamp: event.Stamp{WallMS: epoch}, DeviceID: "buoy-7", Session: "run-1", BootID: "boot-1"},
		&event.Session{Stamp: event.Stamp{WallMS: epoch}, Phase: event.SessionStart, ID: "run-1", BootID: "boot-1", DeviceID: "buoy-7"})
	f.tick(t)
	f.tick(t)
	return f
}

func (f *uploadFixture) tick(t *testing.T) uint64 {
	f.wall += 1000
	return f.l.append("00000000000000000001", &event.Tick{Stamp: event.Stamp{WallMS: f.wall}, Trusted: true, Context: f.ctx, Samples: []event.Sample{
		{Series: mustSeries(t, "cpu.usage_percent", event.Gauge, "core", "0"), Value: 12.5},
		{Series: mustSeries(t, "system.kernel", event.Text), Text: "6.1.0-rpi"},
		{Series: mustSeries(t, "disk.read_bytes_total", event.Counter), Value: 4096},
		{Series: mustSeries(t, "sensor.broken_celsius", event.Gauge), Value: math.NaN()},
		{Series: mustSeries(t, "sensor.hot_celsius", event.Gauge), Value: math.Inf(1)},
	}})
}

// plan appends a plan of chunks over the records from to to.
func (f *uploadFixture) plan(batch string, from, to uint64, chunks int) {
	p := &event.Plan{Stamp: event.Stamp{WallMS: f.wall + 1}, Batch: batch, Range: event.Range{From: from, To: to}}
	for i := range chunks {
		p.Chunks = append(p.Chunks, event.Chunk{Lines: 1 + i, Samples: 2 + i, Bytes: 100 + i, SHA256: []byte{byte(i), 0xfe}})
	}
	f.l.append("00000000000000000001", p)
}

func (f *uploadFixture) ack(batch string, chunks ...int) {
	f.l.append("00000000000000000001", &event.Ack{Stamp: event.Stamp{WallMS: f.wall + 2}, Batch: batch, Chunks: chunks})
}

func unuploaded(t *testing.T, e *Engine, limit int) string {
	t.Helper()
	var names []string
	if err := e.QueryUnuploaded(t.Context(), limit, func(r Row) bool {
		names = append(names, fmt.Sprintf("%d:%s", r.Index, r.Series.Name))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func pending(t *testing.T, e *Engine) int64 {
	t.Helper()
	n, err := e.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// inHeadAndStored runs fn twice: with everything in memory, and with everything
// in the database.
func inHeadAndStored(t *testing.T, f *uploadFixture, fn func(t *testing.T, e *Engine, sync func())) {
	for _, stored := range []bool{false, true} {
		t.Run(map[bool]string{false: "in memory", true: "in the database"}[stored], func(t *testing.T) {
			// A log of its own for each run.
			was := f.l.records
			f.l.records = slices.Clone(was)
			defer func() { f.l.records = was }()
			bubble(t, options(t, f.l), func(t *testing.T, e *Engine) {
				sync := func() {
					if stored {
						flush(t, e)
					}
				}
				sync()
				fn(t, e, sync)
			})
		})
	}
}

func TestQueryUnuploaded_FiltersStringMetrics(t *testing.T) {
	inHeadAndStored(t, newUploadFixture(t), func(t *testing.T, e *Engine, _ func()) {
		want := "3:cpu.usage_percent 3:disk.read_bytes_total 4:cpu.usage_percent 4:disk.read_bytes_total"
		if got := unuploaded(t, e, 100); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
		if got := unuploaded(t, e, 3); got != want[:strings.LastIndex(want, " ")] {
			t.Fatalf("with a limit of 3: %s", got)
		}
	})
}

func TestGetPendingCount_FiltersStringMetrics(t *testing.T) {
	f := newUploadFixture(t)
	inHeadAndStored(t, f, func(t *testing.T, e *Engine, sync func()) {
		if n := pending(t, e); n != 4 {
			t.Fatalf("%d samples pending, want 4: the numbers, without text, NaN and infinity", n)
		}
		f.plan("b1", 1, 3, 1)
		f.ack("b1", 0)
		if n := pending(t, e); n != 2 {
			t.Fatalf("%d samples pending after an acknowledgement, want 2", n)
		}
		sync()
		if n := pending(t, e); n != 2 {
			t.Fatalf("%d samples pending after a commit, want 2", n)
		}
	})
}

func TestUploadMetrics_StringMetricsRemainInStorage(t *testing.T) {
	f := newUploadFixture(t)
	inHeadAndStored(t, f, func(t *testing.T, e *Engine, sync func()) {
		f.plan("b1", 1, 4, 2)
		f.ack("b1", 0, 1)
		sync()
		if n, names := pending(t, e), unuploaded(t, e, 100); n != 0 || names != "" {
			t.Fatalf("%d pending: %s", n, names)
		}
		var texts, uploaded int
		for _, r := range queryAll(t, e, anySeries) {
			if r.Text == "6.1.0-rpi" && !r.Uploaded {
				texts++
			}
			if r.Uploaded {
				uploaded++
			}
		}
		if texts != 2 || uploaded != 4 {
			t.Fatalf("%d texts are left and %d samples uploaded, want 2 and 4", texts, uploaded)
		}
		flush(t, e)
		read(t, e, func(tx *sql.Tx) {
			wantInt(t, tx, 2, "SELECT count(*) FROM events WHERE kind = 'text' AND text = '6.1.0-rpi'")
			wantInt(t, tx, 0, "SELECT count(*) FROM samples JOIN series ON id = series_id WHERE type = 'text'")
			wantInt(t, tx, 2, "SELECT count(*) FROM metrics WHERE value_text = '6.1.0-rpi' AND uploaded = 0")
			wantInt(t, tx, 4, "SELECT count(*) FROM metrics WHERE uploaded = 1")
		})
	})
}

// A failed upload leaves a plan and nothing else: no sample is marked.
func TestFailedUploadMarksNothing(t *testing.T) {
	f := newUploadFixture(t)
	inHeadAndStored(t, f, func(t *testing.T, e *Engine, sync func()) {
		f.plan("b1", 1, 4, 3)
		sync()
		f.ack("another batch", 0, 1, 2)
		f.ack("b1", 0, 2, 7, -1)
		sync()
		if n := pending(t, e); n != 4 {
			t.Fatalf("%d pending, want 4: chunk 1 was not taken", n)
		}
		for _, r := range queryAll(t, e, anySeries) {
			if r.Uploaded {
				t.Fatalf("%s of record %d counts as uploaded", r.Series, r.Index)
			}
		}
		// The batch is planned anew: what was taken of the first is void.
		f.plan("b1", 1, 4, 2)
		f.ack("b1", 1)
		sync()
		if n := pending(t, e); n != 4 {
			t.Fatalf("%d pending, want 4: chunk 0 of the new plan was not taken", n)
		}
		f.ack("b1", 0)
		sync()
		if n := pending(t, e); n != 0 {
			t.Fatalf("%d pending, want 0", n)
		}
	})
}

// Checkpoints are there with batch and chunk after a restart, and go on.
func TestCheckpointsPersist(t *testing.T) {
	f := newUploadFixture(t)
	f.plan("b0", 1, 3, 1) // replaced
	f.plan("b1", 1, 4, 3)
	f.ack("b1", 1)
	o := options(t, f.l)
	build(t, o)
	chunks := func() (lines []string) {
		edit(t, o.Path, func(db *sql.DB) {
			if err := eachRow(t.Context(), db, func(row []any) error {
				lines = append(lines, fmt.Sprint(row...))
				return nil
			}, `SELECT batch_id || '/' || chunk_index || ' ' || from_idx || '-' || to_idx || ' ' || first_line || ' ' || lines || ' ' ||
				samples || ' ' || bytes || ' ' || hex(sha256) || ' ' || state || ' ' || acknowledged || ' ' || rejected || ' ' || planned_ms || ' ' || ifnull(acknowledged_ms, 'never')
				FROM upload_checkpoints ORDER BY plan_idx, chunk_index`); err != nil {
				t.Fatal(err)
			}
		})
		return lines
	}
	at, later := f.wall+1, f.wall+2
	want := []string{
		fmt.Sprintf("b0/0 1-3 0 1 2 100 00FE replaced 0 0 %d never", at),
		fmt.Sprintf("b1/0 1-4 0 1 2 100 00FE planned 0 0 %d never", at),
		fmt.Sprintf("b1/1 1-4 1 2 3 101 01FE acknowledged 3 0 %d %d", at, later),
		fmt.Sprintf("b1/2 1-4 3 3 4 102 02FE planned 0 0 %d never", at),
	}
	if got := chunks(); !slices.Equal(got, want) {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	f.ack("b1", 0, 2)
	build(t, o)
	for i, c := range chunks()[1:] {
		if !strings.Contains(c, "acknowledged") {
			t.Fatalf("chunk %d after the restart: %s", i, c)
		}
	}
	bubble(t, o, func(t *testing.T, e *Engine) {
		if n := pending(t, e); n != 0 {
			t.Fatalf("%d pending", n)
		}
	})
}

// A record that takes several batches is uploaded with the last of them; a
// segment's header is believed where acknowledgements are damaged; what was
// deleted unsent is not pending.
func TestAcknowledgedOtherwise(t *testing.T) {
	f := newUploadFixture(t)
	inHeadAndStored(t, f, func(t *testing.T, e *Engine, sync func()) {
		f.l.append("00000000000000000001", &event.Plan{Batch: "half", Range: event.Range{From: 1, To: 3}, More: true, Chunks: []event.Chunk{{Lines: 1, Samples: 1}}})
		f.ack("half", 0)
		sync()
		if n := pending(t, e); n != 4 {
			t.Fatalf("%d pending, want 4: lines of record 3 are left", n)
		}
		f.l.append("00000000000000000001", &event.Plan{Batch: "rest", Range: event.Range{From: 1, To: 3}, FirstLine: 1, Chunks: []event.Chunk{{Lines: 1, Samples: 1}}})
		f.ack("rest", 0)
		sync()
		if n := pending(t, e); n != 2 {
			t.Fatalf("%d pending, want 2", n)
		}
		fifth := f.tick(t)
		sync()
		f.l.append("00000000000000000999", &event.SegmentHeader{DeviceID: "buoy-7", Session: "run-1", BootID: "boot-1",
			Ledger: event.Ledger{Acknowledged: event.RangeSet{{From: 1, To: 4}}}})
		sync()
		if got := unuploaded(t, e, 100); got != fmt.Sprintf("%d:cpu.usage_percent %[1]d:disk.read_bytes_total", fifth) {
			t.Fatalf("unuploaded: %s", got)
		}
		f.l.append("00000000000000000999", &event.Drop{Range: event.Range{From: 1, To: fifth}, Samples: 2, Reason: "full"})
		sync()
		if n := pending(t, e); n != 0 {
			t.Fatalf("%d pending after a drop", n)
		}
		for _, r := range queryAll(t, e, anySeries) {
			if r.Uploaded != (r.Index < fifth && (r.Series.Name == "cpu.usage_percent" || r.Series.Name == "disk.read_bytes_total")) {
				t.Fatalf("uploaded: %+v", r)
			}
		}
	})
}

// A reject of single samples waits for its transaction as everything does, unless
// someone asks: on a card, each costs more than what it says.
func TestRejectIsWrittenWhenAsked(t *testing.T) {
	f := newUploadFixture(t)
	o := options(t, f.l)
	bubble(t, o, func(t *testing.T, e *Engine) {
		flush(t, e)
		before := e.Status().Position
		f.plan("b", 1, 4, 2)
		f.add(line("b", 1, 0, 1, cpuKey, f.wall-1000, f.wall-1000))
		time.Sleep(time.Minute)
		if s := e.Status(); s.Position != before || s.Head.Index != f.l.last() {
			t.Fatalf("written without a reason: %+v", s)
		}
		if got, want := unuploaded(t, e, 100), "3:disk.read_bytes_total 4:cpu.usage_percent 4:disk.read_bytes_total"; got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
		if got, want := unuploaded(t, e, 2), "3:disk.read_bytes_total 4:cpu.usage_percent"; got != want {
			t.Fatalf("with a limit of 2: %s", got)
		}
		if n := pending(t, e); n != 3 {
			t.Fatalf("%d pending", n)
		}
	})
}

// read calls fn with a read transaction on an engine's database.
func read(t *testing.T, e *Engine, fn func(tx *sql.Tx)) {
	t.Helper()
	db, _, _, err := e.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.read.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	fn(tx)
}

func wantInt(t *testing.T, tx *sql.Tx, want int64, query string, args ...any) {
	t.Helper()
	var got int64
	if err := tx.QueryRowContext(t.Context(), query, args...).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("%s: %d, want %d", query, got, want)
	}
}
