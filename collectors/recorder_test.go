package collectors

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"taffrail/internal/event"
)

func TestRecorder_Samples(t *testing.T) {
	rec := NewRecorder()
	rec.Gauge("g", 1.25, "b", "2", "a", "1")
	rec.Counter("c_total", 7)
	rec.Decimal("d", 2, 3.14159)
	rec.DecimalCounter("s_total", 3, 1.2345, "x", "y")
	rec.Text("t", "hello")
	samples, err := rec.Finish()
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		series   string
		typ      event.Type
		decimals uint8
		value    float64
		text     string
	}{
		{`g{"a":"1","b":"2"}`, event.Gauge, 0, 1.25, ""},
		{`c_total{}`, event.Counter, 0, 7, ""},
		{`d{}`, event.Gauge, 2, 3.14, ""},
		{`s_total{"x":"y"}`, event.Counter, 3, 1.235, ""},
		{`t{}`, event.Text, 0, 0, "hello"},
	}
	if len(samples) != len(want) {
		t.Fatalf("%d samples, want %d", len(samples), len(want))
	}
	for i, w := range want {
		s := samples[i]
		if s.Series.String() != w.series || s.Series.Type != w.typ || s.Series.Decimals != w.decimals || s.Value != w.value || s.Text != w.text {
			t.Errorf("sample %d is %s %s/%d %v %q, want %+v", i, s.Series, s.Series.Type, s.Series.Decimals, s.Value, s.Text, w)
		}
	}
}

func TestRecorder_RoundsToDecimals(t *testing.T) {
	for _, c := range []struct {
		v        float64
		decimals uint8
		want     float64
	}{
		{33.333333, 2, 33.33},
		{66.666666, 2, 66.67},
		{0.125, 2, 0.13},
		{-0.001, 2, 0},
		{45.3841, 3, 45.384},
		{1e300, 2, 1e300},
		{math.Inf(-1), 2, math.Inf(-1)},
		{5, 0, 5},
	} {
		got := roundTo(c.v, c.decimals)
		if math.Float64bits(got) != math.Float64bits(c.want) {
			t.Errorf("roundTo(%v, %d) = %v, want %v", c.v, c.decimals, got, c.want)
		}
	}
	if got := roundTo(math.NaN(), 2); !math.IsNaN(got) {
		t.Errorf("roundTo(NaN) = %v", got)
	}
}

func TestRecorder_KeepsSeriesOverCollections(t *testing.T) {
	rec := NewRecorder()
	var first *event.Series
	for i := range 2 * forgetAfter {
		labels := []string{"a", "1", "b", "2"}
		if i%2 == 1 { // the same labels in another order are the same series
			labels = []string{"b", "2", "a", "1"}
		}
		rec.Gauge("g", float64(i), labels...)
		samples, err := rec.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = samples[0].Series
		}
		if samples[0].Series != first {
			t.Fatalf("collection %d has another *Series", i)
		}
	}
}

