package eventlog_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"taffrail/internal/event"
	"taffrail/internal/synthetic"
	eventlog "taffrail/log"
)

// stranger reads ticks as docs/format.md describes them, with nothing of this
// package.
type stranger struct {
	series []string
	types  []int64
	pow    []float64
	sum    []int64
	last   []string
	wall   int64
	boot   int64
	device string
}

// segment returns a line for each sample of each tick.
func (s *stranger) segment(b []byte) (lines []string, err error) {
	for len(b) > 0 {
		size, n := binary.Uvarint(b)
		frame := b[n : n+int(size)]
		b = b[n+int(size):]
		length := binary.LittleEndian.Uint32(frame[6:])
		index := binary.LittleEndian.Uint64(frame[10:])
		body := frame[22:]
		sum := crc32.Checksum(append(bytes.Clone(frame[:18]), body...), crc32.MakeTable(crc32.Castagnoli))
		if string(frame[:5]) != "\xd7TFR\x01" || int(length) != len(body) || sum != binary.LittleEndian.Uint32(frame[18:]) {
			return nil, errors.New("no frame")
		}
		if frame[5] != 3 {
			continue
		}
		var fields []any
		dec := msgpack.NewDecoder(bytes.NewReader(body))
		if fields, err = dec.DecodeSlice(); err != nil {
			return nil, err
		}
		lines = append(lines, s.tick(index, fields)...)
	}
	return lines, nil
}

func (s *stranger) tick(index uint64, f []any) (lines []string) {
	wall, boot, flags := integer(f[2]), integer(f[3]), integer(f[4])
	if integer(f[1]) == 0 {
		ctx := f[8].(map[string]any)
		*s = stranger{wall: wall, boot: boot, device: fmt.Sprint(ctx["device"], ctx["session"], ctx["boot_id"], ctx["tags"])}
	} else {
		wall, boot = wall+s.wall, boot+s.boot
	}
	for _, block := range f[5].([]any) {
		s.define(block.([]any))
	}
	changed := f[6].([]byte)
	present := bytes.Repeat([]byte{0xff}, len(changed))
	if flags&2 != 0 {
		present, changed = changed[:len(changed)/2], changed[len(changed)/2:]
	}
	values := f[7].([]any)
	for i := range s.series {
		bit := byte(1) << (i % 8)
		if changed[i/8]&bit != 0 {
			s.value(i, values[0])
			values = values[1:]
		}
		if present[i/8]&bit != 0 {
			lines = append(lines, fmt.Sprintf("%d %d %d %t %s %s %d %s", index, wall, boot, flags&1 != 0, s.device, s.series[i], s.types[i], s.last[i]))
		}
	}
	return lines
}

func (s *stranger) define(block []any) {
	for _, values := range block[5].([]any) {
		var labels []string
		for i, v := range values.([]any) {
			labels = append(labels, fmt.Sprintf("%s=%q", block[4].([]any)[i], v))
		}
		s.series = append(s.series, fmt.Sprint(block[1], labels))
		s.types = append(s.types, integer(block[2]))
		s.pow = append(s.pow, math.Pow10(int(integer(block[3]))))
		s.sum = append(s.sum, 0)
		s.last = append(s.last, "")
	}
}

func (s *stranger) value(i int, v any) {
	switch v := v.(type) {
	case string:
		s.last[i] = v
	case float64:
		s.last[i] = fmt.Sprintf("%016x", math.Float64bits(v))
	default:
		s.sum[i] += integer(v)
		s.last[i] = fmt.Sprintf("%016x", math.Float64bits(float64(s.sum[i])/s.pow[i]))
	}
}

func integer(v any) int64 {
	var n int64
	if _, err := fmt.Sscan(fmt.Sprint(v), &n); err != nil {
		panic(err)
	}
	return n
}

func TestAReaderByTheDocumentReadsTheSame(t *testing.T) {
	dir := t.TempDir()
	l, err := eventlog.Open(dir, eventlog.Options{
		SegmentSize: 20_000, SyncInterval: time.Hour, TornDir: t.TempDir(),
		Context: event.Context{SessionID: "s", BootID: "b", DeviceID: "d", Tags: event.Labels{{Name: "k", Value: "v"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := event.NewSeries("kernel", event.Text, 0)
	if err != nil {
		t.Fatal(err)
	}
	device := synthetic.NewDevice(60, 1000, event.Stamp{WallMS: 1_767_225_600_000}, 3)
	for i := range 400 {
		tick := *device.Next()
		tick.Trusted = i%5 > 0
		tick.Samples = append([]event.Sample{}, tick.Samples[i%3*10:]...)
		tick.Samples[i%40].Value = math.Float64frombits(uint64(i) * 0x9e3779b97f4a7c15)
		if i%9 == 0 {
			tick.Samples = append(tick.Samples, event.Sample{Series: text, Text: fmt.Sprint(i / 30)})
		}
		if _, err := l.Append(&tick); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, strings.Repeat("?", 20)))
	if err != nil || len(segments) < 3 {
		t.Fatalf("segments %v: %v", segments, err)
	}
	for _, path := range segments {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := new(stranger).segment(b)
		if err != nil {
			t.Fatal(err)
		}
		want := ours(t, path)
		if len(got) != len(want) {
			t.Fatalf("%s: %d samples, want %d", path, len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("sample %d of %s:\ngot  %s\nwant %s", i, path, got[i], want[i])
			}
		}
	}
}

// ours returns the lines that the package's reader gives for a segment.
func ours(t *testing.T, path string) (lines []string) {
	t.Helper()
	r, err := eventlog.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		tick, ok := rec.Event.(*event.Tick)
		if !ok {
			continue
		}
		ctx := tick.Context
		device := fmt.Sprint(ctx.DeviceID, ctx.SessionID, ctx.BootID, ctx.Tags.Map())
		for _, s := range tick.Samples {
			var labels []string
			for _, l := range s.Series.Labels {
				labels = append(labels, fmt.Sprintf("%s=%q", l.Name, l.Value))
			}
			value := fmt.Sprintf("%016x", math.Float64bits(s.Value))
			if s.Series.Type == event.Text {
				value = s.Text
			}
			lines = append(lines, fmt.Sprintf("%d %d %d %t %s %s %d %s", rec.Index, tick.WallMS, tick.BootMS, tick.Trusted, device, fmt.Sprint(s.Series.Name, labels), s.Series.Type, value))
		}
	}
}
