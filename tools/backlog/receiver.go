package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"taffrail/internal/victoria"
)

// everything is the selector of all series: nothing else sends to this receiver.
const everything = `{__name__!=""}`

// newest returns the time of the newest sample that the receiver holds. It looks
// at all of them only where none is new.
func newest(ctx context.Context, receiver *victoria.Server) (at time.Time, ok bool, err error) {
	if err := receiver.Flush(ctx); err != nil {
		return time.Time{}, false, err
	}
	for _, window := range []string{"15m", "50y"} {
		query := url.Values{
			"query":   {"max(tlast_over_time(" + everything + "[" + window + "]))"},
			"time":    {strconv.FormatInt(time.Now().Add(time.Second).Unix(), 10)},
			"nocache": {"1"},
		}
		at, ok, err := ask(ctx, receiver.URL+"/api/v1/query?"+query.Encode())
		if ok || err != nil {
			return at, ok, err
		}
	}
	return time.Time{}, false, nil
}

// ask makes a query whose result is a time, or nothing.
func ask(ctx context.Context, address string) (at time.Time, ok bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return time.Time{}, false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("ask the receiver: %w", err)
	}
	defer resp.Body.Close()
	return decodeTime(resp.Body)
}

// decodeTime reads the answer to an instant query whose only value is a time in
// seconds.
func decodeTime(r io.Reader) (at time.Time, ok bool, err error) {
	var answer struct {
		Status string `json:"status"`
		Data   struct {
			Result []struct {
				Value [2]any `json:"value"` // time, and the value as a string
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(r).Decode(&answer); err != nil {
		return time.Time{}, false, fmt.Errorf("ask the receiver: decode answer: %w", err)
	}
	if answer.Status != "success" {
		return time.Time{}, false, fmt.Errorf("ask the receiver: its status is %q", answer.Status)
	}
	if len(answer.Data.Result) == 0 {
		return time.Time{}, false, nil
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("ask the receiver: decode answer: %w", err)
	}
	return time.UnixMilli(int64(seconds*1000 + 0.5)), true, nil
}

// pageInterval is how long the receiver answers with the same page of its own
// metrics (VictoriaMetrics 1.151: one second).
const pageInterval = 1100 * time.Millisecond

// waitRows waits until a receiver has taken so many samples, repeated ones
// included.
func waitRows(ctx context.Context, receiver *victoria.Server, samples int) error {
	for {
		n, err := receiver.RowsAdded(ctx)
		if err == nil && n >= uint64(samples) {
			return nil
		}
		if !wait(ctx, pageInterval) {
			return fmt.Errorf("wait for the receiver to take %d samples: it has %d: %w", samples, n, errors.Join(err, ctx.Err()))
		}
	}
}
