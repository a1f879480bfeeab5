package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	eventlog "taffrail/log"
)

type infoCmd struct {
	Path string `arg:"" help:"Segment, directory of segments, or state directory."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

// Run prints the summary of a log.
func (i *infoCmd) Run(c *console) error {
	if err := checkLog(i.Path); err != nil {
		return err
	}
	in, err := eventlog.Inspect(i.Path)
	if err != nil {
		return err
	}
	if i.JSON {
		err = printJSON(c.out, in)
	} else {
		err = printInfo(c.out, &in)
	}
	if err == nil && len(in.Damage) > 0 {
		return errDamage
	}
	return err
}

// printJSON prints a struct of package eventlog, indented.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// table is text in columns; a cell's text is made fit for print.
type table struct{ tab *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

func (t table) row(cells ...string) {
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(t.tab, "\t")
		}
		fmt.Fprint(t.tab, printable(cell))
	}
	fmt.Fprintln(t.tab)
}

func (t table) end() error {
	// The tabwriter keeps the error of a write before.
	if err := t.tab.Flush(); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

func printInfo(w io.Writer, in *eventlog.Info) error {
	t := newTable(w)
	t.row("device", or(in.DeviceID, "unknown"))
	t.row("tags", or(pairs(in.Tags, "="), "none"))
	t.row("version", or(in.Version, "unknown"))
	t.row("segments", strconv.Itoa(in.Segments))
	t.row("bytes", bytesText(in))
	t.row("records", or(pairs(in.Records, " "), "none"))
	t.row("series", strconv.Itoa(in.Series))
	t.row("samples", strconv.Itoa(in.Samples))
	if in.FirstMS == 0 {
		t.row("time", "no samples")
	} else {
		t.row("time", timeText(in.FirstMS)+" to "+timeText(in.LastMS))
	}
	t.row("shipped", shippedText(&in.Shipped))
	t.row("pending", fmt.Sprintf("%d samples", in.Shipped.Pending))
	t.row("damage", damageText(len(in.Damage)))
	if err := t.end(); err != nil {
		return err
	}
	if err := printSessions(w, in.Sessions); err != nil {
		return err
	}
	return printDamage(w, in.Damage)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// pairs lists a map in the order of its keys.
func pairs[V any](m map[string]V, between string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, fmt.Sprint(key, between, m[key]))
	}
	return strings.Join(list, ", ")
}

func bytesText(in *eventlog.Info) string {
	if in.Samples == 0 {
		return strconv.FormatInt(in.Bytes, 10)
	}
	return fmt.Sprintf("%d, %.2f a sample", in.Bytes, float64(in.Bytes)/float64(in.Samples))
}

func shippedText(s *eventlog.ShippedInfo) string {
	text := fmt.Sprintf("%d samples", s.Acknowledged)
	if s.Cursor > 0 {
		text += fmt.Sprintf(", up to record %d", s.Cursor)
	}
	if s.CursorMS != 0 {
		text += " of " + timeText(s.CursorMS)
	}
	for _, n := range []struct {
		samples uint64
		state   string
	}{{s.Unsettled, "not settled yet"}, {s.Rejected, "rejected"}, {s.Dropped, "dropped"}} {
		if n.samples > 0 {
			text += fmt.Sprintf(", %d %s", n.samples, n.state)
		}
	}
	if s.OpenBatch != "" {
		text += ", batch " + s.OpenBatch + " is open"
	}
	return text
}

func damageText(places int) string {
	switch places {
	case 0:
		return "none"
	case 1:
		return "1 place"
	}
	return fmt.Sprintf("%d places", places)
}

func printSessions(w io.Writer, sessions []eventlog.SessionInfo) error {
	if len(sessions) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	t := newTable(w)
	t.row("SESSION", "START", "LAST SEEN", "END", "TICKS", "SAMPLES")
	for i, s := range sessions {
		end := s.End
		switch {
		case end != "":
		case i < len(sessions)-1:
			end = "cut off"
		default:
			end = "none yet, or cut off"
		}
		t.row(s.ID, timeText(s.StartMS), timeText(s.LastMS), end, strconv.Itoa(s.Ticks), strconv.Itoa(s.Samples))
	}
	return t.end()
}

// printDamage lists damaged places, one a line.
func printDamage(w io.Writer, places []eventlog.Damage) error {
	if len(places) == 0 {
		return nil
	}
	t := newTable(w)
	t.row("")
	for _, d := range places {
		t.row(fmt.Sprintf("%s: bytes %d to %d: %s", d.Segment, d.Offset, d.End, d.Reason))
	}
	return t.end()
}
