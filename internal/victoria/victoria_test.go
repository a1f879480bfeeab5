package victoria

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bound is for everything that a test waits for; building takes the most.
func bound(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func startServer(t *testing.T, opts Options) *Server {
	t.Helper()
	s, err := Start(bound(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func importLines(t *testing.T, s *Server, lines ...string) {
	t.Helper()
	body := strings.NewReader(strings.Join(lines, "\n") + "\n")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/v1/import", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("the import answered %s", resp.Status)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

const (
	lineA = `{"metric":{"__name__":"a","device_id":"d1"},"values":[1,2.5],"timestamps":[1780000000000,1780000001000]}`
	lineB = `{"metric":{"__name__":"b","device_id":"d1","core":"0"},"values":[-3e300],"timestamps":[1780000000001]}`
	other = `{"metric":{"__name__":"a","device_id":"d2"},"values":[7],"timestamps":[1780000000000]}`
)

func TestServerKeepsWhatItTookOverRestarts(t *testing.T) {
	s := startServer(t, Options{Dir: t.TempDir()})
	importLines(t, s, lineA, lineB, other)
	importLines(t, s, lineA)

	if n, err := s.RowsAdded(t.Context()); err != nil || n != 6 {
		t.Errorf("RowsAdded is %d (%v), want 6", n, err)
	}
	raw, err := s.Export(t.Context(), `{device_id="d1"}`)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) != 2 || !slices.Equal(raw[0].Values, []float64{1, 1, 2.5, 2.5}) {
		t.Errorf("the raw export is %v, want series a with each sample twice, and b", raw)
	}
	wantDevice1(t, s)
	for match, want := range map[string]uint64{`{device_id="d1"}`: 3, `{device_id=~"d.+"}`: 4, `{device_id="none"}`: 0} {
		if n, err := s.Count(t.Context(), match); err != nil || n != want {
			t.Errorf("Count of %s is %d (%v), want %d", match, n, err, want)
		}
	}

	// What is a moment old, and what is ahead, is there at once.
	now := time.Now().UnixMilli()
	importLines(t, s, fmt.Sprintf(`{"metric":{"__name__":"now"},"values":[1,2],"timestamps":[%d,%d]}`, now, now+86_400_000))
	if n, err := s.Count(t.Context(), "now"); err != nil || n != 2 {
		t.Errorf("Count of what is new is %d (%v), want 2", n, err)
	}
	for _, export := range []func(context.Context, string) ([]Series, error){s.Export, s.ExportDeduplicated} {
		if all, err := export(t.Context(), "now"); err != nil || len(all) != 1 || len(all[0].Values) != 2 {
			t.Errorf("the export of what is new is %v (%v)", all, err)
		}
	}

	pid, url := s.PID(), s.URL
	if err := s.Restart(bound(t)); err != nil {
		t.Fatal(err)
	}
	if s.URL != url || s.PID() == pid {
		t.Errorf("after the restart: URL %s (before: %s), pid %d (before: %d)", s.URL, url, s.PID(), pid)
	}
	wantDevice1(t, s)
}

func wantDevice1(t *testing.T, s *Server) {
	t.Helper()
	got, err := s.ExportDeduplicated(t.Context(), `{device_id="d1"}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Series{
		{map[string]string{"__name__": "a", "device_id": "d1"}, []float64{1, 2.5}, []int64{1780000000000, 1780000001000}},
		{map[string]string{"__name__": "b", "device_id": "d1", "core": "0"}, []float64{-3e300}, []int64{1780000000001}},
	}
	equalSeries(t, got, want)
}

func TestServerIsGoneAfterItsEnd(t *testing.T) {
	s := startServer(t, Options{Dir: t.TempDir()})
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	wantGone(t, s)
	if err := s.Stop(); err != nil {
		t.Errorf("the second Stop: %v", err)
	}
	if err := s.Restart(bound(t)); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	wantGone(t, s)
	s.Kill()
	if err := s.Stop(); err != nil {
		t.Errorf("Stop after Kill: %v", err)
	}
	if _, err := s.Export(t.Context(), `{a="b"}`); err == nil {
		t.Error("Export from a dead server returned no error")
	}
}

func wantGone(t *testing.T, s *Server) {
	t.Helper()
	if err := syscall.Kill(s.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d: %v, want it gone", s.PID(), err)
	}
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		t.Errorf("the port is still taken: %v", err)
		return
	}
	_ = l.Close()
}

func TestFlagReplacesDefault(t *testing.T) {
	s := startServer(t, Options{Dir: t.TempDir(), Flags: []string{"-dedup.minScrapeInterval=0s"}})
	importLines(t, s, other)
	importLines(t, s, other)
	got, err := s.ExportDeduplicated(t.Context(), `{device_id="d2"}`)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || len(got[0].Values) != 2 {
		t.Errorf("got %v, want both samples of a server that does not deduplicate", got)
	}
}

func TestTakenPortIsNotedAndNotUsed(t *testing.T) {
	first := startServer(t, Options{Dir: t.TempDir()})
	s, err := newServer(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s.program, s.listen, s.URL = first.program, first.listen, first.URL
	s.mu.Lock()
	err = s.startLocked(bound(t))
	s.mu.Unlock()
	if !errors.Is(err, errPortTaken) {
		t.Errorf("the start returned %v, want errPortTaken", err)
	}
	if err := syscall.Kill(s.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d: %v, want it gone", s.PID(), err)
	}
}

func TestStartRefusesBadOptions(t *testing.T) {
	for name, opts := range map[string]Options{
		"no directory":     {},
		"flag for storage": {Dir: t.TempDir(), Flags: []string{"--storageDataPath=/tmp"}},
		"flag for address": {Dir: t.TempDir(), Flags: []string{"-httpListenAddr=:80"}},
		"unknown flag":     {Dir: t.TempDir(), Flags: []string{"-no.such.flag=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := Start(bound(t), opts); err == nil {
				s.Kill()
				t.Error("the server started")
			}
		})
	}
}

func TestFreeAddressIsNoPortOfAConnection(t *testing.T) {
	for range 100 {
		addr, err := net.ResolveTCPAddr("tcp", FreeAddress())
		if err != nil {
			t.Fatal(err)
		}
		if !addr.IP.IsLoopback() || addr.Port < firstPort || addr.Port > lastPort {
			t.Errorf("got %v", addr)
		}
	}
}
