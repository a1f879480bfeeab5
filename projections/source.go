package projections

import (
	"fmt"
	"io"

	"taffrail/internal/event"
)

// Source yields the records of the log in order. One goroutine uses it.
type Source interface {
	// Next returns the next record, or io.EOF where the log ends for now; a
	// later call then returns what was appended since. Damaged records are left
	// out. A *event.Tick is valid until the next call.
	Next() (event.Record, error)
	Close() error
}

// OpenSource returns the records from an index on, or from the first that is
// left behind it.
type OpenSource func(from uint64) (Source, error)

// anchor opens the source behind the index's position and makes sure that the
// index is of this log: the record at the position must be the very one that
// the index had. Where that record is damaged by now, the first record of its
// segment or of the log vouches for it.
func anchor(open OpenSource, w *writer) (Source, error) {
	pos := w.state.position
	if pos.Index == 0 {
		return openSource(open, 1)
	}
	source, err := openSource(open, pos.Index)
	if err != nil {
		return nil, err
	}
	rec, err := source.Next()
	switch {
	case err == io.EOF:
		source.Close()
		return nil, broken("past_end", "the index is at record %d, the log ends before it", pos.Index)
	case err != nil:
		source.Close()
		return nil, fmt.Errorf("read log: %w", err)
	case rec.Index == pos.Index && rec.CRC == pos.CRC:
		return source, nil
	}
	source.Close()
	if rec.Index == pos.Index {
		return nil, broken("foreign", "record %d has the checksum %08x, the index knows it as %08x", rec.Index, rec.CRC, pos.CRC)
	}
	known, err := vouched(open, w)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, broken("foreign", "record %d is gone, and none tells that the index is of this log", pos.Index)
	}
	return openSource(open, pos.Index+1)
}

// vouched reports whether the log has a record that the index knows.
func vouched(open OpenSource, w *writer) (bool, error) {
	known := []Position{w.state.first}
	if s := w.segments.current; s != nil {
		known = append(known, Position{Index: s.firstIdx, CRC: s.firstCRC})
	}
	for _, pos := range known {
		source, err := openSource(open, pos.Index)
		if err != nil {
			return false, err
		}
		rec, err := source.Next()
		source.Close()
		if err != nil && err != io.EOF {
			return false, fmt.Errorf("read log: %w", err)
		}
		if err == nil && rec.Index == pos.Index && rec.CRC == pos.CRC {
			return true, nil
		}
	}
	return false, nil
}

func openSource(open OpenSource, from uint64) (Source, error) {
	source, err := open(from)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return source, nil
}
