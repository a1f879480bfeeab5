package collectors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"taffrail/internal/event"
)

// Why a Recorder refuses a sample, beside what event.NewSeries refuses with
// event.ErrSeries.
var (
	// ErrDuplicate says that a series already stands in the collection or, of
	// two collectors, in the tick. The sample that came first stays.
	ErrDuplicate = errors.New("series stands twice")
	// ErrTooMany says that a collection reached MaxSamples.
	ErrTooMany = errors.New("too many samples")
	// ErrText says that a text is too long or not UTF-8.
	ErrText = errors.New("bad text")
)

// Bounds on one collection, so that a source gone wild (an exporter with a
// label per request, a file that is no text) costs itself and not the device.
const (
	MaxSamples = 10000 // samples in one collection
	MaxText    = 4096  // bytes in one text
)

const (
	// A series that did not stand in this many collections is forgotten; it
	// is made anew should it come back.
	forgetAfter = 300
	// Looking for forgotten series walks over all of them; not every time.
	sweepEvery = 64
	// A longer key buffer than this is not worth keeping: the longest key
	// that NewSeries accepts is about 39 KB.
	maxKeyBuffer = 64 << 10
)

// Recorder takes the samples of one collector. There is one for each, and it
// lives as long as the collector does: it makes a series when it first sees
// it, and from then on every sample of that series carries the same
// *event.Series and allocates nothing.
//
// What it refuses (a name or label that cannot be stored, a series twice in a
// collection, a sample too many) is counted, reported by Finish, and costs no
// other sample. NaN and infinities are taken: the log keeps them.
//
// A Recorder is not safe for use by several goroutines.
type Recorder struct {
	samples []event.Sample
	// collection counts the calls of Finish, from 1.
	collection uint64
	refused    int
	first      error // why the first refused sample was

	key        []byte
	spellings  map[string]*spelling
	identities map[string]*identity
}

// A spelling is a series as its collector writes it: type, decimals, name and
// labels in the order of the call. Several can mean the same series.
type spelling struct {
	series *event.Series
	of     *identity
	seen   uint64 // the last collection that used it
}

// An identity is what must not stand twice: a series by name and labels.
type identity struct {
	series *event.Series // of the spelling made last
	seen   uint64
}

// NewRecorder returns an empty recorder.
func NewRecorder() *Recorder {
	return &Recorder{
		collection: 1,
		spellings:  make(map[string]*spelling),
		identities: make(map[string]*identity),
	}
}

// Gauge records a number that goes up and down. Labels are name, value pairs.
func (r *Recorder) Gauge(name string, v float64, labels ...string) {
	r.number(event.Gauge, 0, name, v, labels)
}

// Counter records a number that only grows until its source starts anew.
func (r *Recorder) Counter(name string, v float64, labels ...string) {
	r.number(event.Counter, 0, name, v, labels)
}

// Decimal records a gauge, rounded to that many decimals: digits beyond what a
// source can mean only cost space.
func (r *Recorder) Decimal(name string, decimals uint8, v float64, labels ...string) {
	r.number(event.Gauge, decimals, name, roundTo(v, decimals), labels)
}

// DecimalCounter records a counter that grows in steps of 1/10^decimals, such
// as seconds that the kernel counts in milliseconds.
func (r *Recorder) DecimalCounter(name string, decimals uint8, v float64, labels ...string) {
	r.number(event.Counter, decimals, name, roundTo(v, decimals), labels)
}

// Text records a string of at most MaxText bytes.
func (r *Recorder) Text(name, s string, labels ...string) {
	if len(s) > MaxText {
		r.refuse(fmt.Errorf("%w: %s has %d bytes, at most %d are allowed", ErrText, name, len(s), MaxText))
		return
	}
	if !utf8.ValidString(s) {
		r.refuse(fmt.Errorf("%w: %s is not UTF-8", ErrText, name))
		return
	}
	if series := r.series(event.Text, 0, name, labels); series != nil {
		r.samples = append(r.samples, event.Sample{Series: series, Text: s})
	}
}

// Finish ends a collection. It returns its samples, which are valid until the
// next one is recorded, and an error that tells how many were refused and why
// the first of them was.
func (r *Recorder) Finish() ([]event.Sample, error) {
	samples, n, first := r.samples, r.refused, r.first
	r.sweep()
	r.samples, r.refused, r.first = r.samples[:0], 0, nil
	r.collection++
	if n > 0 {
		return samples, fmt.Errorf("record: %d samples refused, the first: %w", n, first)
	}
	return samples, nil
}

