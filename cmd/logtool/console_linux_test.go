package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	eventlog "taffrail/log"
)

// openTerminal returns the two ends of a new pseudo-terminal.
func openTerminal(t *testing.T) (master, terminal *os.File) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return master, terminal
}

// On a terminal no control character of the log gets through, in no format; in
// a pipe a text is as it was.
func TestTerminalIsSafeFromTheLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	writeFixture(dir, eventlog.DefaultSegmentSize, func(err error) { t.Fatal(err) })
	for want, args := range map[string][]string{
		`gauge,-Inf,`:               {"export", "--match", "textfile.odd", "--since", "2026-07-01T12:00:20Z"},
		`""edge""\u001b[2J"`:        {"export", "--match", "system.kernel"},
		`\u001b[31mred\u009b0m`:     {"replay", "--match", "textfile.odd"},
		`"b":"two\nlines"},"type":`: {"export", "--json", "--match", "textfile.odd"},
	} {
		master, terminal := openTerminal(t)
		c := newConsole(terminal, os.Stderr)
		if !c.outTerminal {
			t.Fatal("a pseudo-terminal is not taken for a terminal")
		}
		if code := run(append(args, dir), c); code != exitDone {
			t.Fatalf("%v: exit code %d", args, code)
		}
		fmt.Fprintln(terminal, "end of output")
		var got strings.Builder
		for lines := bufio.NewScanner(master); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "end of output") {
				break
			}
			got.WriteString(lines.Text() + "\n")
		}
		if !strings.Contains(got.String(), want) {
			t.Errorf("%v: printed %q, which lacks %s", args, got.String(), want)
		}
		if strings.ContainsAny(got.String(), "\x1b\u009b") {
			t.Errorf("%v: control characters in %q", args, got.String())
		}
	}

	c, out, _ := testConsole()
	if code := run([]string{"export", "--match", "system.kernel", dir}, c); code != exitDone {
		t.Fatalf("exit code %d", code)
	}
	if !strings.Contains(out.String(), "\x1b[2J") {
		t.Errorf("a text was changed: %q", out.String())
	}
}
