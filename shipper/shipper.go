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

// Options configure a Shipper.
type Options struct {
	Remote         Remote
	UploadInterval time.Duration
	BatchSize      int // lines of a batch
	ChunkSize      int // lines of a chunk
	MaxChunkBytes  int // of a chunk's gzip
	Retry          Retry
	// Now is the clock that stamps plans and acknowledgements.
	Now    func() event.Stamp
	Logger zerolog.Logger
}

// stopGrace is how long a request that is under way when the shipper is told to
// stop may take to its end. Breaking it off would leave its chunk in doubt.
const stopGrace = 5 * time.Second

// Shipper uploads a log.
type Shipper struct {
	log    Log
	opts   Options
	client *client

	cycles  sync.Mutex // held for the length of a cycle; guards planner
	planner *planner

	mu     sync.Mutex // guards status
	status Status
}

// Status is how uploading goes.
type Status struct {
	// LastSuccess is when the receiver last took a chunk, or a cycle last ended
	// with nothing left to send.
	LastSuccess time.Time
	LastErrorAt time.Time
	LastError   error // of the last attempt or cycle, nil after a success
	Requests    uint64
	BytesSent   uint64 // bodies, gzipped
}

// New returns a shipper of log. It does nothing before Run.
func New(log Log, opts Options) (*Shipper, error) {
	c, err := newClient(opts.Remote)
	if err != nil {
		return nil, err
	}
	p, err := newPlanner(log.Source)
	if err != nil {
		return nil, err
	}
	return &Shipper{log: log, opts: opts, client: c, planner: p}, nil
}

// Status returns how uploading goes.
func (s *Shipper) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Run uploads what there is at once and then at every upload interval, until
// ctx is done. A request that is under way then may come to its end within
// stopGrace.
func (s *Shipper) Run(ctx context.Context) {
	ticker := time.NewTicker(s.opts.UploadInterval)
	defer ticker.Stop()
	for {
		// What a cycle ended with is in the status and in the log.
		_ = s.Cycle(ctx)
		select {
		case <-ctx.Done():
			s.client.http.CloseIdleConnections()
			return
		case <-ticker.C:
		}
	}
}

// Cycle uploads what was in the log when it began, batch by batch. It ends at
// the first chunk that the receiver does not take after as many attempts as a
// cycle has; what is left is for the next one.
func (s *Shipper) Cycle(ctx context.Context) error {
	s.cycles.Lock()
	defer s.cycles.Unlock()
	err := s.cycle(ctx)
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	s.finish(err)
	return err
}

func (s *Shipper) cycle(ctx context.Context) error {
	through := s.log.LastIndex()
	for ctx.Err() == nil {
		b, acked, err := s.nextBatch(through)
		if err != nil || b == nil {
			return err
		}
		if err := s.upload(ctx, b, acked); err != nil {
			return err
		}
	}
	return nil
}

// nextBatch returns the open batch, or else plans the next one and puts the plan
// into the log. It returns nil where nothing is to be sent.
func (s *Shipper) nextBatch(through uint64) (*batch, []bool, error) {
	ledger := s.log.Ledger()
	if open := ledger.Open; open != nil {
		b, err := s.planner.again(&open.Plan)
		if err == nil {
			return b, open.Acked, nil
		}
		if !errors.Is(err, errChanged) {
			return nil, nil, err
		}
		s.opts.Logger.Warn().Err(err).Str("batch_id", open.Plan.Batch).Msg("batch is planned anew")
	}
	b, err := s.planner.make(&ledger, limits{
		batchLines:    s.opts.BatchSize,
		chunkLines:    s.opts.ChunkSize,
		chunkBytes:    s.opts.MaxChunkBytes,
		batchSamples:  maxBatchSamples,
		throughRecord: through,
	})
	if err != nil || b == nil {
		return nil, nil, err
	}
	b.plan.Stamp = s.opts.Now()
	if _, err := s.log.Append(&b.plan); err != nil {
		s.planner.close()
		return nil, nil, err
	}
	return b, make([]bool, len(b.plan.Chunks)), nil
}

