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
	"math/rand/v2"
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

// finalLocked returns a tick's time by the decisions among records.
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

// story writes the life of a device into a log: boots with and without trust,
// sessions that end in each way, uploads that are taken, in part and not, and
// values of every kind.
type story struct {
	l       *memoryLog
	r       *rand.Rand
	t       testing.TB
	wall    int64
	boot    int64
	ctx     *event.Context
	bootNo  int
	runNo   int
	fileNo  int
	file    string
	trusted bool
	ledger  event.Ledger
	series  []*event.Series
	held    uint64 // first tick that has no time, 0: none
	cursor  uint64
	plan    *event.Plan
}

func newStory(t testing.TB, seed uint64) *story {
	s := &story{l: newMemoryLog(), r: rand.New(rand.NewPCG(seed, 7)), t: t, wall: epoch, boot: 1000}
	for i := range 12 {
		typ := []event.Type{event.Gauge, event.Counter, event.Text}[i%3]
		s.series = append(s.series, mustSeries(t, fmt.Sprintf("thing.%d_bytes", i), typ, "a", fmt.Sprint(i), "ü", `"x"`))
	}
	s.reboot()
	return s
}

func (s *story) add(ev event.Event) uint64 { return s.l.append(s.file, ev) }

func (s *story) stamp() event.Stamp { return event.Stamp{WallMS: s.wall, BootMS: s.boot} }

func (s *story) reboot() {
	s.bootNo++
	s.boot = 500
	s.trusted = s.r.IntN(2) == 0
	if !s.trusted && s.r.IntN(2) == 0 {
		s.wall = 5000 // 1970
	} else {
		s.wall = epoch + int64(s.bootNo)*1e9
	}
	if s.held > 0 {
		s.decide(event.Range{From: s.held, To: s.l.last()}, []string{event.VerdictAsIs, event.VerdictUnknown}[s.r.IntN(2)], epoch+int64(s.bootNo-1)*1e9-500)
		s.held = 0
	}
	s.restart()
}

func (s *story) restart() {
	s.runNo++
	boot := fmt.Sprintf("boot-%d", s.bootNo)
	s.ctx = &event.Context{SessionID: fmt.Sprintf("run-%d", s.runNo), BootID: boot, DeviceID: "buoy-7",
		Tags: event.Labels{{Name: "site", Value: "pier"}}}
	s.rotate()
	s.add(&event.Session{Stamp: s.stamp(), Phase: event.SessionStart, ID: s.ctx.SessionID, BootID: boot, DeviceID: "buoy-7", Tags: s.ctx.Tags.Map(), Version: "1"})
}

func (s *story) rotate() {
	s.fileNo++
	s.file = fmt.Sprintf("%020d", s.l.last()+1)
	s.add(&event.SegmentHeader{Stamp: s.stamp(), Format: 1, DeviceID: "buoy-7", Tags: s.ctx.Tags.Map(),
		Session: s.ctx.SessionID, BootID: s.ctx.BootID, Version: "1", Ledger: event.Ledger{Acknowledged: slices.Clone(s.ledger.Acknowledged)}})
}

func (s *story) value() float64 {
	switch s.r.IntN(12) {
	case 0:
		return math.Float64frombits(0x7ff8_0000_0000_0000 | uint64(s.r.IntN(1<<30)))
	case 1:
		return math.Inf(1 - 2*s.r.IntN(2))
	case 2:
		return math.Copysign(0, -1)
	case 3:
		return math.Float64frombits(s.r.Uint64() &^ (1 << 62))
	case 4:
		return float64(int64(1)<<53 + int64(s.r.IntN(4)))
	case 5, 6:
		return float64(s.r.IntN(1e6)) / 100
	}
	return float64(s.r.IntN(1000) - 100)
}

