package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"taffrail/internal/event"
	"taffrail/internal/victoria"
	"taffrail/internal/victoria/child"
	"taffrail/tools/badlink"
)

const (
	// vmagentBound is the longest wait for its answer after a start, and for its
	// end: it gives up on its receiver before.
	vmagentBound = time.Minute
	// fillTicks is how many ticks one request has that fills its queue.
	fillTicks = 100
)

// vmagentResult is what a vmagent made of as many samples of the same shape.
type vmagentResult struct {
	samples int
	queue   int64         // bytes on disk before it was drained
	filling time.Duration // its requests' time; it encodes and compresses then
	there   time.Time     // the receiver could be reached from then on
	contact time.Time     // the first byte on the link
	last    time.Time     // and the last, which belongs to an answer
	up      int64         // bytes there
	memory  memory
}

// perSecond returns how fast it drained, 0 where nothing can be told.
func (r *vmagentResult) perSecond() float64 {
	if !r.last.After(r.contact) {
		return 0
	}
	return float64(r.samples) / r.last.Sub(r.contact).Seconds()
}

// vmagent is a vmagent with its queue on disk.
type vmagent struct {
	program string
	flags   []string
	queue   string // directory
	remote  string // its receiver
	address string
	process *child.Process
}

// runVmagent fills the queue of a vmagent that has no receiver, stops it, starts
// a receiver, starts the vmagent again and lets it drain. Being started again it
// has all of its queue on disk, and waits for nothing before it sends.
func runVmagent(ctx context.Context, dir string, opts options, h history, out io.Writer) (_ *vmagentResult, err error) {
	receiver, err := victoria.Start(ctx, victoria.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, receiver.Stop()) }()
	link, err := badLink(receiver, opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, link.Close()) }()
	if err := link.SetState(badlink.Refusing); err != nil {
		return nil, err
	}
	v := &vmagent{queue: filepath.Join(dir, "queue"), remote: link.URL, address: victoria.FreeAddress()}
	if v.program, err = victoria.Build(ctx, "vmagent"); err != nil {
		return nil, err
	}
	if opts.vmagentQueues > 0 {
		v.flags = append(v.flags, fmt.Sprintf("-remoteWrite.queues=%d", opts.vmagentQueues))
	}
	fmt.Fprintf(out, "filling the queue of vmagent with %d samples\n", h.samples())
	if err := v.start(ctx); err != nil {
		return nil, err
	}
	defer func() { v.process.Kill() }() // does nothing after an orderly stop
	r := &vmagentResult{samples: h.samples()}
	if r.filling, err = v.fill(ctx, h); err != nil {
		return nil, err
	}
	if !opts.vmagentStays {
		if err := v.stop(); err != nil {
			return nil, err
		}
	}
	if r.queue, err = size(v.queue); err != nil {
		return nil, err
	}
	before := link.Traffic()
	if err := link.SetState(badlink.Up); err != nil {
		return nil, err
	}
	r.there = time.Now()
	fmt.Fprintln(out, r.there.Format(time.TimeOnly), "vmagent can reach a receiver")
	ctx, cancel := context.WithTimeout(ctx, opts.within)
	defer cancel()
	if !opts.vmagentStays {
		if err := v.start(ctx); err != nil {
			return nil, err
		}
	}
	if err := waitRows(ctx, receiver, h.samples()); err != nil {
		return nil, err
	}
	traffic := link.Traffic()
	r.contact, r.last, r.up = traffic.Contact, traffic.Last, traffic.Up-before.Up
	r.memory, _ = readMemory(v.process.PID())
	return r, v.stop()
}

// start starts it and waits until it answers.
func (v *vmagent) start(ctx context.Context) error {
	p, err := child.Start(exec.Command(v.program, append([]string{
		"-httpListenAddr=" + v.address,
		"-remoteWrite.url=" + v.remote + "/api/v1/write",
		"-remoteWrite.tmpDataPath=" + v.queue,
		"-remoteWrite.showURL",
	}, v.flags...)...))
	if err != nil {
		return err
	}
	v.process = p
	ctx, cancel := context.WithTimeout(ctx, vmagentBound)
	defer cancel()
	for {
		body, err := v.get(ctx, "/health")
		if err == nil {
			return body.Close()
		}
		select {
		case <-p.Done():
			return fmt.Errorf("vmagent ended: %v; it printed:\n%s", p.Err(), p.Output())
		default:
		}
		if !wait(ctx, 20*time.Millisecond) {
			return fmt.Errorf("wait for vmagent: %w", err)
		}
	}
}

