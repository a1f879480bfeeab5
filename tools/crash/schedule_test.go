package main

import (
	"reflect"
	"testing"
	"time"
)

func TestScheduleFollowsFromTheSeed(t *testing.T) {
	for _, p := range []pace{stops, storm, steady, quiet, swaps} {
		a, b := newSchedule(7, 30, p), newSchedule(7, 30, p)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: one seed gave two schedules:\n%+v\n%+v", p, a, b)
		}
		if c := newSchedule(8, 30, p); reflect.DeepEqual(a.acts, c.acts) {
			t.Errorf("%s: two seeds gave one schedule", p)
		}
	}
	// Without its stops the daemon is killed at the same moments.
	a, c := newSchedule(7, 30, stops), newSchedule(7, 30, quiet)
	if !reflect.DeepEqual(a.acts[0].lives, c.acts[0].lives) || len(a.acts[0].outages) == 0 || len(c.acts[0].outages) > 0 {
		t.Errorf("without stops: %+v", c)
	}
}

func TestScheduleHasAllSortsOfLives(t *testing.T) {
	early, late, batches := 0, 0, map[int]bool{}
	var total, outages time.Duration
	a := newSchedule(1, 200, stops).acts[0]
	for _, l := range a.lives {
		if l.length < 0 || l.length > longestLife {
			t.Errorf("a life of %v", l.length)
		}
		if l.length < startLife {
			early++
		}
		if l.length > longestLife/2 {
			late++
		}
		batches[l.batchSize] = true
		total += l.length
	}
	for _, o := range a.outages {
		outages += o.up + o.down
	}
	if len(a.lives) != 200 || early < 30 || late < 50 || len(batches) != 3 {
		t.Errorf("%d lives: %d end early, %d late, batch sizes %v", len(a.lives), early, late, batches)
	}
	if outages < total {
		t.Errorf("outages for %v of %v", outages, total)
	}
}

func TestScheduleKillsBothAsOften(t *testing.T) {
	for kills, calm := range map[int]int{0: 0, 1: 0, calmShare: 0, calmShare + 1: 1, 2*calmShare + 1: 2} {
		lives, of, orderly, long, storing := 0, 0, 0, 0, 0
		for _, a := range newSchedule(3, kills, storm).acts {
			if len(a.spare) == 0 {
				t.Error("the receiver's outages may be cut short")
			}
			if a.lives[0].length >= shortestCalm {
				long++
				continue
			}
			lives += len(a.lives)
			for _, o := range a.outages {
				if o.kill {
					of++
				} else {
					orderly++
				}
				if o.up > briefUp {
					storing++
				}
			}
		}
		if lives != kills || of != kills || long != calm {
			t.Errorf("%d kills: %d of the daemon, %d of the receiver, %d calm times", kills, lives, of, long)
		}
		if kills > 2*calmShare && (orderly == 0 || storing == 0) {
			t.Errorf("%d stops, %d times the receiver stores", orderly, storing)
		}
	}
}
