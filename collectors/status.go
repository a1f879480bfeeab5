package collectors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"taffrail/internal/event"
)

// CollectorStatus is how a collector does.
type CollectorStatus struct {
	Name     string
	Interval time.Duration
	Timeout  time.Duration
	// LastRun is when it was called last, LastSuccess when it last returned in
	// time and without an error. Zero: never.
	LastRun     time.Time
	LastSuccess time.Time
	// Error is why its last run failed, or nil. It wraps ErrTimeout or a
	// *PanicError where these are the reason.
	Error error
	// StuckSince is when the run began that passed its timeout and has not
	// come back. Zero: it is not stuck.
	StuckSince time.Time
	// Duration and Samples are those of the last run that ended.
	Duration time.Duration
	Samples  int

	Runs     uint64 // how often it was called
	Failures uint64 // how many of these failed
	Skipped  uint64 // how often it was due and not called
}

// Healthy reports whether the last run, if there was one, succeeded.
func (c *CollectorStatus) Healthy() bool { return c.Error == nil && c.StuckSince.IsZero() }

// Status returns how each collector does, in the order of the jobs. It may be
// called at any time and does not wait for collectors or for the sink.
func (s *Scheduler) Status() []CollectorStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]CollectorStatus, len(s.workers))
	for i, w := range s.workers {
		all[i] = w.status
	}
	return all
}

// finish notes a run that ended, with what was wrong with its samples, if
// anything. A run that passed its timeout has failed already.
func (s *Scheduler) finish(r *result, merged error, late bool) {
	w := r.worker
	took := r.ended.Sub(r.started)
	err := join(r.err, merged)
	s.mu.Lock()
	st := &w.status
	st.Duration, st.Samples, st.StuckSince = took, len(r.samples), time.Time{}
	switch {
	case w.expired:
		st.Error = fmt.Errorf("collect: %w: it took %s, allowed are %s", ErrTimeout, took, w.job.Timeout)
	case err != nil:
		st.Error = err
		st.Failures++
	default:
		st.Error = nil
		st.LastSuccess = r.ended
	}
	s.mu.Unlock()

	s.log.Debug().Str("collector", w.name).Int("count", len(r.samples)).
		Dur("duration_ms", took).Bool("late", late).Msg("collected")
	switch {
	case w.expired:
	case err != nil:
		s.logFailure(&w.throttle, errorType(err), err, "collect failed", w.name)
	case w.throttle.recovered():
		s.log.Info().Str("collector", w.name).Msg("collector works again")
	}
}

// fail notes that a run passed its timeout. The round waits for it no longer.
func (s *Scheduler) fail(w *worker, now time.Time) {
	w.expired = true
	if w.gathered {
		w.gathered = false
		s.round.waiting--
	}
	err := fmt.Errorf("collect: %w: allowed are %s", ErrTimeout, w.job.Timeout)
	s.mu.Lock()
	w.status.Error = err
	w.status.Failures++
	w.status.StuckSince = w.started
	w.status.Duration = now.Sub(w.started)
	w.status.Samples = 0
	s.mu.Unlock()
	s.logFailure(&w.throttle, errorType(err), err, "collector is stuck", w.name)
}

func (s *Scheduler) skip(w *worker, n int) {
	s.mu.Lock()
	w.status.Skipped += uint64(n)
	s.mu.Unlock()
}

// logFailure logs what failed, unless the throttle has had enough of it.
func (s *Scheduler) logFailure(th *throttle, kind string, err error, msg, collector string) {
	if errors.Is(err, context.Canceled) {
		return // we are asked to stop, and so the collector was
	}
	ok, suppressed := th.allow(time.Now(), kind)
	if !ok {
		return
	}
	line := s.log.Error().Err(err).Str("error_type", kind)
	if collector != "" {
		line = line.Str("collector", collector)
	}
	if suppressed > 0 {
		line = line.Int("suppressed", suppressed)
	}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		line = line.Bytes("stack", panicked.Stack)
	}
	line.Msg(msg)
}

// errorType sorts a collector's error for logs.
func errorType(err error) string {
	var panicked *PanicError
	switch {
	case errors.As(err, &panicked):
		return "panic"
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, fs.ErrNotExist):
		return "not_found"
	case errors.Is(err, fs.ErrPermission):
		return "permission"
	case errors.Is(err, ErrDuplicate), errors.Is(err, ErrTooMany), errors.Is(err, ErrText), errors.Is(err, event.ErrSeries):
		return "refused"
	}
	return "collect"
}

// A throttle keeps what fails at every tick from filling the device's journal:
// the same kind of failure is logged every ten minutes, a new one no sooner
// than a minute after the last.
type throttle struct {
	kind       string    // logged last, "" after a recovery
	last       time.Time // when
	suppressed int       // since then
}

const (
	repeatEvery = 10 * time.Minute
	changeEvery = time.Minute
)

// allow reports whether to log a failure, and how many were not since the last
// that was.
func (t *throttle) allow(now time.Time, kind string) (ok bool, suppressed int) {
	wait := changeEvery
	if kind == t.kind {
		wait = repeatEvery
	}
	if !t.last.IsZero() && now.Sub(t.last) < wait {
		t.suppressed++
		return false, 0
	}
	suppressed = t.suppressed
	*t = throttle{kind: kind, last: now}
	return true, suppressed
}

// recovered reports whether a logged failure has ended with this success.
func (t *throttle) recovered() bool {
	logged := t.kind != ""
	t.kind = ""
	return logged
}
