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
	sessionID = "0191d4a0-7c00-7000-8000-6d2f1b3a5c4f"
	// bootID is that of another boot than this machine's, so that nobody compares
	// its time since boot with what the daemon reads.
	bootID = "5f2b8c1e-6d0a-4a2c-9f43-0b7f6c1d2e3b"
	// bootedBefore is how long the device was up when its history began.
	bootedBefore = time.Minute
	tickInterval = time.Second
)

// history is what a device has seen that had no network.
type history struct {
	series int
	at     []stretch
}

// stretch are ticks of every second, the last one a while ago.
type stretch struct {
	ago   time.Duration
	ticks int
}

// samples returns how many there are from before the beginning of a stretch of
// time up to now.
func (h history) samples(olderThan time.Duration) (n int) {
	for _, s := range h.at {
		if s.ago >= olderThan {
			n += h.series * s.ticks
		}
	}
	return n
}

// times returns the ticks' times in milliseconds.
func (h history) times(now time.Time) (ms []int64) {
	for _, s := range h.at {
		for i := s.ticks - 1; i >= 0; i-- {
			ms = append(ms, now.Add(-s.ago-time.Duration(i)*tickInterval).UnixMilli())
		}
	}
	return ms
}

// write writes the history into the log of a state directory, as one session of
// the device under a trusted clock that has come to its end.
func (h history) write(stateDir string, now time.Time) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write history: %w", err)
		}
	}()
	times := h.times(now)
	if len(times) == 0 {
		return nil
	}
	booted := times[0] - bootedBefore.Milliseconds()
	stamp := event.Stamp{WallMS: times[0], BootMS: times[0] - booted}
	o := owner()
	log, err := eventlog.Open(filepath.Join(stateDir, "log"), eventlog.Options{
		SyncInterval: time.Second,
		Context:      event.Context{SessionID: sessionID, BootID: bootID, DeviceID: o.DeviceID, Tags: event.LabelsFromMap(o.Tags)},
		Version:      "faults",
		Now:          func() event.Stamp { return stamp },
		Retention:    eventlog.Retention{Ship: true},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	keeper, err := timekeeper.New(log, timekeeper.Options{BootID: bootID, Source: "kernel"})
	if err != nil {
		return err
	}
	mark := func(phase, reason string) error {
		_, err := log.Append(&event.Session{Stamp: stamp, Phase: phase, ID: sessionID, BootID: bootID,
			DeviceID: o.DeviceID, Tags: o.Tags, Version: "faults", Reason: reason})
		return err
	}
	if err := mark(event.SessionStart, ""); err != nil {
		return err
	}
	device := synthetic.NewDevice(h.series, tickInterval.Milliseconds(), stamp, 1)
	for _, ms := range times {
		tick := device.Next()
		stamp = event.Stamp{WallMS: ms, BootMS: ms - booted}
		tick.Stamp = stamp
		if _, err := keeper.Append(tick); err != nil {
			return err
		}
	}
	return mark(event.SessionEnd, event.EndCompleted)
}
