package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"taffrail/shipper"
)

func printShipped(w io.Writer, s *shipped) error {
	t := newTable(w)
	t.row("device", or(s.DeviceID, "unknown"))
	samples := strconv.Itoa(s.Samples)
	if s.Samples > 0 {
		samples += ", " + timeText(s.FirstMS) + " to " + timeText(s.LastMS)
	}
	t.row("samples", samples)
	t.row("not sendable", or(pairs(s.NotSent, " "), "none"))
	t.row("there", strconv.Itoa(s.There))
	if s.DryRun {
		t.row("would send", strconv.Itoa(s.Lacking))
	} else {
		t.row("sent", strconv.Itoa(s.Sent))
		t.row("sent again", strconv.Itoa(s.Repeated))
		t.row("refused", strconv.Itoa(s.Refused))
		t.row("missing", missingText(s))
	}
	t.row("damage", damageText(s.DamagedPlaces))
	t.row("link", fmt.Sprintf("%d requests and %d bytes sent, %d looks and %d bytes read",
		s.Requests, s.BytesSent, s.Looks.Requests, s.Looks.BytesReceived))
	return t.end()
}

func missingText(s *shipped) string {
	switch {
	case !s.Complete:
		return "not known, it was cut short"
	case !s.Verified:
		return "not known, the receiver cannot be asked"
	}
	return strconv.Itoa(s.Missing)
}

func refusalText(r shipper.Refusal) string {
	return fmt.Sprintf("the receiver does not take %d samples of %s from %s to %s: HTTP %d: %s",
		r.Samples, r.Series, timeText(r.FirstMS), timeText(r.LastMS), r.Status, r.Answer)
}

// newShipProgress returns a progress that shows how far ship has come: its data
// come when that is over.
func newShipProgress(c *console) *progress {
	p := &progress{now: c.now, next: c.now().Add(progressEvery)}
	if c.errTerminal {
		p.w = c.err
	}
	return p
}

func progressText(at shipper.Progress) string {
	text := fmt.Sprintf("%d records read", at.Records)
	switch at.Stage {
	case shipper.Waiting:
		return fmt.Sprintf("%d samples sent, looking again in %v", at.Sent, at.Left.Round(time.Second))
	case shipper.Looking:
		text = fmt.Sprintf("%d of %d records compared, %d samples sent", at.Records, at.Total, at.Sent)
	}
	if at.AtMS != 0 {
		text += ", at " + timeText(at.AtMS)
	}
	return text
}
