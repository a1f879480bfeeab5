package shipper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

// model is what VictoriaMetrics was measured to do, in the time of a bubble, so
// that hours of it can be tried in a moment. The real one has its turn in the
// crash harness. Its rules:
//
//   - A body that it got is stored, whether its client waits for the answer or
//     not, and can be seen after up to 11 s.
//   - A kill loses what it stored in its last 14 s, answered or not.
//   - With dedup it shows one sample of each interval, the last; without, every
//     one as often as it was sent.
type model struct {
	t       testing.TB
	dedup   time.Duration
	noReads int // status of everything but imports, 0: reads are answered
	noFlags bool
	keeps   time.Duration                                 // retention, 0: for ever
	drops   func(labels map[string]string, ms int64) bool // samples that are answered for and not stored
	cuts    func() bool                                   // whether the next body loses its end, and is answered for

	mu      sync.Mutex
	rows    map[string][]row // by the series' labels as JSON
	started int64
	down    bool
	conn    net.Conn
	fault   func() fault
	imports int
}

type row struct {
	ms int64
	at time.Time // when it was stored
}

// fault is what befalls one import.
type fault int

const (
	noFault fault = iota
	lostRequest
	lostAnswer
	delayed // stored 16 s after its client gave up
	failing // 500, nothing is stored
)

func newModel(t testing.TB, dedup time.Duration) *model {
	m := &model{t: t, dedup: dedup, rows: map[string][]row{}, fault: func() fault { return noFault }}
	m.start()
	return m
}

// start lets the receiver answer, as a process of its own.
func (m *model) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.started = time.Now().Unix()
	m.down = false
	m.conn, _ = net.Pipe()
}

// kill ends it at once.
func (m *model) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = true
	for key, rows := range m.rows {
		m.rows[key] = slices.DeleteFunc(rows, func(r row) bool { return time.Since(r.at) < 14*time.Second })
	}
}

var errRefusedConnection = errors.New("connection refused")

// RoundTrip implements http.RoundTripper.
func (m *model) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	if m.down {
		return nil, errRefusedConnection
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: m.conn})
		trace.WroteHeaders()
	}
	if strings.HasSuffix(r.URL.Path, "/api/v1/import") {
		return m.importLocked(r, body)
	}
	if m.noFlags && r.URL.Path == "/flags" {
		return page(403, "no", "Content-Type", "text/plain")(r)
	}
	if m.noReads != 0 {
		return page(m.noReads, "no", "Content-Type", "text/plain")(r)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		m.t.Error(err)
	}
	switch r.URL.Path {
	case "/flags":
		text := `-retentionPeriod="100y"` + "\n"
		if m.keeps > 0 {
			text = fmt.Sprintf("-retentionPeriod=\"%dh\"\n", int(m.keeps.Hours()))
		}
		if m.dedup > 0 {
			text += fmt.Sprintf("-dedup.minScrapeInterval=%q\n", m.dedup)
		}
		return page(200, text, "Content-Type", "text/plain")(r)
	case "/metrics":
		return page(200, fmt.Sprintf("vm_rows_added_to_storage_total 1\nvm_app_start_timestamp %d\n", m.started), "Content-Type", "text/plain")(r)
	case "/api/v1/query":
		return m.countLocked(r, form)
	case "/api/v1/export":
		return m.exportLocked(r, form)
	}
	return page(404, "", "Content-Type", "text/plain")(r)
}

func (m *model) importLocked(r *http.Request, body []byte) (*http.Response, error) {
	m.imports++
	switch m.fault() {
	case lostRequest:
		return nil, io.ErrUnexpectedEOF
	case lostAnswer:
		m.storeLocked(body)
		return nil, io.ErrUnexpectedEOF
	case failing:
		return status(500)(r)
	case delayed:
		m.mu.Unlock()
		<-r.Context().Done()
		time.AfterFunc(16*time.Second, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			if !m.down {
				m.storeLocked(body)
			}
		})
		m.mu.Lock()
		return nil, r.Context().Err()
	}
	m.storeLocked(body)
	return status(204)(r)
}

func (m *model) storeLocked(body []byte) {
	zip, err := gzip.NewReader(strings.NewReader(string(body)))
	if err != nil {
		m.t.Error(err)
		return
	}
	jsonl, err := io.ReadAll(zip)
	if err != nil {
		m.t.Error(err)
	}
	if m.cuts != nil && m.cuts() {
		jsonl = jsonl[:len(jsonl)/2]
	}
	for text := range strings.Lines(string(jsonl)) {
		var l importLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			continue // a line that is malformed is dropped
		}
		key := keyOf(l.Metric)
		for _, ms := range l.Timestamps {
			if m.drops != nil && m.drops(l.Metric, ms) {
				continue
			}
			m.rows[key] = append(m.rows[key], row{ms, time.Now()})
		}
	}
}