// upload sends the chunks that are not acknowledged and puts those that the
// receiver took into the log, in one event.
func (s *Shipper) upload(ctx context.Context, b *batch, acked []bool) error {
	began := time.Now()
	ack := event.Ack{Batch: b.plan.Batch}
	var failure error
	for i, chunk := range b.plan.Chunks {
		if acked[i] {
			continue
		}
		if failure = s.sendChunk(ctx, b, i); failure != nil {
			break
		}
		ack.Chunks = append(ack.Chunks, i)
		ack.Samples += chunk.Samples
	}
	if len(ack.Chunks) > 0 {
		ack.Stamp = s.opts.Now()
		if _, err := s.log.Append(&ack); err != nil {
			return errors.Join(failure, err)
		}
	}
	if failure == nil {
		s.opts.Logger.Info().
			Str("batch_id", b.plan.Batch).
			Int("chunks", len(b.plan.Chunks)).
			Int("count", ack.Samples).
			Int64("duration_ms", time.Since(began).Milliseconds()).
			Msg("batch uploaded")
	}
	return failure
}

// sendChunk sends one chunk, again after a wait where that makes sense.
func (s *Shipper) sendChunk(ctx context.Context, b *batch, chunk int) error {
	waits := s.opts.Retry.waits()
	for n := 1; ; n++ {
		err := s.try(ctx, b, chunk, n)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrUnavailable) || n >= s.opts.Retry.MaxAttempts {
			return err
		}
		wait := waits.NextBackOff()
		var failed *SendError
		if errors.As(err, &failed) {
			wait = max(wait, failed.RetryAfter)
		}
		s.opts.Logger.Debug().Str("batch_id", b.plan.Batch).Int("chunk_index", chunk).
			Int("attempt", n).Int64("backoff_ms", wait.Milliseconds()).Msg("waiting to send again")
		if !sleep(ctx, wait) {
			return fmt.Errorf("%w; stopped while waiting", err)
		}
	}
}

// try makes one attempt and notes how it went.
func (s *Shipper) try(ctx context.Context, b *batch, chunk, n int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// A stop does not break off the request, it only shortens it.
	reqCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		sleep(reqCtx, stopGrace)
		cancel()
	})()
	a, err := s.client.send(reqCtx, b, chunk)
	level := s.note(a, err)
	line := s.opts.Logger.WithLevel(level).
		Str("batch_id", b.plan.Batch).
		Int("chunk_index", chunk).
		Int("attempt", n).
		Int("http_status", a.status).
		Int("bytes_sent", a.sent).
		Int("bytes_rcvd", a.received).
		Int64("duration_ms", a.duration.Milliseconds())
	if err != nil {
		line.Err(err).Str("error_type", errorType(err)).Msg("chunk not taken")
		return err
	}
	line.Msg("chunk uploaded")
	return nil
}

// note keeps how an attempt went and returns the level to log it at: only the
// first failure in a row is worth a line on a device that is offline for days.
func (s *Shipper) note(a attempt, err error) zerolog.Level {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Requests++
	s.status.BytesSent += uint64(a.sent)
	level := zerolog.DebugLevel
	if (err == nil) != (s.status.LastError == nil) {
		level = zerolog.WarnLevel
		if err == nil {
			level = zerolog.InfoLevel
		}
	}
	s.noteLocked(err)
	return level
}

// finish keeps how a cycle ended.
func (s *Shipper) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Sending has logged its errors; what is left concerns the log.
	var sent *SendError
	if err != nil && !errors.As(err, &sent) && s.status.LastError == nil {
		s.opts.Logger.Error().Err(err).Str("error_type", errorType(err)).Msg("upload cycle failed")
	}
	s.noteLocked(err)
}

func (s *Shipper) noteLocked(err error) {
	s.status.LastError = err
	if err != nil {
		s.status.LastErrorAt = time.Now()
	} else {
		s.status.LastSuccess = time.Now()
	}
}

// errorType names the class of an error for logs and health.
func errorType(err error) string {
	switch {
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	case errors.Is(err, ErrRefused):
		return "refused"
	case errors.Is(err, ErrNotReceiver):
		return "not_receiver"
	}
	return "internal"
}
