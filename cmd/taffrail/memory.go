package main

import (
	"os"
	"runtime/debug"
)

// How the garbage collector is set unless the environment says otherwise: a
// device has less memory than time. With 200 series and a backlog of days the
// daemon lives in 8 to 15 MB of heap; the limit is soft and costs only time where
// it is exceeded.
const (
	gcPercent   = 40
	memoryLimit = 20 << 20 // bytes of the Go heap and what goes with it
)

// spareMemory sets the collector.
func spareMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
