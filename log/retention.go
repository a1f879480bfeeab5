package eventlog

import (
	"fmt"
	"os"
	"time"

	"taffrail/internal/event"
)

// Retention says how much of the log is kept. Only whole segments are removed,
// never the one that is written to.
type Retention struct {
	// MaxAge is how long a segment is kept after its last tick, by the times of
	// ticks and not by a clock that may be wrong. 0: for ever.
	MaxAge time.Duration
	// MaxBytes is how much all segments may take. 0: any size.
	MaxBytes int64
	// Ship says that there is a receiver: a segment is removed only when all of
	// it is settled, unless MaxBytes forces it, and then a drop event is written
	// before.
	Ship bool
}

// reasonMaxBytes is the reason of a drop that the size of the log forced.
const reasonMaxBytes = "max_bytes"

// Retain removes the segments that are beyond the bounds. Every new segment does
// so too.
func (l *Log) Retain() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	return l.retainLocked()
}

func (l *Log) retainLocked() error {
	if l.opts.Retention.MaxAge <= 0 && l.opts.Retention.MaxBytes <= 0 {
		return nil
	}
	segments, err := listSegments(l.dir)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, s := range segments {
		if info, err := os.Stat(s.path); err == nil {
			total += info.Size()
		}
	}
	removed := false
	for i := 0; i+1 < len(segments) && segments[i].path != l.segment.path; i++ {
		freed, err := l.retireLocked(segments[i], segments[i+1], total)
		if err != nil {
			return fmt.Errorf("retain log: %w", err)
		}
		total -= freed
		removed = removed || freed > 0
		if freed > 0 {
			l.ledger.Times.Forget(segments[i+1].first)
		}
	}
	if !removed {
		return nil
	}
	return syncDir(l.dir)
}

// retireLocked removes a segment if it is beyond the bounds, and returns the
// bytes that this has freed. next is the segment behind it.
func (l *Log) retireLocked(s, next segmentFile, total int64) (freed int64, err error) {
	bounds := l.opts.Retention
	tooMuch := bounds.MaxBytes > 0 && total > bounds.MaxBytes
	old, err := l.oldLocked(next)
	if err != nil || !tooMuch && !old {
		return 0, err
	}
	last := next.first - 1
	if bounds.Ship && l.ledger.SettledCursor() < last {
		if !tooMuch {
			return 0, nil
		}
		if err := l.dropLocked(last); err != nil {
			return 0, err
		}
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return 0, err
	}
	if err := os.Remove(s.path); err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// oldLocked reports whether what lies before the segment next is older than
// MaxAge. How new the newest tick was then, next's header tells.
func (l *Log) oldLocked(next segmentFile) (bool, error) {
	maxAge := l.opts.Retention.MaxAge
	if maxAge <= 0 {
		return false, nil
	}
	header, err := readHeader(next.path)
	if err != nil || header == nil {
		return false, err
	}
	then, now := header.Ledger.Times.NewestMS, l.ledger.Times.NewestMS
	return then > 0 && time.Duration(now-then)*time.Millisecond > maxAge, nil
}

// dropLocked records that what is not settled up to last is given up.
func (l *Log) dropLocked(last uint64) error {
	drop := &event.Drop{
		Stamp:  l.opts.Now(),
		Range:  event.Range{From: l.ledger.SettledCursor() + 1, To: last},
		Reason: reasonMaxBytes,
	}
	reader := &Reader{dir: l.dir, limit: l.LastIndex, from: drop.Range.From, decide: l.ledger.Times.Find}
	defer reader.Close()
	done := l.ledger.Acknowledged.Clone()
	for _, r := range l.ledger.GivenUp {
		done.Add(r)
	}
	err := eachTick(reader, last, func(index uint64, tick *event.Tick) {
		if !done.Contains(index) {
			drop.Samples += tick.SendableCount()
		}
	})
	if err != nil {
		return err
	}
	_, err = l.storeLocked(drop, false)
	return err
}
