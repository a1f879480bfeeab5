package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"taffrail/tools/reconcile"
)

// Columns of logtool's CSV that are read here.
const (
	columnIndex = iota
	columnTime
	columnName
	columnLabels
	columnType
	columnValue
	columns = 8
)

// sifted are the samples of a log that can be sent, apart from those that were
// given up.
type sifted struct {
	points   reconcile.Points // without them
	kept     map[string]int   // by series, as name and labels
	lost     map[string]int
	reasons  map[string]int // of those that were given up
	problems []string
}

func (s *sifted) count() (n int) {
	for _, k := range s.kept {
		n += k
	}
	for _, l := range s.lost {
		n += l
	}
	return n
}

// sift reads what `logtool export --format csv` printed.
func sift(in io.Reader, c *contents) (sifted, error) {
	s := sifted{kept: make(map[string]int), lost: make(map[string]int), reasons: make(map[string]int)}
	out, filtered := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		err := s.filter(in, filtered, c)
		failed <- err
		filtered.CloseWithError(err)
	}()
	points, problems, err := reconcile.ReadCSV(out, owner())
	out.CloseWithError(errors.New("nobody reads on"))
	if filterErr := <-failed; err == nil {
		err = filterErr
	}
	s.points, s.problems = points, problems
	return s, err
}

// filter copies the lines but those of samples that were given up.
func (s *sifted) filter(in io.Reader, out io.Writer, c *contents) error {
	lines, kept := csv.NewReader(in), csv.NewWriter(out)
	lines.FieldsPerRecord, lines.ReuseRecord = columns, true
	for head := true; ; head = false {
		fields, err := lines.Read()
		if err == io.EOF {
			kept.Flush()
			return kept.Error()
		}
		if err != nil {
			return fmt.Errorf("read csv: %w", err)
		}
		if head || !sendable(fields) {
			if err := kept.Write(fields); err != nil {
				return err
			}
			continue
		}
		index, err := strconv.ParseUint(fields[columnIndex], 10, 64)
		if err != nil {
			return fmt.Errorf("read csv: %w", err)
		}
		ms, err := strconv.ParseInt(fields[columnTime], 10, 64)
		if err != nil {
			return fmt.Errorf("read csv: %w", err)
		}
		series := fields[columnName] + fields[columnLabels]
		if r := c.gaveUp(index, ms, series); r != nil {
			s.lost[series]++
			s.reasons[r.Reason]++
			continue
		}
		s.kept[series]++
		if err := kept.Write(fields); err != nil {
			return err
		}
	}
}

// sendable reports whether a line is a number that a receiver takes.
func sendable(fields []string) bool {
	if fields[columnType] == "text" {
		return false
	}
	v, err := strconv.ParseFloat(fields[columnValue], 64)
	return err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}
