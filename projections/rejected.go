package projections

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"taffrail/internal/event"
)

// loss says that samples of the ticks in a range are given up one by one, or, if
// it goes back, that they are to be sent after all.
type loss struct {
	event.Range
	gaps []event.Gap
	back bool
}

// rejected writes the samples that were given up one by one. It looks for them in
// the database, so this comes after ticks and samples are written, and queries
// have what waits written before they look.
type rejected struct {
	losses []loss
	table  table
}

func newRejected() rejected { return rejected{table: table{name: "rejected", columns: 3}} }

func (r *rejected) flush(ctx context.Context, conn *sql.Conn, records *records) error {
	for i := range r.losses {
		for j := range r.losses[i].gaps {
			if err := r.write(ctx, conn, &r.losses[i], &r.losses[i].gaps[j], records); err != nil {
				return err
			}
		}
	}
	r.losses = nil
	return nil
}

// lossTicks bounds the ticks whose samples are in memory at a time.
const lossTicks = 256

func (r *rejected) write(ctx context.Context, conn *sql.Conn, l *loss, gap *event.Gap, records *records) error {
	series, err := seriesOf(ctx, conn, gap.Series)
	if err != nil || len(gap.Series) > 0 && len(series) == 0 {
		return err // no sample of them is in the index
	}
	for after := l.From - 1; ; {
		var page []string
		err := eachRow(ctx, conn, func(row []any) error {
			after = uint64(intOf(row[0]))
			page = append(page, strconv.FormatUint(after, 10))
			return nil
		}, "SELECT idx FROM records WHERE idx > ? AND idx <= ? AND ts_ms >= ? AND ts_ms <= ? ORDER BY idx LIMIT "+strconv.Itoa(lossTicks),
			int64(after), int64(l.To), gap.FromMS, gap.ToMS)
		if err != nil {
			return err
		}
		if len(page) > 0 {
			if err := r.page(ctx, conn, page, series, l.back); err != nil {
				return err
			}
			if err := r.count(ctx, conn, page, records); err != nil {
				return err
			}
		}
		if len(page) < lossTicks {
			return nil
		}
	}
}

// seriesOf returns the ids of the series with some keys, as SQL. A series whose
// type changed has several.
func seriesOf(ctx context.Context, conn *sql.Conn, keys []string) (ids []string, err error) {
	for _, key := range keys {
		name, labels, _ := strings.Cut(key, "\x00")
		err := eachRow(ctx, conn, func(row []any) error {
			ids = append(ids, strconv.FormatInt(intOf(row[0]), 10))
			return nil
		}, "SELECT id FROM series WHERE name = ? AND labels = ?", name, labels)
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// page writes or removes the rows of some ticks; without series, of all.
func (r *rejected) page(ctx context.Context, conn *sql.Conn, ticks, series []string, back bool) error {
	where := " WHERE idx IN (" + strings.Join(ticks, ",") + ")"
	if len(series) > 0 {
		where += " AND series_id IN (" + strings.Join(series, ",") + ")"
	}
	if back {
		if _, err := conn.ExecContext(ctx, "DELETE FROM rejected"+where); err != nil {
			return fmt.Errorf("write rejected: %w", err)
		}
		return nil
	}
	var found [][2]int64
	sample := event.Sample{Series: &event.Series{}} // some number
	err := eachRow(ctx, conn, func(row []any) (err error) {
		sample.Value, err = restored(row[2])
		if sample.Sendable() {
			found = append(found, [2]int64{intOf(row[0]), intOf(row[1])})
		}
		return err
	}, "SELECT idx, series_id, value FROM samples"+where)
	if err != nil {
		return err
	}
	for _, f := range found {
		if err := r.table.put(ctx, conn, withSum(f[0], f[1])); err != nil {
			return err
		}
	}
	return nil
}

// count brings the ticks' own counts up to date.
func (r *rejected) count(ctx context.Context, conn *sql.Conn, ticks []string, records *records) error {
	counts := map[int64]int64{}
	err := eachRow(ctx, conn, func(row []any) error {
		counts[intOf(row[0])] = intOf(row[1])
		return nil
	}, "SELECT idx, count(*) FROM rejected WHERE idx IN ("+strings.Join(ticks, ",")+") GROUP BY idx")
	if err != nil {
		return err
	}
	return records.change(ctx, conn, func(row []any) bool {
		n := counts[intOf(row[colIdx])]
		changed := row[colRejected] != any(n)
		row[colRejected] = n
		return changed
	}, "idx > ? AND idx <= ? AND idx IN ("+strings.Join(ticks, ",")+")", 0, 1<<63-1)
}
