// Package collectors reads the device. Each source is one file and one
// Collector; the Scheduler calls those that are due and hands what they
// deliver, as one tick, to a Sink.
//
// It guarantees that no collector can hold up or bring down another: each call
// has a deadline and a panic guard, and one that has not come back is not
// called again until it does. It assumes nothing about the sources: a file
// that is missing or malformed is that collector's error and no one else's.
package collectors

import (
	"context"

	"taffrail/internal/event"
)

// Collector reads one source of the device.
type Collector interface {
	// Name is the collector's key in the configuration, in health and in logs.
	Name() string
	// Collect records into rec what the source shows now. It is never called
	// twice at the same time. It returns soon after ctx is done where the
	// source lets it. Samples recorded before an error count all the same.
	Collect(ctx context.Context, rec *Recorder) error
}

// Sink takes what was collected. The log is one.
type Sink interface {
	// Append stores the tick and returns the index of its record. The tick is
	// the caller's again when Append returns. It may block on the disk.
	Append(ev event.Event) (index uint64, err error)
}
