package main

import (
	"testing"
	"time"

	"taffrail/tools/reconcile"
)

func TestHistoryIsInTheLog(t *testing.T) {
	h := history{series: 24, at: []stretch{{ago, 5}, {time.Minute, 3}}}
	now := time.UnixMilli(1790000000000)
	dir := t.TempDir()
	if err := h.write(dir, now); err != nil {
		t.Fatal(err)
	}
	log, err := reconcile.ReadLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := log.Points.Count(); n != 24*8 || log.Appended != 24*8 || len(log.Points) != 24 || len(log.Problems) > 0 {
		t.Errorf("%d samples of %d series, %d can be sent: %q", n, len(log.Points), log.Appended, log.Problems)
	}
	for labels, values := range log.Points {
		for _, at := range []time.Time{now.Add(-ago), now.Add(-ago - 4*tickInterval), now.Add(-time.Minute)} {
			if _, ok := values[at.UnixMilli()]; !ok {
				t.Errorf("%s has no sample of %v", labels, at)
			}
		}
	}
	if old := h.samples(kept); old != 24*5 || h.samples(0) != 24*8 {
		t.Errorf("%d samples are old", old)
	}
	if err := (history{}).write(t.TempDir(), now); err != nil {
		t.Error(err)
	}
}
