package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNewSeriesRefuses(t *testing.T) {
	many := make([]Label, MaxLabels+1)
	for i := range many {
		many[i] = Label{fmt.Sprint("l", i), ""}
	}
	long := strings.Repeat("x", MaxName+1)
	tests := map[string]struct {
		name     string
		typ      Type
		decimals uint8
		labels   []Label
	}{
		"no name":                      {},
		"a long name":                  {name: long},
		"a name that is not UTF-8":     {name: "a\xff"},
		"a name with a zero byte":      {name: "a\x00b"},
		"a type that is none":          {name: "a", typ: 3},
		"too many decimals":            {name: "a", decimals: MaxDecimals + 1},
		"too many labels":              {name: "a", labels: many},
		"a label without a name":       {name: "a", labels: []Label{{"", "v"}}},
		"a long label name":            {name: "a", labels: []Label{{long, "v"}}},
		"a label name that is no text": {name: "a", labels: []Label{{"\xc3\x28", "v"}}},
		"a label name with zero":       {name: "a", labels: []Label{{"a\x00", "v"}}},
		"a long value":                 {name: "a", labels: []Label{{"l", strings.Repeat("x", MaxLabelValue+1)}}},
		"a value that is not UTF-8":    {name: "a", labels: []Label{{"l", "\xff"}}},
		"a label twice":                {name: "a", labels: []Label{{"l", "1"}, {"k", ""}, {"l", "2"}}},
	}
	for what, tc := range tests {
		s, err := NewSeries(tc.name, tc.typ, tc.decimals, tc.labels...)
		if !errors.Is(err, ErrSeries) || s != nil {
			t.Errorf("%s: %v, %v", what, s, err)
		}
		if err != nil && len(err.Error()) > 1000 || err != nil && !utf8.ValidString(err.Error()) {
			t.Errorf("%s: the message is not printable: %q", what, err)
		}
	}
	if _, err := NewSeries(strings.Repeat("x", MaxName), Text, MaxDecimals, append(many[:MaxLabels-1:MaxLabels-1], Label{"m", strings.Repeat("x", MaxLabelValue)})...); err != nil {
		t.Errorf("the largest series: %v", err)
	}
}

func TestSeriesSortsItsLabelsAndLeavesTheCallersAlone(t *testing.T) {
	given := []Label{{"b", "2"}, {"a", "1"}}
	s, err := NewSeries("x", Gauge, 0, given...)
	if err != nil {
		t.Fatal(err)
	}
	if given[0].Name != "b" || !slices.Equal(s.Labels, Labels{{"a", "1"}, {"b", "2"}}) {
		t.Fatalf("given %v, series %v", given, s.Labels)
	}
	if s.Labels.Get("b") != "2" || s.Labels.Get("c") != "" {
		t.Fatal("Get")
	}
	if !slices.Equal(LabelsFromMap(s.Labels.Map()), s.Labels) {
		t.Fatal("Map and back")
	}
	if s.String() != `x{"a":"1","b":"2"}` {
		t.Fatalf("String %s", s)
	}
}

func TestKeysAreEqualForEqualNameAndLabelsOnly(t *testing.T) {
	key := func(name string, typ Type, decimals uint8, labels ...Label) string {
		s, err := NewSeries(name, typ, decimals, labels...)
		if err != nil {
			t.Fatal(err)
		}
		return s.Key()
	}
	if key("a", Gauge, 0, Label{"x", "1"}, Label{"y", "2"}) != key("a", Counter, 3, Label{"y", "2"}, Label{"x", "1"}) {
		t.Error("the same name and labels have two keys")
	}
	seen := map[string]bool{}
	for _, k := range []string{
		key("a", Gauge, 0), key("a{}", Gauge, 0), key("b", Gauge, 0),
		key("a", Gauge, 0, Label{"x", ""}), key("a", Gauge, 0, Label{"x", `","y":"`}),
		key("a", Gauge, 0, Label{"x", ""}, Label{"y", ""}), key("a", Gauge, 0, Label{"x", "\x00"}), key("a", Gauge, 0, Label{"x", `\u0000`}),
	} {
		if seen[k] {
			t.Errorf("the key %q stands for two series", k)
		}
		seen[k] = true
	}
}

func TestLabelsAreCanonicalJSON(t *testing.T) {
	labels, err := NewLabels(Label{"z", "a\"b\\c/\n\r\t\x00\x1f\x7f<&>\u2028ä😀"}, Label{"a", ""})
	if err != nil {
		t.Fatal(err)
	}
	want := "{\"a\":\"\",\"z\":\"a\\\"b\\\\c/\\n\\r\\t\\u0000\\u001f\x7f<&>\u2028ä😀\"}"
	if got := labels.JSON(); got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	if got := (Labels)(nil).JSON(); got != "{}" {
		t.Fatalf("no labels: %s", got)
	}
}

func TestJSONIsWhatEncodingJSONReads(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 5_000 {
		m := map[string]string{}
		for range r.IntN(5) {
			b := make([]byte, r.IntN(20))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			s := make([]rune, r.IntN(10))
			for i := range s {
				s[i] = rune(r.IntN(0x250))
			}
			m["l"+string(s)] = strings.ToValidUTF8(string(b), "\ufffd") + string(s)
		}
		got := map[string]string{}
		if err := json.Unmarshal([]byte(LabelsFromMap(m).JSON()), &got); err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%q became %q: %v", m, got, err)
		}
	}
}

func FuzzAppendJSONString(f *testing.F) {
	f.Add("a\"\\\x00\xff\ud7ff")
	f.Fuzz(func(t *testing.T, s string) {
		b := AppendJSONString([]byte("x"), s)
		var got string
		if err := json.Unmarshal(b[1:], &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		// encoding/json replaces what is not UTF-8 in the same way.
		std, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(std, &want); err != nil || got != want {
			t.Fatalf("%q became %q, want %q", s, got, want)
		}
	})
}
