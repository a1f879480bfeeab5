package main

import (
	"bytes"
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"taffrail/internal/event"
)

// TestE2E_ReloadEndsAWait gives the daemon an address where nothing is, so that it
// waits for its next attempt, and then the right one and SIGHUP: it goes on at
// once, and what was planned for the old address arrives at the new. A
// configuration that cannot be used changes nothing.
func TestE2E_ReloadEndsAWait(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), e2eBound)
	defer cancel()
	receiver := startReceiver(t, ctx)
	t.Setenv("TAFFRAIL_REMOTE_RETRY_MAX_ATTEMPTS", "2")
	t.Setenv("TAFFRAIL_REMOTE_RETRY_INITIAL_BACKOFF", "1h")
	t.Setenv("TAFFRAIL_REMOTE_RETRY_MAX_BACKOFF", "1h")
	d := startDaemon(t, buildDaemon(t, ctx), "http://"+freeAddress(t))
	d.await(t, ctx, "an upload has failed", func() bool {
		u := d.health(t, ctx).Components["uploader"].Details
		return u.Requests > 0 && u.Appended > 0
	})
	good, err := os.ReadFile(d.config)
	if err != nil {
		t.Fatal(err)
	}
	reload := func(yaml []byte) {
		if err := os.WriteFile(d.config, yaml, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(d.process.PID(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	reload(append([]byte("no.such.key: 1\n"), good...))
	d.await(t, ctx, "the bad configuration is refused", func() bool {
		return bytes.Contains([]byte(d.process.Output()), []byte("the new configuration is not used"))
	})
	at := bytes.Index(good, []byte("http://"))
	end := at + bytes.IndexByte(good[at:], '"')
	reload(append(append(append([]byte(nil), good[:at]...), receiver.URL...), good[end:]...))
	d.await(t, ctx, "what waited is acknowledged", func() bool {
		return d.health(t, ctx).Components["uploader"].Details.Acknowledged > 0
	})
	if err := d.process.Stop(30 * time.Second); err != nil {
		t.Fatalf("stop: %s\n%s", err, d.process.Output())
	}
	compareAll(t, ctx, d, receiver)
	checkEnds(t, d.stateDir, event.EndCompleted)
}
