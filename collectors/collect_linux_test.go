//go:build linux

package collectors

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"taffrail/internal/event"
)

// fixtures are the files of a device with all kinds of sources.
var fixtures = Roots{Proc: "testdata/fixtures/proc", Sys: "testdata/fixtures/sys"}

// newDevice returns roots whose files are made of name, content pairs; names
// begin with proc/ or sys/.
func newDevice(t testing.TB, files ...string) Roots {
	t.Helper()
	dir := t.TempDir()
	roots := Roots{Proc: filepath.Join(dir, "proc"), Sys: filepath.Join(dir, "sys")}
	for _, d := range []string{roots.Proc, roots.Sys} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(files); i += 2 {
		writeFile(t, filepath.Join(dir, files[i]), files[i+1])
	}
	return roots
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFixture(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// collect returns what a collector records, by series. What the recorder
// refuses fails the test.
func collect(t testing.TB, c Collector, rec *Recorder) (map[string]event.Sample, error) {
	t.Helper()
	err := c.Collect(t.Context(), rec)
	samples, refused := rec.Finish()
	if refused != nil {
		t.Fatal(refused)
	}
	all := make(map[string]event.Sample, len(samples))
	for _, s := range samples {
		all[s.Series.String()] = s
	}
	return all, err
}

func mustCollect(t testing.TB, c Collector, rec *Recorder) map[string]event.Sample {
	t.Helper()
	all, err := collect(t, c, rec)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// wantValues compares all samples with want, by series.
func wantValues(t testing.TB, got map[string]event.Sample, want map[string]float64) {
	t.Helper()
	for _, series := range slices.Sorted(maps.Keys(want)) {
		s, found := got[series]
		switch {
		case !found:
			t.Errorf("no %s", series)
		case s.Value != want[series]:
			t.Errorf("%s is %v, want %v", series, s.Value, want[series])
		}
	}
	for _, series := range slices.Sorted(maps.Keys(got)) {
		if _, found := want[series]; !found {
			t.Errorf("%s was not expected", series)
		}
	}
}

// labelValues returns the sorted values of a label among the samples.
func labelValues(samples map[string]event.Sample, label string) []string {
	set := make(map[string]bool)
	for _, s := range samples {
		if v := s.Series.Labels.Get(label); v != "" {
			set[v] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func TestCollectors_MissingFileIsNamed(t *testing.T) {
	roots := newDevice(t)
	all, err := All(SourceOptions{Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]string{
		"cpu":     {"read " + roots.proc("stat") + ": "},
		"memory":  {"read " + roots.proc("meminfo") + ": "},
		"disk":    {"read " + roots.proc("diskstats") + ": "},
		"network": {"read " + roots.proc("net/dev") + ": "},
		"system":  {"read " + roots.proc("loadavg") + ": ", "read " + roots.proc("uptime") + ": "},
		"thermal": nil, // a device without zones is no error
	}
	if len(all) != len(files) {
		t.Errorf("%d collectors, want %d", len(all), len(files))
	}
	for _, c := range all {
		want, found := files[c.Name()]
		if !found {
			t.Errorf("unknown collector %s", c.Name())
		}
		samples, err := collect(t, c, NewRecorder())
		if (err != nil) != (len(want) > 0) {
			t.Errorf("%s: error %v", c.Name(), err)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %q does not say %q", c.Name(), err, w)
			}
		}
		if c.Name() != "network" && len(samples) != 0 {
			t.Errorf("%s: samples %v", c.Name(), samples)
		}
	}
}

func TestCollectors_MissingProcIsAnError(t *testing.T) {
	roots := Roots{Proc: filepath.Join(t.TempDir(), "none"), Sys: t.TempDir()}
	all, err := All(SourceOptions{Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		_, err := collect(t, c, NewRecorder())
		if c.Name() != "thermal" && (err == nil || !strings.Contains(err.Error(), roots.Proc)) {
			t.Errorf("%s: error %v does not name %s", c.Name(), err, roots.Proc)
		}
	}
}

func TestCollectors_MalformedFileIsAnError(t *testing.T) {
	roots := newDevice(t,
		"proc/stat", "cpu x y z\n",
		"proc/meminfo", "MemTotal: many kB\n",
		"proc/diskstats", "8 0 sda one two\n",
		"proc/net/dev", "a\nb\neth0 no colon\n",
		"proc/loadavg", "high\n",
		"proc/uptime", "\n",
		"sys/class/thermal/thermal_zone0/type", "cpu\n",
		"sys/class/thermal/thermal_zone0/temp", "hot\n",
	)
	all, err := All(SourceOptions{Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		samples, err := collect(t, c, NewRecorder())
		if err == nil || len(samples) != 0 {
			t.Errorf("%s: error %v, samples %v", c.Name(), err, samples)
		}
	}
}

func TestAll_BadPatterns(t *testing.T) {
	for name, o := range map[string]SourceOptions{
		"disk":    {Disk: DiskOptions{Allowed: []string{"("}}},
		"include": {Network: NetworkOptions{Include: []string{"("}}},
		"exclude": {Network: NetworkOptions{Exclude: []string{"("}}},
	} {
		if _, err := All(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
