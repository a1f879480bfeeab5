package shipper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"taffrail/internal/event"
)

// errKilled is what a process that was killed gets of its log.
var errKilled = errors.New("the process was killed")

// kill returns the log as it is on disk at this moment, for the next process. The
// one that has it now can append no more.
func (l *memoryLog) kill() *memoryLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := &memoryLog{events: append([]event.Event(nil), l.events...)}
	for i, ev := range next.events {
		next.ledger.Apply(uint64(i+1), ev)
	}
	l.full = errKilled
	return next
}

// life is a device with a receiver, and what happens to both.
type life struct {
	t     *testing.T
	r     *rand.Rand
	opts  Options
	model *model
	log   *memoryLog
	end   func() // kills the shipper
	began time.Time
}

func newLife(t *testing.T, seed uint64, opts Options, m *model) *life {
	l := &life{t: t, r: rand.New(rand.NewPCG(seed, 11)), opts: opts, model: m, log: &memoryLog{}, began: time.Now()}
	l.opts.Now = func() event.Stamp { return event.Stamp{WallMS: l.now()} }
	l.boot()
	return l
}

// now is the device's clock.
func (l *life) now() int64 { return startMS + time.Since(l.began).Milliseconds() }

// boot starts a shipper on the log.
func (l *life) boot() {
	s, err := New(l.log, l.opts)
	if err != nil {
		l.t.Fatal(err)
	}
	s.client.http.Transport = l.model
	ctx, cancel := context.WithCancel(l.t.Context())
	var done sync.WaitGroup
	done.Go(func() { s.Run(ctx) })
	l.end = func() {
		cancel()
		done.Wait()
	}
}

// restart kills the device's process and starts it again.
func (l *life) restart() {
	next := l.log.kill()
	l.end()
	l.log = next
	l.boot()
}

// live lets the device collect for a while, a tick a second.
func (l *life) live(d time.Duration) {
	all := []*event.Series{series(l.t, "a.b", event.Gauge), series(l.t, "c", event.Counter, "n", "1"), series(l.t, "c", event.Counter, "n", "2")}
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		tick := &event.Tick{Context: boat, Trusted: true, Stamp: event.Stamp{WallMS: l.now()}}
		for _, s := range all {
			tick.Samples = append(tick.Samples, event.Sample{Series: s, Value: float64(l.r.IntN(100))})
		}
		if _, err := l.log.Append(tick); err != nil {
			l.t.Fatal(err)
		}
	}
}

// outage kills the receiver and starts it again after a while.
func (l *life) outage(d time.Duration) {
	l.model.kill()
	l.live(d)
	l.model.start()
}

// check compares the receiver with the log: each sample is there, and once, or at
// least once where the receiver merges.
func (l *life) check() {
	l.t.Helper()
	l.end()
	stored := l.model.stored()
	want, missing, twice := 0, 0, 0
	for i := range l.log.events {
		tick, ok := l.log.events[i].(*event.Tick)
		if !ok {
			continue
		}
		ids := newIdentities("boat", nil, l.log.ledger.Names)
		for _, s := range tick.Samples {
			want++
			var labels map[string]string
			if err := json.Unmarshal([]byte(ids.metric(s.Series)), &labels); err != nil {
				l.t.Fatal(err)
			}
			key := fmt.Sprintf("%s at %d", keyOf(labels), tick.WallMS)
			switch n := stored[key]; {
			case n == 0:
				missing++
			case n > 1 && l.model.dedup == 0:
				twice++
			}
			delete(stored, key)
		}
	}
	ledger := l.log.Ledger()
	if missing+twice+len(stored) > 0 || want == 0 {
		l.t.Errorf("of %d samples %d are missing, %d twice, %d are extra", want, missing, twice, len(stored))
	}
	if ledger.Pending() != 0 || ledger.Sent != uint64(want) || ledger.Rejected != 0 || ledger.Open != nil {
		l.t.Errorf("of %d samples %d count as sent, %d as rejected, %d are pending; open %v", want, ledger.Sent, ledger.Rejected, ledger.Pending(), ledger.Open)
	}
	if unsettled := ledger.UnsettledSamples(); unsettled > 3*14*60 || ledger.SettledCursor() == 0 {
		l.t.Errorf("%d samples are not settled", unsettled)
	}
}

// Whatever happens to the device's process, the link and the receiver, the
// receiver ends with each sample exactly once; where it is known to merge, or
// cannot be asked, at least once.
func TestEachSampleArrivesOnce(t *testing.T) {
	for _, mode := range []struct {
		name   string
		dedup  time.Duration
		read   string
		denied int
	}{
		{"merging", time.Millisecond, "", 0},
		{"not merging", 0, "", 0},
		{"merging, not to be asked", time.Millisecond, "off", 0},
		{"merging, reads refused", time.Millisecond, "", 403},
	} {
		for seed := range uint64(8) {
			t.Run(fmt.Sprintf("%s, seed %d", mode.name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					opts := testOptions()
					opts.Remote.ReadURL = mode.read
					opts.Remote.Timeout = 10 * time.Second
					opts.UploadInterval = time.Duration(1+seed%8*8) * time.Second
					m := newModel(t, mode.dedup)
					m.noReads = mode.denied
					l := newLife(t, seed, opts, m)
					m.fault = random(rand.New(rand.NewPCG(seed, 12)), 4, lostRequest, lostAnswer, delayed, failing)
					for range 12 {
						l.live(time.Duration(l.r.IntN(90)) * time.Second)
						switch l.r.IntN(3) {
						case 0:
							l.restart()
						case 1:
							l.outage(time.Duration(l.r.IntN(40)) * time.Second)
						default:
							m.kill()
							l.restart()
							m.start()
						}
					}
					m.mu.Lock()
					m.fault = func() fault { return noFault }
					m.mu.Unlock()
					l.live(25 * time.Minute)
					l.live(time.Second)
					time.Sleep(2 * opts.UploadInterval)
					l.check()
				})
			})
		}
	}
}
