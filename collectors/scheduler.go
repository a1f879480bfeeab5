package collectors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"taffrail/internal/event"
)

const (
	// DefaultInterval and DefaultTimeout stand in for a Job's zeros.
	DefaultInterval = 10 * time.Second
	DefaultTimeout  = 5 * time.Second

	// gatherWindow is how long a tick waits for its collectors.
	gatherWindow = time.Second
	// stopGrace is how long Run waits for running collectors when it is to
	// end.
	stopGrace = time.Second
)

// ErrBusy is returned to whoever calls Run or CollectOnce while either runs.
var ErrBusy = errors.New("scheduler is running")

// Job is a collector and when to call it.
type Job struct {
	Collector Collector
	Interval  time.Duration // zero: DefaultInterval
	Timeout   time.Duration // zero: DefaultTimeout
}

// Options are what a Scheduler needs beside jobs and a sink.
type Options struct {
	Clock     Clock          // stamps the ticks; required
	Logger    zerolog.Logger // the zero value is silent
	SessionID string         // stands in every log line
}

// Scheduler calls each collector at the multiples of its interval, counted on
// the monotonic clock from the call of Run, and makes ticks of what they
// deliver.
//
// What it guarantees:
//   - Collectors that are due together run side by side and their samples are
//     one tick, stamped with the moment at which they were called. It is
//     appended when all have answered, or after a second, or when the next
//     tick is due, so that a slow collector delays no other.
//   - Samples that come later are not lost: they are a tick of their own,
//     stamped with the moment at which they came.
//   - A collector that has not come back is not called again, and its status
//     says since when. One that panics has failed and is called again.
//   - A time that was missed is skipped and not made up for; the times after
//     it are where they would have been.
//   - No series stands twice in a tick. Of two collectors that deliver the
//     same, the one that comes first in the jobs is believed.
//   - A text is passed on when the session starts and when it changes, and
//     again until an Append has taken it.
//   - A failed Append loses the samples of that tick and nothing else.
type Scheduler struct {
	workers []*worker
	sink    Sink
	opts    Options
	log     zerolog.Logger
	busy    atomic.Bool
	// results has room for one of each worker, so that sending never blocks,
	// not even when no one listens any more.
	results chan *result

	// These belong to the goroutine in Run or CollectOnce.
	round    round
	late     []*result
	tick     event.Tick // reused
	seen     map[string]struct{}
	texts    texts
	appendTh throttle

	mu        sync.Mutex // guards appendErr and every worker's status
	appendErr error
}

// A worker is a job and what is known of it. All but status belongs to the
// goroutine in Run or CollectOnce.
type worker struct {
	job  Job
	name string
	rec  *Recorder // belongs to the collector while it runs

	next     time.Time // when it is due
	running  bool
	started  time.Time // the run that goes on, or the last one
	expired  bool      // that run passed its timeout
	gathered bool      // that run's samples belong to the open round
	answer   *result   // what it delivered to the open round
	throttle throttle

	status CollectorStatus // guarded by Scheduler.mu
}

// A round is a tick in the making.
type round struct {
	open     bool
	stamp    event.Stamp
	trusted  bool
	deadline time.Time
	waiting  int // collectors that have neither answered nor passed their timeout
}

// NewScheduler checks jobs and options. The sink may be nil for CollectOnce.
func NewScheduler(jobs []Job, sink Sink, opts Options) (*Scheduler, error) {
	if opts.Clock == nil {
		return nil, errors.New("new scheduler: no clock")
	}
	s := &Scheduler{
		sink:    sink,
		opts:    opts,
		log:     opts.Logger.With().Str("session_id", opts.SessionID).Logger(),
		results: make(chan *result, len(jobs)),
		seen:    make(map[string]struct{}),
		texts:   texts{stored: make(map[string]string)},
	}
	names := make(map[string]bool, len(jobs))
	for _, j := range jobs {
		if j.Collector == nil {
			return nil, errors.New("new scheduler: a job has no collector")
		}
		name := j.Collector.Name()
		switch {
		case names[name]:
			return nil, fmt.Errorf("new scheduler: two collectors are called %s", name)
		case j.Interval < 0:
			return nil, fmt.Errorf("new scheduler: %s has the interval %s", name, j.Interval)
		case j.Timeout < 0:
			return nil, fmt.Errorf("new scheduler: %s has the timeout %s", name, j.Timeout)
		}
		names[name] = true
		if j.Interval == 0 {
			j.Interval = DefaultInterval
		}
		if j.Timeout == 0 {
			j.Timeout = DefaultTimeout
		}
		s.workers = append(s.workers, &worker{
			job:    j,
			name:   name,
			rec:    NewRecorder(),
			status: CollectorStatus{Name: name, Interval: j.Interval, Timeout: j.Timeout},
		})
	}
	return s, nil
}

// Run collects until ctx is done; the first tick is made at once. It then
// cancels the collectors, waits at most a second for them, appends what they
// delivered, abandons those that are stuck, and returns nil.
func (s *Scheduler) Run(ctx context.Context) error {
	if s.sink == nil {
		return errors.New("run scheduler: no sink")
	}
	if !s.busy.CompareAndSwap(false, true) {
		return fmt.Errorf("run: %w", ErrBusy)
	}
	defer s.busy.Store(false)

	start := time.Now()
	for _, w := range s.workers {
		w.next = start
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		if s.step(ctx) {
			continue
		}
		timer.Reset(time.Until(s.wake()))
		select {
		case <-ctx.Done():
		case r := <-s.results:
			s.take(r)
		case <-timer.C:
		}
	}
	s.stop()
	return nil
}

