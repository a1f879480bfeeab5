package shipper

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"taffrail/internal/event"
)

// arrivals counts how often each series and time came in a list of requests.
func arrivals(t *testing.T, requests []request) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for _, r := range requests {
		for _, line := range parseLines(t, r.jsonl) {
			for _, ms := range line.Timestamps {
				key, err := json.Marshal([]any{line.Metric, ms})
				if err != nil {
					t.Fatal(err)
				}
				seen[string(key)]++
			}
		}
	}
	return seen
}

// The receiver stored the batch and its answers were lost: whatever was answered
// is not sent again, and what was not is the same request again.
func TestNoDuplicateUploads_SameBatchRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		fill(t, l, boat, 120, 2)
		opts := testOptions()
		opts.Retry.MaxAttempts = 1
		s, receiver := newTest(t, l, opts, status(204), broken(io.ErrUnexpectedEOF), status(204))
		if err := s.Cycle(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("error %v", err)
		}
		if err := s.Cycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := receiver.requests()
		chunks := make([]string, len(got))
		for i, r := range got {
			chunks[i] = r.header.Get("X-Chunk-Index")
			if r.header.Get("X-Batch-ID") != got[0].header.Get("X-Batch-ID") {
				t.Error("there is a second batch")
			}
		}
		if !slices.Equal(chunks, []string{"0", "1", "1", "2"}) || got[1].jsonl != got[2].jsonl {
			t.Errorf("chunks %v", chunks)
		}
		if len(l.of(event.KindPlan)) != 1 {
			t.Errorf("%d plans", len(l.of(event.KindPlan)))
		}
	})
}

// Without merging at the receiver nothing is sent again before it was looked for.
func TestNoDuplicateUploads_NetworkRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := testOptions()
		opts.Remote.ReadURL, opts.UploadInterval = "", 10*time.Second
		m := newModel(t, 0)
		l := newLife(t, 1, opts, m)
		lost := 0
		m.fault = func() fault {
			if lost++; lost%2 == 0 && lost < 20 {
				return lostAnswer
			}
			return noFault
		}
		l.live(12 * time.Minute)
		time.Sleep(time.Minute)
		l.check()
		if m.imports > 100 {
			t.Errorf("%d imports", m.imports)
		}
		if plans := repairs(l.log); plans != 0 {
			t.Errorf("%d batches were sent again, though all was stored", plans)
		}
	})
}

// repairs returns how many plans repeat samples that were sent before.
func repairs(l *memoryLog) (n int) {
	for _, ev := range l.of(event.KindPlan) {
		if ev.(*event.Plan).Repair() {
			n++
		}
	}
	return n
}

// A chunk that comes twice is the same samples under the same keys: a receiver
// that tells samples by them has nothing new, and neither has the log.
func TestChunkReplay_DedupKeyPrevents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		fill(t, l, boat, 50, 3)
		s, receiver := newTest(t, l, testOptions(), broken(io.ErrUnexpectedEOF), status(204))
		if err := s.Cycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := receiver.requests()
		if len(got) != 2 || got[0].jsonl != got[1].jsonl {
			t.Fatalf("%d requests", len(got))
		}
		// Each sample has one identity, whatever the number of its arrivals.
		keys := map[string]bool{}
		for _, ev := range l.of(event.KindSamples) {
			tick := ev.(*event.Tick)
			for _, sample := range tick.Samples {
				keys[event.DedupKey(sample.Series, tick.WallMS, "boat")] = true
			}
		}
		seen := arrivals(t, got)
		if len(seen) != len(keys) || len(keys) != 150 {
			t.Errorf("%d samples arrived, %d have a key", len(seen), len(keys))
		}
		for key, n := range seen {
			if n != 2 {
				t.Errorf("%s arrived %d times", key, n)
			}
		}
		if ledger := l.Ledger(); ledger.Sent != 150 {
			t.Errorf("%d count as sent", ledger.Sent)
		}
	})
}

