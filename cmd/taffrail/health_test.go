package main

import (
	"errors"
	"testing"
	"time"

	"taffrail/internal/event"
)

// sinkOf counts what it is given, or refuses it.
type sinkOf struct {
	total uint64
	err   error
}

func (s *sinkOf) Append(ev event.Event) (uint64, error) {
	if s.err == nil {
		s.total += uint64(ev.(*event.Tick).SendableCount())
	}
	return 1, s.err
}

func (s *sinkOf) appended() uint64 { return s.total }

func numbers(t *testing.T, n int) *event.Tick {
	t.Helper()
	s, err := event.NewSeries("x", event.Gauge, 0)
	if err != nil {
		t.Fatal(err)
	}
	tick := &event.Tick{Trusted: true, Stamp: event.Stamp{WallMS: event.PlausibleSinceMS}}
	for range n {
		tick.Samples = append(tick.Samples, event.Sample{Series: s})
	}
	return tick
}

func TestPendingIsWhatIsOlderThanAnUploadInterval(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	sink := &sinkOf{total: 1000}
	p := newProduction(sink, 30*time.Second, sink.appended, func() time.Time { return now })
	for second := range 100 {
		now = now.Add(time.Second)
		if _, err := p.Append(numbers(t, 10)); err != nil {
			t.Fatal(err)
		}
		// 1,000 from before, and all of this run that is 30 s old.
		want := uint64(1000 + 10*max(0, second+1-30))
		if got := p.pending(now, 0); got != want {
			t.Fatalf("after %d s: %d pending, want %d", second+1, got, want)
		}
	}
	if got := p.pending(now, 1600); got != 100 {
		t.Errorf("%d pending after 1,600 of 1,700 were sent", got)
	}
	if got := p.pending(now, 1900); got != 0 {
		t.Errorf("%d pending after younger ones were sent too", got)
	}
	if got := p.perSecond(now); got != 10 {
		t.Errorf("%v samples a second, want 10", got)
	}
	if n := len(p.marks); n > 32 {
		t.Errorf("%d marks for 30 s", n)
	}
}

func TestLostTicksAreNoProduction(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	full := errors.New("no space left on device")
	sink := &sinkOf{err: full}
	p := newProduction(sink, time.Second, sink.appended, func() time.Time { return now })
	if _, err := p.Append(numbers(t, 10)); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	now = now.Add(time.Minute)
	if got := p.pending(now, 0); got != 0 {
		t.Errorf("%d pending", got)
	}
}
