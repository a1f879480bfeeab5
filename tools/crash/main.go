// Command crash kills the daemon and its receiver again and again and shows that
// each sample ends there once.
//
//	go -C tools run ./crash [-mode M] [-n 30] [-seed S] [-seeds K] [-j J] [-keep] [-dir D]
//	go -C tools run ./crash -vmkills=false [-vmstops=false] …
//	go -C tools run ./crash -swaps …
//	go -C tools run ./crash -mutants [-seed S] [-j J]
//	go -C tools run ./crash -mutant NAME
//
// It runs the real daemon, which collects and uploads every 200 ms, and the real
// VictoriaMetrics. The daemon is killed (SIGKILL) at least n times at random
// moments, often while it is still starting, and started again on the same state
// directory, each time with other limits of batch and chunk. Meanwhile the receiver
// is killed at least n times, which costs it up to 14 seconds of what it
// acknowledged, and is sometimes stopped in order (SIGTERM) instead; and some
// answers to imports are lost. After 20 kills there are some calmer minutes, in
// which the daemon gets to look for what it has sent and to send again what is
// missing, until it is killed at that as well. In the end both are left alone until
// the daemon says that nothing is pending, in doubt or unsettled, and the daemon is
// stopped in order.
//
// The modes are what the receiver does and what the daemon may know of it:
//
//   - merging: the receiver removes duplicates (-dedup.minScrapeInterval=1ms), and
//     the daemon may ask it.
//   - plain: the receiver keeps all that it gets, and the daemon may ask it.
//   - blind: the receiver removes duplicates, and the daemon must not ask it
//     (remote.read_url: off, remote.replay_window: 20s).
//
// What it shows then:
//
//   - verify: `logtool verify` finds no damage.
//   - witness: every append that the daemon told of, once it had returned, is in
//     the log, and identical to the last bit.
//   - plan: every chunk that was ever sent, and every part of one, belongs to a
//     plan that was in the log before, and had the bytes whose digest stands there;
//     what names no batch has no lines.
//   - receiver: what the receiver exports equals the log's CSV, by series and
//     time, values within a part in 1e9: none missing, none twice, none extra. In
//     the mode plain nothing is removed from the export before that.
//   - settle: by the log alone nothing is in doubt, unsettled, rejected or dropped;
//     and the receiver was not asked where it is not to be.
//
// How many samples the receiver holds twice before it removes duplicates is
// printed as well. It exits 0 only if all of this holds for each seed and mode; the
// files of one that failed are kept.
//
// With -vmkills=false the receiver is only stopped in order, if at all; then all
// that it acknowledged is there, and nothing is waited for but answers. With -swaps
// nothing is killed, but the link delivers one chunk of five never and another one,
// of the same series and as many samples, twice: what is missing must be found all
// the same.
//
// With -mutants it shows instead that it would notice: daemons with a defect
// each are built from the sources, with a few pieces of text replaced, and each
// must fail the check that is there for it, in a trial that is made for it.
//
// All that is random follows from the seed. What it assumes: how the machine
// interleaves processes does not, so a seed that failed once need not do so
// again. No body is kept back on its way, so that none comes later than its sender
// reckons with. A SIGKILL leaves the kernel alive: what was written and not synced
// survives it. That appends are synced, a power-cut test has to show; here the
// mutant no-fsync loses its data by itself.
//
// All of it is on 127.0.0.1. Nothing is left running.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	var opts options
	flag.StringVar(&opts.mode, "mode", "merging", "what the receiver does: merging, plain, blind or all")
	flag.IntVar(&opts.kills, "n", 30, "`kills` of the daemon, and of the receiver, per seed")
	flag.Uint64Var(&opts.seed, "seed", 0, "first `seed`; 0: from the clock")
	flag.IntVar(&opts.seeds, "seeds", 1, "`number` of seeds")
	flag.BoolVar(&opts.vmkills, "vmkills", true, "kill and start the receiver meanwhile")
	flag.BoolVar(&opts.vmstops, "vmstops", true, "with -vmkills=false: stop and start the receiver meanwhile")
	flag.BoolVar(&opts.swaps, "swaps", false, "kill nothing; deliver some chunks twice and others never")
	flag.IntVar(&opts.parallel, "j", 1, "`trials` at once")
	flag.StringVar(&opts.mutant, "mutant", "", "run the mutant of this `name`")
	flag.BoolVar(&opts.mutants, "mutants", false, "run all mutants; each must be caught")
	flag.StringVar(&opts.dir, "dir", "", "keep all files in this `directory`")
	flag.BoolVar(&opts.keep, "keep", false, "do not remove the files in the end")
	flag.Parse()
	if flag.NArg() > 0 || opts.kills < 0 || opts.seeds < 1 || opts.parallel < 1 || opts.mutants && (opts.mutant != "" || opts.seeds > 1) {
		flag.Usage()
		os.Exit(2)
	}
	if opts.seed == 0 {
		opts.seed = uint64(time.Now().Unix())
	}
	// After the first interrupt the signals have their usual effect again, so
	// that a second one ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	err := run(ctx, opts, os.Stdout)
	if errors.Is(err, errFailed) || errors.Is(err, errUncaught) {
		fmt.Println(err)
		os.Exit(1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}
