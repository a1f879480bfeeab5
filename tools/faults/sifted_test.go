package main

import (
	"io"
	"maps"
	"strings"
	"testing"

	"taffrail/internal/event"
)

const head = "index,timestamp_ms,name,labels,type,value,session_id,dedup_key\n"

// fold folds events as a log has them.
func fold(t *testing.T, events ...event.Event) contents {
	t.Helper()
	n := 0
	c, err := foldContents(func() (event.Record, error) {
		if n == len(events) {
			return event.Record{}, io.EOF
		}
		n++
		return event.Record{Index: uint64(n), Event: events[n-1]}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSift(t *testing.T) {
	const load, core = "system.load1\x00{}", "cpu.usage\x00{\"core\":\"0\"}"
	c := fold(t,
		&event.Plan{Batch: "b", Range: event.Range{From: 10, To: 12}, Chunks: []event.Chunk{{Lines: 1, Samples: 1}}},
		&event.Plan{Batch: "b", Range: event.Range{From: 10, To: 12}, Gaps: []event.Gap{{FromMS: 1000, ToMS: 1000}}},
		&event.Ack{Batch: "b", Doubt: []int{0}},
		&event.Settle{Proof: event.ProofCount, Samples: 4},
		&event.Reject{Range: event.Range{From: 1, To: 3}, Samples: 2, Reason: event.ReasonTooOld},
		&event.Reject{Range: event.Range{From: 4, To: 4}, Reason: event.ReasonEmpty},
		&event.Reject{Range: event.Range{From: 10, To: 12}, Samples: 1, Reason: event.ReasonRefused,
			Line: &event.RejectedLine{Batch: "b", Series: load, FirstMS: 1000, LastMS: 1001}},
		&event.Reject{Range: event.Range{From: 20, To: 22}, Samples: 1, Reason: event.ReasonReceiverDropped,
			Gaps: []event.Gap{{FromMS: 2000, ToMS: 2001, Series: []string{core}}, {FromMS: 2005, ToMS: 2006}}},
	)
	if c.repairs != 1 || c.doubts != 1 || c.proofs[event.ProofCount] != 4 || len(c.rejects) != 3 || len(c.plans) != 1 || c.plans["b"].Repair() {
		t.Errorf("got %+v", c)
	}
	if got := c.named(event.ReasonReceiverDropped); !maps.Equal(got, map[string]int{`cpu.usage{"core":"0"}`: 1}) {
		t.Errorf("named: %v", got)
	}
	if got := c.named(event.ReasonRefused); !maps.Equal(got, map[string]int{`system.load1{}`: 1}) {
		t.Errorf("named: %v", got)
	}
	s, err := sift(strings.NewReader(head+
		"3,500,system.load1,{},gauge,1,s,k\n"+ // too old
		"4,600,system.load1,{},gauge,2,s,k\n"+
		"11,1000,system.load1,{},gauge,3,s,k\n"+ // refused
		"11,1000,cpu.usage,\"{\"\"core\"\":\"\"0\"\"}\",gauge,4,s,k\n"+
		"13,1001,system.load1,{},gauge,5,s,k\n"+ // of another batch
		"20,2001,system.load1,{},gauge,6,s,k\n"+
		"20,2001,cpu.usage,\"{\"\"core\"\":\"\"0\"\"}\",gauge,7,s,k\n"+ // dropped
		"21,2006,system.load1,{},gauge,8,s,k\n"+ // dropped with all others
		"21,2007,system.load1,{},gauge,NaN,s,k\n"+ // never sent
		"22,2008,os.name,{},text,linux,s,k\n"), &c)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(s.reasons, map[string]int{event.ReasonTooOld: 1, event.ReasonRefused: 1, event.ReasonReceiverDropped: 2}) {
		t.Errorf("reasons: %v", s.reasons)
	}
	if !maps.Equal(s.lost, map[string]int{`system.load1{}`: 3, `cpu.usage{"core":"0"}`: 1}) ||
		!maps.Equal(s.kept, map[string]int{`system.load1{}`: 3, `cpu.usage{"core":"0"}`: 1}) || s.count() != 8 {
		t.Errorf("lost %v, kept %v", s.lost, s.kept)
	}
	const labels = `{"__name__":"system_load1","deck":"upper","device_id":"faults","site":"quay"}`
	if got := s.points[labels]; !maps.Equal(got, map[int64]float64{600: 2, 1001: 5, 2001: 6}) || s.points.Count() != 4 {
		t.Errorf("points: %v", s.points)
	}
}

func TestSiftTakesNothingElse(t *testing.T) {
	for _, text := range []string{
		"", "a,b,c,d,e,f,g,h\n", head + "1,2\n", head + "x,1,a,{},gauge,1,s,k\n", head + "1,x,a,{},gauge,1,s,k\n", head + "1,1,a,no labels,gauge,1,s,k\n",
	} {
		if _, err := sift(strings.NewReader(text), &contents{}); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
