package projections

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"modernc.org/sqlite"

	"taffrail/internal/event"
)

// dedupKey is the SQL function taffrail_dedup_key(name, labels, type, ts_ms,
// device): event.DedupKey, or NULL where the time is unknown.
func dedupKey(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	name, ok1 := args[0].(string)
	labels, ok2 := args[1].(string)
	typ, ok3 := args[2].(string)
	ms, ok4 := args[3].(int64)
	device, ok5 := args[4].(string)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 {
		return nil, nil
	}
	series, err := parseSeries(name, labels, typ)
	if err != nil {
		return nil, err
	}
	return event.DedupKey(series, ms, device), nil
}

// parseSeries is how a row of the table series becomes a series again.
func parseSeries(name, labels, typ string) (*event.Series, error) {
	var pairs map[string]string
	if err := json.Unmarshal([]byte(labels), &pairs); err != nil {
		return nil, fmt.Errorf("parse labels of %s: %w", name, err)
	}
	t, err := parseType(typ)
	if err != nil {
		return nil, fmt.Errorf("parse series %s: %w", name, err)
	}
	return event.NewSeries(name, t, 0, event.LabelsFromMap(pairs)...)
}

func parseType(name string) (event.Type, error) {
	for _, t := range []event.Type{event.Gauge, event.Counter, event.Text} {
		if t.String() == name {
			return t, nil
		}
	}
	return 0, fmt.Errorf("unknown type %q", name)
}
