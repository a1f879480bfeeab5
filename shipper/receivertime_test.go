package shipper

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// trickling is a network whose answer comes byte by byte, each after a wait.
type trickling struct {
	head time.Duration // until the answer begins
	wait time.Duration
	body string
	ctx  context.Context
}

func (c *trickling) RoundTrip(r *http.Request) (*http.Response, error) {
	c.ctx = r.Context()
	if err := c.pause(c.head); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: 200, ProtoMajor: 1, ContentLength: int64(len(c.body)), Request: r,
		Header: http.Header{"Content-Type": {streamMedia}}, Body: c,
	}, nil
}

func (c *trickling) Read(p []byte) (int, error) {
	if c.body == "" {
		return 0, io.EOF
	}
	if err := c.pause(c.wait); err != nil {
		return 0, err
	}
	n := copy(p[:1], c.body)
	c.body = c.body[n:]
	return n, nil
}

func (c *trickling) Close() error { return nil }

func (c *trickling) pause(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

func TestReceiverIsBoundedInTime(t *testing.T) {
	const timeout = 30 * time.Second
	never := 1000 * time.Hour
	for name, c := range map[string]struct {
		net         trickling
		yield       time.Duration
		want        error // nil: success
		after       time.Duration
		countsAfter time.Duration
	}{
		"no answer":     {trickling{head: never}, 0, errStalled, timeout, timeout},
		"no body":       {trickling{head: 20 * time.Second, wait: never, body: oneLine}, 0, errStalled, 50 * time.Second, timeout},
		"a slow one":    {trickling{head: 29 * time.Second, wait: 29 * time.Second, body: oneLine}, 0, context.DeadlineExceeded, 10 * timeout, timeout},
		"just in time":  {trickling{head: 29 * time.Second, wait: time.Second, body: oneLine}, 0, nil, 29*time.Second + time.Duration(len(oneLine))*time.Second, timeout},
		"a slow reader": {trickling{wait: time.Second, body: oneLine + oneLine}, 40 * time.Second, nil, 2*40*time.Second + 2*time.Duration(len(oneLine))*time.Second, timeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				net := c.net
				r := readerAt(t, &http.Client{Transport: &net}, "http://receiver.test")
				r.remote.Timeout = timeout
				err := r.times(t.Context(), ofBoat, fromMS, toMS, func(string, []int64) { time.Sleep(c.yield) })
				if c.want == nil && err != nil || c.want != nil && (!errors.Is(err, c.want) || !errors.Is(err, errUnknown)) {
					t.Errorf("times: %v, want %v", err, c.want)
				}
				if took := time.Since(began); took != c.after {
					t.Errorf("times ended after %s, want %s", took, c.after)
				}
				began, net = time.Now(), c.net
				if _, err := countBoat(t, r); !errors.Is(err, errUnknown) {
					t.Errorf("counts: %v", err)
				}
				if took := time.Since(began); took > c.countsAfter {
					t.Errorf("counts ended after %s, want %s", took, c.countsAfter)
				}
				ctx, cancel := context.WithCancel(t.Context())
				net = trickling{head: never}
				go cancel()
				if _, err := r.started(ctx); !errors.Is(err, errUnknown) || !errors.Is(err, context.Canceled) {
					t.Errorf("started: %v", err)
				}
			})
		})
	}
}
