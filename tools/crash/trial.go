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

const collectInterval = 200 * time.Millisecond

// programs are the paths of what is under test.
type programs struct {
	daemon, logtool string
}

// setup says what a trial is made of, its seed apart.
type setup struct {
	programs
	mode  mode
	pace  pace
	kills int
}

// settles reports whether the trial waits until all is settled. Where the receiver
// was never killed, what it acknowledged is there.
func (s *setup) settles() bool { return s.pace == storm || s.pace == steady || s.pace == swaps }

// trial is one daemon's state directory with one receiver, from their first
// start to the comparison.
type trial struct {
	setup
	schedule
	dir      string
	address  string // of the daemon's health server
	receiver *victoria.Server
	recorder *recorder
	witness  witness

	mu     sync.Mutex // guards report while the trial is disturbed
	report report
}

// runTrial runs the schedule of a seed with all its files in dir. The error says
// that the trial could not be made; what it found is in the report.
func runTrial(ctx context.Context, s setup, dir string, seed uint64) (_ *report, err error) {
	began := time.Now()
	t := &trial{
		setup:    s,
		schedule: newSchedule(seed, s.kills, s.pace),
		dir:      dir,
		address:  victoria.FreeAddress(),
		report:   report{mode: s.mode.name, seed: seed},
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	t.receiver, err = victoria.Start(ctx, victoria.Options{Dir: dir, Flags: s.mode.flags})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.receiver.Stop()) }()
	t.recorder, err = startRecorder(t.receiver.URL, filepath.Join(t.stateDir(), "log"), s.mode.lostShare, t.answers)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.recorder.close()) }()
	if s.pace == swaps {
		t.recorder.swaps = newSwapper(t.swaps)
	}
	for i := range t.acts {
		if err := t.play(ctx, &t.acts[i]); err != nil {
			return nil, err
		}
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

// problem notes a problem while the trial is disturbed.
func (t *trial) problem(of kind, lines ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.problem(of, lines...)
}

// play starts and kills the daemon again and again, while the receiver comes and
// goes. In the end the receiver is there.
func (t *trial) play(ctx context.Context, a *act) (err error) {
	outages, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	var failed error
	go func() {
		defer close(done)
		failed = t.disturb(outages, a.outages)
	}()
	defer func() {
		cancel()
		<-done
		err = errors.Join(err, failed, t.bringBack(ctx))
	}()
	for i := 0; ; i++ {
		var l life
		switch {
		case i < len(a.lives):
			l = a.lives[i]
		case len(a.spare) == 0 || closed(done):
			return nil
		default:
			l = a.spare[(i-len(a.lives))%len(a.spare)]
		}
		if err := t.live(ctx, l); err != nil {
			return fmt.Errorf("run of the daemon: %w", err)
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// live runs the daemon until it is killed. One that ends before is reported.
func (t *trial) live(ctx context.Context, l life) error {
	d, err := t.start(l, collectInterval)
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
		t.problem(running, d.Ended().Error())
	case <-timer.C:
		if l.orderly {
			if err := d.StopInOrder(); err != nil {
				t.problem(running, err.Error())
			}
			return nil
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.report.kills++
		if l.length < startLife {
			t.report.early++
		}
	}
	return nil
}

// start starts the daemon with the limits of a life.
func (t *trial) start(l life, collect time.Duration) (*agent.Daemon, error) {
	file := filepath.Join(t.dir, "taffrail.yaml")
	if err := os.WriteFile(file, []byte(configuration(t.recorder.url, t.mode, l)), 0o644); err != nil {
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
		Interval: collect,
		Witness:  witness,
	})
}

// disturb kills or stops the receiver and starts it again, for each outage, until
// ctx is done. It may leave it away.
func (t *trial) disturb(ctx context.Context, outages []outage) error {
	for _, o := range outages {
		if !sleep(ctx, o.up) {
			return nil
		}
		if o.kill {
			t.receiver.Kill()
		} else if err := t.receiver.Stop(); err != nil {
			return err
		}
		t.mu.Lock()
		if o.kill {
			t.report.receiverKills++
		} else {
			t.report.stops++
		}
		t.mu.Unlock()
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
