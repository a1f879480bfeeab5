// Command faults shows that every sample ends at the receiver once, or is given up
// with a reason, whatever the link and the receiver do to uploads that they
// acknowledge.
//
//	go -C tools run ./faults [-only NAME,NAME] [-seed S] [-minute 20s] [-keep] [-dir D]
//
// It runs scenarios side by side, each with the real daemon, a real
// VictoriaMetrics and a bad link between them:
//
//   - cut-merging, cut-plain: the link cuts the body of one chunk in five at a
//     random byte and answers 204. The receiver removes duplicates, or does not.
//   - late-merging, late-plain: one body in ten is delivered 16 s after its client
//     gave up.
//   - coarse-dedup: the receiver keeps one sample of each 30 s.
//   - retention-known, retention-hidden: the receiver keeps 30 days and is sent
//     samples that are 40 days old. It says so, or answers 403 when it is asked.
//   - labels: the receiver drops series of more labels than its limit allows, and
//     answers 204.
//   - poison: one line of 1,000, and one of every batch that follows, is refused
//     with 400 for ever.
//
// The daemon collects every second under these faults and is then stopped in
// order; or its log was written before, as that of a device that was offline. It
// is started again, takes one more reading, and runs until it says that nothing is
// pending, in doubt or unsettled. Then it is stopped, `logtool verify` must find no
// damage, and the receiver must hold what the log holds without what was given up:
// series by series, time by time, values within a part in 1e9. What was given up
// has to be what the scenario says, with its reason.
//
// It prints a line a scenario, and exits 0 only if each came out as stated; the
// files of one that did not are kept. A receiver that drops samples is believed
// after two repairs, each of them looked for at least a minute later, so that all
// of it takes about eleven minutes, nearly all of them waiting. With -minute the
// daemon is built with a shorter one.
//
// All that is random follows from the seed and the order of requests. All of it is
// on 127.0.0.1. Nothing is left running.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// shortestMinute leaves the receiver the time to show what it took, up to 11 s, and
// is over when a late body has come.
const shortestMinute = 20 * time.Second

func main() {
	var opts options
	var only string
	flag.StringVar(&only, "only", "", "run the scenarios of these `names`, with commas in between")
	flag.Uint64Var(&opts.seed, "seed", 0, "`seed` of what is random; 0: from the clock")
	flag.DurationVar(&opts.minute, "minute", time.Minute, "build the daemon with this `time` between its looks at the receiver")
	flag.StringVar(&opts.dir, "dir", "", "keep all files in this `directory`")
	flag.BoolVar(&opts.keep, "keep", false, "do not remove the files in the end")
	flag.Parse()
	if flag.NArg() > 0 || opts.minute < shortestMinute || opts.minute > time.Minute {
		flag.Usage()
		os.Exit(2)
	}
	if only != "" {
		opts.only = strings.Split(only, ",")
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
	if errors.Is(err, errFailed) {
		fmt.Println(err)
		os.Exit(1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}
