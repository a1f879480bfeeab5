package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"taffrail/internal/config"
	"taffrail/internal/device"
	"taffrail/internal/event"
	eventlog "taffrail/log"
	"taffrail/shipper"
)

// outage is a device whose receiver is away for long, with a real log.
type outage struct {
	t      *testing.T
	dir    string
	wall   int64
	log    *eventlog.Log
	ship   *shipper.Shipper
	away   atomic.Bool
	url    string
	bodies [][]byte
}

func newOutage(t *testing.T) *outage {
	o := &outage{t: t, dir: filepath.Join(t.TempDir(), "log"), wall: time.Now().UnixMilli() - 4*24*3600*1000}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path == "/api/v1/import" {
			o.bodies = append(o.bodies, unpack(t, r))
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	o.url = server.URL
	o.start()
	t.Cleanup(o.stop)
	return o
}

// start opens the log as a daemon does when it starts.
func (o *outage) start() {
	o.t.Helper()
	ctx := event.Context{SessionID: "s", BootID: "b", DeviceID: "boat"}
	opts := newLogOptions(config.Default().Log, true, ctx, device.Clock{})
	opts.SegmentSize = 4 << 10
	opts.SyncInterval = time.Hour // what is tested here is no power cut
	var err error
	if o.log, err = eventlog.Open(o.dir, opts); err != nil {
		o.t.Fatal(err)
	}
	remote := config.Default().Remote
	remote.URL, remote.ReadURL = o.url, config.ReadOff
	remote.Retry.Enabled = false
	shipping, err := newShipperOptions(remote, "boat", device.Clock{}, zerolog.Nop())
	if err != nil {
		o.t.Fatal(err)
	}
	if o.ship, err = shipper.New(shippingLog{o.log, zerolog.Nop()}, shipping); err != nil {
		o.t.Fatal(err)
	}
}

func (o *outage) stop() {
	if err := o.log.Close(); err != nil {
		o.t.Error(err)
	}
}

// live appends ticks, a minute apart.
func (o *outage) live(ticks int, samples ...event.Sample) {
	o.t.Helper()
	for range ticks {
		o.wall += 60_000
		tick := &event.Tick{Trusted: true, Stamp: event.Stamp{WallMS: o.wall, BootMS: o.wall / 2}, Samples: samples}
		if _, err := o.log.Append(tick); err != nil {
			o.t.Fatal(err)
		}
	}
}

func sampleOf(t *testing.T, name string, value float64, labels ...event.Label) event.Sample {
	t.Helper()
	s, err := event.NewSeries(name, event.Gauge, 0, labels...)
	if err != nil {
		t.Fatal(err)
	}
	return event.Sample{Series: s, Value: value}
}

// importLine is a line as VictoriaMetrics reads it.
type importLine struct {
	Metric     map[string]string
	Values     []float64
	Timestamps []int64
}

// unpack returns what an import request holds.
func unpack(t *testing.T, r *http.Request) []byte {
	t.Helper()
	unzip, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Error(err)
		return nil
	}
	body, err := io.ReadAll(unzip)
	if err != nil {
		t.Error(err)
	}
	return body
}

// linesOf parses the JSONL of a request.
func linesOf(t *testing.T, body []byte) (lines []importLine) {
	t.Helper()
	for dec := json.NewDecoder(bytes.NewReader(body)); ; {
		var line importLine
		if err := dec.Decode(&line); err == io.EOF {
			return lines
		} else if err != nil {
			t.Error(err)
			return lines
		}
		lines = append(lines, line)
	}
}

// times returns the times of a series at the receiver, in order.
func (o *outage) times(name string) (times []int64) {
	for _, body := range o.bodies {
		for _, line := range linesOf(o.t, body) {
			if line.Metric["__name__"] == name {
				times = append(times, line.Timestamps...)
			}
		}
	}
	slices.Sort(times)
	return times
}

// TestRestartInAnOutageOfManySegments restarts the daemon again and again while
// the receiver is away and the log grows over many files: the whole backlog
// arrives.
func TestRestartInAnOutageOfManySegments(t *testing.T) {
	o := newOutage(t)
	o.away.Store(true)
	gauge := sampleOf(t, "a.b", 1)
	for range 20 {
		o.live(200, gauge, sampleOf(t, "c", math.Pi))
		if err := o.ship.Cycle(t.Context()); err == nil {
			t.Fatal("no error while the receiver is away")
		}
		o.stop()
		o.start()
	}
	if files, err := filepath.Glob(filepath.Join(o.dir, "[0-9]*")); err != nil || len(files) < 10 {
		t.Fatalf("%d segments, %v", len(files), err)
	}
	o.away.Store(false)
	if err := o.ship.Cycle(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := o.times("a_b")
	if len(got) != 4000 || len(slices.Compact(got)) != 4000 || len(o.times("c")) != 4000 {
		t.Errorf("%d and %d samples arrived, want 4000 of each", len(got), len(o.times("c")))
	}
	if ledger := o.log.Ledger(); ledger.Pending() != 0 || ledger.Sent != 8000 {
		t.Errorf("%d sent, %d pending", ledger.Sent, ledger.Pending())
	}
}

// TestHostileSamplesBlockNothing appends what no receiver takes, and more series
// than anyone wants: each is refused by the log with an error or sent by a stated
// rule, and what goes beside and behind it arrives.
func TestHostileSamplesBlockNothing(t *testing.T) {
	o := newOutage(t)
	good := sampleOf(t, "good", 1)
	o.live(1, good, sampleOf(t, "nan", math.NaN()), sampleOf(t, "inf", math.Inf(1)), sampleOf(t, "ninf", math.Inf(-1)))
	for name, labels := range map[string][]event.Label{
		"":              nil,
		"bad\xffutf8":   nil,
		"large.label":   {{Name: "l", Value: string(make([]byte, 1<<20))}},
		"no.label.name": {{Name: "", Value: "x"}},
	} {
		if s, err := event.NewSeries(name, event.Gauge, 0, labels...); err == nil {
			o.live(1, good, event.Sample{Series: s, Value: 1})
		}
	}
	many := []event.Sample{good}
	for i := range 100_000 {
		many = append(many, sampleOf(t, "many", float64(i), event.Label{Name: "i", Value: string(rune('a'+i%26)) + time.Duration(i).String()}))
	}
	o.live(1, many...)
	o.live(3, good)
	if err := o.ship.Cycle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := o.times("good"); len(got) < 5 || len(o.times("nan"))+len(o.times("inf"))+len(o.times("ninf")) != 0 {
		t.Errorf("%d good samples arrived, %d others", len(got), len(o.times("nan")))
	}
	if got := len(o.times("many")); got != 100_000 {
		t.Errorf("%d of the many arrived", got)
	}
	if ledger := o.log.Ledger(); ledger.Pending() != 0 {
		t.Errorf("%d pending", ledger.Pending())
	}
}
