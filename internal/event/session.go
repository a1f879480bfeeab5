package event

// Phases of a session.
const (
	SessionStart = "start"
	SessionEnd   = "end"
)

// Session marks that a daemon began or ended its work on this log. A session
// without an end was cut off.
type Session struct {
	Stamp
	Phase    string            `msgpack:"phase"` // SessionStart or SessionEnd
	ID       string            `msgpack:"session"`
	BootID   string            `msgpack:"boot_id"`
	DeviceID string            `msgpack:"device"`
	Tags     map[string]string `msgpack:"tags"`
	Version  string            `msgpack:"version"`          // of the agent
	Reason   string            `msgpack:"reason,omitempty"` // of an end: "stopped"
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
