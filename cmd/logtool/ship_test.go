package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	eventlog "taffrail/log"
	"taffrail/shipper"
)

// Progress is shown on a terminal, and taken back before anything else is said.
func TestShipShowsProgress(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	writeDevice(dir, 2000, 1, eventlog.DefaultSegmentSize, func(err error) { t.Fatal(err) })
	server := httptest.NewServer(&scriptedReceiver{stored: map[string]map[int64]bool{}})
	defer server.Close()
	for _, terminal := range []bool{false, true} {
		c, out, diagnostics := testConsole()
		c.errTerminal = terminal
		c.wait = func(context.Context, time.Duration) error { return nil }
		if code := run([]string{"ship", "--remote", server.URL + "/open/api/v1/import", dir}, c); code != exitDone {
			t.Fatalf("exit code %d: %s", code, diagnostics)
		}
		if !strings.HasPrefix(out.String(), "device        edge-7\n") || !strings.Contains(out.String(), "\nmissing       0\n") {
			t.Errorf("printed %q", out)
		}
		got := diagnostics.String()
		if !terminal {
			if got != "" {
				t.Errorf("said %q", got)
			}
			continue
		}
		for _, want := range []string{"\r256 records read, at 2026-07-01T12:0", "\r256 of 2001 records compared, 0 samples sent, at 2026-07-01T12:0"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not in %q", want, got)
			}
		}
		if !strings.HasSuffix(got, "\r\x1b[K") {
			t.Errorf("left %q behind", got)
		}
	}
}

func TestShipSaysWhatItWaitsFor(t *testing.T) {
	got := progressText(shipper.Progress{Stage: shipper.Waiting, Sent: 5, Left: 42*time.Second + 300*time.Millisecond})
	if got != "5 samples sent, looking again in 42s" {
		t.Errorf("%q", got)
	}
}

// How it ends: with what is missing before what is damaged, and not in silence
// where a connection to the receiver broke.
func TestShipEnds(t *testing.T) {
	broken := fmt.Errorf("export from the receiver: %w", syscall.EPIPE)
	ended, end := context.WithCancel(t.Context())
	end()
	missing := &shipped{Summary: shipper.Summary{Missing: 3, Refused: 1}, DamagedPlaces: 1}
	for name, c := range map[string]struct {
		ctx  context.Context
		done *shipped
		err  error
		code int
		says string
	}{
		"done":          {t.Context(), &shipped{}, nil, exitDone, ""},
		"done and told": {ended, &shipped{}, nil, exitDone, ""},
		"damage":        {t.Context(), &shipped{DamagedPlaces: 1}, nil, exitDamage, ""},
		"missing":       {t.Context(), missing, nil, exitFailed, "logtool: 4 samples are not at the receiver: 1 refused, 3 missing\n"},
		"broken":        {t.Context(), &shipped{}, broken, exitFailed, "logtool: export from the receiver: broken pipe\n"},
		"interrupted":   {ended, &shipped{}, context.Canceled, exitFailed, "logtool: interrupted; run it again to go on\n"},
		"unavailable": {t.Context(), &shipped{}, &shipper.SendError{Kind: shipper.ErrUnavailable, Reason: "reset"}, exitFailed,
			"logtool: receiver unavailable: reset; run it again to go on\n"},
	} {
		console, _, diagnostics := testConsole()
		code := console.finish((&shipCmd{}).verdict(c.ctx, c.done, c.err))
		if code != c.code || diagnostics.String() != c.says {
			t.Errorf("%s: exit code %d, said %q", name, code, diagnostics)
		}
	}
}
