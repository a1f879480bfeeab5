package shipper

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"taffrail/internal/event"
)

func testLimits(l *memoryLog) limits {
	return limits{batchLines: 2500, chunkLines: 50, chunkBytes: 256 << 10, batchSamples: maxBatchSamples, throughRecord: l.LastIndex()}
}

func newTestPlanner(t testing.TB, l *memoryLog) *planner {
	t.Helper()
	p, err := newPlanner(l.Source)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func makeBatch(t testing.TB, p *planner, l *memoryLog, lim limits) *batch {
	t.Helper()
	ledger := l.Ledger()
	b, reject, err := p.make(ledger.Cursor()+1, &ledger, lim)
	if err != nil || reject != nil {
		t.Fatal(err, reject)
	}
	return b
}

// importLine is a line as VictoriaMetrics reads it.
type importLine struct {
	Metric     map[string]string
	Values     []float64
	Timestamps []int64
}

func parseLines(t testing.TB, jsonl string) []importLine {
	t.Helper()
	var lines []importLine
	for text := range strings.Lines(jsonl) {
		var l importLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%s: %s", text, err)
		}
		if len(l.Values) != len(l.Timestamps) || len(l.Values) == 0 {
			t.Fatalf("%d values and %d times in a line", len(l.Values), len(l.Timestamps))
		}
		lines = append(lines, l)
	}
	return lines
}

func unzip(t testing.TB, body []byte) string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestChunkSizeRespected(t *testing.T) {
	l := &memoryLog{}
	fill(t, l, boat, 120, 3)
	lim := testLimits(l)
	b := makeBatch(t, newTestPlanner(t, l), l, lim)
	var sizes []int
	for i, c := range b.plan.Chunks {
		lines := parseLines(t, unzip(t, b.bodies[i]))
		if len(lines) != c.Lines {
			t.Errorf("chunk %d has %d lines, its plan says %d", i, len(lines), c.Lines)
		}
		sizes = append(sizes, len(lines))
	}
	if !slices.Equal(sizes, []int{50, 50, 20}) {
		t.Errorf("chunks of %v lines, want 50, 50, 20", sizes)
	}
}

func TestChunkSplitsInTwoWhereItsGzipIsTooLarge(t *testing.T) {
	l := &memoryLog{}
	noise := rand.New(rand.NewPCG(1, 2))
	all := []*event.Series{}
	for _, n := range []string{"a", "b", "c", "d"} {
		all = append(all, series(t, "noise", event.Gauge, "n", n))
	}
	for i := range 200 {
		tick := &event.Tick{Context: boat, Trusted: true, Stamp: event.Stamp{WallMS: startMS + int64(i)*1000}}
		for _, s := range all {
			tick.Samples = append(tick.Samples, event.Sample{Series: s, Value: noise.Float64()})
		}
		l.Append(tick)
	}
	lim := testLimits(l)
	lim.chunkBytes = 4 << 10
	b := makeBatch(t, newTestPlanner(t, l), l, lim)
	if len(b.plan.Chunks) < 4 {
		t.Errorf("%d chunks", len(b.plan.Chunks))
	}
	samples := 0
	for i, body := range b.bodies {
		if len(body) > lim.chunkBytes {
			t.Errorf("chunk %d has %d bytes gzipped, at most %d are allowed", i, len(body), lim.chunkBytes)
		}
		samples += b.plan.Chunks[i].Samples
	}
	if samples != 800 {
		t.Errorf("%d samples in the chunks, want 800", samples)
	}
}

func TestTimestampSortingWithinChunks(t *testing.T) {
	l := &memoryLog{}
	late, early, third := series(t, "late", event.Gauge), series(t, "early", event.Gauge), series(t, "beta", event.Gauge)
	// The clock is set back before the third tick.
	for i, ms := range []int64{5000, 6000, 1000, 2000} {
		tick := &event.Tick{Context: boat, Trusted: true, Stamp: event.Stamp{WallMS: startMS + ms}}
		tick.Samples = append(tick.Samples, event.Sample{Series: late, Value: float64(ms)})
		if i >= 2 {
			tick.Samples = append(tick.Samples, event.Sample{Series: early, Value: 1}, event.Sample{Series: third, Value: 1})
		}
		l.Append(tick)
	}
	b := makeBatch(t, newTestPlanner(t, l), l, testLimits(l))
	lines := parseLines(t, unzip(t, b.bodies[0]))
	var names []string
	for _, line := range lines {
		names = append(names, line.Metric["__name__"])
		if !slices.IsSorted(line.Timestamps) {
			t.Errorf("%s: times %v", line.Metric["__name__"], line.Timestamps)
		}
	}
	// All begin at the same time, so the series decides.
	if want := []string{"beta", "early", "late"}; !slices.Equal(names, want) {
		t.Errorf("lines %v, want %v", names, want)
	}
	if !slices.IsSortedFunc(lines, func(a, b importLine) int { return cmp.Compare(a.Timestamps[0], b.Timestamps[0]) }) {
		t.Error("lines are not ordered by their first time")
	}
	if last := lines[2]; last.Values[0] != 1000 || last.Values[3] != 6000 {
		t.Errorf("values %v did not move with their times", last.Values)
	}
}

