package event

// Phases of a session.
const (
	SessionStart = "start"
	SessionEnd   = "end"
)

// How a session ended.
const (
	EndCompleted = "completed"  // it was told to stop
	EndCrashed   = "crashed"    // it was cut off, and the device went on
	EndPowerLost = "power_lost" // it was cut off, and the device booted anew
)

// Session marks that a daemon began or ended its work on this log. The end of a
// session that was cut off is recorded by the next.
type Session struct {
	Stamp
	Phase    string            `msgpack:"phase"` // SessionStart or SessionEnd
	ID       string            `msgpack:"session"`
	BootID   string            `msgpack:"boot_id"`
	DeviceID string            `msgpack:"device"`
	Tags     map[string]string `msgpack:"tags"`
	Version  string            `msgpack:"version"` // of the agent
	// Reason is how an end came, one of the constants above, and LastMS the wall
	// clock when the session was last seen to work.
	Reason string `msgpack:"reason,omitempty"`
	LastMS int64  `msgpack:"last_ms,omitempty"`
}

// Kind returns KindSession.
func (s *Session) Kind() Kind { return KindSession }

// SegmentHeader opens every segment and makes it readable alone.
type SegmentHeader struct {
	Stamp
	Format   int               `msgpack:"format"`
	DeviceID string            `msgpack:"device"`
	Tags     map[string]string `msgpack:"tags"`
	Session  string            `msgpack:"session"`
	BootID   string            `msgpack:"boot_id"`
	Version  string            `msgpack:"version"`
	// Previous is the name of the segment before this one and PreviousSHA256
	// the digest of its whole file; both are empty in a log's first segment.
	Previous       string `msgpack:"previous"`
	PreviousSHA256 []byte `msgpack:"previous_sha256"`
	// Ledger is the state of all uploads before this record.
	Ledger Ledger `msgpack:"ledger"`
}

// Kind returns KindSegment.
func (h *SegmentHeader) Kind() Kind { return KindSegment }
