package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"taffrail/internal/victoria"
	"taffrail/tools/badlink"
	"taffrail/tools/reconcile"
)

const (
	// everything is the selector of all series: nothing else sends to this
	// receiver, so what the log does not hold has no place in it.
	everything = `{__name__!=""}`
	// checkBound is the longest time for all checks.
	checkBound = 2 * time.Minute
)

// evidence is what a trial has left behind.
type evidence struct {
	scenario *scenario
	log      contents
	samples  sifted
	sent     traffic
	reads    map[string]badlink.Count // what went to each path
	last     progress
	outcome  reconcile.Outcome
	found    int // samples at the receiver, before it merges any
	twice    int // of them, those of the same series and time as another
}

// check looks at what the trial has left behind.
func (t *trial) check(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, checkBound)
	defer cancel()
	if err := t.verify(ctx); err != nil {
		return err
	}
	e := &t.report.evidence
	e.scenario, e.last = &t.scenario, t.report.last
	e.sent, e.reads = newTraffic(t.link.Imports()), t.link.Counts()
	if e.log, err = readContents(t.stateDir()); err != nil {
		return err
	}
	if err := t.readSamples(ctx, e); err != nil {
		return err
	}
	if err := t.compare(ctx, e); err != nil {
		return err
	}
	t.report.problem(e.outcome.Differences...)
	t.report.problem(checkLedger(e)...)
	t.report.problem(t.expect(e)...)
	return nil
}

// verify runs logtool's own check.
func (t *trial) verify(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, t.logtool, "verify", t.stateDir()).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.report.problem(fmt.Sprintf("logtool verify: %v\n%s", err, bytes.TrimSpace(out)))
		return nil
	}
	return err
}

// readSamples reads what logtool exports.
func (t *trial) readSamples(ctx context.Context, e *evidence) (err error) {
	var out, messages bytes.Buffer
	export := exec.CommandContext(ctx, t.logtool, "export", "--format", "csv", t.stateDir())
	export.Stdout, export.Stderr = &out, &messages
	if err := export.Run(); err != nil {
		t.report.problem(fmt.Sprintf("logtool export: %v\n%s", err, bytes.TrimSpace(messages.Bytes())))
	}
	e.samples, err = sift(&out, &e.log)
	return err
}

// compare compares the receiver with the log, without what was given up, and as
// the receiver merges it.
func (t *trial) compare(ctx context.Context, e *evidence) error {
	if err := t.receiver.Flush(ctx); err != nil {
		return err
	}
	raw, err := t.receiver.Export(ctx, everything)
	if err != nil {
		return err
	}
	exported := raw
	if t.dedup > 0 {
		if exported, err = t.receiver.ExportDeduplicated(ctx, everything); err != nil {
			return err
		}
	}
	points := merged(e.samples.points, t.dedup)
	n := uint64(points.Count()) // that the ledger agrees is checked elsewhere
	e.outcome = reconcile.Judge(reconcile.Log{Points: points, Appended: n, Acknowledged: n, Problems: e.samples.problems}, exported)
	e.found, e.twice = stored(raw), reconcile.Repeated(raw)
	return nil
}

func stored(exported []victoria.Series) (n int) {
	for _, s := range exported {
		n += len(s.Timestamps)
	}
	return n
}

// merged returns what a receiver leaves that keeps the last sample of each
// interval, which ends with a multiple of it:
// https://docs.victoriametrics.com/victoriametrics/single-server-victoriametrics/#deduplication
func merged(points reconcile.Points, interval time.Duration) reconcile.Points {
	d := interval.Milliseconds()
	if d <= 1 {
		return points
	}
	left := make(reconcile.Points, len(points))
	for labels, values := range points {
		last := make(map[int64]int64) // time by the interval
		for ms := range values {
			i := (ms + d - 1) / d
			last[i] = max(last[i], ms)
		}
		left[labels] = make(map[int64]float64, len(last))
		for _, ms := range last {
			left[labels][ms] = values[ms]
		}
	}
	return left
}
