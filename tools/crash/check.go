package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"taffrail/tools/reconcile"
)

// owner is whose samples they are. It goes into the daemon's configuration, and
// into the names under which the receiver is asked for them.
func owner() reconcile.Owner {
	return reconcile.Owner{DeviceID: "crash", Tags: map[string]string{"site": "quay"}}
}

// configuration returns the daemon's configuration: everything is small or short,
// so that a second has many segments, batches, attempts and ticks. What decides
// the times of ticks under a clock that nobody trusts is for others to test.
func configuration(remote string, m mode, l life) string {
	o := owner()
	return fmt.Sprintf(`device: {id: %s, tags: {site: %s}}
log: {segment_size: 64KiB}
remote:
  url: %s
  upload_interval: %s
  timeout: 2s
  batch_size: %d
  chunk_size: %d
  clock_hold: 0s
  retry: {max_attempts: 2, initial_backoff: 50ms, max_backoff: 200ms}
%slogging: {format: json}
`, o.DeviceID, o.Tags["site"], remote, l.upload, l.batchSize, l.chunkSize, m.remote)
}

// everything is the selector of all series: nothing else sends to this receiver,
// so what the log does not hold has no place in it.
const everything = `{__name__!=""}`

// checkBound is the longest time for all checks.
const checkBound = 2 * time.Minute

// check looks at what the trial has left behind.
func (t *trial) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkBound)
	defer cancel()
	if err := t.checkFiles(ctx); err != nil {
		return err
	}
	if err := t.checkContents(); err != nil {
		return err
	}
	return t.checkReceiver(ctx)
}

// checkFiles runs logtool's own check.
func (t *trial) checkFiles(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, t.logtool, "verify", t.stateDir()).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.report.problem(verified, fmt.Sprintf("logtool verify: %v\n%s", err, bytes.TrimSpace(out)))
	} else if err != nil {
		return err
	}
	segments, err := filepath.Glob(filepath.Join(t.stateDir(), "log", "[0-9]*"))
	if err != nil {
		return err
	}
	torn, err := os.ReadDir(filepath.Join(t.stateDir(), "torn"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	t.report.segments, t.report.torn = len(segments), len(torn)
	return nil
}

// checkContents compares the log with what was witnessed and what was sent.
func (t *trial) checkContents() error {
	log, err := readContents(t.stateDir())
	if err != nil {
		return err
	}
	seen, err := t.witness.sightings()
	if err != nil {
		return err
	}
	r := &t.report
	through, err := t.recorder.records()
	if err != nil {
		r.problem(planned, err.Error())
	}
	r.problem(witnessed, compareSightings(seen, log.ticks)...)
	r.problem(planned, compareChunks(through.chunks, log.plans)...)
	r.ticks, r.seen = len(log.ticks), len(seen)
	r.chunks, r.repeated, r.parts = len(through.chunks), repeats(through.chunks), parts(through.chunks)
	r.lost, r.probes, r.swaps, r.linkTwice = through.lost, through.probes, through.swaps, through.twice
	r.repairs, r.proofs = log.repairs, log.proofs
	if through.reads > 0 && !t.mode.reads {
		r.problem(settled, fmt.Sprintf("the receiver was asked %d times, though it is not to be", through.reads))
	}
	return nil
}

// checkReceiver compares the receiver with the log as logtool exports it.
func (t *trial) checkReceiver(ctx context.Context) error {
	log, err := reconcile.ReadLog(t.stateDir())
	if err != nil {
		return err
	}
	if err := t.exportLog(ctx, &log); err != nil {
		return err
	}
	if err := t.receiver.Flush(ctx); err != nil {
		return err
	}
	raw, err := t.receiver.Export(ctx, everything)
	if err != nil {
		return err
	}
	export := raw
	switch {
	case t.mode.merges:
		if export, err = t.receiver.ExportDeduplicated(ctx, everything); err != nil {
			return err
		}
	case t.pace == swaps: // then it is the link that has made two of one
		export = reconcile.Once(raw)
	}
	r := &t.report
	r.outcome, r.raw = reconcile.Judge(log, export), reconcile.Repeated(raw)
	r.problem(atReceiver, r.outcome.Differences...)
	if !t.mode.merges && r.raw != r.linkTwice {
		r.problem(atReceiver, fmt.Sprintf("%d samples are there twice, of which the link made %d", r.raw, r.linkTwice))
	}
	if r.outcome.Found == 0 {
		r.problem(atReceiver, "it holds nothing")
	}
	t.checkLedger(&log)
	return nil
}

// checkLedger looks at what the log says of its uploads.
func (t *trial) checkLedger(log *reconcile.Log) {
	r := &t.report
	r.unsettled, r.rejected = log.Unsettled, log.Rejected+log.Dropped
	if r.rejected > 0 {
		r.problem(settled, fmt.Sprintf("%d samples are rejected, %d dropped", log.Rejected, log.Dropped))
	}
	if log.Doubtful > 0 || log.Unsettled > 0 && t.settles() {
		r.problem(settled, fmt.Sprintf("%d samples are in doubt, %d not settled", log.Doubtful, log.Unsettled))
	}
}

// exportLog puts what logtool exports as CSV in the place of what a reader of
// this program has found.
func (t *trial) exportLog(ctx context.Context, log *reconcile.Log) error {
	var csv, messages bytes.Buffer
	export := exec.CommandContext(ctx, t.logtool, "export", "--format", "csv", t.stateDir())
	export.Stdout, export.Stderr = &csv, &messages
	if err := export.Run(); err != nil {
		t.report.problem(verified, fmt.Sprintf("logtool export: %v\n%s", err, bytes.TrimSpace(messages.Bytes())))
	}
	points, problems, err := reconcile.ReadCSV(&csv, owner())
	if err != nil {
		return err
	}
	log.Points = points
	log.Problems = append(log.Problems, problems...)
	return nil
}
