package victoria

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

func equalSeries(t *testing.T, got, want []Series) {
	t.Helper()
	same := slices.EqualFunc(got, want, func(a, b Series) bool {
		return maps.Equal(a.Labels, b.Labels) && slices.Equal(a.Timestamps, b.Timestamps) &&
			slices.EqualFunc(a.Values, b.Values, func(x, y float64) bool { return x == y || x != x && y != y })
	})
	if !same {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestDecodeExportJoinsLinesOfOneSeries(t *testing.T) {
	got, err := decodeExport(strings.NewReader(`
{"metric":{"__name__":"b"},"values":["Infinity","-Infinity",null],"timestamps":[3,2,1]}
{"metric":{"x":"1","__name__":"a"},"values":[20,-1.5e-7],"timestamps":[20,10]}
{"metric":{"__name__":"a","x":"1"},"values":[5,15,14],"timestamps":[5,15,15]}
`))
	if err != nil {
		t.Fatal(err)
	}
	equalSeries(t, got, []Series{
		{map[string]string{"__name__": "a", "x": "1"}, []float64{5, -1.5e-7, 14, 15, 20}, []int64{5, 10, 15, 15, 20}},
		{map[string]string{"__name__": "b"}, []float64{math.NaN(), math.Inf(-1), math.Inf(1)}, []int64{1, 2, 3}},
	})
}

func TestDecodeExportRefusesWhatIsNoExport(t *testing.T) {
	for name, text := range map[string]string{
		"cut short":        `{"metric":{"__name__":"b"},"values":[1`,
		"a value too many": `{"metric":{"__name__":"b"},"values":[1,2],"timestamps":[1]}`,
		"text as a value":  `{"metric":{"__name__":"b"},"values":["x"],"timestamps":[1]}`,
		"a page":           `<html></html>`,
	} {
		if got, err := decodeExport(strings.NewReader(text)); err == nil {
			t.Errorf("%s: got %v and no error", name, got)
		}
	}
}

func TestCounter(t *testing.T) {
	const page = "rows_total 41\nrows{a=\"b\"} 2\nrows 42\nbad x\n"
	if n, err := counter(strings.NewReader(page), "rows"); err != nil || n != 42 {
		t.Errorf("rows is %d (%v), want 42", n, err)
	}
	for _, name := range []string{"row", "bad"} {
		if n, err := counter(strings.NewReader(page), name); err == nil {
			t.Errorf("%s is %d, want an error", name, n)
		}
	}
}

func TestDecodeCountRefusesWhatIsNoCount(t *testing.T) {
	for _, text := range []string{"", "{}", `{"status":"error","error":"x"}`, `{"data":{"result":[{}]}}`, `{"data":{"result":[{"value":[1,"1.5"]}]}}`} {
		if n, err := decodeCount(strings.NewReader(text)); err == nil {
			t.Errorf("%q: got %d and no error", text, n)
		}
	}
}
