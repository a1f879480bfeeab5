package eventlog

import (
	"bytes"
	"crypto/sha256"
	"path/filepath"
	"slices"
	"testing"

	"taffrail/internal/event"
)

// rotated returns a directory with a log of many segments and its history.
func rotated(t testing.TB) (string, history) {
	t.Helper()
	dir := t.TempDir()
	o := lazily(testOptions(t.TempDir()))
	o.SegmentSize = 2_500
	l := mustOpen(t, dir, o)
	h := history{}
	h.append(t, l, script(12, 300, 1)...)
	mustClose(t, l)
	if n := len(names(t, dir)); n < 5 {
		t.Fatalf("%d segments", n)
	}
	return dir, h
}

func TestEachSegmentAloneIsReadWhole(t *testing.T) {
	dir, h := rotated(t)
	var all []event.Record
	for name, contents := range files(t, dir) {
		alone := t.TempDir()
		writeFiles(t, alone, map[string][]byte{name: contents})
		records := readIntact(t, alone)
		if byFile := readIntact(t, filepath.Join(alone, name)); len(byFile) != len(records) {
			t.Fatalf("%s: %d records by its directory, %d by its path", name, len(records), len(byFile))
		}
		header, ok := records[0].Event.(*event.SegmentHeader)
		if !ok || header.DeviceID != testContext.DeviceID || header.Session != testContext.SessionID || header.BootID != testContext.BootID ||
			header.Version != "1.2.3" || header.Format != FormatVersion || !slices.Equal(event.LabelsFromMap(header.Tags), testContext.Tags) {
			t.Fatalf("%s begins with %+v", name, records[0].Event)
		}
		for _, rec := range records {
			if tick, ok := rec.Event.(*event.Tick); ok {
				checkContext(t, tick.Context)
			}
		}
		all = append(all, records...)
	}
	h.check(t, all)
}

func TestSegmentsAreNamedAfterTheirFirstRecordAndFollowWithoutGaps(t *testing.T) {
	dir, _ := rotated(t)
	next := uint64(1)
	for _, name := range names(t, dir) {
		if name != segmentName(next) {
			t.Fatalf("segment %s, want %s", name, segmentName(next))
		}
		for _, f := range frames(t, filepath.Join(dir, name)) {
			if f.index != next {
				t.Fatalf("record %d, want %d", f.index, next)
			}
			next++
		}
	}
}

// The chain as a stranger would check it: the second frame's bytes are found by
// their place, the header is read with a codec of its own.
func TestHeadersChainByTheDigestOfTheWholeFileBefore(t *testing.T) {
	dir, _ := rotated(t)
	contents := files(t, dir)
	before := ""
	for _, name := range names(t, dir) {
		header := generic(t, frames(t, filepath.Join(dir, name))[0].body).(map[string]any)
		if header["previous"] != before {
			t.Fatalf("%s follows %q, want %q", name, header["previous"], before)
		}
		digest, _ := header["previous_sha256"].([]byte)
		if sum := sha256.Sum256(contents[before]); before != "" && !bytes.Equal(digest, sum[:]) {
			t.Fatalf("%s: digest %x of %s, want %x", name, digest, before, sum)
		}
		before = name
	}
}

func TestVerify(t *testing.T) {
	dir, _ := rotated(t)
	whole := files(t, dir)
	list := names(t, dir)
	middle, after := list[2], list[3]
	flipped := slices.Clone(whole[middle])
	flipped[len(flipped)/2] ^= 1
	longer := append(slices.Clone(whole[middle]), entry(appendFrame(nil, event.KindAck, 1<<40, []byte{0x80}))...)
	headless := slices.Clone(whole[middle])
	headless[30] ^= 1
	tests := []struct {
		name    string
		change  map[string][]byte // nil contents: removed
		damaged bool
		gaps    int
		chains  map[string]string // where not ok
		damage  []string          // segments with damage
	}{
		{name: "whole"},
		{name: "middle removed", change: map[string][]byte{middle: nil}, gaps: 1, chains: map[string]string{after: ChainAbsent}},
		{name: "first removed", change: map[string][]byte{list[0]: nil}, chains: map[string]string{list[1]: ChainAbsent}},
		{name: "last removed", change: map[string][]byte{list[len(list)-1]: nil}},
		{name: "bit flipped", change: map[string][]byte{middle: flipped}, damaged: true,
			chains: map[string]string{after: ChainBroken}, damage: []string{middle}},
		{name: "record added", change: map[string][]byte{middle: longer}, damaged: true, chains: map[string]string{after: ChainBroken}},
		{name: "header damaged", change: map[string][]byte{middle: headless}, damaged: true,
			chains: map[string]string{middle: ChainNone, after: ChainBroken}, damage: []string{middle}},
		{name: "two swapped", change: map[string][]byte{middle: whole[after], after: whole[middle]}, damaged: true,
			chains: map[string]string{middle: ChainAbsent, after: ChainAbsent, list[4]: ChainBroken}, damage: []string{middle, after}},
		{name: "one is a copy of another", change: map[string][]byte{after: whole[middle]}, damaged: true, gaps: 1,
			chains: map[string]string{after: ChainAbsent, list[4]: ChainBroken}, damage: []string{after}},
		{name: "emptied", change: map[string][]byte{middle: {}}, damaged: true, gaps: 1, chains: map[string]string{middle: ChainNone, after: ChainBroken}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			changed := t.TempDir()
			for name, contents := range whole {
				if c, ok := tc.change[name]; ok {
					contents = c
				}
				if contents != nil {
					writeFiles(t, changed, map[string][]byte{name: contents})
				}
			}
			v := mustVerify(t, changed)
			if v.Damaged != tc.damaged || len(v.Gaps) != tc.gaps {
				t.Errorf("damaged %t, gaps %v", v.Damaged, v.Gaps)
			}
			for _, s := range v.Segments {
				want := ChainOK
				if s.File == list[0] {
					want = ChainStart
				}
				if w, ok := tc.chains[s.File]; ok {
					want = w
				}
				if s.Chain != want {
					t.Errorf("%s: chain %s, want %s", s.File, s.Chain, want)
				}
				if (len(s.Damage) > 0) != slices.Contains(tc.damage, s.File) {
					t.Errorf("%s: damage %v", s.File, s.Damage)
				}
			}
		})
	}
}

func TestIDsAreNotUsedTwiceInASegmentOverReopenings(t *testing.T) {
	dir := t.TempDir()
	for range 4 {
		l := mustOpen(t, dir, testOptions(t.TempDir()))
		for _, ev := range script(12, 70, 1)[:72] {
			if _, err := l.Append(ev); err != nil {
				t.Fatal(err)
			}
		}
		mustClose(t, l)
	}
	next := int64(0)
	for _, f := range frames(t, filepath.Join(dir, segmentName(1))) {
		if f.kind != event.KindSamples {
			continue
		}
		for _, block := range generic(t, f.body).([]any)[5].([]any) {
			b := block.([]any)
			if b[0].(int64) != next {
				t.Fatalf("record %d defines from id %d, want %d", f.index, b[0], next)
			}
			next += int64(len(b[5].([]any)))
		}
	}
	if next != 8*12 {
		t.Fatalf("%d ids, want 12 in each of 8 groups", next)
	}
}
