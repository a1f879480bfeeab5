package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"taffrail/internal/victoria"
	"taffrail/tools/agent"
	"taffrail/tools/badlink"
)

const (
	// settleLooks bounds the time in which a daemon must be done, in its minutes
	// between two looks. It takes ten where the receiver drops samples and does not
	// say that it merges.
	settleLooks = 13
	// settleSlack is for what is not waiting.
	settleSlack  = 30 * time.Second
	pollInterval = 100 * time.Millisecond
	// lastInterval is between two readings of the last daemon: it has one of them,
	// so that there is an end to what it sends.
	lastInterval = time.Hour
)

// trial is a scenario with all that it is made of.
type trial struct {
	programs
	scenario
	minute   time.Duration
	dir      string
	address  string // of the daemon's health server
	receiver *victoria.Server
	link     *badlink.Link
	report   report
}

// runTrial runs a scenario with all its files in dir. The error says that it could
// not be run; what it found is in the report.
func runTrial(ctx context.Context, p programs, s scenario, dir string, opts options) (_ *report, err error) {
	began := time.Now()
	t := &trial{programs: p, scenario: s, minute: opts.minute, dir: dir, address: victoria.FreeAddress(), report: report{name: s.name}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := s.history.write(t.stateDir(), began); err != nil {
		return nil, err
	}
	t.receiver, err = victoria.Start(ctx, victoria.Options{Dir: dir, Flags: s.flags()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.receiver.Stop()) }()
	t.link, err = badlink.Start(badlink.Options{Target: t.receiver.URL, Seed: opts.seed})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.link.Close()) }()
	if s.collects {
		t.mend(s.collecting)
		if err := t.run(ctx, tickInterval, collect); err != nil {
			return nil, err
		}
	}
	t.mend(s.settling)
	if err := t.run(ctx, lastInterval, t.settle); err != nil {
		return nil, err
	}
	if err := t.link.WaitLate(ctx); err != nil {
		return nil, err
	}
	if err := t.check(ctx); err != nil {
		return nil, err
	}
	t.report.took = time.Since(began)
	return &t.report, nil
}

func (t *trial) stateDir() string { return filepath.Join(t.dir, "taffrail-data") }

// mend lets the link do what it is to do from now on.
func (t *trial) mend(modes func() []badlink.Mode) {
	if modes == nil {
		t.link.Set()
		return
	}
	t.link.Set(modes()...)
}

// run runs the daemon for as long as work takes and stops it in order. What is
// wrong with the daemon goes into the report.
func (t *trial) run(ctx context.Context, interval time.Duration, work func(context.Context, *agent.Daemon) error) error {
	d, err := t.startDaemon(ctx, interval)
	if err != nil {
		t.report.problem(err.Error())
		return ctx.Err()
	}
	defer d.Kill() // does nothing after an orderly stop
	if err := work(ctx, d); err != nil {
		t.report.problem(err.Error())
	}
	if err := d.StopInOrder(); err != nil {
		t.report.problem(err.Error())
	}
	return ctx.Err()
}

// collect lets the daemon collect for a while.
func collect(ctx context.Context, d *agent.Daemon) error {
	timer := time.NewTimer(collectTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.Done():
		return d.Ended()
	case <-timer.C:
		return nil
	}
}

// settle waits until the daemon has nothing left to do.
func (t *trial) settle(ctx context.Context, d *agent.Daemon) error {
	began := time.Now()
	defer func() { t.report.end = time.Since(began) }()
	if t.repairing != nil {
		if err := t.await(ctx, d, settleSlack, (*progress).sent); err != nil {
			return err
		}
		t.mend(t.repairing)
	}
	return t.await(ctx, d, settleLooks*t.minute+settleSlack, (*progress).done)
}

// await waits for a condition of the daemon.
func (t *trial) await(ctx context.Context, d *agent.Daemon, bound time.Duration, condition func(*progress) bool) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for deadline := time.Now().Add(bound); ; {
		p, err := readProgress(ctx, d)
		if err != nil {
			return err
		}
		t.report.last = p
		switch {
		case condition(&p):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("not done after %v: %s", bound, &p)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-d.Done():
			return d.Ended()
		case <-tick.C:
		}
	}
}
