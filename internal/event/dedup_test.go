package event

import (
	"fmt"
	"testing"
)

func TestDedupKeysOfDifferentSamplesDiffer(t *testing.T) {
	label := func(name, value string) Label { return Label{name, value} }
	seen := map[string]string{}
	add := func(name string, typ Type, ts int64, device string, labels ...Label) {
		s, err := NewSeries(name, typ, 0, labels...)
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("%q %v %d %q %q", name, typ, ts, device, labels)
		key := DedupKey(s, ts, device)
		if len(key) != 64 {
			t.Fatalf("key %q", key)
		}
		if other, twice := seen[key]; twice {
			t.Errorf("%s and %s have one key", what, other)
		}
		seen[key] = what
	}
	add("a", Gauge, 1, "d")
	add("a", Counter, 1, "d")
	add("a", Text, 1, "d")
	add("a", Gauge, 2, "d")
	add("a", Gauge, -1, "d")
	add("a", Gauge, 1, "e")
	// What one part ends with and the next begins with.
	add("ab", Gauge, 1, "d")
	add("a1", Gauge, 1, "d")
	add("a", Gauge, 11, "d")
	add("a", Gauge, 1, "1d")
	add("a", Gauge, 1, "")
	add("ad", Gauge, 1, "")
	add("a", Gauge, 1, "d{}")
	add("a", Gauge, 1, "dgauge")
	// Labels that look alike when they are strung together.
	add("a", Gauge, 1, "d", label("x", "y"))
	add("a", Gauge, 1, "d", label("x", "y,z"), label("w", "v"))
	add("a", Gauge, 1, "d", label("w", "v"), label("x", "y"), label("z", ""))
	add("a", Gauge, 1, "d", label("x", `y","z":"`))
	add("a", Gauge, 1, "d", label("x", "y"), label("z", ""))
	add("a", Gauge, 1, "d", label("xy", ""))
	add("a", Gauge, 1, "d", label("x", "y="))
	add("a", Gauge, 1, "d", label("x", `y\`))
	add("a", Gauge, 1, `d{"x":"y"}`)
}

func TestDedupKeyOfOneSampleIsOne(t *testing.T) {
	a, _ := NewSeries("cpu.usage_percent", Gauge, 2, Label{"core", "0"}, Label{"site", "x"})
	b, _ := NewSeries("cpu.usage_percent", Gauge, 0, Label{"site", "x"}, Label{"core", "0"})
	// Each part behind its length: printf '\021cpu.usage_percent\010…' | sha256sum
	const want = "af334a41eacafca02612cf6dc2ac8a21436601ef0d097d13b75bbc98900f8c7d"
	for _, s := range []*Series{a, b} {
		if got := DedupKey(s, 1_767_225_600_000, "dev"); got != want {
			t.Errorf("%s has the key %s, want %s", s, got, want)
		}
	}
}
