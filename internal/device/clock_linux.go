package device

import (
	"time"

	"golang.org/x/sys/unix"

	"taffrail/internal/event"
)

// Clock reads the clocks of the system.
type Clock struct{}

// Now returns the moment on the wall clock and on CLOCK_BOOTTIME, which goes on
// in suspend, and whether the kernel says that the wall clock is synchronized
// (adjtimex(2), which an NTP client keeps up to date).
func (Clock) Now() (stamp event.Stamp, trusted bool) {
	var boot unix.Timespec
	// Neither call fails with these arguments on any kernel since 2.6.39.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
	var timex unix.Timex
	state, err := unix.Adjtimex(&timex)
	trusted = err == nil && state != unix.TIME_ERROR && timex.Status&unix.STA_UNSYNC == 0
	return event.Stamp{WallMS: time.Now().UnixMilli(), BootMS: boot.Nano() / 1e6}, trusted
}

// BootID returns the kernel's name for the time since the last boot.
func (r Roots) BootID() string { return r.read("proc/sys/kernel/random/boot_id") }
