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

// The receiver works for a while and is then away for a while. Where it is killed
// it mostly comes and goes quickly, so that little of what it acknowledged is
// stored; one time of six it has the time to store some.
const (
	shortestUp, longestUp = 200 * time.Millisecond, 4 * time.Second
	longestDown           = 3 * time.Second
	briefUp               = 1500 * time.Millisecond
	storingUp             = 18 * time.Second // at most; a receiver that is killed loses up to 14 s
	storingShare          = 6
	briefDown             = time.Second
	stopShare             = 4 // one orderly stop for so many kills
)

// After so many kills there is a calm time: the daemon lives long enough to look
// for what it has sent, and to send again what is missing, while the receiver is
// killed only now and then.
const (
	calmShare                     = 20
	shortestCalm, longestCalm     = 130 * time.Second, 280 * time.Second
	calmKills                     = 3
	shortestCalmUp, longestCalmUp = 10 * time.Second, 60 * time.Second
)

// schedule is all that is random in one trial. It follows from the seed; how the
// machine interleaves it does not.
type schedule struct {
	acts    []act
	last    life       // which is not killed
	answers *rand.Rand // which answers of the receiver are lost
	swaps   *rand.Rand // which chunks take the place of others
}

// act is a part of a trial: the daemon lives and dies while the receiver comes and
// goes.
type act struct {
	lives   []life
	outages []outage
	// spare are more lives, over and over, until the receiver has had all of its
	// outages. Where there are none the act ends with the lives.
	spare []life
}

// life is one run of the daemon. It changes its limits from run to run, while
// batches that the run before has planned are still open.
type life struct {
	length    time.Duration // to its SIGKILL
	orderly   bool          // it is stopped in order instead
	upload    time.Duration // its upload interval
	batchSize int
	chunkSize int
}

// outage is a time without the receiver.
type outage struct {
	up, down time.Duration // before it, and until the start after it
	kill     bool          // it does not end in order
}

// pace says how a schedule is made.
type pace string

const (
	stops  pace = "stops"  // the receiver is only ever stopped in order
	storm  pace = "storm"  // both are killed quickly, with a calm time in between
	steady pace = "steady" // both live for some seconds
	quiet  pace = "quiet"  // the receiver stays
	// swaps: nothing is killed and no answer is lost, but the link delivers some
	// chunks twice and others never.
	swaps pace = "swaps"
)

// newSchedule returns the schedule of a trial with a number of kills of the
// daemon, and as many of the receiver where it is to be killed at all.
func newSchedule(seed uint64, kills int, pace pace) schedule {
	stream := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
	lives, outages := stream(1), stream(2)
	s := schedule{answers: stream(3), swaps: stream(4)}
	switch pace {
	case stops, quiet:
		a := act{lives: shortLives(lives, kills)}
		if pace == stops {
			a.outages = stopsFor(outages, a.lives)
		}
		s.acts = []act{a}
	case storm:
		for left := kills; left > 0; left -= calmShare {
			if left < kills {
				s.acts = append(s.acts, calm(lives, outages))
			}
			n := min(left, calmShare)
			s.acts = append(s.acts, act{shortLives(lives, n), stormOutages(outages, n), shortLives(lives, n)})
		}
	case swaps:
		s.answers = nil
		s.acts = []act{{lives: orderlyLives(lives, kills)}}
	case steady:
		s.acts = []act{steadyAct(lives, outages, kills)}
	}
	s.last = shortLife(lives)
	return s
}

func shortLives(r *rand.Rand, n int) []life {
	lives := make([]life, n)
	for i := range lives {
		lives[i] = shortLife(r)
	}
	return lives
}

func shortLife(r *rand.Rand) life {
	l := life{
		length:    between(r, startLife/2, longestLife),
		upload:    200 * time.Millisecond,
		batchSize: pick(r, 12, 40, 2500), // lines: in part of a tick, a tick, many
		chunkSize: pick(r, 5, 20, 50),
	}
	if r.IntN(startShare) == 0 {
		l.length = between(r, 0, startLife)
	}
	return l
}

func orderlyLives(r *rand.Rand, n int) []life {
	lives := shortLives(r, n)
	for i := range lives {
		lives[i].orderly, lives[i].length = true, longestLife
	}
	return lives
}

// stopsFor returns enough orderly stops for all lives.
func stopsFor(r *rand.Rand, lives []life) (all []outage) {
	total := time.Duration(0)
	for _, l := range lives {
		total += l.length
	}
	for total > 0 {
		o := outage{up: between(r, shortestUp, longestUp), down: between(r, 0, longestDown)}
		all = append(all, o)
		total -= o.up + o.down
	}
	return all
}

// stormOutages returns n kills of the receiver, and some orderly stops among them.
func stormOutages(r *rand.Rand, n int) []outage {
	var all []outage
	for i := range n + n/stopShare {
		o := outage{up: between(r, shortestUp, briefUp), down: between(r, 0, briefDown), kill: i < n}
		if r.IntN(storingShare) == 0 {
			o.up = between(r, storingUp/3, storingUp)
		}
		all = append(all, o)
	}
	r.Shuffle(len(all), func(i, j int) { all[i].kill, all[j].kill = all[j].kill, all[i].kill })
	return all
}

// calm returns an act in which what was sent is looked for.
func calm(lives, outages *rand.Rand) act {
	long := shortLife(lives)
	long.length = between(lives, shortestCalm, longestCalm)
	// No more batches than a minute has seconds: a device with many of them joins
	// them, and looks for them only when it sends less.
	long.upload = time.Second
	a := act{lives: []life{long}}
	for range calmKills {
		a.outages = append(a.outages, outage{
			up:   between(outages, shortestCalmUp, longestCalmUp),
			down: between(outages, 0, longestDown),
			kill: true,
		})
	}
	a.spare = shortLives(lives, 1)
	return a
}

func steadyAct(lives, outages *rand.Rand, n int) act {
	a := act{lives: shortLives(lives, n), spare: shortLives(lives, n)}
	for _, list := range [][]life{a.lives, a.spare} {
		for i := range list {
			list[i].length = between(lives, 6*time.Second, 12*time.Second)
		}
	}
	for range n {
		a.outages = append(a.outages, outage{
			up:   between(outages, 4*time.Second, 9*time.Second),
			down: between(outages, 0, briefDown),
			kill: true,
		})
	}
	return a
}

func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

func pick(r *rand.Rand, of ...int) int { return of[r.IntN(len(of))] }
