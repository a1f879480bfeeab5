package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"taffrail/internal/event"
	eventlog "taffrail/log"
	"taffrail/tools/reconcile"
)

func testHistory() history {
	return history{series: 24, ticks: 250, interval: 10 * time.Second, seed: 1, end: time.UnixMilli(1790000000000)}
}

func TestHistoryIsWhatADeviceWouldHaveWritten(t *testing.T) {
	h := testHistory()
	dir := t.TempDir()
	last, err := h.write(dir)
	if err != nil {
		t.Fatal(err)
	}
	info, err := eventlog.Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Sessions) != 1 || info.Sessions[0].End != event.EndCompleted || info.Shipped.Acknowledged != 0 {
		t.Errorf("the log says %+v", info)
	}
	log, err := reconcile.ReadLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := log.Points.Count(); got != h.samples() || log.Appended != uint64(h.samples()) || len(log.Points) != h.series || len(log.Problems) > 0 {
		t.Errorf("%d samples of %d series, %d can be sent, problems %q", got, len(log.Points), log.Appended, log.Problems)
	}
	for labels, values := range log.Points {
		for i := range h.ticks {
			if _, ok := values[h.end.Add(-time.Duration(i)*h.interval).UnixMilli()]; !ok {
				t.Fatalf("%s has no sample %d steps before the end", labels, i)
			}
		}
	}
	reader, err := eventlog.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var rec event.Record
	for {
		next, err := reader.Next()
		if err != nil {
			break
		}
		rec = next
		if tick, ok := rec.Event.(*event.Tick); ok && (!tick.Trusted || tick.Context.DeviceID != deviceID) {
			t.Fatalf("record %d: %+v", rec.Index, tick)
		}
	}
	if rec.Index != last {
		t.Errorf("the last record is %d, want %d", rec.Index, last)
	}
}

// What vmagent is filled with is what the log holds.
func TestImportBodiesHoldTheHistory(t *testing.T) {
	h := testHistory()
	dir := t.TempDir()
	if _, err := h.write(dir); err != nil {
		t.Fatal(err)
	}
	log, err := reconcile.ReadLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	device, found := h.device(), 0
	for left := h.ticks; left > 0; left -= fillTicks {
		lines := bufio.NewScanner(bytes.NewReader(importBody(min(left, fillTicks), device.Next)))
		for lines.Scan() {
			var line struct {
				Metric     map[string]string `json:"metric"`
				Values     []float64         `json:"values"`
				Timestamps []int64           `json:"timestamps"`
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			labels, err := json.Marshal(line.Metric)
			if err != nil {
				t.Fatal(err)
			}
			for i, ms := range line.Timestamps {
				if value, ok := log.Points[string(labels)][ms]; !ok || value != line.Values[i] {
					t.Fatalf("%s at %d is %v, in the log %v (%v)", labels, ms, line.Values[i], value, ok)
				}
				found++
			}
		}
	}
	if found != h.samples() {
		t.Errorf("%d samples, want %d", found, h.samples())
	}
}
