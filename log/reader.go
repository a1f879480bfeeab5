package eventlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"taffrail/internal/event"
)

// ErrNoLog is returned for a path that holds no segment.
var ErrNoLog = errors.New("no log here")

// ErrNewerFormat is returned for a record of a later format version.
var ErrNewerFormat = errors.New("written by a newer version of taffrail")

// Reader reads the records of a log in order. It never writes, holds one
// segment open at a time and takes memory for one record.
type Reader struct {
	dir   string        // "" when a single file is read
	limit func() uint64 // last index that may be read; nil: what the files hold
	from  uint64        // records before it are not returned
	next  uint64        // index that should follow; 0 before the first record
	sure  uint64        // records up to it were stored before anything was read ahead
	cur   segmentFile
	file  *os.File
	scan  *scanner
	dec   decoder
	// decide returns what was decided on the time of an untrusted tick; nil: it
	// does not matter to who reads.
	decide func(index uint64, boot string) *event.Decision
}

// OpenReader opens the log at path: a segment, a directory of segments, or a
// state directory with such a directory "log" in it. It returns an error that
// wraps ErrNoLog where there is none.
func OpenReader(path string) (*Reader, error) {
	dir, file, err := Locate(path)
	if err != nil {
		return nil, err
	}
	r := &Reader{dir: dir, decide: decisionsOf(path)}
	if file == "" {
		return r, nil
	}
	first, _ := parseSegmentName(filepath.Base(file))
	if err := r.open(segmentFile{path: file, first: first}); err != nil {
		return nil, err
	}
	return r, nil
}

// Locate finds the log at path and returns either its directory or, where path
// is a file, that file.
func Locate(path string) (dir, file string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", "", fmt.Errorf("open log: %w", err)
	}
	if !info.IsDir() {
		return "", path, nil
	}
	for _, dir := range []string{path, filepath.Join(path, "log")} {
		if segments, err := listSegments(dir); err == nil && len(segments) > 0 {
			return dir, "", nil
		}
	}
	return "", "", fmt.Errorf("open log: %w: %s holds no segments, and neither does a directory log in it", ErrNoLog, path)
}

// segmentsAt returns the segments of the log at path. The first index of a
// single file is left open: its name may be any.
func segmentsAt(path string) ([]segmentFile, error) {
	dir, file, err := Locate(path)
	if err != nil || dir == "" {
		return []segmentFile{{path: file}}, err
	}
	return listSegments(dir)
}

// Close closes the segment that is open. It may be called twice.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file, r.scan = nil, nil
	return err
}

// Next returns the next record, or io.EOF after the last; records that were
// appended since are returned by later calls. Bytes that hold no record, and
// records that cannot be decoded, are returned once as a *CorruptionError; the
// call after that goes on behind them.
func (r *Reader) Next() (event.Record, error) {
	for {
		if r.limit != nil {
			limit := r.limit()
			if max(r.next, r.from, 1) > limit {
				return event.Record{}, io.EOF
			}
			// What was read ahead behind the limit of that time may be half a
			// record, or one that was given up and cut off since.
			if r.next > r.sure {
				r.sure = limit
				if r.scan != nil {
					r.scan.forget()
				}
			}
		}
		if r.scan == nil {
			if err := r.advance(); err != nil {
				return event.Record{}, err
			}
		}
		f, err := r.frame()
		if err == io.EOF {
			if err := r.advance(); err != nil {
				return event.Record{}, err
			}
			continue
		}
		if err != nil {
			return event.Record{}, err
		}
		rec, err := r.record(f)
		if err != nil || rec.Index >= r.from {
			return rec, err
		}
	}
}

// frame returns the scanner's next frame. While the log is being written, what
// was read ahead can be half a record: damage is looked at twice.
func (r *Reader) frame() (frame, error) {
	off, bare := r.scan.off, r.scan.bare
	f, err := r.scan.next()
	if err == nil || r.limit == nil {
		return f, err
	}
	r.scan.forget()
	r.scan.off, r.scan.bare = off, bare
	return r.scan.next()
}

// record decodes a frame.
func (r *Reader) record(f frame) (event.Record, error) {
	damaged := func(reason string) error {
		return &CorruptionError{Segment: r.cur.path, Offset: f.offset, End: f.end, Reason: reason}
	}
	if f.version != FormatVersion {
		return event.Record{}, fmt.Errorf("%w: format %d at byte %d of %s", ErrNewerFormat, f.version, f.offset, r.cur.path)
	}
	if f.index < r.next {
		return event.Record{}, damaged(fmt.Sprintf("record %d stands where %d or a later one should", f.index, r.next))
	}
	r.next = f.index + 1
	rec := event.Record{Index: f.index, CRC: f.crc, Segment: r.cur.path, Offset: f.offset, Size: f.end - f.offset}
	var err error
	if f.kind == event.KindSamples {
		var tick *event.Tick
		if tick, err = r.dec.decodeTick(f.index, f.body); err == nil {
			rec.Event = tick
			if tick.Decision = nil; !tick.Trusted && f.index >= r.from && r.decide != nil {
				tick.Decision = r.decide(f.index, tick.Context.BootID)
			}
		}
	} else if f.index >= r.from {
		rec.Event, err = decodeBody(f.kind, f.body)
	}
	if err != nil && f.index >= r.from {
		return event.Record{}, damaged(fmt.Sprintf("record %d: %s", f.index, err))
	}
	return rec, nil
}

// advance opens the segment after the current one, unless the current one has
// grown. It returns io.EOF where there is none.
func (r *Reader) advance() error {
	if r.dir == "" {
		r.scan.forget()
		return io.EOF
	}
	segments, err := listSegments(r.dir)
	if err != nil {
		return err
	}
	for i, s := range segments {
		if s.first <= r.cur.first {
			continue
		}
		// All of this segment lies before what is asked for.
		if r.scan == nil && i+1 < len(segments) && segments[i+1].first <= r.from {
			continue
		}
		if r.scan != nil {
			// Its end was seen before its successor was: only what is not there
			// now will never be.
			r.scan.forget()
			if b, err := r.scan.window(r.scan.off, 1); err != nil || len(b) > 0 {
				return err
			}
		}
		return r.open(s)
	}
	if r.scan == nil {
		return io.EOF
	}
	r.scan.forget()
	return io.EOF
}

func (r *Reader) open(s segmentFile) error {
	file, err := os.Open(s.path)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	if r.file != nil {
		r.file.Close()
	}
	r.cur, r.file, r.scan = s, file, newScanner(s.path, file)
	// A group never reaches over the end of its segment.
	r.dec.group = 0
	return nil
}
