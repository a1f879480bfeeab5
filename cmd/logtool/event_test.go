package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"taffrail/internal/event"
)

func TestEventsOfClockAndLoss(t *testing.T) {
	at := event.Stamp{WallMS: 1_782_907_200_000, BootMS: 60_000}
	const head = `"time":"2026-07-01T12:00:00.000Z","wall_ms":1782907200000,"boot_ms":60000`
	decision := event.Decision{BootID: "b", Range: event.Range{From: 3, To: 9}, Verdict: event.VerdictShift, OffsetMS: -5, Samples: 40, LastMS: 77}
	for want, ev := range map[string]event.Event{
		`"kind":"clock",` + head + `,"boot_id":"b","trusted":true,"source":"kernel","step_ms":-3600000`:                                                                                                     &event.Clock{Stamp: at, BootID: "b", Trusted: true, Source: "kernel", StepMS: -3_600_000},
		`"kind":"clock",` + head + `,"boot_id":"b","trusted":false,"source":"","step_ms":0,"decision":{"boot_id":"b","range":{"from":3,"to":9},"verdict":"shift","offset_ms":-5,"samples":40,"last_ms":77}`: &event.Clock{Stamp: at, BootID: "b", Decision: &decision},
		`"kind":"reject",` + head + `,"range":{"from":1,"to":6},"samples":12,"reason":"time_unknown"`:                                                                                                       &event.Reject{Stamp: at, Range: event.Range{From: 1, To: 6}, Samples: 12, Reason: event.ReasonTimeUnknown},
		`"kind":"drop",` + head + `,"range":{"from":1,"to":6},"samples":12,"reason":"max_bytes"`:                                                                                                            &event.Drop{Stamp: at, Range: event.Range{From: 1, To: 6}, Samples: 12, Reason: "max_bytes"},
		`"kind":"session",` + head + `,"phase":"end","session_id":"s","boot_id":"b","device_id":"","tags":{},"version":"","reason":"crashed","last_ms":5`: &event.Session{
			Stamp: at, Phase: event.SessionEnd, ID: "s", BootID: "b", Reason: event.EndCrashed, LastMS: 5},
	} {
		got := string(appendEvent(nil, event.Record{Index: 7, Event: ev}))
		if got != `{"index":7,`+want+"}\n" {
			t.Errorf("got  %swant {\"index\":7,%s}", got, want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("no JSON: %s", got)
		}
	}
	ledger := event.Ledger{Dropped: 3, Times: event.Times{
		Held:      []event.Held{{BootID: "b", Range: event.Range{From: 1, To: 2}, Samples: 9}},
		Decisions: []event.Decision{decision},
	}}
	line := appendEvent(nil, event.Record{Index: 1, Event: &event.SegmentHeader{Stamp: at, Ledger: ledger}})
	if !json.Valid(line) || !bytes.Contains(line, []byte(`"dropped":3`)) || !bytes.Contains(line, []byte(`"held":[{"boot_id":"b","range":{"from":1,"to":2},"samples":9}]`)) {
		t.Errorf("%s", line)
	}
}
