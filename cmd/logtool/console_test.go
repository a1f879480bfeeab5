package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"taffrail/internal/event"
	eventlog "taffrail/log"
)

// testConsole returns a console whose output and diagnostics are kept, and on
// whose clock a second passes at each look.
func testConsole() (c *console, out, diagnostics *strings.Builder) {
	out, diagnostics = &strings.Builder{}, &strings.Builder{}
	now := time.UnixMilli(fixtureStart)
	return &console{out: out, err: diagnostics, now: func() time.Time {
		now = now.Add(time.Second)
		return now
	}}, out, diagnostics
}

func TestExitCodes(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code int
		says string
	}{
		{nil, exitDone, ""},
		{fmt.Errorf("replay: %w", errDamage), exitDamage, ""},
		{usageError{errors.New("bad flag")}, exitUsage, "logtool: bad flag\n"},
		{errors.New("disk on fire\x1b[2J"), exitFailed, "logtool: disk on fire\\x1b[2J\n"},
		{fmt.Errorf("write output: %w", syscall.EPIPE), exitDone, ""},
		{fmt.Errorf("write output: %w", syscall.ENOSPC), exitFailed, "logtool: write output: no space left on device\n"},
	} {
		c, _, diagnostics := testConsole()
		if code := c.finish(tc.err); code != tc.code {
			t.Errorf("%v: exit code %d, want %d", tc.err, code, tc.code)
		}
		if got := diagnostics.String(); got != tc.says {
			t.Errorf("%v: said %q, want %q", tc.err, got, tc.says)
		}
	}
}

// Control characters are escaped wherever a write happens to end.
func TestTerminalWriterEscapes(t *testing.T) {
	const in = "a\x1b[31m\u009b0m\x7f é\u00a0 \r\tb\x00\nÂ\u0085"
	const want = `a\u001b[31m\u009b0m\u007f ` + "é\u00a0 " + `\u000d` + "\tb" + `\u0000` + "\nÂ" + `\u0085`
	for size := 1; size <= len(in); size++ {
		var got strings.Builder
		w := terminalWriter{w: &got}
		for rest := in; rest != ""; {
			n := min(size, len(rest))
			if _, err := w.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if got.String() != want {
			t.Fatalf("written %d bytes at a time: %q, want %q", size, got.String(), want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain Grüße \"x\"": "plain Grüße \"x\"",
		"a\x1b[2Jb":         `a\x1b[2Jb`,
		"two\nlines":        `two\nlines`,
		"\u009b":            `\u009b`,
		"\u202eevil":        `\u202eevil`,
		"bad \xff":          `bad \xff`,
	} {
		if got := printable(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// Progress is shown where a person waits, is taken back at the end, and never
// stands between the data.
func TestProgress(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	writeDevice(dir, 2000, 1, eventlog.DefaultSegmentSize, func(err error) { t.Fatal(err) })
	for _, tc := range []struct {
		out, err, file, shown bool
	}{
		{out: false, err: true, shown: true},
		{out: true, err: true},
		{out: true, err: true, file: true, shown: true},
		{out: false, err: false},
	} {
		c, _, diagnostics := testConsole()
		c.outTerminal, c.errTerminal = tc.out, tc.err
		args := []string{"export", dir}
		if tc.file {
			args = append(args, "-o", filepath.Join(t.TempDir(), "out.csv"))
		}
		if code := run(args, c); code != exitDone {
			t.Fatalf("%+v: exit code %d", tc, code)
		}
		got := diagnostics.String()
		if shown := strings.Contains(got, "\r256 records read, at 2026-07-01T12:0"); shown != tc.shown {
			t.Errorf("%+v: said %q", tc, got)
		}
		if tc.shown && !strings.HasSuffix(got, "\r\x1b[K") || !tc.shown && got != "" {
			t.Errorf("%+v: left %q behind", tc, got)
		}
	}
}

// An export that is interrupted leaves no file.
func TestInterruptedExportLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	writeFixture(dir, eventlog.DefaultSegmentSize, func(err error) { t.Fatal(err) })
	c, _, _ := testConsole()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("interrupted")
	cancel(cause)
	outDir := t.TempDir()
	e := &exportCmd{Path: dir, Output: filepath.Join(outDir, "out.csv")}
	p := &samplePrinter{format: csvFormat(), series: seriesTexts{
		selected: func(*event.Series) bool { return true }, render: csvFormat().series,
	}}
	if err := e.toFile(ctx, c, &selection{}, p); !errors.Is(err, cause) {
		t.Fatalf("error %v, want %v", err, cause)
	}
	left, err := os.ReadDir(outDir)
	if err != nil || len(left) != 0 {
		t.Fatalf("left behind: %v, %v", left, err)
	}
}

// A name that is taken while the export runs is not overwritten either.
func TestNewFileIsNeverOverAnother(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out.csv")
	f, err := createNew(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.commit(); err == nil || !strings.Contains(err.Error(), "is not overwritten") {
		t.Fatalf("commit: %v", err)
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "mine" {
		t.Fatalf("the file holds %q, %v", b, err)
	}
	if left, err := os.ReadDir(filepath.Dir(name)); err != nil || len(left) != 1 {
		t.Fatalf("left behind: %v, %v", left, err)
	}
}
