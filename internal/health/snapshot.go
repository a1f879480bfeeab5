package health

import (
	"fmt"
	"maps"
	"time"
)

// Snapshot is what the parts of the agent last said of themselves.
type Snapshot struct {
	Now   time.Time
	Start time.Time // of the agent
	// UploadInterval, as configured.
	UploadInterval time.Duration
	// DegradedThreshold is how old the last upload may be; 0 is twice the
	// upload interval, and at least a second.
	DegradedThreshold time.Duration
	// ErrorThreshold is 10 minutes if 0.
	ErrorThreshold time.Duration

	Collectors []Collector // those that are switched on
	Uploader   *Uploader
	Log        *Part
	Storage    *Part
	HTTP       *Part // Server.State
	Time       *Clock
}

// Collector is one collector's state. Before its first run it is well.
type Collector struct {
	Name        string
	LastSuccess time.Time
	LastErrorAt time.Time
	// LastError is why the last run failed; empty if it did not.
	LastError string
	// StuckSince is when a run began that has not come back by its deadline.
	StuckSince time.Time
	Details    map[string]any
}

func (c Collector) component() Component {
	out := Component{
		Status:      OK,
		LastSuccess: stamp(c.LastSuccess),
		LastError:   stamp(c.LastErrorAt),
		Details:     c.Details,
	}
	if c.LastError != "" {
		out.Status, out.Message = Error, c.LastError
	}
	if !c.StuckSince.IsZero() {
		out.Status = Error
		out.Message = join("has not come back since "+stamp(c.StuckSince).Format(time.RFC3339), c.LastError)
	}
	return out
}

// Uploader is the state of sending.
type Uploader struct {
	Enabled bool // a receiver is set, and not switched off
	// LastSuccess is the end of the last upload cycle in which nothing failed.
	// A cycle that found nothing to send is one.
	LastSuccess time.Time
	LastErrorAt time.Time
	LastError   string // shown while the uploader is not ok
	// Pending counts the samples that could be sent, are older than one upload
	// interval, and are not acknowledged.
	Pending uint64
	// ProductionPerSecond is how many sendable samples the device makes.
	ProductionPerSecond float64
	Details             map[string]any
}

// Part is the state of a part that works or does not: the log, the storage, the
// HTTP server.
type Part struct {
	// Failing is why it cannot do its work now; empty if it can.
	Failing string
	// Warning is why it is degraded though it works.
	Warning     string
	LastSuccess time.Time
	LastErrorAt time.Time
	Details     map[string]any
}

func (p Part) component() Component {
	c := Component{
		Status:      OK,
		LastSuccess: stamp(p.LastSuccess),
		LastError:   stamp(p.LastErrorAt),
		Details:     p.Details,
	}
	switch {
	case p.Failing != "":
		c.Status, c.Message = Error, join(p.Failing, p.Warning)
	case p.Warning != "":
		c.Status, c.Message = Degraded, p.Warning
	}
	return c
}

// Clock is what is known of the wall clock.
type Clock struct {
	Trusted bool
	Source  string // what the trust rests on: "kernel", "http_date", "rtc"
	// Skew is how far the wall clock is ahead of the receiver's, as measured
	// at CheckedAt, to within Bound. It counts if CheckedAt is not zero.
	Skew      time.Duration
	Bound     time.Duration
	CheckedAt time.Time
	// Threshold is the skew that is still well.
	Threshold time.Duration
	// Held counts the samples that wait for a trusted time.
	Held    uint64
	Details map[string]any
}

func (t Clock) component() Component {
	shown := map[string]any{"trusted": t.Trusted}
	if t.Source != "" {
		shown["source"] = t.Source
	}
	if t.Held > 0 {
		shown["held"] = t.Held
	}
	c := Component{Status: OK, LastSuccess: stamp(t.CheckedAt)}
	if !t.CheckedAt.IsZero() {
		shown["skew_ms"] = milliseconds(t.Skew)
		shown["bound_ms"] = milliseconds(t.Bound)
		shown["threshold_ms"] = milliseconds(t.Threshold)
		if t.Skew.Abs() > t.Threshold {
			c.Status = Degraded
			c.Message = fmt.Sprintf("the clock is off by %v", t.Skew.Round(time.Millisecond))
		}
	}
	if t.Held > 0 && !t.Trusted {
		c.Status = Degraded
		c.Message = join(c.Message, "the clock is not trusted, samples wait")
	}
	c.Details = details(t.Details, shown)
	return c
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// details returns own with what this package knows itself laid over it.
func details(own, over map[string]any) map[string]any {
	all := maps.Clone(own)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, over)
	return all
}
