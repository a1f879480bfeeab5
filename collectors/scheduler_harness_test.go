package collectors

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"taffrail/internal/event"
)

// A fakeCollector notes when it is called and does as it is told.
type fakeCollector struct {
	name string
	do   func(ctx context.Context, rec *Recorder, call int) error

	mu     sync.Mutex
	start  time.Time
	called []time.Duration // since start
	inside int
	twice  bool // it was called while it ran
}

func fake(name string, do func(ctx context.Context, rec *Recorder, call int) error) *fakeCollector {
	return &fakeCollector{name: name, do: do, start: time.Now()}
}

// steady returns a collector that takes some time and records one gauge.
func steady(name string, takes time.Duration) *fakeCollector {
	return fake(name, func(_ context.Context, rec *Recorder, call int) error {
		time.Sleep(takes)
		rec.Gauge(name+".value", float64(call))
		return nil
	})
}

func (f *fakeCollector) Name() string { return f.name }

func (f *fakeCollector) Collect(ctx context.Context, rec *Recorder) error {
	f.mu.Lock()
	call := len(f.called)
	f.called = append(f.called, time.Since(f.start))
	f.inside++
	f.twice = f.twice || f.inside > 1
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.inside--
		f.mu.Unlock()
	}()
	return f.do(ctx, rec, call)
}

func (f *fakeCollector) calls() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.called)
}

// A fakeSink keeps copies of its ticks.
type fakeSink struct {
	mu    sync.Mutex
	start time.Time
	ticks []sunk
	do    func(call int) error
	calls int
}

type sunk struct {
	at      time.Duration // of the Append, since start
	stamp   time.Duration // of the tick, since start
	trusted bool
	samples []event.Sample
}

func (s *fakeSink) Append(ev event.Event) (uint64, error) {
	s.mu.Lock()
	call := s.calls
	s.calls++
	s.mu.Unlock()
	tick := ev.(*event.Tick)
	got := sunk{
		at:      time.Since(s.start),
		stamp:   time.Duration(tick.BootMS) * time.Millisecond,
		trusted: tick.Trusted,
		samples: slices.Clone(tick.Samples),
	}
	if s.do != nil {
		if err := s.do(call); err != nil {
			return 0, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticks = append(s.ticks, got)
	return uint64(len(s.ticks)), nil
}

func (s *fakeSink) all() []sunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ticks)
}

func (s sunk) names() []string {
	var names []string
	for _, sample := range s.samples {
		names = append(names, sample.Series.Name)
	}
	return names
}

// bubbleClock shows the time of a bubble, booted when it was made.
type bubbleClock struct{ boot time.Time }

func (c bubbleClock) Now() (event.Stamp, bool) {
	now := time.Now()
	return event.Stamp{WallMS: now.UnixMilli(), BootMS: now.Sub(c.boot).Milliseconds()}, true
}

// A rig is a Scheduler that runs in a bubble.
type rig struct {
	*Scheduler
	t    *testing.T
	sink *fakeSink
	logs *syncBuffer
	stop context.CancelFunc
	done chan error
}

// newRig returns one that does not run yet.
func newRig(t *testing.T, appendDo func(call int) error, jobs ...Job) *rig {
	t.Helper()
	r := &rig{t: t, sink: &fakeSink{start: time.Now(), do: appendDo}, logs: &syncBuffer{}, done: make(chan error, 1)}
	s, err := NewScheduler(jobs, r.sink, Options{
		Clock:     bubbleClock{time.Now()},
		Logger:    zerolog.New(r.logs),
		SessionID: "s-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Scheduler = s
	return r
}

func (r *rig) run() *rig {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.stop = cancel
	go func() { r.done <- r.Run(ctx) }()
	return r
}

// forTime lets the time of the bubble pass.
func (r *rig) forTime(d time.Duration) *rig {
	time.Sleep(d)
	synctest.Wait()
	return r
}

// end stops Run and returns how long that took.
func (r *rig) end() time.Duration {
	r.t.Helper()
	asked := time.Now()
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
	return time.Since(asked)
}

func (r *rig) status(name string) CollectorStatus {
	r.t.Helper()
	for _, st := range r.Status() {
		if st.Name == name {
			return st
		}
	}
	r.t.Fatalf("no status of %s", name)
	return CollectorStatus{}
}

// lines returns the log lines with this message.
func (r *rig) lines(msg string) []map[string]any {
	r.t.Helper()
	var found []map[string]any
	for line := range bytes.Lines(r.logs.bytes()) {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			r.t.Fatalf("log line %q: %v", line, err)
		}
		if fields["message"] == msg {
			found = append(found, fields)
		}
	}
	return found
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}

// every returns the multiples of interval up to and including last.
func every(interval, last time.Duration) []time.Duration {
	var all []time.Duration
	for d := time.Duration(0); d <= last; d += interval {
		all = append(all, d)
	}
	return all
}
