package projections

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
)

// castagnoli returns the table of CRC-32C; the standard library makes it once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// checksum is a CRC-32C over values as SQLite holds them, each with its type in
// front and, where it is not of fixed size, its length.
type checksum uint32

func (c checksum) add(values ...any) checksum {
	var buf [9]byte
	sum := uint32(c)
	fixed := func(kind byte, v uint64) {
		buf[0] = kind
		binary.LittleEndian.PutUint64(buf[1:], v)
		sum = crc32.Update(sum, castagnoli(), buf[:])
	}
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			fixed('n', 0)
		case int64:
			fixed('i', uint64(v))
		case float64:
			fixed('r', math.Float64bits(v))
		case string:
			fixed('t', uint64(len(v)))
			sum = crc32.Update(sum, castagnoli(), []byte(v))
		case []byte:
			fixed('b', uint64(len(v)))
			sum = crc32.Update(sum, castagnoli(), v)
		default:
			// Rows hold nothing else; a new type must not look like an old row.
			fixed('?', 0)
		}
	}
	return checksum(sum)
}

// withSum returns a row's values with their checksum behind them, as the tables
// have it.
func withSum(values ...any) []any {
	return append(values, int64(checksum(0).add(values...)))
}

// checkRow reports whether the last value of a row is the checksum of the rest.
func checkRow(row []any) bool {
	n := len(row) - 1
	return n >= 0 && row[n] == any(int64(checksum(0).add(row[:n]...)))
}

// table writes rows of one table through a statement that is prepared once.
type table struct {
	name    string
	columns int
	stmt    *sql.Stmt
}

// put inserts a row or replaces the one with the same key.
func (t *table) put(ctx context.Context, conn *sql.Conn, row []any) error {
	if len(row) != t.columns {
		return fmt.Errorf("write %s: %d values for %d columns", t.name, len(row), t.columns)
	}
	if t.stmt == nil {
		text := "INSERT OR REPLACE INTO " + t.name + " VALUES (?" + strings.Repeat(",?", t.columns-1) + ")"
		stmt, err := conn.PrepareContext(ctx, text)
		if err != nil {
			return fmt.Errorf("write %s: %w", t.name, err)
		}
		t.stmt = stmt
	}
	if _, err := t.stmt.ExecContext(ctx, row...); err != nil {
		return fmt.Errorf("write %s: %w", t.name, err)
	}
	return nil
}

// queryer is what *sql.Conn, *sql.Tx and *sql.DB have in common.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// eachRow calls fn with the values of every row; they are valid until it
// returns. A row of a table with checksums must be checked by fn.
func eachRow(ctx context.Context, q queryer, fn func(row []any) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	row, to := make([]any, len(names)), make([]any, len(names))
	for i := range row {
		to[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return fmt.Errorf("read index: %w", err)
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	return nil
}

// loadRows is eachRow over whole rows of one table, their checksums looked at.
func loadRows(ctx context.Context, q queryer, name, rest string, fn func(row []any) error, args ...any) error {
	return eachRow(ctx, q, func(row []any) error {
		if !checkRow(row) {
			return broken("corrupt", "a row of %s does not match its checksum", name)
		}
		return fn(row)
	}, "SELECT * FROM "+name+" "+rest, args...)
}

// The values of a loaded row have the types they were written with: the
// checksum includes the type. A null column is read by its own function.

func intOf(v any) int64 {
	i, _ := v.(int64)
	return i
}

func textOf(v any) string {
	s, _ := v.(string)
	return s
}

// nullable returns v, or nil where it is not known.
func nullable(v int64, known bool) any {
	if !known {
		return nil
	}
	return v
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
