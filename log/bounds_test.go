package eventlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"

	"taffrail/internal/event"
)

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Headers of values that claim to be larger than any file.
var claims = map[string][]byte{
	"array32": {0xdd, 0xff, 0xff, 0xff, 0xff},
	"array16": {0xdc, 0xff, 0xff},
	"map32":   {0xdf, 0xff, 0xff, 0xff, 0xff},
	"map16":   {0xde, 0xff, 0xff},
	"bin32":   {0xc6, 0xff, 0xff, 0xff, 0xff},
	"bin31":   {0xc6, 0x7f, 0xff, 0xff, 0xff},
	"str32":   {0xdb, 0xff, 0xff, 0xff, 0xff},
	"str31":   {0xdb, 0x80, 0x00, 0x00, 0x00},
	"ext32":   {0xc9, 0xff, 0xff, 0xff, 0xff, 0x01},
	"never":   {0xc1},
	"nothing": {},
}

func TestLengthsBeyondTheBodyAreRefusedBeforeAnythingIsAllocated(t *testing.T) {
	const bound = 64 << 10
	s := newSpecimen(t, script(5, 2, 1))
	refused := func(what string, decode func() error) {
		var err error
		if n := allocated(func() { err = decode() }); n > bound {
			t.Errorf("%s: %d bytes were allocated", what, n)
		}
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	for _, f := range frames(t, s.path) {
		if f.kind == 200 {
			continue
		}
		for name, claim := range claims {
			// The claim in the place of each byte, with and without what follows.
			for at := range f.body {
				for _, body := range [][]byte{append(bytes.Clone(f.body[:at]), claim...), append(append(bytes.Clone(f.body[:at]), claim...), f.body[at:]...)} {
					decode := func() error {
						if f.kind == event.KindSamples {
							var d decoder
							_, err := d.decodeTick(f.index, body)
							return err
						}
						_, err := decodeBody(f.kind, body)
						return err
					}
					if n := allocated(func() { _ = decode() }); n > bound {
						t.Errorf("%s at %d of record %d: %d bytes were allocated", name, at, f.index, n)
					}
				}
			}
			refused(fmt.Sprintf("%s as the body of a %s", name, f.kind), func() error {
				if f.kind == event.KindSamples {
					_, err := new(decoder).decodeTick(f.index, claim)
					return err
				}
				_, err := decodeBody(f.kind, claim)
				return err
			})
		}
	}
}

// Values of one byte that become large ones in memory.
func TestTheNumberOfValuesIsBounded(t *testing.T) {
	const n, bound = 0x700000, 256 << 20
	plan := append([]byte{0x81, 0xa6, 'c', 'h', 'u', 'n', 'k', 's', 0xdd, 0, 0x70, 0, 0}, bytes.Repeat([]byte{0xc0}, n)...)
	tick := append([]byte{0x99, 1, 0, 0, 0, 0, 0x91, 0x96, 0, 0xa1, 'a', 0, 0, 0x91, 0xa1, 'l', 0xdd, 0, 0x70, 0, 0}, bytes.Repeat([]byte{0x91, 0xa0}, n)...)
	for name, decode := range map[string]func() error{
		"chunks": func() error { _, err := decodeBody(event.KindPlan, plan); return err },
		"series": func() error { _, err := new(decoder).decodeTick(1, tick); return err },
	} {
		var err error
		if n := allocated(func() { err = decode() }); n > bound || err == nil {
			t.Errorf("%s: %d bytes were allocated, %v", name, n, err)
		}
	}
	if body, err := encodeBody(&event.Plan{Chunks: make([]event.Chunk, maxValues/8)}); err == nil {
		t.Errorf("a body of %d bytes that no reader takes was encoded", len(body))
	}
}

// Series that come and go end a group before it has more than a reader takes.
func TestAGroupEndsBeforeItHasTooManySeries(t *testing.T) {
	series := make([]*event.Series, maxSeries+1)
	for i := range series {
		series[i] = mustSeries(t, "a", event.Gauge, 0, event.Label{Name: "i", Value: fmt.Sprint(i)})
	}
	var e encoder
	var d decoder
	if _, err := e.appendTick(nil, 1, tickOf(series...), &testContext); err == nil {
		t.Error("a tick with too many series was encoded")
	}
	e.startGroup()
	for i, tick := range []*event.Tick{tickOf(series[:maxSeries-10]...), tickOf(series[10:maxSeries]...), tickOf(series[11:]...), tickOf(series[:maxSeries]...)} {
		body, err := e.appendTick(nil, uint64(i+1), tick, &testContext)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.decodeTick(uint64(i+1), body)
		if err != nil {
			t.Fatalf("tick %d: %v", i, err)
		}
		if diff := difference(tick, got); diff != "" {
			t.Fatalf("tick %d: %s", i, diff)
		}
		if group := groupOf(body); group != []uint64{1, 1, 3, 4}[i] {
			t.Fatalf("tick %d is in group %d", i, group)
		}
	}
}

func TestDepthIsBounded(t *testing.T) {
	for name, level := range map[string][]byte{
		"arrays": {0x91},
		"maps":   {0x81, 0xa4, 't', 'a', 'g', 's'},
		"wide":   {0xdd, 0, 0, 0, 1},
	} {
		body := append(bytes.Repeat(level, MaxBody/len(level)-1), 0xc0)
		for _, kind := range []event.Kind{event.KindSegment, event.KindSession, event.KindPlan, event.KindAck} {
			var err error
			if n := allocated(func() { _, err = decodeBody(kind, body) }); n > 64<<10 || !errors.Is(err, errTooDeep) {
				t.Errorf("%s in a %s: %d bytes were allocated, %v", name, kind, n, err)
			}
		}
		var d decoder
		if _, err := d.decodeTick(1, body); err == nil {
			t.Errorf("%s in a tick: no error", name)
		}
	}
}

func TestAFrameThatClaimsMoreThanThereIsIsReadInBoundedMemory(t *testing.T) {
	for _, length := range []uint32{1 << 10, MaxBody, MaxBody + 1, 1<<32 - 1} {
		frame := appendFrame(nil, event.KindAck, 1, []byte{0x80})
		frame[6], frame[7], frame[8], frame[9] = byte(length), byte(length>>8), byte(length>>16), byte(length>>24)
		b := entry(frame)
		var damage []*CorruptionError
		n := allocated(func() {
			_, damage = drain(t, &Reader{scan: newScanner("x", bytes.NewReader(b))})
		})
		if n > 2*MaxBody || len(damage) != 1 || damage[0].End != int64(len(b)) {
			t.Errorf("length %d: %d bytes were allocated, %v", length, n, damage)
		}
	}
}

// Bits that say what the rest of the body contradicts.
func TestBitmapsThatContradictTheBodyAreRefused(t *testing.T) {
	a, b := mustSeries(t, "a", event.Gauge, 0), mustSeries(t, "b", event.Gauge, 0)
	var e encoder
	head, err := e.appendTick(nil, 1, tickOf(a, b), &testContext)
	if err != nil {
		t.Fatal(err)
	}
	follow := func(flags byte, bitmap []byte, values ...byte) []byte {
		body := []byte{0x98, 1, 1, 0, 0, flags, 0x90}
		body = appendBin(body, bitmap)
		return append(append(body, 0x90|byte(len(values))), values...)
	}
	for name, tc := range map[string]struct {
		body []byte
		good bool
	}{
		"none changed":                 {follow(0, []byte{0}), true},
		"both changed":                 {follow(0, []byte{3}, 1, 2), true},
		"one absent":                   {follow(2, []byte{1, 1}, 1), true},
		"too few values":               {follow(0, []byte{3}, 1), false},
		"too many values":              {follow(0, []byte{1}, 1, 2), false},
		"a bit beyond the series":      {follow(0, []byte{4}, 1), false},
		"present beyond the series":    {follow(2, []byte{7, 0}), false},
		"changed and absent":           {follow(2, []byte{1, 3}, 1, 2), false},
		"one bitmap in place of two":   {follow(2, []byte{3}, 1, 2), false},
		"two bitmaps in place of one":  {follow(0, []byte{3, 3}, 1, 2), false},
		"a longer bitmap":              {follow(0, []byte{3, 0}, 1, 2), false},
		"an unknown flag":              {follow(4, []byte{0}), false},
		"a text in place of a number":  {follow(0, []byte{1}, 0xa0), false},
		"bytes behind the last field":  {append(follow(0, []byte{0}), 0), false},
		"a field too few":              {append([]byte{0x97}, follow(0, []byte{0})[1:]...), false},
		"the head's fields behind one": {append([]byte{0x99}, append(follow(0, []byte{0})[1:], 0x80)...), false},
	} {
		var d decoder
		if _, err := d.decodeTick(1, head); err != nil {
			t.Fatal(err)
		}
		if _, err := d.decodeTick(2, tc.body); (err == nil) != tc.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASeriesTwiceInABodyIsRefused(t *testing.T) {
	define := func(id byte, typ byte) []byte { return []byte{0x96, id, 0xa1, 'a', typ, 0, 0x90, 0x91, 0x90} }
	body := func(flags byte, bitmap []byte, values []byte, definitions ...[]byte) []byte {
		b := []byte{0x99, 1, 0, 0, 0, flags, 0x90 | byte(len(definitions))}
		b = appendBin(append(b, bytes.Join(definitions, nil)...), bitmap)
		b = append(append(b, 0x90|byte(len(values))), values...)
		return appendContext(b, &testContext)
	}
	for name, tc := range map[string]struct {
		body []byte
		good bool
	}{
		"once":                       {body(0, []byte{1}, []byte{5}, define(0, 0)), true},
		"defined twice, one present": {body(2, []byte{2, 2}, []byte{5}, define(0, 0), define(1, 1)), true},
		"as gauge and counter":       {body(0, []byte{3}, []byte{5, 6}, define(0, 0), define(1, 1)), false},
		"as the same":                {body(0, []byte{3}, []byte{5, 6}, define(0, 0), define(1, 0)), false},
		"first and third":            {body(2, []byte{5, 5}, []byte{5, 6}, define(0, 0), define(1, 1), define(2, 0)), false},
	} {
		if _, err := new(decoder).decodeTick(1, tc.body); (err == nil) != tc.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type failingReader struct{}

func (failingReader) ReadAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }

// A read error is no damage: nothing may be cut for it.
func TestAnErrorOfReadingIsNotTakenForDamage(t *testing.T) {
	_, err := newScanner("x", failingReader{}).next()
	if !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, ErrCorrupt) || err == io.EOF {
		t.Fatal(err)
	}
}
