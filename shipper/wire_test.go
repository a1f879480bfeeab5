package shipper

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"taffrail/internal/event"
)

func TestMetricNameSanitization(t *testing.T) {
	for name, want := range map[string]string{
		"cpu.usage_percent":     "cpu_usage_percent",
		"disk.read_bytes_total": "disk_read_bytes_total",
		"a.b.c":                 "a_b_c",
		"go:gc_seconds":         "go:gc_seconds",
		"5ghz.signal_dbm":       "_5ghz_signal_dbm",
		"temperature-°C":        "temperature___C",
		"UPPER.Case":            "UPPER_Case",
		"...":                   "___",
	} {
		if got := MetricName(name); got != want {
			t.Errorf("MetricName(%q) = %q, want %q", name, got, want)
		}
	}
	if got := LabelName("1:b"); got != "_1_b" {
		t.Errorf("LabelName keeps a colon or a first digit: %q", got)
	}
}

func FuzzMetricName(f *testing.F) {
	for _, seed := range []string{"cpu.usage_percent", "5ghz", "", "é", "a b"} {
		f.Add(seed)
	}
	valid := regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	f.Fuzz(func(t *testing.T, name string) {
		if got := MetricName(name); name != "" && !valid.MatchString(got) {
			t.Errorf("MetricName(%q) = %q", name, got)
		}
	})
}

// metricOf parses what identities made of a series.
func metricOf(t *testing.T, metric string) map[string]string {
	t.Helper()
	var labels map[string]string
	if err := json.Unmarshal([]byte(metric), &labels); err != nil {
		t.Fatalf("%s: %s", metric, err)
	}
	return labels
}

func TestWireLabelsAreSeriesDeviceAndTags(t *testing.T) {
	tags := event.LabelsFromMap(map[string]string{"site": "pier 4", "core": "tag", "device_id": "tag"})
	ids := newIdentities(`bo"at`, tags)
	got := metricOf(t, ids.metric(series(t, "cpu.usage_percent", event.Gauge,
		"core", "0", "device_id", "own", "__name__", "own", "a.b", "dot", "a_b", "underscore")))
	want := map[string]string{
		"__name__":                "cpu_usage_percent",
		"device_id":               `bo"at`,
		"core":                    "0",
		"exported_device_id":      "own",
		"exported___name__":       "own",
		"a_b":                     "dot",
		"a_b_" + shortHash("a_b"): "underscore",
		"site":                    "pier 4",
	}
	if len(got) != len(want) {
		t.Errorf("%d labels, want %d: %v", len(got), len(want), got)
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s = %q, want %q", name, got[name], value)
		}
	}
}

func TestSeriesThatBecomeOneOnTheWireStayTwo(t *testing.T) {
	ids := newIdentities("boat", nil)
	first := metricOf(t, ids.metric(series(t, "a.b_c", event.Gauge)))
	second := metricOf(t, ids.metric(series(t, "a_b.c", event.Gauge)))
	if first["__name__"] != "a_b_c" {
		t.Errorf("the first is %q", first["__name__"])
	}
	if name := second["__name__"]; name == "a_b_c" || !strings.HasPrefix(name, "a_b_c_") {
		t.Errorf("the second is %q", name)
	}
}

func TestNumbersAreTheShortestThatParseBack(t *testing.T) {
	for _, v := range []float64{0, math.Copysign(0, -1), 1, -1, 0.1, 1e20, 1e21, 1e-6, 1e-7, math.MaxFloat64,
		math.SmallestNonzeroFloat64, 1 << 53, 1<<53 + 2, -(1 << 53), 20.37, math.Pi} {
		got := string(appendNumber(nil, v))
		back, err := strconv.ParseFloat(got, 64)
		if err != nil || math.Float64bits(back) != math.Float64bits(v) {
			t.Errorf("%v is written %s, which is %v", v, got, back)
		}
		standard, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.NewReplacer("e-0", "e-", "e+0", "e+").Replace(string(standard)); len(got) > len(want)+1 {
			t.Errorf("%v is written %s, %s is shorter", v, got, want)
		}
	}
}
