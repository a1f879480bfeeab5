package event

import "slices"

// Plan fixes a batch before its first byte is sent, so that a repeat, by
// whichever process and under whichever configuration, sends the same bytes.
type Plan struct {
	Stamp
	// Batch is the UUIDv5 over the device and the chunks' digests.
	Batch string `msgpack:"batch"`
	Range Range  `msgpack:"range"`
	// FirstMS and LastMS are the times of the batch's first and last sample.
	FirstMS int64 `msgpack:"first_ms"`
	LastMS  int64 `msgpack:"last_ms"`
	// FirstLine is the batch's first line among the lines that the range
	// renders to, and More says that lines remain behind its last. Both are
	// zero unless one record alone exceeds a batch.
	FirstLine int  `msgpack:"first_line,omitempty"`
	More      bool `msgpack:"more,omitempty"`
	// Gaps make the batch a repair: it holds only those samples of a range that
	// was sent before which the receiver was seen to lack.
	Gaps []Gap `msgpack:"gaps,omitempty"`
	// Names are the inside names of metrics that are sent for the first time.
	Names []string `msgpack:"names,omitempty"`
	// Renderer is the version of the rules by which samples become JSONL.
	Renderer    int               `msgpack:"renderer"`
	DeviceID    string            `msgpack:"device"`
	Tags        map[string]string `msgpack:"tags"`
	LineSamples int               `msgpack:"line_samples"` // longest line, in samples
	Chunks      []Chunk           `msgpack:"chunks"`
}

// Chunk is one request of a batch: the next Lines lines.
type Chunk struct {
	Lines   int    `msgpack:"lines"`
	Samples int    `msgpack:"samples"`
	Bytes   int    `msgpack:"bytes"` // of JSONL, before compression
	SHA256  []byte `msgpack:"sha256"`
}

// Gap is a stretch of time in which a receiver lacks samples of some series.
type Gap struct {
	FromMS int64 `msgpack:"from_ms"`
	ToMS   int64 `msgpack:"to_ms"` // included
	// Series are the keys of the series; empty: all.
	Series []string `msgpack:"series,omitempty"`
}

// Kind returns KindPlan.
func (p *Plan) Kind() Kind { return KindPlan }

// Samples returns the number of samples in the batch.
func (p *Plan) Samples() int {
	n := 0
	for _, c := range p.Chunks {
		n += c.Samples
	}
	return n
}

// Repair reports whether the batch repeats samples of an earlier one.
func (p *Plan) Repair() bool { return len(p.Gaps) > 0 }

// LineGaps returns which samples of the range a line of the batch holds. Between
// the first and the last of a repair's line there can be others, which the
// receiver has.
func (p *Plan) LineGaps(line *RejectedLine) []Gap {
	whole := Gap{FromMS: line.FirstMS, ToMS: line.LastMS, Series: []string{line.Series}}
	if !p.Repair() {
		return []Gap{whole}
	}
	var held []Gap
	for _, g := range p.Gaps {
		part := whole
		part.FromMS, part.ToMS = max(g.FromMS, whole.FromMS), min(g.ToMS, whole.ToMS)
		if part.FromMS <= part.ToMS && (len(g.Series) == 0 || slices.Contains(g.Series, line.Series)) {
			held = append(held, part)
		}
	}
	return held
}

// Ack says that a receiver answered chunks of a batch with success.
type Ack struct {
	Stamp
	Batch  string  `msgpack:"batch"`
	Chunks []int   `msgpack:"chunks"`          // positions in the plan
	Lines  []Lines `msgpack:"lines,omitempty"` // of chunks that were taken in part
	// Doubt are chunks that were sent and not answered with success, so that
	// nobody knows whether the receiver has them. They are not sent again
	// before it was asked.
	Doubt   []int `msgpack:"doubt,omitempty"`
	Samples int   `msgpack:"samples"` // that were answered with success
}

// Lines are the lines From to To, both included and counted from 0, of a chunk.
type Lines struct {
	Chunk   int `msgpack:"chunk"`
	From    int `msgpack:"from"`
	To      int `msgpack:"to"`
	Samples int `msgpack:"samples"`
}

// Kind returns KindAck.
func (a *Ack) Kind() Kind { return KindAck }

// Settle says that the receiver was seen to hold what was sent of these ranges,
// for longer than it keeps samples in memory only.
type Settle struct {
	Stamp
	Ranges  []Range `msgpack:"ranges"` // of batches
	Samples int     `msgpack:"samples"`
	// How it was found out: ProofCount, ProofExport or ProofConnection.
	Proof string `msgpack:"proof"`
}

// How a range was settled.
const (
	ProofCount      = "count"      // as many samples of each series as were sent
	ProofExport     = "export"     // each sample, by series and time
	ProofConnection = "connection" // a later answer on the same connection
)

// Kind returns KindSettle.
func (s *Settle) Kind() Kind { return KindSettle }
