package reconcile

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"taffrail/internal/victoria"
)

// held returns a log that holds two series of two samples each, and the export
// of a receiver that has them all.
func held() (Log, []victoria.Series) {
	log := Log{Appended: 4, Acknowledged: 4, Points: Points{
		`{"__name__":"a","device_id":"d"}`: {1000: 1, 2000: 2},
		`{"__name__":"b","device_id":"d"}`: {1000: 0, 3000: 1e300},
	}}
	return log, []victoria.Series{
		{Labels: map[string]string{"device_id": "d", "__name__": "a"}, Values: []float64{1, 2}, Timestamps: []int64{1000, 2000}},
		{Labels: map[string]string{"device_id": "d", "__name__": "b"}, Values: []float64{0, 1e300}, Timestamps: []int64{1000, 3000}},
	}
}

func TestJudgeAcceptsTheSame(t *testing.T) {
	log, export := held()
	export[1].Values[1] = 1.000000000001e300 // the twelfth digit
	o := Judge(log, export)
	if !o.OK() {
		t.Errorf("differences: %q", o.Differences)
	}
	if got, want := o.Summary(), "appended 4 = acknowledged 4 = found 4, 2 series"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
}

func TestJudgeFindsWhatDiffers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(log *Log, export []victoria.Series) []victoria.Series
		want   []string // how each difference begins
	}{
		"sample missing": {func(_ *Log, e []victoria.Series) []victoria.Series {
			e[0].Values, e[0].Timestamps = e[0].Values[1:], e[0].Timestamps[1:]
			return e
		}, []string{`only in the log: {"__name__":"a","device_id":"d"} at 1000: 1`}},
		"series missing": {func(_ *Log, e []victoria.Series) []victoria.Series {
			return e[:1]
		}, []string{"only in the log: ", "only in the log: "}},
		"sample too many": {func(_ *Log, e []victoria.Series) []victoria.Series {
			e[0].Values, e[0].Timestamps = append(e[0].Values, 3), append(e[0].Timestamps, 3000)
			return e
		}, []string{`only at the receiver: {"__name__":"a","device_id":"d"} at 3000: 3`}},
		"series under another name": {func(_ *Log, e []victoria.Series) []victoria.Series {
			e[0].Labels["device_id"] = "e"
			return e
		}, []string{"only in the log: ", "only in the log: ", "only at the receiver: ", "only at the receiver: "}},
		"time off by a millisecond": {func(_ *Log, e []victoria.Series) []victoria.Series {
			e[0].Timestamps[0]++
			return e
		}, []string{"only in the log: ", "only at the receiver: "}},
		"value off": {func(_ *Log, e []victoria.Series) []victoria.Series {
			e[0].Values[0] = 1 + 2e-9
			return e
		}, []string{`other value: {"__name__":"a","device_id":"d"} at 1000: 1 in the log, 1.000000002 at the receiver`}},
		"nothing for zero": {func(_ *Log, e []victoria.Series) []victoria.Series {
			e[1].Values[0] = 1e-300
			return e
		}, []string{"other value: "}},
		"no number": {func(_ *Log, e []victoria.Series) []victoria.Series {
			e[0].Values = []float64{math.NaN(), math.Inf(1)}
			return e
		}, []string{"other value: ", "other value: "}},
		"twice at the receiver": {func(_ *Log, e []victoria.Series) []victoria.Series {
			e[0].Values, e[0].Timestamps = []float64{1, 1, 2}, []int64{1000, 1000, 2000}
			return e
		}, []string{"twice at the receiver: "}},
		"not all acknowledged": {func(l *Log, e []victoria.Series) []victoria.Series {
			l.Acknowledged--
			return e
		}, []string{"4 samples are appended, 3 acknowledged"}},
		"log counts otherwise": {func(l *Log, e []victoria.Series) []victoria.Series {
			l.Appended, l.Acknowledged = 5, 5
			return e
		}, []string{"the log counts 5 samples and holds 4"}},
		"log damaged": {func(l *Log, e []victoria.Series) []victoria.Series {
			l.Problems = []string{"the log is damaged"}
			return e
		}, []string{"the log is damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			log, export := held()
			export = c.change(&log, export)
			o := Judge(log, export)
			same := slices.EqualFunc(o.Differences, c.want, strings.HasPrefix)
			if !same || o.OK() {
				t.Errorf("differences %q, want %q", o.Differences, c.want)
			}
		})
	}
}

func TestJudgeDoesNotAcceptNothing(t *testing.T) {
	o := Judge(Log{}, nil)
	if o.OK() {
		t.Error("a demo that measured nothing passed")
	}
}

func TestSummaryShowsWhatIsUnequal(t *testing.T) {
	o := Outcome{Appended: 5, Acknowledged: 4, Found: 3, Series: 1}
	if got := o.Summary(); strings.Count(got, "≠") != 2 {
		t.Errorf("summary %q", got)
	}
}

func TestCompareLeavesItsInputsAlone(t *testing.T) {
	log, _ := held()
	before := maps.Clone(log.Points)
	new(Outcome).compare(log.Points, Points{"x": {1: 1}})
	if len(log.Points) != len(before) || log.Points.Count() != 4 {
		t.Errorf("the log is now %v", log.Points)
	}
}