func (r *Recorder) number(typ event.Type, decimals uint8, name string, v float64, labels []string) {
	if series := r.series(typ, decimals, name, labels); series != nil {
		r.samples = append(r.samples, event.Sample{Series: series, Value: v})
	}
}

// series returns the one that the call means, or nil if it was refused.
func (r *Recorder) series(typ event.Type, decimals uint8, name string, labels []string) *event.Series {
	if len(r.samples) >= MaxSamples {
		r.refuse(fmt.Errorf("%w: at most %d are allowed", ErrTooMany, MaxSamples))
		return nil
	}
	r.key = appendSpelling(r.key[:0], typ, decimals, name, labels)
	s := r.spellings[string(r.key)]
	if s == nil {
		var err error
		if s, err = r.spell(typ, decimals, name, labels); err != nil {
			r.refuse(err)
			return nil
		}
	}
	if s.of.seen == r.collection {
		r.refuse(fmt.Errorf("%w: %s", ErrDuplicate, s.series))
		return nil
	}
	s.seen, s.of.seen = r.collection, r.collection
	return s.series
}

// spell learns the spelling whose key stands in r.key.
func (r *Recorder) spell(typ event.Type, decimals uint8, name string, labels []string) (*spelling, error) {
	key := string(r.key)
	if cap(r.key) > maxKeyBuffer {
		r.key = nil
	}
	if len(labels)%2 != 0 {
		return nil, fmt.Errorf("%w: %s has a label without a value", event.ErrSeries, name)
	}
	// Names and values may be parts of a file's whole text, which the series
	// would keep in memory: it gets copies.
	pairs := make([]event.Label, 0, len(labels)/2)
	for i := 0; i < len(labels); i += 2 {
		pairs = append(pairs, event.Label{Name: strings.Clone(labels[i]), Value: strings.Clone(labels[i+1])})
	}
	series, err := event.NewSeries(strings.Clone(name), typ, decimals, pairs...)
	if err != nil {
		return nil, err
	}
	id := r.identities[series.Key()]
	switch {
	case id == nil:
		id = &identity{series: series}
		r.identities[series.Key()] = id
	case id.series.Type == typ && id.series.Decimals == decimals:
		series = id.series // the same labels in another order
	default:
		id.series = series // its type changed
	}
	s := &spelling{series: series, of: id}
	r.spellings[key] = s
	return s, nil
}

func (r *Recorder) refuse(err error) {
	if r.first == nil {
		r.first = err
	}
	r.refused++
}

// sweep forgets the series that were not seen for long, or, when a source
// makes new ones all the time, all that were not seen just now: what a
// Recorder keeps is bounded by a few times MaxSamples.
func (r *Recorder) sweep() {
	var oldest uint64 // the last collection that is long enough ago
	switch {
	case len(r.spellings) > 2*MaxSamples:
		oldest = r.collection - 1
	case r.collection%sweepEvery == 0 && r.collection > forgetAfter:
		oldest = r.collection - forgetAfter
	default:
		return
	}
	for key, s := range r.spellings {
		if s.seen <= oldest {
			delete(r.spellings, key)
		}
	}
	// An identity is seen whenever a spelling of it is, so that none goes
	// while one of its spellings stays.
	for key, id := range r.identities {
		if id.seen <= oldest {
			delete(r.identities, key)
		}
	}
}

// appendSpelling appends the key of a spelling. Each string is preceded by its
// length, so that no two calls run together into the same key.
func appendSpelling(dst []byte, typ event.Type, decimals uint8, name string, labels []string) []byte {
	dst = append(dst, byte(typ), decimals)
	dst = binary.AppendUvarint(dst, uint64(len(name)))
	dst = append(dst, name...)
	for _, l := range labels {
		dst = binary.AppendUvarint(dst, uint64(len(l)))
		dst = append(dst, l...)
	}
	return dst
}

// roundTo returns the float64 nearest to v at that many decimals. A number so
// large that float64 holds no such decimals, NaN and infinities stay.
func roundTo(v float64, decimals uint8) float64 {
	scale := math.Pow10(int(min(decimals, event.MaxDecimals)))
	scaled := v * scale
	if !(math.Abs(scaled) < 1<<53) {
		return v
	}
	// The zero takes the sign from a negative zero, which no source means.
	return math.Round(scaled)/scale + 0
}
