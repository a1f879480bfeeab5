package main

import (
	"maps"
	"testing"
	"time"

	"taffrail/tools/badlink"
	"taffrail/tools/reconcile"
)

func TestMerged(t *testing.T) {
	p := reconcile.Points{
		"a": {30_000: 1, 30_001: 2, 59_999: 3, 60_000: 4, 60_001: 5},
		"b": {31_000: 6},
	}
	if got := merged(p, time.Millisecond); got.Count() != p.Count() {
		t.Errorf("a millisecond merged: %v", got)
	}
	got := merged(p, 30*time.Second)
	if !maps.Equal(got["a"], map[int64]float64{30_000: 1, 60_000: 4, 60_001: 5}) || !maps.Equal(got["b"], p["b"]) || len(p["a"]) != 5 {
		t.Errorf("got %v", got)
	}
}

func TestTraffic(t *testing.T) {
	at := time.UnixMilli(1790000000000)
	got := newTraffic([]badlink.Import{
		{At: at, Batch: "a", Chunk: 0, Fate: fateRefused, Status: 400},
		{At: at.Add(1 * time.Second), Batch: "a", Chunk: 0, LinesHeader: "0-1", Delivered: at.Add(2 * time.Second)},
		{At: at.Add(2 * time.Second), Batch: "a", Chunk: 0, LinesHeader: "0-1", Delivered: at.Add(3 * time.Second)},
		{At: at.Add(3 * time.Second), Chunk: -1},
		{At: at.Add(9 * time.Second), Batch: "b", Chunk: 0, Fate: fateCut, Delivered: at.Add(10 * time.Second)},
	})
	if got.requests != 4 || got.probes != 1 || got.again != 1 || got.slowest != 3*time.Second ||
		!maps.Equal(got.fates, map[string]int{fateRefused: 1, fateCut: 1}) || !maps.Equal(got.refused, map[string]bool{"a": true}) {
		t.Errorf("got %+v", got)
	}
}
