//go:build linux

package collectors

import (
	"fmt"

	"github.com/prometheus/procfs"
)

// All returns the collectors of this system, in the order in which their
// samples are to stand in a tick. An error is about a pattern that is no RE2;
// what the device lacks shows when it is read.
func All(o SourceOptions) ([]Collector, error) {
	disk, err := NewDisk(o.Roots, o.Disk)
	if err != nil {
		return nil, err
	}
	network, err := NewNetwork(o.Roots, o.Network)
	if err != nil {
		return nil, err
	}
	return []Collector{
		NewCPU(o.Roots),
		NewMemory(o.Roots),
		disk,
		network,
		NewSystem(o.Roots),
		NewThermal(o.Roots),
	}, nil
}

// procfs opens the root of /proc. It is opened for each collection: a root
// that is not there yet is that collection's error.
func (r Roots) procfs() (procfs.FS, error) {
	fs, err := procfs.NewFS(r.Proc)
	if err != nil {
		return fs, fmt.Errorf("open proc: %w", err)
	}
	return fs, nil
}
