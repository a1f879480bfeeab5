package eventlog

import (
	"slices"

	"taffrail/internal/event"
)

// lazy is what was appended since the last sync, and the log as it was before:
// Append has answered for it, so when the sync fails it is written once more.
// It is what a sync interval produces at the most.
type lazy struct {
	size   int64
	next   uint64
	ledger event.Ledger
	ticks  []*event.Tick
}

// rememberLocked notes a tick that was written and not synced.
func (l *Log) rememberLocked(ev event.Event) {
	if l.lazy == nil {
		l.lazy = &lazy{size: l.size, next: l.next, ledger: l.ledger.Clone()}
	}
	if tick, ok := ev.(*event.Tick); ok {
		c := *tick
		c.Samples = slices.Clone(tick.Samples)
		l.lazy.ticks = append(l.lazy.ticks, &c)
	}
}

// rollBackLocked gives up a segment whose sync failed: the log is again as it was
// after the last that succeeded, and what came since is kept for the next
// segment.
func (l *Log) rollBackLocked() {
	if z := l.lazy; z != nil {
		l.size, l.next, l.ledger = z.size, z.next, z.ledger
		l.last.Store(l.next - 1)
		l.rewrite = append(l.rewrite, z.ticks...)
	}
	l.abandonLocked()
}

// rewriteLocked writes what a failed sync may have lost, each tick synced.
func (l *Log) rewriteLocked() error {
	for len(l.rewrite) > 0 {
		if _, err := l.storeLocked(l.rewrite[0], false); err != nil {
			return err
		}
		l.rewrite = l.rewrite[1:]
	}
	return nil
}
