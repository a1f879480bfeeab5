package projections

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// errStopped is returned where a stop came before there was anything to write.
var errStopped = errors.New("stopped while the index was opened")

// Engine keeps the index of a log up to date and answers queries about it.
type Engine struct {
	opts     Options
	requests chan request

	mu     sync.Mutex // guards what follows
	status Status
	db     *database // nil while none is open
	head   *head     // of the last database that was open
	done   bool      // Run has returned
}

// request asks the loop to read what the log has.
type request struct {
	commit bool // and to write it
	done   chan<- error
}

// New returns an engine. It does nothing before Run.
func New(opts Options) (*Engine, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Engine{opts: opts, requests: make(chan request), head: &head{}}, nil
}

// Run keeps the index up to date until ctx is done; then it writes what waits
// and closes the database. It may be called once. Whatever is wrong with the
// database or the log is in Status, is logged, and is tried again or built
// anew; it never ends Run.
func (e *Engine) Run(ctx context.Context) {
	defer e.note(func(*Status) { e.done = true })
	wait := e.opts.MinBackoff
	for {
		began := time.Now()
		err := e.session(ctx, e.follow)
		if err != nil && err != errStopped {
			e.trouble(err)
		}
		if ctx.Err() != nil {
			return
		}
		// Trouble that comes at once each time is waited out longer and longer.
		if time.Since(began) > e.opts.MaxBackoff {
			wait = e.opts.MinBackoff
		}
		if !e.pause(ctx, wait) {
			return
		}
		wait = min(2*wait, e.opts.MaxBackoff)
	}
}

// Build brings the index at opts.Path up to the end of the log once, and closes
// it. What cannot be used is set aside, as Run does, at most once.
func Build(ctx context.Context, opts Options) (Status, error) {
	e, err := New(opts)
	if err != nil {
		return Status{}, err
	}
	err = e.session(ctx, e.once)
	if err != nil && rebuildReason(err) != "" {
		e.trouble(err)
		err = e.session(ctx, e.once)
	}
	return e.Status(), err
}

// trouble records what ended a session and sets the database aside if that is
// what helps.
func (e *Engine) trouble(err error) {
	reason := rebuildReason(err)
	log := e.opts.Logger.Warn().Err(err).Str("error_type", "index")
	aside := ""
	if reason != "" {
		var failed error
		if aside, failed = setAside(e.opts.Path, reason, time.Now()); failed != nil {
			err = errors.Join(err, failed)
		}
		log = log.Str("reason", reason).Str("set_aside", aside)
	}
	log.Msg("index interrupted")
	e.note(func(s *Status) {
		s.LastError, s.LastErrorAt = err, time.Now()
		if reason != "" {
			s.Rebuilds++
			s.LastReason, s.LastAside = reason, aside
		}
	})
}

// pause waits after trouble. Requests are answered at once.
func (e *Engine) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case r := <-e.requests:
			r.done <- ErrNotReady
		}
	}
}

// session opens the database and the log, lets work go on with them until it
// returns, and closes both.
func (e *Engine) session(ctx context.Context, work func(context.Context, *writer, Source) error) (err error) {
	db, err := openDatabase(ctx, &e.opts)
	if err != nil {
		if ctx.Err() != nil {
			return errStopped
		}
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	// What was begun is brought to its end, whatever ctx says.
	w, err := newWriter(context.WithoutCancel(ctx), db, &e.opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	source, err := anchor(e.opts.Open, w)
	if err != nil {
		return err
	}
	defer source.Close()
	e.mu.Lock()
	e.db, e.head = db, w.head
	e.status.Ready, e.status.CaughtUp, e.status.Verified = true, false, false
	e.status.Position, e.status.Head = w.committed, w.committed
	e.mu.Unlock()
	defer e.note(func(s *Status) {
		e.db = nil
		s.Ready, s.CaughtUp = false, false
	})
	err = work(ctx, w, source)
	if err != nil {
		return err
	}
	// A stop must not cut off the last transaction.
	last := context.WithoutCancel(ctx)
	if err := e.commit(last, w); err != nil {
		return err
	}
	return e.checkpoint(last, w)
}

// commit writes what waits.
func (e *Engine) commit(ctx context.Context, w *writer) error {
	before := w.committed
	if err := w.commit(ctx); err != nil {
		return err
	}
	if w.committed != before {
		e.note(func(s *Status) { s.LastCommit = time.Now() })
	}
	e.progress(w)
	return nil
}

func (e *Engine) checkpoint(ctx context.Context, w *writer) error {
	cp, err := w.db.checkpoint(ctx)
	if err != nil {
		return err
	}
	e.note(func(s *Status) { s.LastCheckpoint = cp })
	return nil
}

func (e *Engine) progress(w *writer) {
	units, _ := w.head.waiting()
	e.note(func(s *Status) {
		s.Position, s.Head, s.Waiting = w.committed, w.state.position, units
	})
}

// ask sends a request to the loop and waits for the answer.
func (e *Engine) ask(ctx context.Context, commit bool) error {
	done := make(chan error, 1)
	select {
	case e.requests <- request{commit, done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Flush returns when everything that the log held is in the database. It needs
// Run to be going on.
func (e *Engine) Flush(ctx context.Context) error {
	if err := e.ask(ctx, true); err != nil {
		return fmt.Errorf("flush index: %w", err)
	}
	return nil
}

// catchUp makes the head hold what the log holds. While the index is being
// built, or has no database, it does not wait: queries then see what there is.
func (e *Engine) catchUp(ctx context.Context) error {
	e.mu.Lock()
	live := e.status.CaughtUp && !e.done
	e.mu.Unlock()
	if !live {
		return nil
	}
	if err := e.ask(ctx, false); err != nil && !errors.Is(err, ErrNotReady) {
		return err
	}
	return nil
}
