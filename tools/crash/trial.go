package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"taffrail/internal/victoria"
	"taffrail/tools/agent"
)

const (
	collectInterval = 200 * time.Millisecond
	// catchUpBound is the longest time for what is left at the end.
	catchUpBound = time.Minute
	pollInterval = 50 * time.Millisecond
)

// programs are the paths of what is under test.
type programs struct {
	daemon, logtool string
}

// trial is one daemon's state directory with one receiver, from their first
// start to the comparison.
type trial struct {
	programs
	schedule
	dir      string
	address  string // of the daemon's health server
	receiver *victoria.Server
	recorder *recorder
	witness  witness
	report   report
}

// runTrial runs the schedule of a seed with all its files in dir. The error says
// that the trial could not be made; what it found is in the report.
func runTrial(ctx context.Context, p programs, dir string, seed uint64, kills int, stops bool) (_ *report, err error) {
	began := time.Now()
	t := &trial{
		programs: p,
		schedule: newSchedule(seed, kills, stops),
		dir:      dir,
		address:  victoria.FreeAddress(),
		report:   report{seed: seed},
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	t.receiver, err = victoria.Start(ctx, victoria.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.receiver.Stop()) }()
	t.recorder, err = startRecorder(t.receiver.URL, filepath.Join(t.stateDir(), "log"), t.answers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.recorder.close()) }()
	if err := t.disturb(ctx); err != nil {
		return nil, err
	}
	if err := t.finish(ctx); err != nil {
		return nil, err
	}
	if err := t.check(ctx); err != nil {
		return nil, err
	}
	t.report.took = time.Since(began)
	return &t.report, nil
}

func (t *trial) stateDir() string { return filepath.Join(t.dir, "taffrail-data") }

// disturb starts and kills the daemon again and again, while the receiver comes
// and goes. In the end the receiver is there.
func (t *trial) disturb(ctx context.Context) (err error) {
	outages, cancel := context.WithCancel(ctx)
	var stopped sync.WaitGroup
	var stopping error
	stopped.Go(func() { stopping = t.stopReceiver(outages) })
	defer func() {
		cancel()
		stopped.Wait()
		err = errors.Join(err, stopping, t.bringBack(ctx))
	}()
	for i, l := range t.lives[:len(t.lives)-1] {
		if err := t.live(ctx, l); err != nil {
			return fmt.Errorf("run %d of the daemon: %w", i+1, err)
		}
	}
	return nil
}

// live runs the daemon until it is killed. One that ends before is reported.
func (t *trial) live(ctx context.Context, l life) error {
	d, err := t.start(l)
	if err != nil {
		return err
	}
	defer d.Kill()
	timer := time.NewTimer(l.length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.Done():
		t.report.problem(running, d.Ended().Error())
	case <-timer.C:
		t.report.kills++
		if l.length < startLife {
			t.report.early++
		}
	}
	return nil
}

// start starts the daemon with the limits of a life.
func (t *trial) start(l life) (*agent.Daemon, error) {
	file := filepath.Join(t.dir, "taffrail.yaml")
	if err := os.WriteFile(file, []byte(configuration(t.recorder.url, l)), 0o644); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	witness, err := t.witness.pipe()
	if err != nil {
		return nil, err
	}
	defer witness.Close()
	return agent.Start(agent.Options{
		Program:  t.daemon,
		Config:   file,
		StateDir: t.stateDir(),
		Address:  t.address,
		Interval: collectInterval,
		Witness:  witness,
	})
}

// stopReceiver stops and starts the receiver until ctx is done, or the schedule
// has no more outages. It may leave it stopped.
func (t *trial) stopReceiver(ctx context.Context) error {
	for _, o := range t.outages {
		if !sleep(ctx, o.up) {
			return nil
		}
		if err := t.receiver.Stop(); err != nil {
			return err
		}
		t.report.stops++
		if !sleep(ctx, o.down) {
			return nil
		}
		if err := t.receiver.Restart(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// bringBack starts the receiver if it is away.
func (t *trial) bringBack(ctx context.Context) error {
	if t.receiver.Flush(ctx) == nil {
		return nil
	}
	return t.receiver.Restart(ctx)
}

// finish runs the daemon once more, undisturbed, until it has sent all that was
// in the log when it began, and stops it in order.
func (t *trial) finish(ctx context.Context) error {
	t.recorder.loseNoMore()
	d, err := t.start(t.lives[len(t.lives)-1])
	if err != nil {
		return err
	}
	defer d.Kill()
	if err := d.WaitReady(ctx); err != nil {
		t.report.problem(running, err.Error())
		return nil
	}
	if err := catchUp(ctx, d); err != nil {
		t.report.problem(running, err.Error())
	}
	if err := d.StopInOrder(); err != nil {
		t.report.problem(running, err.Error())
	}
	return ctx.Err()
}

// catchUp waits until the daemon has done with all that its log holds now.
func catchUp(ctx context.Context, d *agent.Daemon) error {
	first, err := d.Counts(ctx)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(catchUpBound)
	for now := first; now.Cursor < first.LastIndex; {
		if time.Now().After(deadline) {
			return fmt.Errorf("not caught up after %v: the log was at record %d then, now it is at %d and done with up to %d",
				catchUpBound, first.LastIndex, now.LastIndex, now.Cursor)
		}
		if !sleep(ctx, pollInterval) {
			return ctx.Err()
		}
		if now, err = d.Counts(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sleep waits and reports whether ctx was not done meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
