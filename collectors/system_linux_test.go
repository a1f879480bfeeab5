//go:build linux

package collectors

import "testing"

func TestSystemCollector(t *testing.T) {
	wantValues(t, mustCollect(t, NewSystem(fixtures), NewRecorder()), map[string]float64{
		"system.load1{}":          0.97,
		"system.load5{}":          0.25,
		"system.load15{}":         0.09,
		"system.uptime_seconds{}": 1285.71,
	})
}

func TestSystemCollector_OneFileMissing(t *testing.T) {
	roots := newDevice(t, "proc/uptime", "943.93 1798.83\n")
	got, err := collect(t, NewSystem(roots), NewRecorder())
	if err == nil {
		t.Error("no error about loadavg")
	}
	wantValues(t, got, map[string]float64{"system.uptime_seconds{}": 943.93})
}

func TestParseUptime(t *testing.T) {
	for text, want := range map[string]float64{"943.93 1798.83\n": 943.93, "5.00 1.00": 5, "7": 7} {
		if got, err := parseUptime(text); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "\n", "long ago"} {
		if got, err := parseUptime(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}
