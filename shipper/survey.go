package shipper

import (
	"context"
	"fmt"
	"io"

	"taffrail/internal/event"
)

// progressRecords is after how many records progress is told.
const progressRecords = 256

// survey goes over the whole log, whatever of it is chosen, to find out under
// which names its series were sent: the newest ledger has those that were, and
// the others get theirs in the order of the log. So two runs agree on them, also
// when they choose differently.
func (sv *Salvage) survey(ctx context.Context) error {
	source, err := sv.opts.Open()
	if err != nil {
		return err
	}
	defer source.Close()
	var ledger event.Ledger
	names := newNameList()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		index, ev, err := source.Next()
		if err == io.EOF {
			sv.names, sv.records = names.behind(ledger.Names), sv.read
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		sv.read++
		ledger.Apply(index, ev)
		at := int64(0)
		switch ev := ev.(type) {
		case *event.SegmentHeader:
			sv.summary.DeviceID = ev.DeviceID
		case *event.Tick:
			sv.summary.DeviceID = ev.Context.DeviceID
			if ms, timed := ev.EffectiveTime(); timed {
				at = ms
				names.add(ev)
			}
		}
		if sv.read%progressRecords == 0 {
			sv.progress(Progress{Stage: Surveying, AtMS: at})
		}
	}
}

// nameList are the first inside names, in order, that take a name on the wire.
type nameList struct {
	ids    *identities
	places []*event.Series // of the tick before, by position
}

func newNameList() *nameList { return &nameList{ids: newIdentities("", nil, nil)} }

// add adds the names of a tick's samples that can be sent.
func (l *nameList) add(tick *event.Tick) {
	if len(l.ids.wire) >= maxNames {
		return // the others have a hash of their own, whoever was sent before
	}
	for i := range tick.Samples {
		s := &tick.Samples[i]
		if i == len(l.places) {
			l.places = append(l.places, nil)
		}
		// A reader mostly gives a series the same pointer and place.
		if l.places[i] == s.Series || !s.Sendable() {
			continue
		}
		l.places[i] = s.Series
		l.ids.name(s.Series.Name)
	}
}

// behind returns the names that were sent before, and behind them those of the
// list that take a name that is still free.
func (l *nameList) behind(sent []string) []string {
	ids := newIdentities("", nil, sent)
	for _, name := range l.ids.added {
		ids.name(name)
	}
	return append(sent[:len(sent):len(sent)], ids.added...)
}
