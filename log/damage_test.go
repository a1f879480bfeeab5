package eventlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"taffrail/internal/event"
)

// specimen is an intact segment to be damaged.
type specimen struct {
	contents []byte
	records  []event.Record
	groups   []uint64 // of each record, 0 for one that is no tick
	path     string
}

func newSpecimen(t testing.TB, events []event.Event) *specimen {
	s := &specimen{path: filepath.Join(t.TempDir(), segmentName(1))}
	s.contents, s.records = smallLog(t, events)
	writeFiles(t, filepath.Dir(s.path), map[string][]byte{segmentName(1): s.contents})
	for i, f := range frames(t, s.path) {
		s.groups = append(s.groups, 0)
		if f.kind == event.KindSamples {
			s.groups[i] = uint64(generic(t, f.body).([]any)[0].(int64))
		}
	}
	return s
}

// read reads a segment with other contents under the specimen's name, the way
// OpenReader reads a single file, without the file.
func (s *specimen) read(t testing.TB, contents []byte) ([]event.Record, []*CorruptionError) {
	t.Helper()
	return drain(t, &Reader{cur: segmentFile{s.path, 1}, scan: newScanner(s.path, bytes.NewReader(contents))})
}

// check reads the specimen with [from, to) replaced by other bytes: every
// record that lies outside comes back exactly, but for the later ticks of a
// damaged tick's group; what does not come back is reported by its offsets, as
// are the damaged bytes; and nothing comes back that was not there.
func (s *specimen) check(t *testing.T, from, to int, with []byte) {
	t.Helper()
	damaged := slices.Concat(s.contents[:from], with, s.contents[to:])
	if bytes.Equal(damaged, s.contents) {
		return
	}
	// What differs can be less than what was asked for.
	for from < to && len(with) > 0 && s.contents[from] == with[0] {
		from, with = from+1, with[1:]
	}
	for from == to && s.contents[from] == with[0] { // inserted into equal bytes
		from, to, with = from+1, to+1, append(with[1:], with[0])
	}
	got, damage := s.read(t, damaged)
	what := fmt.Sprintf("bytes %d to %d become %d others", from, to, len(with))
	shift := int64(len(with) - (to - from))
	for _, d := range damage {
		if d.Segment != s.path || d.Offset < 0 || d.End <= d.Offset || d.End > int64(len(damaged)) {
			t.Fatalf("%s: a report of %v", what, d)
		}
	}
	reported := func(from, to int64) bool {
		return slices.ContainsFunc(damage, func(d *CorruptionError) bool { return d.Offset <= from && d.End >= to })
	}
	if len(with) > 0 && !reported(int64(from), int64(from)+1) {
		t.Fatalf("%s: not reported, but %v", what, damage)
	}
	hurt := map[uint64]bool{} // groups
	for i, rec := range s.records {
		touched := rec.Offset < int64(to) && rec.Offset+rec.Size > int64(from)
		found := len(got) > 0 && got[0].Index == rec.Index
		if found {
			if diff := difference(rec.Event, got[0].Event); diff != "" {
				t.Fatalf("%s: record %d: %s", what, rec.Index, diff)
			}
			got = got[1:]
			continue
		}
		if !touched && !hurt[s.groups[i]] {
			t.Fatalf("%s: record %d is lost", what, rec.Index)
		}
		if s.groups[i] != 0 {
			hurt[s.groups[i]] = true
		}
		if !touched {
			start := rec.Offset
			if rec.Offset >= int64(to) {
				start += shift
			}
			if !reported(start, start+rec.Size) {
				t.Fatalf("%s: record %d at %d is not in %v", what, rec.Index, start, damage)
			}
		}
	}
	if len(got) > 0 {
		t.Fatalf("%s: record %d comes from nowhere: %+v", what, got[0].Index, got[0].Event)
	}
}

func TestABitFlippedAtEveryByte(t *testing.T) {
	s := newSpecimen(t, script(3, 130, 1))
	for n, rec := range s.records {
		for i := range int(rec.Size) {
			at := int(rec.Offset) + i
			for bit := range 8 {
				// All bits of lengths, magics, headers and checksums in a tenth of
				// the records; elsewhere one a byte.
				if (i > 2+frameHeaderSize || n%10 > 0) && bit != at%8 {
					continue
				}
				s.check(t, at, at+1, []byte{s.contents[at] ^ 1<<bit})
			}
		}
	}
}

