package main

import (
	"strings"
	"testing"

	"taffrail/internal/event"
)

func TestReadSightingsLeavesTheTornLastLine(t *testing.T) {
	const whole = "1 1780000000000 43 00000000000000ff\n2 1780000000200 0 cbf29ce484222325\n"
	for _, torn := range []string{"", "3", "3 1780000000400 43 00000000000000ff"} {
		seen, err := readSightings(strings.NewReader(whole + torn))
		if err != nil {
			t.Fatal(err)
		}
		if len(seen) != 2 || seen[0] != (sighting{1, 1780000000000, 43, 0xff}) || seen[1].count != 0 {
			t.Errorf("%q: got %v", torn, seen)
		}
	}
}

func TestReadSightingsRefusesWhatIsNone(t *testing.T) {
	for _, line := range []string{"", "1 2 3", "1 2 3 ff", "1 2 3 00000000000000ff 5", "-1 2 3 00000000000000ff", "a b c d"} {
		if seen, err := readSightings(strings.NewReader(line + "\n")); err == nil {
			t.Errorf("%q: got %v", line, seen)
		}
	}
}

func gauge(t *testing.T, name string, labels ...event.Label) *event.Series {
	t.Helper()
	s, err := event.NewSeries(name, event.Gauge, 0, labels...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFingerprintTellsSamplesApart(t *testing.T) {
	a, b := gauge(t, "a"), gauge(t, "b")
	text, err := event.NewSeries("os", event.Text, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := []event.Sample{{Series: a, Value: 1}, {Series: b, Value: 2}, {Series: text, Text: "x"}}
	want := fingerprint(all)
	if got := fingerprint([]event.Sample{all[2], all[0], all[1]}); got != want {
		t.Error("it depends on the order of the samples")
	}
	// FNV-1a 64 of "a", "{}" behind a zero byte, a zero byte, and the bits of 1.
	if got := fingerprint(all[:1]); got != fnv1a("a\x00{}\x00\x3f\xf0\x00\x00\x00\x00\x00\x00") {
		t.Errorf("%016x is not the hash of what is documented", got)
	}
	for name, other := range map[string][]event.Sample{
		"a bit less": {{Series: a, Value: 0.9999999999999999}, all[1], all[2]},
		"one less":   all[:2],
		"other text": {all[0], all[1], {Series: text, Text: "y"}},
		"swapped":    {{Series: a, Value: 2}, {Series: b, Value: 1}, all[2]},
		"a label":    {{Series: gauge(t, "a", event.Label{Name: "l", Value: "v"}), Value: 1}, all[1], all[2]},
	} {
		if fingerprint(other) == want {
			t.Errorf("%s: the same fingerprint", name)
		}
	}
}

func fnv1a(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

func TestCompareSightings(t *testing.T) {
	stored := map[uint64]sighting{1: {1, 10, 2, 3}, 2: {2, 20, 2, 4}, 9: {9, 90, 1, 1}}
	got := compareSightings([]sighting{{1, 10, 2, 3}, {2, 20, 2, 5}, {3, 30, 2, 6}}, stored)
	if len(got) != 2 || !strings.Contains(got[0], "in the log 2 20 2") || !strings.Contains(got[1], "not in the log: tick 3 30 2") {
		t.Errorf("differences %q", got)
	}
}

func TestWitnessHearsOneDaemonAfterTheOther(t *testing.T) {
	var w witness
	for _, line := range []string{"1 10 1 0000000000000001\n", "2 20 1 0000000000000002\n3 30 1 00"} {
		to, err := w.pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.WriteString(line); err != nil {
			t.Fatal(err)
		}
		to.Close()
	}
	seen, err := w.sightings()
	if err != nil || len(seen) != 2 {
		t.Errorf("seen %v (%v)", seen, err)
	}
}
