package projections

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math"
	"strconv"
)

// dumped are the tables of the logical dump with the order of their rows.
func dumped() [][2]string {
	return [][2]string{
		{"state", "one"},
		{"segments", "file"},
		{"sessions", "n"},
		{"series", "id"},
		{"records", "idx"},
		{"samples", "idx, series_id"},
		{"rejected", "idx, series_id"},
		{"events", "idx, series_id"},
		{"upload_checkpoints", "plan_idx, chunk_index"},
	}
}

// Dump writes the logical content of the database: every row of every table but
// schema_version, in order, each value with its type and bit by bit. Two indexes
// of the same log have the same dump. What waits in memory is written first.
// The database cannot be closed before w has taken all.
func (e *Engine) Dump(ctx context.Context, w io.Writer) error {
	if err := e.Flush(ctx); err != nil {
		return err
	}
	e.mu.Lock()
	db := e.db
	e.mu.Unlock()
	if db == nil {
		return fmt.Errorf("dump index: %w", ErrNotReady)
	}
	return db.reading(ctx, func(ctx context.Context, tx *sql.Tx) error { return dump(ctx, tx, w) })
}

// Dump writes the logical content of the database at path, which nobody has
// open for writing.
func Dump(ctx context.Context, path string, w io.Writer) error {
	db, err := pool(path, true)
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("dump index: %w", err)
	}
	defer tx.Rollback()
	return dump(ctx, tx, w)
}

func dump(ctx context.Context, q queryer, w io.Writer) error {
	out := bufio.NewWriter(w)
	var line []byte
	for _, t := range dumped() {
		err := eachRow(ctx, q, func(row []any) error {
			line = append(line[:0], t[0]...)
			for _, v := range row {
				line = appendValue(append(line, ' '), v)
			}
			_, err := out.Write(append(line, '\n'))
			return err
		}, "SELECT * FROM "+t[0]+" ORDER BY "+t[1])
		if err != nil {
			return fmt.Errorf("dump index: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("dump index: %w", err)
	}
	return nil
}

// appendValue appends an integer as decimal, a real as its bits, a text quoted,
// a blob as hex.
func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return fmt.Appendf(dst, "r%016x", math.Float64bits(v))
	case string:
		return strconv.AppendQuote(dst, v)
	}
	return fmt.Appendf(dst, "x%x", v)
}
