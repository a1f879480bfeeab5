package shipper

import (
	"strings"
	"time"

	"taffrail/internal/event"
)

// Why a Salvage does not send a sample, beside event.ReasonTimeUnknown,
// event.ReasonTooOld and event.ReasonFarFuture.
const (
	ReasonText     = "text" // which never leaves a device
	ReasonNaN      = "nan"
	ReasonInfinite = "infinite"
)

// Summary is what a Salvage came to, in samples.
type Summary struct {
	DryRun bool `json:"dry_run"`
	// DeviceID is the device that recorded last.
	DeviceID string `json:"device_id"`
	// Samples counts those that were chosen and can be sent, from FirstMS to
	// LastMS, which are 0 without one. NotSent counts the rest by reason.
	Samples int            `json:"samples"`
	FirstMS int64          `json:"first_ms"`
	LastMS  int64          `json:"last_ms"`
	NotSent map[string]int `json:"not_sent"`
	// There counts those that the receiver held already, and Lacking the others:
	// all of them where it was not looked.
	There   int `json:"there"`
	Lacking int `json:"lacking"`
	// Sent counts those of them that the receiver has taken: was seen to hold,
	// where it is Verified, else has answered for. Repeated counts those that
	// were sent again since they were not found.
	Sent     int `json:"sent"`
	Repeated int `json:"repeated"`
	// Refused are those in lines that the receiver does not take, and Missing
	// those that it took and does not hold.
	Refused int `json:"refused"`
	Missing int `json:"missing"`
	// Refusals are the first of the lines that were refused.
	Refusals []Refusal `json:"refusals,omitempty"`
	// Complete says that the whole log was gone over, and Verified that the
	// receiver was seen to hold all but what is refused or missing.
	Complete bool `json:"complete"`
	Verified bool `json:"verified"`
	// Rounds is how often it was looked for what had been sent.
	Rounds int `json:"rounds"`
	// Requests and BytesSent are those of the import, and Looks what asking the
	// receiver has cost.
	Requests  uint64     `json:"requests"`
	BytesSent uint64     `json:"bytes_sent"`
	Looks     SettleCost `json:"looks"`
}

// maxRefusals is how many refused lines a summary names.
const maxRefusals = 100

// Refusal is a line that the receiver does not take.
type Refusal struct {
	Series  string `json:"series"` // inside name and labels
	FirstMS int64  `json:"first_ms"`
	LastMS  int64  `json:"last_ms"`
	Samples int    `json:"samples"`
	Status  int    `json:"status"`
	Answer  string `json:"answer"`
}

// Stage is what a Salvage is about.
type Stage int

// The stages.
const (
	Surveying Stage = iota // the log is gone over once
	Looking                // it is gone over again, and what is missing is sent
	Waiting                // for the receiver to store what it got
)

// Progress says how far a Salvage has come.
type Progress struct {
	Stage Stage
	// Records of the log were gone over in this round, of Total; 0: not known.
	Records, Total uint64
	AtMS           int64 // time of the last tick, 0: none yet
	Sent           int   // samples, those that were repeated included
	Round          int
	Left           time.Duration // of a wait
}

func (sv *Salvage) progress(p Progress) {
	if sv.opts.Progress == nil {
		return
	}
	p.Records, p.Total, p.Round = sv.read, sv.records, sv.summary.Rounds
	p.Sent = sv.summary.Sent + sv.summary.Repeated
	sv.opts.Progress(p)
}

// conclude completes the summary.
func (sv *Salvage) conclude(err error) Summary {
	s := &sv.summary
	status := sv.s.Status()
	s.Requests, s.BytesSent, s.Looks = status.Requests, status.BytesSent, status.Settle
	s.Complete = err == nil
	if s.Verified = s.Complete && sv.s.settler.reads() && !s.DryRun; s.Verified {
		// Also what nobody answered for, and what came since.
		s.Sent = max(0, s.Lacking-s.Missing-s.Refused)
	}
	return *s
}

// refused notes a line that the receiver does not take.
func (sv *Salvage) refused(window int, r *event.Reject) {
	sv.refusals.add(window, r.Line)
	refusal := Refusal{
		Series:  strings.Replace(r.Line.Series, "\x00", "", 1),
		FirstMS: r.Line.FirstMS,
		LastMS:  r.Line.LastMS,
		Samples: r.Samples,
		Status:  r.Line.Status,
		Answer:  r.Line.Answer,
	}
	sv.summary.Refused += refusal.Samples
	if len(sv.summary.Refusals) < maxRefusals {
		sv.summary.Refusals = append(sv.summary.Refusals, refusal)
	}
	if sv.opts.Refused != nil {
		sv.opts.Refused(refusal)
	}
}
