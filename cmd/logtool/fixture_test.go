package main

import (
	"bytes"
	"math"
	"path/filepath"
	"testing"
	"time"

	"taffrail/internal/event"
	"taffrail/internal/synthetic"
	eventlog "taffrail/log"
)

// The clocks of the fixture: session one starts at 2026-07-01T12:00:00Z, ticks
// are ten seconds apart, session two starts an hour later.
const (
	fixtureStart = 1782907200000
	fixtureStep  = 10_000
	fixtureHour  = 3_600_000
)

// device appends what a device does to a log, on clocks that it moves itself.
type device struct {
	log  *eventlog.Log
	at   event.Stamp
	ctx  event.Context
	fail func(error)
}

// runSession opens the log in dir and lets one session append to it.
func runSession(dir, id string, segmentSize int64, start event.Stamp, fail func(error), session func(*device)) {
	tags, err := event.NewLabels(event.Label{Name: "site", Value: "Kiel"}, event.Label{Name: "owner", Value: "a \"b\" \x1b[2J"})
	if err != nil {
		fail(err)
	}
	d := &device{at: start, fail: fail, ctx: event.Context{
		SessionID: id,
		BootID:    "boot-of-" + id,
		DeviceID:  "edge-7",
		Tags:      tags,
	}}
	d.log, err = eventlog.Open(dir, eventlog.Options{
		SegmentSize:  segmentSize,
		SyncInterval: time.Hour,
		Context:      d.ctx,
		Version:      "1.2.3",
		Now:          func() event.Stamp { return d.at },
	})
	if err != nil {
		fail(err)
	}
	session(d)
	if err := d.log.Close(); err != nil {
		fail(err)
	}
}

func (d *device) append(ev event.Event) uint64 {
	index, err := d.log.Append(ev)
	if err != nil {
		d.fail(err)
	}
	return index
}

func (d *device) session(phase, reason string) {
	d.append(&event.Session{
		Stamp: d.at, Phase: phase, ID: d.ctx.SessionID, BootID: d.ctx.BootID,
		DeviceID: d.ctx.DeviceID, Tags: d.ctx.Tags.Map(), Version: "1.2.3", Reason: reason,
	})
}

// tick appends samples and moves the clocks on.
func (d *device) tick(samples ...event.Sample) uint64 {
	index := d.append(&event.Tick{Stamp: d.at, Trusted: true, Samples: samples})
	d.at.WallMS += fixtureStep
	d.at.BootMS += fixtureStep
	return index
}

