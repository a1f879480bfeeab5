package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"taffrail/internal/event"
)

const lostShare = 25

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
	r, err := startRecorder(receiver.URL, logDir, lostShare, answers)
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
	through, err := r.records()
	if err != nil || through.lost != 0 || len(through.chunks) != 3 {
		t.Fatalf("%d chunks, %d lost (%v)", len(through.chunks), through.lost, err)
	}
	for i, want := range []sent{
		{batch: batch, chunk: 0, digest: sha256.Sum256([]byte("line\n"))},
		{batch: batch, chunk: 1, digest: sha256.Sum256([]byte("line\n")), planned: true},
	} {
		got := through.chunks[i]
		if len(got.lines) != 1 {
			t.Errorf("%d lines", len(got.lines))
		}
		got.lines = nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if n := repeats(through.chunks); n != 1 {
		t.Errorf("%d chunks are repeats", n)
	}
}

// What only asks is passed on as well, and is no chunk.
func TestRecorderPassesOnQuestions(t *testing.T) {
	r, got, _ := record(t, t.TempDir(), rand.New(rand.NewPCG(1, 1)))
	for range 2 * lostShare {
		resp, err := http.Post(r.url+"/api/v1/query?x=y", "application/x-www-form-urlencoded", strings.NewReader("query=1"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	through, err := r.records()
	if err != nil || through.reads != 2*lostShare || len(through.chunks) > 0 || (*got)[0] != "/api/v1/query?x=y  query=1" {
		t.Errorf("%+v, %q (%v)", through, *got, err)
	}
}

// A daemon whose receiver was killed must see its connection end, whether it has
// a request under way or not.
func TestRecorderEndsBothConnections(t *testing.T) {
	r, _, receiver := record(t, t.TempDir(), nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for range 2 {
		if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil || resp.StatusCode != http.StatusNoContent || resp.Close {
			t.Fatalf("%+v (%v)", resp, err)
		}
	}
	receiver.CloseClientConnections()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := answers.ReadByte(); err != io.EOF {
		t.Errorf("the daemon's connection: %v, want its end", err)
	}
	// A new one leads to the receiver again.
	if status := post(t, r.url, "0", zip(t, "x")); status != http.StatusNoContent {
		t.Errorf("status %d", status)
	}
}

// That a receiver announces the end of a connection is passed on too.
func TestRecorderPassesOnTheEndOfAConnection(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	defer receiver.Close()
	r, err := startRecorder(receiver.URL, t.TempDir(), lostShare, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for range 3 {
		resp, err := http.Get(r.url)
		if err != nil || !resp.Close {
			t.Fatalf("%+v (%v)", resp, err)
		}
		resp.Body.Close()
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
	r.calm()
	for range lostShare {
		if post(t, r.url, "0", zip(t, "x")) == 0 {
			t.Error("an answer is lost, though none should be")
		}
	}
	if through, _ := r.records(); through.lost == 0 || through.lost != broken || len(*got) != all+lostShare {
		t.Errorf("%d answers lost, %d connections broken, %d chunks at the receiver", through.lost, broken, len(*got))
	}
}

func TestRecorderNotesWhatIsNoChunk(t *testing.T) {
	r, _, _ := record(t, t.TempDir(), nil)
	post(t, r.url, "first", zip(t, "x"))
	post(t, r.url, "0", []byte("not gzip"))
	post(t, r.url, "0", zip(t, "cut short")[:15])
	through, err := r.records()
	if len(through.chunks) > 0 || err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%d chunks, error %v", len(through.chunks), err)
	}
}

func TestParseSentTellsAProbe(t *testing.T) {
	named := http.Header{"X-Batch-Id": {batch}, "X-Chunk-Index": {"3"}, "X-Chunk-Lines": {"1-2"}}
	s, jsonl, err := parseSent(named, zip(t, "a\nb\n"))
	if err != nil || s.batch != batch || s.chunk != 3 || s.part != "1-2" || len(s.lines) != 2 || string(jsonl) != "a\nb\n" {
		t.Errorf("%+v, %q (%v)", s, jsonl, err)
	}
	if s, _, err := parseSent(http.Header{}, zip(t, "")); err != nil || s.batch != "" {
		t.Errorf("%+v (%v)", s, err)
	}
	for name, c := range map[string]struct {
		header http.Header
		text   string
	}{
		"lines without a batch": {http.Header{}, "a\n"},
		"a chunk of no batch":   {http.Header{"X-Chunk-Index": {"0"}}, ""},
		"a part of no batch":    {http.Header{"X-Chunk-Lines": {"0-0"}}, ""},
		"a batch, no chunk":     {http.Header{"X-Batch-Id": {batch}}, "a\n"},
	} {
		if s, _, err := parseSent(c.header, zip(t, c.text)); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestCompareChunks(t *testing.T) {
	digest := sha256.Sum256([]byte("x"))
	plans := map[string]*event.Plan{batch: {Chunks: []event.Chunk{{Lines: 3, SHA256: digest[:]}, {Lines: 3, SHA256: []byte("other bytes")}}}}
	whole := sent{batch: batch, digest: digest, lines: []uint64{1, 2, 3}, planned: true}
	change := func(f func(s *sent)) sent {
		s := whole
		f(&s)
		return s
	}
	part := func(name string, lines ...uint64) sent {
		return change(func(s *sent) { s.part, s.lines, s.digest = name, lines, [sha256.Size]byte{} })
	}
	got := compareChunks([]sent{
		whole,
		change(func(s *sent) { s.planned = false }),
		change(func(s *sent) { s.chunk = 1 }),
		change(func(s *sent) { s.chunk = 2 }),
		change(func(s *sent) { s.batch = "another" }),
		part("0-1", 1, 2),
		part("2-2", 3),
		part("part", 7),
		part("1-2", 1, 2),
		part("1-3", 2, 3, 4),
		part("1-2", 2),
		part("2-1"),
		part("+1-2", 2, 3),
		part("part", 1, 2),
	}, plans)
	want := []string{
		"in its plan", "its plan has 2 chunks", "its plan is not in the log",
		"are other lines", "are 3 lines", "are 1 lines", "are 0 lines", "are none", "are none",
		"before its plan",
	}
	if len(got) != len(want) {
		t.Fatalf("differences %q", got)
	}
	for i, w := range want {
		if !strings.Contains(got[i], w) {
			t.Errorf("difference %q, want %q", got[i], w)
		}
	}
}

// A chunk takes the place of another where nobody who counts can tell.
func TestSwapperKeepsTheCounts(t *testing.T) {
	s := newSwapper(rand.New(rand.NewPCG(1, 1)))
	line := func(series string, values int) []byte {
		return []byte(`{"metric":{"__name__":"` + series + `"},"values":[1` + strings.Repeat(",2", values-1) + `],"timestamps":[1` + strings.Repeat(",2", values-1) + "]}\n")
	}
	shapes, swapped := [][]byte{line("a", 1), line("b", 1), line("b", 2), line("a", 2)}, 0
	for i := range 400 {
		body := []byte{byte(i), byte(i >> 8)}
		got := s.pass(body, shapes[i%4])
		if bytes.Equal(got, body) {
			continue
		}
		swapped++
		if n := int(got[0]) | int(got[1])<<8; n != i-4 {
			t.Errorf("body %d is in the place of %d", n, i)
		}
	}
	if swapped < 20 || swapped != s.swaps {
		t.Errorf("%d bodies are swapped, %d counted", swapped, s.swaps)
	}
	s.over = true
	for i := range 100 {
		body := []byte{byte(i), 0xff}
		if got := s.pass(body, shapes[0]); !bytes.Equal(got, body) {
			t.Errorf("got %q", got)
		}
	}
}
