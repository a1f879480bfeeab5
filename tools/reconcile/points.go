// Package reconcile compares what a log holds with what its receiver holds:
// series by series, time by time, value by value. The demo and the crash
// harness judge by it.
//
// What it guarantees: the names under which a receiver should hold a series are
// derived from the documented rule and not by the shipper's code, which is to be
// checked. Values are near if they differ by at most a part in 1e9, for
// VictoriaMetrics keeps about 12 digits. Whatever does not fit is a difference,
// never left out.
//
// What it assumes: a log and an export that fit into memory, a receiver that
// nothing else sends to, and collectors whose names do not clash on the wire.
package reconcile

import (
	"encoding/json"
	"fmt"

	"taffrail/internal/victoria"
)

// Points are samples at a receiver: value by time in milliseconds, by labels.
// The labels are a JSON object with its keys in order, the name among them as
// __name__.
type Points map[string]map[int64]float64

// Count returns the number of samples.
func (p Points) Count() int {
	n := 0
	for _, values := range p {
		n += len(values)
	}
	return n
}

// add adds a sample. It reports false where there is one of that time already.
func (p Points) add(labels string, ms int64, value float64) bool {
	values := p[labels]
	if values == nil {
		values = make(map[int64]float64)
		p[labels] = values
	}
	_, twice := values[ms]
	values[ms] = value
	return !twice
}

// exportedPoints returns an export as points, and a line for each sample that
// has the time of another one of its series.
func exportedPoints(exported []victoria.Series) (p Points, twice []string, err error) {
	p = make(Points)
	for _, s := range exported {
		labels, err := labelsJSON(s.Labels)
		if err != nil {
			return nil, nil, err
		}
		for i, ms := range s.Timestamps {
			if !p.add(labels, ms, s.Values[i]) {
				twice = append(twice, fmt.Sprintf("twice at the receiver: %s at %d", labels, ms))
			}
		}
	}
	return p, twice, nil
}

// Repeated returns how many samples of an export have series and time of
// another.
func Repeated(exported []victoria.Series) int {
	n := 0
	for _, s := range exported {
		for i := 1; i < len(s.Timestamps); i++ { // they are in order
			if s.Timestamps[i] == s.Timestamps[i-1] {
				n++
			}
		}
	}
	return n
}

// Once returns an export with one of the samples that share series and time.
func Once(exported []victoria.Series) []victoria.Series {
	all := make([]victoria.Series, 0, len(exported))
	for _, s := range exported {
		once := victoria.Series{Labels: s.Labels}
		for i, ms := range s.Timestamps { // they are in order
			if i == 0 || ms != s.Timestamps[i-1] {
				once.Timestamps, once.Values = append(once.Timestamps, ms), append(once.Values, s.Values[i])
			}
		}
		all = append(all, once)
	}
	return all
}

// labelsJSON returns a map of labels as the key of Points.
func labelsJSON(labels map[string]string) (string, error) {
	b, err := json.Marshal(labels)
	return string(b), err
}
