// Command acceptance checks that the tests exist which taffrail promises by
// name. It guarantees that a test that was renamed, removed, moved behind a
// build constraint or, with --run, skipped, does not go unnoticed.
//
//	go -C tools run ./acceptance [--run]
//
// It prints a line for each finding and exits 1 if there is one.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"taffrail/internal/victoria"
)

func main() {
	run := flag.Bool("run", false, "also run the tests, and take a skipped one for a missing one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	found, err := check(ctx, *run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "acceptance:", err)
		os.Exit(1)
	}
	for _, f := range found {
		fmt.Println(f)
	}
	if len(found) > 0 {
		os.Exit(1)
	}
	fmt.Printf("all %d tests are there\n", len(required()))
}

// check returns what is wrong with the checkout's tests.
func check(ctx context.Context, run bool) ([]string, error) {
	dir, err := victoria.Root()
	if err != nil {
		return nil, err
	}
	list, err := goTest(ctx, dir, "-list", "^Test")
	if err != nil {
		return nil, fmt.Errorf("list the tests: %w", err) // go test said why
	}
	found := missing(required(), listed(list))
	if !run || len(found) > 0 {
		return found, nil
	}
	// A test that fails makes this an error as well; which one it is is
	// better said by the events.
	events, runErr := goTest(ctx, dir, "-json", "-run", "^("+strings.Join(required(), "|")+")$")
	found, err = verdicts(required(), bytes.NewReader(events))
	if err != nil {
		return nil, fmt.Errorf("run the tests: %w", err)
	}
	if len(found) == 0 && runErr != nil {
		return nil, fmt.Errorf("run the tests: %w", runErr)
	}
	return found, nil
}

// goTest returns what go test prints for all packages of the checkout.
func goTest(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"test"}, args...), "./...")...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var out bytes.Buffer
	cmd.Stdout = &out
	cmd.Stderr = io.MultiWriter(os.Stderr, &out)
	err := cmd.Run()
	return out.Bytes(), err
}
