package collectors

import (
	"fmt"
	"path/filepath"
	"regexp"
)

// Roots are the directories that the kernel's file systems are mounted on.
type Roots struct {
	Proc string // empty: /proc
	Sys  string // empty: /sys
}

func (r Roots) withDefaults() Roots {
	if r.Proc == "" {
		r.Proc = "/proc"
	}
	if r.Sys == "" {
		r.Sys = "/sys"
	}
	return r
}

func (r Roots) proc(name string) string { return filepath.Join(r.Proc, name) }
func (r Roots) sys(name string) string  { return filepath.Join(r.Sys, name) }

// SourceOptions say what the collectors of All look at.
type SourceOptions struct {
	Roots   Roots
	Disk    DiskOptions
	Network NetworkOptions
}

// DiskOptions select block devices.
type DiskOptions struct {
	// Allowed are RE2 patterns, each matched against the whole name of a
	// device. Nil: DefaultDisks. A pattern of one's own is taken by its word;
	// one that also matches partitions reports these too.
	Allowed []string
}

// DefaultDisks returns patterns for whole SCSI, IDE, virtio, Xen, NVMe and MMC
// devices. Not among them are their partitions, the boot and RPMB areas of an
// eMMC (mmcblk0boot0, mmcblk0rpmb), the paths of an NVMe multipath device
// (nvme0c0n1), and what only stands on other devices or in memory (dm-0, md0,
// loop0, ram0, zram0).
func DefaultDisks() []string {
	return []string{`(s|h|v|xv)d[a-z]+`, `nvme[0-9]+n[0-9]+`, `mmcblk[0-9]+`}
}

// DefaultMaxInterfaces is how many interfaces are reported unless told
// otherwise: hosts of containers or tunnels have thousands.
const DefaultMaxInterfaces = 32

// NetworkOptions select network interfaces. All patterns are RE2 and matched
// against the whole name.
type NetworkOptions struct {
	// Include names interfaces that are reported whatever Exclude says, and
	// before others if there are more than MaxInterfaces.
	Include []string
	// Exclude names interfaces that are not reported. Nil:
	// DefaultNetworkExclude; empty: none.
	Exclude []string
	// MaxInterfaces bounds how many are reported. Not positive:
	// DefaultMaxInterfaces.
	MaxInterfaces int
}

// DefaultNetworkExclude returns patterns for the loopback, for what container
// and virtual machine managers create, for monitor interfaces, and for modems,
// which come and go under ever new names.
func DefaultNetworkExclude() []string {
	return []string{`lo`, `docker.*`, `veth.*`, `br-.*`, `wlan.*mon`, `virbr.*`, `wwan.*`, `wwp.*`, `usb.*`}
}

// names is a set of patterns, each of which must match a whole name.
type names []*regexp.Regexp

func compileNames(patterns []string) (names, error) {
	var set names
	for _, p := range patterns {
		re, err := regexp.Compile(`^(?:` + p + `)$`)
		if err != nil {
			return nil, fmt.Errorf("compile pattern %q: %w", p, err)
		}
		set = append(set, re)
	}
	return set, nil
}

func (set names) match(name string) bool {
	for _, re := range set {
		if re.MatchString(name) {
			return true
		}
	}
	return false
}
