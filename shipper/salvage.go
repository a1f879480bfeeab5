package shipper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"taffrail/internal/event"
)

// What a Salvage does not begin to send for.
var (
	// ErrUnreadable: the receiver cannot be asked what it holds, and not all is
	// to be sent.
	ErrUnreadable = errors.New("the receiver cannot be asked what it holds")
	// ErrKeepsTwice: all is to be sent, to a receiver that says of itself that
	// it keeps what comes twice.
	ErrKeepsTwice = errors.New("the receiver keeps what comes twice")
)

// visibleLag is after how long what is stored is seen. VictoriaMetrics was measured
// to take up to 11 s.
const visibleLag = 15 * time.Second

// SalvageOptions configure a Salvage.
type SalvageOptions struct {
	Remote        Remote // DeviceID is left empty: the log says whose samples are sent
	MaxChunkBytes int    // of a chunk's gzip
	Retry         Retry
	// Open opens the log, each time at its beginning. What is damaged is left
	// out by the source.
	Open func() (Source, error)
	// Admits, which is called with the events in order, chooses ticks, and
	// Matches series. nil: all.
	Admits  func(event.Event) bool
	Matches func(*event.Series) bool
	// DryRun looks and sends nothing.
	DryRun bool
	// Resend sends all without a look before. It is the only way where the
	// receiver cannot be read, which then has to remove duplicates.
	Resend bool
	// Wait lets time pass, which it may cut short only with an error. nil: a
	// timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Progress and Refused, where they are set, hear of how it goes.
	Progress func(Progress)
	Refused  func(Refusal)
}

// Salvage brings the samples of a log that is only read to a receiver: those of a
// card whose device is dead, mostly. It sends what the receiver lacks, under the
// names that the device gave them, and nothing else.
//
// What it knows comes from the log and from the receiver alone, so that a run
// that was cut short is gone on with by another. Memory is bounded by a window of
// samples, whatever the log.
//
// It compares series and times, in windows that follow the log. What it has sent
// it looks for once more, when the receiver has had the time to store it, and
// sends again what is not there, in two rounds at the most.
//
// No sample comes to be there twice, whether the receiver removes duplicates or
// not: where it is not known to, what a look finds missing counts only when a
// minute has passed, and some seconds, since anything was sent, by this run or by
// one before. It assumes that nobody else sends the same samples meanwhile, and
// that no request is stored more than a minute after its end; and with Resend,
// that the receiver removes duplicates.
type Salvage struct {
	opts SalvageOptions
	s    *Shipper // that sends and asks. It has no log, and does not run

	names   []string // inside names that have their names on the wire
	records uint64   // of the log, 0: not known yet
	read    uint64   // of them in this round
	// Ticks before oldest and after newest are not sent.
	oldest, newest int64
	// A look before decisive does not tell that a sample is missing, for one
	// that was sent may still be on its way.
	decisive time.Time
	lastSent time.Time
	doubted  bool // a request of this round was sent and not answered
	doubts   int  // chunks in a row that were
	refusals refusals
	summary  Summary
}

// NewSalvage returns a Salvage. It does nothing before Run.
func NewSalvage(opts SalvageOptions) (*Salvage, error) {
	s, err := New(noLog{}, Options{
		Remote:        opts.Remote,
		MaxChunkBytes: opts.MaxChunkBytes,
		Retry:         opts.Retry,
		Now:           func() event.Stamp { return event.Stamp{WallMS: time.Now().UnixMilli()} },
		Logger:        zerolog.Nop(),
	})
	if err != nil {
		return nil, err
	}
	return &Salvage{opts: opts, s: s, summary: Summary{DryRun: opts.DryRun, NotSent: map[string]int{}}}, nil
}

// noLog stands in for the log of a shipper that only sends what it is given.
type noLog struct{}

func (noLog) Append(event.Event) (uint64, error) {
	return 0, errors.New("the log is only read")
}
func (noLog) Ledger() event.Ledger { return event.Ledger{} }
func (noLog) LastIndex() uint64    { return 0 }
func (noLog) Source(uint64) Source { return nil }

// Run sends what is missing. The summary says how far it came also where there
// is an error. It is called once.
func (sv *Salvage) Run(ctx context.Context) (Summary, error) {
	defer sv.s.client.http.CloseIdleConnections()
	err := sv.run(ctx)
	return sv.conclude(err), err
}

