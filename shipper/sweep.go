package shipper

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"taffrail/internal/event"
)

// sweep goes over the log once, window by window, and sends what the receiver
// lacks; in the rounds that follow the first, of the suspects only, and in the
// one after the last it only counts. It returns the windows of which something
// was sent.
func (sv *Salvage) sweep(ctx context.Context, round int, suspects map[int]bool) (map[int]bool, error) {
	source, err := sv.opts.Open()
	if err != nil {
		return nil, err
	}
	p, err := newPlanner(func(uint64) Source {
		return &sieve{ctx: ctx, source: source, sv: sv, count: round == 0}
	})
	if err != nil {
		source.Close()
		return nil, err
	}
	p.seek(0)
	defer p.close()
	lim := limits{batchLines: math.MaxInt, batchSamples: maxBatchSamples, throughRecord: math.MaxUint64}
	sent := make(map[int]bool)
	for n := 0; ; n++ {
		g, err := p.gather(0, lim, nil)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			return nil, err
		case g.lines.samples == 0:
			return sent, nil
		case suspects != nil && !suspects[n]:
			continue
		}
		w := window{sv: sv, n: n, round: round, planner: p, lines: g.lines}
		tried, err := w.run(ctx)
		if err != nil {
			return nil, err
		}
		if tried {
			sent[n] = true
		}
	}
}

// window are samples that follow each other in the log, of one device and as many
// as memory allows. Each sweep comes to the same windows.
type window struct {
	sv      *Salvage
	n       int
	round   int
	planner *planner
	lines   *lineSet
}

// run sends what the receiver lacks of the window, and reports whether there was
// something to send.
func (w *window) run(ctx context.Context) (tried bool, err error) {
	sv := w.sv
	sv.speakFor(w.lines.owner)
	e := w.lines.expected(nil, sv.names)
	missing, err := w.missing(ctx, e)
	if err != nil {
		return false, err
	}
	sv.refusals.takeOut(w.n, missing)
	n := missing.samples()
	if w.round == 0 {
		s := &sv.summary
		if s.Samples == 0 {
			s.FirstMS = e.firstMS
		}
		s.FirstMS, s.LastMS = min(s.FirstMS, e.firstMS), max(s.LastMS, e.lastMS)
		s.Samples += e.samples
		s.There += e.samples - n
		s.Lacking += n
	}
	switch {
	case n == 0 || sv.opts.DryRun:
		return false, nil
	case w.round > rounds:
		sv.summary.Missing += n
		return false, nil
	}
	w.lines.keep(missing)
	return true, w.send(ctx)
}

// missing returns what the receiver lacks for certain.
func (w *window) missing(ctx context.Context, e *expectation) (lacks, error) {
	sv := w.sv
	if w.round == 0 && sv.opts.Resend {
		return e.all(), nil
	}
	missing, err := sv.look(ctx, e)
	wait := time.Until(sv.decisive)
	if err != nil || len(missing) == 0 || wait <= 0 || sv.opts.DryRun || sv.s.settler.repeats() == yes {
		return missing, err
	}
	if err := sv.wait(ctx, wait); err != nil {
		return nil, err
	}
	sv.decisive = time.Time{}
	return sv.look(ctx, e)
}

// look returns what the receiver does not show. What it has come to be too old for
// meanwhile is not missing.
func (sv *Salvage) look(ctx context.Context, e *expectation) (missing lacks, err error) {
	st := sv.s.settler
	err = sv.ask(ctx, func() (err error) {
		missing, err = st.compare(ctx, e, st.dedup().Milliseconds())
		return err
	})
	if err != nil {
		return nil, err
	}
	if kept := st.retention(); kept > 0 {
		oldest := time.Now().UnixMilli() - kept.Milliseconds()
		for key, times := range missing {
			i, _ := slices.BinarySearch(times, oldest)
			if missing[key] = times[i:]; i == len(times) {
				delete(missing, key)
			}
		}
	}
	return missing, nil
}

// all returns what is expected, as a receiver lacks it that holds nothing.
func (e *expectation) all() lacks {
	missing := make(lacks, len(e.times))
	for key, times := range e.times {
		missing[key] = slices.Clone(times)
	}
	return missing
}

// keep leaves of the lines, which are in order, the samples that are missing, each
// once.
func (ls *lineSet) keep(missing lacks) {
	ls.samples = 0
	ls.lines = slices.DeleteFunc(ls.lines, func(l *line) bool {
		left, n := missing[l.series.Key()], 0
		for i, ms := range l.times {
			for len(left) > 0 && left[0] < ms {
				left = left[1:]
			}
			if len(left) > 0 && left[0] == ms && (n == 0 || l.times[n-1] != ms) {
				l.times[n], l.values[n] = ms, l.values[i]
				n++
			}
		}
		l.times, l.values = l.times[:n], l.values[:n]
		ls.samples += n
		return n == 0
	})
}

// send sends all lines of the window.
func (w *window) send(ctx context.Context) error {
	s := w.sv.s
	plan := event.Plan{}
	if w.round > 0 {
		// They were seen not to have been stored with a refusal before.
		plan.Gaps = []event.Gap{{FromMS: w.lines.firstMS, ToMS: w.lines.lastMS}}
	}
	b, err := w.planner.build(plan, w.lines, w.sv.names, limits{batchLines: math.MaxInt, chunkBytes: s.window.chunkBytes()})
	if err != nil {
		return err
	}
	// What was in doubt is not since the look.
	s.uncertain = uncertain{}
	d := &delivery{s: s, b: b, open: event.OpenPlan{Plan: b.plan, Chunks: make([]event.ChunkState, len(b.plan.Chunks))}}
	for i := range b.plan.Chunks {
		if err := w.sendChunk(ctx, d, i); err != nil {
			return err
		}
		w.sv.progress(Progress{Stage: Looking, AtMS: b.plan.LastMS})
	}
	return nil
}

// sendChunk sends a chunk and takes what came of it into the summary. One that is
// in doubt, at a receiver that would store it twice, is left to the next look.
func (w *window) sendChunk(ctx context.Context, d *delivery, chunk int) error {
	sv := w.sv
	err := d.sendChunk(ctx, chunk)
	sv.lastSent = time.Now()
	if w.round == 0 {
		sv.summary.Sent += d.ack.Samples
	} else {
		sv.summary.Repeated += d.ack.Samples
	}
	for i := range d.rejects {
		sv.refused(w.n, &d.rejects[i])
	}
	doubt := len(d.ack.Doubt) > 0
	d.ack, d.rejects = event.Ack{}, nil
	if doubt {
		sv.doubted = true
	}
	var failed *SendError
	if err == nil || !doubt || !errors.As(err, &failed) || failed.Kind != ErrUnavailable {
		sv.doubts = 0
		return err
	}
	if sv.doubts++; sv.doubts >= max(1, sv.opts.Retry.MaxAttempts) {
		return err
	}
	return sv.reach(ctx)
}
