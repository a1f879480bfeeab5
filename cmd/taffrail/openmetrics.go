package main

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"

	"taffrail/internal/event"
	"taffrail/shipper"
)

// openMetricsEscapes are those of label values:
// https://prometheus.io/docs/specs/om/open_metrics_spec/#escaping
var openMetricsEscapes = strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)

// printOpenMetrics prints the numbers of a tick under the names that they have
// at the receiver, each name's samples together. Texts have no place in the
// format. The library that writes it would make the daemon 1.7 MB larger.
func printOpenMetrics(w io.Writer, tick *event.Tick) error {
	samples := slices.DeleteFunc(slices.Clone(tick.Samples), func(s event.Sample) bool { return s.Series.Type == event.Text })
	slices.SortStableFunc(samples, func(a, b event.Sample) int { return cmp.Compare(a.Series.Name, b.Series.Name) })
	var out []byte
	family := ""
	for i := range samples {
		s := &samples[i]
		name := shipper.MetricName(s.Series.Name)
		if i == 0 || name != family {
			family = name
			// A counter's family is its name without the suffix.
			out = append(out, "# TYPE "+strings.TrimSuffix(name, "_total")+" "+s.Series.Type.String()+"\n"...)
		}
		out = appendOpenMetrics(append(out, name...), s)
	}
	_, err := w.Write(append(out, "# EOF\n"...))
	return err
}

// appendOpenMetrics appends the labels and the value of a sample.
func appendOpenMetrics(out []byte, s *event.Sample) []byte {
	for i, l := range s.Series.Labels {
		out = append(out, "{,"[min(i, 1)])
		out = append(out, shipper.LabelName(l.Name)+`="`+openMetricsEscapes.Replace(l.Value)+`"`...)
	}
	if len(s.Series.Labels) > 0 {
		out = append(out, '}')
	}
	out = strconv.AppendFloat(append(out, ' '), s.Value, 'g', -1, 64)
	return append(out, '\n')
}
