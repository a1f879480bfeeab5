package shipper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"taffrail/internal/event"
)

// Bounds of an export. A line has the samples of a part of a series; the decimals
// of a float take up to 330 bytes, and labels some kilobytes.
const (
	maxLineSamples = 1000
	maxExportLine  = 1 << 20
	maxExport      = 1 << 30
	// exportBound is how many timeouts an export may take as a whole. Each of
	// its bytes must come within one.
	exportBound = 10
)

// times calls yield with parts of the series that carry these labels: the key, as
// identities.metric makes it, and times of samples from one to another, in
// milliseconds, both included. One series comes in any number of parts, with its
// times in any order over them. What was stored twice stands there twice as long
// as the receiver has not merged it. yield may sort the times, but not keep them.
//
// What was yielded before an error is part of the whole, which nobody knows.
func (r *receiver) times(ctx context.Context, match event.Labels, from, to int64, yield func(key string, times []int64)) error {
	from = max(from, 0)
	if from > to {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, exportBound*r.remote.Timeout)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	a, err := r.open(ctx, readCall{
		url: r.base.JoinPath(apiPath, "export"),
		form: url.Values{
			"match[]":               {selectorOf(match)},
			"start":                 {apiTime(from)},
			"end":                   {apiTime(to)},
			"reduce_mem_usage":      {"1"}, // nothing is merged, nothing held back
			"max_rows_per_line":     {strconv.Itoa(maxLineSamples)},
			"deny_partial_response": {"1"},
		},
		media: "application/stream+json",
		limit: maxExport,
		stall: newStallTimer(r.remote.Timeout, end),
	})
	if err != nil {
		return fmt.Errorf("export from the receiver: %w", err)
	}
	defer a.close()
	if err := yieldTimes(a, from, to, yield); err != nil {
		return fmt.Errorf("export from the receiver: %w", r.unknown(ctx, "", err))
	}
	return nil
}

func yieldTimes(a *readAnswer, from, to int64, yield func(key string, times []int64)) error {
	lines := lineReader{r: a.body, limit: maxExportLine}
	var dec lineDecoder
	for n := 1; ; n++ {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read line %d: %w", n, err)
		}
		key, times, err := dec.decode(line)
		if err != nil {
			return fmt.Errorf("decode line %d: %w", n, err)
		}
		for _, t := range times {
			if t < from || t > to {
				return fmt.Errorf("decode line %d: its time %d was not asked for", n, t)
			}
		}
		yield(key, times)
	}
}
