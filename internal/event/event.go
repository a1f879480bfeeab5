// Package event is the vocabulary that the stages of taffrail share: what can
// stand in a log, and what it means.
//
// It holds values and pure functions only. It imports nothing but the standard
// library, does no I/O, reads no clock and keeps no state of its own, so that
// the log, the shipper and the offline tools, which all import it and not each
// other, cannot disagree about what a sample, a time or an acknowledged range
// is. How events become bytes is the business of package eventlog; what they
// look like at a receiver is the business of package shipper.
package event

import "fmt"

// Kind says what a record of the log holds. The numbers are part of the log's
// format and are never given a new meaning.
type Kind uint8

// The kinds of format version 1. A reader skips kinds that it does not know.
const (
	KindSegment Kind = 1 // SegmentHeader, the first record of every segment
	KindSession Kind = 2 // Session, its start or its end
	KindSamples Kind = 3 // Tick
	KindClock   Kind = 4 // a change of the wall clock against boot time
	KindPlan    Kind = 5 // Plan, what a batch will hold, before it is sent
	KindAck     Kind = 6 // Ack, chunks that the receiver answered with success
	KindSettle  Kind = 7 // ranges that the receiver was seen to hold
	KindReject  Kind = 8 // samples given up for a stated reason
	KindDrop    Kind = 9 // ranges deleted unsent
)

var kindNames = [...]string{
	KindSegment: "segment",
	KindSession: "session",
	KindSamples: "samples",
	KindClock:   "clock",
	KindPlan:    "plan",
	KindAck:     "ack",
	KindSettle:  "settle",
	KindReject:  "reject",
	KindDrop:    "drop",
}

// String returns the kind's name as logtool prints it, or "kind(N)" for one
// that this version does not know.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ParseKind is the inverse of String for the known kinds.
func ParseKind(name string) (Kind, error) {
	for k, n := range kindNames {
		if n == name && n != "" {
			return Kind(k), nil
		}
	}
	return 0, fmt.Errorf("unknown kind %q", name)
}

// Event is one record of the log.
type Event interface {
	// Kind returns the constant that the record is stored under.
	Kind() Kind
	// At returns the moment at which the event was recorded.
	At() Stamp
}

// Stamp is a moment on the device's two clocks.
type Stamp struct {
	// WallMS is the wall clock in milliseconds since 1970-01-01 UTC. It can be
	// wrong: boards without a battery boot in the past.
	WallMS int64 `msgpack:"wall_ms"`
	// BootMS is milliseconds since boot, suspend included (CLOCK_BOOTTIME).
	BootMS int64 `msgpack:"boot_ms"`
}

// At returns the stamp itself; embedding a Stamp is what makes a struct timed.
func (s Stamp) At() Stamp { return s }

// Unknown stands for a record whose kind this version does not know. Its body
// is kept as it is.
type Unknown struct {
	Stamp
	Of   Kind
	Body []byte
}

// Kind returns the unknown kind itself.
func (u *Unknown) Kind() Kind { return u.Of }