// step does one thing that is to be done now, or returns false. An Append may
// take long: what comes after it looks at the clock anew.
func (s *Scheduler) step(ctx context.Context) bool {
	s.drain() // first: who has answered has not expired
	now := time.Now()
	s.expire(now)
	due := s.due(now)
	switch {
	case s.round.open && (due || s.round.waiting == 0 || !now.Before(s.round.deadline)):
		s.append(s.gather(true))
	case !s.round.open && len(s.late) > 0:
		s.appendLate()
	case due:
		s.begin(ctx, now)
	default:
		return false
	}
	return true
}

// due reports whether any collector is to be called.
func (s *Scheduler) due(now time.Time) bool {
	for _, w := range s.workers {
		if !w.next.After(now) {
			return true
		}
	}
	return false
}

// wake returns when the next thing is to be done if no collector answers.
func (s *Scheduler) wake() time.Time {
	at := time.Now().Add(time.Hour)
	earlier := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	if s.round.open {
		earlier(s.round.deadline)
	}
	for _, w := range s.workers {
		earlier(w.next)
		if w.running && !w.expired {
			earlier(w.started.Add(w.job.Timeout))
		}
	}
	return at
}

// begin opens a round with all collectors that are due.
func (s *Scheduler) begin(ctx context.Context, now time.Time) {
	s.open(now)
	for _, w := range s.workers {
		if w.next.After(now) {
			continue
		}
		missed := now.Sub(w.next) / w.job.Interval
		w.next = w.next.Add((missed + 1) * w.job.Interval)
		if w.running {
			missed++
		} else {
			s.start(ctx, w, now)
		}
		s.skip(w, int(missed))
	}
	s.round.open = s.round.waiting > 0
}

func (s *Scheduler) open(now time.Time) {
	stamp, trusted := s.opts.Clock.Now()
	s.round = round{open: true, stamp: stamp, trusted: trusted, deadline: now.Add(gatherWindow)}
}

// take notes what a collector delivered: for the open round, if that still
// waits for it, else as late.
func (s *Scheduler) take(r *result) {
	w := r.worker
	w.running = false
	if !w.expired && r.ended.Sub(r.started) > w.job.Timeout {
		s.fail(w, r.ended) // Append kept us from seeing it pass
	}
	if !w.gathered {
		s.late = append(s.late, r)
		return
	}
	w.answer = r
	s.round.waiting--
}

// drain takes all results that are there.
func (s *Scheduler) drain() {
	for {
		select {
		case r := <-s.results:
			s.take(r)
		default:
			return
		}
	}
}

// expire fails the collectors that passed their timeout.
func (s *Scheduler) expire(now time.Time) {
	for _, w := range s.workers {
		if w.running && !w.expired && now.Sub(w.started) >= w.job.Timeout {
			s.fail(w, now)
		}
	}
}

// stop waits for the collectors that run, and appends what they delivered.
func (s *Scheduler) stop() {
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	for waiting := true; waiting && s.running() > 0; {
		select {
		case r := <-s.results:
			s.take(r)
		case <-timer.C:
			waiting = false
		}
	}
	s.drain()
	if s.round.open {
		s.append(s.gather(true))
	}
	s.appendLate()
	for _, w := range s.workers {
		if w.running {
			s.log.Warn().Str("collector", w.name).Dur("duration_ms", time.Since(w.started)).
				Msg("collector abandoned")
		}
	}
}

func (s *Scheduler) running() int {
	n := 0
	for _, w := range s.workers {
		if w.running {
			n++
		}
	}
	return n
}

// CollectOnce calls every collector once, waits until each has answered or
// passed its timeout, and returns their samples as one tick, all texts
// included, together with how each of them did. It appends nothing. A
// collector that is still stuck from an earlier call is not called again, and
// what it delivers in the end is dropped. The error is ErrBusy or that of ctx;
// with the latter, tick and statuses hold what had come till then.
func (s *Scheduler) CollectOnce(ctx context.Context) (*event.Tick, []CollectorStatus, error) {
	if !s.busy.CompareAndSwap(false, true) {
		return nil, nil, fmt.Errorf("collect: %w", ErrBusy)
	}
	defer s.busy.Store(false)

	s.drain()
	s.dropLate()
	now := time.Now()
	s.open(now)
	for _, w := range s.workers {
		if w.running {
			s.skip(w, 1)
		} else {
			s.start(ctx, w, now)
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for s.round.waiting > 0 && ctx.Err() == nil {
		timer.Reset(time.Until(s.nextTimeout()))
		select {
		case <-ctx.Done():
		case r := <-s.results:
			s.take(r)
		case <-timer.C:
			s.drain()
			s.expire(time.Now())
		}
	}
	gathered := s.gather(false)
	s.dropLate()
	tick := &event.Tick{Stamp: gathered.Stamp, Trusted: gathered.Trusted}
	tick.Samples = append(tick.Samples, gathered.Samples...)
	return tick, s.Status(), ctx.Err()
}

// nextTimeout returns when the first of the running collectors passes its
// timeout; there is one.
func (s *Scheduler) nextTimeout() time.Time {
	var at time.Time
	for _, w := range s.workers {
		if t := w.started.Add(w.job.Timeout); w.gathered && w.running && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}
