package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"taffrail/internal/event"
	"taffrail/internal/victoria"
	"taffrail/internal/victoria/child"
	eventlog "taffrail/log"
)

// e2eBound is the longest time for one end-to-end test. Building the receiver,
// where it is not cached, takes a minute or two of it.
const e2eBound = 8 * time.Minute

// TestE2E_FullCollectionUploadCycle runs the real daemon on the real /proc
// against a real VictoriaMetrics: collect, append, upload, acknowledge. In the
// end the receiver holds exactly the log's sendable samples.
func TestE2E_FullCollectionUploadCycle(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), e2eBound)
	defer cancel()
	receiver := startReceiver(t, ctx)
	d := startDaemon(t, buildDaemon(t, ctx), receiver.URL)

	var report healthReport
	d.await(t, ctx, "some samples are acknowledged in two batches", func() bool {
		report = d.health(t, ctx)
		return report.Components["uploader"].Details.Requests >= 2 && report.Components["uploader"].Details.Acknowledged > 0
	})
	if report.Status != "ok" || report.Components["uploader"].Status != "ok" || report.Components["collector.cpu"].Status != "ok" {
		t.Errorf("health while all is well: %+v", report)
	}
	if err := d.process.Stop(30 * time.Second); err != nil {
		t.Fatalf("stop: %s\n%s", err, d.process.Output())
	}

	want := logged(t, d.stateDir)
	if err := receiver.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	exported, err := receiver.Export(ctx, `{device_id="e2e"}`)
	if err != nil {
		t.Fatal(err)
	}
	compareWithReceiver(t, want, exported)
	info, err := eventlog.Inspect(d.stateDir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Shipped.Pending != 0 || info.Shipped.OpenBatch != "" || int(info.Shipped.Acknowledged) != len(want) {
		t.Errorf("the log says %+v of %d samples", info.Shipped, len(want))
	}
	if len(info.Sessions) != 1 || info.Sessions[0].End != event.EndCompleted {
		t.Errorf("sessions %+v", info.Sessions)
	}
	for _, secret := range []string{"hunter2"} {
		if strings.Contains(d.process.Output(), secret) {
			t.Errorf("the log on stderr holds %q", secret)
		}
	}
}

// TestE2E_ReceiverIsAwayAtFirst starts the daemon before its receiver and stops
// it in between: what was collected meanwhile arrives all the same.
func TestE2E_ReceiverIsAwayAtFirst(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), e2eBound)
	defer cancel()
	receiver := startReceiver(t, ctx)
	if err := receiver.Stop(); err != nil {
		t.Fatal(err)
	}
	program := buildDaemon(t, ctx)
	d := startDaemon(t, program, receiver.URL)
	d.await(t, ctx, "an upload has failed", func() bool {
		u := d.health(t, ctx).Components["uploader"]
		return u.Details.Requests > 0 && u.Details.Appended > 0 && u.Details.Acknowledged == 0
	})
	if err := d.process.Stop(30 * time.Second); err != nil {
		t.Fatalf("stop: %s\n%s", err, d.process.Output())
	}
	if err := receiver.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	d = d.again(t)
	d.await(t, ctx, "all is acknowledged", func() bool {
		u := d.health(t, ctx).Components["uploader"]
		return u.Details.Acknowledged > 0 && u.Details.Appended-u.Details.Acknowledged < 200
	})
	if err := d.process.Stop(30 * time.Second); err != nil {
		t.Fatalf("stop: %s\n%s", err, d.process.Output())
	}
	if err := receiver.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	exported, err := receiver.Export(ctx, `{device_id="e2e"}`)
	if err != nil {
		t.Fatal(err)
	}
	compareWithReceiver(t, logged(t, d.stateDir), exported)
}

// startReceiver starts a VictoriaMetrics that ends with the test.
func startReceiver(t *testing.T, ctx context.Context) *victoria.Server {
	t.Helper()
	receiver, err := victoria.Start(ctx, victoria.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(receiver.Kill)
	return receiver
}

// buildDaemon builds this package.
func buildDaemon(t *testing.T, ctx context.Context) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "taffrail")
	out, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %s\n%s", err, out)
	}
	return program
}

// runningDaemon is a daemon as a process of its own.
type runningDaemon struct {
	program, stateDir, config, url string
	process                        *child.Process
}

