package eventlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"testing"

	"taffrail/internal/event"
)

// corpus is a real segment, its frames' bodies by kind, and asserts that there
// is one of each.
func corpus(f *testing.F) (contents []byte, bodies map[event.Kind][][]byte) {
	f.Helper()
	s := newSpecimen(f, append(script(5, 70, 1), testPlan("b", event.Range{From: 1, To: 9}, 1)))
	bodies = map[event.Kind][][]byte{}
	for _, fr := range frames(f, s.path) {
		bodies[fr.kind] = append(bodies[fr.kind], fr.body)
	}
	for _, k := range []event.Kind{event.KindSegment, event.KindSession, event.KindSamples, event.KindPlan, event.KindAck} {
		if len(bodies[k]) == 0 {
			f.Fatalf("the seed corpus has no %s", k)
		}
	}
	return s.contents, bodies
}

// Whatever the bytes: the scan comes to the end, every byte is in one frame or
// in one report, in order, and memory stays within one frame.
func FuzzScanner(f *testing.F) {
	contents, _ := corpus(f)
	f.Add(contents)
	f.Add(contents[:len(contents)/2])
	f.Add(append(make([]byte, 5000), contents[100:]...))
	f.Add(bytes.Repeat(frameMagic[:], 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		scan := newScanner("fuzz", bytes.NewReader(b))
		off := int64(0)
		for {
			fr, err := scan.next()
			if err == io.EOF {
				break
			}
			from, to := fr.offset, fr.end
			var c *CorruptionError
			if errors.As(err, &c) {
				from, to = c.Offset, c.End
			} else if err != nil {
				t.Fatal(err)
			} else if again := entry(appendFrame(nil, fr.kind, fr.index, fr.body)); fr.version == FormatVersion && !bytes.HasSuffix(again, b[from:to]) && fr.end-fr.offset <= int64(len(again)) {
				t.Fatalf("the frame at %d is written again as % x, not % x", from, again, b[from:to])
			}
			// A report of no bytes says that an entry's length is missing, and a
			// frame follows.
			if from != off || to < from || to == from && !scan.bare {
				t.Fatalf("bytes %d to %d after byte %d", from, to, off)
			}
			off = to
			if cap(scan.buf) > MaxBody+scanWindow {
				t.Fatalf("%d bytes of memory", cap(scan.buf))
			}
		}
		if off != int64(len(b)) {
			t.Fatalf("ended at %d of %d", off, len(b))
		}
		_, _ = drain(t, &Reader{scan: newScanner("fuzz", bytes.NewReader(withoutLaterFormats(b)))})
	})
}

// withoutLaterFormats returns b with every version behind a magic made ours, so
// that drain need not stop there.
func withoutLaterFormats(b []byte) []byte {
	b = bytes.Clone(b)
	for i := 0; i+len(frameMagic) < len(b); i++ {
		if bytes.HasPrefix(b[i:], frameMagic[:]) {
			b[i+len(frameMagic)] = FormatVersion
		}
	}
	return b
}

// A tick that can be decoded can be encoded, and is the same then.
func FuzzDecodeTick(f *testing.F) {
	_, bodies := corpus(f)
	ticks := bodies[event.KindSamples]
	for i := 1; i < len(ticks); i += 7 {
		f.Add(groupOf(ticks[0]), ticks[0], ticks[i])
	}
	f.Add(groupOf(ticks[60]), ticks[60], ticks[61])
	f.Fuzz(func(t *testing.T, index uint64, head, follow []byte) {
		var d, again decoder
		var e encoder
		for i, body := range [][]byte{head, follow} {
			tick, err := d.decodeTick(index+uint64(i), body)
			if err != nil {
				return
			}
			encoded, err := e.appendTick(nil, index+uint64(i), tick, tick.Context)
			if err != nil {
				t.Fatalf("decoded, but not encoded: %v", err)
			}
			got, err := again.decodeTick(index+uint64(i), encoded)
			if err != nil {
				t.Fatalf("encoded, but not decoded: %v", err)
			}
			if diff := difference(tick, got); diff != "" {
				t.Fatal(diff)
			}
			if want := fmt.Sprintf("%+v", tick.Context); fmt.Sprintf("%+v", got.Context) != want {
				t.Fatalf("context %s became %+v", want, got.Context)
			}
		}
	})
}

