package shipper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bounds of what a receiver tells of itself, unpacked. The metrics of an empty
// single node are 54 KB, a busy one has some times as many.
const (
	maxFlags    = 1 << 20
	maxMetrics  = 16 << 20
	maxFlagLine = 1 << 20
)

// defaultFlush is how often VictoriaMetrics writes to the disk what it has in
// memory, unless it is told otherwise.
const defaultFlush = 5 * time.Second

// properties are those of a receiver's settings that shipping depends on.
type properties struct {
	Known     bool          // the flags could be read
	Dedup     time.Duration // -dedup.minScrapeInterval; 0: none
	Retention time.Duration // -retentionPeriod; 0: not known
	Flush     time.Duration // -inmemoryDataFlushInterval
}

// properties reads the flags of the receiver's process. Where it does not show
// them there is no error, and Known is false.
//
// /flags lists only flags that were set. A retention that was not set is looked up
// in the metrics, which list all flags, and which only name this one where the
// process stores samples: a vmselect or a proxy has no retention of its own.
func (r *receiver) properties(ctx context.Context) (properties, error) {
	p := properties{Flush: defaultFlush}
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	err := r.flags(ctx, &p)
	if notShown(err) {
		return p, nil
	}
	if err != nil {
		return properties{}, fmt.Errorf("read the receiver's flags: %w", err)
	}
	p.Known = true
	if p.Retention == 0 {
		err := r.metrics(ctx, func(line []byte) (bool, error) {
			quoted, ok := bytes.CutPrefix(line, []byte(`flag{name="retentionPeriod", value=`))
			if !ok {
				return false, nil
			}
			quoted, _, _ = bytes.Cut(quoted, []byte(", is_set="))
			return true, p.set("retentionPeriod", string(quoted))
		})
		if err != nil && !notShown(err) {
			return properties{}, fmt.Errorf("read the receiver's retention: %w", err)
		}
	}
	return p, nil
}

func (r *receiver) flags(ctx context.Context, p *properties) error {
	a, err := r.open(ctx, readCall{url: r.root.JoinPath("flags"), media: "text/plain", limit: maxFlags})
	if err != nil {
		return err
	}
	defer a.close()
	if err := p.read(&lineReader{r: a.body, limit: maxFlagLine}); err != nil {
		return r.unknown(ctx, "read the list", err)
	}
	return nil
}

// read reads lines of the form -name="value".
func (p *properties) read(lines *lineReader) error {
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, value, ok := strings.Cut(string(line), "=")
		name, dashed := strings.CutPrefix(name, "-")
		if !ok || !dashed {
			return fmt.Errorf("%s is no flag", excerpt(line, `""`))
		}
		if err := p.set(name, value); err != nil {
			return err
		}
	}
}

// set takes the flags that matter, their values as Go strings.
func (p *properties) set(name, quoted string) error {
	var field *time.Duration
	parse := time.ParseDuration
	switch name {
	case "dedup.minScrapeInterval":
		field = &p.Dedup
	case "inmemoryDataFlushInterval":
		field = &p.Flush
	case "retentionPeriod":
		field, parse = &p.Retention, parseRetention
	default:
		return nil
	}
	value, err := strconv.Unquote(quoted)
	if err == nil {
		*field, err = parse(value)
	}
	if err != nil {
		return fmt.Errorf("decode flag %s: %w", name, err)
	}
	return nil
}

// parseRetention reads a -retentionPeriod: a number of months of 31 days, with or
// without M, or a duration such as 100y, 1.5d or 1w12h. One beyond what a
// time.Duration can hold, 292 years, is as long as that.
func parseRetention(s string) (time.Duration, error) {
	bad := fmt.Errorf("%.40q is no period", s)
	const day = 24 * time.Hour
	if months, err := strconv.ParseFloat(strings.TrimSuffix(s, "M"), 64); err == nil {
		if !(months >= 0) {
			return 0, bad
		}
		return saturate(months * float64(31*day)), nil
	}
	if s == "" {
		return 0, bad
	}
	total := 0.0
	for rest := strings.ToLower(s); rest != ""; {
		after := strings.TrimLeft(rest, "0123456789.")
		number, err := strconv.ParseFloat(rest[:len(rest)-len(after)], 64)
		if err != nil {
			return 0, bad
		}
		rest = strings.TrimLeft(after, "mshdwy")
		var unit time.Duration
		switch after[:len(after)-len(rest)] {
		case "ms":
			unit = time.Millisecond
		case "s":
			unit = time.Second
		case "m":
			unit = time.Minute
		case "h":
			unit = time.Hour
		case "d":
			unit = day
		case "w":
			unit = 7 * day
		case "y":
			unit = 365 * day
		default:
			return 0, bad
		}
		total += number * float64(unit)
	}
	return saturate(total), nil
}

func saturate(nanoseconds float64) time.Duration {
	if nanoseconds >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(nanoseconds)
}
