package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"taffrail/tools/agent"
	"taffrail/tools/reconcile"
)

// owner is whose samples they are. It goes into the daemon's configuration, and
// into the names under which the receiver is asked for them.
func owner() reconcile.Owner {
	return reconcile.Owner{DeviceID: "faults", Tags: map[string]string{"site": "quay", "deck": "upper"}}
}

// configuration returns the daemon's configuration file. A virtual machine's
// kernel often does not know that its clock is right: nothing waits for it here.
// What is given up is to stay in the log, however old it is.
func configuration(link string, s *scenario) string {
	o := owner()
	return fmt.Sprintf(`device: {id: %s, tags: {site: %s, deck: %s}}
log: {retention: {max_age: 0}}
remote:
  url: %s
  upload_interval: %s
  clock_hold: 0s
  retry: {max_attempts: 2, initial_backoff: 50ms, max_backoff: 200ms}
%slogging: {format: json}
`, o.DeviceID, o.Tags["site"], o.Tags["deck"], link, uploadInterval, s.remote)
}

// startDaemon starts the daemon of a trial and waits until it answers.
func (t *trial) startDaemon(ctx context.Context, collect time.Duration) (*agent.Daemon, error) {
	file := filepath.Join(t.dir, "taffrail.yaml")
	if err := os.WriteFile(file, []byte(configuration(t.link.URL, &t.scenario)), 0o644); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	program := t.daemon
	if t.trusts {
		program = t.trusting
	}
	d, err := agent.Start(agent.Options{Program: program, Config: file, StateDir: t.stateDir(), Address: t.address, Interval: collect})
	if err != nil {
		return nil, err
	}
	if err := d.WaitReady(ctx); err != nil {
		d.Kill()
		return nil, err
	}
	return d, nil
}

// progress is what the daemon says of its uploads.
type progress struct {
	Appended  uint64 `json:"appended_samples"`
	Pending   uint64 `json:"pending_samples"`
	Doubtful  uint64 `json:"doubtful_samples"`
	Unsettled uint64 `json:"unsettled_samples"`
	Rejected  uint64 `json:"rejected_samples"`
	Repairs   uint64 `json:"repairs"`
}

// sent reports whether there is nothing left to send but repairs.
func (p *progress) sent() bool { return p.Appended > 0 && p.Pending == p.Doubtful }

// done reports whether nothing is left to do.
func (p *progress) done() bool { return p.Appended > 0 && p.Pending+p.Doubtful+p.Unsettled == 0 }

// String says how far it is.
func (p *progress) String() string {
	return fmt.Sprintf("%d samples are appended, %d pending, %d in doubt, %d not settled, %d rejected; %d repairs",
		p.Appended, p.Pending, p.Doubtful, p.Unsettled, p.Rejected, p.Repairs)
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
