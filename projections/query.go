package projections

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"taffrail/internal/event"
)

// Row is one sample as a query returns it.
type Row struct {
	Index    uint64 // of its record in the log
	TimeMS   int64
	SeriesID int64
	Series   *event.Series
	Value    float64
	Text     string // where the series is one of texts
	Uploaded bool   // a finite number that is acknowledged
	Rejected bool   // a finite number that was given up: no receiver holds it
}

// Query calls yield with the samples of the series that match accepts, from
// sinceMS up to but not including untilMS, in order of time and then series id,
// until yield returns false. It sees everything that the log held when it was
// called and has a time, each sample once. A sample that is appended, corrected
// or pruned meanwhile may be seen or not.
//
// It reads in steps and holds nothing while it yields: a slow consumer stops
// neither the engine nor SQLite's checkpoints.
func (e *Engine) Query(ctx context.Context, match func(*event.Series) bool, sinceMS, untilMS int64, yield func(Row) bool) error {
	if err := e.catchUp(ctx); err != nil {
		return fmt.Errorf("query index: %w", err)
	}
	q := newQuery(match)
	q.from, q.until = sinceMS, untilMS
	for q.from < q.until {
		if err := e.page(ctx, q); err != nil {
			return fmt.Errorf("query index: %w", err)
		}
		for i := range q.rows {
			if !yield(q.rows[i]) {
				return nil
			}
		}
	}
	return nil
}

// Bounds on a step of a query. A step holds whole moments, so one moment with
// more samples than this makes it longer.
const (
	pageTicks   = 512
	pageSamples = 16_384
	// fewSeries is how many series are looked for one by one in each tick; of
	// more, all of a tick's samples are read.
	fewSeries = 32
)

// query is how far a query has come.
type query struct {
	match       func(*event.Series) bool
	from, until int64 // what is left
	series      map[int64]*event.Series
	lastSeries  int64             // greatest id in the database that match was asked about
	rows        []Row             // of the step
	rejected    map[[2]int64]bool // samples of the step by record and series
}

func newQuery(match func(*event.Series) bool) *query {
	return &query{match: match, series: map[int64]*event.Series{}, rejected: map[[2]int64]bool{}}
}

// pageTick is a tick of a step, in the head or in the database.
type pageTick struct {
	idx     uint64
	ms      int64
	samples int64
	texts   int64
	upload  int64
	// rejected counts the samples that were given up one by one. Those of the
	// head are written before a query looks.
	rejected int64
	head     *headTick // nil: in the database
}

// page reads the next step of q into q.rows and moves q.from behind it.
func (e *Engine) page(ctx context.Context, q *query) error {
	db, ticks, marks, err := e.snapshot()
	if err != nil {
		return err
	}
	q.rows = q.rows[:0]
	// The head was looked at first: what left it since is in the database.
	return db.reading(ctx, func(ctx context.Context, tx *sql.Tx) error {
		page, next, err := q.ticks(ctx, tx, ticks, marks)
		if err != nil {
			return err
		}
		if err := q.learn(ctx, tx); err != nil {
			return err
		}
		if err := q.collect(ctx, tx, page); err != nil {
			return err
		}
		slices.SortFunc(q.rows, func(a, b Row) int {
			return cmp.Or(cmp.Compare(a.TimeMS, b.TimeMS), cmp.Compare(a.SeriesID, b.SeriesID), cmp.Compare(a.Index, b.Index))
		})
		q.from = next
		return nil
	})
}

// snapshot returns the database and a copy of the head.
func (e *Engine) snapshot() (*database, []headTick, []mark, error) {
	e.mu.Lock()
	db, head := e.db, e.head
	e.mu.Unlock()
	if db == nil {
		return nil, nil, nil, ErrNotReady
	}
	ticks, marks := head.view()
	return db, ticks, marks, nil
}

// ticks returns the ticks of the next step and where the one after begins.
func (q *query) ticks(ctx context.Context, tx *sql.Tx, head []headTick, marks []mark) (page []pageTick, next int64, err error) {
	committed, err := committedIndex(ctx, tx)
	if err != nil {
		return nil, 0, err
	}
	next = q.until
	stored, err := q.storedTicks(ctx, tx, "ORDER BY ts_ms LIMIT "+strconv.Itoa(pageTicks), q.from, q.until)
	if err != nil {
		return nil, 0, err
	}
	if len(stored) == pageTicks {
		// More may follow at the last moment: leave it to the next step, or
		// read all of it where the step has no other.
		next = stored[pageTicks-1].ms
		if next == stored[0].ms {
			next++
			if stored, err = q.storedTicks(ctx, tx, "", q.from, next); err != nil {
				return nil, 0, err
			}
		}
	}
	for i := range stored {
		stored[i].upload = uploadOf(marks, stored[i].idx, stored[i].upload)
	}
	page = stored
	for i := range head {
		t := &head[i]
		if t.idx > committed && t.timed && q.from <= t.ms {
			page = append(page, pageTick{idx: t.idx, ms: t.ms, samples: int64(len(t.samples)), texts: int64(len(t.texts)), upload: t.upload, head: t})
		}
	}
	slices.SortStableFunc(page, func(a, b pageTick) int { return cmp.Compare(a.ms, b.ms) })
	var samples int64
	for i := range page {
		if i > 0 && samples >= pageSamples && page[i].ms != page[i-1].ms {
			next = min(next, page[i].ms)
		}
		if page[i].ms >= next {
			return page[:i], next, nil
		}
		samples += page[i].samples
	}
	return page, next, nil
}

