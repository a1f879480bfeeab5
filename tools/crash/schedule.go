package main

import (
	"math/rand/v2"
	"time"
)

// A daemon is killed at any moment of its first three seconds, and every fourth
// time within the first fifth of one: it is still busy with its start then.
const (
	longestLife = 3 * time.Second
	startLife   = 200 * time.Millisecond
	startShare  = 4
)

// The receiver works for a while and is then away for a while.
const (
	shortestUp, longestUp = 200 * time.Millisecond, 4 * time.Second
	longestDown           = 3 * time.Second
)

// schedule is all that is random in one trial. It follows from the seed; how the
// machine interleaves it does not.
type schedule struct {
	lives   []life // the last one is not killed
	outages []outage
	answers *rand.Rand // which answers of the receiver are lost
}

// life is one run of the daemon. It changes its limits from run to run, while
// batches that the run before has planned are still open.
type life struct {
	length    time.Duration // to its SIGKILL
	batchSize int
	chunkSize int
}

// outage is a stop of the receiver.
type outage struct {
	up, down time.Duration // before it, and until the start after it
}

// newSchedule returns the schedule of a trial with a number of kills, and enough
// outages for all of it where the receiver is to be stopped.
func newSchedule(seed uint64, kills int, stops bool) schedule {
	stream := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
	s := schedule{answers: stream(3)}
	lives := stream(1)
	total := time.Duration(0)
	for range kills + 1 {
		l := life{
			length:    between(lives, startLife/2, longestLife),
			batchSize: pick(lives, 12, 40, 2500), // lines: in part of a tick, a tick, many
			chunkSize: pick(lives, 5, 20, 50),
		}
		if lives.IntN(startShare) == 0 {
			l.length = between(lives, 0, startLife)
		}
		s.lives = append(s.lives, l)
		total += l.length
	}
	for outages := stream(2); stops && total > 0; {
		o := outage{up: between(outages, shortestUp, longestUp), down: between(outages, 0, longestDown)}
		s.outages = append(s.outages, o)
		total -= o.up + o.down
	}
	return s
}

func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

func pick(r *rand.Rand, of ...int) int { return of[r.IntN(len(of))] }
