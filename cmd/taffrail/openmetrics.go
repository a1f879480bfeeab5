package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"taffrail/internal/event"
	"taffrail/shipper"
)

// printOpenMetrics prints the numbers of a tick under the names that they have
// at the receiver. Texts have no place in the format.
func printOpenMetrics(w io.Writer, tick *event.Tick) error {
	for _, family := range families(tick) {
		if _, err := expfmt.MetricFamilyToOpenMetrics(w, family); err != nil {
			return fmt.Errorf("print %s: %w", family.GetName(), err)
		}
	}
	_, err := expfmt.FinalizeOpenMetrics(w)
	return err
}

// families gathers the samples by name, as the format has it, in the order of
// their names.
func families(tick *event.Tick) []*dto.MetricFamily {
	byName := map[string]*dto.MetricFamily{}
	var all []*dto.MetricFamily
	for i := range tick.Samples {
		s := &tick.Samples[i]
		if s.Series.Type == event.Text {
			continue
		}
		name := shipper.MetricName(s.Series.Name)
		family := byName[name]
		if family == nil {
			typ := dto.MetricType_GAUGE
			if s.Series.Type == event.Counter {
				typ = dto.MetricType_COUNTER
			}
			family = &dto.MetricFamily{Name: &name, Type: &typ}
			byName[name] = family
			all = append(all, family)
		}
		family.Metric = append(family.Metric, metric(s, family.GetType()))
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all
}

func metric(s *event.Sample, typ dto.MetricType) *dto.Metric {
	m := &dto.Metric{}
	for _, l := range s.Series.Labels {
		name, value := shipper.LabelName(l.Name), l.Value
		m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &value})
	}
	value := s.Value
	if typ == dto.MetricType_COUNTER {
		m.Counter = &dto.Counter{Value: &value}
	} else {
		m.Gauge = &dto.Gauge{Value: &value}
	}
	return m
}
