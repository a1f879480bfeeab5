package eventlog

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"taffrail/internal/event"
)

// floats has one or more of every class of float64.
var floats = []uint64{
	0x0000000000000000, // 0
	0x8000000000000000, // -0
	0x0000000000000001, // the smallest subnormal
	0x800fffffffffffff, // the largest subnormal, negative
	0x0010000000000000, // the smallest normal
	0x7fefffffffffffff, // the largest
	0xffefffffffffffff,
	0x7ff0000000000000, // +Inf
	0xfff0000000000000, // -Inf
	0x7ff8000000000000, // NaN
	0x7ff8dead0000beef, // NaN with a payload
	0xfff4000000000001, // signalling NaN, negative
	0x7ff0000000000001,
}

// value returns a number that is likely to sit on an edge of the encoding.
func value(r *rand.Rand, decimals uint8, before float64) float64 {
	scale := math.Pow10(int(decimals))
	switch r.IntN(12) {
	case 0:
		return math.Float64frombits(floats[r.IntN(len(floats))])
	case 1:
		return math.Float64frombits(r.Uint64())
	case 2: // around 2^53 and its negative
		return math.Copysign(float64(1<<53)+float64(r.IntN(9)-4), float64(r.IntN(2))-0.5)
	case 3: // around 2^53 before the division
		return (float64(1<<53) + float64(r.IntN(9)-4)) / scale
	case 4:
		return float64(r.Int64() >> r.IntN(63))
	case 5: // a neighbour of a decimal
		return math.Nextafter(math.Round(r.NormFloat64()*1000*scale)/scale, math.Inf(r.IntN(2)*2-1))
	case 6:
		return before
	case 7: // a decimal of another scale
		return float64(r.IntN(1e6)) / math.Pow10(r.IntN(12))
	case 8:
		return -math.Round(r.Float64()*1e9) / scale
	}
	return math.Round((before+r.NormFloat64()*100)*scale) / scale
}

// fleet is a set of series that come, go and change what they are.
type fleet struct {
	rand   *rand.Rand
	series []*event.Series
	last   map[string]float64
	stamp  event.Stamp
}

func newFleet(r *rand.Rand, n int) *fleet {
	f := &fleet{rand: r, last: map[string]float64{}, stamp: event.Stamp{WallMS: epoch}}
	for i := range n {
		f.series = append(f.series, f.identity(i))
	}
	return f
}

// identity makes series i with a type and scale of its own choosing.
func (f *fleet) identity(i int) *event.Series {
	var labels []event.Label
	for j := range i % 4 {
		labels = append(labels, event.Label{Name: fmt.Sprintf("l%d", j), Value: fmt.Sprintf("value %d \"ä\"", i*j)})
	}
	s, err := event.NewSeries(fmt.Sprintf("family%d.value", i/5), event.Type(f.rand.IntN(3)), uint8(i%10), append(labels, event.Label{Name: "i", Value: fmt.Sprint(i)})...)
	if err != nil {
		panic(err)
	}
	return s
}

// tick returns the next tick: about one in five series absent, sometimes all,
// sometimes in another order, sometimes one with another type or scale.
func (f *fleet) tick() *event.Tick {
	r := f.rand
	f.stamp.WallMS += r.Int64N(3000) - 500
	f.stamp.BootMS += r.Int64N(2000)
	if r.IntN(40) == 0 {
		f.stamp.WallMS = []int64{0, -1, math.MinInt64, math.MaxInt64, epoch}[r.IntN(5)]
	}
	switch r.IntN(10) {
	case 0:
		i := r.IntN(len(f.series))
		s, err := event.NewSeries(f.series[i].Name, event.Type(r.IntN(3)), uint8(r.IntN(10)), f.series[i].Labels...)
		if err != nil {
			panic(err)
		}
		f.series[i] = s
	case 1:
		r.Shuffle(len(f.series), func(i, j int) { f.series[i], f.series[j] = f.series[j], f.series[i] })
	case 2: // the same series by another pointer
		i := r.IntN(len(f.series))
		c := *f.series[i]
		f.series[i] = &c
	}
	tick := &event.Tick{Stamp: f.stamp, Trusted: r.IntN(2) == 0}
	absent := []float64{0, 0, 0.2, 0.2, 1}[r.IntN(5)]
	for _, s := range f.series {
		if r.Float64() < absent {
			continue
		}
		sample := event.Sample{Series: s}
		if s.Type == event.Text {
			sample.Text = []string{"", "a", "\x00\xff\xfe not UTF-8", string(make([]byte, r.IntN(70_000)))}[min(r.IntN(40), 3)*r.IntN(2)]
		} else {
			sample.Value = value(r, s.Decimals, f.last[s.Key()])
			if !math.IsNaN(sample.Value) && math.Abs(sample.Value) < 1e12 {
				f.last[s.Key()] = sample.Value
			}
		}
		tick.Samples = append(tick.Samples, sample)
	}
	return tick
}

