package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"taffrail/internal/event"
	"taffrail/internal/victoria"
	eventlog "taffrail/log"
)

// TestE2E_ProcessRestart_ResumeFromCheckpoint kills the daemon in the middle of a
// batch, part of which was acknowledged. The next one sends the rest of that
// batch first, byte for byte as the first one did, and nothing of what was
// acknowledged.
func TestE2E_ProcessRestart_ResumeFromCheckpoint(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), e2eBound)
	defer cancel()
	receiver := startReceiver(t, ctx)
	way := startGate(t, receiver.URL)
	t.Setenv("TAFFRAIL_REMOTE_CHUNK_SIZE", "5") // so that a batch has several
	d := startDaemon(t, buildDaemon(t, ctx), way.url)
	d.await(t, ctx, "a batch is acknowledged", func() bool {
		return d.health(t, ctx).Components["uploader"].Details.Acknowledged > 0
	})
	way.breakBehind(0)
	d.await(t, ctx, "a chunk is tried again", func() bool { return way.repeated() })
	d.process.Kill()

	before := way.take()
	way.breakBehind(never)
	cut := foldLedger(t, d.stateDir)
	if cut.Open == nil {
		t.Fatal("the daemon was killed between two batches")
	}
	first := 0
	for first < len(cut.Open.Chunks) && cut.Open.Done(first) {
		first++
	}
	if first < 1 || cut.Cursor() == 0 {
		t.Fatalf("killed behind record %d, before chunk %d of the next batch", cut.Cursor(), first)
	}

	d = d.again(t)
	d.await(t, ctx, "all that was left is acknowledged", func() bool {
		u := d.health(t, ctx).Components["uploader"]
		return u.Details.Acknowledged > cut.Appended
	})
	if err := d.process.Stop(30 * time.Second); err != nil {
		t.Fatalf("stop: %s\n%s", err, d.process.Output())
	}
	after := way.take()
	checkResumed(t, before, after, cut.Open.Plan.Batch, first)
	compareAll(t, ctx, d, receiver)
	checkEnds(t, d.stateDir, event.EndCrashed, event.EndCompleted)
}

// checkResumed looks at what was sent before the kill and after it.
func checkResumed(t *testing.T, before, after []passed, batch string, first int) {
	t.Helper()
	if len(after) == 0 {
		t.Fatal("nothing was sent after the restart")
	}
	if got := after[0]; got.batch != batch || got.chunk != first {
		t.Errorf("chunk %d of batch %s came first after the restart, want chunk %d of batch %s", got.chunk, got.batch, first, batch)
	}
	for _, a := range after {
		for _, b := range before {
			switch {
			case a.batch != b.batch || a.chunk != b.chunk:
			case b.answered:
				t.Errorf("chunk %d of batch %s was acknowledged and is sent again", a.chunk, a.batch)
			case !bytes.Equal(a.body, b.body):
				t.Errorf("chunk %d of batch %s has other bytes after the restart", a.chunk, a.batch)
			}
		}
	}
}

// TestE2E_VMRestart_ResumeUpload restarts the receiver under a running daemon:
// what was collected meanwhile arrives, and once.
func TestE2E_VMRestart_ResumeUpload(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), e2eBound)
	defer cancel()
	receiver := startReceiver(t, ctx)
	d := startDaemon(t, buildDaemon(t, ctx), receiver.URL)
	acknowledged := func() uint64 { return d.health(t, ctx).Components["uploader"].Details.Acknowledged }
	for round := range 2 {
		already := acknowledged()
		d.await(t, ctx, "more is acknowledged", func() bool { return acknowledged() > already })
		if err := receiver.Stop(); err != nil {
			t.Fatal(err)
		}
		stopped := d.health(t, ctx).Components["uploader"].Details
		d.await(t, ctx, "uploads have failed while more was collected", func() bool {
			u := d.health(t, ctx).Components["uploader"].Details
			return u.Requests >= stopped.Requests+2 && u.Appended > stopped.Appended
		})
		if got := acknowledged(); got != stopped.Acknowledged {
			t.Errorf("round %d: %d samples are acknowledged while the receiver is away, before it %d", round, got, stopped.Acknowledged)
		}
		pending := d.health(t, ctx).Components["uploader"].Details.Appended
		if err := receiver.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		d.await(t, ctx, "what was pending is acknowledged", func() bool { return acknowledged() >= pending })
	}
	if err := d.process.Stop(30 * time.Second); err != nil {
		t.Fatalf("stop: %s\n%s", err, d.process.Output())
	}
	compareAll(t, ctx, d, receiver)
	checkEnds(t, d.stateDir, event.EndCompleted)
}

