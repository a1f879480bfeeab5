package health

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// well is a snapshot, an hour after the start, in which all is ok.
func well() Snapshot {
	now := start.Add(time.Hour)
	return Snapshot{
		Now: now, Start: start, UploadInterval: 30 * time.Second,
		Collectors: []Collector{{Name: "cpu", LastSuccess: now}, {Name: "disk", LastSuccess: now}},
		Uploader:   &Uploader{Enabled: true, LastSuccess: now},
		Log:        &Part{LastSuccess: now},
		Time:       &Clock{Trusted: true, Source: "kernel", CheckedAt: now, Skew: time.Second, Threshold: 2 * time.Second},
		HTTP:       &Part{},
	}
}

func TestEvaluate(t *testing.T) {
	const minute = time.Minute
	upload := func(age time.Duration, pending uint64, rate float64) func(*Snapshot) {
		return func(s *Snapshot) {
			s.Uploader.LastSuccess = s.Now.Add(-age)
			s.Uploader.Pending = pending
			s.Uploader.ProductionPerSecond = rate
		}
	}
	tests := []struct {
		name   string
		change func(*Snapshot)
		want   Status
	}{
		{"all well", func(*Snapshot) {}, OK},
		{"nothing supplied", func(s *Snapshot) { *s = Snapshot{Now: s.Now, Start: s.Start} }, OK},

		{"upload at its limit", upload(minute, 0, 0), OK},
		{"upload just late", upload(minute+1, 0, 0), Degraded},
		{"upload hours late, little pending", upload(3*time.Hour, 10_000, 0), Degraded},
		{"clock set back since the upload", upload(-time.Hour, 0, 0), OK},

		{"pending below", upload(0, 4_999, 0), OK},
		{"pending at its limit", upload(0, 5_000, 0), Degraded},
		{"pending endless, but uploads go on", upload(0, math.MaxUint64, 0), Degraded},
		{"half a minute's production is less", upload(0, 4_999, 100), OK},
		{"half a minute's production is less, at the limit", upload(0, 5_000, 100), Degraded},
		{"half a minute's production is more", upload(0, 29_999, 1000), OK},
		{"half a minute's production is reached", upload(0, 30_000, 1000), Degraded},

		{"error", upload(10*minute+1, 10_001, 0), Error},
		{"exactly 10 minutes", upload(10*minute, 10_001, 0), Degraded},
		{"exactly 10,000", upload(10*minute+1, 10_000, 0), Degraded},
		{"a minute's production is more", upload(time.Hour, 60_000, 1000), Degraded},
		{"a minute's production is passed", upload(time.Hour, 60_001, 1000), Error},
		{"a rate that is none", upload(time.Hour, 10_001, math.NaN()), Error},
		{"an infinite rate", upload(time.Hour, 10_001, math.Inf(1)), Error},
		{"a negative rate", upload(0, 4_999, -5), OK},

		{"own error threshold", func(s *Snapshot) { upload(2*minute, 10_001, 0)(s); s.ErrorThreshold = 2*minute - 1 }, Error},
		{"own error threshold, not passed", func(s *Snapshot) { upload(2*minute, 10_001, 0)(s); s.ErrorThreshold = 2 * minute }, Degraded},
		{"own degraded threshold", func(s *Snapshot) { upload(5*minute, 0, 0)(s); s.DegradedThreshold = 5 * minute }, OK},
		{"own degraded threshold passed", func(s *Snapshot) { upload(5*minute+1, 0, 0)(s); s.DegradedThreshold = 5 * minute }, Degraded},

		{"before the first upload", func(s *Snapshot) { s.Uploader.LastSuccess = time.Time{}; s.Now = s.Start.Add(minute) }, OK},
		{"first upload late", func(s *Snapshot) { s.Uploader.LastSuccess = time.Time{}; s.Now = s.Start.Add(minute + 1) }, Degraded},
		{"first upload never", func(s *Snapshot) {
			*s.Uploader = Uploader{Enabled: true, Pending: 10_001}
			s.Now = s.Start.Add(10*minute + 1)
		}, Error},

		{"no receiver", func(s *Snapshot) { *s.Uploader = Uploader{Pending: 1e9, LastError: "old"} }, OK},
		{"an upload error after a success in time", func(s *Snapshot) { s.Uploader.LastError = "timeout" }, OK},

		{"one collector fails", func(s *Snapshot) { s.Collectors[1].LastError = "no such file" }, Degraded},
		{"one collector is stuck", func(s *Snapshot) { s.Collectors[1].StuckSince = s.Now }, Degraded},
		{"all collectors fail", func(s *Snapshot) {
			s.Collectors[0].LastError = "no such file"
			s.Collectors[1].StuckSince = s.Now
		}, Error},
		{"the only collector fails", func(s *Snapshot) {
			s.Collectors = s.Collectors[:1]
			s.Collectors[0].LastError = "x"
		}, Error},
		{"all collectors fail, no receiver", func(s *Snapshot) {
			s.Uploader.Enabled = false
			s.Collectors = []Collector{{Name: "cpu", LastError: "x"}}
		}, Error},
		{"collectors before their first run", func(s *Snapshot) { s.Collectors = []Collector{{Name: "cpu"}} }, OK},

		{"the log fails", func(s *Snapshot) { s.Log.Failing = "no space left on device" }, Degraded},
		{"the storage is behind", func(s *Snapshot) { s.Storage = &Part{Warning: "12m behind"} }, Degraded},
		{"the storage is well", func(s *Snapshot) { s.Storage = &Part{} }, OK},
		{"a taken port", func(s *Snapshot) { s.HTTP.Warning = "address already in use" }, Degraded},

		{"skew at its threshold", func(s *Snapshot) { s.Time.Skew = 2 * time.Second }, OK},
		{"skew over", func(s *Snapshot) { s.Time.Skew = 2*time.Second + 1 }, Degraded},
		{"skew over, behind", func(s *Snapshot) { s.Time.Skew = -2*time.Second - 1 }, Degraded},
		{"skew never measured", func(s *Snapshot) { s.Time.Skew, s.Time.CheckedAt = time.Hour, time.Time{} }, OK},
		{"untrusted, nothing waits", func(s *Snapshot) { s.Time = &Clock{} }, OK},
		{"untrusted, samples wait", func(s *Snapshot) { s.Time = &Clock{Held: 1} }, Degraded},

		{"degraded does not hide error", func(s *Snapshot) {
			upload(time.Hour, 20_000, 0)(s)
			s.Collectors[0].LastError = "x"
			s.Time.Skew = time.Hour
		}, Error},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := well()
			tt.change(&s)
			r := Evaluate(s)
			if r.Status != tt.want {
				t.Errorf("status %s, want %s: %+v", r.Status, tt.want, r.Components)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEvaluateUploadIntervals(t *testing.T) {
	for interval, threshold := range map[time.Duration]time.Duration{
		5 * time.Minute:        10 * time.Minute,
		2 * time.Minute:        4 * time.Minute,
		time.Minute:            2 * time.Minute,
		30 * time.Second:       time.Minute,
		10 * time.Second:       20 * time.Second,
		500 * time.Millisecond: time.Second,
		time.Nanosecond:        time.Second,
		math.MaxInt64:          math.MaxInt64,
	} {
		for age, want := range map[time.Duration]Status{
			0: OK, threshold - 1: OK, threshold: OK, threshold + 1: Degraded, threshold * 2: Degraded,
		} {
			if age < 0 {
				continue // beyond what a Duration holds
			}
			s := well()
			s.UploadInterval = interval
			s.Start = s.Now.Add(-age)
			s.Uploader.LastSuccess = time.Time{}
			if got := Evaluate(s).Status; got != want {
				t.Errorf("interval %v, since the start %v: %s, want %s", interval, age, got, want)
			}
			s.Start = start.Add(-24 * 365 * time.Hour)
			s.Uploader.LastSuccess = s.Now.Add(-age)
			if got := Evaluate(s).Status; got != want {
				t.Errorf("interval %v, since the upload %v: %s, want %s", interval, age, got, want)
			}
		}
		// An interval that is long does not put off the error.
		s := well()
		s.UploadInterval = interval
		s.Uploader.LastSuccess, s.Uploader.Pending = s.Now.Add(-10*time.Minute-1), 10_001
		if got := Evaluate(s); got.Status != Error || !strings.Contains(got.Components["uploader"].Message, "no upload for 10m0s") {
			t.Errorf("interval %v: %s %q, want error", interval, got.Status, got.Components["uploader"].Message)
		}
	}
}

func TestComponents(t *testing.T) {
	s := well()
	failed := s.Now.Add(-time.Second)
	s.Collectors = []Collector{
		{Name: "cpu", LastSuccess: s.Now, Details: map[string]any{"samples": 9}},
		{Name: "disk", LastError: "read /proc/diskstats: no such file", LastErrorAt: failed},
		{Name: "nfs", StuckSince: failed, LastError: "deadline exceeded"},
	}
	*s.Uploader = Uploader{
		Enabled: true, Pending: 6000, ProductionPerSecond: 20, LastError: "401 Unauthorized", LastErrorAt: failed,
		LastSuccess: s.Now.Add(-90 * time.Second), Details: map[string]any{"attempts": 3},
	}
	s.Log = &Part{Failing: "no space left on device", Warning: "2 records damaged"}
	s.Time.Skew = -3 * time.Second
	s.Time.Held, s.Time.Trusted = 7, false
	r := Evaluate(s)

	want := map[string]struct {
		status  Status
		message string
	}{
		"collector.cpu":  {OK, ""},
		"collector.disk": {Error, "read /proc/diskstats: no such file"},
		"collector.nfs":  {Error, "has not come back since 2026-03-01T12:59:59Z; deadline exceeded"},
		"uploader":       {Degraded, "no upload for 1m30s; 6000 samples are pending; 401 Unauthorized"},
		"log":            {Error, "no space left on device; 2 records damaged"},
		"time":           {Degraded, "the clock is off by -3s; the clock is not trusted, samples wait"},
		"http":           {OK, ""},
	}
	if len(r.Components) != len(want) {
		t.Errorf("%d components, want %d", len(r.Components), len(want))
	}
	for name, w := range want {
		if c := r.Components[name]; c.Status != w.status || c.Message != w.message {
			t.Errorf("%s is %s, %q; want %s, %q", name, c.Status, c.Message, w.status, w.message)
		}
	}
	if d := r.Components["uploader"].Details; d["pending"] != uint64(6000) || d["production_per_second"] != 20.0 || d["attempts"] != 3 {
		t.Errorf("the uploader's details are %v", d)
	}
	if d := r.Components["time"].Details; d["skew_ms"] != -3000.0 || d["threshold_ms"] != 2000.0 || d["trusted"] != false || d["held"] != uint64(7) {
		t.Errorf("the clock's details are %v", d)
	}
	if len(s.Uploader.Details) != 1 {
		t.Error("Evaluate changed its input")
	}

	s.Uploader.Enabled = false
	if c := Evaluate(s).Components["uploader"]; c.Status != Disabled {
		t.Errorf("without a receiver the uploader is %s", c.Status)
	}
}
