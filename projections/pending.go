package projections

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"taffrail/internal/event"
)

// Pending returns how many samples wait to be uploaded: finite numbers of ticks
// that have a time and are neither acknowledged, nor deleted, nor given up. What is
// in doubt, and what belongs to a batch that is not complete, is among them. It
// counts what the index holds; what retention removed from it is the ledger's to
// count.
func (e *Engine) Pending(ctx context.Context) (int64, error) {
	if err := e.catchUp(ctx); err != nil {
		return 0, fmt.Errorf("count pending samples: %w", err)
	}
	db, ticks, marks, err := e.snapshot()
	if err != nil {
		return 0, fmt.Errorf("count pending samples: %w", err)
	}
	var n int64
	err = db.reading(ctx, func(ctx context.Context, tx *sql.Tx) error {
		committed, err := committedIndex(ctx, tx)
		if err != nil {
			return err
		}
		for i := range ticks {
			if t := &ticks[i]; t.idx > committed && t.timed && t.upload == uploadNone {
				n += t.sendable
			}
		}
		return eachRow(ctx, tx, func(row []any) error {
			if uploadOf(marks, uint64(intOf(row[0])), uploadNone) == uploadNone {
				n += intOf(row[1])
			}
			return nil
		}, "SELECT idx, sendable - rejected FROM records WHERE upload = 0 AND ts_ms IS NOT NULL")
	})
	if err != nil {
		return 0, fmt.Errorf("count pending samples: %w", err)
	}
	return n, nil
}

// QueryUnuploaded calls yield with the samples that Pending counts, in order of
// the log and then series id, at most limit of them, until it returns false. All
// are in memory before the first is yielded.
func (e *Engine) QueryUnuploaded(ctx context.Context, limit int, yield func(Row) bool) error {
	if err := e.catchUp(ctx); err != nil {
		return fmt.Errorf("query unuploaded samples: %w", err)
	}
	rows, err := e.unuploaded(ctx, limit)
	if err != nil {
		return fmt.Errorf("query unuploaded samples: %w", err)
	}
	for _, r := range rows {
		if !yield(r) {
			return nil
		}
	}
	return nil
}

func (e *Engine) unuploaded(ctx context.Context, limit int) ([]Row, error) {
	db, head, marks, err := e.snapshot()
	if err != nil {
		return nil, err
	}
	var rows []Row
	err = db.reading(ctx, func(ctx context.Context, tx *sql.Tx) error {
		q := newQuery(anySeries)
		if err := q.learn(ctx, tx); err != nil {
			return err
		}
		page, err := pendingTicks(ctx, tx, head, marks, limit)
		if err != nil {
			return err
		}
		if err := q.collect(ctx, tx, page); err != nil {
			return err
		}
		for _, r := range q.rows {
			sample := event.Sample{Series: r.Series, Value: r.Value}
			if sample.Sendable() && !r.Rejected {
				rows = append(rows, r)
			}
		}
		slices.SortFunc(rows, func(a, b Row) int {
			return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.SeriesID, b.SeriesID))
		})
		rows = rows[:min(limit, len(rows))]
		return nil
	})
	return rows, err
}

func anySeries(*event.Series) bool { return true }

// pendingTicks returns the first ticks that have something to upload, enough of
// them for limit samples.
func pendingTicks(ctx context.Context, tx *sql.Tx, head []headTick, marks []mark, limit int) (page []pageTick, err error) {
	committed, err := committedIndex(ctx, tx)
	if err != nil {
		return nil, err
	}
	var samples int64
	take := func(t pageTick, sendable int64) {
		if samples < int64(limit) && sendable > 0 && uploadOf(marks, t.idx, t.upload) == uploadNone {
			page = append(page, t)
			samples += sendable
		}
	}
	err = eachRow(ctx, tx, func(row []any) error {
		rejected := intOf(row[4])
		take(pageTick{idx: uint64(intOf(row[0])), ms: intOf(row[1]), samples: intOf(row[2]), rejected: rejected}, intOf(row[3])-rejected)
		return nil
	}, "SELECT idx, ts_ms, samples, sendable, rejected FROM records WHERE upload = 0 AND ts_ms IS NOT NULL ORDER BY idx")
	for i := range head {
		if t := &head[i]; t.idx > committed && t.timed {
			take(pageTick{idx: t.idx, ms: t.ms, samples: int64(len(t.samples)), upload: t.upload, head: t}, t.sendable)
		}
	}
	return page, err
}
