package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"taffrail/internal/event"
	"taffrail/internal/victoria/child"
	eventlog "taffrail/log"
)

// TestE2E_SessionEndings ends the real daemon in the three ways that there are:
// told to stop, killed, and gone with its boot. The next session records how the
// one before ended.
func TestE2E_SessionEndings(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), e2eBound)
	defer cancel()
	program := buildDaemon(t, ctx)
	d := startDaemon(t, program, "http://"+freeAddress(t))
	d.awaitTicks(t, ctx)
	if err := d.process.Stop(30 * time.Second); err != nil {
		t.Fatalf("stop: %s\n%s", err, d.process.Output())
	}
	d = d.again(t)
	d.awaitTicks(t, ctx)
	d.process.Kill()
	d = d.again(t)
	d.awaitTicks(t, ctx)
	d.process.Kill()
	d = d.inAnotherBoot(t)
	d.awaitTicks(t, ctx)
	if err := d.process.Stop(30 * time.Second); err != nil {
		t.Fatalf("stop: %s\n%s", err, d.process.Output())
	}

	info, err := eventlog.Inspect(d.stateDir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{event.EndCompleted, event.EndCrashed, event.EndPowerLost, event.EndCompleted}
	if len(info.Sessions) != len(want) {
		t.Fatalf("%d sessions, want %d: %+v", len(info.Sessions), len(want), info.Sessions)
	}
	for i, s := range info.Sessions {
		if s.End != want[i] {
			t.Errorf("session %d ended %q, want %q", i+1, s.End, want[i])
		}
		if s.Ticks == 0 || s.LastMS < s.StartMS || i > 0 && s.StartMS < info.Sessions[i-1].LastMS {
			t.Errorf("session %d: %+v", i+1, s)
		}
		if last := info.Sessions[len(want)-1]; i < len(want)-1 && (s.BootID == last.BootID || s.BootID != info.Sessions[0].BootID) {
			t.Errorf("session %d is of boot %q, the last of %q", i+1, s.BootID, last.BootID)
		}
	}
}

// awaitTicks waits until the session has recorded something.
func (d *runningDaemon) awaitTicks(t *testing.T, ctx context.Context) {
	t.Helper()
	before := uint64(0)
	d.await(t, ctx, "two more ticks are in the log", func() bool {
		now := d.health(t, ctx).Components["uploader"].Details.Appended
		if before == 0 {
			before = now
		}
		return before > 0 && now > before
	})
}

// inAnotherBoot starts the daemon where the kernel shows another boot id.
func (d *runningDaemon) inAnotherBoot(t *testing.T) *runningDaemon {
	t.Helper()
	bootID := filepath.Join(t.TempDir(), "boot_id")
	if err := os.WriteFile(bootID, []byte("00000000-1111-2222-3333-444444444444\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	listen := freeAddress(t)
	namespace := []string{"--mount"}
	if os.Geteuid() != 0 {
		namespace = append(namespace, "--map-root-user")
	}
	if out, err := exec.Command("unshare", append(namespace, "true")...).CombinedOutput(); err != nil {
		t.Skipf("kernel feature missing: mount namespaces (CLONE_NEWNS): %s", out)
	}
	args := append(namespace, "sh", "-c", `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`, bootID,
		d.program, "run", "--config", d.config, "--state-dir", d.stateDir, "--interval", "100ms", "--listen", listen)
	process, err := child.Start(exec.Command("unshare", args...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.Kill)
	next := *d
	next.process, next.url = process, "http://"+listen
	return &next
}
