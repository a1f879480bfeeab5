package shipper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"taffrail/internal/event"
)

// Log is what the shipper needs of the log.
type Log interface {
	// Append stores an event durably, with all that was appended before it.
	Append(ev event.Event) (index uint64, err error)
	// Ledger returns what became of the records so far; the caller owns it.
	Ledger() event.Ledger
	// LastIndex returns the index of the last record.
	LastIndex() uint64
	// Source returns the records from an index on. The caller closes it.
	Source(from uint64) Source
}

// Source yields the records of the log in order.
type Source interface {
	// Next returns the next record and its index, or io.EOF where the log ends
	// for now. Damaged records are left out. A *event.Tick is valid until the
	// next call.
	Next() (index uint64, ev event.Event, err error)
	Close() error
}

// Options configure a Shipper.
type Options struct {
	Remote         Remote
	UploadInterval time.Duration
	BatchSize      int // lines of a batch
	ChunkSize      int // lines of a chunk
	MaxChunkBytes  int // of a chunk's gzip
	Retry          Retry
	// ReplayWindow is what is sent again, without read access, when the
	// connection was lost: what was acknowledged within it.
	ReplayWindow time.Duration
	// BackfillBytesPerSecond bounds what the backlog takes of the link; 0: all
	// that fresh samples leave.
	BackfillBytesPerSecond int
	// Now is the clock that stamps events.
	Now    func() event.Stamp
	Logger zerolog.Logger
}

// stopGrace is how long a request that is under way when the shipper is told to
// stop may take to its end. Breaking it off would leave its chunk in doubt.
const stopGrace = 5 * time.Second

// Shipper uploads a log.
type Shipper struct {
	log     Log
	opts    Options
	client  *client
	settler *settler
	kicked  chan struct{} // holds one: a wait is to end

	cycles    sync.Mutex // held for the length of a cycle; guards what follows
	live      *planner   // of fresh samples
	backlog   *planner
	queue     queue
	proof     connectionProof
	window    sendWindow
	uncertain uncertain

	mu       sync.Mutex // guards what follows
	status   Status
	repairs  []repair // that the settler asks for, in order
	lastKick time.Time
}

// New returns a shipper of log. It does nothing before Run.
func New(log Log, opts Options) (*Shipper, error) {
	c, err := newClient(opts.Remote)
	if err != nil {
		return nil, err
	}
	s := &Shipper{
		log:    log,
		opts:   opts,
		client: c,
		kicked: make(chan struct{}, 1),
		queue:  newQueue(opts, log.LastIndex()),
		proof:  newConnectionProof(opts.ReplayWindow),
		window: newSendWindow(opts.MaxChunkBytes, opts.Remote.Timeout),
	}
	for _, p := range []**planner{&s.live, &s.backlog} {
		if *p, err = newPlanner(log.Source); err != nil {
			return nil, err
		}
	}
	ledger := log.Ledger()
	s.uncertain.inherit(ledger.Open)
	if s.settler, err = newSettler(s); err != nil {
		return nil, err
	}
	return s, nil
}

// Run uploads what there is at once and then at every upload interval, until
// ctx is done. A request that is under way then may come to its end within
// stopGrace.
func (s *Shipper) Run(ctx context.Context) {
	var settling sync.WaitGroup
	settling.Go(func() { s.settler.run(ctx) })
	defer settling.Wait()
	defer s.client.http.CloseIdleConnections()
	s.awaitLearning(ctx)
	for {
		// What a cycle ended with is in the status and in the log.
		err := s.Cycle(ctx)
		if !s.rest(ctx, err) {
			return
		}
	}
}

// learnPatience is how long the first upload waits for what the receiver says of
// itself: how long it keeps samples, and whether it merges them.
const learnPatience = 5 * time.Second

func (s *Shipper) awaitLearning(ctx context.Context) {
	timer := time.NewTimer(learnPatience)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-s.settler.learned:
	}
}

// rest waits until fresh samples are due, and reports false when ctx is done.
func (s *Shipper) rest(ctx context.Context, failed error) bool {
	s.cycles.Lock()
	due := s.queue.due
	s.cycles.Unlock()
	if failed != nil {
		// A link that is there for five minutes an hour must not be slept
		// through, however rarely there is something to upload.
		due = time.Now().Add(min(s.opts.UploadInterval, max(s.opts.Retry.MaxBackoff, time.Second)))
	}
	for ctx.Err() == nil {
		left := time.Until(due)
		if left <= 0 || !s.sleep(ctx, min(left, s.keepAlive())) {
			break
		}
		s.ping(ctx)
	}
	return ctx.Err() == nil
}

// kickPause is the shortest time between two kicks that count. A host whose
// containers come and go has links that come up all the time.
const kickPause = 5 * time.Second

// Kick ends a wait: the link came up, or there is another reason to believe that
// the next attempt succeeds.
func (s *Shipper) Kick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lastKick.IsZero() && time.Since(s.lastKick) < kickPause {
		return
	}
	s.lastKick = time.Now()
	select {
	case s.kicked <- struct{}{}:
	default:
	}
}

// sleep waits, and reports false when it was ended before, by ctx or by a kick.
func (s *Shipper) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.kicked:
		return false
	case <-timer.C:
		return true
	}
}