func TestEveryByteOverwritten(t *testing.T) {
	s := newSpecimen(t, script(2, 130, 2))
	for at := range s.contents {
		for _, b := range []byte{0x00, 0xd7} {
			s.check(t, at, at+1, []byte{b})
		}
	}
}

func TestPagesZeroedRemovedAndInserted(t *testing.T) {
	s := newSpecimen(t, script(3, 130, 1))
	for _, size := range []int{20, 512, 4096} {
		for at := 0; at < len(s.contents); at += size/2 + 1 {
			end := min(at+size, len(s.contents))
			s.check(t, at, end, make([]byte, end-at))
			s.check(t, at, end, bytes.Repeat([]byte{0xd7}, end-at))
			if end < len(s.contents) {
				s.check(t, at, end, nil)
			}
			s.check(t, at, at, make([]byte, size))
		}
	}
}

func TestRandomDamageInSeveralPlaces(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := newSpecimen(t, script(3, 130, 1))
	original := map[uint64]event.Event{}
	for _, rec := range s.records {
		original[rec.Index] = rec.Event
	}
	for range 500 {
		b := slices.Clone(s.contents)
		for range 1 + r.IntN(6) {
			at := r.IntN(len(b))
			switch r.IntN(4) {
			case 0:
				b[at] ^= 1 << r.IntN(8)
			case 1:
				b = slices.Delete(b, at, min(len(b), at+1+r.IntN(200)))
			case 2:
				b = slices.Insert(b, at, b[:r.IntN(min(300, len(b)))]...)
			case 3:
				copy(b[at:], b[r.IntN(len(b)):])
			}
			if len(b) == 0 {
				break
			}
		}
		got, _ := s.read(t, b)
		last := uint64(0)
		for _, rec := range got {
			if rec.Index <= last {
				t.Fatalf("record %d after %d", rec.Index, last)
			}
			last = rec.Index
			if diff := difference(original[rec.Index], rec.Event); diff != "" {
				t.Fatalf("record %d: %s", rec.Index, diff)
			}
		}
	}
}

// The entry's length is tidwall's and under no checksum: where it alone is
// wrong, its bytes are reported and the record is not lost.
func TestAWrongEntryLengthCostsNoRecord(t *testing.T) {
	s := newSpecimen(t, script(12, 20, 1))
	for _, rec := range s.records {
		_, n := binary.Uvarint(s.contents[rec.Offset:])
		for _, with := range [][]byte{{0x01}, {0xff, 0x01}, {0x00}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, {0x80, 0x80}, {}} {
			at := int(rec.Offset)
			b := slices.Concat(s.contents[:at], with, s.contents[at+n:])
			got, damage := s.read(t, b)
			if len(got) != len(s.records) {
				t.Fatalf("length % x of record %d: %d of %d records", with, rec.Index, len(got), len(s.records))
			}
			if len(with) > 0 && (len(damage) != 1 || damage[0].Offset != rec.Offset || damage[0].End != rec.Offset+int64(len(with))) {
				t.Fatalf("length % x of record %d at %d: %v", with, rec.Index, rec.Offset, damage)
			}
		}
	}
}

func TestRecordsOfALaterFormatAreRefusedByName(t *testing.T) {
	contents, _ := smallLog(t, script(3, 1, 1))
	frame := appendFrame(nil, event.KindAck, 50, []byte{0x80})
	frame[4] = FormatVersion + 1
	sum := crc32.Update(crc32.Checksum(frame[:18], castagnoli), castagnoli, frame[22:])
	binary.LittleEndian.PutUint32(frame[18:], sum)
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{segmentName(1): append(append(contents, byte(len(frame))), frame...)})
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		_, err := r.Next()
		if err == nil {
			continue
		}
		if want := fmt.Sprintf("format %d at byte %d", FormatVersion+1, len(contents)); !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Fatalf("%v, want %q", err, want)
		}
		return
	}
}
