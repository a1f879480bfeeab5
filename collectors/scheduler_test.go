package collectors

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"taffrail/internal/event"
)

const ms = time.Millisecond

func TestScheduler_IntervalsWithoutDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Collecting and appending take time, which must not add up.
		a, b, c := steady("a", 130*ms), steady("b", 70*ms), steady("c", 10*ms)
		r := newRig(t, func(int) error { time.Sleep(10 * ms); return nil },
			Job{Collector: a, Interval: 10 * time.Second},
			Job{Collector: b, Interval: 3 * time.Second},
			Job{Collector: c, Interval: 700 * ms},
		).run().forTime(time.Minute + 350*ms)
		r.end()
		for f, want := range map[*fakeCollector][]time.Duration{
			a: every(10*time.Second, time.Minute),
			b: every(3*time.Second, time.Minute),
			c: every(700*ms, time.Minute+350*ms),
		} {
			got := f.calls()
			for i := range got {
				got[i] = got[i].Truncate(50 * ms) // an Append may be in the way
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s was called at %v, want %v", f.name, got, want)
			}
		}
	})
}

func TestScheduler_MissedTicksAreSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := steady("a", 0)
		r := newRig(t, func(call int) error {
			if call == 1 { // the disk hangs from 10 s to 45 s
				time.Sleep(35 * time.Second)
			}
			return nil
		}, Job{Collector: a, Interval: 10 * time.Second}).run().forTime(71 * time.Second)
		r.end()
		want := []time.Duration{0, 10 * time.Second, 45 * time.Second, 50 * time.Second, 60 * time.Second, 70 * time.Second}
		if got := a.calls(); !slices.Equal(got, want) {
			t.Errorf("called at %v, want %v", got, want)
		}
		if st := r.status("a"); st.Skipped != 2 {
			t.Errorf("%d skipped, want 2", st.Skipped)
		}
	})
}

func TestScheduler_OneRecordATick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil,
			Job{Collector: steady("slow", 600*ms), Interval: 10 * time.Second},
			Job{Collector: steady("quick", 20*ms), Interval: 10 * time.Second},
			Job{Collector: steady("often", 0), Interval: 5 * time.Second},
			Job{Collector: fake("nothing", func(context.Context, *Recorder, int) error { return nil }), Interval: 2 * time.Second},
		).run().forTime(11 * time.Second)
		r.end()
		want := []struct {
			stamp, at time.Duration
			names     []string
		}{
			{0, 600 * ms, []string{"slow.value", "quick.value", "often.value"}},
			{5 * time.Second, 5 * time.Second, []string{"often.value"}},
			{10 * time.Second, 10*time.Second + 600*ms, []string{"slow.value", "quick.value", "often.value"}},
		}
		got := r.sink.all()
		if len(got) != len(want) {
			t.Fatalf("%d ticks, want %d: %+v", len(got), len(want), got)
		}
		for i, w := range want {
			if g := got[i]; g.stamp != w.stamp || g.at != w.at || !slices.Equal(g.names(), w.names) || !g.trusted {
				t.Errorf("tick %d is %+v, want %+v", i, g, w)
			}
		}
		if got[0].samples[1].Series != got[2].samples[1].Series {
			t.Error("a series has another pointer in the next tick")
		}
	})
}

func TestScheduler_LateSamplesInARecordOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil,
			Job{Collector: steady("quick", 0), Interval: 10 * time.Second},
			Job{Collector: steady("slow", 2500*ms), Interval: 10 * time.Second},
		).run().forTime(9 * time.Second)
		defer r.end()
		got := r.sink.all()
		if len(got) != 2 {
			t.Fatalf("%d ticks, want 2: %+v", len(got), got)
		}
		if g := got[0]; g.stamp != 0 || g.at != gatherWindow || !slices.Equal(g.names(), []string{"quick.value"}) {
			t.Errorf("the tick is %+v", g)
		}
		if g := got[1]; g.stamp != 2500*ms || g.at != 2500*ms || !slices.Equal(g.names(), []string{"slow.value"}) || !g.trusted {
			t.Errorf("the late tick is %+v", g)
		}
		if st := r.status("slow"); !st.Healthy() || st.Samples != 1 || st.Duration != 2500*ms || st.LastSuccess.IsZero() {
			t.Errorf("late but in time is not a failure: %+v", st)
		}
	})
}

