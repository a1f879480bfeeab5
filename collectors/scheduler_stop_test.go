package collectors

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"taffrail/internal/event"
)

func TestScheduler_StopTakesWhatComesWithinTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil,
			Job{Collector: steady("quick", 0), Interval: 10 * time.Second},
			Job{Collector: steady("slow", 700*ms), Interval: 10 * time.Second},
		).run().forTime(100 * ms)
		if took := r.end(); took != 600*ms {
			t.Errorf("the stop took %s, want 600ms", took)
		}
		got := r.sink.all()
		if len(got) != 1 || got[0].stamp != 0 || !slices.Equal(got[0].names(), []string{"quick.value", "slow.value"}) {
			t.Errorf("ticks %+v", got)
		}
	})
}

func TestScheduler_StopCancelsCollectors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake("c", func(ctx context.Context, rec *Recorder, _ int) error {
			rec.Gauge("c.value", 1)
			<-ctx.Done()
			return ctx.Err()
		})
		r := newRig(t, nil, Job{Collector: c}).run().forTime(100 * ms)
		if took := r.end(); took != 0 {
			t.Errorf("the stop took %s, want none", took)
		}
		if got := r.sink.all(); len(got) != 1 {
			t.Errorf("ticks %+v, want one", got)
		}
		if n := len(r.lines("collect failed")); n != 0 {
			t.Errorf("%d log lines about a failure, want none: it was told to stop", n)
		}
	})
}

func TestScheduler_StopAbandonsTheStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stuck := fake("stuck", func(context.Context, *Recorder, int) error { <-release; return nil })
		r := newRig(t, nil,
			Job{Collector: stuck, Interval: time.Second},
			Job{Collector: steady("other", 0), Interval: time.Second},
		).run().forTime(20*time.Second + 500*ms)
		if took := r.end(); took != stopGrace {
			t.Errorf("the stop took %s, want %s", took, stopGrace)
		}
		lines := r.lines("collector abandoned")
		if len(lines) != 1 || lines[0]["collector"] != "stuck" {
			t.Errorf("log lines %v", lines)
		}
		if n := len(r.sink.all()); n != 21 {
			t.Errorf("%d ticks, want 21", n)
		}
		close(release) // the bubble ends only if nothing blocks it now
	})
}

func TestScheduler_StatusDoesNotWaitForTheSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(int) error { time.Sleep(time.Hour); return nil }, Job{Collector: steady("a", 0)}).run().forTime(time.Minute)
		if st := r.status("a"); !st.Healthy() || st.Runs != 1 {
			t.Errorf("status %+v", st)
		}
		if err := r.AppendError(); err != nil {
			t.Error(err)
		}
		r.end()
	})
}

func TestScheduler_AnswerDuringALongAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Both answer while the disk hangs from 1 s to 31 s: one in time, one
		// after its timeout. Each keeps the time at which it came.
		r := newRig(t, func(call int) error {
			if call == 0 {
				time.Sleep(30 * time.Second)
			}
			return nil
		},
			Job{Collector: steady("quick", 0), Interval: time.Minute},
			Job{Collector: steady("slow", 3*time.Second), Interval: time.Minute},
			Job{Collector: steady("slower", 7*time.Second), Interval: time.Minute},
		).run().forTime(40 * time.Second)
		r.end()
		var stamps []time.Duration
		for _, tick := range r.sink.all() {
			stamps = append(stamps, tick.stamp)
		}
		if want := []time.Duration{0, 3 * time.Second, 7 * time.Second}; !slices.Equal(stamps, want) {
			t.Errorf("ticks at %v, want %v", stamps, want)
		}
		if st := r.status("slow"); !st.Healthy() {
			t.Errorf("slow: %+v", st)
		}
		if st := r.status("slower"); !errors.Is(st.Error, ErrTimeout) || st.Failures != 1 || !st.StuckSince.IsZero() {
			t.Errorf("slower: %+v", st)
		}
	})
}

func TestScheduler_LogFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := fake("bad", func(context.Context, *Recorder, int) error { return errors.New("read /proc/x: gone") })
		r := newRig(t, nil,
			Job{Collector: steady("a", 250*ms), Interval: time.Second},
			Job{Collector: bad, Interval: time.Second},
		).run().forTime(30*time.Minute + 500*ms)
		r.end()
		line := r.lines("collected")[0]
		for field, want := range map[string]any{"level": "debug", "collector": "a", "count": 1.0, "duration_ms": 250.0, "session_id": "s-1"} {
			if line[field] != want {
				t.Errorf("%s is %v, want %v", field, line[field], want)
			}
		}
		failed := r.lines("collect failed")
		for field, want := range map[string]any{"level": "error", "collector": "bad", "error": "read /proc/x: gone", "error_type": "collect", "session_id": "s-1"} {
			if failed[0][field] != want {
				t.Errorf("%s is %v, want %v", field, failed[0][field], want)
			}
		}
		// 1,801 failures: the first, and one every ten minutes.
		if len(failed) != 4 || failed[1]["suppressed"] != 599.0 {
			t.Errorf("%d lines, want 4: %v", len(failed), failed)
		}
	})
}

