package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"taffrail/internal/event"
)

type replayCmd struct {
	Path string   `arg:"" help:"Segment, directory of segments, or state directory."`
	Kind []string `placeholder:"KIND" help:"Only events of these kinds: segment, session, samples, clock, plan, ack, settle, reject, drop, or kind(N). With --match: samples, if not given."`
	selectors
	JSON bool `name:"json" help:"JSON lines, which is what replay always prints."`
}

// Run prints the events.
func (r *replayCmd) Run(c *console) error {
	kinds, err := parseKinds(r.Kind)
	if err != nil {
		return err
	}
	if err := checkLog(r.Path); err != nil {
		return err
	}
	sel, err := r.on(r.Path)
	if err != nil {
		return err
	}
	if sel.kinds = kinds; kinds == nil && len(r.Match) > 0 {
		sel.kinds = map[event.Kind]bool{event.KindSamples: true}
	}
	p := &eventPrinter{
		out:      sink{w: c.out},
		filtered: len(r.Match) > 0,
		series:   seriesTexts{selected: sel.matches, render: appendSeriesObject},
	}
	return walk(context.Background(), c, r.Path, sel, &p.out, p.print)
}

// parseKinds returns nil, that is all kinds, for no names.
func parseKinds(names []string) (map[event.Kind]bool, error) {
	if len(names) == 0 {
		return nil, nil
	}
	kinds := map[event.Kind]bool{}
	for _, name := range names {
		kind, err := event.ParseKind(name)
		if number, ok := strings.CutPrefix(name, "kind("); err != nil && ok {
			var n uint64
			n, err = strconv.ParseUint(strings.TrimSuffix(number, ")"), 10, 8)
			kind = event.Kind(n)
		}
		if err != nil {
			return nil, usageError{fmt.Errorf("--kind %s: there is no such kind of event", name)}
		}
		kinds[kind] = true
	}
	return kinds, nil
}

// eventPrinter prints events as JSON, one object a line.
type eventPrinter struct {
	out      sink
	filtered bool // ticks of which nothing is selected are left out
	series   seriesTexts
}

func (p *eventPrinter) print(rec event.Record) error {
	if tick, ok := rec.Event.(*event.Tick); ok {
		return p.tick(rec.Index, tick)
	}
	p.out.buf = appendEvent(p.out.buf, rec)
	return p.out.spill()
}

func (p *eventPrinter) tick(index uint64, tick *event.Tick) error {
	// The line's beginning is taken back where no sample follows it; once
	// something of the line was written, there is one.
	start, printed := len(p.out.buf), 0
	b := appendHead(p.out.buf, index, tick)
	b = appendBoolMember(b, "trusted", tick.Trusted)
	if _, known := tick.EffectiveTime(); !known {
		b = appendBoolMember(b, "time_known", false)
	}
	b = appendStringMember(b, "session_id", tick.Context.SessionID)
	b = appendStringMember(b, "device_id", tick.Context.DeviceID)
	b = append(appendKey(b, "samples"), '[')
	for i := range tick.Samples {
		s := &tick.Samples[i]
		text := p.series.at(i, s.Series)
		if !text.selected {
			continue
		}
		if printed++; printed > 1 {
			b = append(b, ',')
		}
		b = append(b, text.text...)
		b = append(appendJSONValue(b, s), '}')
		p.out.buf = b
		if err := p.out.spill(); err != nil {
			return err
		}
		b = p.out.buf
	}
	if printed == 0 && p.filtered {
		p.out.buf = b[:start]
		return nil
	}
	p.out.buf = append(b, "]}\n"...)
	return p.out.spill()
}

// appendSeriesObject begins the object of a sample, up to its value.
func appendSeriesObject(dst []byte, s *event.Series) []byte {
	dst = appendSeriesMembers(append(dst, '{'), s)
	if s.Type == event.Text {
		return appendKey(dst, "text")
	}
	return appendKey(dst, "value")
}

func appendSeriesMembers(dst []byte, s *event.Series) []byte {
	dst = appendStringMember(dst, "name", s.Name)
	dst = s.Labels.AppendJSON(appendKey(dst, "labels"))
	return appendStringMember(dst, "type", s.Type.String())
}