// A chunk that was answered with 5xx is sent again as a whole, and none of it
// counts before that.
func TestChunkAtomicity_5xxForcesFullRetry(t *testing.T) {
	for _, code := range []int{500, 502, 503, 504} {
		synctest.Test(t, func(t *testing.T) {
			l := &memoryLog{}
			fill(t, l, boat, 50, 2)
			var between event.Ledger
			s, receiver := newTest(t, l, testOptions(), status(code), func(r *http.Request) (*http.Response, error) {
				between = l.Ledger()
				return status(204)(r)
			})
			if err := s.Cycle(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := receiver.requests()
			if between.Sent != 0 || len(got) != 2 || len(got[1].lines()) != 50 || got[0].jsonl != got[1].jsonl || got[1].header.Get("X-Chunk-Lines") != "" {
				t.Errorf("%d: %d counted in between; %d requests", code, between.Sent, len(got))
			}
			if ledger := l.Ledger(); ledger.Sent != 100 {
				t.Errorf("%d: %d sent", code, ledger.Sent)
			}
		})
	}
}

// A link that cannot bring a chunk to its end in time gets smaller ones, and the
// larger again when it can.
func TestChunkByteLimit_AutoBisecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bytesPerSecond = 1400
		l := &memoryLog{}
		device := noisy(t, l, 40, 300)
		opts := testOptions()
		opts.BatchSize, opts.ChunkSize = 10_000, 10_000
		link := func(r *http.Request) (*http.Response, error) {
			timer := time.NewTimer(time.Duration(r.ContentLength) * time.Second / bytesPerSecond)
			defer timer.Stop()
			select {
			case <-r.Context().Done():
				return nil, r.Context().Err()
			case <-timer.C:
				return status(204)(r)
			}
		}
		s, receiver := newTest(t, l, opts, link)
		for range 200 {
			if err := s.Cycle(t.Context()); err == nil {
				break
			}
		}
		if ledger := l.Ledger(); ledger.Sent != uint64(device) || ledger.Rejected != 0 {
			t.Errorf("%d of %d sent, %d rejected", ledger.Sent, device, ledger.Rejected)
		}
		for _, key := range arrivals(t, receiver.requests()) {
			if key < 1 {
				t.Error("a sample did not arrive")
			}
		}
		if got := s.window.chunkBytes(); got > 2*bytesPerSecond*30 {
			t.Errorf("bodies of %d bytes on a link of %d a second", got, bytesPerSecond)
		}
		receiver.answers = []func(*http.Request) (*http.Response, error){status(204)}
		for range 8 {
			noisy(t, l, 40, 1200)
			if err := s.Cycle(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.window.chunkBytes(); got != opts.MaxChunkBytes {
			t.Errorf("on a fast link chunks are of %d bytes", got)
		}
	})
}

// noisy appends ticks of values that do not compress, and returns how many
// samples they hold.
func noisy(t *testing.T, l *memoryLog, n, ticks int) int {
	t.Helper()
	all := make([]*event.Series, n)
	for i := range all {
		all[i] = series(t, "noise", event.Gauge, "n", string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	state := uint64(l.LastIndex()) + 1
	for range ticks {
		tick := &event.Tick{Context: boat, Trusted: true, Stamp: event.Stamp{WallMS: startMS + int64(l.LastIndex())*10}}
		for _, s := range all {
			state = state*6364136223846793005 + 1442695040888963407
			tick.Samples = append(tick.Samples, event.Sample{Series: s, Value: float64(state>>11) / (1 << 53)})
		}
		if _, err := l.Append(tick); err != nil {
			t.Fatal(err)
		}
	}
	return n * ticks
}

// Chunks of a backlog are of 128 to 256 KiB, gzipped.
func TestChunkCompression_TargetSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		noisy(t, l, 40, 9000)
		opts := testOptions()
		opts.UploadInterval = time.Second
		s, receiver := newTest(t, l, opts, status(204))
		sizes := []int64{}
		receiver.answers[0] = func(r *http.Request) (*http.Response, error) {
			sizes = append(sizes, r.ContentLength)
			return status(204)(r)
		}
		if err := s.Cycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		within := 0
		for _, size := range sizes {
			if size > 256<<10 {
				t.Errorf("a chunk of %d bytes", size)
			}
			if size >= 128<<10 {
				within++
			}
		}
		// The first are made before it is known what a sample takes, and each
		// batch has a last one.
		if within*4 < len(sizes)*3 || len(sizes) < 8 {
			t.Errorf("%d of %d chunks are of 128 to 256 KiB: %v", within, len(sizes), sizes)
		}
		if ledger := l.Ledger(); ledger.Pending() != 0 {
			t.Errorf("%d pending", ledger.Pending())
		}
	})
}

