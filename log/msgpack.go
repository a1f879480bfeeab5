package eventlog

import (
	"encoding/binary"
	"errors"
	"math"
)

// The bodies of ticks are read and written by hand: at the rates this log is
// made for, a general codec costs more than the rest of the pipeline. What is
// written is plain msgpack in its shortest forms, so that any msgpack reader
// opens it. See https://github.com/msgpack/msgpack/blob/master/spec.md.

const (
	mpNil     = 0xc0
	mpFloat64 = 0xcb
)

func appendInt(b []byte, v int64) []byte {
	switch {
	case v >= 0:
		return appendUint(b, uint64(v))
	case v >= -32:
		return append(b, byte(v))
	case v >= math.MinInt8:
		return append(b, 0xd0, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(b, 0xd1), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(v))
}

func appendUint(b []byte, v uint64) []byte {
	switch {
	case v < 1<<7:
		return append(b, byte(v))
	case v < 1<<8:
		return append(b, 0xcc, byte(v))
	case v < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 0xcd), uint16(v))
	case v < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xcf), v)
}

func appendFloat(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, mpFloat64), math.Float64bits(v))
}

func appendString(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 1<<5:
		b = append(b, 0xa0|byte(n))
	case n < 1<<8:
		b = append(b, 0xd9, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(n))
	}
	return append(b, s...)
}

func appendBin(b, data []byte) []byte {
	switch n := len(data); {
	case n < 1<<8:
		b = append(b, 0xc4, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0xc5), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(n))
	}
	return append(b, data...)
}

func appendArray(b []byte, n int) []byte { return appendContainer(b, n, 0x90, 0xdc) }

func appendMap(b []byte, n int) []byte { return appendContainer(b, n, 0x80, 0xde) }

func appendContainer(b []byte, n int, fix, wide byte) []byte {
	switch {
	case n < 1<<4:
		return append(b, fix|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, wide), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, wide+1), uint32(n))
}

// errMalformed is returned for bytes that are not the msgpack that was
// expected. The frame's checksum has matched, so whoever wrote them was wrong.
var errMalformed = errors.New("malformed body")

// parser reads msgpack. After the first error every read returns zero values,
// and err holds errMalformed. No count or length is believed beyond the bytes
// that are there.
type parser struct {
	b   []byte
	err error
}

func (p *parser) fail() {
	p.err = errMalformed
	p.b = nil
}

func (p *parser) take(n int) []byte {
	if n < 0 || n > len(p.b) {
		p.fail()
		return nil
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

// big reads a big-endian unsigned integer of n bytes.
func (p *parser) big(n int) uint64 {
	var v uint64
	for _, c := range p.take(n) {
		v = v<<8 | uint64(c)
	}
	return v
}

func (p *parser) code() byte {
	if len(p.b) == 0 {
		p.fail()
		return mpNil
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

func (p *parser) peek() byte {
	if len(p.b) == 0 {
		p.fail()
		return mpNil
	}
	return p.b[0]
}

func (p *parser) int() int64 {
	c := p.code()
	switch {
	case c < 0x80 || c >= 0xe0:
		return int64(int8(c))
	case c >= 0xcc && c <= 0xcf:
		v := p.big(1 << (c - 0xcc))
		if v > math.MaxInt64 {
			p.fail()
			return 0
		}
		return int64(v)
	case c >= 0xd0 && c <= 0xd3:
		n := 1 << (c - 0xd0)
		shift := 64 - 8*n
		return int64(p.big(n)<<shift) >> shift
	}
	p.fail()
	return 0
}

// uint reads an integer that is not negative and at most limit.
func (p *parser) uint(limit uint64) uint64 {
	v := p.int()
	if v < 0 || uint64(v) > limit {
		p.fail()
		return 0
	}
	return uint64(v)
}

func (p *parser) string() string {
	var n uint64
	switch c := p.code(); {
	case c&0xe0 == 0xa0:
		n = uint64(c & 0x1f)
	case c >= 0xd9 && c <= 0xdb:
		n = p.big(1 << (c - 0xd9))
	default:
		p.fail()
	}
	return string(p.take(int(n)))
}

func (p *parser) bin() []byte {
	var n uint64
	if c := p.code(); c >= 0xc4 && c <= 0xc6 {
		n = p.big(1 << (c - 0xc4))
	} else {
		p.fail()
	}
	return p.take(int(n))
}

// array reads an array's header. Its elements take at least a byte each, so a
// count beyond the bytes that are left is refused before anyone allocates.
func (p *parser) array() int { return p.container(0x90, 0xdc, 1) }

// dict is array for maps, whose entries take at least two bytes each.
func (p *parser) dict() int { return p.container(0x80, 0xde, 2) }

func (p *parser) container(fix, wide byte, entry int) int {
	var n uint64
	switch c := p.code(); {
	case c&0xf0 == fix:
		n = uint64(c & 0x0f)
	case c == wide || c == wide+1:
		n = p.big(2 << (c - wide))
	default:
		p.fail()
	}
	if n > uint64(len(p.b)/entry) {
		p.fail()
		return 0
	}
	return int(n)
}
