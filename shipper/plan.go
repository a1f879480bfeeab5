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

// limits are what a new plan is made under. They do not touch a plan that is
// made.
type limits struct {
	batchLines    int
	chunkLines    int // 0: as many as chunkBytes allow
	chunkBytes    int // of a chunk's gzip
	batchSamples  int
	throughRecord uint64 // no record after this index
	closed        bool   // a batch that comes up to it takes all records up to it
	notBeforeMS   int64  // older ticks are refused
	notAfterMS    int64  // later ticks are refused
}

// maxBatchSamples bounds the memory of a batch: 16 bytes a sample, and as much
// again while its lines grow. On the wire it is two chunks or so.
const maxBatchSamples = 125_000

// sampleGzipBytes is above what a sample takes in a chunk even where nothing
// repeats: 17 digits of value and 13 of time, at 3.3 bits a digit, are 13 bytes.
const sampleGzipBytes = 20

// Of a chunk from a backlog, this share of the limit is aimed at: most come out
// between half of the limit and all of it, and few have to be cut in two.
const aim = 0.7

// batch is a plan with what it sends.
type batch struct {
	plan   event.Plan
	pieces [][]piece // of each chunk
	bodies [][]byte  // gzip of each chunk
}

// errChanged is returned when the log no longer renders to what was planned.
var errChanged = errors.New("the log no longer renders to the planned bytes")

// planner makes batches from the records of a log.
type planner struct {
	open    func(from uint64) Source
	source  Source // nil, or positioned to go on at resume
	resume  uint64 // the index behind the last batch that was made
	next    uint64 // the first index that source has not given
	held    bool   // tick was read and is in no batch yet
	tick    *event.Tick
	index   uint64 // of tick
	gzip    *gzip.Writer
	jsonl   []byte
	density float64 // gzipped bytes a sample of the chunks so far
}

func newPlanner(open func(from uint64) Source) (*planner, error) {
	zip, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	return &planner{open: open, gzip: zip, density: 3}, nil
}

// close closes the source. The planner can go on after it.
func (p *planner) close() {
	if p.source != nil {
		p.source.Close()
	}
	p.source, p.held = nil, false
}

// make plans the next batch from a record on, or of the record that the ledger
// says was sent in part. It returns neither a batch nor a reject where nothing is
// to be sent; a reject stands for ticks whose times no receiver takes, and comes
// before what follows them.
func (p *planner) make(from uint64, ledger *event.Ledger, lim limits) (*batch, *event.Reject, error) {
	firstLine := 0
	if part := ledger.Part; part != nil {
		from, firstLine = part.Range.From, part.Line
		lim.throughRecord, lim.notBeforeMS, lim.notAfterMS = part.Range.To, 0, 0
	}
	if p.source == nil || p.resume != from {
		p.seek(from)
	}
	g, err := p.gather(from, lim, nil)
	if err != nil || g.lines.samples == 0 && g.refused == nil {
		p.close()
		return nil, nil, err
	}
	p.resume = g.to + 1
	if p.held && p.tick.Held() {
		p.close() // it is read again once its time is decided
	}
	if g.refused != nil {
		return nil, g.refused, nil
	}
	plan := event.Plan{Range: event.Range{From: from, To: g.to}, FirstLine: firstLine}
	b, err := p.build(plan, g.lines, ledger.Names, lim)
	if err != nil {
		p.close()
		return nil, nil, err
	}
	return b, nil, nil
}

// repair plans a batch of those samples of a range that are in the gaps, or
// returns nil where there are none.
func (p *planner) repair(r event.Range, list []event.Gap, ledger *event.Ledger, lim limits) (*batch, error) {
	lines, err := p.collect(r, list)
	if err != nil || lines.samples == 0 {
		return nil, err
	}
	lim.batchLines = math.MaxInt
	return p.build(event.Plan{Range: r, Gaps: list}, lines, ledger.Names, lim)
}

// build completes a plan and renders what it sends.
func (p *planner) build(plan event.Plan, lines *lineSet, names []string, lim limits) (*batch, error) {
	plan.Renderer = rendererVersion
	plan.DeviceID, plan.Tags = lines.owner.DeviceID, lines.owner.Tags.Map()
	plan.FirstMS, plan.LastMS = lines.firstMS, lines.lastMS
	plan.LineSamples = max(1, lim.chunkBytes/sampleGzipBytes)
	ids := newIdentities(plan.DeviceID, lines.owner.Tags, names)
	pieces := lines.pieces(ids, plan.LineSamples)
	plan.Names = ids.added
	pieces = pieces[min(plan.FirstLine, len(pieces)):]
	if lines.ticks == 1 && len(pieces) > lim.batchLines {
		pieces, plan.More = pieces[:lim.batchLines], true
	}
	b := &batch{plan: plan}
	for len(pieces) > 0 {
		n := p.chunkLen(pieces, lim)
		if err := p.addChunks(b, pieces[:n], lim.chunkBytes); err != nil {
			return nil, err
		}
		pieces = pieces[n:]
	}
	b.plan.Batch = batchID(&b.plan)
	return b, nil
}

// chunkLen returns how many of the pieces the next chunk takes.
func (p *planner) chunkLen(pieces []piece, lim limits) int {
	if lim.chunkLines > 0 {
		return min(lim.chunkLines, len(pieces))
	}
	most := aim * float64(lim.chunkBytes) / p.density
	n, samples := 1, float64(pieces[0].samples())
	for n < len(pieces) && samples+float64(pieces[n].samples()) <= most {
		samples += float64(pieces[n].samples())
		n++
	}
	return n
}

