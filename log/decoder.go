package eventlog

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"taffrail/internal/event"
)

// errGroupBroken is returned for a tick whose group cannot be followed: its
// head, or a record between the two, is damaged or was not read.
var errGroupBroken = errors.New("an earlier record of its group is missing")

// decoder turns the bodies of ticks back into ticks. It is given the records
// of a segment in order.
type decoder struct {
	group   uint64
	seq     uint64
	base    event.Stamp
	firstID uint64
	ctx     *event.Context
	slots   []decodedSlot
	series  map[string]interned
	tick    event.Tick
}

// interned is a series as the last group that defined it had it.
type interned struct {
	series *event.Series // one pointer over the groups
	group  uint64
	slot   int
}

type decodedSlot struct {
	series *event.Series
	twin   int // one more than the slot before with this name and labels, or 0
	pow    float64
	ref    int64
	value  float64
	text   string
	known  bool
}

// nextID returns the first id after those of the last group.
func (d *decoder) nextID() uint64 { return d.firstID + uint64(len(d.slots)) }

// decodeTick decodes the body of record index. The tick is valid until the next
// call.
func (d *decoder) decodeTick(index uint64, body []byte) (*event.Tick, error) {
	p := parser{b: body}
	fields := p.array()
	group := p.uint(math.MaxInt64)
	seq := p.uint(math.MaxInt64)
	head := seq == 0
	switch {
	case p.err != nil, head && (fields != headFields || group != index), !head && fields != bodyFields:
		d.group = 0
		return nil, errMalformed
	case !head && (group != d.group || seq != d.seq+1 || d.group == 0):
		return nil, errGroupBroken
	}
	wall, boot := p.int(), p.int()
	if head {
		d.base = event.Stamp{WallMS: wall, BootMS: boot}
		d.slots = d.slots[:0]
	} else {
		wall, boot = wall+d.base.WallMS, boot+d.base.BootMS
	}
	d.group, d.seq = group, seq
	d.tick.Stamp = event.Stamp{WallMS: wall, BootMS: boot}
	if err := d.samples(&p, head); err != nil {
		d.group = 0
		return nil, err
	}
	d.tick.Context = d.ctx
	return &d.tick, nil
}

func (d *decoder) samples(p *parser, head bool) error {
	flags := p.uint(flagTrusted | flagAbsent)
	d.tick.Trusted = flags&flagTrusted != 0
	if err := d.definitions(p); err != nil {
		return err
	}
	size := (len(d.slots) + 7) / 8
	changed := p.bin()
	var present []byte
	if flags&flagAbsent != 0 {
		if len(changed) != 2*size {
			return errMalformed
		}
		present, changed = changed[:size], changed[size:]
	}
	count := p.array()
	if p.err != nil || len(changed) != size || !d.bitsFit(changed, present, count) {
		return errMalformed
	}
	d.values(p, changed, present)
	if head {
		d.ctx = parseContext(p)
	}
	if p.err != nil || len(p.b) != 0 {
		return errMalformed
	}
	return nil
}

// bitsFit checks the bitmaps against each other, the series and the number of
// values, so that values can trust them.
func (d *decoder) bitsFit(changed, present []byte, count int) bool {
	ones := 0
	for i, b := range changed {
		ones += bits.OnesCount8(b)
		if present != nil && b&^present[i] != 0 {
			return false
		}
	}
	beyond := func(b []byte) bool {
		n := len(d.slots) % 8
		return n != 0 && len(b) > 0 && b[len(b)-1]>>n != 0
	}
	return ones == count && !beyond(changed) && !beyond(present)
}

// values fills the tick's samples from the changed values and the known ones.
func (d *decoder) values(p *parser, changed, present []byte) {
	d.tick.Samples = d.tick.Samples[:0]
	for at := range d.slots {
		mask := byte(1) << (at % 8)
		if present != nil && present[at/8]&mask == 0 {
			continue
		}
		s := &d.slots[at]
		if s.twin > 0 && d.twinPresent(s.twin, present) {
			p.fail() // a series stands twice in the tick
			return
		}
		if changed[at/8]&mask != 0 {
			s.parse(p)
		} else if !s.known {
			p.fail()
		}
		d.tick.Samples = append(d.tick.Samples, event.Sample{Series: s.series, Value: s.value, Text: s.text})
	}
}

func (d *decoder) twinPresent(twin int, present []byte) bool {
	for ; twin > 0; twin = d.slots[twin-1].twin {
		if at := twin - 1; present == nil || present[at/8]&(1<<(at%8)) != 0 {
			return true
		}
	}
	return false
}

func (s *decodedSlot) parse(p *parser) {
	s.known = true
	if s.series.Type == event.Text {
		s.text = p.string()
		return
	}
	if p.peek() == mpFloat64 {
		p.code()
		s.value = math.Float64frombits(p.big(8))
		return
	}
	s.ref += p.int()
	s.value = fromScaled(s.ref, s.pow)
}

func (d *decoder) definitions(p *parser) error {
	for range p.array() {
		if p.array() != definitionFields {
			return errMalformed
		}
		id := p.uint(math.MaxInt64)
		if len(d.slots) == 0 {
			d.firstID = id
		} else if id != d.nextID() {
			return errMalformed
		}
		name := p.string()
		typ := event.Type(p.uint(math.MaxUint8))
		decimals := p.uint(event.MaxDecimals)
		labels := make([]event.Label, min(p.array(), event.MaxLabels+1))
		for i := range labels {
			labels[i].Name = p.string()
		}
		for range p.array() {
			if p.array() != len(labels) {
				return errMalformed
			}
			for i := range labels {
				labels[i].Value = p.string()
			}
			if p.err != nil {
				return p.err
			}
			if len(d.slots) >= maxSeries {
				return errMalformed
			}
			series, err := event.NewSeries(name, typ, uint8(decimals), labels...)
			if err != nil {
				return fmt.Errorf("%w: %w", errMalformed, err)
			}
			d.define(series)
		}
	}
	return p.err
}

// maxInterned bounds the series that a decoder remembers between groups.
const maxInterned = 100_000

// define makes the next slot. Where an earlier group had the series, its pointer
// is taken, so that a reader can compare pointers.
func (d *decoder) define(series *event.Series) {
	slot := decodedSlot{series: series, pow: pow10[series.Decimals]}
	if have, ok := d.series[series.Key()]; ok {
		if have.series.Type == series.Type && have.series.Decimals == series.Decimals {
			slot.series = have.series
		}
		if have.group == d.group && have.slot < len(d.slots) {
			slot.twin = have.slot + 1
		}
	}
	if d.series == nil || len(d.series) >= maxInterned {
		d.series = make(map[string]interned)
	}
	d.series[series.Key()] = interned{slot.series, d.group, len(d.slots)}
	d.slots = append(d.slots, slot)
}

func parseContext(p *parser) *event.Context {
	ctx := &event.Context{}
	for range p.dict() {
		switch p.string() {
		case "session":
			ctx.SessionID = p.string()
		case "boot_id":
			ctx.BootID = p.string()
		case "device":
			ctx.DeviceID = p.string()
		case "tags":
			tags := make([]event.Label, min(p.dict(), event.MaxLabels+1))
			for i := range tags {
				tags[i] = event.Label{Name: p.string(), Value: p.string()}
			}
			var err error
			if ctx.Tags, err = event.NewLabels(tags...); err != nil {
				p.fail()
			}
		default: // of a later version
			if p.skip() != nil {
				p.fail()
			}
		}
	}
	return ctx
}
