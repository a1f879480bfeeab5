//go:build linux

package collectors

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestThermalCollector_AllZones(t *testing.T) {
	// Zone 4 reports the kernel's invalid temperature and has no sample.
	wantValues(t, mustCollect(t, NewThermal(fixtures), NewRecorder()), map[string]float64{
		`thermal.zone_celsius{"zone":"soc-thermal"}`:                 45.384,
		`thermal.zone_celsius{"index":"1","zone":"bigcore-thermal"}`: 46.307,
		`thermal.zone_celsius{"index":"2","zone":"bigcore-thermal"}`: 47.23,
		`thermal.zone_celsius{"zone":"gpu-thermal"}`:                 -1.25,
		`thermal.zone_celsius{"zone":"center-thermal"}`:              44,
	})
}

func TestThermalCollector_NoClassIsNoError(t *testing.T) {
	if got := mustCollect(t, NewThermal(newDevice(t)), NewRecorder()); len(got) != 0 {
		t.Errorf("samples %v", got)
	}
}

func TestThermalCollector_OneBadZone(t *testing.T) {
	roots := newDevice(t,
		"sys/class/thermal/thermal_zone0/type", "broken\n",
		"sys/class/thermal/thermal_zone0/temp", "hot\n",
		"sys/class/thermal/thermal_zone1/temp", "1000\n", // its type is gone
		"sys/class/thermal/thermal_zone2/type", "\n", // without a name
		"sys/class/thermal/thermal_zone2/temp", "2000\n",
		"sys/class/thermal/thermal_zone3/type", "gone\n", // its temperature is gone
	)
	got, err := collect(t, NewThermal(roots), NewRecorder())
	if want := filepath.Join(roots.Sys, "class/thermal/thermal_zone0/temp"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not name %s", err, want)
	}
	wantValues(t, got, map[string]float64{`thermal.zone_celsius{"zone":"thermal_zone2"}`: 2})
}

func TestThermalCollector_StopsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec := NewRecorder()
	err := NewThermal(fixtures).Collect(ctx, rec)
	samples, _ := rec.Finish()
	if !errors.Is(err, context.Canceled) || len(samples) != 0 {
		t.Errorf("error %v, samples %v", err, samples)
	}
}

func TestParseZoneTemp(t *testing.T) {
	for _, c := range []struct {
		text string
		want float64
		ok   bool
	}{
		{"45384", 45.384, true},
		{"0", 0, true},
		{"-40000", -40, true},
		{"-273150", -273.15, true},
		{"-273200", 0, false},
		{"-274000", 0, false},
	} {
		if got, ok, err := parseZoneTemp(c.text); err != nil || ok != c.ok || got != c.want {
			t.Errorf("%q: %v, %v, %v, want %v, %v", c.text, got, ok, err, c.want, c.ok)
		}
	}
	for _, text := range []string{"", "45.3", "hot"} {
		if _, _, err := parseZoneTemp(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestNoReading(t *testing.T) {
	for err, want := range map[error]bool{
		unix.EINVAL: true, unix.EAGAIN: true, unix.ENODATA: true, unix.ENODEV: true, unix.ENOENT: true,
		unix.EIO: false, unix.ETIMEDOUT: false, unix.EACCES: false, nil: false,
	} {
		wrapped := err
		if err != nil {
			wrapped = fmt.Errorf("read: %w", err)
		}
		if noReading(wrapped) != want {
			t.Errorf("%v: %v, want %v", err, !want, want)
		}
	}
}