func (sv *Salvage) run(ctx context.Context) error {
	if err := sv.meet(ctx); err != nil {
		return err
	}
	if err := sv.survey(ctx); err != nil {
		return err
	}
	lag := sv.s.settler.lag()
	var suspects map[int]bool // windows; nil: all
	for round := 0; ; round++ {
		sv.summary.Rounds, sv.read, sv.doubted = round, 0, false
		var err error
		if suspects, err = sv.sweep(ctx, round, suspects); err != nil {
			return err
		}
		if len(suspects) == 0 || !sv.s.settler.reads() {
			return nil
		}
		sv.decisive = sv.lastSent.Add(lag)
		wait := time.Until(sv.decisive)
		if sv.doubted {
			sv.decisive = sv.decisive.Add(visibleLag)
		}
		if err := sv.wait(ctx, wait); err != nil {
			return err
		}
	}
}

// meet finds out what the receiver does and whether it can be read.
func (sv *Salvage) meet(ctx context.Context) error {
	st := sv.s.settler
	now := time.Now()
	sv.newest = now.UnixMilli() + aDay
	if st.reader == nil {
		return sv.unreadable(errors.New("there is no address to read from"))
	}
	err := sv.ask(ctx, func() error { return st.learnProperties(ctx) })
	if err == nil {
		err = sv.ask(ctx, func() error {
			// Of no device: only whether there is an answer matters.
			_, err := st.reader.counts(ctx, event.Labels{{Name: deviceLabel, Value: "-"}}, now.UnixMilli(), now.UnixMilli())
			return err
		})
	}
	switch {
	case notShown(err):
		st.note(err)
		return sv.unreadable(err)
	case err != nil:
		return err
	}
	if sv.opts.Resend && st.props.Known && st.props.Dedup == 0 {
		return fmt.Errorf("%w (-dedup.minScrapeInterval is not set), and it can be asked what it holds", ErrKeepsTwice)
	}
	if kept := st.retention(); kept > 0 {
		sv.oldest = now.UnixMilli() - kept.Milliseconds()
	}
	sv.decisive = now.Add(st.lag() + visibleLag)
	return nil
}

// unreadable goes on without a look, where that is allowed.
func (sv *Salvage) unreadable(why error) error {
	if sv.opts.Resend {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnreadable, why)
}

// ask asks the receiver, again after a wait where it gave no usable answer.
func (sv *Salvage) ask(ctx context.Context, question func() error) error {
	waits := sv.opts.Retry.waits()
	for n := 1; ; n++ {
		err := question()
		if err == nil || !errors.Is(err, errUnknown) || n >= sv.opts.Retry.MaxAttempts {
			return err
		}
		if err := sv.pause(ctx, waits.NextBackOff()); err != nil {
			return err
		}
	}
}

// reach waits until something takes requests at the import's address again, for
// as many attempts as there are.
func (sv *Salvage) reach(ctx context.Context) error {
	waits := sv.opts.Retry.waits()
	for n := 1; ; n++ {
		wait := waits.NextBackOff()
		var failed *SendError
		if err := sv.pause(ctx, wait); err != nil {
			return err
		}
		_, err := sv.s.client.probe(ctx)
		if err == nil || !errors.As(err, &failed) || failed.Kind != ErrUnavailable || n >= sv.opts.Retry.MaxAttempts {
			return err
		}
	}
}

// pause is a wait of a back-off.
func (sv *Salvage) pause(ctx context.Context, d time.Duration) error {
	sv.s.sleep(ctx, d)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// wait waits for the receiver to store what it got.
func (sv *Salvage) wait(ctx context.Context, d time.Duration) error {
	if sv.opts.Wait != nil {
		return sv.opts.Wait(ctx, d)
	}
	for end := time.Now().Add(d); ; {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		sv.progress(Progress{Stage: Waiting, Left: left})
		if err := sv.pause(ctx, min(left, time.Second)); err != nil {
			return err
		}
	}
}

// speakFor says in each request that follows whose samples it concerns.
func (sv *Salvage) speakFor(owner *event.Context) {
	id := headerText(owner.DeviceID)
	sv.s.client.remote.DeviceID = id
	if r := sv.s.settler.reader; r != nil {
		r.remote.DeviceID = id
	}
}

// headerText returns s with a question mark in place of what no HTTP header can
// carry.
func headerText(s string) string {
	safe := []byte(s)
	for i, c := range safe {
		if c < ' ' || c == 0x7f {
			safe[i] = '?'
		}
	}
	return string(safe)
}
