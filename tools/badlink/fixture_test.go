package badlink

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// testBound is for everything that a test waits for.
const testBound = 30 * time.Second

// got is what a receiver was sent.
type got struct {
	at     time.Time
	path   string
	query  string
	header http.Header
	body   []byte
	err    error // of reading the body
}

// receiver remembers what it is sent and answers 204.
type receiver struct {
	*httptest.Server

	mu       sync.Mutex // guards requests
	requests []got
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		r.mu.Lock()
		r.requests = append(r.requests, got{time.Now(), req.URL.Path, req.URL.RawQuery, req.Header.Clone(), body, err})
		r.mu.Unlock()
		w.Header().Set("X-Receiver", "yes")
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

func startLink(t *testing.T, opts Options) *Link {
	t.Helper()
	l, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func set(t *testing.T, l *Link, s State) {
	t.Helper()
	if err := l.SetState(s); err != nil {
		t.Fatal(err)
	}
}

// client gives up after a while and follows no redirects.
type client struct {
	t    *testing.T
	link *Link
	http *http.Client
}

func newClient(t *testing.T, l *Link, timeout time.Duration) *client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{t, l, &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (c *client) do(method, path string, header http.Header, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), testBound)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.link.URL+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = header
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

// upload sends JSONL as a shipper does.
func (c *client) upload(batch string, chunk int, jsonl string) (answer, error) {
	return c.do(http.MethodPost, "/api/v1/import", http.Header{
		"Content-Encoding": {"gzip"},
		batchHeader:        {batch},
		chunkHeader:        {fmt.Sprint(chunk)},
		linesHeader:        {fmt.Sprint(strings.Count(jsonl, "\n"))},
	}, zipped(jsonl))
}

// must fails the test unless the answer has a status.
func (c *client) must(status int) func(answer, error) answer {
	return func(a answer, err error) answer {
		c.t.Helper()
		if err != nil || a.status != status {
			c.t.Fatalf("answered %+v (%v), want %d", a, err, status)
		}
		return a
	}
}

func zipped(text string) []byte {
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	_, _ = zip.Write([]byte(text))
	_ = zip.Close()
	return b.Bytes()
}

func unzipped(t *testing.T, body []byte) string {
	t.Helper()
	unzip, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unzip)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// jsonl returns lines of one sample each, with the names m0, m1 and so on.
func jsonl(lines int) string {
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, `{"metric":{"__name__":"m%d","device_id":"d"},"values":[%d],"timestamps":[%d]}`+"\n", i, i, 1780000000000+i)
	}
	return b.String()
}
