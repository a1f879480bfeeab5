package main

import (
	"strconv"

	"taffrail/internal/event"
)

// appendEvent appends the line of any event but a tick.
func appendEvent(dst []byte, rec event.Record) []byte {
	dst = appendHead(dst, rec.Index, rec.Event)
	switch ev := rec.Event.(type) {
	case *event.SegmentHeader:
		dst = appendSegment(dst, ev)
	case *event.Session:
		dst = appendSession(dst, ev)
	case *event.Clock:
		dst = appendClock(dst, ev)
	case *event.Reject:
		dst = appendLoss(dst, ev.Range, ev.Samples, ev.Reason)
	case *event.Drop:
		dst = appendLoss(dst, ev.Range, ev.Samples, ev.Reason)
	case *event.Plan:
		dst = appendPlan(dst, ev)
	case *event.Ack:
		dst = appendAck(dst, ev)
	case *event.Unknown:
		dst = appendBase64Member(dst, "body", ev.Body)
	}
	return append(dst, "}\n"...)
}

// appendHead begins a line with what all events have.
func appendHead(dst []byte, index uint64, ev event.Event) []byte {
	dst = append(dst, '{')
	dst = appendUintMember(dst, "index", index)
	dst = appendStringMember(dst, "kind", ev.Kind().String())
	ms, known := eventTime(ev)
	if !known {
		return dst
	}
	dst = append(appendKey(dst, "time"), '"')
	dst = append(appendTime(dst, ms), '"')
	dst = appendIntMember(dst, "wall_ms", ev.At().WallMS)
	return appendIntMember(dst, "boot_ms", ev.At().BootMS)
}

func appendSegment(dst []byte, h *event.SegmentHeader) []byte {
	dst = appendIntMember(dst, "format", h.Format)
	dst = appendStringMember(dst, "session_id", h.Session)
	dst = appendStringMember(dst, "boot_id", h.BootID)
	dst = appendStringMember(dst, "device_id", h.DeviceID)
	dst = appendTagsMember(dst, "tags", h.Tags)
	dst = appendStringMember(dst, "version", h.Version)
	dst = appendStringMember(dst, "previous", h.Previous)
	dst = appendHexMember(dst, "previous_sha256", h.PreviousSHA256)
	return appendLedger(appendKey(dst, "ledger"), &h.Ledger)
}

func appendSession(dst []byte, s *event.Session) []byte {
	dst = appendStringMember(dst, "phase", s.Phase)
	dst = appendStringMember(dst, "session_id", s.ID)
	dst = appendStringMember(dst, "boot_id", s.BootID)
	dst = appendStringMember(dst, "device_id", s.DeviceID)
	dst = appendTagsMember(dst, "tags", s.Tags)
	dst = appendStringMember(dst, "version", s.Version)
	dst = appendStringMember(dst, "reason", s.Reason)
	if s.LastMS == 0 { // it wrote this itself
		return dst
	}
	return appendIntMember(dst, "last_ms", s.LastMS)
}

func appendClock(dst []byte, c *event.Clock) []byte {
	dst = appendStringMember(dst, "boot_id", c.BootID)
	dst = appendBoolMember(dst, "trusted", c.Trusted)
	dst = appendStringMember(dst, "source", c.Source)
	dst = appendIntMember(dst, "step_ms", c.StepMS)
	if c.Decision == nil {
		return dst
	}
	return appendDecision(appendKey(dst, "decision"), *c.Decision)
}

func appendDecision(dst []byte, d event.Decision) []byte {
	dst = appendStringMember(append(dst, '{'), "boot_id", d.BootID)
	dst = appendRange(appendKey(dst, "range"), d.Range)
	dst = appendStringMember(dst, "verdict", d.Verdict)
	dst = appendIntMember(dst, "offset_ms", d.OffsetMS)
	dst = appendIntMember(dst, "samples", d.Samples)
	return append(appendIntMember(dst, "last_ms", d.LastMS), '}')
}

