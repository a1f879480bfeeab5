package projections

import (
	"sync"
	"time"

	"taffrail/internal/event"
)

// headTick is a tick that is not in the database yet. Its samples and texts do
// not change once it is in the head.
type headTick struct {
	idx      uint64
	ms       int64 // effective time, where timed
	timed    bool
	decided  bool // timed, trusted, or said to be unknown for ever
	trusted  bool
	at       event.Stamp
	session  *session
	upload   int64
	samples  []headSample // by series id
	sendable int64
	texts    []headText // by series id
}

type headSample struct {
	series *knownSeries
	value  float64
}

type headText struct {
	series *knownSeries
	text   string
}

// States of a tick's upload, in records.upload.
const (
	uploadNone     = 0 // also where it is in doubt
	uploadAcked    = 1
	uploadDropped  = 2
	uploadRejected = 3 // as a whole
)

// mark says what became of the ticks in a range that nothing became of before.
type mark struct {
	event.Range
	upload int64
}

// head is what was read from the log and is not in the database yet. The engine
// changes it, queries look at it.
type head struct {
	mu    sync.RWMutex // guards what follows
	ticks []headTick
	marks []mark // on ticks of the database; those of the head have theirs
	units int    // samples, and one a record
	since time.Time
}

// put adds a tick, nil for other records, and what the record takes.
func (h *head) put(tick *headTick, units int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.units == 0 {
		h.since = time.Now()
	}
	h.units += units
	if tick != nil {
		h.ticks = append(h.ticks, *tick)
	}
}

// mark sets the upload state of the head's ticks in a range at once, and
// remembers it for those in the database.
func (h *head) mark(m mark) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.ticks {
		if t := &h.ticks[i]; t.upload == uploadNone && m.From <= t.idx && t.idx <= m.To {
			t.upload = m.upload
		}
	}
	h.marks = append(h.marks, m)
}

// decide gives the head's ticks that a decision covers their time.
func (h *head) decide(d *event.Decision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.ticks {
		t := &h.ticks[i]
		if t.decided || t.session.boot != d.BootID || !covers(d, t.idx) {
			continue
		}
		t.decided = true
		t.ms, t.timed = decidedTime(d, t.at)
	}
}

// covers reports whether a record is in a decision's range.
func covers(d *event.Decision, idx uint64) bool {
	return d.Range.From <= idx && (idx <= d.Range.To || d.Range.To == 0)
}

// decidedTime is the time that a decision gives a tick that was taken at a
// moment; none where it says that it is unknown.
func decidedTime(d *event.Decision, at event.Stamp) (ms int64, ok bool) {
	if d.Verdict == event.VerdictUnknown {
		return 0, false
	}
	return at.BootMS + d.OffsetMS, true
}

// clear empties the head after a commit. What queries hold of it stays.
func (h *head) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ticks, h.marks, h.units = nil, nil, 0
}

// waiting returns how much waits, and since when.
func (h *head) waiting() (units int, since time.Time) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.units, h.since
}

// view returns copies of the ticks and marks.
func (h *head) view() ([]headTick, []mark) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return append([]headTick(nil), h.ticks...), append([]mark(nil), h.marks...)
}

// uploadOf returns the state of a tick that the database has as upload.
func uploadOf(marks []mark, idx uint64, upload int64) int64 {
	for i := 0; upload == uploadNone && i < len(marks); i++ {
		if marks[i].From <= idx && idx <= marks[i].To {
			upload = marks[i].upload
		}
	}
	return upload
}
