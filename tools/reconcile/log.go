package reconcile

import (
	"errors"
	"fmt"
	"io"

	"taffrail/internal/event"
	eventlog "taffrail/log"
)

// Log is what a log says that its receiver should hold.
type Log struct {
	Points       Points
	Appended     uint64 // samples that can be sent
	Acknowledged uint64 // those that the receiver answered with success
	// What was given up or deleted, may be there or not, and was sent and not seen
	// to be there yet, in samples.
	Rejected, Dropped, Doubtful, Unsettled uint64
	Problems                               []string
}

// ReadLog reads the log of a state directory, from its files alone.
func ReadLog(stateDir string) (Log, error) {
	r, err := eventlog.OpenReader(stateDir)
	if err != nil {
		return Log{}, err
	}
	defer r.Close()
	return foldLog(r.Next)
}

// foldLog reads all events that next gives, to io.EOF.
func foldLog(next func() (event.Record, error)) (Log, error) {
	l := Log{Points: make(Points)}
	var ledger event.Ledger
	for {
		rec, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if damage := (*eventlog.CorruptionError)(nil); errors.As(err, &damage) {
			l.Problems = append(l.Problems, "the log is damaged: "+err.Error())
			continue
		}
		if err != nil {
			return Log{}, fmt.Errorf("read log: %w", err)
		}
		ledger.Apply(rec.Index, rec.Event)
		if tick, ok := rec.Event.(*event.Tick); ok {
			l.add(tick)
		}
	}
	l.Appended, l.Acknowledged = ledger.Appended, ledger.Sent
	l.Rejected, l.Dropped = ledger.Rejected, ledger.Dropped
	l.Doubtful, l.Unsettled = ledger.Doubt(), ledger.UnsettledSamples()
	return l, nil
}

// add adds the samples of a tick that can be sent.
func (l *Log) add(tick *event.Tick) {
	ms, ok := tick.EffectiveTime()
	if !ok {
		return
	}
	owner := Owner{DeviceID: tick.Context.DeviceID, Tags: tick.Context.Tags.Map()}
	for i := range tick.Samples {
		s := &tick.Samples[i]
		if !s.Sendable() {
			continue
		}
		labels, err := owner.wireLabels(s.Series.Name, s.Series.Labels.Map())
		if err != nil {
			l.Problems = append(l.Problems, err.Error())
			continue
		}
		if !l.Points.add(labels, ms, s.Value) {
			l.Problems = append(l.Problems, fmt.Sprintf("twice in the log: %s at %d", labels, ms))
		}
	}
}
