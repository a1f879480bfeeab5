package badlink

import (
	"context"
	"net/http"
	"testing"
	"time"

	"taffrail/internal/victoria"
)

// TestRealReceiverBehindTheLink shows what the modes come to where the receiver
// is a real one: what it stores, whatever its client was told.
func TestRealReceiverBehindTheLink(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // building it takes the most
	defer cancel()
	vm, err := victoria.Start(ctx, victoria.Options{Dir: t.TempDir(), Flags: []string{"-dedup.minScrapeInterval=0s"}})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Stop()
	var before uint64
	added := func() uint64 { // since it was called last
		t.Helper()
		if err := vm.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		n, err := vm.Count(ctx, `{device_id="d"}`)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { before = n }()
		return n - before
	}
	l := startLink(t, Options{Target: vm.URL, Seed: 1})
	c, impatient := newClient(t, l, testBound), newClient(t, l, 300*time.Millisecond)
	const lines = 1000
	text := jsonl(lines)

	c.must(204)(c.upload("passed", 0, text))
	if n := added(); n != lines {
		t.Errorf("passed on: %d are stored, want %d", n, lines)
	}

	l.Set(Imports(CutBody()))
	c.must(204)(c.upload("cut", 0, text))
	if n := added(); n >= lines {
		t.Errorf("cut short: %d are stored", n)
	}

	l.Set(LoseAnswers())
	if _, err := c.upload("lost", 0, text); err == nil {
		t.Error("the lost answer arrived")
	}
	if n := added(); n != lines {
		t.Errorf("answer lost: %d are stored, want %d", n, lines)
	}

	l.Set(Imports(Late(50 * time.Millisecond)))
	if _, err := impatient.upload("late", 0, text); err == nil {
		t.Error("the late body was answered")
	}
	if err := l.WaitLate(ctx); err != nil {
		t.Fatal(err)
	}
	if n := added(); n != lines {
		t.Errorf("late: %d are stored, want %d", n, lines)
	}

	l.Set(Imports(DropLines(Contains(`"m7"`))))
	c.must(204)(c.upload("dropped", 0, text))
	if n := added(); n != lines-1 {
		t.Errorf("a line dropped: %d are stored, want %d", n, lines-1)
	}

	l.Set()
	// Queries, exports and the receiver's own metrics pass, with their Date.
	a := c.must(200)(c.do(http.MethodGet, "/api/v1/export?match[]=m7", nil, nil))
	if a.body == "" || a.header.Get("Date") == "" {
		t.Errorf("the export is %+v", a)
	}
	if a := c.must(200)(c.do(http.MethodGet, "/metrics", nil, nil)); a.body == "" {
		t.Error("no metrics came through")
	}

	vm.Kill()
	if a, err := c.upload("gone", 0, text); err == nil {
		t.Errorf("answered %+v though the receiver is gone", a)
	}
}