func startDaemon(t *testing.T, program, remote string) *runningDaemon {
	t.Helper()
	dir := t.TempDir()
	d := &runningDaemon{program: program, stateDir: filepath.Join(dir, "state"), config: filepath.Join(dir, "taffrail.yaml")}
	yaml := fmt.Sprintf("device: {id: e2e, tags: {site: quay}}\n"+
		"remote: {url: %q, auth_token: hunter2, upload_interval: 500ms, timeout: 5s, clock_hold: 0s, retry: {max_attempts: 1}}\n"+
		"logging: {level: debug}\n", remote)
	if err := os.WriteFile(d.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return d.again(t)
}

// again starts the daemon, on the state that it has.
func (d *runningDaemon) again(t *testing.T) *runningDaemon {
	t.Helper()
	listen := freeAddress(t)
	process, err := child.Start(exec.Command(d.program, "run", "--config", d.config, "--state-dir", d.stateDir,
		"--interval", "100ms", "--listen", listen))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.Kill)
	next := *d
	next.process, next.url = process, "http://"+listen
	return &next
}

// healthReport is what /health answers, as far as it is looked at here.
type healthReport struct {
	Status        string
	UptimeSeconds float64 `json:"uptime_seconds"`
	Components    map[string]struct {
		Status  string
		Message string
		Details struct {
			Appended     uint64 `json:"appended_samples"`
			Acknowledged uint64 `json:"acknowledged_samples"`
			Requests     uint64
			CaughtUp     bool `json:"caught_up"`
			Rebuilds     int
		}
	}
}

// health returns the zero report while the daemon does not answer.
func (d *runningDaemon) health(t *testing.T, ctx context.Context) healthReport {
	t.Helper()
	var report healthReport
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return report
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&report); err != nil {
		t.Fatalf("health: %s", err)
	}
	return report
}

// await polls until ok, or fails when the daemon ends or the time is over.
func (d *runningDaemon) await(t *testing.T, ctx context.Context, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-d.process.Done():
			t.Fatalf("waiting until %s: the daemon ended\n%s", what, d.process.Output())
		case <-ctx.Done():
			t.Fatalf("waiting until %s: time is over\n%s", what, d.process.Output())
		case <-poll.C:
		}
	}
}

// point is one sample at the receiver.
type point struct {
	labels string // as JSON with sorted keys
	ms     int64
}

// logged reads from the files what a receiver should hold.
func logged(t *testing.T, stateDir string) map[point]float64 {
	t.Helper()
	r, err := eventlog.OpenReader(stateDir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := map[point]float64{}
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		tick, ok := rec.Event.(*event.Tick)
		if !ok {
			continue
		}
		for _, s := range tick.Samples {
			labels := map[string]string{"__name__": strings.ReplaceAll(s.Series.Name, ".", "_"), "device_id": "e2e", "site": "quay"}
			maps.Copy(labels, s.Series.Labels.Map())
			ms, known := tick.EffectiveTime()
			if !known {
				t.Fatalf("record %d has no time", rec.Index)
			}
			all[point{asJSON(t, labels), ms}] = s.Value
		}
	}
}

func asJSON(t *testing.T, labels map[string]string) string {
	t.Helper()
	b, err := json.Marshal(labels)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// compareWithReceiver fails for every sample that only one side has, that is
// there twice, or whose value is off by more than the digits that
// VictoriaMetrics keeps.
func compareWithReceiver(t *testing.T, want map[point]float64, exported []victoria.Series) {
	t.Helper()
	found := 0
	for _, s := range exported {
		labels := asJSON(t, s.Labels)
		if !slices.IsSorted(s.Timestamps) || len(slices.Compact(slices.Clone(s.Timestamps))) != len(s.Timestamps) {
			t.Errorf("%s: a time stands twice at the receiver", labels)
		}
		for i, ms := range s.Timestamps {
			found++
			value, ok := want[point{labels, ms}]
			if !ok {
				t.Errorf("%s at %d is not in the log", labels, ms)
			} else if diff := s.Values[i] - value; diff > 1e-9*max(value, -value) || diff < -1e-9*max(value, -value) {
				t.Errorf("%s at %d is %v, in the log %v", labels, ms, s.Values[i], value)
			}
		}
	}
	if found != len(want) || found == 0 {
		t.Errorf("the receiver holds %d samples, the log %d", found, len(want))
	}
	if len(exported) < 20 {
		t.Errorf("only %d series", len(exported))
	}
}
