package projections

import (
	"context"
	"database/sql"
	"hash/crc32"
	"strings"
	"time"
)

// verifyPage is how many ticks one step of verify reads, and restFactor how much
// longer than working it rests, so that a small device is left alone.
const (
	verifyPage = 256
	restFactor = 10
)

// verify looks at all of a database: SQLite's own check of its structure and
// indexes, then the checksums of all rows. Queries go on meanwhile. It rests
// between steps as many times as long as a step took.
func verify(ctx context.Context, db *database, rest time.Duration) error {
	err := db.reading(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var answer string
		if err := tx.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&answer); err != nil {
			return err
		}
		if answer != "ok" {
			return broken("corrupt", "integrity_check says %q", answer)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = db.reading(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, name := range []string{"state", "sessions", "series", "rejected", "events", "upload_checkpoints", "segments"} {
			if err := loadRows(ctx, tx, name, "", func([]any) error { return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	for after, last := int64(-1), false; err == nil && !last; {
		began := time.Now()
		err = db.reading(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
			after, last, err = verifyTicks(ctx, tx, after)
			return err
		})
		if !sleep(ctx, rest*time.Since(began)) {
			return ctx.Err()
		}
	}
	return err
}

// tickCheck is what a row of records says of the tick's samples.
type tickCheck struct {
	idx, samples, rejected, texts, content int64
}

// verifyTicks checks the ticks behind an index and their samples. It returns
// the index of the last.
func verifyTicks(ctx context.Context, tx *sql.Tx, after int64) (to int64, last bool, err error) {
	var page []tickCheck
	err = loadRows(ctx, tx, "records", "WHERE idx > ? ORDER BY idx LIMIT ?", func(row []any) error {
		page = append(page, tickCheck{intOf(row[colIdx]), intOf(row[colSamples]), intOf(row[colRejected]), intOf(row[colTexts]), intOf(row[colContent])})
		return nil
	}, after, verifyPage)
	if err != nil {
		return after, false, err
	}
	if last = len(page) < verifyPage; last {
		to = 1<<63 - 1
	} else {
		to = page[len(page)-1].idx
	}
	if err := verifySamples(ctx, tx, page, after, to); err != nil {
		return after, false, err
	}
	if err := verifyCount(ctx, tx, "events WHERE kind = 'text' AND", page, after, to, func(t *tickCheck) int64 { return t.texts }); err != nil {
		return after, false, err
	}
	return to, last, verifyCount(ctx, tx, "rejected WHERE", page, after, to, func(t *tickCheck) int64 { return t.rejected })
}

// verifySamples compares the samples between two indexes with what the ticks
// say that they are.
func verifySamples(ctx context.Context, tx *sql.Tx, page []tickCheck, after, to int64) error {
	var sum []byte
	var n int64
	finish := func() error {
		if page[0].samples != n || page[0].content != int64(crc32.Checksum(sum, castagnoli())) {
			return broken("corrupt", "the samples of record %d do not match their checksum", page[0].idx)
		}
		page, sum, n = page[1:], sum[:0], 0
		return nil
	}
	err := eachRow(ctx, tx, func(row []any) error {
		idx := intOf(row[0])
		for len(page) > 0 && page[0].idx < idx {
			if err := finish(); err != nil {
				return err
			}
		}
		if len(page) == 0 || page[0].idx != idx {
			return broken("corrupt", "there are samples of record %d, and no such record", idx)
		}
		value, err := restored(row[2])
		sum = appendContent(sum, intOf(row[1]), value)
		n++
		return err
	}, "SELECT idx, series_id, value FROM samples WHERE idx > ? AND idx <= ? ORDER BY idx, series_id", after, to)
	for err == nil && len(page) > 0 {
		err = finish()
	}
	return err
}

// verifyCount compares the number of a tick's rows in another table, each of which
// has a checksum of its own, with what the tick says.
func verifyCount(ctx context.Context, tx *sql.Tx, rows string, page []tickCheck, after, to int64, want func(*tickCheck) int64) error {
	have := map[int64]int64{}
	err := eachRow(ctx, tx, func(row []any) error {
		have[intOf(row[0])] = intOf(row[1])
		return nil
	}, "SELECT idx, count(*) FROM "+rows+" idx > ? AND idx <= ? GROUP BY idx", after, to)
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(rows, " ")
	for i := range page {
		t := &page[i]
		if have[t.idx] != want(t) {
			return broken("corrupt", "record %d has %d rows in %s, not %d", t.idx, have[t.idx], name, want(t))
		}
		delete(have, t.idx)
	}
	for idx := range have {
		return broken("corrupt", "there are rows of record %d in %s, and no such record", idx, name)
	}
	return nil
}

// sleep waits for d, or until ctx is done; then it returns false.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
