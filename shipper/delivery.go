package shipper

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"taffrail/internal/event"
)

// delivery is the sending of one batch, and what comes of it.
type delivery struct {
	s       *Shipper
	b       *batch
	open    event.OpenPlan // what was done before
	backlog bool
	// repeat: all of it was acknowledged before, and nothing of it is recorded
	// again.
	repeat bool

	ack     event.Ack
	rejects []event.Reject // lines that the receiver refused
	took    bool           // the receiver took something since this began
	conn    uint64         // the connection that all answers came over
	mixed   bool           // they came over several
}

// portion are the lines from to to, both included and counted from 0, of a chunk.
type portion struct{ chunk, from, to int }

// run sends the chunks that are not done and records in the log what came of
// them.
func (d *delivery) run(ctx context.Context) error {
	began := time.Now()
	var failure error
	for i := range d.b.plan.Chunks {
		if d.open.Done(i) {
			d.mixed = true // its answer came at another time
			continue
		}
		if failure = d.sendChunk(ctx, i); failure != nil {
			break
		}
	}
	if err := d.record(); err != nil {
		// The log does not know what the receiver has answered for.
		d.s.uncertain.inherit(&d.open)
		return errors.Join(failure, err)
	}
	if d.repeat && failure != nil {
		return failure
	}
	if ledger := d.s.log.Ledger(); ledger.Open == nil || d.repeat {
		d.completed(began)
	}
	return failure
}

// completed passes on that nothing of the batch is to be sent any more.
func (d *delivery) completed(began time.Time) {
	s, plan := d.s, &d.b.plan
	if plan.Repair() {
		s.settler.resent(plan.Range, len(d.ack.Doubt) == 0)
	} else {
		s.settler.saw(plan.Range)
	}
	if d.mixed || len(d.ack.Doubt) > 0 {
		d.conn = 0
	}
	s.proof.sent(plan.Range, d.conn, plan.FirstLine > 0)
	if !d.backlog {
		s.catchUp(func(c *CatchUp) {
			if c.FirstFresh == 0 {
				c.FirstFresh = time.Since(c.Since)
			}
		})
	}
	s.opts.Logger.Info().
		Str("batch_id", plan.Batch).
		Int("chunks", len(plan.Chunks)).
		Int("count", d.ack.Samples).
		Bool("backlog", d.backlog).
		Bool("repeat", d.repeat || plan.Repair()).
		Int64("duration_ms", time.Since(began).Milliseconds()).
		Msg("batch uploaded")
}

// record puts what came of the chunks into the log. Lines are given up before
// the rest is acknowledged, for the acknowledgement may complete the batch.
func (d *delivery) record() error {
	if d.repeat {
		return nil
	}
	for i := range d.rejects {
		r := &d.rejects[i]
		r.Stamp = d.s.opts.Now()
		if _, err := d.s.log.Append(r); err != nil {
			return fmt.Errorf("record a refused line: %w", err)
		}
		d.s.opts.Logger.Warn().Str("reason", r.Reason).Str("series", event.KeyText(r.Line.Series)).Int("count", r.Samples).
			Int("http_status", r.Line.Status).Str("answer", r.Line.Answer).
			Msg("the receiver does not take a line; it stays in the log")
	}
	if len(d.ack.Chunks)+len(d.ack.Lines)+len(d.ack.Doubt) == 0 {
		return nil
	}
	d.ack.Batch, d.ack.Stamp = d.b.plan.Batch, d.s.opts.Now()
	if _, err := d.s.log.Append(&d.ack); err != nil {
		return fmt.Errorf("record an acknowledgement: %w", err)
	}
	return nil
}

// sendChunk sends the lines of a chunk that are not done.
func (d *delivery) sendChunk(ctx context.Context, chunk int) error {
	last := d.b.plan.Chunks[chunk].Lines - 1
	done := d.open.Chunks[chunk].Lines
	if d.s.uncertain.has(d.b.plan.Batch, chunk) {
		switch ok, err := d.s.settler.mayRepeat(ctx); {
		case err != nil:
			return err
		case !ok:
			return d.doubt(chunk, nil)
		}
	}
	for from := 0; from <= last; {
		run, ok := done.Missing(uint64(from), uint64(last))
		if !ok {
			return nil
		}
		if err := d.send(ctx, portion{chunk, int(run.From), int(run.To)}); err != nil {
			return err
		}
		from = int(run.To) + 1
	}
	return nil
}

