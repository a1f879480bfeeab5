package shipper

import (
	"context"
	"fmt"
	"sync"
	"time"

	"taffrail/internal/event"
)

const (
	// settleLag is how long after its acknowledgement a batch is looked for.
	// VictoriaMetrics keeps samples in memory for 9 to 14 s (measured with
	// v1.151.0, -inmemoryDataFlushInterval=5s).
	settleLag = time.Minute
	// flushDefault is the flush interval that settleLag is made for.
	flushDefault = 5 * time.Second
	// rounds is how often samples that the receiver lacks are sent again, and
	// acknowledged, before they are given up. A round in which the receiver was
	// restarted says nothing against the samples; but it does not go on for ever.
	rounds, maxRounds = 2, 10
	// propertiesAge is how long what the receiver says of itself is believed.
	propertiesAge = time.Hour
	// Without doubts the settler looks at every so many upload intervals, such
	// that it costs little on the link, within these bounds.
	settleIntervals                      = 10
	minSettleInterval, maxSettleInterval = time.Minute, 10 * time.Minute
)

// settler finds out whether what was sent is stored, by asking the receiver. What
// it was seen to hold, a minute after it was sent, is settled. What it lacks is
// sent again, and given up after two rounds. An answer that says nothing changes
// nothing.
type settler struct {
	s       *Shipper
	reader  *receiver // nil: there is no read access
	planner *planner
	learned chan struct{} // closed when the receiver was asked for the first time

	mu      sync.Mutex // guards what follows
	denied  bool       // the receiver does not let us read
	props   properties
	propsAt time.Time
	asked   time.Time // since when a chunk waits to know them
	process process
	watched map[uint64]*watch // by the first record of the batch
}

// process is the receiver's, as far as it can be told.
type process struct {
	id    string // "": not known
	since time.Time
}

// watch is what the settler knows of an unsettled batch.
type watch struct {
	sent      time.Time // the last time, or when this process first saw it
	there     time.Time // since when each look found all of it; zero: none did
	lacking   time.Time // of the first of the looks that found samples missing
	repairs   int       // that are still to be sent
	repaired  bool      // what was sent last is a repair, and was acknowledged
	rounds    int
	allRounds int // those that say nothing included
}

// SettleCost is what looking at the receiver has cost on the link.
type SettleCost struct {
	Requests, BytesSent, BytesReceived uint64
}

func newSettler(s *Shipper) (*settler, error) {
	st := &settler{s: s, watched: make(map[uint64]*watch), learned: make(chan struct{})}
	base, ok := ReadBase(s.opts.Remote.URL, s.opts.Remote.ReadURL)
	if ok {
		st.reader = newReceiver(s.client.http, s.opts.Remote, base)
	}
	var err error
	st.planner, err = newPlanner(s.log.Source)
	return st, err
}

// reads reports whether the receiver can be asked, as far as is known.
func (st *settler) reads() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.reader != nil && !st.denied
}

// retention returns how long the receiver keeps samples, 0 where that is not
// known.
func (st *settler) retention() time.Duration {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.props.Retention
}

// saw notes that a batch was sent.
func (st *settler) saw(r event.Range) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.watched[r.From] = &watch{sent: time.Now()}
}

// resent notes that samples of a range were sent again, and whether all of them
// were acknowledged.
func (st *settler) resent(r event.Range, acknowledged bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	// The batch of which the range is a part is the last that begins before it.
	key := uint64(0)
	for from := range st.watched {
		if from <= r.From && from > key {
			key = from
		}
	}
	if w := st.watched[key]; w != nil {
		w.repairs = max(0, w.repairs-1)
		w.sent, w.there, w.lacking = time.Now(), time.Time{}, time.Time{}
		w.repaired = acknowledged
	}
}

// Cost returns what looking has cost so far.
func (st *settler) Cost() SettleCost {
	if st.reader == nil {
		return SettleCost{}
	}
	return SettleCost{
		Requests:      st.reader.requests.Load(),
		BytesSent:     st.reader.sent.Load(),
		BytesReceived: st.reader.received.Load(),
	}
}

