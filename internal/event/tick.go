package event

import "math"

// Sample is one value of one series. The time is that of its Tick.
type Sample struct {
	Series *Series
	Value  float64 // the number, bit by bit as its source gave it; unused for Text
	Text   string  // the string of a Text series
}

// Sendable reports whether a receiver of metrics can take the sample: a number
// that is neither NaN nor infinite. Others stay in the log.
func (s *Sample) Sendable() bool {
	return s.Series.Type != Text && !math.IsNaN(s.Value) && !math.IsInf(s.Value, 0)
}

// Context is what is true of every sample of a group: whose it is and under
// which clock it was taken.
type Context struct {
	SessionID string
	BootID    string // /proc/sys/kernel/random/boot_id
	DeviceID  string
	Tags      Labels // device.tags of the configuration
}

// Tick is what all collectors that were due at one moment delivered. No series
// stands in it twice.
type Tick struct {
	Stamp
	// Trusted says that the wall clock was known to be right.
	Trusted bool
	// Decision is what was decided on the time of an untrusted tick. It is set
	// by the log when it reads a tick, nil while nothing was decided.
	Decision *Decision
	// Context is set by the log, when it reads a tick and when it takes one.
	Context *Context
	Samples []Sample
}

// Kind returns KindSamples.
func (t *Tick) Kind() Kind { return KindSamples }

// SendableCount returns how many of the tick's samples a receiver can take; none
// while its time is not known.
func (t *Tick) SendableCount() int {
	if _, ok := t.EffectiveTime(); !ok {
		return 0
	}
	return t.sendable()
}

func (t *Tick) sendable() int {
	n := 0
	for i := range t.Samples {
		if t.Samples[i].Sendable() {
			n++
		}
	}
	return n
}
