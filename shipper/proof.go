package shipper

import (
	"context"
	"fmt"
	"maps"
	"time"

	"taffrail/internal/event"
)

// keepAliveAfter is how long a connection may be idle while it is needed as
// proof. VictoriaMetrics closes one after a minute.
const keepAliveAfter = 45 * time.Second

// proofAge is after how many replay windows, and as many repeats, a batch counts
// as settled without proof, such that a network that cuts each connection does not
// make the shipper repeat for ever.
const proofAge = 10

// connectionProof settles batches where the receiver cannot be asked what it
// holds. As long as one connection lasts, the receiver was not restarted, and
// what it acknowledged a replay window ago is on its disk. When the connection is
// lost, it may have been restarted, and what is not settled is sent again.
type connectionProof struct {
	window  time.Duration
	conn    uint64 // of the last answer
	at      time.Time
	batches map[uint64]sentOver // by the first record of the range
}

// sentOver says over which connection a batch was acknowledged, 0 for none that
// lasts, and when.
type sentOver struct {
	conn  uint64
	at    time.Time
	first time.Time
	again int // how often it was sent after the first time
}

func newConnectionProof(window time.Duration) connectionProof {
	return connectionProof{window: window, batches: make(map[uint64]sentOver)}
}

// sent notes that a batch was acknowledged. Of a record that is sent in parts, rest
// says that it is not the first.
func (c *connectionProof) sent(r event.Range, conn uint64, rest bool) {
	now := time.Now()
	b := sentOver{conn: conn, at: now, first: now}
	before, ok := c.of(r)
	if ok {
		b.first, b.again = before.first, before.again
	}
	switch {
	case rest && before.conn != conn:
		b.conn = 0
	case !rest && ok:
		b.again++
	}
	maps.DeleteFunc(c.batches, func(from uint64, _ sentOver) bool { return r.From <= from && from <= r.To })
	c.batches[r.From] = b
}

// of returns how the batches of a range were acknowledged, if it is known of one.
func (c *connectionProof) of(r event.Range) (all sentOver, ok bool) {
	for from, b := range c.batches {
		switch {
		case from < r.From || from > r.To:
			continue
		case !ok:
			all, ok = b, true
			continue
		case b.conn != all.conn:
			all.conn = 0
		}
		if b.at.After(all.at) {
			all.at = b.at
		}
		if b.first.Before(all.first) {
			all.first = b.first
		}
		all.again = min(all.again, b.again)
	}
	return all, ok
}

// answered notes an answer.
func (c *connectionProof) answered(conn uint64) { c.conn, c.at = conn, time.Now() }

// settled returns those of the batches that are proven by the answers so far.
func (c *connectionProof) settled(unsettled []event.Unsettled) (done []event.Unsettled) {
	known := make(map[uint64]sentOver, len(unsettled))
	for _, u := range unsettled {
		b, ok := c.of(u.Range)
		if !ok { // another process sent it
			b.first = time.Now()
		}
		known[u.Range.From] = b
		proven := b.conn == c.conn && b.conn != 0 && c.at.Sub(b.at) >= c.window
		if proven || b.again >= proofAge && time.Since(b.first) >= proofAge*c.window {
			done = append(done, u)
		}
	}
	c.batches = known
	return done
}

// lost returns the batches that were acknowledged over another connection than
// the last answer.
func (c *connectionProof) lost(unsettled []event.Unsettled) (again []event.Unsettled) {
	for _, u := range unsettled {
		if b, _ := c.of(u.Range); c.conn != 0 && b.conn != c.conn && c.window > 0 {
			again = append(again, u)
		}
	}
	return again
}

// settleByConnection records what the connection proves.
func (s *Shipper) settleByConnection() error {
	if s.settler.reads() {
		return nil
	}
	ledger := s.log.Ledger()
	done := s.proof.settled(ledger.Unsettled)
	if len(done) == 0 {
		return nil
	}
	settle := &event.Settle{Stamp: s.opts.Now(), Proof: event.ProofConnection}
	for _, u := range done {
		settle.Ranges = append(settle.Ranges, u.Range)
		settle.Samples += u.Samples
	}
	if _, err := s.log.Append(settle); err != nil {
		return fmt.Errorf("record what is settled: %w", err)
	}
	return nil
}

// nextRepeat returns a batch that may have been lost with a connection.
func (s *Shipper) nextRepeat(ledger *event.Ledger) (*delivery, error) {
	if s.settler.reads() {
		return nil, nil
	}
	lost := s.proof.lost(ledger.Unsettled)
	if len(lost) == 0 {
		return nil, nil
	}
	u := &lost[0]
	s.countRepeat()
	plan, err := s.planOf(u)
	if err != nil {
		return nil, err
	}
	if plan != nil {
		b, err := s.live.again(plan, ledger.Names)
		if err == nil {
			return &delivery{s: s, b: b, open: event.OpenPlan{Plan: *plan, Chunks: make([]event.ChunkState, len(plan.Chunks))}, repeat: true}, nil
		}
	}
	// Its plan is gone, or the log has changed: what is left of it is planned
	// anew.
	all := []event.Gap{{FromMS: u.FirstMS, ToMS: u.LastMS}}
	b, err := s.live.repair(u.Range, all, ledger, s.liveLimits(ledger))
	if err != nil {
		return nil, err
	}
	if b == nil {
		s.proof.sent(u.Range, s.proof.conn, false)
		return nil, nil
	}
	return s.plan(b)
}

// planOf returns the plan of a batch, or nil where it cannot be read any more.
func (s *Shipper) planOf(u *event.Unsettled) (*event.Plan, error) {
	if u.Plan == 0 {
		return nil, nil
	}
	source := s.log.Source(u.Plan)
	defer source.Close()
	index, ev, err := source.Next()
	if err != nil || index != u.Plan {
		return nil, nil
	}
	plan, _ := ev.(*event.Plan)
	return plan, nil
}

// keepAlive returns how long the connection needs no request.
func (s *Shipper) keepAlive() time.Duration {
	if s.settler.reads() || s.opts.UploadInterval <= keepAliveAfter {
		return s.opts.UploadInterval
	}
	return keepAliveAfter
}

// ping sends a request without samples over a connection that is needed as proof
// and was idle for long.
func (s *Shipper) ping(ctx context.Context) {
	s.cycles.Lock()
	defer s.cycles.Unlock()
	if s.settler.reads() || s.proof.conn == 0 || time.Since(s.proof.at) < keepAliveAfter {
		return
	}
	if ledger := s.log.Ledger(); len(ledger.Unsettled) == 0 {
		return
	}
	if a, err := s.client.probe(ctx); err == nil && a.conn == s.proof.conn {
		s.proof.answered(a.conn)
		_ = s.settleByConnection() // the next cycle tries again
	}
}
