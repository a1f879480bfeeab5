package eventlog

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"taffrail/internal/event"
)

// FormatVersion is the version of the format that this package writes. It
// stands in every frame; a reader refuses frames of a later one.
const FormatVersion = 1

// A segment is a sequence of entries, each a length that tidwall/wal writes
// and the frame that is ours:
//
//	+-----------------+----------------------------------------------------+
//	| length, uvarint | frame                                              |
//	+-----------------+----------------------------------------------------+
//
//	frame, integers little-endian:
//
//	 0        4         5      6        10        18      22
//	+--------+---------+------+--------+---------+-------+----------------+
//	| magic  | version | kind | length | index   | CRC   | body           |
//	| D7 TFR | u8      | u8   | u32    | u64     | u32   | length bytes   |
//	+--------+---------+------+--------+---------+-------+----------------+
//	|<------------- covered by the CRC ---------->|       |<-- and this -->|
//
// The CRC is CRC-32C (Castagnoli, RFC 3720). The frame has a length and an
// index of its own, so that it can be found and placed without the entry's
// length, the file's name or the records around it.
const (
	frameHeaderSize = 22
	crcOffset       = 18
)

// MaxBody is the largest body of a record in bytes. A tick of 100,000 series,
// all of them new, takes about 6 MB.
const MaxBody = 16 << 20

// The first byte is no ASCII and no msgpack that a body begins with.
var frameMagic = [4]byte{0xD7, 'T', 'F', 'R'}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends the frame of one record.
func appendFrame(dst []byte, kind event.Kind, index uint64, body []byte) []byte {
	start := len(dst)
	dst = append(dst, frameMagic[:]...)
	dst = append(dst, FormatVersion, byte(kind))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = binary.LittleEndian.AppendUint64(dst, index)
	sum := crc32.Update(0, castagnoli, dst[start:])
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Update(sum, castagnoli, body))
	return append(dst, body...)
}

// frameHeader is the fixed part of a frame.
type frameHeader struct {
	version uint8
	kind    event.Kind
	length  int // of the body
	index   uint64
	crc     uint32
}

// parseFrameHeader reads the first frameHeaderSize bytes of b. It reports false
// where they cannot be a frame: a wrong magic, or a length over MaxBody.
func parseFrameHeader(b []byte) (frameHeader, bool) {
	if len(b) < frameHeaderSize || !bytes.Equal(b[:4], frameMagic[:]) {
		return frameHeader{}, false
	}
	h := frameHeader{
		version: b[4],
		kind:    event.Kind(b[5]),
		index:   binary.LittleEndian.Uint64(b[10:]),
		crc:     binary.LittleEndian.Uint32(b[crcOffset:]),
	}
	length := binary.LittleEndian.Uint32(b[6:])
	if length > MaxBody {
		return frameHeader{}, false
	}
	h.length = int(length)
	return h, true
}

// size returns the number of bytes of the whole frame.
func (h frameHeader) size() int { return frameHeaderSize + h.length }

// intact reports whether the frame's bytes match its checksum.
func (h frameHeader) intact(frame []byte) bool {
	sum := crc32.Update(0, castagnoli, frame[:crcOffset])
	return crc32.Update(sum, castagnoli, frame[frameHeaderSize:h.size()]) == h.crc
}
