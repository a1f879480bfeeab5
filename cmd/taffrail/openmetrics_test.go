package main

import (
	"bytes"
	"math"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"taffrail/internal/event"
)

func TestOpenMetricsIsWhatAParserTakes(t *testing.T) {
	sample := func(name string, typ event.Type, v float64, labels ...event.Label) event.Sample {
		s, err := event.NewSeries(name, typ, 0, labels...)
		if err != nil {
			t.Fatal(err)
		}
		return event.Sample{Series: s, Value: v, Text: "x"}
	}
	tick := &event.Tick{Samples: []event.Sample{
		sample("disk.reads_total", event.Counter, 5, event.Label{Name: "device", Value: `a"\` + "\n"}, event.Label{Name: "x.y", Value: "é"}),
		sample("system.kernel", event.Text, 0),
		sample("system.load1", event.Gauge, 0.25),
		sample("disk.reads_total", event.Counter, 1e15, event.Label{Name: "device", Value: "sdb"}),
		sample("odd", event.Gauge, math.Inf(1)),
	}}
	var out bytes.Buffer
	if err := printOpenMetrics(&out, tick); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(out.Bytes(), []byte("\n# EOF\n")) {
		t.Errorf("the end is missing: %s", out.String())
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(&out)
	if err != nil {
		t.Fatal(err)
	}
	reads := families["disk_reads_total"]
	if reads == nil || len(reads.Metric) != 2 {
		t.Fatalf("%v", families)
	}
	if got := reads.Metric[0].Label[0].GetValue(); got != `a"\`+"\n" {
		t.Errorf("label value %q", got)
	}
	if got := families["system_load1"].Metric[0].Gauge.GetValue(); got != 0.25 {
		t.Errorf("value %v", got)
	}
	if got := families["odd"].Metric[0].Gauge.GetValue(); !math.IsInf(got, 1) {
		t.Errorf("value %v", got)
	}
	if _, text := families["system_kernel"]; text {
		t.Error("a text is a metric")
	}
}