// send sends lines, in one request where the receiver and the link allow it, and
// returns nil when it is known of each what became of it.
func (d *delivery) send(ctx context.Context, p portion) error {
	body, err := d.body(p)
	if err != nil {
		return err
	}
	if len(body) > d.s.window.chunkBytes() && p.from < p.to {
		return d.sendHalves(ctx, p)
	}
	refused, err := d.attempts(ctx, p, body)
	switch {
	case errors.Is(err, errTooLarge):
		return d.sendHalves(ctx, p)
	case err == nil:
		d.take(p, refused)
		return nil
	}
	var failed *SendError
	if !errors.As(err, &failed) {
		return err
	}
	// What was seen to be missing was not stored with a refusal before.
	answered := failed.Kind == ErrRefused
	if failed.Doubt && !d.repeat && !(answered && d.b.plan.Repair()) {
		d.s.uncertain.add(d.b.plan.Batch, p.chunk)
		switch d.s.settler.repeats() {
		case no:
			return d.doubt(p.chunk, failed)
		case unknown:
			return err
		}
	}
	if failed.Kind == ErrRefused {
		return d.narrow(ctx, p, failed)
	}
	return err
}

// take notes that the receiver took lines, all but those that are refused.
func (d *delivery) take(p portion, refused []refusedLine) {
	d.took = true
	from := p.from
	for _, r := range refused {
		d.taken(portion{p.chunk, from, p.from + r.line - 1})
		from = p.from + r.line + 1
		d.reject(portion{p.chunk, p.from + r.line, p.from + r.line}, 200, r.reason)
	}
	d.taken(portion{p.chunk, from, p.to})
}

func (d *delivery) taken(p portion) {
	if p.to < p.from {
		return
	}
	pieces := d.b.pieces[p.chunk]
	n := countSamples(pieces[p.from : p.to+1])
	d.ack.Samples += n
	if p.from == 0 && p.to == len(pieces)-1 {
		d.ack.Chunks = append(d.ack.Chunks, p.chunk)
		return
	}
	d.ack.Lines = append(d.ack.Lines, event.Lines{Chunk: p.chunk, From: p.from, To: p.to, Samples: n})
}

// reject notes that the receiver does not take a line.
func (d *delivery) reject(p portion, status int, answer string) {
	piece := &d.b.pieces[p.chunk][p.from]
	times := piece.line.times[piece.from:piece.to]
	d.rejects = append(d.rejects, event.Reject{
		Range:   d.b.plan.Range,
		Samples: piece.samples(),
		Reason:  event.ReasonRefused,
		Line: &event.RejectedLine{
			Batch: d.b.plan.Batch, Chunk: p.chunk, Line: p.from, Series: piece.line.series.Key(),
			FirstMS: times[0], LastMS: times[len(times)-1], Status: status, Answer: answer,
		},
	})
}

// doubt leaves a chunk to the settler, which finds out what of it is stored. A
// refusal is no reason to stop; that no answer came is.
func (d *delivery) doubt(chunk int, failed *SendError) error {
	d.ack.Doubt = append(d.ack.Doubt, chunk)
	if failed == nil || failed.Kind == ErrRefused {
		return nil
	}
	return failed
}

// body returns the gzip of lines.
func (d *delivery) body(p portion) ([]byte, error) {
	if p.from == 0 && p.to == len(d.b.pieces[p.chunk])-1 {
		return d.b.bodies[p.chunk], nil
	}
	_, body, err := d.s.live.render(d.b.pieces[p.chunk][p.from : p.to+1])
	return body, err
}

// errTooLarge says that lines are to be sent in smaller requests.
var errTooLarge = errors.New("too large for the link")

