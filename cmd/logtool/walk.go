package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"taffrail/internal/event"
	eventlog "taffrail/log"
)

// walk visits the records of the log at path that the selection admits, in
// order. It reports each damaged place, goes on behind it, and returns
// errDamage in the end. What was visited is in out by then.
func walk(ctx context.Context, c *console, path string, sel *selection, out *sink, visit func(event.Record) error) error {
	r, err := eventlog.OpenReader(path)
	if err != nil {
		return err
	}
	defer r.Close()
	progress := newProgress(c, out)
	defer progress.clear()
	damaged := false
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if errors.Is(err, eventlog.ErrCorrupt) {
			damaged = true
			if err := out.flush(); err != nil {
				return err
			}
			progress.clear()
			c.report(err)
			continue
		}
		if err != nil {
			return err
		}
		progress.at(rec)
		if !sel.admits(rec.Event) {
			continue
		}
		if err := visit(rec); err != nil {
			return err
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	if damaged {
		return errDamage
	}
	return nil
}

// checkLog returns an error for a path that is no log. Any file can be read as
// a segment that is damaged from end to end; one that neither has a segment's
// name nor holds a single record is taken for a mistake.
func checkLog(path string) error {
	_, file, err := eventlog.Locate(path)
	if err != nil {
		return err
	}
	name := filepath.Base(file)
	if file == "" || len(name) == 20 && strings.Trim(name, "0123456789") == "" {
		return nil
	}
	r, err := eventlog.OpenReader(path)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		_, err := r.Next()
		switch {
		case err == nil:
			return nil
		case err == io.EOF:
			return fmt.Errorf("read %s: %w: the file holds no record", path, eventlog.ErrNoLog)
		case !errors.Is(err, eventlog.ErrCorrupt):
			return err
		}
	}
}

// progress shows on a terminal how far the reading has come.
type progress struct {
	w       io.Writer // nil: nobody to show it to
	now     func() time.Time
	next    time.Time // when to look again
	records int
	shown   bool
}

// Time between two lines of progress, and the records after which the clock is
// looked at.
const (
	progressEvery   = 500 * time.Millisecond
	progressRecords = 256
)

// newProgress returns one that shows nothing where it would stand between the
// data, or where stderr is no terminal.
func newProgress(c *console, out *sink) *progress {
	p := &progress{now: c.now, next: c.now().Add(progressEvery)}
	if c.errTerminal && !(c.outTerminal && out.w == c.out) {
		p.w = c.err
	}
	return p
}

// at notes that a record was read.
func (p *progress) at(rec event.Record) {
	if p.records++; p.records%progressRecords != 0 || !p.due() {
		return
	}
	at := ""
	if ms, ok := eventTime(rec.Event); ok {
		at = ", at " + timeText(ms)
	}
	p.show(fmt.Sprintf("%d records read%s", p.records, at))
}

// due reports whether there is somebody to show a line to, and it is time for it.
func (p *progress) due() bool { return p.w != nil && !p.now().Before(p.next) }

// show puts a line in place of the one before.
func (p *progress) show(line string) {
	p.next, p.shown = p.now().Add(progressEvery), true
	fmt.Fprintf(p.w, "\r%s\x1b[K", line)
}

// clear takes the line of progress off the terminal.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
