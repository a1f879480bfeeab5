package projections

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"taffrail/internal/event"
)

// eventRow is a row of the table events.
type eventRow struct {
	idx    uint64
	series int64 // 0: not a text sample
	kind   string
	wallMS int64
	text   string
}

// kindText is what the table calls a text sample; other events go by the name
// of their kind.
const kindText = "text"

// events keeps what people look for by words: text samples, and what happened
// to the clock and to samples that were given up.
type events struct {
	rows  []eventRow
	table table
}

func newEvents() events { return events{table: table{name: "events", columns: 6}} }

func (e *events) apply(rec *event.Record, tick *headTick) error {
	switch ev := rec.Event.(type) {
	case *event.Tick:
		for _, t := range tick.texts {
			e.rows = append(e.rows, eventRow{rec.Index, t.series.id, kindText, ev.WallMS, t.text})
		}
	case *event.Clock, *event.Reject, *event.Drop:
		text, err := eventText(ev)
		if err != nil {
			return fmt.Errorf("describe %s event: %w", ev.Kind(), err)
		}
		e.rows = append(e.rows, eventRow{rec.Index, 0, ev.Kind().String(), ev.At().WallMS, text})
	}
	return nil
}

// eventText returns what an event says as JSON, under the names that the log's
// format has for it.
func eventText(ev event.Event) (string, error) {
	type indexes struct {
		From uint64 `json:"from"`
		To   uint64 `json:"to"`
	}
	var v any
	switch ev := ev.(type) {
	case *event.Clock:
		type decision struct {
			BootID   string  `json:"boot_id"`
			Range    indexes `json:"range"`
			Verdict  string  `json:"verdict"`
			OffsetMS int64   `json:"offset_ms"`
			Samples  int     `json:"samples"`
		}
		clock := struct {
			BootID   string    `json:"boot_id"`
			Trusted  bool      `json:"trusted"`
			Source   string    `json:"source"`
			StepMS   int64     `json:"step_ms"`
			Decision *decision `json:"decision,omitempty"`
		}{BootID: ev.BootID, Trusted: ev.Trusted, Source: ev.Source, StepMS: ev.StepMS}
		if d := ev.Decision; d != nil {
			clock.Decision = &decision{d.BootID, indexes(d.Range), d.Verdict, d.OffsetMS, d.Samples}
		}
		v = clock
	case *event.Reject:
		v = givenUpOf(ev)
	case *event.Drop:
		v = givenUp{From: ev.Range.From, To: ev.Range.To, Samples: ev.Samples, Reason: ev.Reason}
	}
	text, err := json.Marshal(v)
	return string(text), err
}

// givenUp is what a reject and a drop have to say.
type givenUp struct {
	From    uint64 `json:"from"`
	To      uint64 `json:"to"`
	Samples int    `json:"samples"`
	Reason  string `json:"reason"`
	// Of a reject of single samples:
	Line *rejectedLine `json:"line,omitempty"`
	Gaps []gap         `json:"gaps,omitempty"`
}

type rejectedLine struct {
	Batch   string `json:"batch"`
	Chunk   int    `json:"chunk"`
	Line    int    `json:"line"`
	Series  string `json:"series"`
	FirstMS int64  `json:"first_ms"`
	LastMS  int64  `json:"last_ms"`
	Status  int    `json:"status"`
	Answer  string `json:"answer"`
}

type gap struct {
	FromMS int64    `json:"from_ms"`
	ToMS   int64    `json:"to_ms"`
	Series []string `json:"series,omitempty"`
}

func givenUpOf(ev *event.Reject) givenUp {
	v := givenUp{From: ev.Range.From, To: ev.Range.To, Samples: ev.Samples, Reason: ev.Reason}
	if ev.Line != nil {
		line := rejectedLine(*ev.Line)
		line.Series = shownKey(line.Series)
		v.Line = &line
	}
	for _, g := range ev.Gaps {
		shown := gap{FromMS: g.FromMS, ToMS: g.ToMS}
		for _, key := range g.Series {
			shown.Series = append(shown.Series, shownKey(key))
		}
		v.Gaps = append(v.Gaps, shown)
	}
	return v
}

// shownKey returns a series' key as people write it: its name and its labels.
func shownKey(key string) string { return strings.Replace(key, "\x00", "", 1) }

func (e *events) flush(ctx context.Context, conn *sql.Conn) error {
	for i := range e.rows {
		r := &e.rows[i]
		if err := e.table.put(ctx, conn, withSum(int64(r.idx), r.series, r.kind, r.wallMS, r.text)); err != nil {
			return err
		}
	}
	e.rows = e.rows[:0]
	return nil
}
