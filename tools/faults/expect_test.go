package main

import (
	"strings"
	"testing"
	"time"

	"taffrail/internal/event"
	"taffrail/tools/reconcile"
)

// cutEvidence is what a receiver has that does not merge, behind a link that cuts.
func cutEvidence() *evidence {
	return &evidence{
		scenario: &scenario{},
		log:      contents{ledger: event.Ledger{Appended: 9, Sent: 9}, repairs: 2},
		samples:  sifted{kept: map[string]int{"a{}": 9}},
		sent:     traffic{fates: map[string]int{fateCut: 3}},
	}
}

func TestExpectations(t *testing.T) {
	e := cutEvidence()
	if got := append(wasCut(e), checkLedger(e)...); len(got) > 0 {
		t.Errorf("all is well: %q", got)
	}
	for want, change := range map[string]func(*evidence){
		"no body was cut":       func(e *evidence) { e.sent.fates = nil },
		"nothing was repaired":  func(e *evidence) { e.log.repairs = 0 },
		"3 samples twice":       func(e *evidence) { e.twice = 3 },
		"2 samples are given":   func(e *evidence) { e.samples.reasons = map[string]int{event.ReasonReceiverDropped: 2} },
		"counts 8 samples":      func(e *evidence) { e.log.ledger.Appended = 8 },
		"8 acknowledged":        func(e *evidence) { e.log.ledger.Sent = 8 },
		"1 not settled":         func(e *evidence) { e.log.ledger.Unsettled = []event.Unsettled{{Samples: 1}} },
		"1 samples as rejected": func(e *evidence) { e.log.ledger.Rejected = 1 },
		"4 samples are rejecte": func(e *evidence) { e.last.Rejected = 4 },
	} {
		e := cutEvidence()
		change(e)
		if got := strings.Join(append(wasCut(e), checkLedger(e)...), "\n"); !strings.Contains(got, want) {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}

func TestExpectedSeries(t *testing.T) {
	e := cutEvidence()
	e.scenario = &scenario{dedup: time.Millisecond}
	e.samples = sifted{
		kept:    map[string]int{"a{}": 1},
		lost:    map[string]int{`b{"c":"0"}`: 2},
		reasons: map[string]int{event.ReasonReceiverDropped: 2},
	}
	e.log.rejects = []*event.Reject{{Reason: event.ReasonReceiverDropped, Gaps: []event.Gap{{Series: []string{"b\x00{\"c\":\"0\"}"}}}}}
	if got := wasLimited(e); len(got) > 0 {
		t.Errorf("all is well: %q", got)
	}
	e.log.rejects[0].Gaps[0].Series = nil
	e.samples.kept[`d{"c":"0"}`] = 1
	e.samples.lost["e{}"] = 1
	got := strings.Join(wasLimited(e), "\n")
	for _, want := range []string{`b{"c":"0"} is given up and no reject`, `1 samples of d{"c":"0"} are not`, "1 samples of e{} are given up"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestExpectedRefusals(t *testing.T) {
	refused := func() *evidence {
		return &evidence{
			scenario: &scenario{dedup: time.Millisecond},
			samples: sifted{
				kept:    map[string]int{"a{}": 1},
				lost:    map[string]int{"system.load1{}": 1},
				reasons: map[string]int{event.ReasonRefused: 1},
			},
			log: contents{rejects: []*event.Reject{{Reason: event.ReasonRefused,
				Line: &event.RejectedLine{Batch: "b", Series: "system.load1\x00{}", Status: 400, Answer: "no"}}}},
			sent: traffic{fates: map[string]int{fateRefused: 9}, refused: map[string]bool{"b": true}},
		}
	}
	if got := wasRefused(refused()); len(got) > 0 {
		t.Errorf("all is well: %q", got)
	}
	for want, change := range map[string]func(*evidence){
		"took 3s":              func(e *evidence) { e.sent.slowest = 3 * time.Second },
		"2 rejects of batch b": func(e *evidence) { e.log.rejects = append(e.log.rejects, e.log.rejects[0]) },
		"refused of 2":         func(e *evidence) { e.sent.refused["c"] = true },
		"says 500":             func(e *evidence) { e.log.rejects[0].Line.Status = 500 },
		"1 repairs":            func(e *evidence) { e.log.repairs = 1 },
	} {
		e := refused()
		change(e)
		if got := strings.Join(wasRefused(e), "\n"); !strings.Contains(got, want) {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}

func TestReportSaysWhatFailed(t *testing.T) {
	r := &report{name: "cut-plain", evidence: *cutEvidence()}
	r.evidence.outcome = reconcile.Outcome{Found: 9}
	if !r.ok() || !strings.HasSuffix(r.line(), ": ok") || !strings.Contains(r.line(), "3 body cut") || r.details() != "" {
		t.Errorf("%s\n%s", r.line(), r.details())
	}
	r.problem()
	if !r.ok() {
		t.Error("no problem is one")
	}
	r.problem(strings.Split("a b c d e f g h i j k", " ")...)
	if r.ok() || !strings.HasSuffix(r.line(), ": FAILED") || !strings.HasSuffix(r.details(), "  j\n  and 1 more\n") {
		t.Errorf("%s\n%s", r.line(), r.details())
	}
}