// writeFixture writes the log that most scripts read: two sessions, the first
// with four ticks, a plan, an acknowledgement, a kind of the future and an end,
// the second with two ticks and no end.
func writeFixture(dir string, segmentSize int64, fail func(error)) {
	series := func(name string, typ event.Type, decimals uint8, labels ...event.Label) *event.Series {
		s, err := event.NewSeries(name, typ, decimals, labels...)
		if err != nil {
			fail(err)
		}
		return s
	}
	cpu0 := series("cpu.usage_percent", event.Gauge, 2, event.Label{Name: "core", Value: "0"})
	cpu1 := series("cpu.usage_percent", event.Gauge, 2, event.Label{Name: "core", Value: "1"})
	bytesIn := series("network.receive_bytes_total", event.Counter, 0, event.Label{Name: "interface", Value: "eth0"})
	kernel := series("system.kernel", event.Text, 0)
	odd := series("textfile.odd", event.Gauge, 0,
		event.Label{Name: "a", Value: "say \"hi\", \x1b[31mred\u009b0m"}, event.Label{Name: "b", Value: "two\nlines"})

	start := event.Stamp{WallMS: fixtureStart, BootMS: 60_000}
	runSession(dir, "alpha-1", segmentSize, start, fail, func(d *device) {
		d.session(event.SessionStart, "")
		d.tick(
			event.Sample{Series: cpu0, Value: 12.34},
			event.Sample{Series: cpu1, Value: 0},
			event.Sample{Series: bytesIn, Value: 1e9},
			event.Sample{Series: kernel, Text: "6.12, \"edge\"\x1b[2J"},
		)
		last := d.tick(
			event.Sample{Series: cpu0, Value: 99.99},
			event.Sample{Series: cpu1, Value: math.NaN()},
			event.Sample{Series: bytesIn, Value: 9007199254740993},
			event.Sample{Series: odd, Value: 0.30000000000000004},
		)
		d.append(&event.Plan{
			Stamp: d.at, Batch: "batch-1", Range: event.Range{From: 1, To: last}, Renderer: 1,
			DeviceID: "edge-7", Tags: map[string]string{"site": "Kiel"}, LineSamples: 1000,
			Chunks: []event.Chunk{
				{Lines: 2, Samples: 4, Bytes: 300, SHA256: bytes.Repeat([]byte{0xab}, 32)},
				{Lines: 1, Samples: 2, Bytes: 150, SHA256: bytes.Repeat([]byte{0x01}, 32)},
			},
		})
		d.append(&event.Ack{Stamp: d.at, Batch: "batch-1", Chunks: []int{0, 1}, Samples: 6})
		d.append(&event.Unknown{Of: 42, Body: []byte{0xff, 0x00, 0x01}})
		d.tick(event.Sample{Series: odd, Value: math.Inf(-1)}, event.Sample{Series: cpu0, Value: 1e-9})
		d.tick(event.Sample{Series: odd, Value: math.Inf(1)}, event.Sample{Series: cpu0, Value: 1e300})
		d.session(event.SessionEnd, "stopped")
	})
	start.WallMS += fixtureHour
	runSession(dir, "beta-2", segmentSize, start, fail, func(d *device) {
		d.session(event.SessionStart, "")
		d.tick(event.Sample{Series: cpu0, Value: 50}, event.Sample{Series: bytesIn, Value: 5})
		d.tick(event.Sample{Series: cpu0, Value: 50.5}, event.Sample{Series: bytesIn, Value: 6})
	})
}

// writeUnset appends a session whose clock was never set.
func writeUnset(dir string, fail func(error)) {
	cpu0, err := event.NewSeries("cpu.usage_percent", event.Gauge, 2, event.Label{Name: "core", Value: "0"})
	if err != nil {
		fail(err)
	}
	runSession(dir, "unset-4", eventlog.DefaultSegmentSize, event.Stamp{WallMS: 7000, BootMS: 7000}, fail, func(d *device) {
		d.tick(event.Sample{Series: cpu0, Value: 1})
		d.tick(event.Sample{Series: cpu0, Value: 2})
	})
}

// writeDevice writes a log of a synthetic device.
func writeDevice(dir string, ticks, series int, segmentSize int64, fail func(error)) {
	start := event.Stamp{WallMS: fixtureStart, BootMS: 60_000}
	d := synthetic.NewDevice(series, 1000, start, 1)
	runSession(dir, "gamma-3", segmentSize, start, fail, func(to *device) {
		for range ticks {
			to.append(d.Next())
		}
	})
}

// benchmarkVerb runs a verb over a log of two million samples.
func benchmarkVerb(b *testing.B, args ...string) {
	const ticks, series = 10_000, 200
	dir := filepath.Join(b.TempDir(), "log")
	writeDevice(dir, ticks, series, eventlog.DefaultSegmentSize, func(err error) { b.Fatal(err) })
	var out, diagnostics countingWriter
	c := &console{out: &out, err: &diagnostics, now: func() time.Time { return time.Time{} }}
	b.ReportAllocs()
	for b.Loop() {
		if code := run(append(args, dir), c); code != exitDone {
			b.Fatalf("exit code %d", code)
		}
	}
	b.ReportMetric(ticks*series*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
	b.ReportMetric(float64(out)/float64(b.N)/(ticks*series), "B/sample")
}

// countingWriter counts bytes.
type countingWriter int64

func (w *countingWriter) Write(p []byte) (int, error) {
	*w += countingWriter(len(p))
	return len(p), nil
}

func BenchmarkReplay(b *testing.B)      { benchmarkVerb(b, "replay") }
func BenchmarkExportCSV(b *testing.B)   { benchmarkVerb(b, "export", "--format", "csv") }
func BenchmarkExportJSONL(b *testing.B) { benchmarkVerb(b, "export", "--format", "jsonl") }
