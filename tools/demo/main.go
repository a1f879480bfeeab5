// Command demo shows this machine's own metrics in a real VictoriaMetrics, and
// checks that all of them arrived.
//
//	go -C tools run ./demo [--for 60s] [--interval 1s] [--dir D] [--keep]
//
// It builds and starts VictoriaMetrics and the daemon, both on free ports of
// 127.0.0.1 only, prints where they are, and every few seconds how many samples
// were appended to the log, acknowledged by the receiver, and found there. With
// --for it ends by itself, otherwise with an interrupt.
//
// In the end it stops the daemon as a service manager would and compares what
// the receiver exports with what the log holds: series by series, time by time,
// value by value. It exits 0 only if both hold exactly the same, and at least
// something. Nothing is left running, and without --dir or --keep no file.
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
	flag.DurationVar(&opts.length, "for", 0, "end after this `time`; 0: with an interrupt")
	flag.DurationVar(&opts.interval, "interval", time.Second, "`time` between two readings")
	flag.StringVar(&opts.dir, "dir", "", "keep all files in this `directory`, and go on with those that it has")
	flag.BoolVar(&opts.keep, "keep", false, "do not remove the files in the end")
	flag.Parse()
	if flag.NArg() > 0 || opts.length < 0 || opts.interval <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	// After the first interrupt the signals have their usual effect again, so
	// that a second one ends the demo at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	err := run(ctx, opts, os.Stdout)
	if errors.Is(err, errDiffer) {
		fmt.Println(err)
		os.Exit(1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