// compareAll fails where the receiver does not hold what the log holds.
func compareAll(t *testing.T, ctx context.Context, d *runningDaemon, receiver *victoria.Server) {
	t.Helper()
	if err := receiver.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	exported, err := receiver.ExportDeduplicated(ctx, `{device_id="e2e"}`)
	if err != nil {
		t.Fatal(err)
	}
	compareWithReceiver(t, logged(t, d.stateDir), exported)
}

// checkEnds compares how the sessions of a log ended.
func checkEnds(t *testing.T, stateDir string, want ...string) {
	t.Helper()
	info, err := eventlog.Inspect(stateDir)
	if err != nil {
		t.Fatal(err)
	}
	var ends []string
	for _, s := range info.Sessions {
		ends = append(ends, s.End)
	}
	if !slices.Equal(ends, want) {
		t.Errorf("sessions ended %q, want %q", ends, want)
	}
}

// foldLedger returns what a log's events come to.
func foldLedger(t *testing.T, stateDir string) event.Ledger {
	t.Helper()
	r, err := eventlog.OpenReader(stateDir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var ledger event.Ledger
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return ledger
		}
		if err != nil {
			t.Fatal(err)
		}
		ledger.Apply(rec.Index, rec.Event)
	}
}

// gate stands between daemon and receiver. It passes everything on, and can lose
// answers.
type gate struct {
	url string

	mu     sync.Mutex // guards what follows
	broken int        // answers to chunks behind this one are lost
	sent   []passed
}

// passed is a chunk that went through the gate.
type passed struct {
	batch    string
	chunk    int
	body     []byte
	answered bool
}

// never is a chunk that no chunk is behind.
const never = 1 << 30

func startGate(t *testing.T, receiver string) *gate {
	t.Helper()
	to, err := url.Parse(receiver)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{broken: never}
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(p *httputil.ProxyRequest) { p.SetURL(to) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ModifyResponse: func(resp *http.Response) error {
			if isChunk(resp.Request) && !g.answer() {
				return errors.New("answer lost")
			}
			return nil
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isChunk(r) {
			body, err := io.ReadAll(r.Body)
			chunk, numbered := strconv.Atoi(r.Header.Get("X-Chunk-Index"))
			if err = errors.Join(err, numbered); err != nil {
				t.Error(err)
			}
			g.note(passed{batch: r.Header.Get("X-Batch-ID"), chunk: chunk, body: body})
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

// isChunk tells a chunk from what the daemon asks the receiver.
func isChunk(r *http.Request) bool { return r.Header.Get("X-Batch-ID") != "" }

func (g *gate) note(p passed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sent = append(g.sent, p)
}

// answer decides on the answer to the last chunk; the daemon sends one at a time.
func (g *gate) answer() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	last := &g.sent[len(g.sent)-1]
	last.answered = last.chunk <= g.broken
	return last.answered
}

// breakBehind loses the answers to the chunks behind one of each batch.
func (g *gate) breakBehind(chunk int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.broken = chunk
}

// repeated reports whether the last chunk came by before.
func (g *gate) repeated() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(g.sent)
	if n == 0 {
		return false
	}
	last := g.sent[n-1]
	return slices.ContainsFunc(g.sent[:n-1], func(p passed) bool { return p.batch == last.batch && p.chunk == last.chunk })
}

// take returns what went through since the last call.
func (g *gate) take() []passed {
	g.mu.Lock()
	defer g.mu.Unlock()
	sent := g.sent
	g.sent = nil
	return sent
}
