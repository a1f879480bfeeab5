package projections

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"taffrail/internal/event"
	"taffrail/migrations"
)

// epoch is the wall time at which the tests' devices start.
const epoch = event.PlausibleSinceMS + 1_000_000

// memoryLog is a log in memory. Its sources give ticks the times that the
// decisions which are in the log by then give them, as the log itself does.
type memoryLog struct {
	mu      sync.Mutex // guards what follows
	salt    string     // makes the checksums of two logs differ
	records []event.Record
	damaged map[uint64]bool
	failure error // of the next Next
	opened  int
	times   map[*event.Tick]timed
}

type timed struct {
	ms int64
	ok bool
}

func newMemoryLog() *memoryLog {
	return &memoryLog{times: map[*event.Tick]timed{}, damaged: map[uint64]bool{}}
}

// append adds events and returns the index of the last.
func (l *memoryLog) append(segment string, events ...event.Event) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ev := range events {
		index := uint64(len(l.records) + 1)
		l.records = append(l.records, event.Record{
			Index: index, CRC: crc32.ChecksumIEEE(fmt.Append(nil, l.salt, index)), Segment: "/log/" + segment, Event: ev,
		})
	}
	return uint64(len(l.records))
}

func (l *memoryLog) last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.records))
}

// prefix returns a log of the first n records.
func (l *memoryLog) prefix(n int) *memoryLog {
	c := newMemoryLog()
	c.salt, c.records = l.salt, l.records[:n:n]
	return c
}

func (l *memoryLog) open(from uint64) (Source, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened++
	return &memorySource{log: l, next: from}, nil
}

// effective is what the tests have instead of event.Tick.EffectiveTime.
func (l *memoryLog) effective(t *event.Tick) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.times[t]
	return x.ms, x.ok
}

// finalTime returns a tick's time by the decisions among records.
func finalTime(records []event.Record, at uint64, t *event.Tick) timed {
	if t.Trusted {
		return timed{t.WallMS, true}
	}
	for _, rec := range records {
		clock, ok := rec.Event.(*event.Clock)
		if !ok || clock.Decision == nil || clock.Decision.BootID != t.Context.BootID || !covers(clock.Decision, at) {
			continue
		}
		ms, ok := decidedTime(clock.Decision, t.Stamp)
		return timed{ms, ok}
	}
	return timed{}
}

type memorySource struct {
	log  *memoryLog
	next uint64
	tick event.Tick
}

func (s *memorySource) Next() (event.Record, error) {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.failure; err != nil {
		l.failure = nil
		return event.Record{}, err
	}
	for l.damaged[s.next] {
		s.next++
	}
	if s.next > uint64(len(l.records)) {
		return event.Record{}, io.EOF
	}
	rec := l.records[s.next-1]
	if t, ok := rec.Event.(*event.Tick); ok {
		// The tick of the call before is not valid any more.
		clear(s.tick.Samples)
		s.tick.Stamp, s.tick.Trusted, s.tick.Context = t.Stamp, t.Trusted, t.Context
		s.tick.Samples = append(s.tick.Samples[:0], t.Samples...)
		l.times[&s.tick] = finalTime(l.records, rec.Index, t)
		rec.Event = &s.tick
	}
	s.next++
	return rec, nil
}

func (s *memorySource) Close() error {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	delete(s.log.times, &s.tick)
	return nil
}

func options(t testing.TB, l *memoryLog) Options {
	return Options{
		Path: filepath.Join(t.TempDir(), "index.db"), Open: l.open, effective: l.effective, Migrate: migrations.MigrateIndex,
		Retention: -1, MaxBytes: -1,
	}
}

