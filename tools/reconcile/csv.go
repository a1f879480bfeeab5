package reconcile

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Columns of logtool's CSV that are read here.
const (
	columnTime = iota + 1
	columnName
	columnLabels
	columnType
	columnValue
	columns = 8
)

// ReadCSV reads what `logtool export --format csv` printed and returns the
// samples that can be sent. The CSV names neither device nor tags: owner does.
func ReadCSV(r io.Reader, owner Owner) (p Points, problems []string, err error) {
	p = make(Points)
	lines := csv.NewReader(r)
	lines.FieldsPerRecord, lines.ReuseRecord = columns, true
	if head, err := lines.Read(); err != nil || head[columnTime] != "timestamp_ms" || head[columnValue] != "value" {
		return nil, nil, fmt.Errorf("read csv: %w: its head is %q", errors.Join(err, errors.New("no export of logtool")), head)
	}
	known := make(map[string]string) // labels at the receiver, by name and labels
	for {
		fields, err := lines.Read()
		if err == io.EOF {
			return p, problems, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read csv: %w", err)
		}
		if fields[columnType] == "text" {
			continue
		}
		ms, value, err := parsePoint(fields)
		if err != nil {
			return nil, nil, fmt.Errorf("read csv: %w", err)
		}
		if math.IsNaN(value) || math.IsInf(value, 0) {
			continue
		}
		series := fields[columnName] + "\x00" + fields[columnLabels]
		labels, ok := known[series]
		if !ok {
			if labels, err = parseSeries(fields, owner); err != nil {
				return nil, nil, fmt.Errorf("read csv: %w", err)
			}
			known[series] = labels
		}
		if !p.add(labels, ms, value) {
			problems = append(problems, fmt.Sprintf("twice in the CSV: %s at %d", labels, ms))
		}
	}
}

func parsePoint(fields []string) (ms int64, value float64, err error) {
	ms, err = strconv.ParseInt(fields[columnTime], 10, 64)
	if err != nil {
		return 0, 0, err
	}
	value, err = strconv.ParseFloat(fields[columnValue], 64)
	return ms, value, err
}

func parseSeries(fields []string, owner Owner) (string, error) {
	var own map[string]string
	if err := json.Unmarshal([]byte(fields[columnLabels]), &own); err != nil {
		return "", fmt.Errorf("labels of %s: %w", fields[columnName], err)
	}
	return owner.wireLabels(fields[columnName], own)
}
