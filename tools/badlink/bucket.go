package badlink

import (
	"sync"
	"time"
)

// lateness is how far a line that was free may be made up for. It covers timers
// that fire late, and is no burst to speak of.
const lateness = 50 * time.Millisecond

// bucket paces bytes at a rate. What comes in while nothing was sent for long
// gets no more than what comes in later.
type bucket struct {
	mu   sync.Mutex // guards what follows
	rate int        // bytes a second; 0: no limit
	free time.Time  // when the line is free again
}

func (b *bucket) setRate(rate int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rate, b.free = max(rate, 0), time.Time{}
}

// take books n bytes at a moment and returns how long they take from then on.
func (b *bucket) take(n int, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == 0 {
		return 0
	}
	if earliest := now.Add(-lateness); b.free.Before(earliest) {
		b.free = earliest
	}
	b.free = b.free.Add(time.Duration(float64(n) / float64(b.rate) * float64(time.Second)))
	return max(b.free.Sub(now), 0)
}
