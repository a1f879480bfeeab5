package projections

import (
	"context"
	"database/sql"
	"fmt"

	"taffrail/internal/event"
)

// Weights, about the bytes that rows take with what belongs to them: measured
// 18.7 for a sample of integers and short decimals, 25 where nothing is round.
const (
	tickWeight   = 96
	sampleWeight = 24
	textWeight   = 64 // and the text
)

// records writes one row a tick, and changes those rows when a tick gets its
// time or is uploaded.
type records struct {
	decisions []event.Decision // on ticks of the database
	table     table
	update    *sql.Stmt
}

func newRecords() records { return records{table: table{name: "records", columns: 15}} }

// Columns of a row of the table records.
const (
	colIdx = iota
	colTime
	colSession
	colWall
	colBoot
	colTrusted
	colDecided
	colUpload
	colSamples
	colSendable
	colRejected
	colTexts
	colWeight
	colContent
	colSum
)

func (t *headTick) weight() int64 {
	w := int64(tickWeight + sampleWeight*len(t.samples))
	for _, x := range t.texts {
		w += textWeight + int64(len(x.text))
	}
	return w
}

// insert writes the rows of new ticks and returns what they weigh.
func (r *records) insert(ctx context.Context, conn *sql.Conn, ticks []headTick, content func([]headSample) uint32) (weight int64, err error) {
	for i := range ticks {
		t := &ticks[i]
		w := t.weight()
		if err := r.table.put(ctx, conn, withSum(int64(t.idx), nullable(t.ms, t.timed), t.session.n,
			t.at.WallMS, t.at.BootMS, flag(t.trusted), flag(t.decided), t.upload,
			int64(len(t.samples)), t.sendable, int64(0), int64(len(t.texts)), w, int64(content(t.samples)))); err != nil {
			return 0, err
		}
		weight += w
	}
	return weight, nil
}

// correct applies decisions and marks to the rows that are in the table. It
// touches one row a tick and no sample.
func (r *records) correct(ctx context.Context, conn *sql.Conn, marks []mark) error {
	for i := range r.decisions {
		if err := r.decide(ctx, conn, &r.decisions[i]); err != nil {
			return err
		}
	}
	r.decisions = nil
	for _, m := range marks {
		if err := r.change(ctx, conn, func(row []any) bool {
			row[colUpload] = m.upload
			return true
		}, "upload = 0 AND idx > ? AND idx <= ?", m.From-1, m.To); err != nil {
			return err
		}
	}
	return nil
}

func (r *records) decide(ctx context.Context, conn *sql.Conn, d *event.Decision) error {
	of := map[int64]bool{}
	if err := eachRow(ctx, conn, func(row []any) error {
		of[intOf(row[0])] = true
		return nil
	}, "SELECT n FROM sessions WHERE boot_id = ?", d.BootID); err != nil {
		return err
	}
	to := d.Range.To
	if to == 0 {
		to = 1<<63 - 1
	}
	return r.change(ctx, conn, func(row []any) bool {
		if !of[intOf(row[colSession])] {
			return false
		}
		row[colDecided] = int64(1)
		at := event.Stamp{WallMS: intOf(row[colWall]), BootMS: intOf(row[colBoot])}
		if ms, ok := decidedTime(d, at); ok {
			row[colTime] = ms
		}
		return true
	}, "decided = 0 AND idx > ? AND idx <= ?", d.Range.From-1, to)
}

// changePage bounds the rows that are in memory at a time.
const changePage = 1024

// change calls fn with each row that the condition selects and writes those
// that it changed. The condition's two parameters are the indexes before the
// first and of the last row.
func (r *records) change(ctx context.Context, conn *sql.Conn, fn func(row []any) bool, where string, after, to uint64) error {
	if r.update == nil {
		stmt, err := conn.PrepareContext(ctx, "UPDATE records SET ts_ms = ?, decided = ?, upload = ?, rejected = ?, sum = ? WHERE idx = ?")
		if err != nil {
			return fmt.Errorf("write records: %w", err)
		}
		r.update = stmt
	}
	for {
		var changed [][]any
		n := 0
		err := loadRows(ctx, conn, "records", fmt.Sprintf("WHERE %s ORDER BY idx LIMIT %d", where, changePage), func(row []any) error {
			n++
			after = uint64(intOf(row[colIdx]))
			if fn(row) {
				changed = append(changed, withSum(append([]any(nil), row[:colSum]...)...))
			}
			return nil
		}, int64(after), int64(to))
		if err != nil {
			return err
		}
		for _, row := range changed {
			if _, err := r.update.ExecContext(ctx, row[colTime], row[colDecided], row[colUpload], row[colRejected], row[colSum], row[colIdx]); err != nil {
				return fmt.Errorf("write records: %w", err)
			}
		}
		if n < changePage {
			return nil
		}
	}
}
