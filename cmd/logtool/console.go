package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
)

// Exit codes.
const (
	exitDone   = 0
	exitDamage = 1
	exitUsage  = 2
	exitFailed = 3
)

// errDamage ends a verb that did its work and found damage, which it has
// reported.
var errDamage = errors.New("the log is damaged")

// usageError is an error in what was asked for.
type usageError struct{ error }

// Unwrap returns what is wrong.
func (e usageError) Unwrap() error { return e.error }

// console is what the verbs see of the world outside the log.
type console struct {
	out io.Writer // data
	err io.Writer // diagnostics
	// outTerminal and errTerminal say that a person is reading along.
	outTerminal, errTerminal bool
	now                      func() time.Time
	// wait lets time pass; nil: as it does.
	wait func(ctx context.Context, d time.Duration) error
}

func newConsole(stdout, stderr *os.File) *console {
	c := &console{
		out:         stdout,
		err:         stderr,
		outTerminal: isatty.IsTerminal(stdout.Fd()),
		errTerminal: isatty.IsTerminal(stderr.Fd()),
		now:         time.Now,
	}
	if c.outTerminal {
		c.out = &terminalWriter{w: stdout}
	}
	return c
}

// report prints one line of diagnosis.
func (c *console) report(err error) {
	fmt.Fprintf(c.err, "logtool: %s\n", printable(err.Error()))
}

// finish reports the error that a verb ended with and returns the exit code.
func (c *console) finish(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errDamage):
		return exitDamage
	case errors.Is(err, syscall.EPIPE):
		// Whoever read the output has seen enough.
		return exitDone
	}
	c.report(err)
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// printable returns s fit for a line of text: where it holds characters that
// are not for print, those are escaped as in a Go string.
func printable(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) || r == '\uFFFD' {
			q := strconv.Quote(s)
			return q[1 : len(q)-1]
		}
	}
	return s
}

// terminalWriter escapes the control characters that a terminal would obey,
// C0, DEL and C1, as \u00XX; within a JSON string that is the same text. Only
// line feeds and tabs pass. C1 takes two bytes in UTF-8, the first is 0xC2.
type terminalWriter struct {
	w    io.Writer
	held bool // a 0xC2 ended the write before
	buf  []byte
}

// Write implements io.Writer.
func (t *terminalWriter) Write(p []byte) (int, error) {
	const hex = "0123456789abcdef"
	escape := func(c byte) { t.buf = append(t.buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15]) }
	t.buf = t.buf[:0]
	for _, c := range p {
		if t.held {
			t.held = false
			if c >= 0x80 && c <= 0x9f {
				escape(c)
				continue
			}
			t.buf = append(t.buf, 0xC2)
		}
		switch {
		case c == 0xC2:
			t.held = true
		case c == '\n', c == '\t', c >= 0x20 && c != 0x7f:
			t.buf = append(t.buf, c)
		default:
			escape(c)
		}
	}
	if _, err := t.w.Write(t.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}