func TestBuildVMJSONL_FiltersStringMetrics(t *testing.T) {
	l := &memoryLog{}
	tick := &event.Tick{Context: boat, Trusted: true, Stamp: event.Stamp{WallMS: startMS}, Samples: []event.Sample{
		{Series: series(t, "system.kernel", event.Text), Text: "6.1.0"},
		{Series: series(t, "system.load1", event.Gauge), Value: 0.5},
		{Series: series(t, "nan", event.Gauge), Value: math.NaN()},
		{Series: series(t, "inf", event.Gauge), Value: math.Inf(-1)},
	}}
	l.Append(tick)
	b := makeBatch(t, newTestPlanner(t, l), l, testLimits(l))
	lines := parseLines(t, unzip(t, b.bodies[0]))
	if len(lines) != 1 || lines[0].Metric["__name__"] != "system_load1" || lines[0].Values[0] != 0.5 || lines[0].Timestamps[0] != startMS {
		t.Errorf("%+v", lines)
	}
	if got := l.Ledger(); got.Appended != 1 {
		t.Errorf("%d samples count as sendable, want 1", got.Appended)
	}
}

func TestBuildChunks_SkipsEmptyChunks(t *testing.T) {
	l := &memoryLog{}
	kernel := series(t, "system.kernel", event.Text)
	for range 3 {
		l.Append(&event.Tick{Context: boat, Trusted: true, Stamp: event.Stamp{WallMS: startMS}, Samples: []event.Sample{{Series: kernel, Text: "6.1"}}})
	}
	p := newTestPlanner(t, l)
	if b := makeBatch(t, p, l, testLimits(l)); b != nil {
		t.Fatalf("a batch without a number: %+v", b.plan)
	}
	// The texts of another device before it do not hide a number.
	l.Append(&event.Tick{Context: &event.Context{DeviceID: "raft"}, Trusted: true, Stamp: event.Stamp{WallMS: startMS},
		Samples: []event.Sample{{Series: series(t, "x", event.Gauge), Value: 1}}})
	b := makeBatch(t, p, l, testLimits(l))
	if b == nil || b.plan.Range != (event.Range{From: 1, To: 4}) || len(b.plan.Chunks) != 1 || b.plan.DeviceID != "raft" {
		t.Fatalf("%+v", b)
	}
}

func TestTimesBeforeTheClockWasSetAreNotSent(t *testing.T) {
	l := &memoryLog{}
	gauge := series(t, "x", event.Gauge)
	for _, ms := range []int64{0, 60_000, startMS} { // 1970 twice
		l.Append(&event.Tick{Context: boat, Trusted: true, Stamp: event.Stamp{WallMS: ms}, Samples: []event.Sample{{Series: gauge, Value: float64(ms)}}})
	}
	b := makeBatch(t, newTestPlanner(t, l), l, testLimits(l))
	lines := parseLines(t, unzip(t, b.bodies[0]))
	if len(lines) != 1 || !slices.Equal(lines[0].Timestamps, []int64{startMS}) {
		t.Errorf("%+v", lines)
	}
}

func TestBatchHoldsAtMostItsLines(t *testing.T) {
	l := &memoryLog{}
	fill(t, l, boat, 7, 2)
	fill(t, l, boat, 12, 1) // the same 7 and 5 more
	p, lim := newTestPlanner(t, l), testLimits(l)
	lim.batchLines = 10
	b := makeBatch(t, p, l, lim)
	if b.plan.Range != (event.Range{From: 1, To: 2}) || b.plan.More {
		t.Errorf("range %v, more %v", b.plan.Range, b.plan.More)
	}
}

// planAll plans and acknowledges batches until nothing is left.
func planAll(t *testing.T, l *memoryLog, lim limits) []*batch {
	t.Helper()
	p := newTestPlanner(t, l)
	var all []*batch
	for {
		b := makeBatch(t, p, l, lim)
		if b == nil {
			return all
		}
		all = append(all, b)
		l.Append(&b.plan)
		ack := &event.Ack{Batch: b.plan.Batch, Samples: b.plan.Samples()}
		for i := range b.plan.Chunks {
			ack.Chunks = append(ack.Chunks, i)
		}
		l.Append(ack)
		if len(all) > 1000 {
			t.Fatal("planning does not come to an end")
		}
	}
}

