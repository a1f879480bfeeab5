package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"taffrail/internal/victoria"
	"taffrail/tools/agent"
)

type options struct {
	only   []string // names of scenarios; none: all
	seed   uint64
	minute time.Duration // between two looks of the daemon
	dir    string        // "": a temporary one
	keep   bool
}

// errFailed says that the program did its work, and this is what it found.
var errFailed = errors.New("not everything came out as stated")

// programs are the paths of what is under test.
type programs struct {
	daemon, trusting, logtool string
}

// harness has what its trials share.
type harness struct {
	programs
	opts options
	dir  string

	mu  sync.Mutex // guards out
	out io.Writer
}

// run is the whole program.
func run(ctx context.Context, opts options, out io.Writer) (err error) {
	chosen, err := findScenarios(opts.only)
	if err != nil {
		return err
	}
	dir, remove, err := directory(opts)
	if err != nil {
		return err
	}
	defer func() {
		// After a failure the files are what there is to look at.
		if !remove || errors.Is(err, errFailed) {
			fmt.Fprintln(out, "files are in", dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	h := &harness{opts: opts, dir: dir, out: out}
	h.print("building; this takes a minute or two where nothing is cached\n")
	if err := h.build(ctx, chosen); err != nil {
		return err
	}
	h.print("seed %d, %d scenarios", opts.seed, len(chosen))
	if opts.minute != time.Minute {
		h.print("; the daemon is built with %v in place of the minute between its looks", opts.minute)
	}
	h.print("\n")
	return h.runAll(ctx, chosen)
}

// build builds what the scenarios need.
func (h *harness) build(ctx context.Context, chosen []scenario) (err error) {
	// Otherwise each would look for it at once.
	if _, err := victoria.Build(ctx, "victoria-metrics"); err != nil {
		return err
	}
	if h.logtool, err = agent.Build(ctx, h.dir, "logtool", ""); err != nil {
		return err
	}
	looks := lookEdits(h.opts.minute)
	for _, s := range chosen {
		program, name, edits := &h.daemon, "daemon", looks
		if s.trusts {
			program, name, edits = &h.trusting, "trusting", append(trustEdits(), looks...)
		}
		if *program != "" {
			continue
		}
		if *program, err = buildDaemon(ctx, filepath.Join(h.dir, name), edits); err != nil {
			return err
		}
	}
	return nil
}

// directory returns where the files go, and whether to remove them.
func directory(opts options) (dir string, remove bool, err error) {
	if opts.dir == "" {
		dir, err = os.MkdirTemp("", "taffrail-faults-")
		return dir, !opts.keep, err
	}
	if dir, err = filepath.Abs(opts.dir); err != nil {
		return "", false, err
	}
	return dir, false, os.MkdirAll(dir, 0o755)
}

func (h *harness) print(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintf(h.out, format, args...)
}

// runAll runs all scenarios at once. One that could not be run ends the others.
func (h *harness) runAll(ctx context.Context, chosen []scenario) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	failed := make([]bool, len(chosen))
	for i := range chosen {
		all.Go(func() {
			ok, err := h.runOne(ctx, chosen[i])
			if err != nil {
				cancel(fmt.Errorf("%s: %w", chosen[i].name, err))
			}
			failed[i] = !ok
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, f := range failed {
		if f {
			return errFailed
		}
	}
	return nil
}

// runOne runs a scenario, prints what came of it, and removes its files if that
// was as it should be.
func (h *harness) runOne(ctx context.Context, s scenario) (ok bool, err error) {
	dir := filepath.Join(h.dir, s.name)
	if _, err := os.Stat(dir); err == nil {
		return false, fmt.Errorf("%s is there already; a scenario begins with nothing", dir)
	}
	r, err := runTrial(ctx, h.programs, s, dir, h.opts)
	if err != nil {
		return false, err
	}
	h.print("%s\n%s", r.line(), r.details())
	if r.ok() && !h.opts.keep {
		return true, os.RemoveAll(dir)
	}
	return r.ok(), nil
}
