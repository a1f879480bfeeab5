package main

import "taffrail/internal/event"

// seriesTexts remembers for each series whether it is selected and the part of
// its lines that never changes. A reader gives a series the same pointer in
// every tick, and nearly always the same place.
type seriesTexts struct {
	selected func(*event.Series) bool
	render   func(dst []byte, s *event.Series) []byte

	places []*seriesText // by position in the tick
	known  map[*event.Series]*seriesText
	bytes  int
}

type seriesText struct {
	series   *event.Series
	selected bool
	text     []byte
}

// maxSeriesTexts bounds the bytes that are remembered, by forgetting them all.
const maxSeriesTexts = 16 << 20

// at returns what belongs to the series of the sample at place i of a tick.
func (t *seriesTexts) at(i int, s *event.Series) *seriesText {
	if i < len(t.places) && t.places[i].series == s {
		return t.places[i]
	}
	text, ok := t.known[s]
	if !ok {
		text = t.add(s)
	}
	switch {
	case i < len(t.places):
		t.places[i] = text
	case i == len(t.places):
		t.places = append(t.places, text)
	}
	return text
}

func (t *seriesTexts) add(s *event.Series) *seriesText {
	if t.known == nil || t.bytes > maxSeriesTexts {
		t.known, t.places, t.bytes = map[*event.Series]*seriesText{}, nil, 0
	}
	text := &seriesText{series: s, selected: t.selected(s)}
	if text.selected {
		text.text = t.render(nil, s)
	}
	t.known[s] = text
	// The rest of an entry, map and series included, is a few hundred bytes.
	t.bytes += len(text.text) + 256
	return text
}
