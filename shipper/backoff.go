package shipper

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Retry says how often and after which waits a chunk is sent again in a cycle.
type Retry struct {
	MaxAttempts    int // the first one included; below 1 counts as 1
	InitialBackoff time.Duration
	MaxBackoff     time.Duration
	Multiplier     float64
	JitterPercent  float64 // 20: each wait is drawn from ±20 % around its length
}

// waits returns the waits of one cycle: initial × multiplier^n up to the
// maximum, with jitter.
func (r Retry) waits() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval:     r.InitialBackoff,
		RandomizationFactor: r.JitterPercent / 100,
		Multiplier:          r.Multiplier,
		MaxInterval:         r.MaxBackoff,
	}
}
