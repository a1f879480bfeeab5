package eventlog

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"taffrail/internal/event"
)

// frames returns the frames of a segment, bodies copied.
func frames(t testing.TB, path string) []frame {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []frame
	for scan := newScanner(path, f); ; {
		fr, err := scan.next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		fr.body = bytes.Clone(fr.body)
		all = append(all, fr)
	}
}

// generic decodes a body with a codec that knows nothing of taffrail.
func generic(t testing.TB, body []byte) any {
	t.Helper()
	r := bytes.NewReader(body)
	dec := msgpack.NewDecoder(r)
	v, err := dec.DecodeInterface()
	if err != nil {
		t.Fatalf("% x: %v", body, err)
	}
	if r.Len() != 0 {
		t.Fatalf("%d bytes are left behind the value", r.Len())
	}
	return widen(v)
}

// widen makes an int64 of every integer, which the codec returns in the width
// that it is stored in.
func widen(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = widen(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = widen(v[k])
		}
	default:
		if r := reflect.ValueOf(v); r.CanInt() {
			return r.Int()
		} else if r.CanUint() {
			return int64(r.Uint())
		}
	}
	return v
}

func TestEveryBodyIsPlainMsgpack(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, testOptions(t.TempDir()))
	for _, ev := range script(12, 30, 3) {
		if _, err := l.Append(ev); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)
	keys := map[event.Kind][]string{
		event.KindSegment: {"wall_ms", "boot_ms", "format", "device", "tags", "session", "boot_id", "version", "previous", "previous_sha256", "ledger"},
		event.KindSession: {"wall_ms", "boot_ms", "phase", "session", "boot_id", "device", "tags", "version"},
		event.KindPlan:    {"wall_ms", "boot_ms", "batch", "range", "first_ms", "last_ms", "renderer", "device", "tags", "line_samples", "chunks"},
		event.KindAck:     {"wall_ms", "boot_ms", "batch", "chunks", "samples"},
		200:               {"x"},
	}
	seen := map[event.Kind]int{}
	for _, f := range frames(t, filepath.Join(dir, segmentName(1))) {
		v := generic(t, f.body)
		seen[f.kind]++
		if f.kind == event.KindSamples {
			checkSamples(t, f, v)
			continue
		}
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("the body of a %s is a %T", f.kind, v)
		}
		for _, k := range keys[f.kind] {
			if _, ok := m[k]; !ok {
				t.Errorf("a %s lacks %q: %v", f.kind, k, m)
			}
			delete(m, k)
		}
		delete(m, "reason")
		if len(m) != 0 {
			t.Errorf("a %s holds undocumented %v", f.kind, m)
		}
	}
	if seen[event.KindSegment] != 1 || seen[event.KindSession] != 2 || seen[event.KindSamples] != 30 || seen[event.KindPlan] != 1 || seen[event.KindAck] != 1 || seen[200] != 1 {
		t.Fatalf("records by kind: %v", seen)
	}
}

func checkSamples(t *testing.T, f frame, v any) {
	t.Helper()
	fields, ok := v.([]any)
	if !ok || len(fields) < 8 {
		t.Fatalf("a samples body is %v", v)
	}
	group, seq := fields[0].(int64), fields[1].(int64)
	if seq == 0 && (len(fields) != 9 || uint64(group) != f.index) || seq > 0 && len(fields) != 8 {
		t.Fatalf("record %d, group %d, sequence %d: %d fields", f.index, group, seq, len(fields))
	}
	wall, boot := int64(epoch), int64(5_000)
	if seq > 0 {
		wall, boot = 1000*seq, 1000*seq
	} else if ctx := fields[8].(map[string]any); !reflect.DeepEqual(ctx, map[string]any{
		"session": testContext.SessionID, "boot_id": testContext.BootID, "device": testContext.DeviceID,
		"tags": map[string]any{"owner": "Küste \"N\"", "site": "pier 4"},
	}) {
		t.Fatalf("context %v", ctx)
	}
	if fields[2].(int64) != wall || fields[3].(int64) != boot {
		t.Fatalf("wall %v, boot %v, want %d, %d", fields[2], fields[3], wall, boot)
	}
	trusted := int64(1)
	if seq%7 == 3 {
		trusted = 0
	}
	if fields[4].(int64) != trusted {
		t.Fatalf("flags %v at sequence %d", fields[4], seq)
	}
	definitions := 0
	for _, block := range fields[5].([]any) {
		b := block.([]any)
		if len(b) != 6 || b[0].(int64) != int64(definitions) {
			t.Fatalf("definition %v", b)
		}
		definitions += len(b[5].([]any))
	}
	if seq == 0 && definitions != 12 || seq > 0 && definitions != 0 {
		t.Fatalf("%d series defined at sequence %d", definitions, seq)
	}
	changed := 0
	for _, b := range fields[6].([]byte) {
		for ; b != 0; b &= b - 1 {
			changed++
		}
	}
	if len(fields[6].([]byte)) != 2 || changed != len(fields[7].([]any)) {
		t.Fatalf("bitmap %x for %d values", fields[6], len(fields[7].([]any)))
	}
}

