package projections

import (
	"context"
	"database/sql"
	"fmt"
)

// pruneTicks and pruneSamples bound what one transaction removes, so that the
// WAL does not grow with how much there is to remove.
const (
	pruneTicks   = 4096
	pruneSamples = 200_000
)

// prune removes what retention does not keep, a bounded step a transaction,
// until nothing is left to remove. It is called with the head written, so what
// goes depends on the log up to the position and not on when it is called.
//
// That holds because both rules only ever take a prefix of the ticks, and take
// more of it the longer the log becomes: a tick goes when one that comes later
// is newer by more than the retention, or when it and all that come later weigh
// too much.
func (w *writer) prune(ctx context.Context) error {
	for {
		cut, weight, err := w.expired(ctx)
		if err != nil {
			return fmt.Errorf("prune index: %w", err)
		}
		if cut == 0 {
			return nil
		}
		err = w.transaction(ctx, func(ctx context.Context) error {
			w.state.cut = cut
			w.state.weight -= weight
			if err := removeTicks(ctx, w.db.conn, cut); err != nil {
				return err
			}
			if err := w.removeRest(ctx); err != nil {
				return err
			}
			return w.state.flush(ctx, w.db.conn)
		})
		if err != nil {
			return fmt.Errorf("prune index: %w", err)
		}
	}
}

// expired returns the last record of the next step and what its ticks weigh; 0
// where all that is left is to be kept.
func (w *writer) expired(ctx context.Context) (cut uint64, weight int64, err error) {
	var newest, oldest sql.NullInt64
	err = w.db.conn.QueryRowContext(ctx, "SELECT (SELECT max(ts_ms) FROM records), "+
		"(SELECT ts_ms FROM records WHERE ts_ms IS NOT NULL ORDER BY idx LIMIT 1)").Scan(&newest, &oldest)
	if err != nil {
		return 0, 0, err
	}
	old := func(ms sql.NullInt64) bool {
		return w.opts.Retention >= 0 && ms.Valid && ms.Int64 < newest.Int64-w.opts.Retention.Milliseconds()
	}
	rows, err := w.db.conn.QueryContext(ctx,
		"SELECT idx, ts_ms, weight, samples FROM records ORDER BY idx LIMIT ?", pruneTicks)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	// A tick without a time goes with the first behind it that has one.
	untimed := old(oldest)
	var seen, samples int64
	for rows.Next() && samples < pruneSamples {
		var idx uint64
		var ms sql.NullInt64
		var weighs, n int64
		if err := rows.Scan(&idx, &ms, &weighs, &n); err != nil {
			return 0, 0, err
		}
		heavy := w.opts.MaxBytes >= 0 && w.state.weight-seen > w.opts.MaxBytes
		switch {
		case ms.Valid && !heavy && !old(ms):
			return cut, weight, rows.Err()
		case ms.Valid:
			untimed = false // of those behind it, the next step knows
		}
		seen, samples = seen+weighs, samples+n
		if heavy || old(ms) || untimed {
			cut, weight = idx, seen
		}
	}
	return cut, weight, rows.Err()
}

// removeTicks deletes the ticks up to cut.
func removeTicks(ctx context.Context, conn *sql.Conn, cut uint64) error {
	for _, name := range []string{"samples", "records", "rejected", "events"} {
		if _, err := conn.ExecContext(ctx, "DELETE FROM "+name+" WHERE idx <= ?", int64(cut)); err != nil {
			return err
		}
	}
	return nil
}

// removeRest deletes what is about nothing but ticks up to the cut. What is
// still at work stays: the session and the segment of the last record, and the
// batch that is not complete. As their turn can come without the cut moving,
// every commit does this.
func (w *writer) removeRest(ctx context.Context) error {
	cut, last := int64(w.state.cut), int64(w.state.position.Index)
	if cut == 0 {
		return nil
	}
	for _, d := range []struct {
		text string
		args []any
	}{
		{"DELETE FROM segments WHERE last_idx <= ? AND last_idx < ?", []any{cut, last}},
		{"DELETE FROM sessions WHERE alive_idx <= ? AND alive_idx < ?", []any{cut, last}},
		{"DELETE FROM upload_checkpoints WHERE to_idx <= ? AND state <> 'planned' AND plan_idx <> ?", []any{cut, w.uploads.openPlan()}},
	} {
		if _, err := w.db.conn.ExecContext(ctx, d.text, d.args...); err != nil {
			return err
		}
	}
	return nil
}
