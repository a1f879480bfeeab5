package eventlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"taffrail/internal/event"
)

// ErrCorrupt is what every *CorruptionError wraps.
var ErrCorrupt = errors.New("damaged log")

// CorruptionError reports bytes of a segment that hold no readable record, or
// records that cannot be decoded without the ones that such bytes once held.
type CorruptionError struct {
	Segment string // path of the file
	Offset  int64  // first byte
	End     int64  // the byte after the last
	Reason  string
}

// Error names the segment, the bytes and the reason.
func (e *CorruptionError) Error() string {
	return fmt.Sprintf("%s: bytes %d to %d: %s", e.Segment, e.Offset, e.End, e.Reason)
}

// Unwrap returns ErrCorrupt.
func (e *CorruptionError) Unwrap() error { return ErrCorrupt }

// frame is one intact record as it lies in a segment.
type frame struct {
	version uint8
	kind    event.Kind
	index   uint64
	crc     uint32
	offset  int64  // of the entry, its length included
	end     int64  // of the entry
	body    []byte // valid until the next call of next
}

// maxEntryPrefix is the longest uvarint that tidwall/wal writes for an entry.
const maxEntryPrefix = 5

// scanner reads the frames of one segment in order. It holds at most one frame
// and a window of the file in memory.
type scanner struct {
	name string
	r    io.ReaderAt
	off  int64 // where the next entry begins
	bare bool  // at off stands a frame whose entry length is damaged
	buf  []byte
	base int64 // offset of buf[0] in the file
}

func newScanner(name string, r io.ReaderAt) *scanner {
	return &scanner{name: name, r: r}
}

const scanWindow = 64 << 10

// window returns the file's bytes [off, off+n), fewer at its end. They are
// valid until the next call.
func (s *scanner) window(off int64, n int) ([]byte, error) {
	if have := s.base + int64(len(s.buf)); off < s.base || off+int64(n) > have {
		size := max(n, scanWindow)
		if cap(s.buf) < size {
			s.buf = make([]byte, size)
		}
		read, err := s.r.ReadAt(s.buf[:size], off)
		s.buf, s.base = s.buf[:read], off
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("read %s: %w", s.name, err)
		}
	}
	b := s.buf[off-s.base:]
	return b[:min(n, len(b))], nil
}

// forget drops what was read ahead, so that bytes which were appended to the
// file since then are seen.
func (s *scanner) forget() { s.buf = s.buf[:0] }

// next returns the next intact frame. Where the bytes at hand are none, it
// looks for the next one and returns a *CorruptionError for what lies between;
// the call after that returns the frame. At the end of the file it returns
// io.EOF.
func (s *scanner) next() (frame, error) {
	read := s.entryAt
	if s.bare {
		read = s.frameAt
	}
	f, reason, err := read(s.off)
	if err != nil {
		return frame{}, err
	}
	if reason == "" {
		s.off, s.bare = f.end, false
		return f, nil
	}
	start := s.off
	if err := s.resync(start); err != nil {
		return frame{}, err
	}
	return frame{}, &CorruptionError{Segment: s.name, Offset: start, End: s.off, Reason: reason}
}

// entryAt reads the entry at off. It returns io.EOF at the file's end, and a
// reason where the bytes are no entry.
func (s *scanner) entryAt(off int64) (f frame, reason string, err error) {
	head, err := s.window(off, maxEntryPrefix+frameHeaderSize)
	if err != nil {
		return frame{}, "", err
	}
	if len(head) == 0 {
		return frame{}, "", io.EOF
	}
	if head[0] == 0 {
		return frame{}, "zero bytes where a record should begin", nil
	}
	length, n := binary.Uvarint(head)
	if n <= 0 || n > maxEntryPrefix {
		return frame{}, "the length of the entry cannot be read", nil
	}
	f, reason, err = s.frameAt(off + int64(n))
	if err != nil || reason != "" {
		return frame{}, reason, err
	}
	if uint64(f.end-f.offset) != length {
		return frame{}, "the lengths of entry and frame differ", nil
	}
	f.offset = off
	return f, "", nil
}

// frameAt reads the frame at off, without the entry's length before it.
func (s *scanner) frameAt(off int64) (f frame, reason string, err error) {
	head, err := s.window(off, frameHeaderSize)
	if err != nil {
		return frame{}, "", err
	}
	if len(head) < frameHeaderSize {
		return frame{}, "the file ends inside a record", nil
	}
	h, ok := parseFrameHeader(head)
	if !ok {
		return frame{}, "no record begins here", nil
	}
	whole, err := s.window(off, h.size())
	if err != nil {
		return frame{}, "", err
	}
	if len(whole) < h.size() {
		return frame{}, "the file ends inside a record", nil
	}
	if !h.intact(whole) {
		return frame{}, "the checksum does not match", nil
	}
	return frame{
		version: h.version,
		kind:    h.kind,
		index:   h.index,
		crc:     h.crc,
		offset:  off,
		end:     off + int64(h.size()),
		body:    whole[frameHeaderSize:],
	}, "", nil
}

// resync moves to the first entry after off that holds an intact frame, or to
// the end of the file.
func (s *scanner) resync(off int64) error {
	for pos := off; ; {
		b, err := s.window(pos, scanWindow)
		if err != nil {
			return err
		}
		at := bytes.Index(b, frameMagic[:])
		if at < 0 {
			if len(b) < scanWindow {
				s.off = pos + int64(len(b))
				return nil
			}
			// The magic may straddle the window's end.
			pos += int64(len(b) - len(frameMagic) + 1)
			continue
		}
		candidate := pos + int64(at)
		f, reason, err := s.frameAt(candidate)
		if err != nil {
			return err
		}
		// A frame may lie inside a damaged one only as the text of a label.
		if reason == "" {
			return s.resume(off, f)
		}
		pos = candidate + 1
	}
}

// resume moves to the entry of f, or to f itself where the entry's length,
// somewhere at or after off, is part of the damage.
func (s *scanner) resume(off int64, f frame) error {
	prefix := binary.AppendUvarint(nil, uint64(f.end-f.offset))
	entry := f.offset - int64(len(prefix))
	if entry > off {
		b, err := s.window(entry, len(prefix))
		if err != nil {
			return err
		}
		if bytes.Equal(b, prefix) {
			s.off, s.bare = entry, false
			return nil
		}
	}
	s.off, s.bare = f.offset, true
	return nil
}