func TestRecorder_SteadyStateAllocatesNothing(t *testing.T) {
	rec := NewRecorder()
	core := []string{"0", "1", "2", "3"}
	collect := func() {
		for _, c := range core {
			rec.Decimal("cpu.usage_percent", 2, 12.345, "core", c)
		}
		rec.Counter("network.rx_bytes_total", 1, "interface", "eth0")
		if _, err := rec.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	collect()
	if n := testing.AllocsPerRun(200, collect); n != 0 {
		t.Errorf("%v allocations a collection, want 0", n)
	}
}

func TestRecorder_ForgetsSeries(t *testing.T) {
	rec := NewRecorder()
	rec.Gauge("once", 1)
	samples, _ := rec.Finish()
	once := samples[0].Series
	for range forgetAfter + 2*sweepEvery {
		rec.Gauge("always", 1)
		rec.Finish()
	}
	if len(rec.spellings) != 1 || len(rec.identities) != 1 {
		t.Errorf("%d spellings and %d identities are kept, want 1 and 1", len(rec.spellings), len(rec.identities))
	}
	rec.Gauge("once", 1)
	samples, err := rec.Finish()
	if err != nil || len(samples) != 1 || samples[0].Series.Key() != once.Key() {
		t.Errorf("a forgotten series that is back: %v, %v", samples, err)
	}
}

func TestRecorder_BoundedUnderEverNewSeries(t *testing.T) {
	rec := NewRecorder()
	for tick := range 4 {
		for i := range 3 * MaxSamples {
			rec.Gauge("g", 1, "request", fmt.Sprintf("%d-%d", tick, i))
		}
		samples, err := rec.Finish()
		if len(samples) != MaxSamples || !errors.Is(err, ErrTooMany) {
			t.Fatalf("%d samples, error %v", len(samples), err)
		}
		if len(rec.spellings) > 3*MaxSamples || len(rec.identities) > 3*MaxSamples {
			t.Fatalf("%d spellings and %d identities are kept", len(rec.spellings), len(rec.identities))
		}
	}
}

func TestRecorder_Refuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		record func(rec *Recorder)
		want   error
	}{
		{"twice", func(r *Recorder) { r.Gauge("good", 2) }, ErrDuplicate},
		{"twice as another type", func(r *Recorder) { r.Counter("good", 2) }, ErrDuplicate},
		{"twice with its labels turned", func(r *Recorder) {
			r.Gauge("l", 1, "a", "1", "b", "2")
			r.Gauge("l", 1, "b", "2", "a", "1")
		}, ErrDuplicate},
		{"empty name", func(r *Recorder) { r.Gauge("", 1) }, event.ErrSeries},
		{"name not UTF-8", func(r *Recorder) { r.Gauge("\xff", 1) }, event.ErrSeries},
		{"label without value", func(r *Recorder) { r.Gauge("x", 1, "a") }, event.ErrSeries},
		{"label twice", func(r *Recorder) { r.Gauge("x", 1, "a", "1", "a", "2") }, event.ErrSeries},
		{"label of 1 MB", func(r *Recorder) { r.Gauge("x", 1, "a", strings.Repeat("v", 1<<20)) }, event.ErrSeries},
		{"too many decimals", func(r *Recorder) { r.Decimal("x", 10, 1) }, event.ErrSeries},
		{"text too long", func(r *Recorder) { r.Text("x", strings.Repeat("v", MaxText+1)) }, ErrText},
		{"text not UTF-8", func(r *Recorder) { r.Text("x", "\xff") }, ErrText},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := NewRecorder()
			for range 2 { // the second collection is as the first
				rec.Gauge("good", 1)
				c.record(rec)
				rec.Gauge("after", math.NaN())
				samples, err := rec.Finish()
				if !errors.Is(err, c.want) {
					t.Fatalf("error %v, want %v", err, c.want)
				}
				if !strings.Contains(err.Error(), "1 samples refused") {
					t.Errorf("error %q does not count the refused", err)
				}
				if samples[0].Series.Name != "good" || samples[0].Value != 1 || samples[len(samples)-1].Series.Name != "after" {
					t.Errorf("the good samples are lost: %v", samples)
				}
			}
			if cap(rec.key) > maxKeyBuffer {
				t.Errorf("a key buffer of %d bytes is kept", cap(rec.key))
			}
			rec.Gauge("good", 1)
			if _, err := rec.Finish(); err != nil {
				t.Errorf("a collection after it: %v", err)
			}
		})
	}
}

func TestRecorder_TypeMayChangeBetweenCollections(t *testing.T) {
	rec := NewRecorder()
	for _, want := range []event.Type{event.Gauge, event.Counter, event.Gauge} {
		if want == event.Gauge {
			rec.Gauge("x", 1)
		} else {
			rec.Counter("x", 1)
		}
		samples, err := rec.Finish()
		if err != nil || samples[0].Series.Type != want {
			t.Fatalf("%v, %v, want a %s", samples, err, want)
		}
	}
}