// attempts sends lines, again after a wait where that makes sense.
func (d *delivery) attempts(ctx context.Context, p portion, body []byte) ([]refusedLine, error) {
	s := d.s
	m := message{batch: d.b.plan.Batch, chunk: p.chunk, count: p.to - p.from + 1, body: body}
	if m.count < len(d.b.pieces[p.chunk]) {
		m.lines = fmt.Sprintf("%d-%d", p.from, p.to)
	}
	waits := s.opts.Retry.waits()
	for n := 1; ; n++ {
		a, err := s.try(ctx, &m, n)
		if err == nil {
			d.over(a.conn)
			if d.backlog {
				s.queue.spend(a.sent)
			}
			return a.refused, nil
		}
		var failed *SendError
		if !errors.As(err, &failed) || failed.Kind != ErrUnavailable || n >= s.opts.Retry.MaxAttempts ||
			failed.Doubt && s.settler.repeats() != yes {
			return nil, err
		}
		wait := max(waits.NextBackOff(), failed.RetryAfter)
		s.opts.Logger.Debug().Str("batch_id", m.batch).Int("chunk_index", m.chunk).
			Int("attempt", n).Int64("backoff_ms", wait.Milliseconds()).Msg("waiting to send again")
		s.sleep(ctx, wait)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w; stopped while waiting", err)
		}
		if len(body) > s.window.chunkBytes() && p.from < p.to {
			return nil, errTooLarge
		}
	}
}

// over notes the connection that an answer came over.
func (d *delivery) over(conn uint64) {
	if d.conn != 0 && d.conn != conn {
		d.mixed = true
	}
	d.conn = conn
	d.s.proof.answered(conn)
	if d.s.queue.stretch > 0 {
		d.s.contact()
	}
}

// try makes one attempt and notes how it went.
func (s *Shipper) try(ctx context.Context, m *message, n int) (attempt, error) {
	if ctx.Err() != nil {
		return attempt{}, ctx.Err()
	}
	// A stop does not break off the request, it only shortens it.
	reqCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		timer := time.NewTimer(stopGrace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-reqCtx.Done():
		}
	})()
	a, err := s.client.send(reqCtx, m)
	level := s.note(a, err)
	line := s.opts.Logger.WithLevel(level).
		Str("batch_id", m.batch).
		Int("chunk_index", m.chunk).
		Int("attempt", n).
		Int("http_status", a.status).
		Int("bytes_sent", a.sent).
		Int("bytes_rcvd", a.received).
		Int64("duration_ms", a.duration.Milliseconds())
	if m.lines != "" {
		line = line.Str("chunk_lines", m.lines)
	}
	if err != nil {
		line.Err(err).Str("error_type", errorType(err)).Msg("chunk not taken")
		var failed *SendError
		if errors.As(err, &failed) && failed.timeout {
			s.window.timedOut(a.sent, a.duration)
		}
		return a, err
	}
	s.window.sent(a.sent, a.duration)
	line.Msg("chunk uploaded")
	if a.closed && !s.settler.reads() {
		// The next connection counts as this one only if it is there at once.
		s.note(s.client.probe(reqCtx))
	}
	return a, nil
}

// note keeps how an attempt went and returns the level to log it at: only the
// first failure in a row is worth a line on a device that is offline for days.
func (s *Shipper) note(a attempt, err error) zerolog.Level {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Requests++
	s.status.BytesSent += uint64(a.sent)
	if len(a.refused) > 0 {
		s.status.PartialSuccesses++
	}
	level := zerolog.DebugLevel
	if (err == nil) != (s.status.LastError == nil) {
		level = zerolog.WarnLevel
		if err == nil {
			level = zerolog.InfoLevel
		}
	}
	s.noteLocked(err)
	return level
}

// errorType names the class of an error for logs and health.
func errorType(err error) string {
	var failed *SendError
	switch {
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	case errors.Is(err, ErrRefused):
		return "refused"
	case errors.As(err, &failed) && (failed.Status == 401 || failed.Status == 403):
		return "credentials"
	case errors.As(err, &failed) && failed.Status == 404:
		return "address"
	case errors.Is(err, ErrNotReceiver):
		return "not_receiver"
	}
	return "internal"
}

// halves returns the two halves of lines; there are at least two.
func (p portion) halves() (first, second portion) {
	middle := (p.from + p.to) / 2
	return portion{p.chunk, p.from, middle}, portion{p.chunk, middle + 1, p.to}
}

func (d *delivery) sendHalves(ctx context.Context, p portion) error {
	first, second := p.halves()
	if err := d.send(ctx, first); err != nil {
		return err
	}
	return d.send(ctx, second)
}

// excerptOf returns what a receiver said, for a reject.
func excerptOf(failed *SendError) string { return strings.Trim(failed.Reason, `"`) }