// stop ends it in order: what it has in memory goes to its queue.
func (v *vmagent) stop() error {
	if err := v.process.Stop(vmagentBound); err != nil {
		return fmt.Errorf("%w; it printed:\n%s", err, v.process.Output())
	}
	return nil
}

// fill sends it the history and returns how long it took to take that.
func (v *vmagent) fill(ctx context.Context, h history) (took time.Duration, err error) {
	device := h.device()
	for left := h.ticks; left > 0; left -= fillTicks {
		body := importBody(min(left, fillTicks), device.Next)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+v.address+"/api/v1/import", bytes.NewReader(body))
		if err != nil {
			return 0, err
		}
		began := time.Now()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, fmt.Errorf("fill vmagent: %w", err)
		}
		_ = resp.Body.Close()
		took += time.Since(began)
		if resp.StatusCode != http.StatusNoContent {
			return 0, fmt.Errorf("fill vmagent: it answered %s", resp.Status)
		}
	}
	return took, nil
}

// importBody returns some ticks as JSONL, a line a series.
func importBody(ticks int, next func() *event.Tick) []byte {
	var lines, values [][]byte
	var times []byte
	for range ticks {
		tick := next()
		times = append(strconv.AppendInt(times, tick.WallMS, 10), ',')
		for i, s := range tick.Samples {
			if i == len(lines) {
				metric := append([]byte(nil), `{"metric":{"__name__":`...)
				metric = event.AppendJSONString(metric, strings.ReplaceAll(s.Series.Name, ".", "_"))
				metric = event.AppendJSONString(append(metric, `,"device_id":`...), deviceID)
				metric = append(metric, ',')
				lines = append(lines, append(metric, s.Series.Labels.AppendJSON(nil)[1:]...))
				values = append(values, nil)
			}
			values[i] = append(strconv.AppendFloat(values[i], s.Value, 'f', -1, 64), ',')
		}
	}
	var body []byte
	for i, line := range lines {
		body = append(append(body, line...), `,"values":[`...)
		body = append(body, bytes.TrimSuffix(values[i], []byte(","))...)
		body = append(append(body, `],"timestamps":[`...), bytes.TrimSuffix(times, []byte(","))...)
		body = append(body, "]}\n"...)
	}
	return body
}

func (v *vmagent) get(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+v.address+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask vmagent: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("ask vmagent: %s: %s", path, resp.Status)
	}
	return resp.Body, nil
}

// size returns how many bytes the files in a directory have.
func size(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}

// print prints the result beside the daemon's rate.
func (r *vmagentResult) print(out io.Writer, daemon float64) {
	fmt.Fprintf(out, "vmagent: %.0f samples/s, in whole %s after the contact, %s after the receiver could be reached\n",
		r.perSecond(), seconds(r.last.Sub(r.contact)), seconds(r.last.Sub(r.there)))
	fmt.Fprintf(out, "vmagent: %.2f B a sample up; its queue had %s on disk and took %s to fill",
		float64(r.up)/float64(r.samples), bytesText(float64(r.queue)), seconds(r.filling))
	if r.memory.peak > 0 {
		fmt.Fprintf(out, "; peak RSS %s", bytesText(float64(r.memory.peak)))
	}
	fmt.Fprintln(out)
	if own := r.perSecond(); own > 0 && daemon > 0 {
		fmt.Fprintf(out, "taffrail / vmagent: %.0f / %.0f samples/s = %.2f\n", daemon, own, daemon/own)
		own = float64(r.samples) / (r.filling + r.last.Sub(r.contact)).Seconds()
		fmt.Fprintf(out, "with the time that vmagent took to fill its queue: %.0f / %.0f samples/s = %.2f\n", daemon, own, daemon/own)
	}
}
