package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"taffrail/internal/victoria"
	"taffrail/tools/agent"
	"taffrail/tools/badlink"
	"taffrail/tools/reconcile"
)

// errMissed says that the run did its work, and what it found is not good enough.
var errMissed = errors.New("not every bound was kept")

// endBound is the longest time for the comparison in the end.
const endBound = 10 * time.Minute

// run is the whole program.
func run(ctx context.Context, opts options, out io.Writer) (err error) {
	dir, remove, err := directory(opts)
	if err != nil {
		return err
	}
	defer func() {
		// After a failure the files are what there is to look at.
		if !remove || errors.Is(err, errMissed) {
			fmt.Fprintln(out, "files are in", dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	fmt.Fprintln(out, "building; this takes a minute or two where nothing is cached")
	program, err := agent.Build(ctx, dir, "taffrail", "")
	if err != nil {
		return err
	}
	r := &report{opts: opts}
	if err := measure(ctx, program, dir, r, out); err != nil {
		return err
	}
	if opts.vmagent {
		if r.vmagent, err = runVmagent(ctx, filepath.Join(dir, "vmagent"), opts, r.history, out); err != nil {
			return err
		}
	}
	if !r.print(out) {
		return errMissed
	}
	return nil
}

// directory returns where the files go, and whether to remove them.
func directory(opts options) (dir string, remove bool, err error) {
	if opts.dir == "" {
		dir, err = os.MkdirTemp("", "taffrail-backlog-")
		return dir, !opts.keep, err
	}
	if dir, err = filepath.Abs(opts.dir); err != nil {
		return "", false, err
	}
	if _, err := os.Stat(stateDir(dir)); err == nil {
		return "", false, fmt.Errorf("%s is there already; a run begins with nothing", stateDir(dir))
	}
	return dir, false, os.MkdirAll(dir, 0o755)
}

// stateDir is where the daemon keeps its state among the files of a run.
func stateDir(dir string) string { return filepath.Join(dir, "taffrail-data") }

// measure is the part of the run that the daemon has.
func measure(ctx context.Context, program, dir string, r *report, out io.Writer) (err error) {
	receiver, err := victoria.Start(ctx, victoria.Options{
		Dir:   dir,
		Flags: []string{"-dedup.minScrapeInterval=" + r.opts.dedup.String()},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, receiver.Stop()) }()
	link, err := badLink(receiver, r.opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, link.Close()) }()
	if err := link.SetState(badlink.Refusing); err != nil {
		return err
	}

	r.history = history{series: r.opts.series, ticks: r.opts.ticks(), interval: r.opts.interval, seed: r.opts.seed,
		end: time.Now().Truncate(time.Millisecond)}
	fmt.Fprintf(out, "writing %d samples into a log\n", r.history.samples())
	last, err := r.history.write(stateDir(dir))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "taffrail builds its index, without a receiver")
	start := func() (*agent.Daemon, error) { return startDaemon(ctx, program, dir, stateDir(dir), link.URL, r.opts) }
	indexing, err := start()
	if err != nil {
		return err
	}
	defer indexing.Kill() // does nothing after an orderly stop
	if r.indexing, err = indexHistory(ctx, indexing); err != nil {
		return err
	}
	daemon, err := start()
	if err != nil {
		return err
	}
	defer daemon.Kill()
	fmt.Fprintf(out, "taffrail runs without a receiver, %s/health\n", daemon.URL)
	if err := waitFresh(ctx, daemon); err != nil {
		return err
	}
	d := &drain{opts: r.opts, history: r.history, last: last, daemon: daemon, receiver: receiver, link: link, out: out}
	if r.measured, err = d.run(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := daemon.StopInOrder(); err != nil {
		return err
	}
	if r.drained.IsZero() {
		return nil // what is missing would be far too much to name
	}
	return compare(ctx, stateDir(dir), receiver, r, out)
}

// badLink starts a link to a receiver.
func badLink(receiver *victoria.Server, opts options) (*badlink.Link, error) {
	link, err := badlink.Start(badlink.Options{Target: receiver.URL, Seed: opts.seed, Plain: true})
	if err != nil {
		return nil, err
	}
	link.SetBandwidth(int(opts.bandwidth), int(opts.bandwidth))
	link.SetLatency(opts.latency)
	return link, nil
}

// compare compares the log with the receiver.
func compare(ctx context.Context, state string, receiver *victoria.Server, r *report, out io.Writer) error {
	fmt.Fprintln(out, "comparing log and receiver")
	ctx, cancel := context.WithTimeout(ctx, endBound)
	defer cancel()
	log, err := reconcile.ReadLog(state)
	if err != nil {
		return err
	}
	if err := receiver.Flush(ctx); err != nil {
		return err
	}
	if !wait(ctx, pageInterval) {
		return ctx.Err()
	}
	if r.added, err = receiver.RowsAdded(ctx); err != nil {
		return err
	}
	exported, err := receiver.ExportDeduplicated(ctx, everything)
	if err != nil {
		return err
	}
	outcome := reconcile.Judge(log, exported)
	r.outcome = &outcome
	return nil
}
