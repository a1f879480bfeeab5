//go:build linux

package collectors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// absoluteZero is in millidegrees. The kernel's THERMAL_TEMP_INVALID, which
// drivers report while they have no reading, is below it.
const absoluteZero = -273150

// Thermal reads /sys/class/thermal (Documentation/driver-api/thermal/
// sysfs-api.rst) and records for each zone
//
//	thermal.zone_celsius{zone}  gauge, degrees Celsius, 3 decimals
//
// where zone is the zone's type, such as cpu-thermal or gpu-thermal. Where
// several zones have the same type, each also has its number as the label
// index. A device without zones, such as a virtual machine, has no samples;
// nor has a zone that is disabled or has no reading now.
type Thermal struct {
	roots Roots
}

// NewThermal returns the collector called "thermal".
func NewThermal(roots Roots) *Thermal { return &Thermal{roots: roots.withDefaults()} }

// Name returns "thermal".
func (t *Thermal) Name() string { return "thermal" }

// Collect implements Collector. Reading a zone can mean asking a chip on a
// slow bus, so ctx is looked at before each.
func (t *Thermal) Collect(ctx context.Context, rec *Recorder) error {
	// Not by package sysfs of procfs: it reads four more files of each zone
	// and reports 0 degrees for a zone that has no reading.
	zones, err := readZones(t.roots.sys("class/thermal"))
	var errs []error
	if err != nil {
		errs = append(errs, err)
	}
	for _, z := range zones {
		if ctx.Err() != nil {
			errs = append(errs, ctx.Err())
			break
		}
		celsius, ok, err := readZoneTemp(filepath.Join(z.dir, "temp"))
		switch {
		case err != nil:
			errs = append(errs, err)
		case !ok:
		case z.index == "":
			rec.Decimal("thermal.zone_celsius", 3, celsius, "zone", z.label)
		default:
			rec.Decimal("thermal.zone_celsius", 3, celsius, "zone", z.label, "index", z.index)
		}
	}
	return errors.Join(errs...)
}

type thermalZone struct {
	dir    string
	number int
	label  string
	index  string // the number, where the label alone is not unique
}

// readZones returns the zones by number. It returns those that it can read
// also if it returns an error about others.
func readZones(class string) ([]thermalZone, error) {
	entries, err := os.ReadDir(class)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", class, err)
	}
	var zones []thermalZone
	var errs []error
	for _, e := range entries {
		digits, found := strings.CutPrefix(e.Name(), "thermal_zone")
		number, err := strconv.Atoi(digits)
		if !found || err != nil {
			continue // a cooling device
		}
		dir := filepath.Join(class, e.Name())
		label, err := readAttribute(filepath.Join(dir, "type"))
		if noReading(err) {
			continue // it has just gone
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read %s: %w", filepath.Join(dir, "type"), err))
			continue
		}
		if label == "" {
			label = e.Name()
		}
		zones = append(zones, thermalZone{dir: dir, number: number, label: label})
	}
	slices.SortFunc(zones, func(a, b thermalZone) int { return a.number - b.number })
	tellApart(zones)
	return zones, errors.Join(errs...)
}

// tellApart gives an index to the zones that share their label with others.
func tellApart(zones []thermalZone) {
	count := make(map[string]int, len(zones))
	for _, z := range zones {
		count[z.label]++
	}
	for i := range zones {
		if count[zones[i].label] > 1 {
			zones[i].index = strconv.Itoa(zones[i].number)
		}
	}
}

// readZoneTemp returns a zone's temperature, or not ok if it has none now.
func readZoneTemp(path string) (celsius float64, ok bool, err error) {
	text, err := readAttribute(path)
	if noReading(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read %s: %w", path, err)
	}
	celsius, ok, err = parseZoneTemp(text)
	if err != nil {
		return 0, false, fmt.Errorf("parse %s: %w", path, err)
	}
	return celsius, ok, nil
}

func parseZoneTemp(text string) (celsius float64, ok bool, err error) {
	milli, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, false, err
	}
	if milli < absoluteZero {
		return 0, false, nil
	}
	return float64(milli) / 1000, true, nil
}

// noReading reports whether an error of reading a zone only says that it has
// no temperature now: it is disabled or has no sensor bound (EINVAL), its
// sensor has not measured yet (EAGAIN), is switched off (ENODATA, as Wi-Fi
// chips are when down) or has just gone (ENODEV, ENOENT).
func noReading(err error) bool {
	for _, e := range []error{unix.EINVAL, unix.EAGAIN, unix.ENODATA, unix.ENODEV, unix.ENOENT} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
