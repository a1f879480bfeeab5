package event

// Reasons of a Reject. Others are the receiver's own words.
const (
	// ReasonTimeUnknown: the ticks have no time.
	ReasonTimeUnknown = "time_unknown"
	// ReasonTooOld: the ticks are older than what the receiver keeps.
	ReasonTooOld = "too_old"
	// ReasonFarFuture: the ticks are over a day ahead of the clock.
	ReasonFarFuture = "far_future"
	// ReasonEmpty: the range holds no sample that could be sent.
	ReasonEmpty = "empty"
	// ReasonRefused: the receiver does not take the line, whatever goes with it.
	ReasonRefused = "refused"
	// ReasonReceiverDropped: the receiver acknowledged the samples, was seen
	// to lack them, was sent them again twice, and still lacks them.
	ReasonReceiverDropped = "receiver_dropped"
)

// Reject says that samples will never be sent, or not once more, and why. They
// stay in the log.
type Reject struct {
	Stamp
	Range   Range  `msgpack:"range"`
	Samples int    `msgpack:"samples"`
	Reason  string `msgpack:"reason"`
	// Line is set where a single line of the open batch is given up.
	Line *RejectedLine `msgpack:"line,omitempty"`
	// Gaps say which samples of a batch in Range the receiver dropped.
	Gaps []Gap `msgpack:"gaps,omitempty"`
}

// RejectedLine is the identity of a line that a receiver does not take.
type RejectedLine struct {
	Batch   string `msgpack:"batch"`
	Chunk   int    `msgpack:"chunk"`
	Line    int    `msgpack:"line"`     // of the chunk, from 0
	Series  string `msgpack:"series"`   // its key
	FirstMS int64  `msgpack:"first_ms"` // times of its first and its last sample
	LastMS  int64  `msgpack:"last_ms"`
	Status  int    `msgpack:"status"` // of the answer
	Answer  string `msgpack:"answer"` // its beginning
}

// Kind returns KindReject.
func (r *Reject) Kind() Kind { return KindReject }

// Whole reports whether the reject gives up all of its range, and not single
// samples of batches that were sent from it.
func (r *Reject) Whole() bool { return r.Line == nil && len(r.Gaps) == 0 }

// Drop says that records were deleted before all of their samples were sent, or
// seen at the receiver, because the log had reached its bound.
type Drop struct {
	Stamp
	Range Range `msgpack:"range"`
	// Samples counts those that were never sent, or in a batch that is not
	// complete; see Ledger.Covered.
	Samples int    `msgpack:"samples"`
	Reason  string `msgpack:"reason"`
}

// Kind returns KindDrop.
func (d *Drop) Kind() Kind { return KindDrop }
