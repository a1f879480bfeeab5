// Command crash kills the daemon again and again and shows that nothing is lost.
//
//	go -C tools run ./crash [-n 30] [-seed S] [-seeds K] [-vmstops=false] [-keep] [-dir D]
//	go -C tools run ./crash -mutants [-n 10] [-seed S]
//	go -C tools run ./crash -mutant NAME
//
// It runs the real daemon, which collects and uploads every 200 ms, and the real
// VictoriaMetrics, which removes duplicates (-dedup.minScrapeInterval=1ms). The
// daemon is killed (SIGKILL) n times at random moments, often while it is still
// starting, and started again on the same state directory, each time with other
// limits of batch and chunk. Meanwhile the receiver is stopped in order (SIGTERM)
// and started again at random, and some of its answers are lost. In the end the
// daemon may send what is left, and is stopped in order.
//
// What it shows then:
//
//   - verify: `logtool verify` finds no damage.
//   - witness: every append that the daemon told of, once it had returned, is in
//     the log, and identical to the last bit.
//   - plan: every chunk that was ever sent belongs to a plan that was in the log
//     before, and had the bytes whose digest stands there.
//   - receiver: what the receiver exports equals the log's CSV, by series and
//     time, values within a part in 1e9: none missing, none twice, none extra.
//
// How many samples the receiver holds twice before it removes duplicates is
// printed as well. It exits 0 only if all of this holds for each seed; the files
// of one that failed are kept.
//
// With -mutants it shows instead that it would notice: daemons with a defect
// each are built from the sources, with a few pieces of text replaced, and each
// must fail the check that is there for it.
//
// All that is random follows from the seed. What it assumes: how the machine
// interleaves processes does not, so a seed that failed once need not do so
// again. A SIGKILL leaves the kernel alive: what was written and not synced
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
	flag.IntVar(&opts.kills, "n", 30, "`kills` of the daemon per seed, and of the receiver")
	flag.Uint64Var(&opts.seed, "seed", 0, "first `seed`; 0: from the clock")
	flag.IntVar(&opts.seeds, "seeds", 1, "`number` of seeds, one after the other")
	flag.BoolVar(&opts.vmkills, "vmkills", true, "kill and start the receiver meanwhile")
	flag.BoolVar(&opts.vmstops, "vmstops", true, "stop and start the receiver meanwhile")
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
