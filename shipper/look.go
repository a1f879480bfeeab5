package shipper

import (
	"context"
	"math"
	"slices"
	"time"

	"taffrail/internal/event"
)

// findAll looks for batches, at as many at once as follow each other in the log
// and fit into memory, and one by one where something is missing.
func (st *settler) findAll(ctx context.Context, due []event.Unsettled, ledger *event.Ledger) ([]finding, error) {
	var found []finding
	for len(due) > 0 {
		joined, n := join(due)
		f, err := st.find(ctx, &joined, ledger)
		if err != nil {
			return nil, err
		}
		for i := range due[:n] {
			one := finding{batch: due[i], missing: f.missing, proof: f.proof}
			if n > 1 && len(f.missing) > 0 {
				if one, err = st.find(ctx, &due[i], ledger); err != nil {
					return nil, err
				}
			}
			found = append(found, one)
		}
		due = due[n:]
	}
	return found, nil
}

// join makes one batch of the first n.
func join(due []event.Unsettled) (joined event.Unsettled, n int) {
	joined, n = due[0], 1
	for n < len(due) && due[n].Range.From == joined.Range.To+1 && joined.Samples+due[n].Samples <= maxBatchSamples {
		joined.Range.To = due[n].Range.To
		joined.Samples += due[n].Samples
		joined.Except = append(slices.Clip(joined.Except), due[n].Except...)
		n++
	}
	return joined, n
}

// find looks for the samples of a batch at the receiver.
func (st *settler) find(ctx context.Context, u *event.Unsettled, ledger *event.Ledger) (finding, error) {
	f := finding{batch: *u, proof: event.ProofCount}
	except := newGaps(u.Except)
	for from := u.Range.From; from <= u.Range.To; {
		e, to, err := st.expect(event.Range{From: from, To: u.Range.To}, except, ledger.Names)
		if err != nil {
			return f, err
		}
		rng := event.Range{From: from, To: to}
		from = to + 1
		if e.samples == 0 {
			continue
		}
		lacking, proof, err := st.lacking(ctx, e, ledger.Times.DisorderMS)
		if err != nil {
			return f, err
		}
		if proof == event.ProofExport {
			f.proof = proof
		}
		if n := lacking.samples(); n > 0 {
			f.missing = append(f.missing, stretch{rng, lacking.gaps(e.times), n})
		}
	}
	return f, nil
}

// expectation is what a receiver should hold.
type expectation struct {
	match   event.Labels // that all its series have
	keys    map[string]string
	times   map[string][]int64 // by the key of the series, in order
	firstMS int64
	lastMS  int64
	samples int
}

// expect reads what was sent of a range, or of its beginning: of one device, and
// not more than memory allows. It returns the last record of that.
func (st *settler) expect(r event.Range, except *gaps, names []string) (*expectation, uint64, error) {
	st.planner.seek(r.From)
	defer st.planner.close()
	g, err := st.planner.gather(r.From, limits{
		batchLines: math.MaxInt, batchSamples: maxBatchSamples, throughRecord: r.To,
	}, nil)
	if err != nil {
		return nil, 0, err
	}
	to := r.To
	if st.planner.held && st.planner.index <= r.To {
		to = max(g.to, r.From)
	}
	return g.lines.expected(except, names), to, nil
}

// expected returns what a receiver should hold of the samples, which it puts in
// order; names are the inside names that were sent before.
func (ls *lineSet) expected(except *gaps, names []string) *expectation {
	e := &expectation{keys: make(map[string]string), times: make(map[string][]int64)}
	if ls.samples == 0 {
		return e
	}
	ids := newIdentities(ls.owner.DeviceID, ls.owner.Tags, names)
	e.match = ids.labels(&event.Series{})
	e.firstMS, e.lastMS = math.MaxInt64, math.MinInt64
	for _, l := range ls.lines {
		l.sort()
		key := l.series.Key()
		times := slices.DeleteFunc(l.times, func(ms int64) bool { return except != nil && except.hold(key, ms) })
		if len(times) == 0 {
			continue
		}
		e.keys[ids.metric(l.series)] = key
		e.times[key] = times
		e.samples += len(times)
		e.firstMS, e.lastMS = min(e.firstMS, times[0]), max(e.lastMS, times[len(times)-1])
	}
	return e
}

// lacking returns what the receiver lacks of what is expected, and how it was
// found out. Counting is enough where the receiver holds no sample twice and no
// other record of the log has a time in between.
func (st *settler) lacking(ctx context.Context, e *expectation, disorderMS int64) (lacks, string, error) {
	dedup := st.dedup()
	if dedup > 0 && dedup <= time.Millisecond && e.firstMS > disorderMS {
		counts, err := st.reader.counts(ctx, e.match, e.firstMS, e.lastMS)
		if err != nil {
			return nil, "", err
		}
		if e.counted(counts) {
			return nil, event.ProofCount, nil
		}
	}
	lacking, err := st.compare(ctx, e, dedup.Milliseconds())
	return lacking, event.ProofExport, err
}

// counted reports whether the receiver holds as many samples of each series.
func (e *expectation) counted(counts map[string]int) bool {
	for wire, key := range e.keys {
		if counts[wire] != len(e.times[key]) {
			return false
		}
	}
	return true
}

// compare returns what an export lacks. A receiver that keeps one sample of each
// dedupMS milliseconds, the last, lacks none that has a later one beside it.
func (st *settler) compare(ctx context.Context, e *expectation, dedupMS int64) (lacks, error) {
	dedupMS = max(dedupMS, 1)
	bucket := func(ms int64) int64 { return (ms + dedupMS - 1) / dedupMS }
	left := make(lacks, len(e.times))
	for key, times := range e.times {
		left[key] = slices.Clone(times)
	}
	end := bucket(e.lastMS) * dedupMS
	err := st.reader.times(ctx, e.match, e.firstMS, end, func(wire string, stored []int64) {
		key, ok := e.keys[wire]
		if !ok {
			return
		}
		slices.Sort(stored)
		left[key] = slices.DeleteFunc(left[key], func(ms int64) bool {
			i, _ := slices.BinarySearch(stored, ms)
			return i < len(stored) && bucket(stored[i]) == bucket(ms)
		})
	})
	if err != nil {
		return nil, err
	}
	for key, times := range left {
		if len(times) == 0 {
			delete(left, key)
		}
	}
	return left, nil
}

func (st *settler) dedup() time.Duration {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.props.Dedup
}