// appendLoss is for samples that will never be sent.
func appendLoss(dst []byte, r event.Range, samples int, reason string) []byte {
	dst = appendRange(appendKey(dst, "range"), r)
	dst = appendIntMember(dst, "samples", samples)
	return appendStringMember(dst, "reason", reason)
}

func appendPlan(dst []byte, p *event.Plan) []byte {
	dst = appendStringMember(dst, "batch", p.Batch)
	dst = appendRange(appendKey(dst, "range"), p.Range)
	dst = appendIntMember(dst, "first_line", p.FirstLine)
	dst = appendBoolMember(dst, "more", p.More)
	dst = appendIntMember(dst, "renderer", p.Renderer)
	dst = appendStringMember(dst, "device_id", p.DeviceID)
	dst = appendTagsMember(dst, "tags", p.Tags)
	dst = appendIntMember(dst, "line_samples", p.LineSamples)
	return appendList(appendKey(dst, "chunks"), p.Chunks, appendChunk)
}

func appendChunk(dst []byte, c event.Chunk) []byte {
	dst = appendIntMember(append(dst, '{'), "lines", c.Lines)
	dst = appendIntMember(dst, "samples", c.Samples)
	dst = appendIntMember(dst, "bytes", c.Bytes)
	return append(appendHexMember(dst, "sha256", c.SHA256), '}')
}

func appendAck(dst []byte, a *event.Ack) []byte {
	dst = appendStringMember(dst, "batch", a.Batch)
	dst = appendList(appendKey(dst, "chunks"), a.Chunks, func(dst []byte, chunk int) []byte {
		return strconv.AppendInt(dst, int64(chunk), 10)
	})
	return appendIntMember(dst, "samples", a.Samples)
}

func appendLedger(dst []byte, l *event.Ledger) []byte {
	dst = appendKey(append(dst, '{'), "acknowledged")
	dst = appendList(dst, l.Acknowledged, appendRange)
	dst = appendKey(dst, "open")
	if l.Open == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(appendPlan(append(appendKey(append(dst, '{'), "plan"), '{'), &l.Open.Plan), '}')
		dst = append(appendList(appendKey(dst, "acked"), l.Open.Acked, strconv.AppendBool), '}')
	}
	dst = appendIntMember(dst, "next_line", l.NextLine)
	dst = appendUintMember(dst, "appended", l.Appended)
	dst = appendUintMember(dst, "sent", l.Sent)
	dst = appendUintMember(dst, "dropped", l.Dropped)
	dst = appendTimes(appendKey(dst, "times"), &l.Times)
	dst = appendStringMember(append(appendKey(dst, "alive"), '{'), "session_id", l.Alive.SessionID)
	dst = appendStringMember(dst, "boot_id", l.Alive.BootID)
	return append(appendIntMember(dst, "last_ms", l.Alive.LastMS), "}}"...)
}

func appendTimes(dst []byte, t *event.Times) []byte {
	dst = appendStringMember(append(dst, '{'), "boot_id", t.BootID)
	dst = appendIntMember(dst, "offset_ms", t.OffsetMS)
	dst = appendBoolMember(dst, "trusted", t.Trusted)
	dst = appendIntMember(dst, "boot_ms", t.BootMS)
	dst = appendIntMember(dst, "newest_ms", t.NewestMS)
	dst = appendIntMember(dst, "newest_trusted_ms", t.NewestTrustedMS)
	dst = appendList(appendKey(dst, "held"), t.Held, func(dst []byte, h event.Held) []byte {
		dst = appendStringMember(append(dst, '{'), "boot_id", h.BootID)
		dst = appendRange(appendKey(dst, "range"), h.Range)
		return append(appendIntMember(dst, "samples", h.Samples), '}')
	})
	return append(appendList(appendKey(dst, "decisions"), t.Decisions, appendDecision), '}')
}

func appendRange(dst []byte, r event.Range) []byte {
	dst = appendUintMember(append(dst, '{'), "from", r.From)
	return append(appendUintMember(dst, "to", r.To), '}')
}

func appendList[T any](dst []byte, list []T, item func([]byte, T) []byte) []byte {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = item(dst, v)
	}
	return append(dst, ']')
}