func TestThrottle_ChangingFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var th throttle
		logged, recovered := 0, 0
		for i := range 3600 { // an hour of failing in turn in two ways, and working in between
			switch i % 3 {
			case 0, 1:
				if ok, _ := th.allow(time.Now(), []string{"timeout", "panic"}[i%3]); ok {
					logged++
				}
			case 2:
				if th.recovered() {
					recovered++
				}
			}
			time.Sleep(time.Second)
		}
		if logged < 50 || logged > 60 || recovered > logged {
			t.Errorf("%d failures and %d recoveries are logged, want one a minute", logged, recovered)
		}
	})
}

func TestScheduler_CollectOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		text := fake("text", func(_ context.Context, rec *Recorder, _ int) error {
			rec.Text("text.kernel", "6.18")
			return nil
		})
		stuck := fake("stuck", func(_ context.Context, rec *Recorder, call int) error {
			if call == 0 {
				<-release
			}
			rec.Gauge("stuck.value", float64(call))
			return nil
		})
		r := newRig(t, nil,
			Job{Collector: steady("slow", 3*time.Second)},
			Job{Collector: text},
			Job{Collector: stuck, Timeout: 4 * time.Second},
		)
		for i := range 2 { // texts are not held back, the stuck is not called again
			asked := time.Now()
			tick, statuses, err := r.CollectOnce(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if took, want := time.Since(asked), []time.Duration{4 * time.Second, 3 * time.Second}[i]; took != want {
				t.Errorf("call %d took %s, want %s", i, took, want)
			}
			if len(tick.Samples) != 2 || tick.Samples[0].Series.Name != "slow.value" || tick.Samples[1].Text != "6.18" {
				t.Errorf("call %d: samples %v", i, tick.Samples)
			}
			if tick.BootMS != []int64{0, 4000}[i] {
				t.Errorf("call %d is stamped %d", i, tick.BootMS)
			}
			if !statuses[0].Healthy() || statuses[0].Duration != 3*time.Second || statuses[0].Samples != 1 {
				t.Errorf("call %d: slow %+v", i, statuses[0])
			}
			if !errors.Is(statuses[2].Error, ErrTimeout) || statuses[2].StuckSince.IsZero() {
				t.Errorf("call %d: stuck %+v", i, statuses[2])
			}
		}
		close(release)
		synctest.Wait()
		tick, statuses, err := r.CollectOnce(t.Context())
		if err != nil || len(tick.Samples) != 3 || tick.Samples[2].Value != 1 || !statuses[2].Healthy() {
			t.Errorf("after the release: %v, %v, %+v", err, tick, statuses)
		}
		if n := len(r.sink.all()); n != 0 {
			t.Errorf("%d ticks were appended, want none", n)
		}
	})
}

func TestScheduler_CollectOnceEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := newRig(t, nil,
			Job{Collector: steady("quick", 0)},
			Job{Collector: fake("stuck", func(context.Context, *Recorder, int) error { <-release; return nil })},
		)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tick, _, err := r.CollectOnce(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || len(tick.Samples) != 1 {
			t.Errorf("error %v, tick %v", err, tick)
		}
		close(release)
	})
}

func TestScheduler_OneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil, Job{Collector: steady("a", 0)}).run().forTime(ms)
		if _, _, err := r.CollectOnce(t.Context()); !errors.Is(err, ErrBusy) {
			t.Errorf("CollectOnce: %v", err)
		}
		if err := r.Run(t.Context()); !errors.Is(err, ErrBusy) {
			t.Errorf("Run: %v", err)
		}
		r.end()
	})
}

func TestScheduler_NoJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil).run().forTime(5 * time.Hour)
		r.end()
		if tick, statuses, err := r.CollectOnce(t.Context()); err != nil || len(tick.Samples) != 0 || len(statuses) != 0 {
			t.Errorf("%v, %v, %v", tick, statuses, err)
		}
	})
}

func TestNewScheduler_Checks(t *testing.T) {
	clock := bubbleClock{time.Now()}
	for name, c := range map[string]struct {
		jobs []Job
		opts Options
	}{
		"no clock":          {nil, Options{}},
		"no collector":      {[]Job{{}}, Options{Clock: clock}},
		"same name":         {[]Job{{Collector: fake("a", nil)}, {Collector: fake("a", nil)}}, Options{Clock: clock}},
		"negative interval": {[]Job{{Collector: fake("a", nil), Interval: -1}}, Options{Clock: clock}},
		"negative timeout":  {[]Job{{Collector: fake("a", nil), Timeout: -1}}, Options{Clock: clock}},
	} {
		if _, err := NewScheduler(c.jobs, &fakeSink{}, c.opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s, err := NewScheduler([]Job{{Collector: fake("a", nil)}}, nil, Options{Clock: clock, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if st := s.Status()[0]; st.Interval != DefaultInterval || st.Timeout != DefaultTimeout || !st.Healthy() {
		t.Errorf("status %+v", st)
	}
	if err := s.Run(t.Context()); err == nil {
		t.Error("Run without a sink: no error")
	}
}

func TestTexts_Bounded(t *testing.T) {
	known := texts{stored: make(map[string]string)}
	for i := range 3 * MaxSamples {
		series, err := event.NewSeries("t", event.Text, 0, event.Label{Name: "n", Value: time.Duration(i).String()})
		if err != nil {
			t.Fatal(err)
		}
		known.store(&event.Tick{Samples: []event.Sample{{Series: series, Text: "x"}}})
		if !known.has(series.Key(), "x") || len(known.stored) > MaxSamples {
			t.Fatalf("%d texts are kept", len(known.stored))
		}
	}
}
