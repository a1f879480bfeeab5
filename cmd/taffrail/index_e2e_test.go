package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"taffrail/internal/event"
	"taffrail/internal/synthetic"
	eventlog "taffrail/log"
	"taffrail/migrations"
	"taffrail/projections"
)

// TestE2E_IndexIsBuiltAgain takes the index away from the real daemon: while it
// is stopped, while it runs, and by killing it again and again during the
// rebuild. Each time the index that comes out has the same content as one that
// is built from the log's files alone.
func TestE2E_IndexIsBuiltAgain(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), e2eBound)
	defer cancel()
	d := startDaemon(t, buildDaemon(t, ctx), "http://"+freeAddress(t))
	d.awaitTicks(t, ctx)
	stop := func() {
		t.Helper()
		if err := d.process.Stop(30 * time.Second); err != nil {
			t.Fatalf("stop: %s\n%s", err, d.process.Output())
		}
		if got, want := dumpOf(t, d.stateDir), dumpFromLog(t, d.stateDir); !bytes.Equal(got, want) {
			t.Fatalf("the index has %d bytes of content, one from the log alone %d, and they differ", len(got), len(want))
		}
	}
	stop()

	removeIndex(t, d.stateDir)
	d = d.again(t)
	d.awaitIndex(t, ctx, 0)
	removeIndex(t, d.stateDir) // it runs
	d.awaitIndex(t, ctx, 1)
	stop()

	fillLog(t, d.stateDir)
	removeIndex(t, d.stateDir)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	longest := 300 * time.Millisecond
	for kills := 0; kills < 20; {
		d = d.again(t)
		select {
		case <-d.process.Done():
			t.Fatalf("the daemon ended: %s", d.process.Output())
		case <-time.After(time.Duration(random.Int64N(int64(longest)))):
		}
		index, answers := d.health(t, ctx).Components["storage"]
		d.process.Kill()
		switch {
		case !answers: // on a slow machine it takes longer to start
			longest += 10 * time.Millisecond
		case index.Details.CaughtUp: // too late; once more from nothing
			removeIndex(t, d.stateDir)
		default:
			kills++
		}
	}
	d = d.again(t)
	d.awaitIndex(t, ctx, 0)
	stop()
}

func removeIndex(t *testing.T, stateDir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(stateDir, indexName+"*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no index to remove: %v", err)
	}
	for _, path := range files {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// awaitIndex waits until the index was rebuilt a number of times while the
// daemon ran, and has caught up.
func (d *runningDaemon) awaitIndex(t *testing.T, ctx context.Context, rebuilds int) {
	t.Helper()
	d.await(t, ctx, "the index has caught up", func() bool {
		s := d.health(t, ctx).Components["storage"].Details
		return s.CaughtUp && s.Rebuilds >= rebuilds
	})
}

// fillLog appends what takes a while to index.
func fillLog(t *testing.T, stateDir string) {
	t.Helper()
	l, err := eventlog.Open(logDir(stateDir), eventlog.Options{SyncInterval: time.Hour, Context: event.Context{SessionID: "filler", BootID: "b", DeviceID: "e2e"}})
	if err != nil {
		t.Fatal(err)
	}
	device := synthetic.NewDevice(200, 1000, event.Stamp{WallMS: event.PlausibleSinceMS, BootMS: 1000}, 1)
	for range 2000 {
		if _, err := l.Append(device.Next()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func dumpOf(t *testing.T, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := projections.Dump(t.Context(), filepath.Join(dir, indexName), &out); err != nil {
		t.Fatal(err)
	}
	if out.Len() == 0 {
		t.Fatal("the index is empty")
	}
	return out.Bytes()
}

// dumpFromLog builds an index of the log in a state directory, elsewhere.
func dumpFromLog(t *testing.T, stateDir string) []byte {
	t.Helper()
	l, err := eventlog.Open(logDir(stateDir), eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	_, err = projections.Build(t.Context(), projections.Options{
		Path:    filepath.Join(dir, indexName),
		Migrate: migrations.MigrateIndex,
		Open: func(from uint64) (projections.Source, error) {
			return indexSource{readable{reader: l.NewReader(from)}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return dumpOf(t, dir)
}
