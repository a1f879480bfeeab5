package shipper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"taffrail/internal/event"
)

// maxCounts is how many bytes the counts of all series may take. A series of
// taffrail takes 100 to 300.
const maxCounts = 16 << 20

// counts returns how many samples the receiver holds of each series that carries
// these labels, from one time to another, in milliseconds, both included. Series
// without a sample in between are not in it. Keys are as identities.metric makes
// them. It counts what a query sees: samples that the receiver merges are one.
func (r *receiver) counts(ctx context.Context, match event.Labels, from, to int64) (map[string]int, error) {
	from = max(from, 0)
	if from > to {
		return map[string]int{}, nil
	}
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	// The window of a query does not hold its own beginning.
	query := "count_over_time(" + selectorOf(match) + "[" + strconv.FormatInt(to-from+1, 10) + "ms]) keep_metric_names"
	a, err := r.open(ctx, readCall{
		url: r.base.JoinPath(apiPath, "query"),
		form: url.Values{
			"query":                 {query},
			"time":                  {apiTime(to)},
			"nocache":               {"1"}, // the cache does not know of what came late
			"deny_partial_response": {"1"}, // of a cluster some of whose storage is away
		},
		media: "application/json",
		limit: maxCounts,
	})
	if err != nil {
		return nil, fmt.Errorf("count at the receiver: %w", err)
	}
	defer a.close()
	found, err := decodeCounts(a.body)
	if err != nil {
		return nil, fmt.Errorf("count at the receiver: %w", r.unknown(ctx, "decode the counts", err))
	}
	return found, nil
}

// selectorOf returns the labels as PromQL selects by them. Names are written as
// they are on the wire.
func selectorOf(match event.Labels) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, l := range match {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(LabelName(l.Name))
		b.WriteByte('=')
		b.WriteString(strconv.Quote(l.Value))
	}
	b.WriteByte('}')
	return b.String()
}

// decodeCounts reads the answer to an instant query, one series at a time:
// https://docs.victoriametrics.com/victoriametrics/keyconcepts/#instant-query
func decodeCounts(r io.Reader) (map[string]int, error) {
	found := make(map[string]int)
	dec := json.NewDecoder(r)
	var status, resultType, message string
	var partial, hasResult bool
	err := decodeObject(dec, func(key string) error {
		switch key {
		case "status":
			return dec.Decode(&status)
		case "isPartial":
			return dec.Decode(&partial)
		case "error":
			return dec.Decode(&message)
		case "data":
			return decodeObject(dec, func(key string) error {
				switch key {
				case "resultType":
					return dec.Decode(&resultType)
				case "result":
					hasResult = true
					return decodeArray(dec, func() error { return decodeCount(dec, found) })
				}
				return skipValue(dec)
			})
		}
		return skipValue(dec)
	})
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.Join(errors.New("more follows"), err)
	}
	switch {
	case status != "success":
		return nil, fmt.Errorf("status %.20q: %s", status, excerpt([]byte(message), "no message"))
	case partial:
		return nil, errors.New("it is partial")
	case !hasResult || resultType != "vector":
		return nil, fmt.Errorf("a result of type %.20q", resultType)
	}
	return found, nil
}

// decodeCount reads the count of one series.
func decodeCount(dec *json.Decoder, found map[string]int) error {
	var item struct {
		Metric map[string]string `json:"metric"`
		Value  []json.RawMessage `json:"value"` // time, and the number as a string
	}
	if err := dec.Decode(&item); err != nil {
		return err
	}
	if item.Metric == nil || len(item.Value) != 2 {
		return errors.New("a series without a value")
	}
	var text string
	if err := json.Unmarshal(item.Value[1], &text); err != nil {
		return fmt.Errorf("decode a count: %w", err)
	}
	n, err := strconv.ParseFloat(text, 64)
	const exact = 1 << 53
	if err != nil || !(n >= 0 && n <= exact) || n != float64(int(n)) {
		return fmt.Errorf("%.20q is no count", text)
	}
	name := item.Metric[nameLabel]
	delete(item.Metric, nameLabel)
	key := metricJSON(name, event.LabelsFromMap(item.Metric))
	if _, twice := found[key]; twice {
		return errors.New("a series stands twice")
	}
	found[key] = int(n)
	return nil
}

// decodeObject calls field with each key of an object. It must read the value.
func decodeObject(dec *json.Decoder, field func(key string) error) error {
	if err := expectDelim(dec, json.Delim('{')); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string) // the decoder takes nothing else there
		if err := field(name); err != nil {
			return err
		}
	}
	return expectDelim(dec, json.Delim('}'))
}

// decodeArray calls item for each value of an array. It must read it.
func decodeArray(dec *json.Decoder, item func() error) error {
	if err := expectDelim(dec, json.Delim('[')); err != nil {
		return err
	}
	for dec.More() {
		if err := item(); err != nil {
			return err
		}
	}
	return expectDelim(dec, json.Delim(']'))
}

func expectDelim(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("%v in place of %v", token, want)
	}
	return nil
}

func skipValue(dec *json.Decoder) error {
	var skipped json.RawMessage
	return dec.Decode(&skipped)
}
