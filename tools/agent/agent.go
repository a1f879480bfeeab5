// Package agent builds and runs the real daemon, as a process of its own, for
// the demo and the crash harness.
//
// A daemon does not outlive the process that started it, on Linux not even one
// that is killed (see package child), takes no setting from the environment, and
// finds its receiver in the configuration that it is given.
package agent

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
	// readyBound is the longest wait for the daemon's first answer.
	readyBound = 30 * time.Second
	// stopBound is the longest wait for its end, last upload included.
	stopBound = time.Minute
)

// Build builds ./cmd/NAME of the checkout into dir and returns the program's
// path. An overlay, where one is given, replaces sources (go help build).
func Build(ctx context.Context, dir, name, overlay string) (string, error) {
	root, err := victoria.Root()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, name)
	args := []string{"build", "-trimpath", "-buildvcs=false", "-o", program}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/"+name)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, bytes.TrimSpace(out))
	}
	return program, nil
}

// Options say how a daemon is to run.
type Options struct {
	Program  string
	Config   string        // path of its configuration
	StateDir string        // made where it is missing
	Address  string        // of its health server
	Interval time.Duration // between two readings
	// Witness is told of every tick that the log has taken; see `taffrail run
	// --witness-fd`. The caller closes its own end. nil: nobody is told.
	Witness *os.File
}

// witnessFD is the number of the first file that a process is given beyond
// stdin, stdout and stderr.
const witnessFD = 3

// Daemon is a running `taffrail run`.
type Daemon struct {
	*child.Process
	URL string // of its health server
}

// Start starts the daemon and does not wait for it.
func Start(opts Options) (*Daemon, error) {
	args := []string{"run", "--config", opts.Config, "--state-dir", opts.StateDir,
		"--listen", opts.Address, "--interval", opts.Interval.String()}
	var files []*os.File
	if opts.Witness != nil {
		args = append(args, fmt.Sprintf("--witness-fd=%d", witnessFD))
		files = append(files, opts.Witness)
	}
	cmd := exec.Command(opts.Program, args...)
	cmd.Env = withoutSettings(os.Environ())
	cmd.ExtraFiles = files
	process, err := child.Start(cmd)
	if err != nil {
		return nil, err
	}
	return &Daemon{Process: process, URL: "http://" + opts.Address}, nil
}

// withoutSettings returns the environment without the variables that would
// change the daemon's configuration, a user's own receiver for example.
func withoutSettings(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "TAFFRAIL_") })
}

// WaitReady waits until the daemon answers. It returns an error if the daemon
// ends before, or if that takes too long.
func (d *Daemon) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyBound)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := d.Counts(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-d.Done():
			return d.Ended()
		case <-ctx.Done():
			return fmt.Errorf("wait for taffrail: %w; it printed:\n%s", err, d.Output())
		case <-tick.C:
		}
	}
}

// Counts is what the daemon says of its log and its uploads.
type Counts struct {
	LastIndex    uint64 // of the log
	Appended     uint64 // samples that can be sent
	Acknowledged uint64 // samples
	Cursor       uint64 // index of the log up to which all is acknowledged
}

// Counts reads the daemon's health, whatever its status.
func (d *Daemon) Counts(ctx context.Context) (Counts, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL+"/health", nil)
	if err != nil {
		return Counts{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return Counts{}, fmt.Errorf("ask taffrail: %w", err)
	}
	defer resp.Body.Close()
	type part struct {
		Details *struct {
			LastIndex    uint64 `json:"last_index"`
			Appended     uint64 `json:"appended_samples"`
			Acknowledged uint64 `json:"acknowledged_samples"`
			Cursor       uint64 `json:"cursor"`
		} `json:"details"`
	}
	var health struct {
		Components struct {
			Log      part `json:"log"`
			Uploader part `json:"uploader"`
		} `json:"components"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&health); err != nil {
		return Counts{}, fmt.Errorf("ask taffrail: decode health: %w", err)
	}
	log, uploader := health.Components.Log.Details, health.Components.Uploader.Details
	if log == nil || uploader == nil {
		return Counts{}, fmt.Errorf("ask taffrail: its health has no details of log and uploader")
	}
	return Counts{
		LastIndex:    log.LastIndex,
		Appended:     uploader.Appended,
		Acknowledged: uploader.Acknowledged,
		Cursor:       uploader.Cursor,
	}, nil
}

// StopInOrder ends the daemon as a service manager does; it uploads what it has
// left.
func (d *Daemon) StopInOrder() error {
	if err := d.Stop(stopBound); err != nil {
		return fmt.Errorf("%w; it printed:\n%s", err, d.Output())
	}
	return nil
}

// Ended says that the daemon ended by itself, which it should not.
func (d *Daemon) Ended() error {
	return fmt.Errorf("taffrail ended: %v; it printed:\n%s", d.Err(), d.Output())
}
