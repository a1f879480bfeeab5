package shipper

import (
	"context"
	"time"

	"taffrail/internal/event"
)

// uncertain are the chunks of the open batch that may be at the receiver, though
// it did not answer for them: those that were tried without an answer, and all of
// a batch that another process left open.
type uncertain struct {
	batch  string
	all    bool
	chunks map[int]bool
}

func (u *uncertain) has(batch string, chunk int) bool {
	return u.batch == batch && (u.all || u.chunks[chunk])
}

func (u *uncertain) add(batch string, chunk int) {
	if u.batch != batch {
		*u = uncertain{batch: batch}
	}
	if u.chunks == nil {
		u.chunks = make(map[int]bool)
	}
	u.chunks[chunk] = true
}

// inherit makes all of a batch that is open when the process begins uncertain.
func (u *uncertain) inherit(open *event.OpenPlan) {
	if open != nil {
		*u = uncertain{batch: open.Plan.Batch, all: true}
	}
}

// answer says whether a body can be sent twice without harm.
type answer int

const (
	unknown answer = iota // the receiver has not yet said what it does
	no                    // it would store it twice
	yes                   // it merges what is twice, or cannot be asked
)

// patience is how long a chunk that may be stored waits for the receiver to say
// what it does with one that comes twice.
const patience = 2 * time.Minute

// repeats returns what is known.
func (st *settler) repeats() answer {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.reader == nil || st.denied || st.props.Known && st.props.Dedup > 0:
		return yes
	case st.propsAt.IsZero():
		return unknown
	}
	return no
}

// mayRepeat asks the receiver if need be. Where it does not answer, it fails, for
// a while, and then takes the safe side.
func (st *settler) mayRepeat(ctx context.Context) (bool, error) {
	if st.repeats() == unknown {
		st.learn(ctx)
	}
	if known := st.repeats(); known != unknown {
		return known == yes, nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.asked.IsZero() {
		st.asked = time.Now()
	}
	if time.Since(st.asked) < patience {
		return false, &SendError{Kind: ErrUnavailable, Reason: "the receiver does not say whether it holds what may have been stored"}
	}
	return false, nil
}
