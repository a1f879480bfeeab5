package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"taffrail/internal/config"
	"taffrail/internal/event"
	"taffrail/internal/synthetic"
	eventlog "taffrail/log"
)

// newDaemon returns a daemon on a state directory of its own, which ships to
// remote unless that is empty.
func newDaemon(t *testing.T, stateDir, remote string) *daemon {
	t.Helper()
	cfg := config.Default()
	cfg.Health.Listen = "127.0.0.1:0"
	cfg.Remote.URL = remote
	cfg.Remote.ClockHold = 0 // no clock here is known to be right
	cfg.Remote.Timeout = config.Duration(time.Second)
	jobs, err := newJobs(cfg.Collectors, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return &daemon{cfg: cfg, jobs: jobs, stateDir: stateDir, logger: zerolog.Nop()}
}

// runUntil runs the daemon until the log has ticks of it, and stops it.
func runUntil(t *testing.T, d *daemon, ticks int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	taken := make(chan struct{}, 1000)
	d.witness = writerFunc(func(b []byte) (int, error) {
		taken <- struct{}{}
		return len(b), nil
	})
	done := make(chan error, 1)
	go func() { done <- d.run(ctx) }()
	for range ticks {
		select {
		case <-taken:
		case err := <-done:
			t.Fatalf("the daemon ended: %v", err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatalf("the daemon ended with %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestContextCancellation_GracefulShutdown stops a daemon whose receiver takes
// connections and never answers: it ends all the same, its session too, and what
// it collected is in the log.
func TestContextCancellation_GracefulShutdown(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	dir := t.TempDir()
	began := time.Now()
	runUntil(t, newDaemon(t, dir, "http://"+silent.Addr().String()), 3)
	if took := time.Since(began); took > lastUploadTimeout+10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	info, err := eventlog.Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Records["plan"] != 1 || info.Shipped.Acknowledged != 0 {
		t.Errorf("%v, acknowledged %d: nothing was tried, or too much believed", info.Records, info.Shipped.Acknowledged)
	}
	if len(info.Sessions) != 1 || info.Sessions[0].End != event.EndCompleted || info.Sessions[0].Ticks < 3 || len(info.Damage) > 0 {
		t.Errorf("%+v, damage %v", info.Sessions, info.Damage)
	}
	if _, err := os.Stat(filepath.Join(dir, indexName)); err != nil {
		t.Error(err)
	}
}

// TestSessionOfAnotherBootLostItsPower leaves a session behind as a boot would
// that has ended, and needs no kernel that shows another boot id.
func TestSessionOfAnotherBootLostItsPower(t *testing.T) {
	dir := t.TempDir()
	left := event.Context{SessionID: "cut off", BootID: "another boot", DeviceID: "d"}
	l, err := eventlog.Open(logDir(dir), eventlog.Options{Context: left})
	if err != nil {
		t.Fatal(err)
	}
	device := synthetic.NewDevice(5, 1000, event.Stamp{WallMS: event.PlausibleSinceMS, BootMS: 1000}, 1)
	tick := device.Next()
	for _, ev := range []event.Event{
		&event.Session{Stamp: tick.Stamp, Phase: event.SessionStart, ID: left.SessionID, BootID: left.BootID, DeviceID: left.DeviceID},
		tick,
	} {
		if _, err := l.Append(ev); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	runUntil(t, newDaemon(t, dir, ""), 1)
	info, err := eventlog.Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Sessions) != 2 || info.Sessions[0].End != event.EndPowerLost || info.Sessions[0].LastMS != tick.WallMS || info.Sessions[1].End != event.EndCompleted {
		t.Errorf("%+v", info.Sessions)
	}
}

// TestDaemonRunsOnADamagedLog flips a bit in each of 100 random places of older
// segments, one after the other. Each time verification names the place, all
// that lies outside the damaged group is read, and the log takes more.
func TestDaemonRunsOnADamagedLog(t *testing.T) {
	dir := t.TempDir()
	log := logDir(dir)
	makeOldLog(t, log)
	intact := recordsOf(t, log)
	older, err := filepath.Glob(filepath.Join(log, "0*"))
	if err != nil || len(older) < 4 {
		t.Fatalf("%d segments, %v", len(older), err)
	}
	older = older[:len(older)-1]
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		path := older[random.IntN(len(older))]
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := random.IntN(len(whole))
		flipped := slices.Clone(whole)
		flipped[at] ^= 1 << random.IntN(8)
		if err := os.WriteFile(path, flipped, 0o640); err != nil {
			t.Fatal(err)
		}
		checkDamage(t, dir, path, int64(at), intact)
		if err := os.WriteFile(path, whole, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range older { // and now all of them at once
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole[random.IntN(len(whole))] ^= 0x10
		if err := os.WriteFile(path, whole, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	runUntil(t, newDaemon(t, dir, ""), 3)
}

// makeOldLog makes a log of a few small segments, of several groups each.
func makeOldLog(t *testing.T, dir string) {
	t.Helper()
	l, err := eventlog.Open(dir, eventlog.Options{SegmentSize: 8 << 10, SyncInterval: time.Hour, Context: event.Context{BootID: "b", DeviceID: "d"}})
	if err != nil {
		t.Fatal(err)
	}
	device := synthetic.NewDevice(20, 1000, event.Stamp{WallMS: event.PlausibleSinceMS, BootMS: 1000}, 1)
	for range 1000 {
		if _, err := l.Append(device.Next()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// place is a record of a log and the file that holds it.
type place struct {
	segment     string
	offset, end int64
}

func recordsOf(t *testing.T, path string) map[uint64]place {
	t.Helper()
	r, err := eventlog.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := map[uint64]place{}
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return all
		}
		if errors.Is(err, eventlog.ErrCorrupt) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all[rec.Index] = place{rec.Segment, rec.Offset, rec.Offset + rec.Size}
	}
}

func checkDamage(t *testing.T, dir, path string, at int64, intact map[uint64]place) {
	t.Helper()
	v, err := eventlog.Verify(dir)
	if err != nil || !v.Damaged {
		t.Fatalf("%s, byte %d: damaged is %t, %v", path, at, v.Damaged, err)
	}
	named := false
	for _, s := range v.Segments {
		for _, d := range s.Damage {
			named = named || d.Segment == filepath.Base(path) && d.Offset <= at && at < d.End
			if d.Segment != filepath.Base(path) {
				t.Errorf("%s, byte %d: damage in %s", path, at, d.Segment)
			}
		}
	}
	if !named {
		t.Errorf("%s, byte %d: the place is not named", path, at)
	}
	got := recordsOf(t, dir)
	for index, p := range intact {
		if _, ok := got[index]; ok {
			continue
		}
		// A group has 60 ticks: what is lost lies at the place or, in the same
		// segment, less than a group behind it.
		if p.segment != path || p.end <= at || index > 60 && intact[index-60].segment == path && intact[index-60].offset > at {
			t.Errorf("%s, byte %d: record %d is lost", path, at, index)
		}
	}
	l, err := eventlog.Open(logDir(dir), eventlog.Options{})
	if err != nil {
		t.Fatalf("%s, byte %d: %v", path, at, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
