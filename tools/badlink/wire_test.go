package badlink

import (
	"bytes"
	"net/http"
	"testing"
	"time"
)

func TestBucketPaces(t *testing.T) {
	at := time.Unix(1780000000, 0)
	var b bucket
	if d := b.take(1<<30, at); d != 0 {
		t.Errorf("without a limit a byte takes %v", d)
	}
	b.setRate(1000)
	for i, step := range []struct {
		after time.Duration
		bytes int
		want  time.Duration
	}{
		{0, 550, 500 * time.Millisecond}, // the line was free
		{0, 500, time.Second},            // behind the first
		{980 * time.Millisecond, 100, 120 * time.Millisecond},
		{150 * time.Millisecond, 100, 70 * time.Millisecond}, // 30 ms late, made up for
		{time.Hour, 1050, time.Second},                       // an hour late, and not
		{500 * time.Millisecond, 250, 750 * time.Millisecond},
		{time.Hour, 10, 0},
	} {
		at = at.Add(step.after)
		if d := b.take(step.bytes, at); d != step.want {
			t.Errorf("step %d: %d bytes take %v, want %v", i, step.bytes, d, step.want)
		}
	}
	b.setRate(0)
	if d := b.take(1000, at); d != 0 {
		t.Errorf("without a limit again: %v", d)
	}
}

// Only lower bounds are asserted: a machine can be slow, but not a link fast.
func TestBandwidthAndLatencyTakeTime(t *testing.T) {
	r := newReceiver(t)
	l := startLink(t, Options{Target: r.URL})
	c := newClient(t, l, testBound)
	body := bytes.Repeat([]byte("x"), 50_000)
	took := func() time.Duration {
		began := time.Now()
		c.must(204)(c.do(http.MethodPost, "/api/v1/import", nil, body))
		return time.Since(began)
	}
	l.SetBandwidth(200_000, 0)
	if d := took(); d < 190*time.Millisecond {
		t.Errorf("50 kB at 200 kB/s took %v", d)
	}
	l.SetBandwidth(0, 0)
	l.SetLatency(50 * time.Millisecond)
	if d := took(); d < 100*time.Millisecond {
		t.Errorf("a round trip of 100 ms took %v", d)
	}
	c.http.CloseIdleConnections()
	if d := took(); d < 200*time.Millisecond {
		t.Errorf("connecting and a round trip of 100 ms took %v", d)
	}
	l.SetLatency(0)
	l.Set(Answer(Response{Body: string(body)}))
	l.SetBandwidth(0, 200_000)
	if d := func() time.Duration {
		began := time.Now()
		c.must(200)(c.do(http.MethodGet, "/api/v1/export", nil, nil))
		return time.Since(began)
	}(); d < 190*time.Millisecond {
		t.Errorf("50 kB back at 200 kB/s took %v", d)
	}
}

func TestCutsEndAConnectionInTheMiddle(t *testing.T) {
	r := newReceiver(t)
	l := startLink(t, Options{Target: r.URL, Seed: 3})
	c := newClient(t, l, testBound)
	body := bytes.Repeat([]byte("x"), 200_000)
	l.SetCuts(100_000)
	for range 5 {
		if a, err := c.do(http.MethodPost, "/api/v1/import", http.Header{batchHeader: {"b"}}, body); err == nil {
			t.Errorf("answered %+v", a)
		}
	}
	l.SetCuts(0)
	c.must(204)(c.do(http.MethodPost, "/api/v1/import", nil, body))

	imports, all := l.Imports(), r.all()
	if len(imports) != 6 || len(all) == 0 {
		t.Fatalf("recorded %d imports, the receiver got %d requests", len(imports), len(all))
	}
	lengths := map[int]bool{}
	for _, i := range imports[:5] {
		if i.Fate != FateBroken || i.Whole || i.Bytes >= 100_000 || i.Status != 0 {
			t.Errorf("recorded %+v", i)
		}
		lengths[i.Bytes] = true
	}
	if len(lengths) < 3 {
		t.Errorf("cut at %v", lengths)
	}
	// What was cut short reaches the receiver so, sooner or later.
	whole := 0
	for _, g := range all {
		if g.err == nil {
			whole++
		}
		if g.err == nil && !bytes.Equal(g.body, body) {
			t.Errorf("the receiver took %d bytes for all of a body", len(g.body))
		}
	}
	if whole != 1 {
		t.Errorf("the receiver got %d whole bodies", whole)
	}
}

func TestCutBreaksIdleConnections(t *testing.T) {
	r := newReceiver(t)
	l := startLink(t, Options{Target: r.URL})
	c := newClient(t, l, testBound)
	for n := range 2 {
		c.must(204)(c.do(http.MethodGet, "/", nil, nil))
		if got := l.Traffic().Connections; got != int64(n+1) {
			t.Errorf("%d connections, want %d", got, n+1)
		}
		l.Cut()
	}
}
