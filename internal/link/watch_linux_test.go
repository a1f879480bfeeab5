//go:build linux

package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// kernel is a source of messages that a test sends.
type kernel struct {
	ctx      context.Context
	sent     chan any // a []byte or an error
	received int      // calls of receive
}

func (k *kernel) receive() ([]byte, error) {
	k.received++
	select {
	case <-k.ctx.Done():
		return nil, k.ctx.Err()
	case s := <-k.sent:
		if b, ok := s.([]byte); ok {
			return b, nil
		}
		return nil, fmt.Errorf("receive: %w", s.(error))
	}
}

// watched is a relay in a bubble.
type watched struct {
	*kernel
	began  time.Time
	cancel context.CancelFunc
	calls  []time.Duration // since it began
	busy   time.Duration   // how long a call takes
	done   chan error
}

// newWatched starts one. What it says of its calls is read after it has ended.
func newWatched(t *testing.T) *watched {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watched{kernel: &kernel{ctx: ctx, sent: make(chan any)}, began: time.Now(), cancel: cancel, done: make(chan error, 1)}
	up := func() {
		w.calls = append(w.calls, time.Since(w.began))
		time.Sleep(w.busy)
	}
	go func() { w.done <- relay(ctx, w.receive, newMemory(), up) }()
	return w
}

// at sends what happens so long after the beginning.
func (w *watched) at(since time.Duration, sent any) {
	time.Sleep(since - time.Since(w.began))
	w.sent <- sent
}

// end ends the watch at a time and checks when calls were made.
func (w *watched) end(t *testing.T, since time.Duration, want ...time.Duration) {
	t.Helper()
	time.Sleep(since - time.Since(w.began))
	before := time.Now()
	w.cancel()
	if err := <-w.done; err != nil {
		t.Errorf("error %v", err)
	}
	if took := time.Since(before); took != 0 {
		t.Errorf("it went on for %s after its context", took)
	}
	if !slices.Equal(w.calls, want) {
		t.Errorf("calls after %v, want %v", w.calls, want)
	}
}

const ms = time.Millisecond

func TestBurstIsOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.at(1000*ms, newLink(left, works))
		w.at(1001*ms, newAddress("198.51.100.2/24", left, 0))
		w.at(1300*ms, newAddress("2001:db8::2/64", left, 0))
		w.at(1499*ms, newLink(right, works))
		w.at(9000*ms, newAddress("198.51.100.3/24", left, 0))
		w.end(t, time.Hour, 1500*ms, 9500*ms)
		if w.received != 6 {
			t.Errorf("%d reads of 5 messages", w.received)
		}
	})
}

func TestRepeatedMessagesAreNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.at(0, newLink(left, works))
		for i := range 1000 {
			w.at(time.Duration(i+1)*time.Second, newLink(left, works))
			w.at(time.Duration(i+1)*time.Second, newLink(right, unix.IFF_UP))
			w.at(time.Duration(i+1)*time.Second, newLink(1, works))
		}
		w.end(t, time.Hour, 500*ms)
	})
}

// A link that never stops going up and down neither puts the call off nor makes
// more than two a second.
func TestBurstWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		for i := range 100 {
			w.at(time.Duration(i)*100*ms, newLink(left, 0))
			w.at(time.Duration(i)*100*ms, newLink(left, works))
		}
		w.cancel()
		<-w.done
		if len(w.calls) < 16 || len(w.calls) > 20 {
			t.Errorf("%d calls in 10 s", len(w.calls))
		}
		for i := 1; i < len(w.calls); i++ {
			if apart := w.calls[i] - w.calls[i-1]; apart < settle {
				t.Errorf("calls %s apart", apart)
			}
		}
	})
}

// When messages were lost something changed, and what is known may be wrong.
func TestLostMessagesAreACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.at(0, newLink(left, works))
		w.at(10*time.Second, unix.ENOBUFS)
		w.at(10*time.Second, unix.ENOBUFS)
		w.at(20*time.Second, newLink(left, works))
		w.at(30*time.Second, newLink(left, works))
		w.end(t, time.Hour, 500*ms, 10500*ms, 20500*ms)
	})
}

func TestMalformedMessagesAreNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.at(0, []byte{})
		w.at(0, newLink(left, works)[:20])
		w.at(time.Second, newLink(left, works))
		w.end(t, time.Hour, 1500*ms)
	})
}

// While a call lasts messages are read on, and become one call after it.
func TestSlowCallHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.busy = time.Minute
		w.at(0, newLink(left, works))
		for i := range 20 {
			at := time.Duration(1+i) * time.Second
			w.at(at, newLink(left, 0))
			w.at(at, newLink(left, works))
			if late := time.Since(w.began) - at; late != 0 {
				t.Errorf("a message waited for %s", late)
			}
		}
		w.end(t, time.Hour, 500*ms, 61*time.Second)
	})
}

// A call that is due when the context ends is not made any more.
func TestEndWhileSettling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.at(0, newLink(left, works))
		w.end(t, 499*ms)
	})
}

func TestSourceThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched(t)
		w.at(0, newLink(left, works))
		w.at(time.Second, unix.EBADF)
		if err := <-w.done; !errors.Is(err, unix.EBADF) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(w.began); took != time.Second || w.received != 2 {
			t.Errorf("ended after %s and %d reads", took, w.received)
		}
		w.cancel()
	})
}
