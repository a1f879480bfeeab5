package shipper

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Remote says where and how to send.
type Remote struct {
	URL       string // of the import API; credentials in it are sent as Basic
	ReadURL   string // of the query API; "": derived from URL, "off": none
	AuthToken string // sent as Bearer
	CAFile    string // PEM, in place of the system's certificates
	ProxyURL  string // "": as the environment says
	Timeout   time.Duration
	UserAgent string
	DeviceID  string
}

// Limits of the connection pool. One connection is in use at a time.
const (
	maxIdleConns    = 10
	idleConnTimeout = 90 * time.Second
	dialTimeout     = 10 * time.Second
)

// maxAnswer is how much of an answer is read.
const maxAnswer = 64 << 10

// client sends chunks.
type client struct {
	remote Remote
	http   *http.Client

	mu     sync.Mutex // guards what follows
	conn   net.Conn   // that the last request went over
	conns  uint64     // how many there were, this one included
	closed time.Time  // when the receiver last announced a connection's end
}

// forgiveness is how soon behind a connection that the receiver has closed in
// order the next one has to be there to count as the same. No receiver that ended
// in between is back within it.
const forgiveness = time.Second

func newClient(remote Remote) (*client, error) {
	target, err := url.Parse(remote.URL)
	if err != nil || target.Host == "" {
		return nil, fmt.Errorf("remote url: no address in it")
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		MaxIdleConns:        maxIdleConns,
		MaxIdleConnsPerHost: maxIdleConns,
		IdleConnTimeout:     idleConnTimeout,
		TLSHandshakeTimeout: dialTimeout,
		DisableCompression:  true,
	}
	if remote.ProxyURL != "" {
		proxy, err := url.Parse(remote.ProxyURL)
		if err != nil {
			return nil, fmt.Errorf("remote proxy url: no address in it")
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	if remote.CAFile != "" {
		if transport.TLSClientConfig, err = trust(remote.CAFile); err != nil {
			return nil, err
		}
	}
	return &client{remote: remote, http: &http.Client{
		Transport: transport,
		// A redirect leads away from the receiver, to a portal mostly.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func trust(caFile string) (*tls.Config, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("remote ca file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("remote ca file: %s holds no certificate", caFile)
	}
	return &tls.Config{RootCAs: pool}, nil
}

// message is one request: a chunk, or some of its lines.
type message struct {
	batch string
	chunk int
	lines string // "" for all, else those of the chunk, "3-7", from 0
	count int    // of lines
	body  []byte // gzip
}

// attempt is what is known of one request.
type attempt struct {
	status   int // 0 without an answer
	sent     int // bytes of body
	received int
	duration time.Duration
	conn     uint64 // which connection it went over, counted from 1; 0: none
	closed   bool   // the receiver closes it behind the answer
	refused  []refusedLine
}

// send sends a message and returns nil only when the receiver took it, or all of
// its lines but those in refused. The error is a *SendError.
func (c *client) send(ctx context.Context, m *message) (a attempt, err error) {
	a.sent = len(m.body)
	began := time.Now()
	defer func() { a.duration = time.Since(began) }()
	ctx, cancel := context.WithTimeout(ctx, c.remote.Timeout)
	defer cancel()
	var written atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:      func(info httptrace.GotConnInfo) { a.conn = c.connection(info.Conn) },
		WroteHeaders: func() { written.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.remote.URL, bytes.NewReader(m.body))
	if err != nil {
		return a, &SendError{Kind: ErrNotReceiver, Reason: "remote.url is no address"}
	}
	c.setHeaders(req, m)
	resp, err := c.http.Do(req)
	if err != nil {
		return a, unreachable(err, written.Load())
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	a.status, a.received = resp.StatusCode, len(answer)
	if err != nil {
		return a, unreachable(err, true)
	}
	refused, failed := judge(resp, answer, m.count, time.Now())
	if failed != nil {
		return a, failed
	}
	if a.closed = resp.Close; a.closed {
		// VictoriaMetrics does so every two minutes, and says nothing by that.
		c.forgive()
	}
	a.refused = refused
	return a, nil
}

// connection returns the number of a connection; one that was not the last that
// was used has a new number.
func (c *client) connection(conn net.Conn) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != conn {
		if time.Since(c.closed) > forgiveness {
			c.conns++
		}
		c.conn = conn
	}
	return c.conns
}

// forgive lets the next connection have the number of the last, if it is there
// soon.
func (c *client) forgive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = time.Now()
}

// probe asks whether an import API is at the address: it sends a body without a
// line, which such an API takes and stores nothing for.
func (c *client) probe(ctx context.Context) (attempt, error) {
	return c.send(ctx, &message{body: emptyGzip()})
}

// emptyGzip is a gzip stream of no bytes (RFC 1952): header, an empty final
// block, checksum and length.
func emptyGzip() []byte {
	return []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0}
}

func (c *client) setHeaders(req *http.Request, m *message) {
	h := req.Header
	h.Set("Content-Type", "application/stream+json")
	h.Set("Content-Encoding", "gzip")
	h.Set("User-Agent", c.remote.UserAgent)
	h.Set("X-Device-ID", c.remote.DeviceID)
	if m.batch != "" {
		h.Set("X-Batch-ID", m.batch)
		h.Set("X-Chunk-Index", strconv.Itoa(m.chunk))
	}
	if m.lines != "" {
		h.Set("X-Chunk-Lines", m.lines)
	}
	if c.remote.AuthToken != "" {
		h.Set("Authorization", "Bearer "+c.remote.AuthToken)
	}
}

// unreachable wraps a transport's error without the URL, which may hold
// credentials.
func unreachable(err error, written bool) *SendError {
	var withURL *url.Error
	timeout := errors.Is(err, context.DeadlineExceeded)
	if errors.As(err, &withURL) {
		timeout = timeout || withURL.Timeout()
		err = withURL.Err
	}
	return &SendError{Kind: ErrUnavailable, Reason: err.Error(), Doubt: written, timeout: timeout && written}
}
