package projections

import (
	"context"
	"database/sql"
	"path/filepath"

	"taffrail/internal/event"
)

// segment is a row of the table segments.
type segment struct {
	file                           string
	firstIdx                       uint64
	firstCRC                       uint32
	lastIdx                        uint64
	firstMS, lastMS                int64
	records, ticks, samples, texts int64
}

// segments folds which records are in which file.
type segments struct {
	current *segment
	dirty   []*segment
	table   table
}

func newSegments() segments { return segments{table: table{name: "segments", columns: 11}} }

func (s *segments) load(ctx context.Context, conn *sql.Conn) error {
	return loadRows(ctx, conn, "segments", "ORDER BY last_idx DESC LIMIT 1", func(row []any) error {
		s.current = &segment{
			file:     textOf(row[0]),
			firstIdx: uint64(intOf(row[1])), firstCRC: uint32(intOf(row[2])), lastIdx: uint64(intOf(row[3])),
			firstMS: intOf(row[4]), lastMS: intOf(row[5]),
			records: intOf(row[6]), ticks: intOf(row[7]), samples: intOf(row[8]), texts: intOf(row[9]),
		}
		return nil
	})
}

func (s *segments) apply(rec *event.Record, tick *headTick) {
	file := filepath.Base(rec.Segment)
	ms := rec.Event.At().WallMS
	if s.current == nil || s.current.file != file {
		s.current = &segment{file: file, firstIdx: rec.Index, firstCRC: rec.CRC, firstMS: ms}
	}
	if n := len(s.dirty); n == 0 || s.dirty[n-1] != s.current {
		s.dirty = append(s.dirty, s.current)
	}
	c := s.current
	c.lastIdx, c.lastMS = rec.Index, ms
	c.records++
	if tick != nil {
		c.ticks++
		c.samples += int64(len(tick.samples))
		c.texts += int64(len(tick.texts))
	}
}

func (s *segments) flush(ctx context.Context, conn *sql.Conn) error {
	for _, c := range s.dirty {
		if err := s.table.put(ctx, conn, withSum(c.file, int64(c.firstIdx), int64(c.firstCRC), int64(c.lastIdx),
			c.firstMS, c.lastMS, c.records, c.ticks, c.samples, c.texts)); err != nil {
			return err
		}
	}
	s.dirty = nil
	return nil
}
