package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"taffrail/internal/victoria"
	"taffrail/tools/agent"
)

const (
	// deviceID is the same each time, so that a demo with --dir goes on with
	// the series of the one before.
	deviceID = "taffrail-demo"
	// uploadInterval is short: it is to be seen that samples arrive.
	uploadInterval = 2 * time.Second
)

// stateDir is where the daemon keeps its state among the demo's files.
func stateDir(dir string) string { return filepath.Join(dir, "taffrail-data") }

// startDaemon starts the daemon with its files in dir and waits until it
// answers.
func startDaemon(ctx context.Context, program, dir, remote string, interval time.Duration) (*agent.Daemon, error) {
	file := filepath.Join(dir, "taffrail.yaml")
	if err := os.WriteFile(file, []byte(configuration(remote)), 0o644); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	d, err := agent.Start(agent.Options{
		Program:  program,
		Config:   file,
		StateDir: stateDir(dir),
		Address:  victoria.FreeAddress(),
		Interval: interval,
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

// configuration returns the daemon's configuration file. A virtual machine's
// kernel often does not know that its clock is right: nothing waits for it here.
func configuration(remote string) string {
	return fmt.Sprintf(`device:
  id: %s
remote:
  url: %s
  upload_interval: %s
  clock_hold: 0s
logging:
  format: json
`, deviceID, remote, uploadInterval)
}
