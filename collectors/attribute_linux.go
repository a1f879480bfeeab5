//go:build linux

package collectors

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// maxAttribute is the size of the buffer that sysfs gives an attribute: one
// page of 4 KiB (Documentation/filesystems/sysfs.rst).
const maxAttribute = 4096

// readAttribute returns the text of an attribute of /sys without white space
// around it. Its errors are bare error numbers.
//
// It calls read itself, once: sysfs files can be polled, so that package os
// would wait, without end, for a driver that answers EAGAIN.
func readAttribute(path string) (string, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var buf [maxAttribute]byte
	n, err := retry(func() (int, error) { return unix.Read(fd, buf[:]) })
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(buf[:n])), nil
}

// retry calls f until no signal interrupts it.
func retry(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
