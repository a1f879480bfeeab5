package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"taffrail/internal/victoria"
)

// realBound is the longest time for a test against a real VictoriaMetrics.
// Building it, where it is not cached, takes a minute or two of it.
const realBound = 8 * time.Minute

// The device of the test: the middle third of its ticks is at the receiver.
const (
	shipTicks  = 900
	shipSeries = 60
)

// The real receiver gets what it lacks of a log, once, also when the first that
// sends it is killed; and the next sends nothing.
func TestShipToTheRealReceiver(t *testing.T) {
	for name, flag := range map[string]string{"merging": "1ms", "not merging": "0s"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), realBound)
			defer cancel()
			server, err := victoria.Start(ctx, victoria.Options{Dir: t.TempDir(), Flags: []string{"-dedup.minScrapeInterval=" + flag}})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Kill()
			r := &realShip{t: t, server: server, dir: filepath.Join(t.TempDir(), "log")}
			writeDevice(r.dir, shipTicks, shipSeries, 64<<10, func(err error) { t.Fatal(err) })
			r.preload("--since", timeText(fixtureStart+shipTicks/3*1000), "--until", timeText(fixtureStart+2*shipTicks/3*1000))

			const all, third = shipTicks * shipSeries, shipTicks * shipSeries / 3
			if s := r.ship(exitDone, server.URL, "--dry-run"); s.Samples != all || s.There != third || s.Lacking != 2*third || s.Requests != 0 {
				t.Errorf("dry run: %+v", s)
			}
			r.breakOff(flag == "1ms")
			r.flush()
			before := r.ship(exitDone, server.URL, "--dry-run")
			if before.There <= third || before.There >= all {
				t.Errorf("%d of %d samples are there after the break", before.There, all)
			}
			s := r.ship(exitDone, server.URL)
			if s.There != before.There || s.Sent != all-before.There || s.Missing != 0 || !s.Verified {
				t.Errorf("after the break: %+v, before it %d were there", s, before.There)
			}
			if s = r.ship(exitDone, server.URL); s.There != all || s.Sent != 0 || s.Requests != 0 || !s.Verified {
				t.Errorf("the second time: %+v", s)
			}
			r.compare()
		})
	}
}

type realShip struct {
	t      *testing.T
	server *victoria.Server
	dir    string
}

func (r *realShip) flush() {
	r.t.Helper()
	if err := r.server.Flush(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// run runs a verb over the log, to which a wait is over when what was stored can
// be seen.
func (r *realShip) run(want int, args ...string) string {
	r.t.Helper()
	var out, diagnostics strings.Builder
	c := &console{out: &out, err: &diagnostics, now: time.Now, wait: func(ctx context.Context, _ time.Duration) error {
		return r.server.Flush(ctx)
	}}
	if code := run(append(args, r.dir), c); code != want {
		r.t.Fatalf("%v: exit code %d, want %d: %s", args, code, want, diagnostics.String())
	}
	return out.String()
}

func (r *realShip) ship(want int, remote string, args ...string) (s shipped) {
	r.t.Helper()
	out := r.run(want, append([]string{"ship", "--json", "--max-chunk-bytes", "4KiB", "--retry-max-attempts", "1", "--remote", remote}, args...)...)
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		r.t.Fatalf("%v: decode %q: %s", args, out, err)
	}
	return s
}

// preload imports what export prints, without any part of what ship does.
func (r *realShip) preload(selectors ...string) {
	r.t.Helper()
	var body strings.Builder
	for text := range strings.Lines(r.run(exitDone, append([]string{"export", "--json"}, selectors...)...)) {
		var l struct {
			TimestampMS int64 `json:"timestamp_ms"`
			Name        string
			Labels      map[string]string
			Value       json.Number
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			r.t.Fatal(err)
		}
		metric, err := json.Marshal(wireLabels(l.Name, l.Labels))
		if err != nil {
			r.t.Fatal(err)
		}
		fmt.Fprintf(&body, `{"metric":%s,"values":[%s],"timestamps":[%d]}`+"\n", metric, l.Value, l.TimestampMS)
	}
	resp, err := http.Post(r.server.URL+"/api/v1/import", "application/json", strings.NewReader(body.String()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		r.t.Fatalf("the import answered %s", resp.Status)
	}
	r.flush()
}

// wireLabels are those of a series of the fixture's device at a receiver.
func wireLabels(name string, labels map[string]string) map[string]string {
	all := maps.Clone(labels)
	all["__name__"] = strings.ReplaceAll(name, ".", "_")
	all["device_id"], all["site"], all["owner"] = "edge-7", "Kiel", "a \"b\" \x1b[2J"
	return all
}

// breakOff lets a ship begin and ends it in the middle: by a signal, where there is
// nothing that it has to wait for before, else by a link that is cut. The answer to
// the last request never comes.
func (r *realShip) breakOff(signal bool) {
	r.t.Helper()
	target, err := url.Parse(r.server.URL)
	if err != nil {
		r.t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	const taken = 5
	var imports atomic.Int64
	reached := make(chan struct{})
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		n := imports.Load()
		if strings.HasSuffix(req.URL.Path, "/import") {
			n = imports.Add(1)
		}
		switch {
		case n > taken+1:
			panic(http.ErrAbortHandler)
		case n == taken+1:
			proxy.ServeHTTP(httptest.NewRecorder(), req)
			if signal {
				close(reached)
				<-req.Context().Done()
			}
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, req)
	}))
	defer cut.Close()
	if !signal {
		if s := r.ship(exitFailed, cut.URL); s.Complete || s.Sent == 0 {
			r.t.Errorf("the link was cut: %+v", s)
		}
		return
	}
	cmd := exec.CommandContext(r.t.Context(), "logtool", "ship", "--max-chunk-bytes", "4KiB", "--remote", cut.URL, r.dir)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	select {
	case <-reached:
	case <-time.After(time.Minute):
		r.t.Errorf("it sends too little: %s", output.String())
	}
	if err := cmd.Process.Kill(); err != nil {
		r.t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		r.t.Error("it came to its end")
	}
}

// compare compares what the receiver holds with what export prints as CSV.
func (r *realShip) compare() {
	r.t.Helper()
	want := map[string]int{}
	lines := csv.NewReader(strings.NewReader(r.run(exitDone, "export")))
	for n := 0; ; n++ {
		fields, err := lines.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			r.t.Fatal(err)
		}
		if n == 0 {
			continue
		}
		var labels map[string]string
		if err := json.Unmarshal([]byte(fields[3]), &labels); err != nil {
			r.t.Fatal(err)
		}
		want[sampleText(wireLabels(fields[2], labels), fields[1])]++
	}
	r.flush()
	stored, err := r.server.Export(r.t.Context(), `{device_id="edge-7"}`)
	if err != nil {
		r.t.Fatal(err)
	}
	got := map[string]int{}
	for _, s := range stored {
		for _, ms := range s.Timestamps {
			got[sampleText(s.Labels, fmt.Sprint(ms))]++
		}
	}
	missing, twice := 0, 0
	for sample := range want {
		switch n := got[sample]; {
		case n == 0:
			missing++
		case n > 1:
			twice++
		}
		delete(got, sample)
	}
	if len(want) != shipTicks*shipSeries || missing+twice+len(got) > 0 {
		r.t.Errorf("of %d samples %d are missing, %d twice, %d are extra", len(want), missing, twice, len(got))
	}
}

func sampleText(labels map[string]string, ms string) string {
	text, err := json.Marshal(labels)
	if err != nil {
		panic(err)
	}
	return string(text) + " at " + ms
}