func TestEverySampleIsInExactlyOneBatch(t *testing.T) {
	for _, lim := range []limits{
		{batchLines: 2500, chunkLines: 50, chunkBytes: 256 << 10, batchSamples: 1000},
		{batchLines: 10, chunkLines: 3, chunkBytes: 256 << 10, batchSamples: 1000}, // one record exceeds a batch
		{batchLines: 25, chunkLines: 50, chunkBytes: 256 << 10, batchSamples: 7},
		{batchLines: 1, chunkLines: 1, chunkBytes: 1, batchSamples: 1},
	} {
		l := &memoryLog{}
		fill(t, l, boat, 25, 6)
		fill(t, l, &event.Context{DeviceID: "raft"}, 4, 3)
		lim.throughRecord = l.LastIndex()
		seen := map[string]int{}
		for _, b := range planAll(t, l, lim) {
			if lines := countLines(b); lines > lim.batchLines && lim.batchLines > 1 {
				t.Errorf("%+v: a batch of %d lines", lim, lines)
			}
			for _, body := range b.bodies {
				for _, line := range parseLines(t, unzip(t, body)) {
					for _, ms := range line.Timestamps {
						key, err := json.Marshal([]any{line.Metric, ms})
						if err != nil {
							t.Fatal(err)
						}
						seen[string(key)]++
					}
				}
			}
		}
		if len(seen) != 25*6+4*3 {
			t.Errorf("%+v: %d different samples, want %d", lim, len(seen), 25*6+4*3)
		}
		for key, n := range seen {
			if n != 1 {
				t.Errorf("%+v: %s was sent %d times", lim, key, n)
			}
		}
		if ledger := l.Ledger(); ledger.Pending() != 0 || ledger.Open != nil {
			t.Errorf("%+v: %d pending, open %v", lim, ledger.Pending(), ledger.Open)
		}
	}
}

func countLines(b *batch) int {
	n := 0
	for _, c := range b.plan.Chunks {
		n += c.Lines
	}
	return n
}

func TestPlanRendersToTheSameBytesUnderAnyConfiguration(t *testing.T) {
	l := &memoryLog{}
	ctx := &event.Context{DeviceID: "boat", Tags: event.LabelsFromMap(map[string]string{"site": "pier"})}
	fill(t, l, ctx, 130, 40)
	lim := testLimits(l)
	b := makeBatch(t, newTestPlanner(t, l), l, lim)
	// The plan goes through the log, and the log on.
	l.Append(&b.plan)
	fill(t, l, &event.Context{DeviceID: "another name"}, 10, 5)
	again, err := newTestPlanner(t, l).again(&b.plan, l.Ledger().Names)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.bodies {
		first, second := unzip(t, b.bodies[i]), unzip(t, again.bodies[i])
		if first != second {
			t.Errorf("chunk %d differs", i)
		}
		if sum := sha256.Sum256([]byte(second)); !bytes.Equal(sum[:], b.plan.Chunks[i].SHA256) {
			t.Errorf("chunk %d does not have its digest", i)
		}
		if !strings.Contains(second, `"device_id":"boat"`) || !strings.Contains(second, `"site":"pier"`) {
			t.Errorf("chunk %d is another device's", i)
		}
	}
	if got := batchID(&again.plan); got != b.plan.Batch {
		t.Errorf("batch id %s, was %s", got, b.plan.Batch)
	}
}

func TestPlanOfOtherBytesIsNoticed(t *testing.T) {
	l := &memoryLog{}
	fill(t, l, boat, 5, 5)
	b := makeBatch(t, newTestPlanner(t, l), l, testLimits(l))
	for name, change := range map[string]func(){
		"a value":    func() { l.events[2].(*event.Tick).Samples[3].Value++ },
		"a sample":   func() { tick := l.events[1].(*event.Tick); tick.Samples = tick.Samples[1:] },
		"the rules":  func() { b.plan.Renderer++ },
		"the digest": func() { b.plan.Chunks[0].SHA256 = make([]byte, 32) },
		"the lines":  func() { b.plan.Chunks[0].Lines = 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			l = &memoryLog{}
			fill(t, l, boat, 5, 5)
			b = makeBatch(t, newTestPlanner(t, l), l, testLimits(l))
			change()
			if _, err := newTestPlanner(t, l).again(&b.plan, l.Ledger().Names); !errors.Is(err, errChanged) {
				t.Errorf("error %v, want one that wraps errChanged", err)
			}
		})
	}
}

func TestLongLineIsCutByTime(t *testing.T) {
	l := &memoryLog{}
	fill(t, l, boat, 1, 100)
	lim := testLimits(l)
	lim.chunkBytes = 30 * sampleGzipBytes
	b := makeBatch(t, newTestPlanner(t, l), l, lim)
	var lengths []int
	var last int64
	for i, body := range b.bodies {
		if len(body) > lim.chunkBytes {
			t.Errorf("chunk %d has %d bytes, at most %d are allowed", i, len(body), lim.chunkBytes)
		}
		for _, line := range parseLines(t, unzip(t, body)) {
			lengths = append(lengths, len(line.Values))
			if line.Timestamps[0] <= last {
				t.Error("pieces are not in time order")
			}
			last = line.Timestamps[len(line.Timestamps)-1]
		}
	}
	if !slices.Equal(lengths, []int{30, 30, 30, 10}) {
		t.Errorf("pieces of %v samples", lengths)
	}
}
