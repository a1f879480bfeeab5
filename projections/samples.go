package projections

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"

	"taffrail/internal/event"
)

// arenaSamples is how many samples of the head share one allocation.
const arenaSamples = 4096

// samples writes the numbers, by far the most rows. It goes below database/sql,
// whose conversions take as long as SQLite itself: many rows a statement, its
// arguments passed as they are. Measured on one x86 core, 50 to 100 rows a
// statement: 1.9 M rows/s. Statements that name parameters twice or hold the
// series as constants were not faster.
type samples struct {
	arena []headSample
	stmt  driver.Stmt // of bulkRows rows
	args  []driver.NamedValue
	sum   []byte
}

const (
	bulkRows   = 50
	sampleArgs = 3
)

// split puts a tick's numbers and texts where the head keeps them, each by
// series id.
func (s *samples) split(tick *event.Tick, into *headTick, ids func(i int) (*knownSeries, error)) error {
	if cap(s.arena)-len(s.arena) < len(tick.Samples) {
		s.arena = make([]headSample, 0, max(arenaSamples, len(tick.Samples)))
	}
	from := len(s.arena)
	for i := range tick.Samples {
		sample := &tick.Samples[i]
		known, err := ids(i)
		if err != nil {
			return err
		}
		if sample.Series.Type == event.Text {
			into.texts = append(into.texts, headText{known, sample.Text})
			continue
		}
		s.arena = append(s.arena, headSample{known, sample.Value})
		if sample.Sendable() {
			into.sendable++
		}
	}
	into.samples = s.arena[from:len(s.arena):len(s.arena)]
	slices.SortFunc(into.samples, func(a, b headSample) int { return cmp.Compare(a.series.id, b.series.id) })
	slices.SortFunc(into.texts, func(a, b headText) int { return cmp.Compare(a.series.id, b.series.id) })
	return nil
}

// content is the checksum over a tick's rows.
func (s *samples) content(rows []headSample) uint32 {
	s.sum = s.sum[:0]
	for i := range rows {
		s.sum = appendContent(s.sum, rows[i].series.id, rows[i].value)
	}
	return crc32.Checksum(s.sum, castagnoli())
}

func appendContent(dst []byte, id int64, value float64) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(id))
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(value))
}

// flush inserts the samples of all ticks. raw is the driver's connection.
func (s *samples) flush(ctx context.Context, conn *sql.Conn, ticks []headTick) error {
	err := conn.Raw(func(raw any) error {
		if s.stmt == nil {
			stmt, err := prepareSamples(ctx, raw, bulkRows)
			if err != nil {
				return err
			}
			s.stmt = stmt
			s.args = make([]driver.NamedValue, bulkRows*sampleArgs)
			for i := range s.args {
				s.args[i].Ordinal = i + 1
			}
		}
		return s.insert(ctx, raw, ticks)
	})
	if err != nil {
		return fmt.Errorf("write samples: %w", err)
	}
	return nil
}

func (s *samples) insert(ctx context.Context, raw any, ticks []headTick) error {
	n := 0
	for i := range ticks {
		var idx driver.Value = int64(ticks[i].idx)
		for _, row := range ticks[i].samples {
			s.args[n].Value, s.args[n+1].Value, s.args[n+2].Value = idx, row.series.boxed, stored(row.value)
			if n += sampleArgs; n < len(s.args) {
				continue
			}
			if err := execute(ctx, s.stmt, s.args); err != nil {
				return err
			}
			n = 0
		}
	}
	if n == 0 {
		return nil
	}
	rest, err := prepareSamples(ctx, raw, n/sampleArgs)
	if err != nil {
		return err
	}
	defer rest.Close()
	return execute(ctx, rest, s.args[:n])
}

func prepareSamples(ctx context.Context, raw any, rows int) (driver.Stmt, error) {
	c, ok := raw.(driver.ConnPrepareContext)
	if !ok {
		return nil, fmt.Errorf("connection is a %T", raw)
	}
	return c.PrepareContext(ctx, "INSERT INTO samples VALUES (?,?,?)"+strings.Repeat(",(?,?,?)", rows-1))
}

func execute(ctx context.Context, stmt driver.Stmt, args []driver.NamedValue) error {
	s, ok := stmt.(driver.StmtExecContext)
	if !ok {
		return fmt.Errorf("statement is a %T", stmt)
	}
	_, err := s.ExecContext(ctx, args)
	return err
}

// close frees the statement, on the connection that it was made on.
func (s *samples) close(conn *sql.Conn) {
	if s.stmt != nil {
		// The connection's error, if it has one, comes with closing it.
		_ = conn.Raw(func(any) error { return s.stmt.Close() })
		s.stmt = nil
	}
}

// exactInteger bounds the integers that every float64 up to them can hold.
const exactInteger = 1 << 53

// stored returns a value as the table holds it: an integer where that is exact,
// which takes 1 to 7 bytes; the bits of a NaN, which SQLite would make NULL;
// else the number itself. Minus zero is no integer.
func stored(v float64) driver.Value {
	switch {
	case v != v:
		return binary.BigEndian.AppendUint64(nil, math.Float64bits(v))
	case v == math.Trunc(v) && math.Abs(v) <= exactInteger && (v != 0 || !math.Signbit(v)):
		return int64(v)
	}
	return v
}

// restored is the inverse of stored.
func restored(v any) (float64, error) {
	switch v := v.(type) {
	case int64:
		return float64(v), nil
	case float64:
		return v, nil
	case []byte:
		if len(v) == 8 {
			return math.Float64frombits(binary.BigEndian.Uint64(v)), nil
		}
	}
	return 0, broken("corrupt", "a sample holds %v, which is no number", v)
}
