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
	const since = PlausibleSinceMS
	decided := func(verdict string, offset int64) *Decision { return &Decision{Verdict: verdict, OffsetMS: offset} }
	for _, tc := range []struct {
		name     string
		trusted  bool
		wall     int64
		decision *Decision
		want     int64
		ok       bool
	}{
		{"trusted", true, since + 5, nil, since + 5, true},
		{"trusted, whatever was decided on others", true, since + 5, decided(VerdictUnknown, 0), since + 5, true},
		{"trusted and impossible", true, since - 1, nil, since - 1, false},
		{"trusted in 1970", true, 0, nil, 0, false},
		{"waiting", false, since + 5, nil, since + 5, false},
		{"shifted", false, 0, decided(VerdictShift, since), since + 700, true},
		{"as it is", false, since + 5, decided(VerdictAsIs, since), since + 700, true},
		{"shifted to an impossible time", false, since + 5, decided(VerdictShift, 0), 700, false},
		{"unknown", false, since + 5, decided(VerdictUnknown, since), since + 5, false},
	} {
		tick := Tick{Trusted: tc.trusted, Decision: tc.decision, Stamp: Stamp{WallMS: tc.wall, BootMS: 700}}
		if ms, ok := tick.EffectiveTime(); ms != tc.want || ok != tc.ok {
			t.Errorf("%s: %d, %t, want %d, %t", tc.name, ms, ok, tc.want, tc.ok)
		}
		if held := tick.Held(); held != (tc.name == "waiting") {
			t.Errorf("%s: held is %t", tc.name, held)
		}
	}
}

func TestSendable(t *testing.T) {
	number, text := &Series{Name: "n"}, &Series{Name: "t", Type: Text}
	tick := Tick{Trusted: true, Stamp: Stamp{WallMS: PlausibleSinceMS}, Samples: []Sample{
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
