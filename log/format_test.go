package eventlog

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"taffrail/internal/event"
)

// exampleEntries are the two records that docs/format.md shows byte by byte.
func exampleEntries(t *testing.T) [][]byte {
	core := func(n string) *event.Series {
		return mustSeries(t, "cpu.usage_percent", event.Gauge, 2, event.Label{Name: "core", Value: n})
	}
	cpu0, cpu1 := core("0"), core("1")
	rx := mustSeries(t, "network.receive_bytes_total", event.Counter, 0, event.Label{Name: "interface", Value: "eth0"})
	kernel := mustSeries(t, "system.kernel", event.Text, 0)
	ctx := &event.Context{SessionID: "s1", BootID: "b1", DeviceID: "buoy-7", Tags: event.Labels{{Name: "site", Value: "pier4"}}}
	ticks := []*event.Tick{
		{Stamp: event.Stamp{WallMS: 1_767_225_601_000, BootMS: 60_000}, Trusted: true, Samples: []event.Sample{
			{Series: cpu0, Value: 12.5}, {Series: cpu1, Value: 3}, {Series: rx, Value: 1000}, {Series: kernel, Text: "6.12"},
		}},
		{Stamp: event.Stamp{WallMS: 1_767_225_602_000, BootMS: 61_000}, Trusted: true, Samples: []event.Sample{
			{Series: cpu0, Value: 12.25}, {Series: cpu1, Value: 1.0 / 3}, {Series: rx, Value: 1000},
		}},
	}
	var e encoder
	var entries [][]byte
	for i, tick := range ticks {
		index := uint64(3 + i)
		body, err := e.appendTick(nil, index, tick, ctx)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry(appendFrame(nil, event.KindSamples, index, body)))
	}
	return entries
}

// Each block of the document that is fenced as hex is one entry: the bytes, two
// or more spaces, and what they are.
func TestTheExampleInTheDocumentIsWhatIsWritten(t *testing.T) {
	document, err := os.ReadFile("../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented [][]byte
	for i, block := range strings.Split(string(document), "```hex\n") {
		if i == 0 {
			continue
		}
		block, _, _ = strings.Cut(block, "```")
		var b []byte
		for line := range strings.Lines(block) {
			digits, _, _ := strings.Cut(line, "  ")
			part, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(digits), " ", ""))
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			b = append(b, part...)
		}
		documented = append(documented, b)
	}
	want := exampleEntries(t)
	if len(documented) != len(want) {
		t.Fatalf("%d examples in the document, want %d", len(documented), len(want))
	}
	for i := range want {
		if !bytes.Equal(documented[i], want[i]) {
			t.Errorf("example %d:\nthe document has % x\nwritten is       % x", i+1, documented[i], want[i])
		}
	}
}

func TestTheDocumentHasEveryKindAndKey(t *testing.T) {
	document, err := os.ReadFile("../docs/format.md")
	if err != nil {
		t.Fatal(err)
	}
	for k := event.KindSegment; k <= event.KindDrop; k++ {
		if !strings.Contains(string(document), "`"+k.String()+"`") {
			t.Errorf("kind %s is not in the document", k)
		}
	}
	plan := testPlan("b", event.Range{From: 1, To: 2}, 1)
	plan.FirstLine, plan.More = 1, true
	header := &event.SegmentHeader{Ledger: event.Ledger{Open: &event.OpenPlan{Plan: *plan, Chunks: make([]event.ChunkState, 1)}}}
	for _, ev := range []event.Event{header, &event.Session{Reason: "stopped"}, plan, &event.Ack{}, &event.Settle{}} {
		body, err := encodeBody(ev)
		if err != nil {
			t.Fatal(err)
		}
		for key := range generic(t, body).(map[string]any) {
			if !strings.Contains(string(document), "`"+key+"`") {
				t.Errorf("key %q of a %s is not in the document", key, ev.Kind())
			}
		}
	}
}