func (s *story) tick() {
	step := 1 + int64(s.r.IntN(10_000))
	s.wall, s.boot = s.wall+step, s.boot+step
	tick := &event.Tick{Stamp: s.stamp(), Trusted: s.trusted, Context: s.ctx}
	if i := s.r.IntN(60); i < len(s.series) {
		old := s.series[i] // its type changes, or it is a new pointer only
		n, err := event.NewSeries(old.Name, event.Type(s.r.IntN(3)), 0, old.Labels...)
		if err != nil {
			s.t.Fatal(err)
		}
		s.series[i] = n
	}
	for _, i := range s.r.Perm(len(s.series)) {
		if s.r.IntN(3) == 0 {
			continue
		}
		sample := event.Sample{Series: s.series[i]}
		if sample.Series.Type == event.Text {
			sample.Text = fmt.Sprintf("text %d", s.r.IntN(5))
		} else {
			sample.Value = s.value()
		}
		tick.Samples = append(tick.Samples, sample)
	}
	idx := s.add(tick)
	if !s.trusted && s.held == 0 {
		s.held = idx
	}
}

func (s *story) decide(r event.Range, verdict string, offset int64) {
	s.add(&event.Clock{Stamp: s.stamp(), BootID: s.ctx.BootID, Trusted: s.trusted, Source: "kernel",
		Decision: &event.Decision{BootID: s.ctx.BootID, Range: r, Verdict: verdict, OffsetMS: offset}})
}

// sync makes the clock trusted.
func (s *story) sync() {
	if s.trusted {
		return
	}
	s.trusted = true
	s.wall = epoch + int64(s.bootNo)*1e9 + s.boot
	if s.held > 0 {
		s.decide(event.Range{From: s.held, To: s.l.last()}, event.VerdictShift, s.wall-s.boot)
	}
	s.held = 0
}

// upload plans a batch, or acknowledges chunks of the one that is open.
func (s *story) upload() {
	if s.plan == nil || s.r.IntN(6) == 0 {
		if s.cursor >= s.l.last() || s.held > 0 {
			return
		}
		p := &event.Plan{Stamp: s.stamp(), Batch: fmt.Sprintf("batch-%d", s.l.last()), DeviceID: "buoy-7",
			Range: event.Range{From: s.cursor + 1, To: s.l.last()}}
		for range 1 + s.r.IntN(3) {
			p.Chunks = append(p.Chunks, event.Chunk{Lines: 5, Samples: 9, Bytes: 100, SHA256: bytes.Repeat([]byte{byte(s.r.IntN(256))}, 32)})
		}
		s.plan = p
		s.add(p)
		return
	}
	ack := &event.Ack{Stamp: s.stamp(), Batch: s.plan.Batch}
	for i := range s.plan.Chunks {
		if s.r.IntN(3) > 0 {
			ack.Chunks = append(ack.Chunks, i)
		}
	}
	if len(ack.Chunks) == len(s.plan.Chunks) {
		s.cursor = s.plan.Range.To
		s.ledger.Acknowledged.Add(s.plan.Range)
		s.plan = nil
	}
	s.add(ack)
}

// live lets n things happen.
func (s *story) live(n int) *memoryLog {
	for range n {
		switch x := s.r.IntN(100); {
		case x < 70:
			s.tick()
		case x < 82:
			s.upload()
		case x < 85:
			s.sync()
		case x < 88:
			s.rotate()
		case x < 91:
			if s.r.IntN(2) == 0 {
				s.add(&event.Session{Stamp: s.stamp(), Phase: event.SessionEnd, ID: s.ctx.SessionID, BootID: s.ctx.BootID, DeviceID: "buoy-7", Reason: "stopped"})
			}
			s.restart()
		case x < 93:
			s.reboot()
		case x < 95:
			s.add(&event.Reject{Stamp: s.stamp(), Range: event.Range{From: 1, To: 2}, Samples: 3, Reason: event.ReasonTimeUnknown})
		case x < 96:
			s.add(&event.Drop{Stamp: s.stamp(), Range: event.Range{From: 1, To: s.l.last() / 3}, Samples: 3, Reason: "full"})
		case x < 97:
			s.add(&event.Unknown{Stamp: s.stamp(), Of: 77, Body: []byte{1}})
		}
	}
	return s.l
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
