// Package device tells which device this is and what its clocks show.
//
// Identity comes from what survives a new file system first: the serial number
// of the board, then the machine id of the installation, then the host's name.
// Nothing here writes, and nothing fails: what cannot be read is left out.
package device

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
)

// Roots are where the system's files are mounted; "" means "/".
type Roots struct {
	Root string
}

func (r Roots) read(path string) string {
	b, err := os.ReadFile(filepath.Join("/", r.Root, path))
	if err != nil {
		return ""
	}
	// Strings of the device tree end in a zero byte.
	return strings.TrimSpace(strings.TrimRight(string(b), "\x00"))
}

// ID returns what the device is called where its configuration does not say.
func (r Roots) ID() string {
	if serial := r.Serial(); serial != "" {
		return serial
	}
	for _, path := range []string{"etc/machine-id", "var/lib/dbus/machine-id"} {
		if id := r.read(path); id != "" {
			return hashMachineID(id)
		}
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "unknown"
}

// Serial returns the board's serial number from its device tree, or "".
func (r Roots) Serial() string { return r.read("proc/device-tree/serial-number") }

// hashMachineID keeps the machine id itself on the device, as machine-id(5)
// asks.
func hashMachineID(id string) string {
	sum := sha256.Sum256([]byte("taffrail\n" + id))
	return hex.EncodeToString(sum[:8])
}
