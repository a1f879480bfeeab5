package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taffrail/internal/victoria"
	"taffrail/tools/badlink"
)

func TestDecodeTime(t *testing.T) {
	at, ok, err := decodeTime(strings.NewReader(`{"status":"success","data":{"result":[{"metric":{},"value":[1790000001,"1790000000.123"]}]}}`))
	if err != nil || !ok || at.UnixMilli() != 1790000000123 {
		t.Errorf("got %v, %v (%v)", at, ok, err)
	}
	if _, ok, err := decodeTime(strings.NewReader(`{"status":"success","data":{"result":[]}}`)); ok || err != nil {
		t.Errorf("of nothing: %v (%v)", ok, err)
	}
	for _, text := range []string{"", "<html>", `{"status":"error"}`, `{"status":"success","data":{"result":[{"value":[1,2]}]}}`} {
		if at, ok, err := decodeTime(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %v, %v", text, at, ok)
		}
	}
}

func TestParseMemory(t *testing.T) {
	const status = "Name:\ttaffrail\nVmPeak:\t 1240000 kB\nVmHWM:\t   20480 kB\nVmRSS:\t   18432 kB\nThreads:\t9\n"
	if m, ok := parseMemory([]byte(status)); !ok || m != (memory{resident: 18432 << 10, peak: 20480 << 10}) {
		t.Errorf("got %+v, %v", m, ok)
	}
	for _, text := range []string{"", "VmRSS:\t 1 kB\n", "VmHWM:\t x kB\nVmRSS:\t 1 kB\n"} {
		if m, ok := parseMemory([]byte(text)); ok {
			t.Errorf("%q: %+v", text, m)
		}
	}
	if m, ok := readMemory(os.Getpid()); ok && (m.resident < 1<<20 || m.peak < 1<<20) {
		t.Errorf("this process has %+v", m)
	}
	if _, ok := readMemory(-1); ok {
		t.Error("no process has memory")
	}
}

// TestNewestAndRowsOfARealReceiver sends through a link of the kind that the
// daemon gets.
func TestNewestAndRowsOfARealReceiver(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // building it takes the most
	defer cancel()
	vm, err := victoria.Start(ctx, victoria.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Stop()
	link, err := badLink(vm, options{})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if at, ok, err := newest(ctx, vm); ok || err != nil {
		t.Errorf("an empty receiver has %v, %v (%v)", at, ok, err)
	}
	for _, age := range []time.Duration{90 * 24 * time.Hour, 10 * time.Second} {
		want := time.Now().Add(-age).UnixMilli()
		line := fmt.Sprintf(`{"metric":{"__name__":"m"},"values":[1],"timestamps":[%d]}`, want)
		resp, err := http.Post(link.URL+"/api/v1/import", "", strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if at, ok, err := newest(ctx, vm); !ok || err != nil || at.UnixMilli() != want {
			t.Errorf("newest is %v, %v (%v), want %v", at, ok, err, time.UnixMilli(want))
		}
	}
	if err := waitRows(ctx, vm, 2); err != nil {
		t.Error(err)
	}
	if err := link.SetState(badlink.Refusing); err != nil {
		t.Fatal(err)
	}
	short, cancelShort := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancelShort()
	if err := waitRows(short, vm, 3); err == nil {
		t.Error("the receiver has three samples")
	}
}

func TestSizeOfADirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, bytes := range map[string]int{"x": 10, "a/y": 20, "a/b/z": 30} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, bytes), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := size(dir); err != nil || n != 60 {
		t.Errorf("%d bytes (%v), want 60", n, err)
	}
	if _, err := size(filepath.Join(dir, "none")); err == nil {
		t.Error("a directory that is not there has a size")
	}
}
