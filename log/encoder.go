package eventlog

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"taffrail/internal/event"
)

// The body of a samples record is one tick, an array in plain msgpack:
//
//	[ group, sequence, wall_ms, boot_ms, flags, definitions, bitmap, values ]
//	[ group, 0,        wall_ms, boot_ms, flags, definitions, bitmap, values, context ]   the head of a group
//
//	group        index of the group's head record
//	sequence     0 for the head, then 1, 2, 3, …
//	wall_ms      milliseconds since 1970; after the head, less the head's
//	boot_ms      milliseconds since boot; after the head, less the head's
//	flags        bit 0: the wall clock is trusted; bit 1: some series are absent
//	definitions  series that the group has not had yet, an array of
//	             [ first id, name, type, decimals, [label names], [[label values], …] ]
//	             with ids counting up from the first; the ids of a group are
//	             contiguous, and none is used twice in a segment
//	bitmap       a bit for each id of the group, lowest bit first: its value
//	             changed. With flag bit 1 a bitmap of the same length stands
//	             before it, whose bits say that the series is in this tick at all
//	values       one for each changed bit:
//	             an integer: the number times ten to the power of the series'
//	             decimals, less the last such integer of the series in the group
//	             (0 at first); a float64: the number itself; a string: a text
//	context      { "session", "boot_id", "device": string, "tags": { string: string } }
//
// A head names every series in it and gives full values, so a group decodes
// without any record before it. docs/adr/0002 has the figures behind taking
// differences from the record before.
const (
	flagTrusted = 1 << 0
	flagAbsent  = 1 << 1

	bodyFields = 8
	headFields = 9
)

// groupTicks is the number of ticks after which a new group begins. It bounds
// what one damaged record can cost: ten minutes at a tick every ten seconds.
const groupTicks = 60

// maxSeries is the largest number of series in a group. A group with that many
// ends early; a tick with more is refused.
const maxSeries = 1 << 17

// ErrDuplicate is returned for a tick in which a series stands twice.
var ErrDuplicate = errors.New("series stands twice in one tick")

// encoder turns ticks into bodies. It holds the state of the current group.
type encoder struct {
	group   uint64 // index of the head; 0: the next tick opens a group
	seq     uint64
	base    event.Stamp // of the head
	firstID uint64
	nextID  uint64 // not reset between groups of a segment
	slots   []slot
	byKey   map[string]int
	order   []int // slots in the order of the samples of the tick before
	fresh   []int // positions in the current tick of series without a slot
	present []byte
	changed []byte
	values  []byte
}

// slot is what a group knows of one series.
type slot struct {
	series *event.Series
	pow    float64 // ten to the power of the series' decimals
	ref    int64   // the last integer that was stored
	bits   uint64  // the last value
	text   string  // the last text
	known  bool    // bits and text hold a value
	seen   uint64  // sequence of the last tick with the series, plus one
	sample int     // position in that tick
}

// startSegment forgets everything: nothing in a segment refers to another.
func (e *encoder) startSegment() {
	e.startGroup()
	e.nextID = 0
}

// startGroup makes the next tick the head of a new group.
func (e *encoder) startGroup() { e.group = 0 }

// appendTick appends the body of tick, which will be record index. After an
// error, or when the body is not stored after all, call startGroup.
func (e *encoder) appendTick(dst []byte, index uint64, tick *event.Tick, ctx *event.Context) ([]byte, error) {
	if len(tick.Samples) > maxSeries {
		return nil, fmt.Errorf("%d series in one tick, at most %d are allowed", len(tick.Samples), maxSeries)
	}
	head := e.group == 0 || e.seq+1 >= groupTicks
	if head {
		e.group, e.seq, e.base = index, 0, tick.Stamp
		e.firstID = e.nextID
		e.slots, e.order = e.slots[:0], e.order[:0]
		e.byKey = make(map[string]int, len(tick.Samples))
	} else {
		e.seq++
	}
	if err := e.place(tick); err != nil {
		return nil, err
	}
	if len(e.slots) > maxSeries { // never in a head
		e.startGroup()
		return e.appendTick(dst, index, tick, ctx)
	}
	if head {
		dst = appendArray(dst, headFields)
	} else {
		dst = appendArray(dst, bodyFields)
	}
	dst = appendUint(dst, e.group)
	dst = appendUint(dst, e.seq)
	wall, boot := tick.WallMS, tick.BootMS
	if !head {
		wall, boot = wall-e.base.WallMS, boot-e.base.BootMS
	}
	dst = appendInt(dst, wall)
	dst = appendInt(dst, boot)
	dst = e.appendSamples(dst, tick)
	if head {
		dst = appendContext(dst, ctx)
	}
	return dst, nil
}

