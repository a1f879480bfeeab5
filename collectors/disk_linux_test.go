//go:build linux

package collectors

import (
	"slices"
	"testing"

	"taffrail/internal/event"
)

func newTestDisk(t *testing.T, o DiskOptions) *Disk {
	t.Helper()
	d, err := NewDisk(fixtures, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDiskCollector_PartitionFiltering(t *testing.T) {
	got := labelValues(mustCollect(t, newTestDisk(t, DiskOptions{}), NewRecorder()), "device")
	want := []string{"hda", "mmcblk0", "nvme0n1", "sda", "sdb", "vda", "xvda"}
	if !slices.Equal(got, want) {
		t.Errorf("devices %v, want %v", got, want)
	}
}

func TestDiskCollector_DefaultIsWholeDevices(t *testing.T) {
	set, err := compileNames(DefaultDisks())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"sda": true, "sdaa": true, "sda1": false, "sdaa12": false,
		"hdc": true, "hdc2": false, "vdb": true, "vdb3": false, "xvda": true, "xvda1": false,
		"nvme0n1": true, "nvme10n2": true, "nvme0n1p1": false, "nvme0": false, "nvme0c0n1": false,
		"mmcblk0": true, "mmcblk12": true, "mmcblk0p1": false, "mmcblk0boot0": false, "mmcblk0rpmb": false, "mmcblk0gp0": false,
		"loop0": false, "ram0": false, "zram0": false, "dm-0": false, "md0": false, "sr0": false, "fd0": false, "sd": false, "": false,
	} {
		if got := set.match(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

func TestDiskCollector_PatternOverride(t *testing.T) {
	d := newTestDisk(t, DiskOptions{Allowed: []string{"dm-[0-9]+", "sda"}})
	if got := labelValues(mustCollect(t, d, NewRecorder()), "device"); !slices.Equal(got, []string{"dm-0", "sda"}) {
		t.Errorf("devices %v", got)
	}
	none := newTestDisk(t, DiskOptions{Allowed: []string{}})
	if got := mustCollect(t, none, NewRecorder()); len(got) != 0 {
		t.Errorf("an empty list allows %v", got)
	}
}

func TestDiskCollector_512ByteSectors(t *testing.T) {
	// An NVMe device of 4096-byte sectors is counted in 512 bytes as well.
	d := newTestDisk(t, DiskOptions{Allowed: []string{"nvme0n1"}})
	got := mustCollect(t, d, NewRecorder())
	wantValues(t, got, map[string]float64{
		`disk.reads_total{"device":"nvme0n1"}`:                    120341,
		`disk.read_bytes_total{"device":"nvme0n1"}`:               9120334 * 512,
		`disk.read_time_seconds_total{"device":"nvme0n1"}`:        50.321,
		`disk.writes_total{"device":"nvme0n1"}`:                   904112,
		`disk.written_bytes_total{"device":"nvme0n1"}`:            88012210 * 512,
		`disk.write_time_seconds_total{"device":"nvme0n1"}`:       920.331,
		`disk.io_in_progress{"device":"nvme0n1"}`:                 1,
		`disk.io_time_seconds_total{"device":"nvme0n1"}`:          302.144,
		`disk.io_time_weighted_seconds_total{"device":"nvme0n1"}`: 981.334,
	})
	for series, s := range got {
		want := event.Counter
		if s.Series.Name == "disk.io_in_progress" {
			want = event.Gauge
		}
		if s.Series.Type != want {
			t.Errorf("%s is a %s, want a %s", series, s.Series.Type, want)
		}
	}
}

func TestDiskCollector_NeedsNoSys(t *testing.T) {
	roots := newDevice(t, "proc/diskstats", readFixture(t, fixtures.proc("diskstats")))
	roots.Sys = "/nonexistent"
	d, err := NewDisk(roots, DiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := mustCollect(t, d, NewRecorder()); len(got) == 0 {
		t.Error("no samples")
	}
}
