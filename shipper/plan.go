package shipper

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"

	"taffrail/internal/event"
)

// Source yields the records of the log in order.
type Source interface {
	// Next returns the next record and its index, or io.EOF where the log ends
	// for now. Damaged records are left out. A *event.Tick is valid until the
	// next call.
	Next() (index uint64, ev event.Event, err error)
	Close() error
}

// limits are what a new plan is made under. They do not touch a plan that is
// made.
type limits struct {
	batchLines    int
	chunkLines    int
	chunkBytes    int // of a chunk's gzip
	batchSamples  int
	throughRecord uint64 // no record after this index
}

// maxBatchSamples bounds the memory of a batch: 16 bytes a sample, and as much
// again while its lines grow.
const maxBatchSamples = 250_000

// sampleGzipBytes is above what a sample takes in a chunk even where nothing
// repeats: 17 digits of value and 13 of time, at 3.3 bits a digit, are 13 bytes.
const sampleGzipBytes = 20

// batch is a plan with the bodies of its chunks.
type batch struct {
	plan   event.Plan
	bodies [][]byte // gzip
}

// errChanged is returned when the log no longer renders to what was planned.
var errChanged = errors.New("the log no longer renders to the planned bytes")

// planner makes batches from what the cursor has not passed.
type planner struct {
	open   func(from uint64) Source
	source Source // nil, or positioned to go on at resume
	resume uint64 // the index behind the last batch that was made
	next   uint64 // the first index that source has not given
	held   bool   // tick was read and is in no batch yet
	tick   *event.Tick
	index  uint64 // of tick
	gzip   *gzip.Writer
	jsonl  []byte
}

func newPlanner(open func(from uint64) Source) (*planner, error) {
	zip, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	return &planner{open: open, gzip: zip}, nil
}

// close closes the source. The planner can go on after it.
func (p *planner) close() {
	if p.source != nil {
		p.source.Close()
	}
	p.source, p.held = nil, false
}

// make plans the next batch behind the ledger's cursor, or returns nil where
// nothing is to be sent.
func (p *planner) make(ledger *event.Ledger, lim limits) (*batch, error) {
	from := ledger.Cursor() + 1
	if p.source == nil || p.resume != from {
		p.seek(from)
	}
	lines, to, err := p.gather(ledger.NextLine > 0, lim)
	if err != nil || lines.samples == 0 {
		p.close()
		return nil, err
	}
	p.resume = to + 1
	if p.held && p.tick.Held() {
		p.close() // it is read again once its time is decided
	}
	plan := event.Plan{
		Range:       event.Range{From: from, To: to},
		FirstLine:   ledger.NextLine,
		Renderer:    rendererVersion,
		DeviceID:    lines.owner.DeviceID,
		Tags:        lines.owner.Tags.Map(),
		LineSamples: max(1, lim.chunkBytes/sampleGzipBytes),
	}
	pieces := lines.pieces(newIdentities(plan.DeviceID, lines.owner.Tags), plan.LineSamples)
	pieces = pieces[min(plan.FirstLine, len(pieces)):]
	if lines.ticks == 1 && len(pieces) > lim.batchLines {
		pieces, plan.More = pieces[:lim.batchLines], true
	}
	b := &batch{plan: plan}
	for len(pieces) > 0 {
		n := min(lim.chunkLines, len(pieces))
		if err := p.addChunks(b, pieces[:n], lim.chunkBytes); err != nil {
			p.close()
			return nil, err
		}
		pieces = pieces[n:]
	}
	b.plan.Batch = batchID(&b.plan)
	return b, nil
}

// seek opens the source anew.
func (p *planner) seek(from uint64) {
	p.close()
	p.source, p.next = p.open(from), from
}

// gather reads ticks of one owner until the limits are reached, and returns
// them with the index of the last. One tick is taken whatever its size, and only
// one where single is set.
func (p *planner) gather(single bool, lim limits) (lines *lineSet, to uint64, err error) {
	lines = newLineSet()
	for p.held || p.next <= lim.throughRecord {
		if ok, err := p.read(); err != nil || !ok {
			return lines, to, err
		}
		if p.index > lim.throughRecord {
			break
		}
		if p.tick.Held() {
			break // what follows has no time yet either
		}
		ms, timed := p.tick.EffectiveTime()
		if timed && lines.samples > 0 && (single || !lines.takes(p.tick, lim)) {
			break
		}
		if timed {
			lines.add(p.tick, ms)
		}
		to, p.held = p.index, false
	}
	return lines, to, nil
}