func committedIndex(ctx context.Context, tx *sql.Tx) (uint64, error) {
	var idx uint64
	err := tx.QueryRowContext(ctx, "SELECT ifnull(max(idx), 0) FROM state").Scan(&idx)
	return idx, err
}

func (q *query) storedTicks(ctx context.Context, tx *sql.Tx, rest string, from, until int64) (page []pageTick, err error) {
	err = eachRow(ctx, tx, func(row []any) error {
		page = append(page, pageTick{
			idx: uint64(intOf(row[0])), ms: intOf(row[1]),
			samples: intOf(row[2]), texts: intOf(row[3]), upload: intOf(row[4]), rejected: intOf(row[5]),
		})
		return nil
	}, "SELECT idx, ts_ms, samples, texts, upload, rejected FROM records WHERE ts_ms >= ? AND ts_ms < ? "+rest, from, until)
	return page, err
}

// learn asks match about the series that the database has by now.
func (q *query) learn(ctx context.Context, tx *sql.Tx) error {
	return eachRow(ctx, tx, func(row []any) error {
		q.lastSeries = intOf(row[0])
		s, err := parseSeries(textOf(row[1]), textOf(row[2]), textOf(row[3]))
		if err != nil {
			return broken("corrupt", "series %d: %s", q.lastSeries, err)
		}
		if q.match(s) {
			q.series[q.lastSeries] = s
		}
		return nil
	}, "SELECT id, name, labels, type FROM series WHERE id > ? ORDER BY id", q.lastSeries)
}

// collect adds the samples of a step's ticks that match, in no order.
func (q *query) collect(ctx context.Context, tx *sql.Tx, page []pageTick) error {
	at := make(map[int64]*pageTick, len(page))
	var numbers, texts, partly []string
	for i := range page {
		t := &page[i]
		if t.head != nil {
			q.collectHead(t)
			continue
		}
		at[int64(t.idx)] = t
		if t.samples > 0 {
			numbers = append(numbers, strconv.FormatUint(t.idx, 10))
		}
		if t.texts > 0 {
			texts = append(texts, strconv.FormatUint(t.idx, 10))
		}
		if t.rejected > 0 {
			partly = append(partly, strconv.FormatUint(t.idx, 10))
		}
	}
	clear(q.rejected)
	if err := q.stored(ctx, tx, "SELECT idx, series_id FROM rejected WHERE ", partly, func(row []any) error {
		q.rejected[[2]int64{intOf(row[0]), intOf(row[1])}] = true
		return nil
	}); err != nil {
		return err
	}
	if err := q.stored(ctx, tx, "SELECT idx, series_id, value FROM samples WHERE ", numbers, func(row []any) error {
		v, err := restored(row[2])
		q.add(at[intOf(row[0])], intOf(row[1]), q.series[intOf(row[1])], v, "")
		return err
	}); err != nil {
		return err
	}
	return q.stored(ctx, tx, "SELECT idx, series_id, text FROM events WHERE kind = 'text' AND ", texts, func(row []any) error {
		q.add(at[intOf(row[0])], intOf(row[1]), q.series[intOf(row[1])], 0, textOf(row[2]))
		return nil
	})
}

// stored reads the rows of some records, with one statement: preparing one for
// each record takes eight times as long.
func (q *query) stored(ctx context.Context, tx *sql.Tx, text string, records []string, fn func(row []any) error) error {
	if len(records) == 0 || len(q.series) == 0 {
		return nil
	}
	text += "idx IN (" + strings.Join(records, ",") + ")"
	if len(q.series) <= fewSeries {
		// SQLite goes straight to them.
		ids := make([]string, 0, len(q.series))
		for id := range q.series {
			ids = append(ids, strconv.FormatInt(id, 10))
		}
		slices.Sort(ids)
		text += " AND series_id IN (" + strings.Join(ids, ",") + ")"
	}
	return eachRow(ctx, tx, fn, text)
}

func (q *query) collectHead(t *pageTick) {
	for _, s := range t.head.samples {
		q.add(t, s.series.id, q.ofHead(s.series), s.value, "")
	}
	for _, s := range t.head.texts {
		q.add(t, s.series.id, q.ofHead(s.series), 0, s.text)
	}
}

// ofHead returns the series if it matches. One that the database does not have
// yet is asked about each time.
func (q *query) ofHead(known *knownSeries) *event.Series {
	if s := q.series[known.id]; s != nil {
		return s
	}
	if known.id > q.lastSeries && q.match(known.series) {
		return known.series
	}
	return nil
}

func (q *query) add(t *pageTick, id int64, s *event.Series, value float64, text string) {
	if s == nil {
		return
	}
	sample := event.Sample{Series: s, Value: value}
	sendable := sample.Sendable()
	rejected := t.upload == uploadRejected || t.rejected > 0 && q.rejected[[2]int64{int64(t.idx), id}]
	q.rows = append(q.rows, Row{
		Index: t.idx, TimeMS: t.ms, SeriesID: id, Series: s, Value: value, Text: text,
		Uploaded: sendable && !rejected && t.upload == uploadAcked,
		Rejected: sendable && rejected,
	})
}
