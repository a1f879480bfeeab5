package main

import (
	"time"

	"taffrail/tools/badlink"
)

// traffic is what the daemon sent to the import API, and what became of it.
type traffic struct {
	requests int // with lines
	probes   int // without
	again    int // requests of the same lines as one before
	fates    map[string]int
	// refused are the batches of which a request was refused.
	refused map[string]bool
	// slowest is the longest time from a batch's first request to the last that
	// the receiver took.
	slowest time.Duration
}

func newTraffic(imports []badlink.Import) traffic {
	type part struct {
		batch string
		chunk int
		lines string
	}
	t := traffic{fates: make(map[string]int), refused: make(map[string]bool)}
	seen := make(map[part]bool)
	began := make(map[string]time.Time)
	for i := range imports {
		m := &imports[i]
		if m.Fate != "" {
			t.fates[m.Fate]++
		}
		if m.Batch == "" {
			t.probes++
			continue
		}
		t.requests++
		p := part{m.Batch, m.Chunk, m.LinesHeader}
		if seen[p] {
			t.again++
		}
		seen[p] = true
		if m.Fate == fateRefused {
			t.refused[m.Batch] = true
		}
		if began[m.Batch].IsZero() {
			began[m.Batch] = m.At
		}
		if !m.Delivered.IsZero() {
			t.slowest = max(t.slowest, m.Delivered.Sub(began[m.Batch]))
		}
	}
	return t
}