func TestScheduler_SlowCollectorDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick := steady("quick", 0)
		r := newRig(t, nil,
			Job{Collector: steady("slow", 900*ms), Interval: 2 * time.Second},
			Job{Collector: quick, Interval: 200 * ms},
		).run().forTime(4100 * ms)
		r.end()
		if got := quick.calls(); !slices.Equal(got, every(200*ms, 4*time.Second)) {
			t.Errorf("called at %v", got)
		}
		slow := 0
		var stamps []time.Duration
		for _, tick := range r.sink.all() {
			if slices.Contains(tick.names(), "slow.value") {
				slow++
			}
			if slices.Contains(tick.names(), "quick.value") {
				stamps = append(stamps, tick.stamp)
			}
		}
		if !slices.Equal(stamps, every(200*ms, 4*time.Second)) {
			t.Errorf("the quick one's samples are stamped %v", stamps)
		}
		if slow != 3 { // at 0.9 s, 2.9 s and, on the stop, 4.1 s
			t.Errorf("%d samples of the slow one, want 3", slow)
		}
	})
}

func TestScheduler_StuckCollectorIsNotStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stuck := fake("stuck", func(_ context.Context, rec *Recorder, call int) error {
			if call == 1 {
				<-release // deaf to its context
			}
			rec.Gauge("stuck.value", float64(call))
			return nil
		})
		other := steady("other", 0)
		r := newRig(t, nil,
			Job{Collector: stuck, Interval: 10 * time.Second, Timeout: 5 * time.Second},
			Job{Collector: other, Interval: time.Second},
		).run().forTime(14 * time.Second)
		if st := r.status("stuck"); !st.Healthy() {
			t.Errorf("stuck before its timeout: %+v", st)
		}
		r.forTime(41 * time.Second) // 55 s
		st := r.status("stuck")
		if st.Healthy() || !errors.Is(st.Error, ErrTimeout) || st.StuckSince.Sub(stuck.start) != 10*time.Second || st.Skipped != 4 || st.Failures != 1 {
			t.Errorf("status while stuck: %+v", st)
		}
		if n := len(r.lines("collector is stuck")); n != 1 {
			t.Errorf("%d log lines about it, want 1", n)
		}
		close(release)
		r.forTime(ms)
		if st := r.status("stuck"); !st.StuckSince.IsZero() || !errors.Is(st.Error, ErrTimeout) || st.LastSuccess.Sub(stuck.start) != 0 {
			t.Errorf("status after it came back: %+v", st)
		}
		r.forTime(10 * time.Second) // 65 s
		if st := r.status("stuck"); !st.Healthy() || st.Runs != 3 {
			t.Errorf("status after the next run: %+v", st)
		}
		r.end()
		if got, want := stuck.calls(), []time.Duration{0, 10 * time.Second, 60 * time.Second}; !slices.Equal(got, want) || stuck.twice {
			t.Errorf("called at %v, want %v; twice at once: %v", got, want, stuck.twice)
		}
		if got := other.calls(); !slices.Equal(got, every(time.Second, 65*time.Second)) {
			t.Errorf("the other was called at %v", got)
		}
		for _, tick := range r.sink.all() {
			if slices.Contains(tick.names(), "stuck.value") && tick.stamp == 55*time.Second && len(tick.samples) == 1 {
				return
			}
		}
		t.Error("the late samples are no tick of their own")
	})
}

