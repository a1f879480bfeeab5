package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"taffrail/internal/event"
)

const batch = "570d8eef-10fa-5b43-8fab-7d23f519da8f"

func zip(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// post sends a chunk as the shipper does, and returns the status, or 0 where the
// connection was broken off.
func post(t *testing.T, url, chunk string, body []byte) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/v1/import?x=y", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Batch-ID", batch)
	req.Header.Set("X-Chunk-Index", chunk)
	req.Header.Set("Content-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// record starts a recorder before a receiver that remembers what it was given.
func record(t *testing.T, logDir string, answers *rand.Rand) (*recorder, *[]string, *httptest.Server) {
	t.Helper()
	var got []string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, r.URL.String()+" "+r.Header.Get("X-Chunk-Index")+" "+string(body))
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(receiver.Close)
	r, err := startRecorder(receiver.URL, logDir, answers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.close() })
	return r, &got, receiver
}

func TestRecorderPassesOnAndRemembers(t *testing.T) {
	dir := t.TempDir()
	r, got, receiver := record(t, dir, nil)
	body := zip(t, "line\n")
	if status := post(t, r.url, "0", body); status != http.StatusNoContent {
		t.Fatalf("status %d", status)
	}
	if len(*got) != 1 || (*got)[0] != "/api/v1/import?x=y 0 "+string(body) {
		t.Errorf("the receiver got %q", *got)
	}
	if err := os.WriteFile(filepath.Join(dir, "00000000000000000001"), []byte("\x01"+batch+"\x02"), 0o644); err != nil {
		t.Fatal(err)
	}
	if status := post(t, r.url, "1", body); status != http.StatusNoContent {
		t.Fatalf("status %d", status)
	}
	// While the receiver is away connections break, and what was sent counts.
	receiver.Close()
	if status := post(t, r.url, "1", body); status != 0 {
		t.Errorf("status %d without a receiver", status)
	}
	chunks, lost, err := r.records()
	if err != nil || lost != 0 || len(chunks) != 3 {
		t.Fatalf("%d chunks, %d lost (%v)", len(chunks), lost, err)
	}
	want := sent{batch: batch, chunk: 0, digest: sha256.Sum256([]byte("line\n"))}
	if chunks[0] != want {
		t.Errorf("got %+v", chunks[0])
	}
	if want.chunk, want.planned = 1, true; chunks[1] != want {
		t.Errorf("got %+v", chunks[1])
	}
	if n := repeats(chunks); n != 1 {
		t.Errorf("%d chunks are repeats", n)
	}
}

func TestRecorderLosesAnswersOnly(t *testing.T) {
	r, got, _ := record(t, t.TempDir(), rand.New(rand.NewPCG(1, 1)))
	broken := 0
	const all = 4 * lostShare
	for range all {
		if post(t, r.url, "0", zip(t, "x")) == 0 {
			broken++
		}
	}
	r.loseNoMore()
	for range lostShare {
		if post(t, r.url, "0", zip(t, "x")) == 0 {
			t.Error("an answer is lost, though none should be")
		}
	}
	if _, lost, _ := r.records(); lost == 0 || lost != broken || len(*got) != all+lostShare {
		t.Errorf("%d answers lost, %d connections broken, %d chunks at the receiver", lost, broken, len(*got))
	}
}

func TestRecorderNotesWhatIsNoChunk(t *testing.T) {
	r, _, _ := record(t, t.TempDir(), nil)
	post(t, r.url, "first", zip(t, "x"))
	post(t, r.url, "0", []byte("not gzip"))
	post(t, r.url, "0", zip(t, "cut short")[:15])
	chunks, _, err := r.records()
	if len(chunks) > 0 || err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%d chunks, error %v", len(chunks), err)
	}
}

func TestCompareChunks(t *testing.T) {
	digest := sha256.Sum256([]byte("x"))
	plans := map[string]*event.Plan{batch: {Chunks: []event.Chunk{{SHA256: digest[:]}, {SHA256: []byte("other bytes")}}}}
	got := compareChunks([]sent{
		{batch, 0, digest, true},
		{batch, 0, digest, false},
		{batch, 1, digest, true},
		{batch, 2, digest, true},
		{"another", 0, digest, true},
	}, plans)
	want := []string{"in its plan", "its plan has 2 chunks", "its plan is not in the log", "before its plan"}
	if len(got) != len(want) {
		t.Fatalf("differences %q", got)
	}
	for i, w := range want {
		if !strings.Contains(got[i], w) {
			t.Errorf("difference %q, want %q", got[i], w)
		}
	}
}
