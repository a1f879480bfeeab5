package eventlog

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"taffrail/internal/event"
)

// Every kind but samples has a msgpack map as its body, with the names that
// stand in package event as keys. A reader skips keys that it does not know.

// maxDepth bounds how deep the arrays and maps of a body may lie in each other.
// The deepest of ours is a segment header's plan with its chunks, at 6.
const maxDepth = 16

// maxValues bounds how many values lie in the arrays and maps of a body, since
// one byte there can become fifty in memory. A header's ledger may have some
// 50,000 ranges.
const maxValues = 1 << 18

var (
	errTooDeep = errors.New("arrays and maps lie too deep in each other")
	errTooMany = errors.New("too many values in one body")
)

// encodeBody returns the body of any event but a tick.
func encodeBody(ev event.Event) ([]byte, error) {
	if u, ok := ev.(*event.Unknown); ok {
		return bytes.Clone(u.Body), nil
	}
	body, err := msgpack.Marshal(ev)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", ev.Kind(), err)
	}
	if err := checkShape(body); err != nil { // no reader would take it
		return nil, fmt.Errorf("encode %s: %w", ev.Kind(), err)
	}
	return body, nil
}

// decodeBody is the inverse of encodeBody. The event shares nothing with body.
func decodeBody(kind event.Kind, body []byte) (event.Event, error) {
	var ev event.Event
	switch kind {
	case event.KindSegment:
		ev = &event.SegmentHeader{}
	case event.KindSession:
		ev = &event.Session{}
	case event.KindClock:
		ev = &event.Clock{}
	case event.KindReject:
		ev = &event.Reject{}
	case event.KindDrop:
		ev = &event.Drop{}
	case event.KindPlan:
		ev = &event.Plan{}
	case event.KindAck:
		ev = &event.Ack{}
	case event.KindSettle:
		ev = &event.Settle{}
	default:
		return &event.Unknown{Of: kind, Body: bytes.Clone(body)}, nil
	}
	if err := checkShape(body); err != nil {
		return nil, err
	}
	if err := msgpack.Unmarshal(body, ev); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	// The ledger relies on it.
	if h, ok := ev.(*event.SegmentHeader); ok && h.Ledger.Open != nil && len(h.Ledger.Open.Chunks) != len(h.Ledger.Open.Plan.Chunks) {
		return nil, errMalformed
	}
	return ev, nil
}

// checkShape walks a body without decoding it, so that the codec, which
// recurses and believes lengths, is only ever given one value whose lengths
// are true and whose depth is bounded.
func checkShape(body []byte) error {
	p := parser{b: body}
	if err := p.skip(); err != nil {
		return err
	}
	if len(p.b) != 0 {
		return errMalformed
	}
	return nil
}

// skip skips one value with all that lies inside.
func (p *parser) skip() error {
	var open [maxDepth]int // values that are still to come at each depth
	depth, values := 0, 0
	open[0] = 1
	for {
		for open[depth] == 0 {
			if depth == 0 {
				return p.err
			}
			depth--
		}
		open[depth]--
		inside := p.skipValue()
		if p.err != nil {
			return p.err
		}
		if values += inside; values > maxValues {
			return errTooMany
		}
		if inside > 0 {
			if depth++; depth == maxDepth {
				return errTooDeep
			}
			open[depth] = inside
		}
	}
}

// skipValue skips a scalar, or the header of an array or map, and returns the
// number of values that lie inside.
func (p *parser) skipValue() (inside int) {
	c := p.peek()
	switch {
	case c >= 0x90 && c <= 0x9f, c == 0xdc, c == 0xdd:
		return p.array()
	case c >= 0x80 && c <= 0x8f, c == 0xde, c == 0xdf:
		return 2 * p.dict()
	case c >= 0xa0 && c <= 0xbf, c >= 0xd9 && c <= 0xdb:
		_ = p.string()
	case c >= 0xc4 && c <= 0xc6:
		p.bin()
	case c == mpNil, c == 0xc2, c == 0xc3:
		p.code()
	case c == 0xca:
		p.take(5)
	case c == mpFloat64:
		p.take(9)
	case c == 0xcf:
		p.take(9)
	case c < 0x80, c >= 0xe0, c >= 0xcc && c <= 0xd3:
		p.int()
	default: // extension types, which no body has, and 0xc1, which does not exist
		p.fail()
	}
	return inside
}
