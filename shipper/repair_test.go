package shipper

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"taffrail/internal/event"
)

// A plan that the log does not take, since the disk is full, does not make what is
// missing be forgotten.
func TestRepairSurvivesAFullDisk(t *testing.T) {
	for _, dedup := range []time.Duration{time.Millisecond, 0} {
		synctest.Test(t, func(t *testing.T) {
			l := settleLife(t, dedup)
			l.live(2*time.Minute + 6*time.Second)
			l.model.kill() // it loses what it got a moment ago
			l.model.start()
			full := func(err error) {
				l.log.mu.Lock()
				defer l.log.mu.Unlock()
				l.log.full = err
			}
			full(errors.New("no space left on device"))
			time.Sleep(6 * time.Minute)
			full(nil)
			l.live(25 * time.Minute)
			time.Sleep(time.Minute)
			l.check()
		})
	}
}

// An answer that cannot be recorded, since the disk is full, does not make the
// chunk be stored twice.
func TestUnrecordedAnswerIsInDoubt(t *testing.T) {
	for _, dedup := range []time.Duration{time.Millisecond, 0} {
		synctest.Test(t, func(t *testing.T) {
			l := settleLife(t, dedup)
			full := func(err error) {
				l.log.mu.Lock()
				defer l.log.mu.Unlock()
				l.log.full = err
			}
			l.live(55 * time.Second)
			l.model.change(func() {
				l.model.fault = func() fault {
					full(errors.New("no space left on device"))
					return noFault
				}
			})
			time.Sleep(7 * time.Second)
			l.model.change(func() { l.model.fault = func() fault { return noFault } })
			time.Sleep(6 * time.Minute)
			full(nil)
			l.live(25 * time.Minute)
			time.Sleep(time.Minute)
			l.check()
		})
	}
}

// A batch that was open when its process was killed, and that the log no longer
// renders to, is not sent anew to a receiver that would store it twice.
func TestPlannedAnewIsNotTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := settleLife(t, 0)
		l.live(55 * time.Second)
		var next *memoryLog
		l.model.change(func() {
			l.model.fault = func() fault {
				if next == nil {
					next = l.log.kill()
				}
				return noFault
			}
		})
		time.Sleep(7 * time.Second)
		l.end()
		if next == nil || next.ledger.Open == nil {
			t.Fatal("nothing is open")
		}
		// Another version renders otherwise.
		renewed := &memoryLog{}
		for i, ev := range next.events {
			if p, ok := ev.(*event.Plan); ok && p.Batch == next.ledger.Open.Plan.Batch {
				p.Renderer--
			}
			renewed.events = append(renewed.events, ev)
			renewed.ledger.Apply(uint64(i+1), ev)
		}
		l.log = renewed
		l.model.change(func() { l.model.fault = func() fault { return noFault } })
		l.boot()
		l.live(25 * time.Minute)
		time.Sleep(time.Minute)
		l.check()
	})
}
