package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"taffrail/internal/victoria"
	"taffrail/tools/agent"
)

type options struct {
	kills    int
	seed     uint64
	seeds    int
	mode     string // the name of one, or "all"
	vmkills  bool   // the receiver is killed
	vmstops  bool   // the receiver is stopped in order
	swaps    bool   // nothing of that, but chunks that arrive twice and others never
	parallel int
	mutant   string // "": the daemon as it is
	mutants  bool
	dir      string // "": a temporary one
	keep     bool
}

// pace returns how the receiver is disturbed.
func (o *options) pace() pace {
	switch {
	case o.swaps:
		return swaps
	case o.vmkills:
		return storm
	case o.vmstops:
		return stops
	}
	return quiet
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

	mu  sync.Mutex // guards out
	out io.Writer
}

// run is the whole program.
func run(ctx context.Context, opts options, out io.Writer) (err error) {
	chosen, err := findModes(opts.mode)
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
		return h.runMutant(ctx, m)
	}
	if h.daemon, err = agent.Build(ctx, dir, "taffrail", ""); err != nil {
		return err
	}
	return h.runSeeds(ctx, chosen)
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

func (h *harness) print(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintf(h.out, format, args...)
}

// each runs n jobs, as many at once as the options say. The first error ends all.
func (h *harness) each(ctx context.Context, n int, job func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	free := make(chan struct{}, h.opts.parallel)
	var jobs sync.WaitGroup
	for i := range n {
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		jobs.Go(func() {
			defer func() { <-free }()
			if err := job(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	jobs.Wait()
	return context.Cause(ctx)
}

// runSeeds runs the trials of all seeds in all modes.
func (h *harness) runSeeds(ctx context.Context, chosen []mode) error {
	all := make([]totals, len(chosen))
	for i := range all {
		all[i].mode = chosen[i].name
	}
	var mu sync.Mutex // guards all
	err := h.each(ctx, h.opts.seeds*len(chosen), func(ctx context.Context, i int) error {
		m, seed := i%len(chosen), h.opts.seed+uint64(i/len(chosen))
		s := setup{h.programs, chosen[m], h.opts.pace(), h.opts.kills}
		h.print("%s, seed %d: begins; alone: -mode %s -n %d -seed %d\n", s.mode.name, seed, s.mode.name, s.kills, seed)
		r, err := h.trial(ctx, s, "", seed)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		all[m].add(r)
		return nil
	})
	if err != nil {
		return err
	}
	for i := range all {
		if h.opts.seeds > 1 {
			h.print("%s\n", all[i].line())
		}
		if all[i].failed > 0 {
			err = errFailed
		}
	}
	return err
}

// trial runs one seed, prints what came of it, and removes its files if that was
// as it should be.
func (h *harness) trial(ctx context.Context, s setup, prefix string, seed uint64) (*report, error) {
	dir := filepath.Join(h.dir, fmt.Sprintf("%s%s-seed-%d", prefix, s.mode.name, seed))
	if _, err := os.Stat(dir); err == nil {
		return nil, fmt.Errorf("%s is there already; a trial begins with nothing", dir)
	}
	r, err := runTrial(ctx, s, dir, seed)
	if err != nil {
		return nil, fmt.Errorf("%s, seed %d: %w", s.mode.name, seed, err)
	}
	h.print("%s\n%s", r.line(), r.details())
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
	all := mutants()
	var mu sync.Mutex // guards uncaught
	uncaught := 0
	err := h.each(ctx, len(all), func(ctx context.Context, i int) error {
		err := h.runMutant(ctx, all[i])
		if errors.Is(err, errUncaught) {
			mu.Lock()
			defer mu.Unlock()
			uncaught++
			return nil
		}
		return err
	})
	if err == nil && uncaught > 0 {
		return fmt.Errorf("%w: %d of %d", errUncaught, uncaught, len(all))
	}
	return err
}

// runMutant runs trials until one of them fails the mutant's check.
func (h *harness) runMutant(ctx context.Context, m mutant) error {
	h.print("mutant %s: %s\n", m.name, m.shows)
	s, err := m.setup(h.programs)
	if err != nil {
		return err
	}
	if s.daemon, err = h.buildMutant(ctx, m); err != nil {
		return err
	}
	for i := range mutantTries {
		r, err := h.trial(ctx, s, m.name+"-", h.opts.seed+uint64(i))
		if err != nil {
			return err
		}
		if len(r.problems[m.by]) > 0 {
			h.print("mutant %s: caught by the check %q\n", m.name, m.by)
			return nil
		}
	}
	h.print("mutant %s: NOT CAUGHT by the check %q\n", m.name, m.by)
	return errUncaught
}
