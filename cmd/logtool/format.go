package main

import (
	"strconv"

	"taffrail/internal/event"
)

// sampleFormat renders the line of a sample in three parts: what is the same
// for a tick, for a series and for the sample.
type sampleFormat struct {
	header string
	tick   func(dst []byte, index uint64, ms int64) []byte
	series func(dst []byte, s *event.Series) []byte
	value  func(dst []byte, s *event.Sample) []byte
	// owner is what a line says of the tick's context before the dedup key,
	// and end what it says after it.
	owner func(dst []byte, ctx *event.Context) []byte
	end   func(dst []byte, ctx *event.Context) []byte
}

func csvFormat() sampleFormat {
	return sampleFormat{
		header: "index,timestamp_ms,name,labels,type,value,session_id,dedup_key\n",
		tick: func(dst []byte, index uint64, ms int64) []byte {
			dst = append(strconv.AppendUint(dst, index, 10), ',')
			return append(strconv.AppendInt(dst, ms, 10), ',')
		},
		series: func(dst []byte, s *event.Series) []byte {
			dst = append(appendField(dst, s.Name), ',')
			dst = append(appendField(dst, s.Labels.JSON()), ',')
			return append(append(dst, s.Type.String()...), ',')
		},
		value: func(dst []byte, s *event.Sample) []byte {
			if s.Series.Type == event.Text {
				return appendField(dst, s.Text)
			}
			return appendNumber(dst, s.Value, s.Series.Decimals)
		},
		owner: func(dst []byte, ctx *event.Context) []byte {
			return append(appendField(append(dst, ','), ctx.SessionID), ',')
		},
		end: func(dst []byte, _ *event.Context) []byte { return append(dst, '\n') },
	}
}

func jsonlFormat() sampleFormat {
	return sampleFormat{
		tick: func(dst []byte, index uint64, ms int64) []byte {
			dst = appendUintMember(append(dst, '{'), "index", index)
			return append(appendIntMember(dst, "timestamp_ms", ms), ',')
		},
		series: func(dst []byte, s *event.Series) []byte {
			members := appendSeriesMembers([]byte{'{'}, s)
			// The brace stands in the tick's part.
			return append(dst, appendKey(members, "value")[1:]...)
		},
		value: appendJSONValue,
		owner: func(dst []byte, ctx *event.Context) []byte {
			dst = append(event.AppendJSONString(append(dst, `,"session_id":`...), ctx.SessionID), ',')
			return append(dst, `"dedup_key":"`...)
		},
		end: func(dst []byte, ctx *event.Context) []byte {
			dst = event.AppendJSONString(append(dst, `","device_id":`...), ctx.DeviceID)
			dst = ctx.Tags.AppendJSON(append(dst, `,"tags":`...))
			return append(dst, "}\n"...)
		},
	}
}