// run looks at the receiver until ctx is done.
func (st *settler) run(ctx context.Context) {
	if st.reader == nil {
		close(st.learned)
		return
	}
	defer st.planner.close()
	st.learn(ctx) // before the first doubt, and the first look
	close(st.learned)
	next := time.Now().Add(st.interval())
	for {
		timer := time.NewTimer(minSettleInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if time.Now().Before(next) && !st.urgent() {
			continue
		}
		next = time.Now().Add(st.interval())
		// What stands in the way is in the status; the next look is another try.
		if asked, err := st.look(ctx); asked || err != nil {
			st.note(err)
		}
	}
}

func (st *settler) interval() time.Duration {
	return min(max(settleIntervals*st.s.opts.UploadInterval, minSettleInterval), maxSettleInterval)
}

// urgent reports whether something waits for a look: samples that are in doubt,
// missing or sent again, or a second look after the receiver was restarted.
func (st *settler) urgent() bool {
	ledger := st.s.log.Ledger()
	st.mu.Lock()
	defer st.mu.Unlock()
	for i := range ledger.Unsettled {
		u := &ledger.Unsettled[i]
		w := st.watched[u.Range.From]
		if u.Doubt > 0 || w != nil && (w.repaired || !w.there.IsZero() || !w.lacking.IsZero()) {
			return true
		}
	}
	return st.propsAt.IsZero()
}

// note keeps whether the receiver lets us read. An answer that says nothing, a
// portal's for one, does not change that.
func (st *settler) note(err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	denied := notShown(err)
	switch {
	case denied && !st.denied:
		st.s.opts.Logger.Warn().Err(err).Str("error_type", "read_access").
			Msg("the receiver cannot be asked what it stores; set remote.read_url, or let it remove duplicates")
	case err != nil && !denied:
		st.s.opts.Logger.Debug().Err(err).Str("error_type", "unknown").Msg("the receiver does not say what it stores")
		return
	}
	st.denied = denied
}

// learn asks the receiver for its properties and its process.
func (st *settler) learn(ctx context.Context) {
	_, err := st.learnProcess(ctx)
	if err == nil {
		err = st.learnProperties(ctx)
	}
	if err == nil {
		// Whether samples can be read is to be known before the first doubt.
		err = st.tryReading(ctx)
	}
	st.note(err)
}

// tryReading asks for a count that does not matter.
func (st *settler) tryReading(ctx context.Context) error {
	now := st.s.opts.Now().WallMS
	device := event.Labels{{Name: deviceLabel, Value: st.s.opts.Remote.DeviceID}}
	_, err := st.reader.counts(ctx, device, now, now)
	return err
}

func (st *settler) learnProperties(ctx context.Context) error {
	st.mu.Lock()
	fresh := st.props.Known && time.Since(st.propsAt) < propertiesAge && !st.process.since.After(st.propsAt)
	st.mu.Unlock()
	if fresh {
		return nil
	}
	props, err := st.reader.properties(ctx)
	if err != nil {
		return fmt.Errorf("ask the receiver for its flags: %w", err)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.props, st.propsAt = props, time.Now()
	return nil
}

// learnProcess notes which process answers, and reports whether it is the one
// that did before.
func (st *settler) learnProcess(ctx context.Context) (same bool, err error) {
	id, err := st.reader.started(ctx)
	if err != nil {
		return false, fmt.Errorf("ask the receiver for its start: %w", err)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	same = id != "" && id == st.process.id
	if !same {
		st.process = process{id, time.Now()}
	}
	return same, nil
}

// lag returns how long after it was sent a sample may still be in memory only.
func (st *settler) lag() time.Duration {
	st.mu.Lock()
	defer st.mu.Unlock()
	return max(settleLag, time.Duration(float64(settleLag)*float64(st.props.Flush)/float64(flushDefault)))
}

// look looks for all batches that were sent long enough ago. It returns whether
// it asked for samples.
func (st *settler) look(ctx context.Context) (asked bool, err error) {
	if !st.reads() {
		if err := st.tryReading(ctx); err != nil {
			return true, err
		}
	}
	if err := st.learnProperties(ctx); err != nil {
		return false, err
	}
	ledger := st.s.log.Ledger()
	due := st.due(&ledger)
	if len(due) == 0 {
		return !st.reads(), nil
	}
	found, err := st.findAll(ctx, due, &ledger)
	if err != nil {
		return true, err
	}
	same, err := st.learnProcess(ctx)
	if err != nil {
		return true, err
	}
	return true, st.conclude(found, same)
}

// due returns the batches to look for, and forgets those that are settled.
func (st *settler) due(ledger *event.Ledger) (due []event.Unsettled) {
	lag := st.lag()
	st.mu.Lock()
	defer st.mu.Unlock()
	watched := make(map[uint64]*watch, len(ledger.Unsettled))
	for _, u := range ledger.Unsettled {
		w := st.watched[u.Range.From]
		if w == nil {
			w = &watch{sent: time.Now()}
		}
		for from, other := range st.watched { // batches that became one entry
			if from > u.Range.From && from <= u.Range.To && other.sent.After(w.sent) {
				w.sent = other.sent
			}
		}
		watched[u.Range.From] = w
		last := w.sent
		if w.lacking.After(last) {
			last = w.lacking // the second look comes a while after the first
		}
		if w.repairs == 0 && time.Since(last) >= lag {
			due = append(due, u)
		}
	}
	st.watched = watched
	return due
}

// finding is what a look at a batch has found.
type finding struct {
	batch   event.Unsettled
	missing []stretch // nothing: all of it is there
	proof   string
}

// stretch are samples that the receiver lacks.
type stretch struct {
	rng     event.Range
	gaps    []event.Gap
	samples int
}

// verdict is what follows from a finding.
type verdict int

const (
	wait    verdict = iota // for another look
	settled                // the receiver holds it for good
	resend                 // what is missing
	giveUp                 // what is missing
)

// conclude draws the consequences; same says that the receiver's process is still
// the one that was known before.
func (st *settler) conclude(found []finding, same bool) error {
	done := map[string]*event.Settle{}
	for i := range found {
		f := &found[i]
		switch st.judge(f, same) {
		case settled:
			if done[f.proof] == nil {
				done[f.proof] = &event.Settle{Proof: f.proof}
			}
			done[f.proof].Ranges = append(done[f.proof].Ranges, f.batch.Range)
			done[f.proof].Samples += f.batch.Samples
		case resend:
			for _, m := range f.missing {
				st.s.addRepair(repair{m.rng, m.gaps})
			}
		case giveUp:
			for _, m := range f.missing {
				err := st.s.reject(&event.Reject{Range: m.rng, Samples: m.samples, Reason: event.ReasonReceiverDropped, Gaps: m.gaps})
				if err != nil {
					return err
				}
			}
		}
	}
	for _, settle := range done {
		settle.Stamp = st.s.opts.Now()
		if _, err := st.s.log.Append(settle); err != nil {
			return fmt.Errorf("record what is settled: %w", err)
		}
	}
	return nil
}

func (st *settler) judge(f *finding, same bool) verdict {
	repeatable, lag := st.repeats() == yes, st.lag()
	st.mu.Lock()
	defer st.mu.Unlock()
	w := st.watched[f.batch.Range.From]
	if w == nil {
		return wait
	}
	now := time.Now()
	if len(f.missing) == 0 {
		w.lacking = time.Time{}
		if w.there.IsZero() {
			w.there = now
		}
		// It was sent to the process that shows it now; or it has been there for
		// longer than any process keeps it in memory only.
		if same && !st.process.since.After(w.sent) || now.Sub(w.there) >= lag {
			return settled
		}
		return wait
	}
	w.there = time.Time{}
	if w.lacking.IsZero() && !repeatable {
		w.lacking = now // a body that was held up may still come
		return wait
	}
	w.lacking = time.Time{}
	w.allRounds++
	if w.repaired && (st.process.id == "" || same && !st.process.since.After(w.sent)) {
		w.rounds++
	}
	if w.rounds >= rounds || w.allRounds > maxRounds {
		w.rounds, w.allRounds = 0, 0
		return giveUp
	}
	w.repairs, w.repaired = len(f.missing), false
	return resend
}
