package main

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"taffrail/internal/victoria"
)

// tolerance is how far a value may be off, relative to itself: VictoriaMetrics
// keeps about 12 digits.
const tolerance = 1e-9

// outcome is what the comparison of a log with its receiver came to.
type outcome struct {
	appended     uint64
	acknowledged uint64
	found        int
	series       int
	differences  []string
}

// judge compares the log with the receiver's export.
func judge(log logged, exported []victoria.Series) outcome {
	found, problems := pointsOf(exported)
	o := outcome{
		appended:     log.appended,
		acknowledged: log.acknowledged,
		found:        found.count(),
		series:       len(found),
		differences:  slices.Concat(log.problems, problems, compare(log.points, found)),
	}
	if held := uint64(log.points.count()); held != log.appended {
		o.differences = append(o.differences, fmt.Sprintf("the log counts %d samples and holds %d", log.appended, held))
	}
	if log.acknowledged != log.appended {
		o.differences = append(o.differences, fmt.Sprintf("%d samples are appended, %d acknowledged", log.appended, log.acknowledged))
	}
	return o
}

// ok reports whether both sides hold the same, and not nothing.
func (o *outcome) ok() bool { return len(o.differences) == 0 && o.found > 0 }

// summary says in one line whether the counts are equal.
func (o *outcome) summary() string {
	sign := func(equal bool) string {
		if equal {
			return "="
		}
		return "≠"
	}
	return fmt.Sprintf("appended %d %s acknowledged %d %s found %d, %d series",
		o.appended, sign(o.appended == o.acknowledged), o.acknowledged,
		sign(o.acknowledged == uint64(o.found)), o.found, o.series)
}

// pointsOf returns an export as points, and what does not fit into them.
func pointsOf(exported []victoria.Series) (points, []string) {
	p := make(points)
	var problems []string
	for _, s := range exported {
		labels, err := labelsJSON(s.Labels)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		values := make(map[int64]float64, len(s.Values))
		for i, ms := range s.Timestamps {
			if _, twice := values[ms]; twice {
				problems = append(problems, fmt.Sprintf("twice at the receiver: %s at %d", labels, ms))
			}
			values[ms] = s.Values[i]
		}
		p[labels] = values
	}
	return p, problems
}

// compare returns a line for each sample that only one side holds, or that has
// another value at the receiver, in the order of labels and time.
func compare(log, receiver points) []string {
	var differences []string
	differ := func(format string, args ...any) {
		differences = append(differences, fmt.Sprintf(format, args...))
	}
	all := maps.Clone(log)
	maps.Copy(all, receiver)
	for _, labels := range slices.Sorted(maps.Keys(all)) {
		want, got := log[labels], receiver[labels]
		times := make(map[int64]float64, len(want))
		maps.Copy(times, want)
		maps.Copy(times, got)
		for _, ms := range slices.Sorted(maps.Keys(times)) {
			a, inLog := want[ms]
			b, atReceiver := got[ms]
			switch {
			case !atReceiver:
				differ("only in the log: %s at %d: %v", labels, ms, a)
			case !inLog:
				differ("only at the receiver: %s at %d: %v", labels, ms, b)
			case !near(a, b):
				differ("other value: %s at %d: %v in the log, %v at the receiver", labels, ms, a, b)
			}
		}
	}
	return differences
}

// near reports whether b is what a receiver may make of a, which is a number.
// No NaN and no infinity is.
func near(a, b float64) bool {
	return math.Abs(a-b) <= tolerance*math.Abs(a)
}
