package shipper

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
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
	ids := newIdentities(`bo"at`, tags, nil)
	got := metricOf(t, ids.metric(series(t, "cpu.usage_percent", event.Gauge,
		"core", "0", "device_id", "own", "__name__", "own", "a.b", "dot", "a_b", "underscore")))
	want := map[string]string{
		"__name__":                "cpu_usage_percent",
		"device_id":               `bo"at`,
		"core":                    "tag",
		"exported_core":           "0",
		"exported_device_id":      "own",
		"exported___name__":       "own",
		"a_b_" + shortHash("a.b"): "dot",
		"a_b":                     "underscore",
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
	ids := newIdentities("boat", nil, nil)
	first := metricOf(t, ids.metric(series(t, "a.b_c", event.Gauge)))
	second := metricOf(t, ids.metric(series(t, "a_b.c", event.Gauge)))
	if first["__name__"] != "a_b_c" {
		t.Errorf("the first is %q", first["__name__"])
	}
	if name := second["__name__"]; name == "a_b_c" || !strings.HasPrefix(name, "a_b_c_") {
		t.Errorf("the second is %q", name)
	}
	// A later batch in which only the second stands.
	later := newIdentities("boat", nil, ids.added)
	if got := metricOf(t, later.metric(series(t, "a_b.c", event.Gauge))); got["__name__"] != second["__name__"] {
		t.Errorf("alone the second is %q, it was %q", got["__name__"], second["__name__"])
	}
	if len(later.added) != 0 {
		t.Errorf("%q are taken anew", later.added)
	}
}

// Whatever labels and names series have, no two are one on the wire.
func TestNoTwoSeriesAreOneOnTheWire(t *testing.T) {
	ids := newIdentities("boat", event.LabelsFromMap(map[string]string{"site": "pier"}), nil)
	names := []string{"a.b", "a_b", "a-b", "a b", "5a", "_5a", "a_b_" + shortHash("x")}
	labels := []string{"site", "exported_site", "device_id", "exported_device_id", "a.b", "a_b", "a-b", "empty_labels", "é"}
	seen := map[string]string{}
	for _, name := range names {
		for i := range 1 << len(labels) {
			var pairs []string
			for j, label := range labels {
				if i>>j&1 == 1 {
					pairs = append(pairs, label, "x")
				}
			}
			s := series(t, name, event.Gauge, pairs...)
			wire := ids.metric(s)
			if other, twice := seen[wire]; twice {
				t.Fatalf("%s and %s are both sent as %s", s.Key(), other, wire)
			}
			seen[wire] = s.Key()
			if got := metricOf(t, wire); len(got) != 3+len(pairs)/2 {
				t.Fatalf("%s is sent as %s: a label is lost", s.Key(), wire)
			}
			without := ids.metric(series(t, name, event.Gauge, append(slices.Clone(pairs), "z", "")...))
			if _, empty := metricOf(t, without)["z"]; empty || without == wire {
				t.Fatalf("%s with an empty label is sent as %s", s.Key(), without)
			}
		}
	}
}

func TestNamesBeyondTheBoundHaveAHash(t *testing.T) {
	ids := newIdentities("boat", nil, nil)
	for i := range maxNames {
		ids.name(fmt.Sprintf("n.%d", i))
	}
	if got := ids.name("one.more"); got != "one_more_"+shortHash("one.more") || len(ids.added) != maxNames {
		t.Errorf("%q, %d names", got, len(ids.added))
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
