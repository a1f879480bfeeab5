package main

import (
	"fmt"
	"io"
	"strconv"

	eventlog "taffrail/log"
)

type verifyCmd struct {
	Path string `arg:"" help:"Segment, directory of segments, or state directory."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

// Run prints what the check of a log found.
func (v *verifyCmd) Run(c *console) error {
	if err := checkLog(v.Path); err != nil {
		return err
	}
	found, err := eventlog.Verify(v.Path)
	if err != nil {
		return err
	}
	if v.JSON {
		err = printJSON(c.out, found)
	} else {
		err = printVerification(c.out, &found)
	}
	if err == nil && found.Damaged {
		return errDamage
	}
	return err
}

func printVerification(w io.Writer, v *eventlog.Verification) error {
	t := newTable(w)
	t.row("SEGMENT", "RECORDS", "INDEXES", "SHA-256", "CHAIN", "STATE")
	var places []eventlog.Damage
	for _, s := range v.Segments {
		state := "ok"
		if len(s.Damage) > 0 || s.Chain == eventlog.ChainBroken {
			state = "DAMAGED"
		}
		places = append(places, s.Damage...)
		t.row(s.File, strconv.Itoa(s.Records), indexesText(s.First, s.Last), s.SHA256, s.Chain, state)
	}
	if err := t.end(); err != nil {
		return err
	}
	if err := printDamage(w, places); err != nil {
		return err
	}
	t = newTable(w)
	for _, g := range v.Gaps {
		t.row(fmt.Sprintf("gap: no records %s", indexesText(g.From, g.To)))
	}
	t.row(verdict(v, len(places)))
	return t.end()
}

func indexesText(first, last uint64) string {
	if last == 0 {
		return "none"
	}
	return fmt.Sprintf("%d-%d", first, last)
}

func verdict(v *eventlog.Verification, places int) string {
	text := fmt.Sprintf("%d records in %d segments: ", v.Records, len(v.Segments))
	if !v.Damaged {
		return text + "ok"
	}
	broken := 0
	for _, s := range v.Segments {
		if s.Chain == eventlog.ChainBroken {
			broken++
		}
	}
	text += "DAMAGED"
	if places > 0 {
		text += ", " + damageText(places)
	}
	if broken > 0 {
		text += fmt.Sprintf(", the chain is broken before %d segments", broken)
	}
	return text
}
