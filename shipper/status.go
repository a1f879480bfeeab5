package shipper

import (
	"errors"
	"slices"
	"time"

	"taffrail/internal/event"
)

// Status is how uploading goes.
type Status struct {
	// LastSuccess is when the receiver last took a chunk, or a cycle last ended
	// with nothing left to send.
	LastSuccess time.Time
	LastErrorAt time.Time
	LastError   error // of the last attempt or cycle, nil after a success
	// LastErrorType is its class: unavailable, refused, credentials, address,
	// not_receiver or internal.
	LastErrorType string
	Requests      uint64
	BytesSent     uint64 // bodies, gzipped
	// PartialSuccesses are answers that took some lines of a body and refused
	// others.
	PartialSuccesses uint64
	Repairs          uint64 // batches of samples that the receiver lacked
	Repeats          uint64 // batches that were sent again since a connection was lost
	Settle           SettleCost
	// ReadAccess says how settling finds out what is stored.
	ReadAccess bool
	CatchUp    CatchUp
}

// CatchUp is how a backlog is coming along, since contact was made.
type CatchUp struct {
	Since time.Time // zero: there was none
	// FirstFresh and Complete are how long it took until the first fresh batch
	// was taken, and until nothing was left; 0: not yet.
	FirstFresh time.Duration
	Complete   time.Duration
}

// Status returns how uploading goes.
func (s *Shipper) Status() Status {
	s.mu.Lock()
	status := s.status
	s.mu.Unlock()
	status.ReadAccess = s.settler.reads()
	status.Settle = s.settler.Cost()
	return status
}

// finish keeps how a cycle ended.
func (s *Shipper) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Sending has logged its errors; what is left concerns the log.
	var sent *SendError
	if err != nil && !errors.As(err, &sent) && s.status.LastError == nil {
		s.opts.Logger.Error().Err(err).Str("error_type", errorType(err)).Msg("upload cycle failed")
	}
	s.noteLocked(err)
}

func (s *Shipper) noteLocked(err error) {
	s.status.LastError = err
	s.status.LastErrorType = ""
	if err != nil {
		s.status.LastErrorAt, s.status.LastErrorType = time.Now(), errorType(err)
	} else {
		s.status.LastSuccess = time.Now()
	}
}

// repair is what the settler asks to be sent again.
type repair struct {
	rng  event.Range
	gaps []event.Gap
}

func (s *Shipper) addRepair(r repair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repairs = append(s.repairs, r)
	s.status.Repairs++
}

func (s *Shipper) firstRepair() (repair, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.repairs) == 0 {
		return repair{}, false
	}
	return s.repairs[0], true
}

func (s *Shipper) dropRepair() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repairs = slices.Delete(s.repairs, 0, 1)
}

func (s *Shipper) countRepeat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Repeats++
}

// contact notes an answer while there is a backlog.
func (s *Shipper) contact() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := &s.status.CatchUp; c.Since.IsZero() || c.Complete > 0 {
		*c = CatchUp{Since: time.Now()}
	}
}

// catchUp changes how a backlog is coming along, while there is one and contact
// was made.
func (s *Shipper) catchUp(change func(*CatchUp)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := &s.status.CatchUp; !c.Since.IsZero() && c.Complete == 0 {
		change(c)
	}
}