// read makes p.tick the next tick, unless one is held. It reports false at the
// end of the log.
func (p *planner) read() (bool, error) {
	for !p.held {
		index, ev, err := p.source.Next()
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read log: %w", err)
		}
		p.next = index + 1
		p.tick, p.held = ev.(*event.Tick)
		p.index = index
	}
	return true, nil
}

// addChunks adds the pieces as one chunk, or, where that is too large, as two
// halves that are treated alike. A single piece is never too large.
func (p *planner) addChunks(b *batch, pieces []piece, limit int) error {
	chunk, body, err := p.render(pieces)
	if err != nil {
		return err
	}
	if len(body) > limit && len(pieces) > 1 {
		half := len(pieces) / 2
		if err := p.addChunks(b, pieces[:half], limit); err != nil {
			return err
		}
		return p.addChunks(b, pieces[half:], limit)
	}
	b.plan.Chunks = append(b.plan.Chunks, chunk)
	b.bodies = append(b.bodies, body)
	return nil
}

// render returns the chunk that the pieces make and its gzip.
func (p *planner) render(pieces []piece) (event.Chunk, []byte, error) {
	chunk := event.Chunk{Lines: len(pieces)}
	p.jsonl = p.jsonl[:0]
	for i := range pieces {
		chunk.Samples += pieces[i].to - pieces[i].from
		p.jsonl = pieces[i].appendLine(p.jsonl)
	}
	sum := sha256.Sum256(p.jsonl)
	chunk.Bytes, chunk.SHA256 = len(p.jsonl), sum[:]
	var body bytes.Buffer
	p.gzip.Reset(&body)
	if _, err := p.gzip.Write(p.jsonl); err != nil {
		return event.Chunk{}, nil, fmt.Errorf("compress chunk: %w", err)
	}
	if err := p.gzip.Close(); err != nil {
		return event.Chunk{}, nil, fmt.Errorf("compress chunk: %w", err)
	}
	return chunk, body.Bytes(), nil
}

// again renders a batch that was planned before, by another process perhaps.
// Nothing but the log and the plan goes into it. It returns errChanged where the
// bytes come out different.
func (p *planner) again(plan *event.Plan) (*batch, error) {
	if plan.Renderer != rendererVersion {
		return nil, fmt.Errorf("%w: they were rendered by version %d of the rules, this is %d", errChanged, plan.Renderer, rendererVersion)
	}
	lines, err := p.collect(plan.Range)
	if err != nil {
		return nil, err
	}
	ids := newIdentities(plan.DeviceID, event.LabelsFromMap(plan.Tags))
	pieces := lines.pieces(ids, max(1, plan.LineSamples))
	pieces = pieces[min(plan.FirstLine, len(pieces)):]
	b := &batch{plan: *plan}
	for i, planned := range plan.Chunks {
		if planned.Lines < 0 || planned.Lines > len(pieces) {
			return nil, fmt.Errorf("%w: chunk %d has %d lines, %d are left", errChanged, i, planned.Lines, len(pieces))
		}
		chunk, body, err := p.render(pieces[:planned.Lines])
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(chunk.SHA256, planned.SHA256) {
			return nil, fmt.Errorf("%w: chunk %d has the digest %x", errChanged, i, chunk.SHA256)
		}
		b.bodies = append(b.bodies, body)
		pieces = pieces[planned.Lines:]
	}
	return b, nil
}

// collect reads the samples of a range.
func (p *planner) collect(r event.Range) (*lineSet, error) {
	p.seek(r.From)
	defer p.close()
	lines, _, err := p.gather(false, limits{
		batchLines:    math.MaxInt,
		batchSamples:  math.MaxInt,
		throughRecord: r.To,
	})
	return lines, err
}

// batchNamespace is the UUIDv5 of "taffrail" in the namespace of URLs.
const batchNamespace = "b059cf5d-21e8-5579-8ef1-ef8b42e5285a"

// batchID names a batch by the device and the digests of its chunks.
func batchID(plan *event.Plan) string {
	name := []byte(plan.DeviceID)
	for _, c := range plan.Chunks {
		name = append(name, '\n')
		name = hex.AppendEncode(name, c.SHA256)
	}
	return uuid.NewSHA1(uuid.MustParse(batchNamespace), name).String()
}