// Cycle uploads what was in the log when it began, and what came to it while a
// backlog was sent. It ends at the first chunk that the receiver does not answer
// for after as many attempts as a cycle has; what is left is for the next one.
func (s *Shipper) Cycle(ctx context.Context) error {
	s.cycles.Lock()
	defer s.cycles.Unlock()
	err := s.cycle(ctx)
	err = errors.Join(err, s.settleByConnection())
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	s.finish(err)
	return err
}

func (s *Shipper) cycle(ctx context.Context) error {
	s.queue.begin(s.log.LastIndex())
	for ctx.Err() == nil {
		d, err := s.next(ctx)
		if err != nil || d == nil {
			return err
		}
		if err := d.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// next returns what is to be sent next, or nil where nothing is: the batch that
// is open; what the receiver lacks; what may have been lost with a connection;
// and then a new batch, whose plan it puts into the log.
func (s *Shipper) next(ctx context.Context) (*delivery, error) {
	ledger := s.log.Ledger()
	if ledger.Open != nil {
		d, err := s.resume(ctx, &ledger)
		if d != nil || err != nil {
			return d, err
		}
		ledger = s.log.Ledger()
	}
	for _, from := range []func(*event.Ledger) (*delivery, error){s.nextRepair, s.nextRepeat} {
		if d, err := from(&ledger); d != nil || err != nil {
			return d, err
		}
	}
	for {
		d, again, err := s.nextBatch(ctx, &ledger)
		if d != nil || err != nil || !again {
			return d, err
		}
		ledger = s.log.Ledger()
	}
}

// resume returns what is left of the open batch, or nil where it is to be
// planned anew.
func (s *Shipper) resume(ctx context.Context, ledger *event.Ledger) (*delivery, error) {
	open := ledger.Open
	b, err := s.live.again(&open.Plan, ledger.Names)
	if errors.Is(err, errChanged) {
		s.opts.Logger.Warn().Err(err).Str("batch_id", open.Plan.Batch).Msg("batch is planned anew")
		return nil, s.renew(ctx, open)
	}
	if err != nil {
		return nil, err
	}
	return &delivery{s: s, b: b, open: *open}, nil
}

// renew lets an open batch be planned anew that the log no longer renders to. Where
// the receiver would store it twice its chunks are in doubt instead: what turns out
// to be missing is sent as the log renders it now.
func (s *Shipper) renew(ctx context.Context, open *event.OpenPlan) error {
	again, err := s.settler.mayRepeat(ctx)
	if err != nil || again {
		return err
	}
	ack := &event.Ack{Stamp: s.opts.Now(), Batch: open.Plan.Batch}
	for i := range open.Chunks {
		if !open.Done(i) {
			ack.Doubt = append(ack.Doubt, i)
		}
	}
	if _, err := s.log.Append(ack); err != nil {
		return fmt.Errorf("record what is in doubt: %w", err)
	}
	return nil
}

// plan puts a batch's plan into the log and returns its delivery.
func (s *Shipper) plan(b *batch) (*delivery, error) {
	b.plan.Stamp = s.opts.Now()
	index, err := s.log.Append(&b.plan)
	if err != nil {
		s.live.close()
		s.backlog.close()
		return nil, err
	}
	s.uncertain = uncertain{} // a repair of a whole batch has the batch's own id
	open := event.OpenPlan{Plan: b.plan, Index: index, Chunks: make([]event.ChunkState, len(b.plan.Chunks))}
	return &delivery{s: s, b: b, open: open}, nil
}

// nextRepair plans what the settler found to be missing.
func (s *Shipper) nextRepair(ledger *event.Ledger) (*delivery, error) {
	for {
		r, ok := s.firstRepair()
		if !ok {
			return nil, nil
		}
		b, err := s.live.repair(r.rng, r.gaps, ledger, s.liveLimits(ledger))
		if err != nil {
			return nil, err
		}
		if b == nil { // the log lost them in the meantime
			s.dropRepair()
			s.settler.resent(r.rng, false)
			continue
		}
		d, err := s.plan(b)
		if err == nil {
			s.dropRepair()
		}
		return d, err
	}
}

// nextBatch plans what comes next of the log. It returns again where it has put
// something else into the log and is to be called once more.
func (s *Shipper) nextBatch(ctx context.Context, ledger *event.Ledger) (d *delivery, again bool, err error) {
	task, err := s.choose(ctx, ledger)
	if err != nil || task == nil {
		return nil, false, err
	}
	b, reject, err := task.planner.make(task.rng.From, ledger, task.limits)
	switch {
	case err != nil:
		return nil, false, err
	case reject != nil:
		return nil, true, s.reject(reject)
	case b == nil:
		return nil, s.queue.skip(task), nil
	}
	d, err = s.plan(b)
	if d != nil {
		d.backlog = task.backlog
	}
	return d, false, err
}

func (s *Shipper) reject(r *event.Reject) error {
	r.Stamp = s.opts.Now()
	if _, err := s.log.Append(r); err != nil {
		return fmt.Errorf("record what is not sent: %w", err)
	}
	if r.Samples > 0 {
		s.opts.Logger.Warn().Str("reason", r.Reason).Int("count", r.Samples).
			Uint64("first_index", r.Range.From).Uint64("last_index", r.Range.To).
			Msg("samples are not sent; they stay in the log")
	}
	return nil
}
