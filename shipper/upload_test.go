package shipper

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"taffrail/internal/event"
)

func TestPlanIsInTheLogBeforeTheFirstByteLeaves(t *testing.T) {
	l := &memoryLog{}
	fill(t, l, boat, 60, 2)
	var planned []event.Event
	s, receiver := newTest(t, l, testOptions(), func(r *http.Request) (*http.Response, error) {
		planned = l.of(event.KindPlan)
		return status(204)(r)
	})
	if err := s.Cycle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(planned) != 1 {
		t.Fatalf("%d plans when the first chunk was sent", len(planned))
	}
	plan := planned[0].(*event.Plan)
	for i, r := range receiver.requests() {
		if r.header.Get("X-Batch-ID") != plan.Batch || r.header.Get("X-Device-ID") != "boat" || r.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("chunk %d has the headers %v", i, r.header)
		}
		if len(r.lines()) != plan.Chunks[i].Lines {
			t.Errorf("chunk %d has %d lines", i, len(r.lines()))
		}
	}
	if acks := l.of(event.KindAck); len(acks) != 1 || !slices.Equal(acks[0].(*event.Ack).Chunks, []int{0, 1}) {
		t.Errorf("acknowledgements %+v", acks)
	}
}

func TestNothingIsSentWhenThePlanCannotBeStored(t *testing.T) {
	l := &memoryLog{}
	fill(t, l, boat, 3, 3)
	s, receiver := newTest(t, l, testOptions(), status(204))
	l.full = errors.New("no space left on device")
	if err := s.Cycle(t.Context()); !errors.Is(err, l.full) {
		t.Errorf("error %v", err)
	}
	if n := len(receiver.requests()); n != 0 {
		t.Errorf("%d chunks were sent", n)
	}
	l.full = nil
	if err := s.Cycle(t.Context()); err != nil || s.log.(*memoryLog).ledger.Pending() != 0 {
		t.Errorf("after the disk has space: %v", err)
	}
}

func TestAcknowledgedChunksAreNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		fill(t, l, boat, 120, 2)
		opts := testOptions()
		opts.Retry.MaxAttempts = 1
		s, receiver := newTest(t, l, opts, status(204), status(503), status(204))
		if err := s.Cycle(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("error %v", err)
		}
		// Another process goes on, under another configuration.
		opts.ChunkSize, opts.BatchSize = 7, 9
		opts.Remote.URL = "http://elsewhere.test/api/v1/import"
		restarted, second := newTest(t, l, opts, status(204))
		if err := restarted.Cycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		first, rest := receiver.requests(), second.requests()
		if len(first) != 2 || len(rest) != 2 {
			t.Fatalf("%d and %d chunks were sent, want 2 and 2", len(first), len(rest))
		}
		if rest[0].jsonl != first[1].jsonl || rest[0].header.Get("X-Batch-ID") != first[1].header.Get("X-Batch-ID") {
			t.Error("the chunk that failed was sent again with other bytes")
		}
		if rest[0].header.Get("X-Chunk-Index") != "1" || rest[1].header.Get("X-Chunk-Index") != "2" {
			t.Error("the acknowledged chunk was sent again")
		}
		if ledger := l.Ledger(); ledger.Pending() != 0 || ledger.Sent != 240 {
			t.Errorf("%d sent, %d pending", ledger.Sent, ledger.Pending())
		}
	})
}

func TestChangedBatchIsPlannedAnew(t *testing.T) {
	l := &memoryLog{}
	fill(t, l, boat, 3, 3)
	opts := testOptions()
	opts.Retry.MaxAttempts = 1
	s, _ := newTest(t, l, opts, status(503))
	if err := s.Cycle(t.Context()); err == nil {
		t.Fatal("no error")
	}
	l.events[1].(*event.Tick).Samples[0].Value = -1
	s, receiver := newTest(t, l, opts, status(204))
	if err := s.Cycle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, ledger := len(receiver.requests()), l.Ledger(); n != 1 || ledger.Pending() != 0 || len(l.of(event.KindPlan)) != 2 {
		t.Errorf("%d chunks, %d pending, %d plans", n, ledger.Pending(), len(l.of(event.KindPlan)))
	}
}

func TestRunUploadsAtEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		s, receiver := newTest(t, l, testOptions(), status(204))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		began := time.Now()
		for range 3 {
			time.Sleep(10 * time.Second)
			fill(t, l, boat, 2, 1)
		}
		time.Sleep(35 * time.Second)
		cancel()
		<-done
		var at []time.Duration
		for _, when := range receiver.at {
			at = append(at, when.Sub(began))
		}
		// At 30 s the third tick may just be there or not: both are right.
		if len(at) == 0 || at[0] != 30*time.Second || len(at) > 2 {
			t.Errorf("uploads at %v", at)
		}
		if st := s.Status(); st.LastSuccess.Sub(began) != 60*time.Second || st.LastError != nil || st.BytesSent == 0 {
			t.Errorf("%+v", st)
		}
		if ledger := l.Ledger(); ledger.Pending() != 0 {
			t.Errorf("%d pending", ledger.Pending())
		}
	})
}

func TestTransportIsSmallAndFollowsNothing(t *testing.T) {
	c, err := newClient(testOptions().Remote)
	if err != nil {
		t.Fatal(err)
	}
	transport := c.http.Transport.(*http.Transport)
	if transport.MaxIdleConns != 10 || transport.MaxIdleConnsPerHost > 10 {
		t.Errorf("%d idle connections, %d a host", transport.MaxIdleConns, transport.MaxIdleConnsPerHost)
	}
	if err := c.http.CheckRedirect(nil, nil); !errors.Is(err, http.ErrUseLastResponse) {
		t.Errorf("redirects: %v", err)
	}
}