// groupOf returns the index that a head's body must stand under.
func groupOf(head []byte) uint64 {
	p := parser{b: head}
	p.array()
	return p.uint(math.MaxInt64)
}

// An event that can be decoded can be encoded, and is the same then; the ledger
// takes whatever is decoded.
func FuzzDecodeBody(f *testing.F) {
	_, bodies := corpus(f)
	for kind, of := range bodies {
		f.Add(uint8(kind), of[0])
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		ev, err := decodeBody(event.Kind(kind), body)
		if err != nil {
			return
		}
		encoded, err := encodeBody(ev)
		if err != nil {
			t.Fatalf("decoded, but not encoded: %v", err)
		}
		got, err := decodeBody(event.Kind(kind), encoded)
		if err != nil {
			t.Fatalf("encoded, but not decoded: %v", err)
		}
		if !reflect.DeepEqual(ev, got) {
			t.Fatalf("%+v became %+v", ev, got)
		}
		ledger := event.Ledger{}
		ledger.Apply(1, ev)
		if open := ledger.Open; open != nil {
			ledger.Apply(2, &event.Ack{Batch: open.Plan.Batch, Chunks: []int{0, 1, 2, 3, 4, 5, 6, 7}})
			ledger.Apply(3, testPlan("next", event.Range{From: 1, To: 2}, 1))
		}
		_ = ledger.Pending()
	})
}

// program makes ticks of bytes: each a number of samples, each sample a series
// and eight bytes of value.
type program struct{ b []byte }

func (p *program) byte() byte {
	if len(p.b) == 0 {
		return 0
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

func (p *program) word() uint64 {
	var w [8]byte
	p.b = p.b[copy(w[:], p.b):]
	return binary.LittleEndian.Uint64(w[:])
}

func (p *program) tick(t *testing.T) *event.Tick {
	tick := &event.Tick{Stamp: event.Stamp{WallMS: int64(p.word()), BootMS: int64(p.word())}, Trusted: p.byte()%2 == 1}
	seen := map[string]bool{}
	for range p.byte() % 20 {
		what, name := p.byte(), string(rune('a'+p.byte()%10))
		s, err := event.NewSeries(name, event.Type(what%3), what/3%(event.MaxDecimals+1), event.Label{Name: "n", Value: string(rune('a' + what%2))})
		if err != nil {
			t.Fatal(err)
		}
		v := p.word()
		if seen[s.Key()] {
			continue
		}
		seen[s.Key()] = true
		sample := event.Sample{Series: s}
		switch {
		case s.Type == event.Text:
			sample.Text = string(binary.LittleEndian.AppendUint64(nil, v)[:v%9])
		case what > 127:
			sample.Value = float64(int64(v) >> (v % 64))
		default:
			sample.Value = math.Float64frombits(v)
		}
		tick.Samples = append(tick.Samples, sample)
	}
	return tick
}

// Any ticks come back as they were, and every body is plain msgpack.
func FuzzRoundTrip(f *testing.F) {
	seed := binary.LittleEndian.AppendUint64(nil, epoch)
	for _, bits := range floats {
		seed = append(seed, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, byte(len(seed)), 1)
		seed = binary.LittleEndian.AppendUint64(seed, bits)
	}
	if len(seed) < 100 {
		f.Fatal("the seed corpus is empty")
	}
	f.Add(seed)
	f.Add(bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := program{b}
		var e encoder
		var d decoder
		for index := uint64(1); len(p.b) > 0; index++ {
			tick := p.tick(t)
			body, err := e.appendTick(nil, index, tick, &testContext)
			if err != nil {
				t.Fatal(err)
			}
			generic(t, body)
			got, err := d.decodeTick(index, body)
			if err != nil {
				t.Fatalf("% x: %v", body, err)
			}
			if diff := difference(tick, got); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
