package shipper

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"taffrail/internal/event"
)

// lineSet gathers the samples of a range of the log into one line a series.
type lineSet struct {
	lines   []*line
	byPtr   map[*event.Series]*line
	byKey   map[string]*line
	owner   *event.Context // of all its samples
	ticks   int            // that gave samples
	samples int
	firstMS int64 // times of the first and the last sample
	lastMS  int64
}

// line is one series with its samples in time order.
type line struct {
	series *event.Series
	times  []int64 // milliseconds since 1970
	values []float64
}

func newLineSet() *lineSet {
	return &lineSet{byPtr: make(map[*event.Series]*line), byKey: make(map[string]*line)}
}

// find returns the series' line, or nil. A reader gives a series the same
// pointer most of the time, but not always.
func (ls *lineSet) find(s *event.Series) *line {
	if l := ls.byPtr[s]; l != nil {
		return l
	}
	l := ls.byKey[s.Key()]
	if l != nil {
		ls.byPtr[s] = l
	}
	return l
}

// takes reports whether a batch can hold the tick as well: its samples are of
// the same device, and the limits allow them.
func (ls *lineSet) takes(tick *event.Tick, lim limits) bool {
	if !sameOwner(ls.owner, tick.Context) {
		return false
	}
	lines, samples := len(ls.lines), ls.samples
	for i := range tick.Samples {
		if s := &tick.Samples[i]; s.Sendable() {
			samples++
			if ls.find(s.Series) == nil {
				lines++
			}
		}
	}
	return lines <= lim.batchLines && samples <= lim.batchSamples
}

// sameOwner reports whether samples of both contexts carry the same labels.
func sameOwner(a, b *event.Context) bool {
	return a == b || a.DeviceID == b.DeviceID && slices.Equal(a.Tags, b.Tags)
}

// add adds the sendable samples of a tick whose time is ms, as far as only holds
// them; nil holds all.
func (ls *lineSet) add(tick *event.Tick, ms int64, only *gaps) {
	before := ls.samples
	for i := range tick.Samples {
		s := &tick.Samples[i]
		if !s.Sendable() || only != nil && !only.hold(s.Series.Key(), ms) {
			continue
		}
		l := ls.find(s.Series)
		if l == nil {
			l = &line{series: s.Series}
			ls.lines = append(ls.lines, l)
			ls.byPtr[s.Series] = l
			ls.byKey[s.Series.Key()] = l
		}
		l.times = append(l.times, ms)
		l.values = append(l.values, s.Value)
		ls.samples++
	}
	if ls.samples > before {
		if ls.ticks == 0 {
			ls.firstMS, ls.lastMS = ms, ms
		}
		ls.firstMS, ls.lastMS = min(ls.firstMS, ms), max(ls.lastMS, ms)
		ls.owner = tick.Context
		ls.ticks++
	}
}

// piece is a part of a line that is sent as a line of its own.
type piece struct {
	line     *line
	metric   string // its labels, as JSON
	from, to int
}

// pieces returns what is sent, in order: by first time, then by series. A line
// of more than limit samples is cut by time.
func (ls *lineSet) pieces(ids *identities, limit int) []piece {
	var out []piece
	for _, l := range ls.lines {
		l.sort()
		metric := ids.metric(l.series)
		for from := 0; from < len(l.times); from += limit {
			out = append(out, piece{l, metric, from, min(from+limit, len(l.times))})
		}
	}
	slices.SortStableFunc(out, func(a, b piece) int {
		return cmp.Or(
			cmp.Compare(a.line.times[a.from], b.line.times[b.from]),
			strings.Compare(a.line.series.Key(), b.line.series.Key()),
		)
	})
	return out
}

// sort brings the samples into time order; a clock that was set back leaves
// them in another.
func (l *line) sort() {
	if !slices.IsSorted(l.times) {
		sort.Stable((*byTime)(l))
	}
}

type byTime line

func (l *byTime) Len() int           { return len(l.times) }
func (l *byTime) Less(i, j int) bool { return l.times[i] < l.times[j] }
func (l *byTime) Swap(i, j int) {
	l.times[i], l.times[j] = l.times[j], l.times[i]
	l.values[i], l.values[j] = l.values[j], l.values[i]
}

// samples returns how many samples the piece holds.
func (p *piece) samples() int { return p.to - p.from }

// halves cuts the piece in two by time.
func (p *piece) halves() (first, second piece) {
	first, second = *p, *p
	first.to = p.from + p.samples()/2
	second.from = first.to
	return first, second
}

func countSamples(pieces []piece) int {
	n := 0
	for i := range pieces {
		n += pieces[i].samples()
	}
	return n
}

// appendLine appends the piece as a line of VictoriaMetrics' JSON import format:
// https://docs.victoriametrics.com/victoriametrics/url-examples/#apiv1import
func (p *piece) appendLine(dst []byte) []byte {
	dst = append(dst, `{"metric":`...)
	dst = append(dst, p.metric...)
	dst = append(dst, `,"values":[`...)
	for i, v := range p.line.values[p.from:p.to] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendNumber(dst, v)
	}
	dst = append(dst, `],"timestamps":[`...)
	for i, ms := range p.line.times[p.from:p.to] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, ms, 10)
	}
	return append(dst, ']', '}', '\n')
}

// appendNumber appends the shortest decimal that parses to v, as encoding/json
// does: with an exponent only below 1e-6 and from 1e21 on.
func appendNumber(dst []byte, v float64) []byte {
	if n := int64(v); float64(n) == v && n != 0 && n < 1<<53 && n > -1<<53 {
		return strconv.AppendInt(dst, n, 10)
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, v, format, -1, 64)
}
