package shipper

import (
	"context"
	"math"
	"time"

	"taffrail/internal/event"
)

// aDay is how far a sample may be ahead of the clock. VictoriaMetrics drops those
// that are two days ahead, and answers 204.
const aDay = 24 * 60 * 60 * 1000

// queue decides the order in which the log is sent. Where the oldest samples
// are from the last two upload intervals, that is the order of the log. Else
// there is a backlog: what was appended lately goes first, at every upload
// interval, and the backlog follows behind it, oldest first, within its budget.
type queue struct {
	interval time.Duration
	budget   int // bytes a second of backlog, 0: no limit
	through  uint64
	marks    []mark
	// stretch is the first record of what counts as fresh while there is a
	// backlog before it; 0: there is none.
	stretch   uint64
	due       time.Time // when fresh samples are to be sent next
	backlogAt time.Time // when the budget allows the next backlog
	idle      bool      // nothing fresh is left for now
}

// mark says which record was the last at a moment.
type mark struct {
	at   time.Time
	last uint64
}

// task is a stretch of the log to make a batch of.
type task struct {
	rng     event.Range
	closed  bool // what follows the range needs no sending
	backlog bool
	planner *planner
	limits  limits
}

func newQueue(opts Options, last uint64) queue {
	return queue{
		interval: opts.UploadInterval,
		budget:   opts.BackfillBytesPerSecond,
		marks:    []mark{{time.Now(), last}},
	}
}

// begin begins a cycle.
func (q *queue) begin(last uint64) {
	q.through, q.idle = last, false
	now := time.Now()
	q.due = now.Add(q.interval)
	q.marks = append(q.marks, mark{now, last})
	q.trim(now)
}

// trim drops the marks before the last that is two intervals old.
func (q *queue) trim(now time.Time) {
	n := 0
	for n+1 < len(q.marks) && now.Sub(q.marks[n+1].at) >= 2*q.interval {
		n++
	}
	q.marks = append(q.marks[:0], q.marks[n:]...)
}

// refresh lets fresh samples come first again when an interval has passed.
func (q *queue) refresh(last uint64) {
	now := time.Now()
	if q.stretch == 0 || now.Before(q.due) {
		return
	}
	q.through, q.idle, q.due = last, false, now.Add(q.interval)
	q.marks = append(q.marks, mark{now, last})
	q.trim(now)
}

// fresh returns the records that are fresh and are to be sent, while there is a
// backlog. What was fresh when the link went down becomes a part of that.
func (q *queue) fresh(covered event.RangeSet) (event.Range, bool) {
	r, ok := covered.Missing(q.stretch, q.through)
	if boundary := q.marks[0].last; ok && r.From <= boundary {
		q.stretch = boundary + 1
		r, ok = covered.Missing(q.stretch, q.through)
	}
	return r, ok
}

// skip notes that a task has nothing to send now, and reports whether there may
// be another.
func (q *queue) skip(t *task) bool {
	if q.stretch == 0 || t.backlog {
		return false
	}
	q.idle = true
	return true
}

// spend accounts for bytes of backlog that were sent.
func (q *queue) spend(bytes int) {
	if q.budget > 0 {
		now := time.Now()
		if q.backlogAt.Before(now) {
			q.backlogAt = now
		}
		q.backlogAt = q.backlogAt.Add(time.Duration(float64(bytes) / float64(q.budget) * float64(time.Second)))
	}
}

// choose returns the next task, or nil where nothing is to be sent. It waits
// where only the budget of the backlog stands in the way.
func (s *Shipper) choose(ctx context.Context, ledger *event.Ledger) (*task, error) {
	q := &s.queue
	for ctx.Err() == nil {
		q.refresh(s.log.LastIndex())
		covered := ledger.Covered()
		oldest, any := covered.Missing(1, q.through)
		if !any {
			s.caughtUp()
			return nil, nil
		}
		if err := s.findBacklog(ledger, oldest); err != nil {
			return nil, err
		}
		if q.stretch == 0 {
			return s.task(ledger, oldest, q.through, false), nil
		}
		if !q.idle {
			if fresh, ok := q.fresh(covered); ok {
				return s.task(ledger, fresh, q.through, false), nil
			}
			q.idle = true
		}
		if oldest.From >= q.stretch {
			s.caughtUp()
			return nil, nil
		}
		if time.Until(q.backlogAt) <= 0 {
			old := event.Range{From: oldest.From, To: min(oldest.To, q.stretch-1)}
			return s.task(ledger, old, 0, true), nil
		}
		wait := min(time.Until(q.backlogAt), max(time.Until(q.due), time.Millisecond))
		s.sleep(ctx, wait)
	}
	return nil, nil
}

// caughtUp notes that there is no backlog any more.
func (s *Shipper) caughtUp() {
	if s.queue.stretch > 0 {
		s.queue.stretch = 0
		s.catchUp(func(c *CatchUp) { c.Complete = time.Since(c.Since) })
	}
}

// findBacklog sets where the fresh samples begin, if the oldest that are to be
// sent are older than two upload intervals by the log's own times.
func (s *Shipper) findBacklog(ledger *event.Ledger, oldest event.Range) error {
	q := &s.queue
	boundary := q.marks[0].last
	if q.stretch > 0 || oldest.From > boundary {
		return nil
	}
	ms, ok, err := s.backlog.firstTime(oldest)
	if err != nil || !ok {
		return err
	}
	if age := time.Duration(ledger.Times.NewestMS-ms) * time.Millisecond; age > 2*q.interval {
		q.stretch = boundary + 1
	}
	return nil
}

// task makes a task of a range. open is the last record that a range may reach
// whose end is not settled yet.
func (s *Shipper) task(ledger *event.Ledger, r event.Range, open uint64, backlog bool) *task {
	t := &task{rng: r, closed: r.To != open, backlog: backlog, planner: s.live, limits: s.liveLimits(ledger)}
	if backlog {
		t.planner = s.backlog
		t.limits.batchLines, t.limits.chunkLines = math.MaxInt, 0
	}
	t.limits.throughRecord, t.limits.closed = r.To, t.closed
	return t
}

// liveLimits returns the limits of a batch of fresh samples.
func (s *Shipper) liveLimits(ledger *event.Ledger) limits {
	lim := limits{
		batchLines:   s.opts.BatchSize,
		chunkLines:   s.opts.ChunkSize,
		chunkBytes:   s.window.chunkBytes(),
		batchSamples: s.window.batchSamples(s.opts.UploadInterval),
	}
	// A clock that is wrong must not decide what is too old or too new.
	if ledger.Times.Trusted {
		now := s.opts.Now().WallMS
		lim.notAfterMS = now + aDay
		if kept := s.settler.retention(); kept > 0 {
			lim.notBeforeMS = now - kept.Milliseconds()
		}
	}
	return lim
}