func TestScheduler_Timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		obedient := fake("obedient", func(ctx context.Context, rec *Recorder, _ int) error {
			rec.Gauge("obedient.value", 1)
			<-ctx.Done()
			time.Sleep(10 * ms)
			return ctx.Err()
		})
		r := newRig(t, nil,
			Job{Collector: obedient, Interval: 10 * time.Second, Timeout: 300 * ms},
			Job{Collector: steady("other", 0), Interval: 10 * time.Second},
		).run().forTime(9 * time.Second)
		defer r.end()
		got := r.sink.all()
		if len(got) != 2 {
			t.Fatalf("%d ticks, want 2: %+v", len(got), got)
		}
		// The tick waits for a collector no longer than its timeout.
		if g := got[0]; g.at != 300*ms || !slices.Equal(g.names(), []string{"other.value"}) {
			t.Errorf("the tick is %+v", g)
		}
		if g := got[1]; g.stamp != 310*ms || !slices.Equal(g.names(), []string{"obedient.value"}) {
			t.Errorf("the late tick is %+v", g)
		}
		st := r.status("obedient")
		if !errors.Is(st.Error, ErrTimeout) || st.Failures != 1 || !st.StuckSince.IsZero() || !st.LastSuccess.IsZero() || st.Duration != 310*ms {
			t.Errorf("status %+v", st)
		}
		lines := r.lines("collector is stuck")
		if len(lines) != 1 || lines[0]["error_type"] != "timeout" {
			t.Errorf("log lines %v", lines)
		}
	})
}

func TestScheduler_Panic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := fake("bad", func(_ context.Context, rec *Recorder, call int) error {
			rec.Gauge("bad.value", 1)
			if call < 2 {
				explode()
			}
			return nil
		})
		gone := fake("gone", func(context.Context, *Recorder, int) error {
			runtime.Goexit()
			return nil
		})
		good := steady("good", 0)
		r := newRig(t, nil,
			Job{Collector: bad, Interval: time.Second},
			Job{Collector: gone, Interval: time.Second},
			Job{Collector: good, Interval: time.Second},
		).run().forTime(1500 * ms)
		var panicked *PanicError
		if st := r.status("bad"); !errors.As(st.Error, &panicked) || st.Runs != 2 || st.Failures != 2 {
			t.Fatalf("status %+v", st)
		}
		if panicked.Value != "boom" || !strings.Contains(string(panicked.Stack), "collectors.explode") {
			t.Errorf("panic %v, stack %s", panicked.Value, panicked.Stack)
		}
		if st := r.status("gone"); st.Healthy() || st.Runs != 2 {
			t.Errorf("a goroutine that ended itself: %+v", st)
		}
		lines := r.lines("collect failed")
		if len(lines) != 2 || lines[0]["error_type"] != "panic" || !strings.Contains(lines[0]["stack"].(string), "explode") {
			t.Errorf("log lines %v", lines)
		}
		r.forTime(time.Second)
		if st := r.status("bad"); !st.Healthy() {
			t.Errorf("after a good run: %+v", st)
		}
		if n := len(r.lines("collector works again")); n != 1 {
			t.Errorf("%d lines about the recovery, want 1", n)
		}
		r.end()
		for i, tick := range r.sink.all() {
			if !slices.Equal(tick.names(), []string{"bad.value", "good.value"}) {
				t.Errorf("tick %d has %v", i, tick.names())
			}
		}
	})
}

// explode stands in the stack of its panic.
//
//go:noinline
func explode() { panic("boom") }

func TestScheduler_TextOnChangeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		values := []string{"a", "a", "b", "b", "a", "a"}
		text := fake("text", func(_ context.Context, rec *Recorder, call int) error {
			rec.Gauge("text.number", 1)
			rec.Text("text.kernel", values[call])
			return nil
		})
		r := newRig(t, nil, Job{Collector: text, Interval: time.Second}).run().forTime(5500 * ms)
		r.end()
		var got []string
		for _, tick := range r.sink.all() {
			seen := "-"
			for _, s := range tick.samples {
				if s.Series.Type == event.Text {
					seen = s.Text
				}
			}
			got = append(got, seen)
		}
		if want := []string{"a", "-", "b", "-", "a", "-"}; !slices.Equal(got, want) {
			t.Errorf("texts %v, want %v", got, want)
		}
		values = append(values, "a")
		if tick, _, err := r.CollectOnce(t.Context()); err != nil || len(tick.Samples) != 2 {
			t.Errorf("CollectOnce holds texts back: %v, %v", tick, err)
		}
	})
}

