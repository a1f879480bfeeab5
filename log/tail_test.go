package eventlog

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"taffrail/internal/event"
)

// Tails in which every record can be read, or nearly, and of which tidwall/wal,
// which counts entries, would get the last index wrong.
func TestTailsInWhichEntriesCannotBeCounted(t *testing.T) {
	contents, records := smallLog(t, script(3, 20, 1))
	n := uint64(len(records))
	at := func(i int) int { return int(records[i].Offset) }
	second := contents[at(2):at(3)]
	tests := map[string]struct {
		name     uint64
		contents []byte
		last     uint64
		lost     []uint64
	}{
		"zero bytes between two records":  {1, slices.Insert(slices.Clone(contents), at(5), make([]byte, 9)...), n, nil},
		"a wrong entry length":            {1, slices.Replace(slices.Clone(contents), at(5), at(5)+1, 1), n, nil},
		"a wrong entry length at the end": {1, slices.Replace(slices.Clone(contents), at(len(records)-1), at(len(records)-1)+1, 1), n, nil},
		"a record that is gone":           {1, slices.Delete(slices.Clone(contents), at(1), at(2)), n, []uint64{2}},
		"a record that stands twice":      {1, slices.Concat(contents, second), n, nil},
		"a name from further on":          {500, contents, 499, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir, torn := t.TempDir(), t.TempDir()
			writeFiles(t, dir, map[string][]byte{segmentName(tc.name): tc.contents})
			h := history{}
			for _, rec := range records[1:] {
				h[rec.Index] = rec.Event
			}
			maps.DeleteFunc(h, func(i uint64, _ event.Event) bool { return slices.Contains(tc.lost, i) })
			for range 3 {
				l := mustOpen(t, dir, testOptions(torn))
				if len(h) <= len(records) && l.LastIndex() != tc.last {
					t.Fatalf("last index %d, want %d", l.LastIndex(), tc.last)
				}
				h.append(t, l, script(3, 4, 2)...)
				mustClose(t, l)
				got, _ := readAll(t, dir)
				h.check(t, got)
			}
			if !bytes.Equal(files(t, dir)[segmentName(tc.name)], tc.contents) || len(files(t, torn)) != 0 {
				t.Fatal("the segment was changed")
			}
		})
	}
}

// Damage so long that the next magic lies over the end of what the scanner
// reads at once.
func TestTheNextRecordIsFoundBehindDamageOfEveryLength(t *testing.T) {
	contents, records := smallLog(t, script(3, 4, 1))
	at := int(records[3].Offset)
	s := &specimen{path: "x"}
	for n := scanWindow - 30; n < scanWindow+10; n++ {
		for _, fill := range []byte{0x00, 0xd7} {
			got, damage := s.read(t, slices.Concat(contents[:at], bytes.Repeat([]byte{fill}, n), contents[at:]))
			if len(got) != len(records) || len(damage) != 1 || damage[0].End != int64(at+n) {
				t.Fatalf("%d bytes of %02x: %d of %d records, %v", n, fill, len(got), len(records), damage)
			}
		}
	}
}
