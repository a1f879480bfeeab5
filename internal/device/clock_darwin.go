package device

import (
	"time"

	"golang.org/x/sys/unix"

	"taffrail/internal/event"
)

// Clock reads the clocks of the system.
type Clock struct{}

// Now returns the moment on the wall clock and since boot. The system keeps its
// wall clock synchronized and says nothing about it: it is never trusted.
func (Clock) Now() (stamp event.Stamp, trusted bool) {
	now := time.Now().UnixMilli()
	stamp.WallMS = now
	if boot, err := unix.SysctlTimeval("kern.boottime"); err == nil {
		stamp.BootMS = now - boot.Nano()/1e6
	}
	return stamp, false
}

// BootID returns the kernel's name for the time since the last boot.
func (r Roots) BootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}
