package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"taffrail/internal/event"
	"taffrail/internal/synthetic"
)

// epoch is the wall time at which the tests' devices start.
const epoch = event.PlausibleSinceMS + 1_000_000

var testContext = event.Context{
	SessionID: "3f0c9b1e-5a52-4e61-9f0e-1d2c3b4a5f60",
	BootID:    "b8a1f6d2-0c3e-4b7d-8e9f-a0b1c2d3e4f5",
	DeviceID:  "buoy-7",
	Tags:      event.Labels{{Name: "owner", Value: "Küste \"N\""}, {Name: "site", Value: "pier 4"}},
}

func testOptions(torn string) Options {
	return Options{
		Context: testContext,
		Version: "1.2.3",
		TornDir: torn,
		Now:     func() event.Stamp { return event.Stamp{WallMS: epoch, BootMS: 5_000} },
	}
}

// lazily is for tests that append much and lose nothing to a power cut.
func lazily(o Options) Options {
	o.SyncInterval = time.Hour
	return o
}

func mustOpen(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// history is what was appended, by index.
type history map[uint64]event.Event

func (h history) append(t testing.TB, l *Log, events ...event.Event) {
	t.Helper()
	for _, ev := range events {
		index, err := l.Append(ev)
		if err != nil {
			t.Fatal(err)
		}
		if index != l.LastIndex() {
			t.Fatalf("Append returned %d, LastIndex %d", index, l.LastIndex())
		}
		if _, twice := h[index]; twice {
			t.Fatalf("index %d was given twice", index)
		}
		h[index] = copyEvent(ev)
	}
}

// check compares what was appended with what was read, headers left out.
func (h history) check(t testing.TB, records []event.Record) {
	t.Helper()
	got := 0
	for _, rec := range records {
		if rec.Event.Kind() == event.KindSegment {
			continue
		}
		got++
		want, ok := h[rec.Index]
		if !ok {
			t.Fatalf("record %d (%s) was never acknowledged", rec.Index, rec.Event.Kind())
		}
		if diff := difference(want, rec.Event); diff != "" {
			t.Fatalf("record %d: %s", rec.Index, diff)
		}
	}
	if got != len(h) {
		t.Fatalf("%d records read, %d appended", got, len(h))
	}
}

// copyEvent returns a copy that stays valid after the reader's next call.
func copyEvent(ev event.Event) event.Event {
	if tick, ok := ev.(*event.Tick); ok {
		c := *tick
		c.Samples = slices.Clone(tick.Samples)
		return &c
	}
	return ev
}

// difference says in what two events differ, values compared bit by bit and a
// tick's samples as a set; "" when they are the same.
func difference(want, got event.Event) string {
	w, ok := want.(*event.Tick)
	if !ok {
		if w, ok := want.(*event.Unknown); ok {
			got, ok := got.(*event.Unknown)
			if !ok || got.Of != w.Of || string(got.Body) != string(w.Body) {
				return fmt.Sprintf("want %+v, got %+v", w, got)
			}
			return ""
		}
		if !reflect.DeepEqual(want, got) {
			return fmt.Sprintf("want %+v, got %+v", want, got)
		}
		return ""
	}
	g, ok := got.(*event.Tick)
	switch {
	case !ok:
		return fmt.Sprintf("want a tick, got %T", got)
	case w.Stamp != g.Stamp || w.Trusted != g.Trusted:
		return fmt.Sprintf("want %+v trusted %t, got %+v trusted %t", w.Stamp, w.Trusted, g.Stamp, g.Trusted)
	case len(w.Samples) != len(g.Samples):
		return fmt.Sprintf("want %d samples, got %d", len(w.Samples), len(g.Samples))
	}
	have := map[string]event.Sample{}
	for _, s := range g.Samples {
		have[s.Series.Key()] = s
	}
	for _, s := range w.Samples {
		h, ok := have[s.Series.Key()]
		switch {
		case !ok:
			return fmt.Sprintf("%s is missing", s.Series)
		case h.Series.Type != s.Series.Type || h.Series.Decimals != s.Series.Decimals || !slices.Equal(h.Series.Labels, s.Series.Labels):
			return fmt.Sprintf("want %+v, got %+v", s.Series, h.Series)
		case s.Series.Type == event.Text && h.Text != s.Text:
			return fmt.Sprintf("%s: want %q, got %q", s.Series, s.Text, h.Text)
		case s.Series.Type != event.Text && math.Float64bits(h.Value) != math.Float64bits(s.Value):
			return fmt.Sprintf("%s: want %v (%016x), got %v (%016x)", s.Series, s.Value, math.Float64bits(s.Value), h.Value, math.Float64bits(h.Value))
		}
	}
	return ""
}

// readAll returns every record and every damage that a reader of path finds.
func readAll(t testing.TB, path string) ([]event.Record, []*CorruptionError) {
	t.Helper()
	r, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return drain(t, r)
}

// drain reads until io.EOF and fails where a reader goes on for ever.
func drain(t testing.TB, r *Reader) (records []event.Record, damage []*CorruptionError) {
	t.Helper()
	for range 1_000_000 {
		rec, err := r.Next()
		if err == io.EOF {
			return records, damage
		}
		var c *CorruptionError
		if errors.As(err, &c) {
			damage = append(damage, c)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		rec.Event = copyEvent(rec.Event)
		records = append(records, rec)
	}
	t.Fatal("the reader does not come to an end")
	return nil, nil
}

func readIntact(t testing.TB, path string) []event.Record {
	t.Helper()
	records, damage := readAll(t, path)
	for _, d := range damage {
		t.Fatal(d)
	}
	return records
}

// script is a log in small: a session, ticks, a plan and an ack every 25 ticks,
// an event of a kind from the future, the session's end.
func script(series, ticks int, seed uint64) []event.Event {
	start := event.Stamp{WallMS: epoch, BootMS: 5_000}
	d := synthetic.NewDevice(series, 1000, start, seed)
	session := event.Session{
		Stamp: start, Phase: event.SessionStart, ID: testContext.SessionID, BootID: testContext.BootID,
		DeviceID: testContext.DeviceID, Tags: testContext.Tags.Map(), Version: "1.2.3",
	}
	events := []event.Event{&session}
	for i := range ticks {
		tick := copyEvent(d.Next()).(*event.Tick)
		tick.Trusted = i%7 != 3
		events = append(events, tick)
		if i%25 == 24 {
			plan := testPlan(fmt.Sprintf("batch-%d", i), event.Range{From: uint64(i), To: uint64(i + 3)}, 2)
			events = append(events, plan, &event.Ack{Stamp: tick.Stamp, Batch: plan.Batch, Chunks: []int{0, 1}, Samples: plan.Samples()})
		}
	}
	end := session
	end.Phase, end.Reason = event.SessionEnd, "stopped"
	return append(events, &event.Unknown{Of: 200, Body: []byte{0x81, 0xa1, 'x', 0x07}}, &end)
}

func testPlan(batch string, r event.Range, chunks int) *event.Plan {
	p := &event.Plan{
		Stamp: event.Stamp{WallMS: epoch, BootMS: 6_000}, Batch: batch, Range: r, Renderer: 1,
		DeviceID: testContext.DeviceID, Tags: testContext.Tags.Map(), LineSamples: 1000,
	}
	for i := range chunks {
		p.Chunks = append(p.Chunks, event.Chunk{Lines: 50 + i, Samples: 100 + i, Bytes: 4000 + i, SHA256: slices.Repeat([]byte{byte(i)}, 32)})
	}
	return p
}

// files returns the names and contents of the files in dir.
func files(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string][]byte{}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		m[e.Name()] = b
	}
	return m
}

// names returns the names of the files in dir, in order.
func names(t testing.TB, dir string) []string {
	return slices.Sorted(maps.Keys(files(t, dir)))
}

// writeFiles makes a directory of the given files.
func writeFiles(t testing.TB, dir string, contents map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, b := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

func mustSeries(t testing.TB, name string, typ event.Type, decimals uint8, labels ...event.Label) *event.Series {
	t.Helper()
	s, err := event.NewSeries(name, typ, decimals, labels...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// entry returns the frame as it stands in a file.
func entry(frame []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(frame))), frame...)
}