func TestEveryValueIsReadBackBitForBit(t *testing.T) {
	tests := map[string]struct {
		segment int64
		ticks   int
		reopen  int // every so many ticks
	}{
		"many groups in one segment": {1 << 30, 400, 0},
		"many segments":              {16 << 10, 400, 0},
		"groups over reopenings":     {1 << 30, 400, 37},
		"both":                       {64 << 10, 400, 90},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			dir, torn := t.TempDir(), t.TempDir()
			o := lazily(testOptions(torn))
			o.SegmentSize = tc.segment
			l := mustOpen(t, dir, o)
			f := newFleet(rand.New(rand.NewPCG(seed, 0)), 40)
			h := history{}
			for i := range tc.ticks {
				if tc.reopen > 0 && i%tc.reopen == tc.reopen-1 {
					mustClose(t, l)
					l = mustOpen(t, dir, o)
				}
				h.append(t, l, f.tick())
			}
			mustClose(t, l)
			records := readIntact(t, dir)
			h.check(t, records)
			for _, rec := range records {
				if tick, ok := rec.Event.(*event.Tick); ok {
					checkContext(t, tick.Context)
				}
			}
			if n := len(names(t, dir)); (tc.segment < 1<<30) != (n > 3) {
				t.Fatalf("%d segments", n)
			}
		})
	}
}

func checkContext(t *testing.T, ctx *event.Context) {
	t.Helper()
	w := testContext
	if ctx == nil || ctx.SessionID != w.SessionID || ctx.BootID != w.BootID || ctx.DeviceID != w.DeviceID || !slices.Equal(ctx.Tags, w.Tags) {
		t.Fatalf("context %+v, want %+v", ctx, w)
	}
}

func TestScalesKeepEveryDecimalAndStoreItShort(t *testing.T) {
	for decimals := range uint8(event.MaxDecimals + 1) {
		pow := pow10[decimals]
		for _, n := range []int64{0, 1, -1, 7, 99, 1_000_001, -123_456_789, 1 << 53, -(1 << 53), 1<<53 - 1} {
			v := float64(n) / pow
			got, ok := toScaled(v, pow)
			if !ok || math.Float64bits(fromScaled(got, pow)) != math.Float64bits(v) {
				t.Errorf("%d / 10^%d = %v: stored as %d, %t", n, decimals, v, got, ok)
			}
		}
		if got, ok := toScaled((1<<53+2)/pow*4, pow); ok {
			t.Errorf("a sum of %d is beyond what the format allows", got)
		}
		for _, bits := range floats[1:] {
			v := math.Float64frombits(bits)
			if got, ok := toScaled(v, pow); ok {
				t.Errorf("%016x with %d decimals is stored as %d", bits, decimals, got)
			}
		}
	}
}

func TestSeriesTwiceInATickIsRefused(t *testing.T) {
	a, b := mustSeries(t, "a", event.Gauge, 0), mustSeries(t, "b", event.Gauge, 0)
	copied, counter := *a, mustSeries(t, "a", event.Counter, 0)
	tests := map[string][]*event.Series{
		"the same pointer":     {a, b, a},
		"another pointer":      {a, &copied},
		"another type":         {a, counter},
		"another type, before": {counter, b, a},
	}
	for name, twice := range tests {
		for _, known := range [][]*event.Series{nil, {a}, {counter}, {b, a}, {a, b}} {
			t.Run(fmt.Sprint(name, known), func(t *testing.T) {
				dir := t.TempDir()
				l := mustOpen(t, dir, testOptions(t.TempDir()))
				h := history{}
				h.append(t, l, tickOf(known...))
				if _, err := l.Append(tickOf(twice...)); err == nil {
					t.Fatal("accepted")
				}
				h.append(t, l, tickOf(b, a), tickOf(a), tickOf(counter), tickOf(b, counter))
				mustClose(t, l)
				h.check(t, readIntact(t, dir))
			})
		}
	}
}

func tickOf(series ...*event.Series) *event.Tick {
	tick := &event.Tick{Stamp: event.Stamp{WallMS: epoch}}
	for i, s := range series {
		tick.Samples = append(tick.Samples, event.Sample{Series: s, Value: float64(i)})
	}
	return tick
}

// The reader's pointers are the same over groups and segments, as event.Record says.
func TestSeriesAreTheSamePointerOverGroupsAndSegments(t *testing.T) {
	dir := t.TempDir()
	o := lazily(testOptions(t.TempDir()))
	o.SegmentSize = 2000
	l := mustOpen(t, dir, o)
	for _, ev := range script(12, 200, 1) {
		if _, err := l.Append(ev); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, l)
	seen := map[*event.Series]bool{}
	for _, rec := range readIntact(t, dir) {
		if tick, ok := rec.Event.(*event.Tick); ok {
			for _, s := range tick.Samples {
				seen[s.Series] = true
			}
		}
	}
	if len(seen) != 12 {
		t.Fatalf("%d pointers for 12 series: %v", len(seen), slices.Collect(maps.Keys(seen)))
	}
}
