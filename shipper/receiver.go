package shipper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// What came of asking the receiver. Every error of a receiver wraps one of them.
var (
	// errNoAccess: there is no read API at this address, or not for these
	// credentials. A captive portal in between says the same.
	errNoAccess = errors.New("no read access")
	// errUnknown: no answer, one that is cut short, or one that does not say
	// what was asked. Nothing follows from it.
	errUnknown = errors.New("no usable answer")
)

// errStalled is why a call was ended whose answer did not go on.
var errStalled = errors.New("the answer does not go on")

// readError is a call to the receiver that gave nothing. It names neither the
// address nor the credentials.
type readError struct {
	kind   error // errNoAccess or errUnknown
	status int   // of the answer, 0 without one
	reason string
	cause  error // of the network, or of the context; may be nil
}

// Error says what happened.
func (e *readError) Error() string {
	text := e.kind.Error()
	if e.status != 0 {
		text += ": HTTP " + strconv.Itoa(e.status)
	}
	if e.reason != "" {
		text += ": " + e.reason
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the kind and the cause.
func (e *readError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}

// notShown reports whether the receiver itself says that it has nothing at an
// address, or nothing for these credentials. A portal's page does not say so.
func notShown(err error) bool {
	var e *readError
	return errors.As(err, &e) && e.kind == errNoAccess && e.status >= 400
}

// receiver reads back what a VictoriaMetrics holds, by its query and export APIs.
// It changes nothing there. Whatever it returns comes from an answer that is
// complete and of the expected form; for everything else there is an error.
//
// Its methods may be called from any goroutine. Each is bounded in time, and in
// the memory that it takes, whatever the answer.
type receiver struct {
	http   *http.Client
	remote Remote
	base   *url.URL // of the read API
	root   *url.URL // of the process: its flags and metrics

	// What reading has cost so far: requests, and bytes of them and of the
	// answers. Heads are counted as HTTP/1.1 writes them, except for what the
	// transport adds.
	requests, sent, received atomic.Uint64
}

// newReceiver returns a receiver at base, which ReadBase made, or nil where that
// is empty or no address.
func newReceiver(httpClient *http.Client, remote Remote, base string) *receiver {
	u, path, ok := splitURL(base)
	if !ok {
		return nil
	}
	root, err := url.Parse(joinURL(u, rootPath(path)))
	if err != nil {
		return nil
	}
	return &receiver{http: httpClient, remote: remote, base: u, root: root}
}

// rootPath returns the path of the process whose read API is at path. A cluster
// has the tenant in between, and a single node takes the same path as a cluster.
func rootPath(path string) string {
	path = strings.TrimSuffix(path, "/prometheus")
	if parts := strings.Split(path, "/"); len(parts) >= 3 && parts[len(parts)-2] == "select" {
		path = strings.Join(parts[:len(parts)-2], "/")
	}
	return path
}

// readCall is one request, and what its answer has to be.
type readCall struct {
	url   *url.URL
	form  url.Values  // sent with POST; nil: GET
	media string      // of the answer
	limit int64       // bytes of the answer, unpacked
	stall *stallTimer // nil: the context's end is enough
}

// open sends the request and returns the beginning of an answer of the expected
// kind. The caller closes it.
func (r *receiver) open(ctx context.Context, c readCall) (*readAnswer, error) {
	req, err := r.request(ctx, c)
	if err != nil {
		return nil, &readError{kind: errUnknown, reason: "the address cannot be asked"}
	}
	r.requests.Add(1)
	r.sent.Add(uint64(requestSize(req)))
	c.stall.start()
	resp, err := r.http.Do(req)
	c.stall.stop()
	if err != nil {
		return nil, r.unknown(ctx, "", err)
	}
	r.received.Add(uint64(responseSize(resp)))
	a := &readAnswer{resp: resp, wire: &wireReader{body: resp.Body, count: &r.received, stall: c.stall}}
	if err := a.begin(c); err != nil {
		a.close()
		if kind := (*readError)(nil); errors.As(err, &kind) {
			return nil, err
		}
		return nil, r.unknown(ctx, "read the answer", err)
	}
	return a, nil
}

func (r *receiver) request(ctx context.Context, c readCall) (*http.Request, error) {
	method, body := http.MethodGet, ""
	if c.form != nil {
		method, body = http.MethodPost, c.form.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	h := req.Header
	h.Set("Accept-Encoding", "gzip")
	h.Set("User-Agent", r.remote.UserAgent)
	h.Set("X-Device-ID", r.remote.DeviceID)
	if r.remote.AuthToken != "" {
		h.Set("Authorization", "Bearer "+r.remote.AuthToken)
	}
	if c.form != nil {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
		// It changes nothing, so that the transport may repeat it when a kept
		// connection turns out to be closed. An empty key is not sent.
		h["Idempotency-Key"] = []string{}
	}
	return req, nil
}

// unknown returns what to say of a call that failed underway.
func (r *receiver) unknown(ctx context.Context, reason string, err error) error {
	var withURL *url.Error
	if errors.As(err, &withURL) {
		err = withURL.Err // the URL may hold credentials
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // nobody is to take it for the end of something
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &readError{kind: errUnknown, reason: reason, cause: err}
}

// bounded returns a context for a call whose answer is short.
func (r *receiver) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, r.remote.Timeout)
}

// requestSize is about what a request takes on the wire.
func requestSize(req *http.Request) int64 {
	size := int64(len(req.Method) + len(req.URL.RequestURI()) + len(" ")*2 + len("HTTP/1.1\r\n") +
		len("Host: \r\n\r\n") + len(req.URL.Host))
	return size + headerSize(req.Header) + max(req.ContentLength, 0)
}

// responseSize is about what the head of an answer takes on the wire.
func responseSize(resp *http.Response) int64 {
	return int64(len(resp.Proto)+len(resp.Status)+len(" \r\n\r\n")) + headerSize(resp.Header)
}

func headerSize(h http.Header) (size int64) {
	for name, values := range h {
		for _, v := range values {
			size += int64(len(name) + len(v) + len(": \r\n"))
		}
	}
	return size
}

// apiTime writes a time for a parameter of the read API, exactly. A number that
// large is read as milliseconds, a smaller one as seconds.
func apiTime(ms int64) string {
	const surelyMS = 1 << 34 // July 1970
	if ms >= surelyMS {
		return strconv.FormatInt(ms, 10)
	}
	return fmt.Sprintf("%d.%03d", ms/1000, ms%1000)
}

// stallTimer ends a call when a single wait of it takes too long. A nil one never
// does.
type stallTimer struct {
	after time.Duration
	timer *time.Timer
}

func newStallTimer(after time.Duration, end context.CancelCauseFunc) *stallTimer {
	s := &stallTimer{after: after, timer: time.AfterFunc(after, func() { end(errStalled) })}
	s.timer.Stop()
	return s
}

func (s *stallTimer) start() {
	if s != nil {
		s.timer.Reset(s.after)
	}
}

func (s *stallTimer) stop() {
	if s != nil {
		s.timer.Stop()
	}
}
