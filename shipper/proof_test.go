package shipper

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// blindLife returns a device whose receiver merges and cannot be asked.
func blindLife(t *testing.T, change func(opts *Options)) (*life, *model) {
	opts := testOptions()
	opts.Remote.Timeout = 10 * time.Second
	if change != nil {
		change(&opts)
	}
	m := newModel(t, time.Millisecond)
	return newLife(t, 1, opts, m), m
}

// settleDown lets everything be settled, and compares.
func settleDown(l *life) {
	l.t.Helper()
	l.live(25*time.Minute + time.Second)
	time.Sleep(2 * l.opts.UploadInterval)
	l.check()
}

// However long the receiver is away after it was killed, what it may have lost is
// sent again before it counts as settled.
func TestConnectionProofOutlastsOutages(t *testing.T) {
	for name, restart := range map[string]bool{"one process": false, "and a restart": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, m := blindLife(t, nil)
				l.live(5*time.Minute + 6*time.Second) // something was sent a moment ago
				m.kill()
				if restart {
					l.restart()
				}
				l.live(3 * proofAge * time.Minute)
				m.start()
				settleDown(l)
			})
		})
	}
}

// A record that is sent in several batches is proven by a connection only if all
// of them went over it.
func TestConnectionProofOfARecordInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := blindLife(t, func(opts *Options) {
			opts.BatchSize, opts.ChunkSize, opts.UploadInterval = 2, 1, time.Second
		})
		n := 0
		m.change(func() {
			m.fault = func() fault {
				// Each tick has three series, in two batches.
				if n++; n%3 != 0 || n != 60 {
					return noFault
				}
				time.AfterFunc(0, m.kill)
				time.AfterFunc(5*time.Second, m.start)
				return lostRequest
			}
		})
		settleDown(l)
	})
}

// closing is a link to a receiver that announces the end of a connection every two
// minutes, as VictoriaMetrics does (-http.connTimeout).
type closing struct {
	*model
	since time.Time
	after func()
}

func (c *closing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.model.RoundTrip(r)
	if err == nil && time.Since(c.since) >= 2*time.Minute {
		resp.Close = true
		c.since = time.Now()
		c.change(func() { c.conn, _ = net.Pipe() })
		c.after()
	}
	return resp, err
}

// A receiver that is killed and back before the next request, just after it has
// closed a connection in order, is noticed.
func TestConnectionProofBehindAClosedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := blindLife(t, nil)
		l.end()
		s, err := New(l.log, l.opts)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		s.client.http.Transport = &closing{m, time.Now(), func() {
			if n++; n == 3 {
				time.AfterFunc(3*time.Second, m.kill)
				time.AfterFunc(8*time.Second, m.start)
			}
		}}
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { s.Run(ctx) })
		l.end = func() {
			cancel()
			done.Wait()
		}
		settleDown(l)
		if n < 5 {
			t.Errorf("%d connections were closed", n)
		}
		if again := s.Status().Repeats; again == 0 || again > 3 {
			t.Errorf("%d batches were sent again for one kill", again)
		}
	})
}
