package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"taffrail/internal/event"
	"taffrail/internal/synthetic"
	"taffrail/internal/timekeeper"
	eventlog "taffrail/log"
)

const (
	deviceID  = "taffrail-backlog"
	sessionID = "0191d4a0-7c00-7000-8000-6d2f1b3a5c4e"
	// bootID is that of another boot than this machine's, so that nobody
	// compares its time since boot with what the daemon reads.
	bootID = "5f2b8c1e-6d0a-4a2c-9f43-0b7f6c1d2e3a"
	// bootedBefore is how long the device was up when its history began.
	bootedBefore = time.Minute
	// syncEvery stands for the device's fsync of each tick: the files are the
	// same.
	syncEvery = time.Second
)

// history is what a device has seen that had no network.
type history struct {
	series   int
	ticks    int
	interval time.Duration
	seed     uint64
	end      time.Time // of the last tick
}

// samples returns how many there are.
func (h history) samples() int { return h.series * h.ticks }

// start is the moment of the first tick.
func (h history) start() event.Stamp {
	length := time.Duration(h.ticks-1) * h.interval
	return event.Stamp{WallMS: h.end.Add(-length).UnixMilli(), BootMS: bootedBefore.Milliseconds()}
}

func (h history) device() *synthetic.Device {
	return synthetic.NewDevice(h.series, h.interval.Milliseconds(), h.start(), h.seed)
}

// write writes the history into the log of a state directory, as one session
// under a trusted clock that has come to its end. It returns the log's last
// index.
func (h history) write(stateDir string) (last uint64, err error) {
	now := h.start()
	log, err := eventlog.Open(filepath.Join(stateDir, "log"), eventlog.Options{
		SyncInterval: syncEvery,
		Context:      event.Context{SessionID: sessionID, BootID: bootID, DeviceID: deviceID},
		Version:      "backlog",
		Now:          func() event.Stamp { return now },
		Retention:    eventlog.Retention{Ship: true},
	})
	if err != nil {
		return 0, fmt.Errorf("write history: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	keeper, err := timekeeper.New(log, timekeeper.Options{BootID: bootID, Source: "kernel"})
	if err != nil {
		return 0, fmt.Errorf("write history: %w", err)
	}
	mark := func(phase, reason string) error {
		_, err := log.Append(&event.Session{Stamp: now, Phase: phase, ID: sessionID, BootID: bootID,
			DeviceID: deviceID, Tags: map[string]string{}, Version: "backlog", Reason: reason})
		return err
	}
	if err := mark(event.SessionStart, ""); err != nil {
		return 0, fmt.Errorf("write history: %w", err)
	}
	device := h.device()
	for range h.ticks {
		tick := device.Next()
		now = tick.Stamp
		if _, err := keeper.Append(tick); err != nil {
			return 0, fmt.Errorf("write history: %w", err)
		}
	}
	if err := mark(event.SessionEnd, event.EndCompleted); err != nil {
		return 0, fmt.Errorf("write history: %w", err)
	}
	return log.LastIndex(), nil
}
