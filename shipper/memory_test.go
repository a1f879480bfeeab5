package shipper

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/rs/zerolog"

	"taffrail/internal/event"
)

// memoryLog is a log without a disk. Record n is events[n-1].
type memoryLog struct {
	mu     sync.Mutex
	events []event.Event
	ledger event.Ledger
	full   error // what Append returns
}

func (l *memoryLog) Append(ev event.Event) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full != nil {
		return 0, l.full
	}
	// What is appended is the caller's again: keep a copy, as a disk does.
	switch e := ev.(type) {
	case *event.Tick:
		c := *e
		c.Samples = slices.Clone(e.Samples)
		ev = &c
	case *event.Plan:
		c := *e
		ev = &c
	case *event.Ack:
		c := *e
		ev = &c
	}
	l.events = append(l.events, ev)
	l.ledger.Apply(uint64(len(l.events)), ev)
	return uint64(len(l.events)), nil
}

func (l *memoryLog) Ledger() event.Ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ledger.Clone()
}

func (l *memoryLog) LastIndex() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.events))
}

func (l *memoryLog) Source(from uint64) Source { return &memorySource{log: l, next: from} }

// of returns the events of one kind.
func (l *memoryLog) of(kind event.Kind) []event.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []event.Event
	for _, ev := range l.events {
		if ev.Kind() == kind {
			out = append(out, ev)
		}
	}
	return out
}

type memorySource struct {
	log  *memoryLog
	next uint64
}

func (s *memorySource) Next() (uint64, event.Event, error) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.next = max(s.next, 1)
	if s.next > uint64(len(s.log.events)) {
		return 0, nil, io.EOF
	}
	s.next++
	return s.next - 1, s.log.events[s.next-2], nil
}

func (s *memorySource) Close() error { return nil }

const startMS = event.PlausibleSinceMS + 1_000_000

// boat is the context of every tick that does not say otherwise.
var boat = &event.Context{SessionID: "s", BootID: "b", DeviceID: "boat"}

func series(t testing.TB, name string, typ event.Type, pairs ...string) *event.Series {
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

// fill appends ticks of n gauges a second apart, with values that name both.
func fill(t testing.TB, l *memoryLog, ctx *event.Context, n, ticks int) {
	t.Helper()
	all := make([]*event.Series, n)
	for i := range all {
		all[i] = series(t, "test.gauge", event.Gauge, "n", fmt.Sprintf("%04d", i))
	}
	for range ticks {
		tick := &event.Tick{Context: ctx, Trusted: true}
		tick.WallMS = startMS + int64(l.LastIndex())*1000
		for i, s := range all {
			tick.Samples = append(tick.Samples, event.Sample{Series: s, Value: float64(l.LastIndex()) + float64(i)/1000})
		}
		if _, err := l.Append(tick); err != nil {
			t.Fatal(err)
		}
	}
}

// request is one chunk as it came out of the transport.
type request struct {
	header http.Header
	host   string
	jsonl  string
}

func (r request) lines() []string {
	return strings.Split(strings.TrimSuffix(r.jsonl, "\n"), "\n")
}

// scripted is a receiver in place of the network. It gives its answers in turn,
// the last one again and again.
type scripted struct {
	t       testing.TB
	mu      sync.Mutex
	answers []func(*http.Request) (*http.Response, error)
	probe   func(*http.Request) (*http.Response, error) // what a body without lines gets; nil: as all others
	got     []request
	probes  int
	at      []time.Time
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Now())
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
		trace.WroteHeaders()
	}
	zip, err := gzip.NewReader(r.Body)
	if err != nil {
		s.t.Errorf("body is no gzip: %s", err)
		return nil, err
	}
	jsonl, err := io.ReadAll(zip)
	if err != nil {
		s.t.Errorf("body is cut short: %s", err)
	}
	answer := s.answers[0]
	if len(jsonl) == 0 {
		s.probes++
		if s.probe != nil {
			answer = s.probe
		}
		return answer(r)
	}
	s.got = append(s.got, request{r.Header.Clone(), r.URL.Host, string(jsonl)})
	r.Header.Set("X-Test-Body", string(jsonl)) // for answers that depend on it
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return answer(r)
}

func (s *scripted) requests() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// status answers with a code, header pairs and no body.
func status(code int, header ...string) func(*http.Request) (*http.Response, error) {
	return page(code, "", header...)
}

func page(code int, body string, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{
			StatusCode: code,
			Status:     fmt.Sprintf("%d %s", code, http.StatusText(code)),
			Header:     h,
			Body:       io.NopCloser(strings.NewReader(body)),
			Request:    r,
		}, nil
	}
}

func broken(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func testOptions() Options {
	return Options{
		Remote:         Remote{URL: "http://receiver.test/api/v1/import", Timeout: 30 * time.Second, ReadURL: "off", DeviceID: "boat", UserAgent: "taffrail/test"},
		UploadInterval: 30 * time.Second,
		BatchSize:      2500,
		ChunkSize:      50,
		MaxChunkBytes:  256 << 10,
		ReplayWindow:   time.Minute,
		Retry:          Retry{MaxAttempts: 3, InitialBackoff: time.Second, MaxBackoff: 30 * time.Second, Multiplier: 2},
		Now:            func() event.Stamp { return event.Stamp{WallMS: startMS} },
		Logger:         zerolog.Nop(),
	}
}

// newTest returns a shipper of l whose receiver gives the answers.
func newTest(t testing.TB, l *memoryLog, opts Options, answers ...func(*http.Request) (*http.Response, error)) (*Shipper, *scripted) {
	t.Helper()
	s, err := New(l, opts)
	if err != nil {
		t.Fatal(err)
	}
	receiver := &scripted{t: t, answers: answers}
	s.client.http.Transport = receiver
	return s, receiver
}
