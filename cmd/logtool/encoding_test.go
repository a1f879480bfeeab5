package main

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"taffrail/internal/event"
)

// shortest is what appendNumber must give, by the standard library alone.
func shortest(v float64) string {
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.FormatFloat(v, format, -1, 64)
}

func TestNumbersAreShortestAndExact(t *testing.T) {
	values := []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 0.30000000000000004, 1e15, 1e15 - 1, 999999999999999.9,
		1e21, 1e20, 1e-6, 9.99e-7, 1e-9, 0.01, 0.05, -0.007, 123456.789, math.MaxFloat64,
		math.SmallestNonzeroFloat64, 1 << 53, 1<<53 - 1, -(1 << 63), math.MaxInt64, math.MaxUint64,
		math.NaN(), math.Inf(1), math.Inf(-1),
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 3_000 {
		values = append(values,
			math.Float64frombits(r.Uint64()),
			math.Round(r.NormFloat64()*1e6)/100,
			math.Round(r.NormFloat64()*1e15)/1e9,
			float64(r.Int64()),
			r.Float64(),
		)
	}
	for _, v := range values {
		for decimals := range uint8(event.MaxDecimals + 1) {
			got := string(appendNumber(nil, v, decimals))
			if want := shortest(v); got != want {
				t.Fatalf("%x with %d decimals: %s, want %s", v, decimals, got, want)
			}
			back, err := strconv.ParseFloat(got, 64)
			if same := math.Float64bits(back) == math.Float64bits(v); err != nil || !same && !math.IsNaN(v) {
				t.Fatalf("%s reads back as %x, want %x", got, back, v)
			}
		}
	}
}

func TestFieldsReadBack(t *testing.T) {
	fields := []string{"", "plain", " blank", "a,b", `say "hi"`, `"`, "two\nlines", "\x1b[2J", "Grüße", `{"a":"b"}`}
	var line []byte
	for i, f := range fields {
		if i > 0 {
			line = append(line, ',')
		}
		line = appendField(line, f)
	}
	got, err := csv.NewReader(strings.NewReader(string(line) + "\n")).Read()
	if err != nil {
		t.Fatal(err)
	}
	for i := range fields {
		if got[i] != fields[i] {
			t.Errorf("field %d reads back as %q, want %q", i, got[i], fields[i])
		}
	}
}

func TestTimes(t *testing.T) {
	for ms, want := range map[int64]string{
		0:             "1970-01-01T00:00:00.000Z",
		-1:            "1969-12-31T23:59:59.999Z",
		fixtureStart:  "2026-07-01T12:00:00.000Z",
		1782907200007: "2026-07-01T12:00:00.007Z",
	} {
		if got := timeText(ms); got != want {
			t.Errorf("%d ms: %s, want %s", ms, got, want)
		}
	}
}

// The bytes that are remembered of series stay bounded, and what is forgotten
// is rendered anew.
func TestSeriesTextsAreBounded(t *testing.T) {
	texts := seriesTexts{
		selected: func(*event.Series) bool { return true },
		render:   func(dst []byte, s *event.Series) []byte { return append(dst, s.Name+strings.Repeat(".", 1<<20)...) },
	}
	for i := range 100 {
		s, err := event.NewSeries("n"+strconv.Itoa(i), event.Gauge, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := texts.at(i%7, s); got.series != s || !strings.HasPrefix(string(got.text), s.Name+".") {
				t.Fatalf("series %s has the text of another", s.Name)
			}
		}
		if texts.bytes > maxSeriesTexts+2<<20 {
			t.Fatalf("%d bytes are remembered", texts.bytes)
		}
	}
}
