package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"taffrail/tools/badlink"
)

// scenario is a receiver, a link and a log, and what is to come of them.
type scenario struct {
	name     string
	receiver []string      // its flags, beside that of dedup
	dedup    time.Duration // -dedup.minScrapeInterval; 0: none
	remote   string        // lines of the daemon's configuration
	trusts   bool          // the daemon takes the kernel's clock for synchronized
	history  history       // what the log holds in the beginning
	collects bool          // the daemon collects for a while before it is to settle

	// What the link does: while the daemon collects; while it settles; and once it
	// has then sent all that it has, so that what follows are repairs. nil: nothing.
	collecting, settling, repairing func() []badlink.Mode

	// expect returns what is not as the scenario states.
	expect func(e *evidence) []string
}

const (
	uploadInterval = 2 * time.Second
	// collectTime is how long the daemon collects. A receiver that keeps one sample
	// of each 30 s is sent what it merges away.
	collectTime = 45 * time.Second
	// coarse is the dedup of a receiver that does not keep everything.
	coarse = 30 * time.Second
	// kept is the retention of a receiver, and ago is before that.
	kept = 30 * 24 * time.Hour
	ago  = 40 * 24 * time.Hour
	// lateness is how long after its client gave up a body was seen to be stored.
	lateness = 16 * time.Second
	// labelLimit is how many labels a receiver takes: __name__, device_id and the
	// tags of every series. Those of a single disk, core or interface have one more.
	labelLimit = 4
)

// Fates of requests, as the link names them.
const (
	fateCut     = "body cut"
	fateLate    = "late"
	fateRefused = "answered 400"
)

// scenarios returns all of them.
func scenarios() []scenario {
	cut := one(badlink.Imports(badlink.Share(0.2, badlink.CutBody())))
	late := one(badlink.Imports(badlink.Share(0.1, badlink.Late(lateness))))
	poison := one(badlink.Imports(badlink.Refuse(badlink.Response{Status: http.StatusBadRequest, Body: "cannot parse this line\n"}, poisonous)))
	// Small chunks, so that there are many to be cut.
	const small = "  chunk_size: 5\n"
	// Of the repairs the first two are cut as well.
	twoRepairs := func() []badlink.Mode {
		return []badlink.Mode{badlink.Imports(badlink.Times(2, badlink.CutBody()))}
	}
	impatient := "  timeout: 2s\n" + small
	limit := fmt.Sprintf("-maxLabelsPerTimeseries=%d", labelLimit)
	old := history{series: 60, at: []stretch{{ago, 20}, {time.Minute, 20}}}
	retention := "-retentionPeriod=30d"
	return []scenario{
		{name: "cut-merging", dedup: time.Millisecond, remote: small, collects: true, collecting: cut, repairing: twoRepairs, expect: wasCut},
		{name: "cut-plain", remote: small, collects: true, collecting: cut, expect: wasCut},
		{name: "late-merging", dedup: time.Millisecond, remote: impatient, collects: true, collecting: late, expect: wasLate},
		{name: "late-plain", remote: impatient, collects: true, collecting: late, expect: wasLate},
		{name: "coarse-dedup", dedup: coarse, collects: true, expect: wasMerged},
		{name: "retention-known", dedup: time.Millisecond, receiver: []string{retention}, trusts: true, history: old, expect: wasTooOld},
		{name: "retention-hidden", dedup: time.Millisecond, receiver: []string{retention}, history: old, settling: one(hidden()), expect: wasDropped},
		{name: "labels", dedup: time.Millisecond, receiver: []string{limit}, collects: true, expect: wasLimited},
		{name: "poison", dedup: time.Millisecond, history: history{series: 1000, at: []stretch{{time.Minute, 5}}}, collects: true,
			collecting: poison, settling: poison, expect: wasRefused},
	}
}

func one(m badlink.Mode) func() []badlink.Mode {
	return func() []badlink.Mode { return []badlink.Mode{m} }
}

// hidden is a receiver that does not say what it is.
func hidden() badlink.Mode {
	return badlink.If(func(r *badlink.Request) bool { return r.Path == "/flags" || r.Path == "/metrics" },
		badlink.Answer(badlink.Response{Status: http.StatusForbidden, Body: "not for you\n"}))
}

// poisonous matches a line of each batch: of the device's own load, and one of the
// 1,000 that the log held before.
func poisonous(line []byte) bool {
	if !bytes.Contains(line, []byte(`"__name__":"system_load1"`)) {
		return false
	}
	return !bytes.Contains(line, []byte(`"part":`)) || bytes.Contains(line, []byte(`"part":"7"`))
}

// poisoned are the series of these lines.
func poisoned() []string { return []string{`system.load1{"part":"7"}`, `system.load1{}`} }

// findScenarios returns those of the names, or all where there are none.
func findScenarios(names []string) ([]scenario, error) {
	all := scenarios()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []scenario
	for _, name := range names {
		found := false
		for _, s := range all {
			if s.name == name {
				chosen, found = append(chosen, s), true
			}
		}
		if !found {
			var known []string
			for _, s := range all {
				known = append(known, s.name)
			}
			return nil, fmt.Errorf("there is no scenario %q; there are: %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// flags returns the receiver's.
func (s *scenario) flags() []string {
	return append([]string{"-dedup.minScrapeInterval=" + s.dedup.String()}, s.receiver...)
}
