package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"taffrail/tools/agent"
)

const (
	// settleBound is the longest time for what is left at the end: the daemon
	// looks once a minute, finds out what is missing by one or two looks, and
	// sends that again up to two times.
	settleBound = 8 * time.Minute
	// catchUpBound is that where nothing is to be settled.
	catchUpBound = time.Minute
	pollInterval = 100 * time.Millisecond
	// lastInterval is between two readings of the last daemon: it has one of them,
	// so that there is an end to what it sends.
	lastInterval = time.Hour
)

// progress is what the daemon says of its uploads.
type progress struct {
	Appended  uint64 `json:"appended_samples"`
	Pending   uint64 `json:"pending_samples"`
	Doubtful  uint64 `json:"doubtful_samples"`
	Unsettled uint64 `json:"unsettled_samples"`
	Rejected  uint64 `json:"rejected_samples"`
	Repairs   uint64 `json:"repairs"`
	Repeats   uint64 `json:"repeats"`
}

// finish runs the daemon once more, undisturbed, until it has sent all that it
// has, and sees it at the receiver where that is to be waited for, and stops it in
// order.
func (t *trial) finish(ctx context.Context) error {
	t.recorder.calm()
	began := time.Now()
	d, err := t.start(t.last, lastInterval)
	if err != nil {
		return err
	}
	defer d.Kill()
	if err := d.WaitReady(ctx); err != nil {
		t.report.problem(running, err.Error())
		return nil
	}
	if err := t.wait(ctx, d); err != nil {
		t.report.problem(running, err.Error())
	}
	t.report.end = time.Since(began)
	if err := d.StopInOrder(); err != nil {
		t.report.problem(running, err.Error())
	}
	return ctx.Err()
}

// wait waits until nothing is left to do for the daemon.
func (t *trial) wait(ctx context.Context, d *agent.Daemon) error {
	bound := catchUpBound
	if t.settles() {
		bound = settleBound
	}
	for deadline := time.Now().Add(bound); ; {
		p, err := readProgress(ctx, d)
		if err != nil {
			return err
		}
		t.report.repeats = p.Repeats
		if p.Appended > 0 && p.Pending+p.Doubtful == 0 && (p.Unsettled == 0 || !t.settles()) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not done after %v: %d samples are pending, %d in doubt, %d not settled, %d rejected",
				bound, p.Pending, p.Doubtful, p.Unsettled, p.Rejected)
		}
		if !sleep(ctx, pollInterval) {
			return ctx.Err()
		}
	}
}

// readProgress reads the daemon's health, whatever its status.
func readProgress(ctx context.Context, d *agent.Daemon) (progress, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL+"/health", nil)
	if err != nil {
		return progress{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return progress{}, fmt.Errorf("ask taffrail: %w", err)
	}
	defer resp.Body.Close()
	var health struct {
		Components struct {
			Uploader struct {
				Details *progress `json:"details"`
			} `json:"uploader"`
		} `json:"components"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&health); err != nil {
		return progress{}, fmt.Errorf("ask taffrail: decode health: %w", err)
	}
	if health.Components.Uploader.Details == nil {
		return progress{}, fmt.Errorf("ask taffrail: its health has no details of the uploader")
	}
	return *health.Components.Uploader.Details, nil
}