func TestScheduler_FailedAppendOffersTextAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("no space left on device")
		text := fake("text", func(_ context.Context, rec *Recorder, call int) error {
			rec.Gauge("text.number", float64(call))
			rec.Text("text.kernel", "6.18")
			return nil
		})
		r := newRig(t, func(call int) error {
			if call < 3 {
				return full
			}
			return nil
		}, Job{Collector: text, Interval: time.Second}).run().forTime(2500 * ms)
		if err := r.AppendError(); !errors.Is(err, full) {
			t.Errorf("AppendError is %v, want %v", err, full)
		}
		if st := r.status("text"); !st.Healthy() {
			t.Errorf("the disk is no fault of the collector: %+v", st)
		}
		r.forTime(2 * time.Second)
		if err := r.AppendError(); err != nil {
			t.Errorf("AppendError is %v after an Append that worked", err)
		}
		r.end()
		got := r.sink.all()
		if len(got) != 2 {
			t.Fatalf("%d ticks, want 2", len(got))
		}
		if names := got[0].names(); !slices.Equal(names, []string{"text.number", "text.kernel"}) || got[0].samples[0].Value != 3 {
			t.Errorf("the first tick that was taken has %v", got[0].samples)
		}
		if names := got[1].names(); !slices.Equal(names, []string{"text.number"}) {
			t.Errorf("the tick after it has %v", names)
		}
		if n, m := len(r.lines("tick lost")), len(r.lines("append works again")); n != 1 || m != 1 {
			t.Errorf("%d lines about the loss and %d about its end, want 1 and 1", n, m)
		}
	})
}

func TestScheduler_SeriesOfTwoCollectors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		record := func(v float64, takes time.Duration) func(context.Context, *Recorder, int) error {
			return func(_ context.Context, rec *Recorder, _ int) error {
				time.Sleep(takes)
				rec.Gauge("shared", v, "a", "1")
				rec.Gauge("own", v, "by", time.Duration(v).String())
				return nil
			}
		}
		r := newRig(t, nil, // the first of the jobs is believed, not the first to answer
			Job{Collector: fake("first", record(1, 500*ms)), Interval: time.Second},
			Job{Collector: fake("second", record(2, 0)), Interval: time.Second},
		).run().forTime(900 * ms)
		r.end()
		got := r.sink.all()
		if len(got) != 1 || !slices.Equal(got[0].names(), []string{"shared", "own", "own"}) || got[0].samples[0].Value != 1 {
			t.Errorf("ticks %+v", got)
		}
		if st := r.status("first"); !st.Healthy() {
			t.Errorf("first: %+v", st)
		}
		if st := r.status("second"); !errors.Is(st.Error, ErrDuplicate) || !strings.Contains(st.Error.Error(), `shared{"a":"1"}`) {
			t.Errorf("second: %+v", st)
		}
	})
}

func TestScheduler_RefusedSamplesAreTheCollectorsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("read /proc/x: gone")
		c := fake("c", func(_ context.Context, rec *Recorder, _ int) error {
			rec.Gauge("good", 1)
			rec.Gauge("", 1)
			return broken
		})
		r := newRig(t, nil, Job{Collector: c, Interval: time.Second}).run().forTime(ms)
		r.end()
		if st := r.status("c"); !errors.Is(st.Error, event.ErrSeries) || !errors.Is(st.Error, broken) || st.Samples != 1 {
			t.Errorf("status %+v", st)
		}
		if got := r.sink.all(); len(got) != 1 || !slices.Equal(got[0].names(), []string{"good"}) {
			t.Errorf("ticks %+v", got)
		}
	})
}
