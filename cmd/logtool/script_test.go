package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	eventlog "taffrail/log"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"logtool": main})
}

// TestScripts runs the scripts under testdata/script. What they have beside the
// usual commands is listed here.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			// The race detector's runtime would sleep for a second at each exit.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"makelog":    makeLog,
			"makedevice": makeDevice,
			"makeunset":  makeUnset,
			"flip":       flip,
			"chop":       chop,
			"zero":       zero,
			"exits":      exits,
			"snapshot":   snapshot,
			"lines":      lines,
			"receiver":   receiver,
		},
	})
}

func number(ts *testscript.TestScript, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	ts.Check(err)
	return n
}

// makelog DIR [SEGMENT-SIZE] writes the fixture.
func makeLog(ts *testscript.TestScript, _ bool, args []string) {
	size := int64(eventlog.DefaultSegmentSize)
	if len(args) > 1 {
		size = number(ts, args[1])
	}
	writeFixture(ts.MkAbs(args[0]), size, ts.Check)
}

// makeunset DIR appends a session whose clock was never set.
func makeUnset(ts *testscript.TestScript, _ bool, args []string) {
	writeUnset(ts.MkAbs(args[0]), ts.Check)
}

// makedevice DIR TICKS SERIES SEGMENT-SIZE writes the log of a synthetic device.
func makeDevice(ts *testscript.TestScript, _ bool, args []string) {
	writeDevice(ts.MkAbs(args[0]), int(number(ts, args[1])), int(number(ts, args[2])), number(ts, args[3]), ts.Check)
}

func editFile(ts *testscript.TestScript, name string, edit func([]byte) []byte) {
	path := ts.MkAbs(name)
	b, err := os.ReadFile(path)
	ts.Check(err)
	ts.Check(os.WriteFile(path, edit(b), 0o600))
}

// flip FILE OFFSET inverts a byte; a negative offset counts from the end.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	editFile(ts, args[0], func(b []byte) []byte {
		offset := int(number(ts, args[1]))
		if offset < 0 {
			offset += len(b)
		}
		b[offset] ^= 0xff
		return b
	})
}

// chop FILE N cuts the last N bytes off.
func chop(ts *testscript.TestScript, _ bool, args []string) {
	editFile(ts, args[0], func(b []byte) []byte { return b[:len(b)-int(number(ts, args[1]))] })
}

// zero FILE N appends N zero bytes.
func zero(ts *testscript.TestScript, _ bool, args []string) {
	editFile(ts, args[0], func(b []byte) []byte { return append(b, make([]byte, number(ts, args[1]))...) })
}

// exits CODE COMMAND ARG… runs a command that must end with the code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		code = exit.ExitCode()
	}
	if int64(code) != number(ts, args[0]) {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// snapshot FILE DIR writes the name, mode, size, time and digest of all that
// lies in a directory.
func snapshot(ts *testscript.TestScript, _ bool, args []string) {
	var b strings.Builder
	root := ts.MkAbs(args[1])
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		if !d.IsDir() {
			if content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		fmt.Fprintln(&b, strings.TrimPrefix(path, root), info.Mode(), info.Size(), info.ModTime().UnixNano(), sha256.Sum256(content))
		return nil
	}))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o600))
}

// lines N FILE [TEXT] expects so many lines in a file, or lines that hold TEXT.
func lines(ts *testscript.TestScript, _ bool, args []string) {
	all := strings.SplitAfter(ts.ReadFile(args[1]), "\n")
	all = slices.DeleteFunc(all, func(l string) bool {
		return l == "" || len(args) > 2 && !strings.Contains(l, args[2])
	})
	if int64(len(all)) != number(ts, args[0]) {
		ts.Fatalf("%d lines, want %s:\n%s", len(all), args[0], strings.Join(all, ""))
	}
}
