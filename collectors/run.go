package collectors

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"taffrail/internal/event"
)

var (
	// ErrTimeout says that a collector did not answer within its timeout.
	ErrTimeout = errors.New("no answer in time")

	errExited = errors.New("collector ended its goroutine")
)

// PanicError is the failure of a collector that panicked.
type PanicError struct {
	Value any    // what it panicked with
	Stack []byte // where, as debug.Stack formats it
}

// Error returns one line; the stack is not in it.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// A result is what one run of a collector came to.
type result struct {
	worker         *worker
	samples        []event.Sample // the recorder's, until the collector runs again
	err            error
	started, ended time.Time
	stamp          event.Stamp // of the end
	trusted        bool
}

// start runs a collector for the open round. Whatever it does, a panic or an
// exit of its goroutine included, exactly one result comes of it; if it hangs,
// none does.
func (s *Scheduler) start(ctx context.Context, w *worker, now time.Time) {
	w.running, w.expired, w.gathered = true, false, true
	w.started = now
	s.round.waiting++
	s.mu.Lock()
	w.status.LastRun = now
	w.status.Runs++
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, w.job.Timeout)
	go func() {
		defer cancel()
		r := &result{worker: w, started: now, err: errExited}
		defer func() {
			var refused error
			r.samples, refused = w.rec.Finish()
			r.err = join(r.err, refused)
			r.ended = time.Now()
			r.stamp, r.trusted = s.opts.Clock.Now()
			s.results <- r
		}()
		r.err = guard(ctx, w.job.Collector, w.rec)
	}()
}

// guard calls the collector and makes an error of a panic.
func guard(ctx context.Context, c Collector, rec *Recorder) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return c.Collect(ctx, rec)
}