// place finds or makes the slot of every sample.
func (e *encoder) place(tick *event.Tick) error {
	e.fresh = e.fresh[:0]
	mark := e.seq + 1
	for i := range tick.Samples {
		series := tick.Samples[i].Series
		at := -1
		// Collectors deliver the same series in the same order every time.
		if i < len(e.order) && e.slots[e.order[i]].series == series {
			at = e.order[i]
		} else if known, ok := e.byKey[series.Key()]; ok && e.sameAs(known, series) {
			at = known
		} else {
			e.fresh = append(e.fresh, i)
			continue
		}
		s := &e.slots[at]
		if s.seen == mark {
			return fmt.Errorf("%w: %s", ErrDuplicate, series)
		}
		s.seen, s.sample = mark, i
	}
	if len(e.fresh) > 0 {
		if err := e.define(tick); err != nil {
			return err
		}
	}
	e.order = slices.Grow(e.order[:0], len(tick.Samples))[:len(tick.Samples)]
	for at := range e.slots {
		if s := &e.slots[at]; s.seen == mark {
			e.order[s.sample] = at
		}
	}
	return nil
}

// sameAs reports whether series means what the slot was defined with, and lets
// the slot know it by this pointer.
func (e *encoder) sameAs(at int, series *event.Series) bool {
	have := e.slots[at].series
	if have.Type != series.Type || have.Decimals != series.Decimals {
		return false
	}
	e.slots[at].series = series
	return true
}

// define makes slots for the tick's fresh series, those that share everything
// but their labels' values next to each other.
func (e *encoder) define(tick *event.Tick) error {
	slices.SortStableFunc(e.fresh, func(i, j int) int {
		return compareShape(tick.Samples[i].Series, tick.Samples[j].Series)
	})
	for _, i := range e.fresh {
		series := tick.Samples[i].Series
		if at, ok := e.byKey[series.Key()]; ok && e.slots[at].seen == e.seq+1 {
			return fmt.Errorf("%w: %s", ErrDuplicate, series)
		}
		e.byKey[series.Key()] = len(e.slots)
		e.slots = append(e.slots, slot{
			series: series,
			pow:    pow10[series.Decimals],
			seen:   e.seq + 1,
			sample: i,
		})
		e.nextID++
	}
	return nil
}

// compareShape orders series so that those which one block of definitions can
// hold are neighbours.
func compareShape(a, b *event.Series) int {
	return cmp.Or(
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Type, b.Type),
		cmp.Compare(a.Decimals, b.Decimals),
		slices.CompareFunc(a.Labels, b.Labels, func(x, y event.Label) int {
			return cmp.Compare(x.Name, y.Name)
		}),
	)
}

// appendSamples appends flags, definitions, bitmap and values.
func (e *encoder) appendSamples(dst []byte, tick *event.Tick) []byte {
	flags := uint64(0)
	if tick.Trusted {
		flags |= flagTrusted
	}
	if len(tick.Samples) < len(e.slots) {
		flags |= flagAbsent
	}
	dst = appendUint(dst, flags)
	dst = e.appendDefinitions(dst)
	count := e.collectChanges(tick)
	if flags&flagAbsent != 0 {
		e.present = append(e.present, e.changed...)
		dst = appendBin(dst, e.present)
	} else {
		dst = appendBin(dst, e.changed)
	}
	dst = appendArray(dst, count)
	return append(dst, e.values...)
}

