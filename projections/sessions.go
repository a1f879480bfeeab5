package projections

import (
	"context"
	"database/sql"
	"slices"

	"taffrail/internal/event"
)

// How a session ended, in the table sessions.
const (
	EndedCompleted = "completed"  // it said so
	EndedCrashed   = "crashed"    // another one began in the same boot
	EndedPowerLost = "power_lost" // another one began in another boot
)

// session is a row of the table sessions.
type session struct {
	n                     int64
	id, boot, device      string
	tags, version         string
	startIdx              uint64
	start                 event.Stamp
	endIdx                uint64 // 0: no end event
	endMS                 int64
	ended, reason         string // ended "" while it runs
	aliveIdx              uint64
	alive                 event.Stamp
	ticks, samples, texts int64
	dirty                 bool
}

// sessions folds who ran when. A session is known by its start event, or where
// that is damaged, by the first header or tick that names it.
type sessions struct {
	current *session
	last    int64 // greatest n
	dirty   []*session
	find    func(id string) (*session, error) // in the database
	table   table
}

func newSessions() sessions {
	return sessions{table: table{name: "sessions", columns: 20}}
}

func (s *sessions) load(ctx context.Context, conn *sql.Conn) error {
	s.find = func(id string) (found *session, err error) {
		err = loadRows(ctx, conn, "sessions", "WHERE id = ?", func(row []any) error {
			found = sessionOf(row)
			return nil
		}, id)
		return found, err
	}
	// The one that is at work is the one with the last record.
	if err := loadRows(ctx, conn, "sessions", "ORDER BY alive_idx DESC LIMIT 1", func(row []any) error {
		s.current = sessionOf(row)
		return nil
	}); err != nil {
		return err
	}
	return eachRow(ctx, conn, func(row []any) error {
		s.last = intOf(row[0])
		return nil
	}, "SELECT ifnull(max(n), 0) FROM sessions")
}

func sessionOf(row []any) *session {
	return &session{
		n: intOf(row[0]), id: textOf(row[1]), boot: textOf(row[2]), device: textOf(row[3]),
		tags: textOf(row[4]), version: textOf(row[5]),
		startIdx: uint64(intOf(row[6])), start: event.Stamp{WallMS: intOf(row[7]), BootMS: intOf(row[8])},
		endIdx: uint64(intOf(row[9])), endMS: intOf(row[10]), ended: textOf(row[11]), reason: textOf(row[12]),
		aliveIdx: uint64(intOf(row[13])), alive: event.Stamp{WallMS: intOf(row[14]), BootMS: intOf(row[15])},
		ticks: intOf(row[16]), samples: intOf(row[17]), texts: intOf(row[18]),
	}
}

func (c *session) row() []any {
	var ended any
	if c.ended != "" {
		ended = c.ended
	}
	return withSum(c.n, c.id, c.boot, c.device, c.tags, c.version,
		int64(c.startIdx), c.start.WallMS, c.start.BootMS,
		nullable(int64(c.endIdx), c.endIdx > 0), nullable(c.endMS, c.endIdx > 0), ended, c.reason,
		int64(c.aliveIdx), c.alive.WallMS, c.alive.BootMS, c.ticks, c.samples, c.texts)
}

// apply folds the next record and returns the session that wrote it.
func (s *sessions) apply(rec *event.Record) (*session, error) {
	var err error
	switch ev := rec.Event.(type) {
	case *event.SegmentHeader:
		err = s.enter(rec, session{id: ev.Session, boot: ev.BootID, device: ev.DeviceID,
			tags: event.LabelsFromMap(ev.Tags).JSON(), version: ev.Version})
	case *event.Session:
		if ev.Phase == event.SessionEnd && (ev.Reason == event.EndCrashed || ev.Reason == event.EndPowerLost) {
			return s.cutOff(rec, ev)
		}
		err = s.phase(rec, ev)
	case *event.Tick:
		if c := ev.Context; c != nil && (s.current == nil || s.current.id != c.SessionID) {
			err = s.enter(rec, session{id: c.SessionID, boot: c.BootID, device: c.DeviceID, tags: c.Tags.JSON()})
		}
	}
	if err == nil && s.current == nil { // a log that begins with damage
		err = s.enter(rec, session{tags: event.Labels(nil).JSON()})
	}
	if err != nil {
		return nil, err
	}
	s.current.aliveIdx, s.current.alive = rec.Index, rec.Event.At()
	s.touch(s.current)
	return s.current, nil
}

// enter makes the session that is described the current one. The one before, if
// it has not ended, did not live to say so.
func (s *sessions) enter(rec *event.Record, as session) error {
	before := s.current
	if before != nil && before.id == as.id {
		if before.version == "" {
			before.version = as.version
		}
		return nil
	}
	if before != nil && before.ended == "" {
		before.ended = EndedPowerLost
		if before.boot == as.boot {
			before.ended = EndedCrashed
		}
		s.touch(before)
	}
	known, err := s.known(as.id)
	if err != nil {
		return err
	}
	if known == nil {
		s.last++
		known = &as
		known.n, known.startIdx, known.start = s.last, rec.Index, rec.Event.At()
	}
	s.current = known
	return nil
}

// known returns a session that was current before, or nil.
func (s *sessions) known(id string) (*session, error) {
	if i := slices.IndexFunc(s.dirty, func(d *session) bool { return d.id == id }); i >= 0 {
		return s.dirty[i], nil
	}
	return s.find(id)
}

func (s *sessions) phase(rec *event.Record, ev *event.Session) error {
	if err := s.enter(rec, session{id: ev.ID, boot: ev.BootID, device: ev.DeviceID,
		tags: event.LabelsFromMap(ev.Tags).JSON(), version: ev.Version}); err != nil {
		return err
	}
	if ev.Phase == event.SessionEnd {
		s.current.endIdx, s.current.endMS = rec.Index, ev.WallMS
		s.current.ended, s.current.reason = EndedCompleted, ev.Reason
	}
	return nil
}

// cutOff notes the end of a session that another one recorded. It does not show
// that the session was alive.
func (s *sessions) cutOff(rec *event.Record, ev *event.Session) (*session, error) {
	c, err := s.known(ev.ID)
	if err != nil {
		return nil, err
	}
	if c == nil { // all that it wrote is gone
		s.last++
		c = &session{n: s.last, id: ev.ID, boot: ev.BootID, tags: event.Labels(nil).JSON(), startIdx: rec.Index}
	}
	if s.current == nil {
		s.current = c
	} else if s.current.id == c.id {
		c = s.current
	}
	c.endIdx, c.endMS, c.ended, c.reason = rec.Index, ev.LastMS, ev.Reason, ev.Reason
	s.touch(c)
	return s.current, nil
}

func (s *sessions) touch(c *session) {
	if !c.dirty {
		c.dirty = true
		s.dirty = append(s.dirty, c)
	}
}

// count adds a tick to the session that wrote it.
func (c *session) count(tick *headTick) {
	c.ticks++
	c.samples += int64(len(tick.samples))
	c.texts += int64(len(tick.texts))
}

func (s *sessions) flush(ctx context.Context, conn *sql.Conn) error {
	for _, c := range s.dirty {
		if err := s.table.put(ctx, conn, c.row()); err != nil {
			return err
		}
		c.dirty = false
	}
	s.dirty = nil
	return nil
}
