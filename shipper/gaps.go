package shipper

import (
	"cmp"
	"slices"
	"strings"

	"taffrail/internal/event"
)

// gaps are samples, told by series and time.
type gaps struct {
	all    []event.Gap            // of all series
	series map[string][]event.Gap // by the key of the series
}

// newGaps returns nil where the list is empty.
func newGaps(list []event.Gap) *gaps {
	if len(list) == 0 {
		return nil
	}
	g := &gaps{series: make(map[string][]event.Gap)}
	for _, gap := range list {
		if len(gap.Series) == 0 {
			g.all = append(g.all, gap)
		}
		for _, key := range gap.Series {
			g.series[key] = append(g.series[key], gap)
		}
	}
	return g
}

// hold reports whether the sample of a series at a time is among them.
func (g *gaps) hold(key string, ms int64) bool {
	in := func(gap event.Gap) bool { return gap.FromMS <= ms && ms <= gap.ToMS }
	return slices.ContainsFunc(g.all, in) || slices.ContainsFunc(g.series[key], in)
}

// lacks are the samples that a receiver lacks: times in order, by the key of the
// series.
type lacks map[string][]int64

func (l lacks) samples() int {
	n := 0
	for _, times := range l {
		n += len(times)
	}
	return n
}

// gaps puts them as gaps, so that of all samples in expected these are in one
// and no others are. Stretches of all series at once, which is what a receiver
// that was killed leaves, are named once.
func (l lacks) gaps(expected map[string][]int64) []event.Gap {
	type stretch struct{ from, to int64 }
	series := make(map[stretch][]string)
	for key, missing := range l {
		for len(missing) > 0 {
			// As far as the missing follow each other among the expected.
			at, _ := slices.BinarySearch(expected[key], missing[0])
			n := 1
			for n < len(missing) && at+n < len(expected[key]) && expected[key][at+n] == missing[n] {
				n++
			}
			s := stretch{missing[0], missing[n-1]}
			series[s] = append(series[s], key)
			missing = missing[n:]
		}
	}
	var out []event.Gap
	for s, keys := range series {
		slices.Sort(keys)
		gap := event.Gap{FromMS: s.from, ToMS: s.to, Series: keys}
		if coversAll(expected, keys, s.from, s.to) {
			gap.Series = nil
		}
		out = append(out, gap)
	}
	slices.SortFunc(out, func(a, b event.Gap) int {
		return cmp.Or(cmp.Compare(a.FromMS, b.FromMS), cmp.Compare(a.ToMS, b.ToMS), strings.Compare(firstOf(a.Series), firstOf(b.Series)))
	})
	return out
}

func firstOf(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return keys[0]
}

// coversAll reports whether no series but these has a sample from from to to.
func coversAll(expected map[string][]int64, keys []string, from, to int64) bool {
	if len(keys) == len(expected) {
		return true
	}
	for key, times := range expected {
		if _, among := slices.BinarySearch(keys, key); among {
			continue
		}
		if i, _ := slices.BinarySearch(times, from); i < len(times) && times[i] <= to {
			return false
		}
	}
	return true
}
