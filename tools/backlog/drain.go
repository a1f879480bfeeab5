package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"taffrail/internal/victoria"
	"taffrail/tools/agent"
	"taffrail/tools/badlink"
)

const (
	// pollInterval is how often the daemon is asked how far it is.
	pollInterval = 100 * time.Millisecond
	// ageInterval is how often the receiver is asked for its newest sample.
	ageInterval = 500 * time.Millisecond
)

// drain is a daemon with a backlog on its way to the receiver.
type drain struct {
	opts     options
	history  history
	last     uint64 // index of the log at the end of the backlog
	daemon   *agent.Daemon
	receiver *victoria.Server
	link     *badlink.Link
	out      io.Writer

	mu       sync.Mutex // guards what follows
	measured measured
	newest   time.Time // of the samples at the receiver; zero while none was seen
}

// measured is what came of a drain. A time is zero for what did not happen.
type measured struct {
	there    time.Time // the receiver could be reached from then on
	contact  time.Time // and was
	fresh    time.Time // a sample taken since was seen at the receiver
	drained  time.Time // as many samples as the backlog has were acknowledged
	complete time.Time // and all of the backlog was
	settled  time.Time // and the daemon has seen it at the receiver
	oldest   time.Duration
	acked    uint64 // samples, from there to drained
	up, down int64  // bytes on the link in that time
	memory   memory // of the daemon, last
	details  details
}

// perSecond returns how fast the backlog went, 0 where it did not go.
func (m *measured) perSecond() float64 {
	if m.drained.IsZero() || !m.drained.After(m.contact) {
		return 0
	}
	return float64(m.acked) / m.drained.Sub(m.contact).Seconds()
}

// over reports whether there is nothing left to wait for. Settling is waited for
// where that is wanted and the daemon tells of it.
func (m *measured) over(settle bool) bool {
	if settle && m.settles() && m.settled.IsZero() {
		return false
	}
	return !m.fresh.IsZero() && !m.drained.IsZero() && !m.complete.IsZero()
}

// settles reports whether the daemon tells what it has seen at the receiver.
func (m *measured) settles() bool { return m.details.Uploader.Settled != nil }

// reading is how far the daemon is at a moment.
type reading struct {
	at      time.Time
	counts  agent.Counts
	traffic badlink.Traffic
	memory  memory
	details details
}

func (d *drain) read(ctx context.Context) (reading, error) {
	counts, err := d.daemon.Counts(ctx)
	if err != nil {
		return reading{}, err
	}
	r := reading{at: time.Now(), counts: counts}
	if r.details, err = readDetails(ctx, d.daemon); err != nil {
		return reading{}, err
	}
	r.memory, _ = readMemory(d.daemon.PID())
	r.traffic = d.link.Traffic()
	return r, nil
}

// run brings the receiver within reach and watches the daemon until its backlog
// is through, or the time for that is over. The error says that nothing could be
// measured; a daemon that is too slow is none.
func (d *drain) run(ctx context.Context) (measured, error) {
	first, err := d.read(ctx)
	if err != nil {
		return measured{}, err
	}
	if err := d.link.SetState(badlink.Up); err != nil {
		return measured{}, err
	}
	d.measured.there = time.Now()
	fmt.Fprintln(d.out, d.measured.there.Format(time.TimeOnly), "the receiver can be reached")

	ctx, cancel := context.WithTimeout(ctx, d.opts.within)
	defer cancel()
	var watching sync.WaitGroup
	watching.Go(func() { d.watchAge(ctx) })
	err = d.watchDaemon(ctx, first)
	cancel()
	watching.Wait()
	return d.measured, err
}

// note changes what is measured.
func (d *drain) note(change func(*measured)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.measured)
}

func (d *drain) noted() measured {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.measured
}

// watchAge asks the receiver for its newest sample until ctx is done.
func (d *drain) watchAge(ctx context.Context) {
	for wait(ctx, ageInterval) {
		at, ok, err := newest(ctx, d.receiver)
		if err != nil || !ok {
			continue // it is busy, or has nothing yet
		}
		now := time.Now()
		d.note(func(m *measured) {
			d.newest = at
			m.see(at, now, d.opts.upload)
		})
	}
}

// see takes in what the newest sample at the receiver is at a moment. Fresh is
// one that was taken at most an upload interval before the contact.
func (m *measured) see(newest, now time.Time, upload time.Duration) {
	if m.contact.IsZero() || newest.Before(m.contact.Add(-upload)) {
		return
	}
	if m.fresh.IsZero() {
		m.fresh = now
	}
	m.oldest = max(m.oldest, now.Sub(newest))
}

// watchDaemon follows the daemon until its backlog is through or ctx is done.
func (d *drain) watchDaemon(ctx context.Context, first reading) error {
	poll, line := time.NewTicker(pollInterval), time.NewTicker(d.opts.every)
	defer poll.Stop()
	defer line.Stop()
	before := first
	for {
		show := false
		select {
		case <-ctx.Done():
			return nil
		case <-d.daemon.Done():
			return d.daemon.Ended()
		case <-line.C:
			show = true
		case <-poll.C:
		}
		r, err := d.read(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		d.note(func(m *measured) { m.follow(first, r, d.history.samples(), d.last) })
		if show {
			fmt.Fprintln(d.out, d.progress(before, r))
			before = r
		}
		if m := d.noted(); m.over(d.opts.settle) {
			return nil
		}
	}
}

// follow takes in how far the daemon is with a backlog of so many samples, whose
// last is at an index of the log.
func (m *measured) follow(first, now reading, samples int, last uint64) {
	if now.memory.peak > 0 {
		m.memory = now.memory
	}
	if m.contact.IsZero() {
		m.contact = now.traffic.Contact
	}
	if m.drained.IsZero() {
		m.acked = now.counts.Acknowledged - first.counts.Acknowledged
		m.up, m.down = now.traffic.Up-first.traffic.Up, now.traffic.Down-first.traffic.Down
		if m.acked >= uint64(samples) {
			m.drained = now.at
		}
	}
	if m.complete.IsZero() && now.counts.Cursor >= last {
		m.complete = now.at
	}
	m.details = now.details
	if m.settled.IsZero() && m.settles() && *now.details.Uploader.Settled >= last {
		m.settled = now.at
	}
}

// progress returns a line on what happened between two readings.
func (d *drain) progress(before, now reading) string {
	seconds := now.at.Sub(before.at).Seconds()
	left := max(now.counts.Appended, now.counts.Acknowledged) - now.counts.Acknowledged
	line := fmt.Sprintf("%s left %8d   %7.0f samples/s   %9s/s up %9s/s down", now.at.Format(time.TimeOnly), left,
		float64(now.counts.Acknowledged-before.counts.Acknowledged)/seconds,
		bytesText(float64(now.traffic.Up-before.traffic.Up)/seconds),
		bytesText(float64(now.traffic.Down-before.traffic.Down)/seconds))
	if now.memory.peak > 0 {
		line += fmt.Sprintf("   RSS %s, peak %s", bytesText(float64(now.memory.resident)), bytesText(float64(now.memory.peak)))
	}
	return line + "   " + d.age()
}

// age says how old the newest sample at the receiver was when it was last asked.
func (d *drain) age() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.newest.IsZero() {
		return "nothing at the receiver"
	}
	return "newest " + time.Since(d.newest).Round(100*time.Millisecond).String() + " old"
}