// appendDefinitions appends the slots that place has just made, in blocks.
func (e *encoder) appendDefinitions(dst []byte) []byte {
	fresh := e.slots[len(e.slots)-len(e.fresh):]
	blocks := 0
	for i := range fresh {
		if i == 0 || compareShape(fresh[i-1].series, fresh[i].series) != 0 {
			blocks++
		}
	}
	dst = appendArray(dst, blocks)
	id := e.nextID - uint64(len(fresh))
	for len(fresh) > 0 {
		series := fresh[0].series
		n := 1
		for n < len(fresh) && compareShape(series, fresh[n].series) == 0 {
			n++
		}
		dst = appendArray(dst, definitionFields)
		dst = appendUint(dst, id)
		dst = appendString(dst, series.Name)
		dst = appendUint(dst, uint64(series.Type))
		dst = appendUint(dst, uint64(series.Decimals))
		dst = appendArray(dst, len(series.Labels))
		for _, l := range series.Labels {
			dst = appendString(dst, l.Name)
		}
		dst = appendArray(dst, n)
		for i := range fresh[:n] {
			dst = appendArray(dst, len(series.Labels))
			for _, l := range fresh[i].series.Labels {
				dst = appendString(dst, l.Value)
			}
		}
		fresh = fresh[n:]
		id += uint64(n)
	}
	return dst
}

const definitionFields = 6

// collectChanges fills the bitmaps and the values and returns the number of
// changed series.
func (e *encoder) collectChanges(tick *event.Tick) int {
	size := (len(e.slots) + 7) / 8
	e.present = resetBits(e.present, size)
	e.changed = resetBits(e.changed, size)
	e.values = e.values[:0]
	mark, count := e.seq+1, 0
	for at := range e.slots {
		s := &e.slots[at]
		if s.seen != mark {
			continue
		}
		e.present[at/8] |= 1 << (at % 8)
		sample := &tick.Samples[s.sample]
		bits := math.Float64bits(sample.Value)
		if s.series.Type == event.Text {
			if s.known && s.text == sample.Text {
				continue
			}
			s.text = sample.Text
			e.values = appendString(e.values, sample.Text)
		} else {
			if s.known && s.bits == bits {
				continue
			}
			s.bits = bits
			e.values = s.appendNumber(e.values, sample.Value)
		}
		s.known = true
		e.changed[at/8] |= 1 << (at % 8)
		count++
	}
	return count
}

func resetBits(b []byte, size int) []byte {
	b = slices.Grow(b[:0], 2*size)[:size]
	clear(b)
	return b
}

// appendNumber appends v as an integer difference where that gives the same
// bits back, and as a float64 otherwise.
func (s *slot) appendNumber(dst []byte, v float64) []byte {
	if n, ok := toScaled(v, s.pow); ok {
		dst = appendInt(dst, n-s.ref)
		s.ref = n
		return dst
	}
	return appendFloat(dst, v)
}

// maxExact is 2^53: integers up to it are exact in a float64.
const maxExact = 1 << 53

// toScaled returns the integer that fromScaled turns back into v, if there is
// one. NaN, infinities and the negative zero have none.
func toScaled(v, pow float64) (int64, bool) {
	scaled := math.Round(v * pow)
	if !(math.Abs(scaled) <= maxExact) {
		return 0, false
	}
	n := int64(scaled)
	return n, math.Float64bits(fromScaled(n, pow)) == math.Float64bits(v)
}

// fromScaled returns n divided by a power of ten. Both are exact, and IEEE 754
// rounds a quotient correctly, so the result is the float64 next to the decimal.
func fromScaled(n int64, pow float64) float64 { return float64(n) / pow }

var pow10 = [event.MaxDecimals + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

func appendContext(dst []byte, ctx *event.Context) []byte {
	dst = appendMap(dst, 4)
	dst = appendString(appendString(dst, "session"), ctx.SessionID)
	dst = appendString(appendString(dst, "boot_id"), ctx.BootID)
	dst = appendString(appendString(dst, "device"), ctx.DeviceID)
	dst = appendString(dst, "tags")
	dst = appendMap(dst, len(ctx.Tags))
	for _, tag := range ctx.Tags {
		dst = appendString(appendString(dst, tag.Name), tag.Value)
	}
	return dst
}
