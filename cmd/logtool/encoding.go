package main

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"

	"taffrail/internal/event"
)

// The lines of replay and export are appended to one buffer that is used again
// and again: encoding/json would take longer over a sample than all the rest.

// timeFormat is RFC 3339 with milliseconds; the times are UTC.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

func appendTime(dst []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(dst, timeFormat)
}

func timeText(ms int64) string { return string(appendTime(nil, ms)) }

// appendKey begins the next member of an object. Keys are constants that need
// no escaping.
func appendKey(dst []byte, key string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, key...)
	return append(dst, '"', ':')
}

func appendStringMember(dst []byte, key, value string) []byte {
	return event.AppendJSONString(appendKey(dst, key), value)
}

func appendIntMember[T int | int64](dst []byte, key string, value T) []byte {
	return strconv.AppendInt(appendKey(dst, key), int64(value), 10)
}

func appendUintMember(dst []byte, key string, value uint64) []byte {
	return strconv.AppendUint(appendKey(dst, key), value, 10)
}

func appendBoolMember(dst []byte, key string, value bool) []byte {
	return strconv.AppendBool(appendKey(dst, key), value)
}

func appendHexMember(dst []byte, key string, value []byte) []byte {
	dst = append(appendKey(dst, key), '"')
	return append(hex.AppendEncode(dst, value), '"')
}

func appendBase64Member(dst []byte, key string, value []byte) []byte {
	dst = append(appendKey(dst, key), '"')
	return append(base64.StdEncoding.AppendEncode(dst, value), '"')
}

func appendTagsMember(dst []byte, key string, tags map[string]string) []byte {
	return event.LabelsFromMap(tags).AppendJSON(appendKey(dst, key))
}

// appendJSONValue appends a sample's value: a number, a text as a string, and
// "NaN", "+Inf" and "-Inf", for which JSON has no number, as strings.
func appendJSONValue(dst []byte, s *event.Sample) []byte {
	switch {
	case s.Series.Type == event.Text:
		return event.AppendJSONString(dst, s.Text)
	case math.IsNaN(s.Value), math.IsInf(s.Value, 0):
		dst = append(dst, '"')
		dst = strconv.AppendFloat(dst, s.Value, 'g', -1, 64)
		return append(dst, '"')
	}
	return appendNumber(dst, s.Value, s.Series.Decimals)
}

var pow10 = [event.MaxDecimals + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// appendNumber appends the shortest decimal that reads back as v, with an
// exponent where encoding/json has one: below 1e-6 and from 1e21 on. decimals
// is a guess at the number of decimal places.
func appendNumber(dst []byte, v float64, decimals uint8) []byte {
	abs := math.Abs(v)
	// A decimal of up to 15 digits that reads as v is the shortest one, for no
	// two of them read as the same float64. The two are multiplied and
	// divided exactly or rounded to the nearest, as a parser does it. Minus
	// zero has a sign that an integer lacks.
	if scaled := math.Round(v * pow10[decimals]); v != 0 && abs >= 1e-6 && math.Abs(scaled) < 1e15 && scaled/pow10[decimals] == v {
		return appendScaled(dst, int64(scaled), int(decimals))
	}
	if v != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

// appendScaled appends n / 10^decimals without trailing zeros.
func appendScaled(dst []byte, n int64, decimals int) []byte {
	for decimals > 0 && n%10 == 0 {
		n /= 10
		decimals--
	}
	if decimals == 0 {
		return strconv.AppendInt(dst, n, 10)
	}
	if n < 0 {
		dst = append(dst, '-')
		n = -n
	}
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], n, 10)
	if whole := len(text) - decimals; whole > 0 {
		dst = append(dst, text[:whole]...)
		text = text[whole:]
	} else {
		dst = append(dst, '0')
	}
	dst = append(dst, '.')
	for i := len(text); i < decimals; i++ {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}

// appendField appends a field of a CSV line as RFC 4180 has it: quoted where it
// holds a comma, a quote or the end of a line, or begins with a blank.
func appendField(dst []byte, field string) []byte {
	if !strings.ContainsAny(field, ",\"\r\n") && !strings.HasPrefix(field, " ") {
		return append(dst, field...)
	}
	dst = append(dst, '"')
	for i := range len(field) {
		if field[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, field[i])
	}
	return append(dst, '"')
}
