package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"taffrail/internal/victoria"
	"taffrail/tools/agent"
)

// configuration returns the daemon's configuration file. A virtual machine's
// kernel often does not know that its clock is right: nothing waits for it here.
func configuration(remote string, opts options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "device: {id: %s}\n", deviceID)
	fmt.Fprintf(&b, "remote:\n  url: %s\n  upload_interval: %s\n  clock_hold: 0s\n", remote, opts.upload)
	if opts.readURL != "" {
		fmt.Fprintf(&b, "  read_url: %s\n", opts.readURL)
	}
	b.WriteString("logging: {format: json}\n")
	return b.String()
}

// startDaemon starts the daemon on a state directory and waits until it answers.
func startDaemon(ctx context.Context, program, dir, stateDir, remote string, opts options) (*agent.Daemon, error) {
	file := filepath.Join(dir, "taffrail.yaml")
	if err := os.WriteFile(file, []byte(configuration(remote, opts)), 0o644); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	d, err := agent.Start(agent.Options{
		Program:  program,
		Config:   file,
		StateDir: stateDir,
		Address:  victoria.FreeAddress(),
		Interval: opts.collect,
	})
	if err != nil {
		return nil, err
	}
	if err := d.WaitReady(ctx); err != nil {
		d.Kill()
		return nil, err
	}
	return d, nil
}

const (
	// indexBound is the longest wait for the index of a backlog.
	indexBound = 10 * time.Minute
	// someTicks are enough to have something fresh to send.
	someTicks = 5
)

// indexHistory lets a daemon that has no receiver index the log, as it would
// have done all the time, and returns what that took of memory.
func indexHistory(ctx context.Context, d *agent.Daemon) (memory, error) {
	ctx, cancel := context.WithTimeout(ctx, indexBound)
	defer cancel()
	err := until(ctx, func() (bool, error) {
		now, err := readDetails(ctx, d)
		return now.Storage.CaughtUp, err
	})
	if err != nil {
		return memory{}, fmt.Errorf("wait for the index of the backlog: %w", err)
	}
	m, _ := readMemory(d.PID())
	return m, d.StopInOrder()
}

// waitFresh waits until the daemon has collected a little.
func waitFresh(ctx context.Context, d *agent.Daemon) error {
	begin, err := d.Counts(ctx)
	if err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		now, err := d.Counts(ctx)
		return now.LastIndex >= begin.LastIndex+someTicks, err
	})
}

// until waits for a condition.
func until(ctx context.Context, condition func() (bool, error)) error {
	for {
		if ok, err := condition(); ok || err != nil {
			return err
		}
		if !wait(ctx, pollInterval) {
			return ctx.Err()
		}
	}
}

// details are what the daemon's health tells of its parts beside what all of
// them tell.
type details struct {
	Storage struct {
		CaughtUp bool `json:"caught_up"`
	}
	Uploader struct {
		// Settled is the index of the log up to which the receiver was seen to
		// hold everything; nil where the daemon does not look.
		Settled       *uint64 `json:"settled"`
		Doubtful      uint64  `json:"doubtful_samples"`
		Repairs       uint64  `json:"repairs"`
		SettleUp      int64   `json:"settle_bytes_sent"`
		SettleDown    int64   `json:"settle_bytes_received"`
		SettleQueries uint64  `json:"settle_requests"`
	}
}

// readDetails asks the daemon.
func readDetails(ctx context.Context, d *agent.Daemon) (details, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL+"/health", nil)
	if err != nil {
		return details{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return details{}, fmt.Errorf("ask taffrail: %w", err)
	}
	defer resp.Body.Close()
	return decodeDetails(resp.Body)
}

func decodeDetails(r io.Reader) (details, error) {
	type part struct {
		Details json.RawMessage `json:"details"`
	}
	var health struct {
		Components struct {
			Storage  part `json:"storage"`
			Uploader part `json:"uploader"`
		} `json:"components"`
	}
	if err := json.NewDecoder(r).Decode(&health); err != nil {
		return details{}, fmt.Errorf("ask taffrail: decode health: %w", err)
	}
	var all details
	if err := json.Unmarshal(health.Components.Storage.Details, &all.Storage); err != nil {
		return details{}, fmt.Errorf("ask taffrail: decode health of the index: %w", err)
	}
	if err := json.Unmarshal(health.Components.Uploader.Details, &all.Uploader); err != nil {
		return details{}, fmt.Errorf("ask taffrail: decode health of the uploader: %w", err)
	}
	return all, nil
}

// wait waits and reports whether ctx was not done meanwhile.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
