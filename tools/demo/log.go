package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"

	"taffrail/internal/event"
	eventlog "taffrail/log"
)

// points are samples at the receiver: value by time in milliseconds, by labels.
// The labels are a JSON object with its keys in order, the name among them as
// __name__.
type points map[string]map[int64]float64

func (p points) count() int {
	n := 0
	for _, values := range p {
		n += len(values)
	}
	return n
}

// logged is what a log says that its receiver should hold.
type logged struct {
	points       points
	appended     uint64 // samples that can be sent
	acknowledged uint64 // those that the receiver answered with success
	problems     []string
}

// readLog reads the log of a state directory, from its files alone.
func readLog(stateDir string) (logged, error) {
	r, err := eventlog.OpenReader(stateDir)
	if err != nil {
		return logged{}, err
	}
	defer r.Close()
	return foldLog(r.Next)
}

// foldLog reads all events that next gives, to io.EOF.
func foldLog(next func() (event.Record, error)) (logged, error) {
	l := logged{points: make(points)}
	var ledger event.Ledger
	for {
		rec, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if damage := (*eventlog.CorruptionError)(nil); errors.As(err, &damage) {
			l.problems = append(l.problems, "the log is damaged: "+err.Error())
			continue
		}
		if err != nil {
			return logged{}, fmt.Errorf("read log: %w", err)
		}
		ledger.Apply(rec.Index, rec.Event)
		if tick, ok := rec.Event.(*event.Tick); ok {
			l.add(tick)
		}
	}
	l.appended, l.acknowledged = ledger.Appended, ledger.Sent
	return l, nil
}

// add adds the samples of a tick that can be sent.
func (l *logged) add(tick *event.Tick) {
	ms, ok := tick.EffectiveTime()
	if !ok {
		return
	}
	for i := range tick.Samples {
		s := &tick.Samples[i]
		if !s.Sendable() {
			continue
		}
		labels, err := wireLabels(tick.Context, s.Series)
		if err != nil {
			l.problems = append(l.problems, err.Error())
			continue
		}
		values := l.points[labels]
		if values == nil {
			values = make(map[int64]float64)
			l.points[labels] = values
		}
		if _, twice := values[ms]; twice {
			l.problems = append(l.problems, fmt.Sprintf("twice in the log: %s at %d", labels, ms))
		}
		values[ms] = s.Value
	}
}

// wireLabels returns the labels under which a receiver should hold the series.
// This is the rule as it is documented and not the shipper's code, which it is
// to check; it knows no clashes of names, for no collector makes any.
func wireLabels(ctx *event.Context, s *event.Series) (string, error) {
	labels := map[string]string{"__name__": plain(s.Name, ":"), "device_id": ctx.DeviceID}
	for _, set := range []event.Labels{s.Labels, ctx.Tags} {
		for _, l := range set {
			name := plain(l.Name, "")
			if _, clash := labels[name]; clash {
				return "", fmt.Errorf("%s: more than one label would be %s at the receiver", s, name)
			}
			labels[name] = l.Value
		}
	}
	// For VictoriaMetrics an empty value is no label.
	maps.DeleteFunc(labels, func(_, value string) bool { return value == "" })
	return labelsJSON(labels)
}

// plain replaces every byte that a name at a receiver cannot have by an
// underscore: what is neither a letter, a digit, an underscore nor in more.
func plain(name, more string) string {
	b := []byte(name)
	for i, c := range b {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && (more == "" || c != more[0]) {
			b[i] = '_'
		}
	}
	return string(b)
}

// labelsJSON returns a map of labels as the key of points.
func labelsJSON(labels map[string]string) (string, error) {
	b, err := json.Marshal(labels)
	return string(b), err
}
