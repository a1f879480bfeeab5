package event

// Plan fixes a batch before its first byte is sent, so that a repeat, by
// whichever process and under whichever configuration, sends the same bytes.
type Plan struct {
	Stamp
	// Batch is the UUIDv5 over the device and the chunks' digests.
	Batch string `msgpack:"batch"`
	Range Range  `msgpack:"range"`
	// FirstLine is the batch's first line among the lines that the range
	// renders to, and More says that lines remain behind its last. Both are
	// zero unless one record alone exceeds a batch.
	FirstLine int  `msgpack:"first_line,omitempty"`
	More      bool `msgpack:"more,omitempty"`
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

// Ack says that a receiver answered chunks of a batch with success.
type Ack struct {
	Stamp
	Batch   string `msgpack:"batch"`
	Chunks  []int  `msgpack:"chunks"` // positions in the plan
	Samples int    `msgpack:"samples"`
}

// Kind returns KindAck.
func (a *Ack) Kind() Kind { return KindAck }
