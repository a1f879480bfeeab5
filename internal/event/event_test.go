package event

import (
	"math"
	"testing"
)

func TestKindNames(t *testing.T) {
	names := map[Kind]string{
		KindSegment: "segment", KindSession: "session", KindSamples: "samples", KindClock: "clock", KindPlan: "plan",
		KindAck: "ack", KindSettle: "settle", KindReject: "reject", KindDrop: "drop",
	}
	if len(names) != 9 {
		t.Fatal("two kinds share a number")
	}
	for n := range 256 {
		k := Kind(n)
		want, known := names[k]
		got, err := ParseKind(k.String())
		switch {
		case known && (k.String() != want || got != k || err != nil):
			t.Errorf("kind %d is %s, parsed as %d, %v", n, k, got, err)
		case !known && err == nil:
			t.Errorf("%s is parsed as %d", k, got)
		}
	}
	for _, bad := range []string{"", "Samples", "kind(3)", " ack"} {
		if k, err := ParseKind(bad); err == nil {
			t.Errorf("%q is parsed as %s", bad, k)
		}
	}
	if Kind(0).String() != "kind(0)" || Kind(200).String() != "kind(200)" {
		t.Errorf("unknown kinds: %s, %s", Kind(0), Kind(200))
	}
}

// The numbers are on disk.
func TestNumbersOfTheFormatStayAsTheyAre(t *testing.T) {
	if KindSegment != 1 || KindDrop != 9 || Gauge != 0 || Counter != 1 || Text != 2 {
		t.Fatal("a number has changed")
	}
	if Gauge.String() != "gauge" || Counter.String() != "counter" || Text.String() != "text" || Type(7).String() != "type(7)" {
		t.Fatal("a name has changed")
	}
}

func TestEventsKnowTheirKindAndTime(t *testing.T) {
	at := Stamp{WallMS: 5, BootMS: 6}
	for want, ev := range map[Kind]Event{
		KindSegment: &SegmentHeader{Stamp: at}, KindSession: &Session{Stamp: at}, KindSamples: &Tick{Stamp: at},
		KindPlan: &Plan{Stamp: at}, KindAck: &Ack{Stamp: at}, 99: &Unknown{Stamp: at, Of: 99},
	} {
		if ev.Kind() != want || ev.At() != at {
			t.Errorf("%T: kind %s at %v", ev, ev.Kind(), ev.At())
		}
	}
}

func TestEffectiveTime(t *testing.T) {
	for _, tc := range []struct {
		wall int64
		ok   bool
	}{
		{0, false}, {-1, false}, {math.MinInt64, false}, {PlausibleSinceMS - 1, false},
		{PlausibleSinceMS, true}, {PlausibleSinceMS + 1, true}, {math.MaxInt64, true},
	} {
		for _, trusted := range []bool{false, true} {
			tick := Tick{Stamp: Stamp{WallMS: tc.wall}, Trusted: trusted}
			if ms, ok := tick.EffectiveTime(); ms != tc.wall || ok != tc.ok {
				t.Errorf("wall %d: %d, %t", tc.wall, ms, ok)
			}
		}
	}
}

func TestSendable(t *testing.T) {
	number, text := &Series{Name: "n"}, &Series{Name: "t", Type: Text}
	tick := Tick{Stamp: Stamp{WallMS: PlausibleSinceMS}, Samples: []Sample{
		{Series: number, Value: math.Copysign(0, -1)}, {Series: number, Value: math.MaxFloat64}, {Series: number, Value: 5e-324},
		{Series: number, Value: math.NaN()}, {Series: number, Value: math.Inf(1)}, {Series: number, Value: math.Inf(-1)},
		{Series: text, Text: "x", Value: 1},
	}}
	for i := range tick.Samples {
		if tick.Samples[i].Sendable() != (i < 3) {
			t.Errorf("sample %d: %t", i, !(i < 3))
		}
	}
	if n := tick.SendableCount(); n != 3 {
		t.Errorf("%d are sendable, want 3", n)
	}
	tick.WallMS = 0
	if n := tick.SendableCount(); n != 0 {
		t.Errorf("%d of 1970 are sendable", n)
	}
}

func TestPlanSamples(t *testing.T) {
	if n := (&Plan{Chunks: chunks(3, 0, 4)}).Samples(); n != 7 {
		t.Fatal(n)
	}
}
