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
		dst = appendReject(dst, ev)
	case *event.Drop:
		dst = appendLoss(dst, ev.Range, ev.Samples, ev.Reason)
	case *event.Plan:
		dst = appendPlan(dst, ev)
	case *event.Ack:
		dst = appendAck(dst, ev)
	case *event.Settle:
		dst = appendSettle(dst, ev)
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

func appendReject(dst []byte, r *event.Reject) []byte {
	dst = appendLoss(dst, r.Range, r.Samples, r.Reason)
	if l := r.Line; l != nil {
		dst = appendStringMember(append(appendKey(dst, "line"), '{'), "batch", l.Batch)
		dst = appendIntMember(dst, "chunk", l.Chunk)
		dst = appendIntMember(dst, "line", l.Line)
		dst = appendStringMember(dst, "series", event.KeyText(l.Series))
		dst = appendIntMember(dst, "first_ms", l.FirstMS)
		dst = appendIntMember(dst, "last_ms", l.LastMS)
		dst = appendIntMember(dst, "status", l.Status)
		dst = append(appendStringMember(dst, "answer", l.Answer), '}')
	}
	return appendGaps(dst, "gaps", r.Gaps)
}

// appendGaps appends nothing where there are none.
func appendGaps(dst []byte, key string, gaps []event.Gap) []byte {
	if len(gaps) == 0 {
		return dst
	}
	return appendList(appendKey(dst, key), gaps, func(dst []byte, g event.Gap) []byte {
		dst = appendIntMember(append(dst, '{'), "from_ms", g.FromMS)
		dst = appendIntMember(dst, "to_ms", g.ToMS)
		if len(g.Series) > 0 {
			dst = appendList(appendKey(dst, "series"), g.Series, func(dst []byte, key string) []byte {
				return event.AppendJSONString(dst, event.KeyText(key))
			})
		}
		return append(dst, '}')
	})
}

// appendStrings appends nothing where there are none.
func appendStrings(dst []byte, key string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	return appendList(appendKey(dst, key), list, event.AppendJSONString)
}

func appendPlan(dst []byte, p *event.Plan) []byte {
	dst = appendStringMember(dst, "batch", p.Batch)
	dst = appendRange(appendKey(dst, "range"), p.Range)
	dst = appendIntMember(dst, "first_ms", p.FirstMS)
	dst = appendIntMember(dst, "last_ms", p.LastMS)
	dst = appendIntMember(dst, "first_line", p.FirstLine)
	dst = appendBoolMember(dst, "more", p.More)
	dst = appendGaps(dst, "gaps", p.Gaps)
	dst = appendStrings(dst, "names", p.Names)
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
	dst = appendList(appendKey(dst, "chunks"), a.Chunks, appendInt)
	if len(a.Lines) > 0 {
		dst = appendList(appendKey(dst, "lines"), a.Lines, func(dst []byte, l event.Lines) []byte {
			dst = appendIntMember(append(dst, '{'), "chunk", l.Chunk)
			dst = appendIntMember(dst, "from", l.From)
			dst = appendIntMember(dst, "to", l.To)
			return append(appendIntMember(dst, "samples", l.Samples), '}')
		})
	}
	if len(a.Doubt) > 0 {
		dst = appendList(appendKey(dst, "doubt"), a.Doubt, appendInt)
	}
	return appendIntMember(dst, "samples", a.Samples)
}

func appendInt(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }

func appendSettle(dst []byte, s *event.Settle) []byte {
	dst = appendList(appendKey(dst, "ranges"), s.Ranges, appendRange)
	dst = appendIntMember(dst, "samples", s.Samples)
	return appendStringMember(dst, "proof", s.Proof)
}

func appendLedger(dst []byte, l *event.Ledger) []byte {
	dst = appendKey(append(dst, '{'), "acknowledged")
	dst = appendList(dst, l.Acknowledged, appendRange)
	dst = appendList(appendKey(dst, "given_up"), l.GivenUp, appendRange)
	dst = appendList(appendKey(dst, "settled"), l.Settled, appendRange)
	dst = appendKey(dst, "open")
	if l.Open == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(appendPlan(append(appendKey(append(dst, '{'), "plan"), '{'), &l.Open.Plan), '}')
		dst = appendUintMember(dst, "index", l.Open.Index)
		dst = appendList(appendKey(dst, "chunks"), l.Open.Chunks, appendChunkState)
		dst = append(appendGaps(dst, "except", l.Open.Except), '}')
	}
	if p := l.Part; p != nil {
		dst = appendRange(appendKey(append(appendKey(dst, "part"), '{'), "range"), p.Range)
		dst = append(appendIntMember(dst, "line", p.Line), '}')
	}
	dst = appendList(appendKey(dst, "unsettled"), l.Unsettled, appendUnsettled)
	dst = appendList(appendKey(dst, "names"), l.Names, event.AppendJSONString)
	dst = appendUintMember(dst, "appended", l.Appended)
	dst = appendUintMember(dst, "sent", l.Sent)
	dst = appendUintMember(dst, "dropped", l.Dropped)
	dst = appendUintMember(dst, "rejected", l.Rejected)
	dst = appendTimes(appendKey(dst, "times"), &l.Times)
	dst = appendStringMember(append(appendKey(dst, "alive"), '{'), "session_id", l.Alive.SessionID)
	dst = appendStringMember(dst, "boot_id", l.Alive.BootID)
	return append(appendIntMember(dst, "last_ms", l.Alive.LastMS), "}}"...)
}

func appendChunkState(dst []byte, c event.ChunkState) []byte {
	dst = appendList(appendKey(append(dst, '{'), "lines"), c.Lines, appendRange)
	dst = appendIntMember(dst, "acked", c.Acked)
	dst = appendIntMember(dst, "rejected", c.Rejected)
	return append(appendBoolMember(dst, "doubt", c.Doubt), '}')
}

func appendUnsettled(dst []byte, u event.Unsettled) []byte {
	dst = appendStringMember(append(dst, '{'), "batch", u.Batch)
	dst = appendUintMember(dst, "plan", u.Plan)
	dst = appendRange(appendKey(dst, "range"), u.Range)
	dst = appendIntMember(dst, "first_ms", u.FirstMS)
	dst = appendIntMember(dst, "last_ms", u.LastMS)
	dst = appendIntMember(dst, "samples", u.Samples)
	dst = appendIntMember(dst, "doubt", u.Doubt)
	return append(appendGaps(dst, "except", u.Except), '}')
}

func appendTimes(dst []byte, t *event.Times) []byte {
	dst = appendStringMember(append(dst, '{'), "boot_id", t.BootID)
	dst = appendIntMember(dst, "offset_ms", t.OffsetMS)
	dst = appendBoolMember(dst, "trusted", t.Trusted)
	dst = appendIntMember(dst, "boot_ms", t.BootMS)
	dst = appendIntMember(dst, "newest_ms", t.NewestMS)
	dst = appendIntMember(dst, "newest_trusted_ms", t.NewestTrustedMS)
	dst = appendIntMember(dst, "disorder_ms", t.DisorderMS)
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
