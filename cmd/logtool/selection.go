package main

import (
	"fmt"
	"strings"
	"time"

	"taffrail/internal/config"
	"taffrail/internal/event"
	"taffrail/internal/selector"
	eventlog "taffrail/log"
)

// selectors are the flags that choose from a log.
type selectors struct {
	Since   string   `placeholder:"TIME" help:"Only from this time on: RFC 3339, or a duration such as 2h or 7d back from the end of the log, which is the time of its last tick and not now."`
	Until   string   `placeholder:"TIME" help:"Only before this time; written as for --since."`
	Session string   `placeholder:"ID" help:"Only what the session recorded whose id begins with ID."`
	Match   []string `sep:"none" placeholder:"SELECTOR" help:"Only samples of series that this PromQL selector matches; given several times, that any of them matches."`
}

// selection is what the flags come to on a certain log. It follows the records
// in order, since most do not say which session wrote them.
type selection struct {
	since, until time.Time // zero: no bound
	session      string    // prefix of the id
	matchers     []*selector.Selector
	kinds        map[event.Kind]bool // nil: all

	current string // id of the session at hand
}

// on resolves the flags on the log at path.
func (s *selectors) on(path string) (*selection, error) {
	sel := &selection{session: s.Session}
	for _, text := range s.Match {
		m, err := selector.Parse(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("--match %s: %w", text, err)}
		}
		sel.matchers = append(sel.matchers, m)
	}
	end := logEnd{path: path}
	var err error
	if sel.since, err = end.parse("--since", s.Since); err != nil {
		return nil, err
	}
	if sel.until, err = end.parse("--until", s.Until); err != nil {
		return nil, err
	}
	if !sel.since.IsZero() && !sel.until.IsZero() && !sel.since.Before(sel.until) {
		return nil, usageError{fmt.Errorf("--since %s is not before --until %s", s.Since, s.Until)}
	}
	return sel, nil
}

// logEnd is the moment that durations count back from.
type logEnd struct {
	path string
	read bool
	time time.Time // zero in a log without a tick
}

// parse reads a time or a duration. It returns no bound for an empty one, and
// for a duration where the log has no time to count from.
func (e *logEnd) parse(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	back, err := config.ParseDuration(text)
	if err != nil || back < 0 {
		return time.Time{}, usageError{fmt.Errorf("%s %s: neither a time such as 2026-07-01T12:00:00Z nor a duration such as 2h or 7d", flag, text)}
	}
	if !e.read {
		ms, ok, err := eventlog.LastTime(e.path)
		if err != nil {
			return time.Time{}, err
		}
		if ok {
			e.time = time.UnixMilli(ms)
		}
		e.read = true
	}
	if e.time.IsZero() {
		return time.Time{}, nil
	}
	return e.time.Add(-back.Std()), nil
}

// admits reports whether the selection wants the event. It is called with every
// event of the log, in order.
func (s *selection) admits(ev event.Event) bool {
	switch ev := ev.(type) {
	case *event.SegmentHeader:
		s.current = ev.Session
	case *event.Session:
		s.current = ev.ID
	case *event.Tick:
		s.current = ev.Context.SessionID
	}
	if s.kinds != nil && !s.kinds[ev.Kind()] {
		return false
	}
	return strings.HasPrefix(s.current, s.session) && s.inTime(ev)
}

// inTime compares an event's time with the bounds. An event without a time
// lies in none.
func (s *selection) inTime(ev event.Event) bool {
	if s.since.IsZero() && s.until.IsZero() {
		return true
	}
	ms, known := eventTime(ev)
	if !known {
		return false
	}
	t := time.UnixMilli(ms)
	return !t.Before(s.since) && (s.until.IsZero() || t.Before(s.until))
}

// matches reports whether the selection wants the samples of a series.
func (s *selection) matches(series *event.Series) bool {
	for _, m := range s.matchers {
		if m.Match(series) {
			return true
		}
	}
	return len(s.matchers) == 0
}

// eventTime returns an event's time in milliseconds since 1970: for samples the
// effective time. An event of an unknown kind has none.
func eventTime(ev event.Event) (ms int64, known bool) {
	switch ev := ev.(type) {
	case *event.Tick:
		ms, _ = ev.EffectiveTime()
		return ms, true
	case *event.Unknown:
		return 0, false
	}
	return ev.At().WallMS, true
}
