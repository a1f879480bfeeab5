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
	"net/url"
	"os"
	"strconv"
	"time"

	"taffrail/internal/event"
)

// Remote says where and how to send.
type Remote struct {
	URL       string // of the import API; credentials in it are sent as Basic
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
}

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

// attempt is one request as it went.
type attempt struct {
	status   int
	sent     int // bytes of the body
	received int
	duration time.Duration
}

// send sends one chunk and returns nil only when the receiver took it. The
// error is a *SendError.
func (c *client) send(ctx context.Context, b *batch, chunk int) (attempt, error) {
	body := b.bodies[chunk]
	a := attempt{sent: len(body)}
	began := time.Now()
	defer func() { a.duration = time.Since(began) }()
	ctx, cancel := context.WithTimeout(ctx, c.remote.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.remote.URL, bytes.NewReader(body))
	if err != nil {
		return a, &SendError{Kind: ErrNotReceiver, Reason: "remote.url is no address"}
	}
	c.setHeaders(req, &b.plan, chunk)
	resp, err := c.http.Do(req)
	if err != nil {
		return a, unreachable(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	a.status, a.received = resp.StatusCode, len(answer)
	if err != nil {
		return a, unreachable(err)
	}
	if refused := judge(resp, answer, time.Now()); refused != nil {
		return a, refused
	}
	return a, nil
}

func (c *client) setHeaders(req *http.Request, plan *event.Plan, chunk int) {
	h := req.Header
	h.Set("Content-Type", "application/stream+json")
	h.Set("Content-Encoding", "gzip")
	h.Set("User-Agent", c.remote.UserAgent)
	h.Set("X-Device-ID", c.remote.DeviceID)
	h.Set("X-Batch-ID", plan.Batch)
	h.Set("X-Chunk-Index", strconv.Itoa(chunk))
	if c.remote.AuthToken != "" {
		h.Set("Authorization", "Bearer "+c.remote.AuthToken)
	}
}

// unreachable wraps a transport's error without the URL, which may hold
// credentials.
func unreachable(err error) *SendError {
	var withURL *url.Error
	if errors.As(err, &withURL) {
		err = withURL.Err
	}
	return &SendError{Kind: ErrUnavailable, Reason: err.Error()}
}
