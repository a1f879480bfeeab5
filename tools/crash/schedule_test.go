package main

import (
	"reflect"
	"testing"
	"time"
)

func TestScheduleFollowsFromTheSeed(t *testing.T) {
	a, b := newSchedule(7, 30, true), newSchedule(7, 30, true)
	if !reflect.DeepEqual(a, b) {
		t.Errorf("one seed gave two schedules:\n%+v\n%+v", a, b)
	}
	if c := newSchedule(8, 30, true); reflect.DeepEqual(a.lives, c.lives) || reflect.DeepEqual(a.outages, c.outages) {
		t.Error("two seeds gave one schedule")
	}
	// Without its stops the daemon is killed at the same moments.
	if c := newSchedule(7, 30, false); !reflect.DeepEqual(a.lives, c.lives) || len(c.outages) > 0 {
		t.Errorf("without stops: %+v", c)
	}
}

func TestScheduleHasAllSortsOfLives(t *testing.T) {
	early, late, batches := 0, 0, map[int]bool{}
	var total, outages time.Duration
	s := newSchedule(1, 200, true)
	for _, l := range s.lives {
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
	for _, o := range s.outages {
		outages += o.up + o.down
	}
	if len(s.lives) != 201 || early < 30 || late < 50 || len(batches) != 3 {
		t.Errorf("%d lives: %d end early, %d late, batch sizes %v", len(s.lives), early, late, batches)
	}
	if outages < total {
		t.Errorf("outages for %v of %v", outages, total)
	}
}
