// Package health says how the agent is, and serves it over HTTP.
//
// Evaluate is a pure function from what the parts last said of themselves to
// one status. Nothing is remembered between two calls: the status is computed
// when it is asked for.
//
//   - ok: every component is well. Collectors deliver, an upload succeeded
//     within the degraded threshold, fewer than 5,000 samples (or half a
//     minute's production) are pending, the clock is within its threshold.
//   - error: all collectors fail, or no upload succeeded for longer than the
//     error threshold and more than 10,000 samples (or a minute's production)
//     are pending.
//   - degraded: all else.
//
// A component that is not supplied is not shown and does not count, nor does
// the uploader of an agent without a receiver, which is disabled.
//
// It assumes that whoever fills a Snapshot has put no secret into its errors:
// they are shown as they are.
package health

import (
	"fmt"
	"math"
	"time"
)

// Status is the state of the agent or of a component.
type Status string

// The statuses. Only a component can be disabled.
const (
	OK       Status = "ok"
	Degraded Status = "degraded"
	Error    Status = "error"
	Disabled Status = "disabled"
)

// Pending samples that are tolerated, unless the device produces more in the
// time beside them.
const (
	degradedPending = 5_000
	errorPending    = 10_000

	degradedPendingTime = 30 * time.Second
	errorPendingTime    = 60 * time.Second
)

// Defaults of the thresholds.
const (
	minDegradedThreshold  = time.Second
	defaultErrorThreshold = 10 * time.Minute
)

// Report is what /health answers.
type Report struct {
	Status        Status               `json:"status"`
	UptimeSeconds float64              `json:"uptime_seconds"`
	Time          time.Time            `json:"time"`
	Components    map[string]Component `json:"components"`
}

// Component is one part of a Report.
type Component struct {
	Status      Status         `json:"status"`
	Message     string         `json:"message,omitempty"`
	LastSuccess time.Time      `json:"last_success,omitzero"`
	LastError   time.Time      `json:"last_error,omitzero"`
	Details     map[string]any `json:"details,omitempty"`
}

// Evaluate computes the status of everything in s.
func Evaluate(s Snapshot) Report {
	r := Report{
		Status:        OK,
		UptimeSeconds: math.Round(max(0, s.Now.Sub(s.Start).Seconds())*1000) / 1000,
		Time:          stamp(s.Now),
		Components:    map[string]Component{},
	}
	r.addCollectors(s.Collectors)
	if s.Uploader != nil {
		c := s.uploader(*s.Uploader)
		r.Components["uploader"] = c
		r.worsen(c.Status)
	}
	for _, part := range []struct {
		name  string
		state *Part
	}{{"log", s.Log}, {"storage", s.Storage}, {"http", s.HTTP}} {
		if part.state != nil {
			r.add(part.name, part.state.component())
		}
	}
	if s.Time != nil {
		r.add("time", s.Time.component())
	}
	return r
}

// add shows a component whose failure alone leaves the agent degraded.
func (r *Report) add(name string, c Component) {
	r.Components[name] = c
	if c.Status == Degraded || c.Status == Error {
		r.worsen(Degraded)
	}
}

func (r *Report) worsen(to Status) {
	if to == Error || to == Degraded && r.Status == OK {
		r.Status = to
	}
}

func (r *Report) addCollectors(all []Collector) {
	failing := 0
	for _, c := range all {
		component := c.component()
		r.add("collector."+c.Name, component)
		if component.Status == Error {
			failing++
		}
	}
	if failing > 0 && failing == len(all) {
		r.worsen(Error)
	}
}

func (s Snapshot) uploader(u Uploader) Component {
	if !u.Enabled {
		return Component{Status: Disabled, Message: "no receiver is set", Details: u.Details}
	}
	since := u.LastSuccess
	if since.IsZero() {
		since = s.Start
	}
	age := max(0, s.Now.Sub(since))
	c := Component{
		Status:      OK,
		LastSuccess: stamp(u.LastSuccess),
		LastError:   stamp(u.LastErrorAt),
		Details: details(u.Details, map[string]any{
			"pending":               u.Pending,
			"production_per_second": perSecond(u.ProductionPerSecond),
		}),
	}
	pending := float64(u.Pending)
	late := age > s.degradedThreshold()
	crowded := pending >= u.limit(degradedPending, degradedPendingTime)
	switch {
	case age > s.errorThreshold() && pending > u.limit(errorPending, errorPendingTime):
		c.Status = Error
	case late || crowded:
		c.Status = Degraded
	}
	if late || c.Status == Error {
		c.Message = fmt.Sprintf("no upload for %v", age.Round(time.Second))
	}
	if crowded {
		c.Message = join(c.Message, fmt.Sprintf("%d samples are pending", u.Pending))
	}
	if u.LastError != "" && c.Status != OK {
		c.Message = join(c.Message, u.LastError)
	}
	return c
}

// limit returns the number of samples, or what is produced in the time if that
// is more.
func (u Uploader) limit(samples float64, in time.Duration) float64 {
	return max(samples, perSecond(u.ProductionPerSecond)*in.Seconds())
}

// perSecond returns a rate that JSON can show: a quotient by no time at all is
// taken for none.
func perSecond(rate float64) float64 {
	if rate > 0 && !math.IsInf(rate, 0) {
		return rate
	}
	return 0
}

func (s Snapshot) degradedThreshold() time.Duration {
	if s.DegradedThreshold > 0 {
		return s.DegradedThreshold
	}
	twice := s.UploadInterval + min(s.UploadInterval, math.MaxInt64-s.UploadInterval)
	return max(minDegradedThreshold, twice)
}

func (s Snapshot) errorThreshold() time.Duration {
	if s.ErrorThreshold > 0 {
		return s.ErrorThreshold
	}
	return defaultErrorThreshold
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// stamp returns t as it is shown: UTC, in milliseconds. RFC 3339 is what JSON
// makes of it.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Millisecond)
}
