package projections

import (
	"context"
	"fmt"
	"io"
	"time"
)

// follow reads the log as it grows and writes it to the database, until ctx is
// done or something goes wrong.
func (e *Engine) follow(ctx context.Context, w *writer, source Source) error {
	f := &follower{engine: e, w: w, source: source, checkpointed: time.Now()}
	defer f.answer(ErrNotReady)
	verified, stop := f.verify(ctx)
	defer stop()
	poll := time.NewTicker(e.opts.Poll)
	defer poll.Stop()
	for ctx.Err() == nil {
		end, err := f.read(ctx)
		if err != nil {
			return err
		}
		if !end {
			f.takeRequests()
			continue
		}
		if err := f.caughtUp(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-poll.C:
		case r := <-e.requests:
			f.pending = append(f.pending, r)
		case err := <-verified:
			if err != nil && ctx.Err() == nil {
				return err
			}
			verified = nil
			e.note(func(s *Status) { s.Verified = err == nil })
		}
	}
	// What was appended until now belongs to the last transaction.
	_, err := f.read(context.WithoutCancel(ctx))
	return err
}

// once reads the log to its end.
func (e *Engine) once(ctx context.Context, w *writer, source Source) error {
	f := &follower{engine: e, w: w, source: source, checkpointed: time.Now()}
	for {
		end, err := f.read(ctx)
		if err != nil || end {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// follower is what follow knows.
type follower struct {
	engine       *Engine
	w            *writer
	source       Source
	pending      []request
	checkpointed time.Time
}

// verify starts looking at all of the database beside the work on it. It returns
// where the outcome will be, and what ends it and waits for its end.
func (f *follower) verify(ctx context.Context) (<-chan error, func()) {
	ctx, cancel := context.WithCancel(ctx)
	outcome, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		outcome <- verify(ctx, f.w.db, restFactor)
	}()
	return outcome, func() {
		cancel()
		<-ended
	}
}

// read takes records until the log ends, or until a transaction is due, which
// it then makes. It reports whether the log has ended.
func (f *follower) read(ctx context.Context) (end bool, err error) {
	e, w := f.engine, f.w
	for {
		rec, err := f.source.Next()
		if err == io.EOF {
			end = true
			break
		}
		if err != nil {
			return false, fmt.Errorf("read log: %w", err)
		}
		if err := w.add(rec); err != nil {
			return false, err
		}
		if units, _ := w.head.waiting(); units >= e.opts.MaxSamples {
			break
		}
	}
	if f.due(end) {
		// A transaction is not cut off by a stop: it is short.
		if err := e.commit(context.WithoutCancel(ctx), w); err != nil {
			return false, err
		}
	}
	e.progress(w)
	return end, f.checkpoint(ctx)
}

// due reports whether what waits is to be written now.
func (f *follower) due(end bool) bool {
	units, since := f.w.head.waiting()
	if units == 0 {
		return false
	}
	if units >= f.engine.opts.MaxSamples || time.Since(since) >= f.engine.opts.MaxLag {
		return true
	}
	if !end {
		return false
	}
	if f.w.urgent {
		return true
	}
	for _, r := range f.pending {
		if r.commit || len(f.w.rejected.losses) > 0 {
			return true
		}
	}
	return false
}

// checkpoint copies SQLite's WAL into the database when it is old or large.
func (f *follower) checkpoint(ctx context.Context) error {
	size := f.w.db.walSize()
	opts := &f.engine.opts
	aged := time.Since(f.checkpointed) >= opts.CheckpointInterval
	if size == 0 || size < opts.CheckpointSize && !aged {
		return nil
	}
	err := f.engine.checkpoint(context.WithoutCancel(ctx), f.w)
	if err == nil && !f.engine.Status().LastCheckpoint.Busy {
		f.checkpointed = time.Now()
	}
	return err
}

// caughtUp answers those who wait for the end of the log.
func (f *follower) caughtUp() error {
	if err := f.w.db.inPlace(); err != nil {
		return err
	}
	f.answer(nil)
	f.engine.note(func(s *Status) {
		s.CaughtUp = true
		s.LastError = nil
	})
	return nil
}

// takeRequests takes requests while there is more to read. They wait for the end:
// only an index that has caught up is asked.
func (f *follower) takeRequests() {
	for {
		select {
		case r := <-f.engine.requests:
			f.pending = append(f.pending, r)
		default:
			return
		}
	}
}

func (f *follower) answer(err error) {
	for _, r := range f.pending {
		r.done <- err
	}
	f.pending = nil
}
