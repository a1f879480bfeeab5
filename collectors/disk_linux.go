//go:build linux

package collectors

import (
	"context"
	"fmt"

	"github.com/prometheus/procfs/blockdevice"
)

// sectorSize is the unit of the sector counts in /proc/diskstats: 512 bytes,
// whatever the device's own sectors are (Documentation/block/stat.rst).
const sectorSize = 512

// Disk reads /proc/diskstats and records for each block device that its
// options select
//
//	disk.reads_total{device}                     counter, completed reads
//	disk.read_bytes_total{device}                counter, bytes
//	disk.read_time_seconds_total{device}         counter, seconds, 3 decimals
//	disk.writes_total{device}                    counter, completed writes
//	disk.written_bytes_total{device}             counter, bytes
//	disk.write_time_seconds_total{device}        counter, seconds, 3 decimals
//	disk.io_in_progress{device}                  gauge, requests
//	disk.io_time_seconds_total{device}           counter, seconds in which any was in progress
//	disk.io_time_weighted_seconds_total{device}  counter, seconds × requests in progress
//
// as the kernel counts them (Documentation/admin-guide/iostats.rst): from
// boot, times in milliseconds. The kernel keeps times as 32-bit milliseconds
// on some versions, which wrap around after 50 days; a receiver takes that for
// a restart of the counter.
type Disk struct {
	roots   Roots
	allowed names
}

// NewDisk returns the collector called "disk".
func NewDisk(roots Roots, o DiskOptions) (*Disk, error) {
	patterns := o.Allowed
	if patterns == nil {
		patterns = DefaultDisks()
	}
	allowed, err := compileNames(patterns)
	if err != nil {
		return nil, fmt.Errorf("new disk: %w", err)
	}
	return &Disk{roots: roots.withDefaults(), allowed: allowed}, nil
}

// Name returns "disk".
func (d *Disk) Name() string { return "disk" }

// Collect implements Collector.
func (d *Disk) Collect(_ context.Context, rec *Recorder) error {
	// The second root is for /sys/block, which is not read here and need not
	// be there.
	fs, err := blockdevice.NewFS(d.roots.Proc, d.roots.Proc)
	if err != nil {
		return fmt.Errorf("open proc: %w", err)
	}
	stats, err := fs.ProcDiskstats()
	if err != nil {
		return fmt.Errorf("read %s: %w", d.roots.proc("diskstats"), err)
	}
	for i := range stats {
		if d.allowed.match(stats[i].DeviceName) {
			recordDisk(&stats[i], rec)
		}
	}
	return nil
}

func recordDisk(s *blockdevice.Diskstats, rec *Recorder) {
	seconds := func(name string, milliseconds uint64) {
		rec.DecimalCounter(name, 3, float64(milliseconds)/1000, "device", s.DeviceName)
	}
	rec.Counter("disk.reads_total", float64(s.ReadIOs), "device", s.DeviceName)
	rec.Counter("disk.read_bytes_total", float64(s.ReadSectors)*sectorSize, "device", s.DeviceName)
	seconds("disk.read_time_seconds_total", s.ReadTicks)
	rec.Counter("disk.writes_total", float64(s.WriteIOs), "device", s.DeviceName)
	rec.Counter("disk.written_bytes_total", float64(s.WriteSectors)*sectorSize, "device", s.DeviceName)
	seconds("disk.write_time_seconds_total", s.WriteTicks)
	rec.Gauge("disk.io_in_progress", float64(s.IOsInProgress), "device", s.DeviceName)
	seconds("disk.io_time_seconds_total", s.IOsTotalTicks)
	seconds("disk.io_time_weighted_seconds_total", s.WeightedIOTicks)
}