// build makes or goes on with the index and returns its dump.
func build(t testing.TB, o Options) string {
	t.Helper()
	if _, err := Build(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return dumpOf(t, o.Path)
}

func dumpOf(t testing.TB, path string) string {
	t.Helper()
	var b bytes.Buffer
	if err := Dump(context.Background(), path, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// same fails with the first line in which two dumps differ.
func same(t testing.TB, what, want, got string) {
	t.Helper()
	if want == got {
		return
	}
	w, g := bytes.Split([]byte(want), []byte("\n")), bytes.Split([]byte(got), []byte("\n"))
	for i := range max(len(w), len(g)) {
		var a, b []byte
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if !bytes.Equal(a, b) {
			t.Fatalf("%s: line %d\nwant %s\ngot  %s", what, i+1, a, b)
		}
	}
}

// bubble runs fn with an engine that follows the log, in a synctest bubble, and
// stops the engine after it.
func bubble(t *testing.T, o Options, fn func(t *testing.T, e *Engine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e, stop := start(t, o)
		defer stop()
		caughtUp(t, e)
		fn(t, e)
	})
}

// start runs an engine; stop ends it and waits.
func start(t *testing.T, o Options) (e *Engine, stop func()) {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	return e, func() {
		cancel()
		<-done
	}
}

// caughtUp waits in a bubble until the engine has read all of the log.
func caughtUp(t *testing.T, e *Engine) Status {
	t.Helper()
	for range 10_000 {
		if s := e.Status(); s.CaughtUp {
			return s
		}
		time.Sleep(time.Second)
	}
	t.Fatalf("not caught up: %+v", e.Status())
	return Status{}
}

// settled waits in a bubble until the engine has caught up and verified.
func settled(t *testing.T, e *Engine) Status {
	t.Helper()
	for range 10_000 {
		if s := e.Status(); s.CaughtUp && s.Verified {
			return s
		}
		time.Sleep(time.Second)
	}
	t.Fatalf("not settled: %+v", e.Status())
	return Status{}
}

func flush(t *testing.T, e *Engine) {
	t.Helper()
	if err := e.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func engineDump(t *testing.T, e *Engine) string {
	t.Helper()
	var b bytes.Buffer
	if err := e.Dump(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func mustSeries(t testing.TB, name string, typ event.Type, pairs ...string) *event.Series {
	t.Helper()
	var labels []event.Label
	for i := 0; i < len(pairs); i += 2 {
		labels = append(labels, event.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	s, err := event.NewSeries(name, typ, 0, labels...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// queryAll returns what Query yields, and fails where it is out of order.
func queryAll(t *testing.T, e *Engine, match func(*event.Series) bool) []Row {
	t.Helper()
	var rows []Row
	err := e.Query(t.Context(), match, math.MinInt64, math.MaxInt64, func(r Row) bool {
		rows = append(rows, r)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(rows); i++ {
		a, b := rows[i-1], rows[i]
		if cmp.Or(cmp.Compare(a.TimeMS, b.TimeMS), cmp.Compare(a.SeriesID, b.SeriesID), cmp.Compare(a.Index, b.Index)) >= 0 {
			t.Fatalf("row %d is out of order or stands twice: %+v after %+v", i, b, a)
		}
	}
	return rows
}

// expected returns what an index of the log has to answer: lines of time, index,
// series, bits and text, sorted.
func expected(records []event.Record) []string {
	var lines []string
	for _, rec := range records {
		t, ok := rec.Event.(*event.Tick)
		if !ok {
			continue
		}
		final := finalTime(records, rec.Index, t)
		if !final.ok {
			continue
		}
		for _, s := range t.Samples {
			lines = append(lines, sampleLine(final.ms, rec.Index, s.Series, s.Value, s.Text))
		}
	}
	slices.Sort(lines)
	return lines
}

func sampleLine(ms int64, idx uint64, s *event.Series, v float64, text string) string {
	return fmt.Sprintf("%d %d %s %s %016x %q", ms, idx, s, s.Type, math.Float64bits(v), text)
}

func linesOf(rows []Row) []string {
	var lines []string
	for _, r := range rows {
		lines = append(lines, sampleLine(r.TimeMS, r.Index, r.Series, r.Value, r.Text))
	}
	slices.Sort(lines)
	return lines
}

// sameRows compares what the engine answers with what the log holds.
func sameRows(t *testing.T, e *Engine, l *memoryLog) {
	t.Helper()
	l.mu.Lock()
	want := expected(l.records)
	l.mu.Unlock()
	got := linesOf(queryAll(t, e, anySeries))
	if slices.Equal(want, got) {
		return
	}
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			t.Fatalf("%d rows, want %d; status %+v; first difference at %d:\nwant %v\ngot  %v", len(got), len(want), e.Status(), i,
				want[min(i, len(want)):min(i+1, len(want))], got[min(i, len(got)):min(i+1, len(got))])
		}
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
