package main

import (
	"fmt"
	"io"
	"time"

	"taffrail/tools/reconcile"
)

// freshSlack is what the watching adds: how often the receiver is looked at, and
// how long its answer takes.
const freshSlack = time.Second

// shownDifferences is how many differences are printed.
const shownDifferences = 10

// report is what came of the whole run.
type report struct {
	opts     options
	history  history
	indexing memory // of the daemon that has indexed the backlog
	measured
	outcome *reconcile.Outcome // nil: not compared
	added   uint64             // samples that the receiver was given, repeated ones included
	vmagent *vmagentResult     // nil: not run
}

// verdict is one of the bounds.
type verdict struct {
	ok   bool
	text string
}

func (r *report) verdicts() []verdict {
	var all []verdict
	judge := func(ok bool, format string, args ...any) {
		all = append(all, verdict{ok, fmt.Sprintf(format, args...)})
	}
	if r.fresh.IsZero() {
		judge(false, "no fresh sample was seen at the receiver")
	} else {
		took := r.fresh.Sub(r.contact)
		judge(took <= r.opts.upload+freshSlack, "the first fresh sample was seen %s after the contact, at most %v", seconds(took), r.opts.upload)
		judge(r.oldest <= r.opts.maxAge, "from then on the newest sample was at most %s old until the backlog was through, at most %v", seconds(r.oldest), r.opts.maxAge)
	}
	if r.drained.IsZero() || r.complete.IsZero() {
		judge(false, "the backlog was not through within %v: %d of %d samples were acknowledged", r.opts.within, r.acked, r.history.samples())
	} else {
		judge(true, "as many samples as the backlog has were acknowledged %s after the contact, the backlog itself %s after it",
			seconds(r.drained.Sub(r.contact)), seconds(r.complete.Sub(r.contact)))
	}
	if r.opts.settle && r.settles() {
		u := &r.details.Uploader
		judge(!r.settled.IsZero(), "%s: %d requests, %d B up and %d B down; %d repairs, %d samples in doubt",
			r.settlement(), u.SettleQueries, u.SettleUp, u.SettleDown, u.Repairs, u.Doubtful)
	}
	if r.outcome == nil {
		judge(false, "log and receiver were not compared")
	} else {
		judge(r.outcome.OK(), "%s: %d missing, %d twice, %d extra, %d of another value", r.outcome.Summary(),
			r.outcome.Missing, r.outcome.Twice, r.outcome.Extra, r.outcome.Off)
	}
	if r.memory.peak > 0 {
		judge(r.memory.peak < int64(r.opts.maxRSS), "peak RSS %s, below %s; the daemon before, which built the index, had %s",
			bytesText(float64(r.memory.peak)), r.opts.maxRSS.String(), bytesText(float64(r.indexing.peak)))
	}
	return all
}

// settlement says when the daemon had seen the backlog at the receiver.
func (r *report) settlement() string {
	if r.settled.IsZero() {
		return fmt.Sprintf("the backlog was not settled within %v", r.opts.within)
	}
	return fmt.Sprintf("the backlog was settled %s after the contact", seconds(r.settled.Sub(r.contact)))
}

// print prints everything and reports whether all bounds are kept.
func (r *report) print(out io.Writer) bool {
	fmt.Fprintf(out, "\nbacklog: %d samples, %d series, %d ticks of %v\n", r.history.samples(), r.history.series, r.history.ticks, r.history.interval)
	r.printRates(out)
	ok := true
	for _, v := range r.verdicts() {
		word := "ok    "
		if !v.ok {
			word, ok = "MISSED", false
		}
		fmt.Fprintln(out, word, v.text)
	}
	if r.outcome != nil {
		for _, d := range r.outcome.Differences[:min(shownDifferences, len(r.outcome.Differences))] {
			fmt.Fprintln(out, " ", d)
		}
	}
	if r.vmagent != nil {
		r.vmagent.print(out, r.perSecond())
	}
	return ok
}

func (r *report) printRates(out io.Writer) {
	if r.contact.IsZero() {
		return
	}
	fmt.Fprintf(out, "contact %s after the receiver could be reached\n", seconds(r.contact.Sub(r.there)))
	if rate := r.perSecond(); rate > 0 {
		fmt.Fprintf(out, "%.0f samples/s from the contact to the acknowledgement of %d samples\n", rate, r.acked)
	}
	if r.acked > 0 && r.up > 0 {
		fmt.Fprintf(out, "%.2f B a sample up, %.3f B down, all headers included\n",
			float64(r.up)/float64(r.acked), float64(r.down)/float64(r.acked))
	}
	if r.outcome != nil {
		found := uint64(r.outcome.Found)
		fmt.Fprintf(out, "the receiver was given %d samples and holds %d: %d repeated\n", r.added, found, max(r.added, found)-found)
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
