package reconcile

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"taffrail/internal/victoria"
)

// tolerance is how far a value may be off, relative to itself.
const tolerance = 1e-9

// Outcome is what the comparison of a log with its receiver came to.
type Outcome struct {
	Appended     uint64
	Acknowledged uint64
	Found        int // samples at the receiver
	Series       int // there
	Missing      int // samples that only the log holds
	Twice        int // samples that the receiver holds more than once
	Extra        int // samples that only the receiver holds
	Off          int // samples of another value at the receiver
	// Differences say all of this and what else is wrong, a line each.
	Differences []string
}

// Judge compares the log with the receiver's export.
func Judge(log Log, exported []victoria.Series) Outcome {
	o := Outcome{Appended: log.Appended, Acknowledged: log.Acknowledged, Differences: slices.Clone(log.Problems)}
	found, twice, err := exportedPoints(exported)
	if err != nil {
		o.differ("the export has labels that are none: %v", err)
	}
	o.Found, o.Series, o.Twice = found.Count(), len(found), len(twice)
	o.Differences = append(o.Differences, twice...)
	o.compare(log.Points, found)
	if held := uint64(log.Points.Count()); held != log.Appended {
		o.differ("the log counts %d samples and holds %d", log.Appended, held)
	}
	if log.Acknowledged != log.Appended {
		o.differ("%d samples are appended, %d acknowledged", log.Appended, log.Acknowledged)
	}
	return o
}

// OK reports whether both sides hold the same, and not nothing.
func (o *Outcome) OK() bool { return len(o.Differences) == 0 && o.Found > 0 }

// Summary says in one line whether the counts are equal.
func (o *Outcome) Summary() string {
	sign := func(equal bool) string {
		if equal {
			return "="
		}
		return "≠"
	}
	return fmt.Sprintf("appended %d %s acknowledged %d %s found %d, %d series",
		o.Appended, sign(o.Appended == o.Acknowledged), o.Acknowledged,
		sign(o.Acknowledged == uint64(o.Found)), o.Found, o.Series)
}

func (o *Outcome) differ(format string, args ...any) {
	o.Differences = append(o.Differences, fmt.Sprintf(format, args...))
}

// compare notes each sample that only one side holds, or that has another value
// at the receiver, in the order of labels and time.
func (o *Outcome) compare(log, receiver Points) {
	all := make(map[string]bool)
	for _, side := range []Points{log, receiver} {
		for labels := range side {
			all[labels] = true
		}
	}
	for _, labels := range slices.Sorted(maps.Keys(all)) {
		want, got := log[labels], receiver[labels]
		times := make(map[int64]bool, len(want))
		for _, side := range []map[int64]float64{want, got} {
			for ms := range side {
				times[ms] = true
			}
		}
		for _, ms := range slices.Sorted(maps.Keys(times)) {
			a, inLog := want[ms]
			b, atReceiver := got[ms]
			switch {
			case !atReceiver:
				o.Missing++
				o.differ("only in the log: %s at %d: %v", labels, ms, a)
			case !inLog:
				o.Extra++
				o.differ("only at the receiver: %s at %d: %v", labels, ms, b)
			case !near(a, b):
				o.Off++
				o.differ("other value: %s at %d: %v in the log, %v at the receiver", labels, ms, a, b)
			}
		}
	}
}

// near reports whether b is what a receiver may make of a, which is a number.
// No NaN and no infinity is.
func near(a, b float64) bool {
	return math.Abs(a-b) <= tolerance*math.Abs(a)
}
