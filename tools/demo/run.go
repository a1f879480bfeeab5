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
	"taffrail/tools/reconcile"
)

const (
	// lineInterval is the time between two lines of progress.
	lineInterval = 5 * time.Second
	// endBound is the longest time for the comparison in the end.
	endBound = 2 * time.Minute
	// shownDifferences is how many differences are printed.
	shownDifferences = 10
	// everything is the selector of all series: nothing else sends to this
	// receiver, so what the log does not hold has no place in it.
	everything = `{__name__!=""}`
)

// errDiffer says that log and receiver do not hold the same.
var errDiffer = errors.New("the receiver does not hold what the log holds")

type options struct {
	length   time.Duration // 0: until ctx ends
	interval time.Duration // between two readings of a collector
	dir      string        // "": a temporary one
	keep     bool
}

// run is the whole demo. It returns an error that wraps errDiffer if it came
// to the comparison and that failed.
func run(ctx context.Context, opts options, out io.Writer) (err error) {
	dir, remove, err := directory(opts)
	if err != nil {
		return err
	}
	measured := false
	defer func() {
		// After a failure the files are what there is to look at.
		if measured && err != nil || !remove {
			fmt.Fprintln(out, "files are in", dir)
			return
		}
		if rmErr := os.RemoveAll(dir); rmErr != nil && err == nil {
			err = fmt.Errorf("remove files: %w", rmErr)
		}
	}()

	fmt.Fprintln(out, "building; this takes a minute or two where nothing is cached")
	program, err := agent.Build(ctx, dir, "taffrail", "")
	if err != nil {
		return err
	}
	receiver, err := victoria.Start(ctx, victoria.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, receiver.Stop()) }()

	measured = true
	d, err := startDaemon(ctx, program, dir, receiver.URL, opts.interval)
	if err != nil {
		return err
	}
	defer d.Kill() // does nothing after an orderly stop
	fmt.Fprintf(out, "VictoriaMetrics  %s/vmui\ntaffrail         %s/health\n", receiver.URL, d.URL)

	if err := watch(ctx, opts.length, d, receiver, out); err != nil {
		return err
	}
	// From here on an interrupt that ended the watching must not end the rest.
	endCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endBound)
	defer cancel()
	if err := d.StopInOrder(); err != nil {
		return err
	}
	return settle(endCtx, stateDir(dir), receiver, out)
}

// directory returns where the demo's files go, and whether to remove them.
func directory(opts options) (dir string, remove bool, err error) {
	if opts.dir == "" {
		dir, err = os.MkdirTemp("", "taffrail-demo-")
		return dir, !opts.keep, err
	}
	if dir, err = filepath.Abs(opts.dir); err != nil {
		return "", false, err
	}
	return dir, false, os.MkdirAll(dir, 0o755)
}

// watch prints a line every few seconds until the time is over. It returns an
// error if the daemon ends.
func watch(ctx context.Context, length time.Duration, d *agent.Daemon, receiver *victoria.Server, out io.Writer) error {
	if length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	tick := time.NewTicker(lineInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.Done():
			return d.Ended()
		case <-tick.C:
		}
		line, err := progress(ctx, d, receiver)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			line = err.Error()
		}
		fmt.Fprintln(out, time.Now().Format(time.TimeOnly), line)
	}
}

// progress asks the daemon and the receiver for their counts.
func progress(ctx context.Context, d *agent.Daemon, receiver *victoria.Server) (string, error) {
	counts, err := d.Counts(ctx)
	if err != nil {
		return "", err
	}
	if err := receiver.Flush(ctx); err != nil {
		return "", err
	}
	found, err := receiver.Count(ctx, everything)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("appended %6d   acknowledged %6d   found %6d", counts.Appended, counts.Acknowledged, found), nil
}

// settle compares the log with the receiver and prints the outcome.
func settle(ctx context.Context, state string, receiver *victoria.Server, out io.Writer) error {
	log, err := reconcile.ReadLog(state)
	if err != nil {
		return err
	}
	if err := receiver.Flush(ctx); err != nil {
		return err
	}
	exported, err := receiver.ExportDeduplicated(ctx, everything)
	if err != nil {
		return err
	}
	o := reconcile.Judge(log, exported)
	fmt.Fprintln(out, o.Summary())
	if o.OK() {
		return nil
	}
	for _, d := range o.Differences[:min(shownDifferences, len(o.Differences))] {
		fmt.Fprintln(out, " ", d)
	}
	return fmt.Errorf("%w: %d differences", errDiffer, len(o.Differences))
}
