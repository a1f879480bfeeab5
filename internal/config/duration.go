package config

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Duration is a time.Duration that is written with days too: "7d", "1d12h".
type Duration time.Duration

// Day is 24 hours; a configuration knows no daylight saving time.
const Day = Duration(24 * time.Hour)

// Std returns d as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

var errDuration = errors.New("not a duration; write 500ms, 30s, 10m or 7d")

// ParseDuration reads numbers with units (ns, us, ms, s, m, h, d), fractions
// allowed: "1.5h", "1d12h", "-5s". Only 0 may stand without a unit.
func ParseDuration(s string) (Duration, error) {
	rest, negative := strings.CutPrefix(s, "-")
	if rest == "0" {
		return 0, nil
	}
	if rest == "" {
		return 0, fmt.Errorf("%q is %w", s, errDuration)
	}
	var total Duration
	for rest != "" {
		number := span(rest, "0123456789.")
		unit := span(rest[len(number):], "nuµmshd")
		rest = rest[len(number)+len(unit):]
		if unit == "" && rest == "" {
			return 0, fmt.Errorf("%q has no unit: it is %w", s, errDuration)
		}
		part, err := parsePart(number, unit)
		if err != nil {
			return 0, fmt.Errorf("%q is %w", s, err)
		}
		if part > math.MaxInt64-total {
			return 0, fmt.Errorf("%q is %w", s, errTooLong)
		}
		total += part
	}
	if negative {
		total = -total
	}
	return total, nil
}

var errTooLong = errors.New("too long; a duration is at most 106751d")

func parsePart(number, unit string) (Duration, error) {
	if number == "" || unit == "" {
		return 0, errDuration
	}
	factor := Duration(1)
	if unit == "d" {
		unit, factor = "h", 24
	}
	d, err := time.ParseDuration(number + unit)
	if err != nil {
		// A number that is well formed was too large.
		if _, short := time.ParseDuration("0" + unit); short == nil && strings.Count(number, ".") <= 1 && number != "." {
			return 0, errTooLong
		}
		return 0, errDuration
	}
	if Duration(d) > math.MaxInt64/factor {
		return 0, errTooLong
	}
	return Duration(d) * factor, nil
}

func span(s, set string) string {
	return s[:len(s)-len(strings.TrimLeft(s, set))]
}

// String returns d as ParseDuration reads it back, in the largest units that
// fit: "1d12h", "1m30s", "500ms", "0s".
func (d Duration) String() string {
	if d == 0 {
		return "0s"
	}
	if d == math.MinInt64 {
		// It has no positive counterpart. Nothing that was parsed gets here.
		return (d + 1).String()
	}
	if d < 0 {
		return "-" + (-d).String()
	}
	var b strings.Builder
	for _, u := range []struct {
		size Duration
		name string
	}{{Day, "d"}, {Duration(time.Hour), "h"}, {Duration(time.Minute), "m"}} {
		if n := d / u.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d %= u.size
		}
	}
	if d > 0 {
		b.WriteString(strings.Replace(d.Std().String(), "µ", "u", 1))
	}
	return b.String()
}
