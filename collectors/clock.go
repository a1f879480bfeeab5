package collectors

import "taffrail/internal/event"

// Clock tells a tick its time.
type Clock interface {
	// Now returns the moment on the device's two clocks, and whether its wall
	// clock is known to be right. It is called from several goroutines, once a
	// tick and once whenever a collector returns, and must not block.
	Now() (stamp event.Stamp, trusted bool)
}