// seek opens the source anew.
func (p *planner) seek(from uint64) {
	p.close()
	p.source, p.next = p.open(from), from
}

// gathered is what was read of a range.
type gathered struct {
	lines   *lineSet
	to      uint64        // the last record of it
	refused *event.Reject // ticks whose times are not sent; then there are no lines
}

// gather reads ticks of one owner, from a record on where the source stands,
// until the limits are reached. One tick is taken whatever its size.
func (p *planner) gather(from uint64, lim limits, only *gaps) (g gathered, err error) {
	g.lines = newLineSet()
	for p.held || p.next <= lim.throughRecord {
		if ok, err := p.read(); err != nil || !ok {
			return g, err
		}
		if p.index > lim.throughRecord {
			break
		}
		if p.tick.Held() {
			break // what follows has no time yet either
		}
		ms, timed := p.tick.EffectiveTime()
		if timed {
			reason := lim.refuses(ms)
			if g.ends(p.tick, reason, lim) {
				break
			}
			if reason == "" {
				g.lines.add(p.tick, ms, only)
			} else {
				g.refuse(event.Range{From: from, To: p.index}, reason, p.tick.SendableCount())
			}
		}
		g.to, p.held = p.index, false
	}
	if ended := p.next > lim.throughRecord && (!p.held || p.index > lim.throughRecord); ended && lim.closed {
		g.to = lim.throughRecord
		if g.lines.samples == 0 {
			g.refuse(event.Range{From: from, To: g.to}, event.ReasonEmpty, 0)
		}
	}
	return g, nil
}

// firstTime returns the time of the first tick of a range that has one.
func (p *planner) firstTime(r event.Range) (ms int64, ok bool, err error) {
	if p.source == nil || p.resume != r.From {
		p.seek(r.From)
		p.resume = r.From
	}
	for p.held || p.next <= r.To {
		if ok, err := p.read(); err != nil || !ok || p.index > r.To {
			return 0, false, err
		}
		if ms, ok = p.tick.EffectiveTime(); ok || p.tick.Held() {
			return ms, ok, nil
		}
		p.held = false // it is never sent
	}
	return 0, false, nil
}

// refuses returns why ticks of a time are not sent, or "".
func (lim *limits) refuses(ms int64) string {
	switch {
	case ms < lim.notBeforeMS:
		return event.ReasonTooOld
	case lim.notAfterMS > 0 && ms > lim.notAfterMS:
		return event.ReasonFarFuture
	}
	return ""
}

// ends reports whether a tick, which is refused for a reason or not, is not taken
// with what was gathered.
func (g *gathered) ends(tick *event.Tick, reason string, lim limits) bool {
	if g.refused != nil {
		return reason != g.refused.Reason
	}
	return g.lines.samples > 0 && (reason != "" || !g.lines.takes(tick, lim))
}

func (g *gathered) refuse(r event.Range, reason string, samples int) {
	if g.refused == nil {
		g.refused = &event.Reject{Reason: reason} // which it keeps
	}
	g.refused.Range = r
	g.refused.Samples += samples
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
	p.density = 0.5*p.density + 0.5*float64(len(body))/float64(chunk.Samples)
	b.add(chunk, pieces, body)
	return nil
}

func (b *batch) add(chunk event.Chunk, pieces []piece, body []byte) {
	b.plan.Chunks = append(b.plan.Chunks, chunk)
	b.pieces = append(b.pieces, pieces)
	b.bodies = append(b.bodies, body)
}

// render returns the chunk that the pieces make and its gzip.
func (p *planner) render(pieces []piece) (event.Chunk, []byte, error) {
	chunk := event.Chunk{Lines: len(pieces), Samples: countSamples(pieces)}
	p.jsonl = p.jsonl[:0]
	for i := range pieces {
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
// Nothing but the log, the plan and the names that were sent before goes into it.
// It returns errChanged where the bytes come out different.
func (p *planner) again(plan *event.Plan, names []string) (*batch, error) {
	if plan.Renderer != rendererVersion {
		return nil, fmt.Errorf("%w: they were rendered by version %d of the rules, this is %d", errChanged, plan.Renderer, rendererVersion)
	}
	lines, err := p.collect(plan.Range, plan.Gaps)
	if err != nil {
		return nil, err
	}
	ids := newIdentities(plan.DeviceID, event.LabelsFromMap(plan.Tags), names)
	pieces := lines.pieces(ids, max(1, plan.LineSamples))
	pieces = pieces[min(plan.FirstLine, len(pieces)):]
	b := &batch{plan: *plan}
	b.plan.Chunks = nil
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
		b.add(planned, pieces[:planned.Lines], body)
		pieces = pieces[planned.Lines:]
	}
	return b, nil
}

// collect reads the samples of a range, as far as they are in the gaps if there
// are any.
func (p *planner) collect(r event.Range, list []event.Gap) (*lineSet, error) {
	p.seek(r.From)
	defer p.close()
	g, err := p.gather(r.From, limits{
		batchLines:    math.MaxInt,
		batchSamples:  math.MaxInt,
		throughRecord: r.To,
	}, newGaps(list))
	return g.lines, err
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
