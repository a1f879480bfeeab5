package eventlog

import (
	"errors"
	"io"
	"os"
	"slices"

	"taffrail/internal/event"
)

// Info is a summary of a log.
type Info struct {
	DeviceID string            `json:"device_id"`
	Tags     map[string]string `json:"tags"`
	Version  string            `json:"version"` // of the agent that wrote last
	Segments int               `json:"segments"`
	Bytes    int64             `json:"bytes"`
	Records  map[string]int    `json:"records"` // by kind
	Series   int               `json:"series"`
	Samples  int               `json:"samples"`
	// FirstMS and LastMS are the effective times of the first and the last
	// tick, 0 where there is none.
	FirstMS  int64           `json:"first_ms"`
	LastMS   int64           `json:"last_ms"`
	Sessions []SessionInfo   `json:"sessions"`
	Shipped  ShippedInfo     `json:"shipped"`
	Damage   []Damage        `json:"damage"`
	seen     map[string]bool // keys of series
	ledger   event.Ledger
}

// SessionInfo is what the log has of one run of the daemon.
type SessionInfo struct {
	ID      string `json:"id"`
	BootID  string `json:"boot_id"`
	StartMS int64  `json:"start_ms"`
	// LastMS is the last moment at which the session was seen to work.
	LastMS  int64 `json:"last_ms"`
	Ticks   int   `json:"ticks"`
	Samples int   `json:"samples"`
	// End is the reason of the session's end, or "" where it has none: it runs
	// still, or was cut off.
	End string `json:"end"`
}

// ShippedInfo says up to where the log has reached its receiver.
type ShippedInfo struct {
	Cursor       uint64 `json:"cursor"` // index
	CursorMS     int64  `json:"cursor_ms"`
	Acknowledged uint64 `json:"acknowledged_samples"`
	Pending      uint64 `json:"pending_samples"`
	Settled      uint64 `json:"settled"` // index up to which nothing is needed any more
	Unsettled    uint64 `json:"unsettled_samples"`
	Rejected     uint64 `json:"rejected_samples"`
	Dropped      uint64 `json:"dropped_samples"`
	OpenBatch    string `json:"open_batch"`
}

// Inspect reads the log at path and returns its summary.
func Inspect(path string) (Info, error) {
	in := Info{
		Records:  map[string]int{},
		Sessions: []SessionInfo{},
		Damage:   []Damage{},
		seen:     map[string]bool{},
	}
	if err := in.files(path); err != nil {
		return Info{}, err
	}
	r, err := OpenReader(path)
	if err != nil {
		return Info{}, err
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if d, ok := AsDamage(err); ok {
			in.Damage = append(in.Damage, d)
			continue
		}
		if err != nil {
			return Info{}, err
		}
		in.add(rec)
	}
	in.Series = len(in.seen)
	// The cursor is the last tick of a batch, so it has a time.
	cursorMS, err := tickTime(path, in.ledger.Cursor())
	if err != nil {
		return Info{}, err
	}
	in.Shipped = ShippedInfo{
		Cursor:       in.ledger.Cursor(),
		CursorMS:     cursorMS,
		Acknowledged: in.ledger.Sent,
		Pending:      in.ledger.Pending(),
		Settled:      in.ledger.SettledCursor(),
		Unsettled:    in.ledger.UnsettledSamples(),
		Rejected:     in.ledger.Rejected,
		Dropped:      in.ledger.Dropped,
	}
	if in.ledger.Open != nil {
		in.Shipped.OpenBatch = in.ledger.Open.Plan.Batch
	}
	return in, nil
}

func (in *Info) files(path string) error {
	segments, err := segmentsAt(path)
	if err != nil {
		return err
	}
	for _, s := range segments {
		info, err := os.Stat(s.path)
		if err != nil {
			return err
		}
		in.Segments++
		in.Bytes += info.Size()
	}
	return nil
}

func (in *Info) add(rec event.Record) {
	in.Records[rec.Event.Kind().String()]++
	switch ev := rec.Event.(type) {
	case *event.SegmentHeader:
		in.DeviceID, in.Tags, in.Version = ev.DeviceID, ev.Tags, ev.Version
	case *event.Session:
		seen := ev.WallMS
		if ev.LastMS != 0 { // another session wrote this
			seen = ev.LastMS
		}
		s := in.session(ev.ID, ev.BootID, seen)
		if ev.Phase == event.SessionEnd {
			s.End = ev.Reason
		}
	case *event.Tick:
		in.addTick(ev)
	}
	in.ledger.Apply(rec.Index, rec.Event)
}

func (in *Info) addTick(tick *event.Tick) {
	s := in.session(tick.Context.SessionID, tick.Context.BootID, tick.WallMS)
	s.Ticks++
	s.Samples += len(tick.Samples)
	in.Samples += len(tick.Samples)
	for i := range tick.Samples {
		in.seen[tick.Samples[i].Series.Key()] = true
	}
	in.DeviceID = tick.Context.DeviceID
	ms, _ := tick.EffectiveTime()
	if in.FirstMS == 0 {
		in.FirstMS = ms
	}
	in.LastMS = ms
}

// session returns the summary of a session and notes that it was alive.
func (in *Info) session(id, boot string, wallMS int64) *SessionInfo {
	for i := len(in.Sessions) - 1; i >= 0; i-- {
		if in.Sessions[i].ID == id {
			in.Sessions[i].LastMS = wallMS
			return &in.Sessions[i]
		}
	}
	in.Sessions = append(in.Sessions, SessionInfo{ID: id, BootID: boot, StartMS: wallMS, LastMS: wallMS})
	return &in.Sessions[len(in.Sessions)-1]
}

// tickTime returns the effective time of the tick with an index, or 0.
func tickTime(path string, index uint64) (int64, error) {
	r, err := OpenReader(path)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	r.from = index
	for {
		rec, err := r.Next()
		if errors.Is(err, ErrCorrupt) {
			continue
		}
		if err != nil && err != io.EOF {
			return 0, err
		}
		if tick, ok := rec.Event.(*event.Tick); ok && rec.Index == index {
			ms, _ := tick.EffectiveTime()
			return ms, nil
		}
		return 0, nil
	}
}

// LastTime returns the effective time of the last tick in the log at path that
// has a usable one; where none has, that of the last tick; and false where
// there is no tick. It reads segments from the newest on, as few as it needs.
func LastTime(path string) (ms int64, found bool, err error) {
	segments, err := segmentsAt(path)
	if err != nil {
		return 0, false, err
	}
	for _, s := range slices.Backward(segments) {
		last, some, usable, err := lastTimeIn(s.path)
		if err != nil {
			return 0, false, err
		}
		if usable {
			return last, true, nil
		}
		if some && !found {
			ms, found = last, true
		}
	}
	return ms, found, nil
}

// lastTimeIn does for one segment what LastTime does for a log.
func lastTimeIn(path string) (ms int64, found, usable bool, err error) {
	r, err := OpenReader(path)
	if err != nil {
		return 0, false, false, err
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		switch {
		case err == io.EOF:
			return ms, found, usable, nil
		case errors.Is(err, ErrCorrupt):
			continue
		case err != nil:
			return 0, false, false, err
		}
		if tick, ok := rec.Event.(*event.Tick); ok {
			if at, good := tick.EffectiveTime(); good || !usable {
				ms, found, usable = at, true, good
			}
		}
	}
}
