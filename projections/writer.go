package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"taffrail/internal/event"
)

// writer is an open database and what the projections know of it. One goroutine
// uses it; after an error it is of no use any more, and a new one starts from
// what the database holds.
type writer struct {
	opts     *Options
	db       *database
	head     *head
	state    state
	segments segments
	sessions sessions
	series   seriesIDs
	events   events
	uploads  uploads
	records  records
	samples  samples
	rejected rejected
	// committed is the position of the database; state's is that of the head.
	committed Position
	urgent    bool // the head holds what queries cannot see before a commit
}

// newWriter returns a writer that goes on where the database ends.
func newWriter(ctx context.Context, db *database, opts *Options) (*writer, error) {
	w := &writer{
		opts: opts, db: db, head: &head{},
		state: newState(), segments: newSegments(), sessions: newSessions(), series: newSeriesIDs(),
		events: newEvents(), uploads: newUploads(), records: newRecords(), rejected: newRejected(),
	}
	err := errors.Join(
		w.state.load(ctx, db.conn),
		w.segments.load(ctx, db.conn),
		w.sessions.load(ctx, db.conn),
		w.series.load(ctx, db.conn),
		w.uploads.load(ctx, db.conn, w.state.uploads),
	)
	if err != nil {
		return nil, fmt.Errorf("load index: %w", errors.Join(err, w.close()))
	}
	w.committed = w.state.position
	return w, nil
}

// add folds the next record of the log.
func (w *writer) add(rec event.Record) error {
	if rec.Index <= w.state.position.Index {
		return fmt.Errorf("read log: record %d comes after %d", rec.Index, w.state.position.Index)
	}
	session, err := w.sessions.apply(&rec)
	if err != nil {
		return fmt.Errorf("index record %d: %w", rec.Index, err)
	}
	units := 1
	var tick *headTick
	switch ev := rec.Event.(type) {
	case *event.Tick:
		if tick, err = w.tick(&rec, ev, session); err != nil {
			return fmt.Errorf("index record %d: %w", rec.Index, err)
		}
		units += len(ev.Samples)
		session.count(tick)
	case *event.Plan:
		units += len(ev.Chunks)
	case *event.Clock:
		if d := ev.Decision; d != nil {
			w.head.decide(d)
			w.records.decisions = append(w.records.decisions, *d)
			w.urgent = true
		}
	}
	came, err := w.uploads.apply(&rec)
	if err != nil {
		return fmt.Errorf("index record %d: %w", rec.Index, err)
	}
	for _, m := range came.marks {
		w.head.mark(m)
	}
	w.rejected.losses = append(w.rejected.losses, came.losses...)
	if err := w.events.apply(&rec, tick); err != nil {
		return fmt.Errorf("index record %d: %w", rec.Index, err)
	}
	w.segments.apply(&rec, tick)
	w.state.apply(&rec)
	w.head.put(tick, units)
	return nil
}

// tick returns what the head keeps of a tick.
func (w *writer) tick(rec *event.Record, ev *event.Tick, session *session) (*headTick, error) {
	t := &headTick{idx: rec.Index, at: ev.Stamp, trusted: ev.Trusted, session: session}
	t.ms, t.timed = w.opts.effective(ev)
	t.decided = t.timed || t.trusted
	if !t.timed {
		t.ms = 0
	}
	err := w.samples.split(ev, t, func(i int) (*knownSeries, error) {
		return w.series.at(i, ev.Samples[i].Series, rec.Index, ev.WallMS)
	})
	return t, err
}

// commit writes what was folded since the last commit, in one transaction that
// also moves the position.
func (w *writer) commit(ctx context.Context) error {
	if w.state.position == w.committed {
		return nil
	}
	if err := w.db.inPlace(); err != nil {
		return err
	}
	if err := w.transaction(ctx, w.flush); err != nil {
		return fmt.Errorf("commit index: %w", err)
	}
	w.committed, w.urgent = w.state.position, false
	w.head.clear()
	if err := w.db.inPlace(); err != nil {
		return err
	}
	return w.prune(ctx)
}

// flush writes what all projections have. The head is not changed meanwhile: it
// is this goroutine that changes it.
func (w *writer) flush(ctx context.Context) error {
	conn := w.db.conn
	for _, flush := range []func() error{
		func() error { return w.series.flush(ctx, conn) },
		func() error { return w.sessions.flush(ctx, conn) },
		func() error { return w.segments.flush(ctx, conn) },
		func() error { return w.events.flush(ctx, conn) },
		func() error { return w.uploads.flush(ctx, conn) },
		func() error { return w.records.correct(ctx, conn, w.head.marks) },
		func() error {
			weight, err := w.records.insert(ctx, conn, w.head.ticks, w.samples.content)
			w.state.weight += weight
			return err
		},
		func() error { return w.samples.flush(ctx, conn, w.head.ticks) },
		func() error { return w.rejected.flush(ctx, conn, &w.records) },
		func() error { return w.removeRest(ctx) },
		func() (err error) {
			w.state.uploads, err = w.uploads.encode()
			return err
		},
		func() error { return w.state.flush(ctx, conn) },
	} {
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

// transaction calls fn between BEGIN and COMMIT.
func (w *writer) transaction(ctx context.Context, fn func(ctx context.Context) error) (err error) {
	if _, err := w.db.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, back := w.db.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			if back != nil {
				// SQLite has rolled back by itself after the worst errors.
				err = fmt.Errorf("%w (rollback: %v)", err, back)
			}
		}
	}()
	if err := fn(ctx); err != nil {
		return err
	}
	_, err = w.db.conn.ExecContext(ctx, "COMMIT")
	return err
}

// close closes the statements. database/sql leaves that to whoever prepares one
// on a single connection, and SQLite keeps a connection, its files and its locks
// as long as one of its statements is open.
func (w *writer) close() error {
	w.samples.close(w.db.conn)
	var errs []error
	for _, stmt := range []*sql.Stmt{
		w.state.table.stmt, w.segments.table.stmt, w.sessions.table.stmt, w.series.table.stmt, w.series.update,
		w.events.table.stmt, w.uploads.table.stmt, w.records.table.stmt, w.records.update, w.rejected.table.stmt,
	} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}
