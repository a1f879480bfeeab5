package main

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"taffrail/collectors"
	"taffrail/internal/event"
	"taffrail/internal/health"
	"taffrail/shipper"
)

// startHealth serves the health endpoints.
func (d *daemon) startHealth() *health.Server {
	mux := http.NewServeMux()
	var server *health.Server
	ready := make(chan struct{})
	start := time.Now()
	health.Register(mux, func() health.Snapshot {
		<-ready
		return d.snapshot(start, server.State())
	})
	server = health.StartServer(health.ServerOptions{Address: d.cfg.Health.Listen, Handler: mux})
	close(ready)
	if state := server.State(); state.Warning != "" {
		d.logger.Warn().Str("error_type", "listen").Msg(state.Warning)
	}
	return server
}

// snapshot asks every part how it is.
func (d *daemon) snapshot(start time.Time, http health.Part) health.Snapshot {
	s := health.Snapshot{
		Now:               time.Now(),
		Start:             start,
		UploadInterval:    d.cfg.Remote.UploadInterval.Std(),
		DegradedThreshold: d.cfg.DegradedThreshold(),
		ErrorThreshold:    d.cfg.Health.ErrorThreshold.Std(),
		Log:               d.logHealth(),
		Storage:           indexHealth(d.index.Status()),
		HTTP:              &http,
		Time:              d.timeHealth(),
	}
	for _, c := range d.scheduler.Status() {
		s.Collectors = append(s.Collectors, collectorHealth(c))
	}
	s.Uploader = d.uploaderHealth(s.Now)
	return s
}

func collectorHealth(c collectors.CollectorStatus) health.Collector {
	h := health.Collector{
		Name:        c.Name,
		LastSuccess: c.LastSuccess,
		StuckSince:  c.StuckSince,
		Details: map[string]any{
			"interval_ms": c.Interval.Milliseconds(),
			"duration_ms": float64(c.Duration.Microseconds()) / 1000,
			"samples":     c.Samples,
			"runs":        c.Runs,
			"failures":    c.Failures,
			"skipped":     c.Skipped,
		},
	}
	if c.Error != nil {
		h.LastError, h.LastErrorAt = c.Error.Error(), c.LastRun
	}
	return h
}

func (d *daemon) logHealth() *health.Part {
	part := &health.Part{Details: map[string]any{"last_index": d.log.LastIndex()}}
	if err := d.log.Failure(); err != nil {
		part.Failing = err.Error()
	}
	return part
}

func (d *daemon) timeHealth() *health.Clock {
	times := d.log.Times()
	clock := &health.Clock{Trusted: times.Trusted && times.BootID == d.context.BootID}
	if clock.Trusted {
		clock.Source = trustSource
	}
	for _, h := range times.Held {
		clock.Held += uint64(h.Samples)
	}
	return clock
}

func (d *daemon) uploaderHealth(now time.Time) *health.Uploader {
	ledger, uploading := d.log.Ledger(), d.shipper.Load()
	u := &health.Uploader{
		Enabled:             uploading != nil,
		Pending:             d.production.pending(now, ledger.Done()),
		ProductionPerSecond: d.production.perSecond(now),
		Details: map[string]any{
			"appended_samples":     ledger.Appended,
			"acknowledged_samples": ledger.Sent,
			"pending_samples":      ledger.Pending(),
			"rejected_samples":     ledger.Rejected,
			"dropped_samples":      ledger.Dropped,
			"doubtful_samples":     ledger.Doubt(),
			"unsettled_samples":    ledger.UnsettledSamples(),
			"cursor":               ledger.Cursor(),
			"settled":              ledger.SettledCursor(),
		},
	}
	if uploading == nil {
		return u
	}
	status := uploading.Status()
	u.LastSuccess, u.LastErrorAt = status.LastSuccess, status.LastErrorAt
	u.Details["requests"] = status.Requests
	u.Details["bytes_sent"] = status.BytesSent
	u.Details["partial_success_total"] = status.PartialSuccesses
	u.Details["repairs"] = status.Repairs
	u.Details["repeats"] = status.Repeats
	u.Details["read_access"] = status.ReadAccess
	u.Details["settle_requests"] = status.Settle.Requests
	u.Details["settle_bytes_sent"] = status.Settle.BytesSent
	u.Details["settle_bytes_received"] = status.Settle.BytesReceived
	if c := status.CatchUp; !c.Since.IsZero() {
		u.Details["catch_up"] = catchUpDetails(c)
	}
	if status.LastErrorType != "" {
		u.Details["error_type"] = status.LastErrorType
	}
	if status.LastError != nil {
		u.LastError = status.LastError.Error()
	}
	return u
}

// catchUpDetails tells how a backlog is coming along.
func catchUpDetails(c shipper.CatchUp) map[string]any {
	details := map[string]any{"since": c.Since.UTC().Format(time.RFC3339)}
	if c.FirstFresh > 0 {
		details["first_fresh_seconds"] = c.FirstFresh.Seconds()
	}
	if c.Complete > 0 {
		details["complete_seconds"] = c.Complete.Seconds()
	}
	return details
}

// production is a sink that passes ticks on to the log and remembers how many
// samples could be sent up to which moment, over one upload interval. What is
// younger than that does not count as pending.
type production struct {
	sink     collectors.Sink
	appended func() uint64 // samples that could be sent since the log's beginning
	interval time.Duration
	now      func() time.Time

	mu    sync.Mutex // guards marks
	marks []mark     // the first is at least an interval old, or the beginning
}

// mark says that a log held total samples at a moment.
type mark struct {
	at    time.Time
	total uint64
}

// newProduction begins with what the log holds already.
func newProduction(sink collectors.Sink, interval time.Duration, appended func() uint64, now func() time.Time) *production {
	return &production{sink: sink, interval: interval, appended: appended, now: now, marks: []mark{{now().Add(-interval), appended()}}}
}

// Append implements collectors.Sink.
func (p *production) Append(ev event.Event) (uint64, error) {
	index, err := p.sink.Append(ev)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.marks = append(p.marks, mark{now, p.appended()})
	p.trimLocked(now)
	return index, err
}

// trimLocked drops the marks before the last that is an interval old.
func (p *production) trimLocked(now time.Time) {
	old := 0
	for old+1 < len(p.marks) && now.Sub(p.marks[old+1].at) >= p.interval {
		old++
	}
	p.marks = slices.Delete(p.marks, 0, old)
}

// pending returns how many samples older than the interval are not among the
// first that are done with.
func (p *production) pending(now time.Time, done uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trimLocked(now)
	return max(p.marks[0].total, done) - done
}

// perSecond returns the samples a second over the last interval.
func (p *production) perSecond(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trimLocked(now)
	first, last := p.marks[0], p.marks[len(p.marks)-1]
	if seconds := now.Sub(first.at).Seconds(); seconds > 0 {
		return float64(last.total-first.total) / seconds
	}
	return 0
}
