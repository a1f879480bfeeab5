package projections

import (
	"context"
	"database/sql"

	"taffrail/internal/event"
)

// Position is a place in a log: the index of a record and the checksum of its
// frame, by which the record is known from that of another log.
type Position struct {
	Index uint64
	CRC   uint32
}

// state is the one row of the table state.
type state struct {
	position Position
	device   string
	first    Position // the first record that was seen
	cut      uint64   // ticks up to here were removed
	weight   int64    // of all rows of records
	uploads  string   // what uploads.encode returned
	table    table
}

func newState() state { return state{table: table{name: "state", columns: 10}} }

func (s *state) load(ctx context.Context, conn *sql.Conn) error {
	return loadRows(ctx, conn, "state", "", func(row []any) error {
		s.position = Position{Index: uint64(intOf(row[1])), CRC: uint32(intOf(row[2]))}
		s.device = textOf(row[3])
		s.first = Position{Index: uint64(intOf(row[4])), CRC: uint32(intOf(row[5]))}
		s.cut, s.weight, s.uploads = uint64(intOf(row[6])), intOf(row[7]), textOf(row[8])
		return nil
	})
}

func (s *state) apply(rec *event.Record) {
	s.position = Position{Index: rec.Index, CRC: rec.CRC}
	if s.first.Index == 0 {
		s.first = s.position
	}
	switch ev := rec.Event.(type) {
	case *event.SegmentHeader:
		s.device = ev.DeviceID
	case *event.Session:
		s.device = ev.DeviceID
	case *event.Tick:
		if ev.Context != nil {
			s.device = ev.Context.DeviceID
		}
	}
}

func (s *state) flush(ctx context.Context, conn *sql.Conn) error {
	return s.table.put(ctx, conn, withSum(int64(1),
		int64(s.position.Index), int64(s.position.CRC), s.device,
		int64(s.first.Index), int64(s.first.CRC), int64(s.cut), s.weight, s.uploads))
}