func keyOf(labels map[string]string) string {
	b, err := json.Marshal(labels)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// visible calls yield with the times of each series that carries all labels of a
// selector and that a query shows.
func (m *model) visible(selector string, from, to int64, yield func(labels map[string]string, times []int64)) {
	match := map[string]string{}
	for _, pair := range regexp.MustCompile(`(\w+)=("(?:[^"\\]|\\.)*")`).FindAllStringSubmatch(selector, -1) {
		value, err := strconv.Unquote(pair[2])
		if err != nil {
			m.t.Error(err)
		}
		match[pair[1]] = value
	}
	for key, rows := range m.rows {
		var labels map[string]string
		if err := json.Unmarshal([]byte(key), &labels); err != nil {
			m.t.Error(err)
		}
		carries := true
		for name, value := range match {
			carries = carries && labels[name] == value
		}
		var times []int64
		for _, r := range rows {
			if carries && from <= r.ms && r.ms <= to && time.Since(r.at) >= 11*time.Second {
				times = append(times, r.ms)
			}
		}
		if slices.Sort(times); len(times) > 0 {
			yield(labels, times)
		}
	}
}

var windowPattern = regexp.MustCompile(`^count_over_time\((\{.*\})\[(\d+)ms\]\) keep_metric_names$`)

func (m *model) countLocked(r *http.Request, form url.Values) (*http.Response, error) {
	parts := windowPattern.FindStringSubmatch(form.Get("query"))
	at, err := strconv.ParseFloat(form.Get("time"), 64)
	if parts == nil || err != nil {
		m.t.Errorf("query %q at %q", form.Get("query"), form.Get("time"))
		return status(422)(r)
	}
	window, _ := strconv.ParseInt(parts[2], 10, 64)
	to := int64(at*1000 + 0.5)
	if at >= 1<<32 {
		to = int64(at)
	}
	var result []string
	m.visible(parts[1], to-window+1, to, func(labels map[string]string, times []int64) {
		result = append(result, fmt.Sprintf(`{"metric":%s,"value":[%d,"%d"]}`, keyOf(labels), to/1000, len(m.merged(times))))
	})
	return page(200, `{"status":"success","data":{"resultType":"vector","result":[`+strings.Join(result, ",")+`]}}`,
		"Content-Type", "application/json")(r)
}

// merged leaves one time of each dedup interval, the last.
func (m *model) merged(times []int64) []int64 {
	d := m.dedup.Milliseconds()
	if d == 0 {
		return times
	}
	var out []int64
	for i, ms := range times {
		if i+1 == len(times) || (times[i+1]+d-1)/d != (ms+d-1)/d {
			out = append(out, ms)
		}
	}
	return out
}

func (m *model) exportLocked(r *http.Request, form url.Values) (*http.Response, error) {
	bound := func(name string) int64 {
		v, err := strconv.ParseFloat(form.Get(name), 64)
		if err != nil {
			m.t.Errorf("%s=%q", name, form.Get(name))
		}
		if v >= 1<<32 {
			return int64(v)
		}
		return int64(v*1000 + 0.5)
	}
	var b strings.Builder
	m.visible(form.Get("match[]"), bound("start"), bound("end"), func(labels map[string]string, times []int64) {
		line, err := json.Marshal(times)
		if err != nil {
			m.t.Error(err)
		}
		fmt.Fprintf(&b, `{"metric":%s,"values":[0%s],"timestamps":%s}`+"\n", keyOf(labels), strings.Repeat(",0", len(times)-1), line)
	})
	return page(200, b.String(), "Content-Type", "application/stream+json")(r)
}

// stored returns how often each sample is stored, as labels and time.
func (m *model) stored() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]int{}
	for key, rows := range m.rows {
		for _, r := range rows {
			out[fmt.Sprintf("%s at %d", key, r.ms)]++
		}
	}
	return out
}

// random returns faults, one import in n has one.
func random(r *rand.Rand, n int, kinds ...fault) func() fault {
	return func() fault {
		if r.IntN(n) > 0 {
			return noFault
		}
		return kinds[r.IntN(len(kinds))]
	}
}
