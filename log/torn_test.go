package eventlog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"taffrail/internal/event"
)

// smallLog is a log of one segment and what stands in it.
func smallLog(t testing.TB, events []event.Event) (contents []byte, records []event.Record) {
	t.Helper()
	dir := t.TempDir()
	l := mustOpen(t, dir, lazily(testOptions(t.TempDir())))
	for _, ev := range events {
		if _, err := l.Append(ev); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)
	return files(t, dir)[segmentName(1)], readIntact(t, dir)
}

// checkTorn opens a log whose only segment has these contents, of which keep
// bytes are whole records, and checks all that recovery promises.
func checkTorn(t *testing.T, contents []byte, keep int, whole []event.Record) {
	t.Helper()
	dir, torn := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "torn")
	writeFiles(t, dir, map[string][]byte{segmentName(1): contents})
	l := mustOpen(t, dir, testOptions(torn))
	cut := l.Recovery().Cut
	if len(contents) == keep {
		if cut != nil {
			t.Fatalf("a whole tail was cut: %+v", cut)
		}
	} else {
		if cut == nil || cut.Offset != int64(keep) || cut.Bytes != int64(len(contents)-keep) {
			t.Fatalf("cut %+v, want %d bytes at %d", cut, len(contents)-keep, keep)
		}
		kept, err := os.ReadFile(cut.Kept)
		if err != nil || !bytes.Equal(kept, contents[keep:]) || filepath.Dir(cut.Kept) != torn {
			t.Fatalf("kept %d bytes in %s (%v), want %d", len(kept), cut.Kept, err, len(contents)-keep)
		}
		if n := len(files(t, torn)); n != 1 {
			t.Fatalf("%d files in torn", n)
		}
	}
	if d := l.Recovery().Damage; len(d) != 0 {
		t.Fatalf("damage %v", d)
	}
	last := uint64(len(whole))
	if l.LastIndex() != last {
		t.Fatalf("last index %d, want %d", l.LastIndex(), last)
	}
	h := history{}
	for _, rec := range whole {
		if rec.Event.Kind() != event.KindSegment {
			h[rec.Index] = rec.Event
		}
	}
	h.append(t, l, script(3, 2, 9)...)
	mustClose(t, l)
	h.check(t, readIntact(t, dir))

	again := mustOpen(t, dir, testOptions(torn))
	if r := again.Recovery(); r.Cut != nil || len(r.Damage) != 0 || len(r.Aside) != 0 {
		t.Fatalf("the second Open found %+v", r)
	}
}

func TestTornTailAtEveryByteOfTheLastRecord(t *testing.T) {
	tests := map[string]event.Event{
		"tick":  nil,
		"plan":  testPlan("b", event.Range{From: 1, To: 5}, 1),
		"empty": &event.Unknown{Of: 90},
	}
	for name, last := range tests {
		t.Run(name, func(t *testing.T) {
			events := script(3, 8, 1)[:9]
			if last != nil {
				events = append(events, last)
			}
			contents, records := smallLog(t, events)
			n := len(records) - 1
			for at := int(records[n].Offset); at < len(contents); at++ {
				checkTorn(t, contents[:at], int(records[n].Offset), records[:n])
			}
			checkTorn(t, contents, len(contents), records)
		})
	}
}

func TestTornTailOfZeroBytesAndGarbage(t *testing.T) {
	contents, records := smallLog(t, script(3, 70, 1))
	last := len(records) - 1
	for _, n := range []int{1, 20, 4096, 10_000, 200_000} {
		t.Run(fmt.Sprint("zero bytes behind the records ", n), func(t *testing.T) {
			checkTorn(t, append(slices.Clone(contents), make([]byte, n)...), len(contents), records)
		})
	}
	t.Run("the last page is zero", func(t *testing.T) {
		for page := 512; page <= 4096; page *= 2 {
			start := (len(contents) - 1) / page * page
			torn := slices.Clone(contents)
			clear(torn[start:])
			torn = append(torn, make([]byte, page-(len(torn)-start))...)
			whole := slices.IndexFunc(records, func(r event.Record) bool { return int(r.Offset+r.Size) > start })
			checkTorn(t, torn, int(records[whole].Offset), records[:whole])
		}
	})
	t.Run("the last record is zero from every byte on", func(t *testing.T) {
		offset := int(records[last].Offset)
		for at := offset; at < len(contents); at++ {
			if contents[at] == 0 && bytes.Count(contents[at:], []byte{0}) == len(contents)-at {
				continue // it was so before
			}
			torn := slices.Clone(contents)
			clear(torn[at:])
			checkTorn(t, torn, offset, records[:last])
		}
	})
	t.Run("random bytes behind the records", func(t *testing.T) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		for range 100 {
			garbage := make([]byte, 1+r.IntN(300))
			for i := range garbage {
				garbage[i] = byte(r.Uint32())
			}
			checkTorn(t, append(slices.Clone(contents), garbage...), len(contents), records)
		}
	})
	t.Run("the magic behind the records", func(t *testing.T) {
		frame := contents[records[last].Offset:]
		for n := 1; n < len(frame); n += 5 {
			checkTorn(t, append(slices.Clone(contents), frame[:n]...), len(contents), records)
		}
		claim := append(slices.Clone(contents), 0x50, 0xd7, 'T', 'F', 'R', 1, 3, 0xff, 0xff, 0xff, 0x00)
		checkTorn(t, append(claim, make([]byte, 40)...), len(contents), records)
	})
}