func TestAbsentSeriesAndFloatsInAPlainBody(t *testing.T) {
	a, b, text := mustSeries(t, "a", event.Gauge, 2), mustSeries(t, "b", event.Counter, 0), mustSeries(t, "t", event.Text, 0)
	var e encoder
	tick := &event.Tick{Samples: []event.Sample{{Series: a, Value: 1.25}, {Series: b, Value: 7}, {Series: text, Text: "on"}}}
	if _, err := e.appendTick(nil, 9, tick, &testContext); err != nil {
		t.Fatal(err)
	}
	tick.Samples = []event.Sample{{Series: a, Value: 0.1234567}, {Series: text, Text: "off"}}
	body, err := e.appendTick(nil, 11, tick, &testContext)
	if err != nil {
		t.Fatal(err)
	}
	want := []any{int64(9), int64(1), int64(0), int64(0), int64(2), []any{}, []byte{0b101, 0b101}, []any{0.1234567, "off"}}
	if got := generic(t, body); !reflect.DeepEqual(got, want) {
		t.Fatalf("body %v, want %v", got, want)
	}
}

// Keys that a later version may add cost an older reader nothing.
func TestKeysThatAreNotKnownAreSkipped(t *testing.T) {
	more := []byte{0xa5, 'l', 'a', 't', 'e', 'r', 0x82, 0x01, 0x92, 0xc0, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0, 0xa1, 'x', 0xc4, 0x01, 0xff}
	var e encoder
	body, err := e.appendTick(nil, 1, tickOf(), &testContext)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.IndexByte(body, 0x84) // the context, four keys
	body = slices.Concat(body[:at], []byte{0x85}, more, body[at+1:])
	tick, err := new(decoder).decodeTick(1, body)
	if err != nil {
		t.Fatal(err)
	}
	checkContext(t, tick.Context)

	plan := testPlan("b", event.Range{From: 1, To: 2}, 1)
	if body, err = encodeBody(plan); err != nil {
		t.Fatal(err)
	}
	body[0]++
	got, err := decodeBody(event.KindPlan, append(body, more...))
	if err != nil || difference(plan, got) != "" {
		t.Fatalf("%v, %v", got, err)
	}
}

func TestAppendLeavesTheBytesOfAnUnknownEventAlone(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, testOptions(t.TempDir()))
	body := append([]byte{0xc4, 200}, bytes.Repeat([]byte{0xee}, 200)...)
	before := bytes.Clone(body)
	events := script(12, 3, 1)
	h := history{}
	h.append(t, l, &event.Unknown{Of: 99, Body: before})
	if _, err := l.Append(&event.Unknown{Of: 99, Body: body}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(events[1]); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(body, before) {
		t.Fatal("the caller's bytes were written over")
	}
}

func TestTagsThatNoReaderTakesAreRefusedAtOpen(t *testing.T) {
	var many event.Labels
	for i := range event.MaxLabels + 1 {
		many = append(many, event.Label{Name: string(rune('a' + i)), Value: "v"})
	}
	for name, tags := range map[string]event.Labels{
		"too many":  many,
		"not UTF-8": {{Name: "a", Value: "\xff"}},
		"no name":   {{Name: "", Value: "v"}},
		"twice":     {{Name: "a", Value: "1"}, {Name: "a", Value: "2"}},
	} {
		o := testOptions(t.TempDir())
		o.Context.Tags = tags
		if l, err := Open(t.TempDir(), o); !errors.Is(err, event.ErrSeries) {
			t.Errorf("%s: Open returned %v, %v", name, l, err)
		}
	}
}