// Ticks of text alone make no request, and hold up nothing.
func TestEmptyChunkSkipping_AllStringMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		kernel := series(t, "system.kernel", event.Text)
		texts := func() {
			for range 5 {
				l.Append(&event.Tick{Context: boat, Trusted: true, Stamp: event.Stamp{WallMS: startMS},
					Samples: []event.Sample{{Series: kernel, Text: "6.1"}}})
			}
		}
		texts()
		s, receiver := newTest(t, l, testOptions(), status(204))
		if err := s.Cycle(t.Context()); err != nil || len(receiver.requests()) != 0 {
			t.Fatalf("%v, %d requests", err, len(receiver.requests()))
		}
		if ledger := l.Ledger(); ledger.Pending() != 0 {
			t.Errorf("%d texts are pending", ledger.Pending())
		}
		fill(t, l, boat, 1, 1)
		texts()
		if err := s.Cycle(t.Context()); err != nil || len(receiver.requests()) != 1 {
			t.Fatalf("%v, %d requests", err, len(receiver.requests()))
		}
	})
}

// A partition of hours ends: all that was collected in it arrives, what is fresh
// within one upload interval.
func TestNetworkPartition_ResumesAfterRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := testOptions()
		opts.Remote.ReadURL = ""
		m := newModel(t, time.Millisecond)
		l := newLife(t, 1, opts, m)
		l.live(2 * time.Minute)
		l.outage(3 * time.Hour)
		back := l.now()
		l.live(opts.UploadInterval + time.Second)
		fresh := int64(0)
		for _, rows := range m.rows {
			for _, r := range rows {
				fresh = max(fresh, r.ms)
			}
		}
		if fresh < back {
			t.Errorf("the newest sample at the receiver is %d ms older than the link", back-fresh)
		}
		l.live(20 * time.Minute)
		time.Sleep(time.Minute)
		l.check()
	})
}

// A link that is there for five minutes an hour is not slept through, however
// long the upload interval is.
func TestWindowsOfFiveMinutesAreUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := testOptions()
		opts.UploadInterval = 20 * time.Minute
		m := newModel(t, time.Millisecond)
		l := newLife(t, 1, opts, m)
		m.kill()
		for range 4 {
			l.live(55 * time.Minute)
			m.start()
			l.live(5 * time.Minute)
			if ledger := l.log.Ledger(); ledger.Pending() > 3*60*21 {
				t.Errorf("%d samples are pending after five minutes of a link", ledger.Pending())
			}
			m.mu.Lock()
			m.down = true // what it has is safe
			m.mu.Unlock()
		}
		l.end()
	})
}

// Far-future times are not clamped: the samples are refused with a reason, are
// counted, and stay in the log.
func TestTimestampValidation_FarFutureClamping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		gauge := series(t, "x", event.Gauge)
		const day = 24 * 60 * 60 * 1000
		for _, ms := range []int64{startMS, startMS + 2*day, startMS + 400*day, startMS + day, startMS + 1000} {
			l.Append(&event.Tick{Context: boat, Trusted: true, Stamp: event.Stamp{WallMS: ms}, Samples: []event.Sample{{Series: gauge, Value: 1}}})
		}
		s, receiver := newTest(t, l, testOptions(), status(204))
		if err := s.Cycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		var times []int64
		for _, r := range receiver.requests() {
			for _, line := range parseLines(t, r.jsonl) {
				times = append(times, line.Timestamps...)
			}
		}
		slices.Sort(times)
		if !slices.Equal(times, []int64{startMS, startMS + 1000, startMS + day}) {
			t.Errorf("times %v", times)
		}
		rejects := l.of(event.KindReject)
		if len(rejects) != 1 {
			t.Fatalf("%d rejects", len(rejects))
		}
		if r := rejects[0].(*event.Reject); r.Reason != event.ReasonFarFuture || r.Samples != 2 || !r.Range.Holds(event.Range{From: 2, To: 3}) {
			t.Errorf("%+v", r)
		}
		if ledger := l.Ledger(); ledger.Rejected != 2 || ledger.Sent != 3 || ledger.Pending() != 0 || len(l.of(event.KindSamples)) != 5 {
			t.Errorf("%d rejected, %d sent, %d pending", ledger.Rejected, ledger.Sent, ledger.Pending())
		}
	})
}