// What a crash leaves between the creation of a segment and its header.
func TestCrashBeforeTheHeaderOfANewSegment(t *testing.T) {
	dir := t.TempDir()
	o := lazily(testOptions(t.TempDir()))
	o.SegmentSize = 1500
	l := mustOpen(t, dir, o)
	h := history{}
	h.append(t, l, script(3, 90, 1)...)
	mustClose(t, l)
	whole := files(t, dir)
	next := segmentName(l.LastIndex() + 1)
	header := whole[names(t, dir)[1]]
	header = header[:frames(t, filepath.Join(dir, names(t, dir)[1]))[0].end]

	for n := 0; n < len(header); n += 1 + n/30 {
		dir, torn := t.TempDir(), t.TempDir()
		writeFiles(t, dir, whole)
		writeFiles(t, dir, map[string][]byte{next: header[:n]})
		l := mustOpen(t, dir, testOptions(torn))
		if cut := l.Recovery().Cut; (n == 0) != (cut == nil) {
			t.Fatalf("%d bytes of the header: cut %+v", n, cut)
		}
		if kept := files(t, torn); n > 0 && !bytes.Equal(kept[next+"-0"], header[:n]) {
			t.Fatalf("%d bytes of the header: torn has %v", n, kept)
		}
		after := history{}
		for i, ev := range h {
			after[i] = ev
		}
		after.append(t, l, script(3, 3, 2)...)
		mustClose(t, l)
		after.check(t, readIntact(t, dir))
		if v := mustVerify(t, dir); v.Damaged || len(v.Gaps) > 0 {
			t.Fatalf("%d bytes of the header: %+v", n, v)
		}
	}
}

func TestFirstSegmentTornBeforeItsHeader(t *testing.T) {
	contents, _ := smallLog(t, script(3, 1, 1))
	for _, n := range []int{0, 1, 30} {
		dir := t.TempDir()
		writeFiles(t, dir, map[string][]byte{segmentName(1): contents[:n]})
		l := mustOpen(t, dir, testOptions(t.TempDir()))
		if l.LastIndex() != 0 {
			t.Fatalf("last index %d in an empty log", l.LastIndex())
		}
		h := history{}
		h.append(t, l, script(3, 1, 1)...)
		mustClose(t, l)
		h.check(t, readIntact(t, dir))
	}
}

// Damage with whole records behind it is no torn tail: nothing is cut, nothing
// is written to the file again.
func TestTailDamagedInTheMiddleIsLeftAsItIs(t *testing.T) {
	contents, records := smallLog(t, script(3, 80, 1))
	for _, at := range []int{1, 4, 40} {
		for _, tail := range [][]byte{nil, make([]byte, 100)} {
			hit := records[at]
			broken := append(slices.Clone(contents), tail...)
			broken[hit.Offset+hit.Size/2] ^= 4
			dir, torn := t.TempDir(), t.TempDir()
			writeFiles(t, dir, map[string][]byte{segmentName(1): broken})
			l := mustOpen(t, dir, testOptions(torn))
			if d := l.Recovery().Damage; len(d) != 1 || l.LastIndex() != uint64(len(records)) {
				t.Fatalf("damage %v, last index %d of %d", d, l.LastIndex(), len(records))
			}
			h := history{}
			h.append(t, l, script(3, 4, 2)...)
			mustClose(t, l)
			now := files(t, dir)
			if len(now) != 2 || !bytes.Equal(now[segmentName(1)], broken[:len(contents)]) {
				t.Fatalf("the damaged segment was written to; files %v", names(t, dir))
			}
			got, damage := readAll(t, dir)
			if len(damage) == 0 {
				t.Fatal("the damage is not reported")
			}
			for _, rec := range got {
				if rec.Index <= uint64(len(records)) {
					h[rec.Index] = records[rec.Index-1].Event
				}
			}
			delete(h, 1)
			h.check(t, got)
			again := mustOpen(t, dir, testOptions(torn))
			if again.LastIndex() != l.LastIndex() || again.Recovery().Cut != nil {
				t.Fatalf("reopened: last index %d, want %d; %+v", again.LastIndex(), l.LastIndex(), again.Recovery())
			}
		}
	}
}

// A full disk has no room for a copy of the torn bytes. That must not keep the
// daemon from starting, and must not lose the bytes either.
func TestTornBytesThatCannotBeKeptStayWhereTheyAre(t *testing.T) {
	contents, records := smallLog(t, script(3, 10, 1))
	for _, keep := range []int{0, len(contents)} {
		dir := t.TempDir()
		torn := append(slices.Clone(contents[:keep]), "\x20torn"...)
		writeFiles(t, dir, map[string][]byte{segmentName(1): torn})
		obstacle := filepath.Join(t.TempDir(), "torn")
		if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		l := mustOpen(t, dir, testOptions(obstacle))
		if len(l.Recovery().Damage) == 0 {
			t.Error("recovery does not say so")
		}
		h := history{}
		h.append(t, l, script(3, 4, 2)...)
		mustClose(t, l)
		if !bytes.Equal(files(t, dir)[segmentName(1)], torn) {
			t.Fatal("the torn segment was changed")
		}
		got, damage := readAll(t, dir)
		if len(damage) != 1 {
			t.Fatalf("damage %v", damage)
		}
		if keep > 0 {
			for _, rec := range records[1:] {
				h[rec.Index] = rec.Event
			}
		}
		h.check(t, got)
	}
}

func mustVerify(t testing.TB, path string) Verification {
	t.Helper()
	v, err := Verify(path)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
