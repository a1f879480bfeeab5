package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"taffrail/internal/victoria"
	"taffrail/internal/victoria/child"
)

const (
	// deviceID is the same each time, so that a demo with --dir goes on with
	// the series of the one before.
	deviceID = "taffrail-demo"
	// uploadInterval is short: it is to be seen that samples arrive.
	uploadInterval = 2 * time.Second
	// readyBound is the longest wait for the daemon's first answer.
	readyBound = 30 * time.Second
	// stopBound is the longest wait for its end, last upload included.
	stopBound = time.Minute
)

// daemon is a running `taffrail run`.
type daemon struct {
	process  *child.Process
	url      string // of its health server
	stateDir string
}

// buildDaemon builds the daemon from the checkout.
func buildDaemon(ctx context.Context, program string) error {
	root, err := victoria.Root()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "./cmd/taffrail")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build taffrail: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

// startDaemon starts the daemon with its files in dir and waits until it
// answers.
func startDaemon(ctx context.Context, program, dir, remote string, interval time.Duration) (*daemon, error) {
	address := victoria.FreeAddress()
	file := filepath.Join(dir, "taffrail.yaml")
	if err := os.WriteFile(file, []byte(configuration(remote, address)), 0o644); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	d := &daemon{url: "http://" + address, stateDir: filepath.Join(dir, "taffrail-data")}
	cmd := exec.Command(program, "run", "--config", file, "--state-dir", d.stateDir, "--interval", interval.String())
	cmd.Env = withoutSettings(os.Environ())
	var err error
	if d.process, err = child.Start(cmd); err != nil {
		return nil, err
	}
	if err := d.waitReady(ctx); err != nil {
		d.kill()
		return nil, err
	}
	return d, nil
}

// configuration returns the daemon's configuration file. A virtual machine's
// kernel often does not know that its clock is right: nothing waits for it here.
func configuration(remote, listen string) string {
	return fmt.Sprintf(`device:
  id: %s
remote:
  url: %s
  upload_interval: %s
  clock_hold: 0s
health:
  listen: %s
logging:
  format: json
`, deviceID, remote, uploadInterval, listen)
}

// withoutSettings returns the environment without the variables that would
// change the daemon's configuration, a user's own receiver for example.
func withoutSettings(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "TAFFRAIL_") })
}

func (d *daemon) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyBound)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := d.counts(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-d.process.Done():
			return d.ended()
		case <-ctx.Done():
			return fmt.Errorf("wait for taffrail: %w; it printed:\n%s", err, d.process.Output())
		case <-tick.C:
		}
	}
}

// uploadCounts is what the daemon says of its uploads.
type uploadCounts struct {
	Appended     uint64 `json:"appended_samples"` // that can be sent
	Acknowledged uint64 `json:"acknowledged_samples"`
}

// counts reads the daemon's health, whatever its status.
func (d *daemon) counts(ctx context.Context) (uploadCounts, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/health", nil)
	if err != nil {
		return uploadCounts{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return uploadCounts{}, fmt.Errorf("ask taffrail: %w", err)
	}
	defer resp.Body.Close()
	var health struct {
		Components map[string]struct {
			Details json.RawMessage `json:"details"`
		} `json:"components"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&health); err != nil {
		return uploadCounts{}, fmt.Errorf("ask taffrail: decode health: %w", err)
	}
	uploader, ok := health.Components["uploader"]
	if !ok {
		return uploadCounts{}, fmt.Errorf("ask taffrail: its health has no uploader")
	}
	var c uploadCounts
	if err := json.Unmarshal(uploader.Details, &c); err != nil {
		return uploadCounts{}, fmt.Errorf("ask taffrail: decode the uploader's details: %w", err)
	}
	return c, nil
}

// stop ends the daemon as a service manager does; it uploads what it has left.
func (d *daemon) stop() error {
	if err := d.process.Stop(stopBound); err != nil {
		return fmt.Errorf("%w; it printed:\n%s", err, d.process.Output())
	}
	return nil
}

func (d *daemon) kill() { d.process.Kill() }

// ended says that the daemon ended by itself, which it should not.
func (d *daemon) ended() error {
	return fmt.Errorf("taffrail ended: %v; it printed:\n%s", d.process.Err(), d.process.Output())
}
