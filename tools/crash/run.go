package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"taffrail/internal/victoria"
	"taffrail/tools/agent"
)

type options struct {
	kills   int
	seed    uint64
	seeds   int
	stops   bool
	mutant  string // "": the daemon as it is
	mutants bool
	dir     string // "": a temporary one
	keep    bool
}

// Errors that mean: the harness did its work, and this is what it found.
var (
	errFailed   = errors.New("not everything survived")
	errUncaught = errors.New("not every mutant was caught")
)

// mutantTries is how many seeds a mutant gets to show its defect.
const mutantTries = 3

// harness has built what its trials share.
type harness struct {
	programs
	opts options
	dir  string
	out  io.Writer
}

// run is the whole program.
func run(ctx context.Context, opts options, out io.Writer) (err error) {
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
	fmt.Fprintln(out, "building; this takes a minute or two where nothing is cached")
	if h.logtool, err = agent.Build(ctx, dir, "logtool", ""); err != nil {
		return err
	}
	if opts.mutants {
		return h.runMutants(ctx)
	}
	if opts.mutant != "" {
		m, err := findMutant(opts.mutant)
		if err != nil {
			return err
		}
		if h.daemon, err = h.buildMutant(ctx, m); err != nil {
			return err
		}
	} else if h.daemon, err = agent.Build(ctx, dir, "taffrail", ""); err != nil {
		return err
	}
	return h.runSeeds(ctx)
}

// directory returns where the files go, and whether to remove them.
func directory(opts options) (dir string, remove bool, err error) {
	if opts.dir == "" {
		dir, err = os.MkdirTemp("", "taffrail-crash-")
		return dir, !opts.keep, err
	}
	if dir, err = filepath.Abs(opts.dir); err != nil {
		return "", false, err
	}
	return dir, false, os.MkdirAll(dir, 0o755)
}

// runSeeds runs one trial after the other.
func (h *harness) runSeeds(ctx context.Context) error {
	var all totals
	for i := range h.opts.seeds {
		seed := h.opts.seed + uint64(i)
		fmt.Fprintf(h.out, "seed %d: begins; alone: -n %d -seed %d\n", seed, h.opts.kills, seed)
		r, err := h.trial(ctx, h.programs, "", seed)
		if err != nil {
			return err
		}
		all.add(r)
	}
	if h.opts.seeds > 1 {
		fmt.Fprintln(h.out, all.line())
	}
	if all.failed > 0 {
		return errFailed
	}
	return nil
}

// trial runs one seed, prints what came of it, and removes its files if that was
// as it should be.
func (h *harness) trial(ctx context.Context, p programs, prefix string, seed uint64) (*report, error) {
	dir := filepath.Join(h.dir, fmt.Sprintf("%sseed-%d", prefix, seed))
	if _, err := os.Stat(dir); err == nil {
		return nil, fmt.Errorf("%s is there already; a trial begins with nothing", dir)
	}
	r, err := runTrial(ctx, p, dir, seed, h.opts.kills, h.opts.stops)
	if err != nil {
		return nil, fmt.Errorf("seed %d: %w", seed, err)
	}
	fmt.Fprintf(h.out, "%s\n%s", r.line(), r.details())
	if r.ok() && !h.opts.keep {
		return r, os.RemoveAll(dir)
	}
	return r, nil
}

func (h *harness) buildMutant(ctx context.Context, m mutant) (string, error) {
	root, err := victoria.Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(h.dir, m.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return "", err
	}
	return agent.Build(ctx, dir, "taffrail", overlay)
}

// runMutants sees to it that each defect is found, and by the check that is there
// to find it.
func (h *harness) runMutants(ctx context.Context) error {
	uncaught := 0
	for _, m := range mutants() {
		fmt.Fprintf(h.out, "mutant %s: %s\n", m.name, m.shows)
		caught, err := h.tryMutant(ctx, m)
		if err != nil {
			return err
		}
		verdict := "caught"
		if !caught {
			verdict = "NOT CAUGHT"
			uncaught++
		}
		fmt.Fprintf(h.out, "mutant %s: %s by the check %q\n", m.name, verdict, m.by)
	}
	if uncaught > 0 {
		return fmt.Errorf("%w: %d of %d", errUncaught, uncaught, len(mutants()))
	}
	return nil
}

// tryMutant runs trials until one of them fails the mutant's check.
func (h *harness) tryMutant(ctx context.Context, m mutant) (caught bool, err error) {
	p := h.programs
	if p.daemon, err = h.buildMutant(ctx, m); err != nil {
		return false, err
	}
	for i := range mutantTries {
		r, err := h.trial(ctx, p, m.name+"-", h.opts.seed+uint64(i))
		if err != nil || len(r.problems[m.by]) > 0 {
			return err == nil, err
		}
	}
	return false, nil
}
