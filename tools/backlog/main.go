// Command backlog shows what a device does that comes back after days without a
// network.
//
//	go -C tools run ./backlog [--days 4 | --samples N] [--bandwidth 100kB/s] [--upload-interval 30s]
//	go -C tools run ./backlog --bandwidth 0 --vmagent
//
// It writes a synthetic backlog of 180 series every 10 s straight into a log, as
// the daemon of a device without a network would have, and lets the real daemon
// index it, with no receiver to be reached. The daemon is started again, collects
// every second, and then the link to a real VictoriaMetrics comes up, with the
// bandwidth that was asked for in each direction. Every few seconds the program
// prints how much is left, how fast it goes, and how old the newest sample at the
// receiver is.
//
// In the end it prints, and exits 0 only if all of it holds:
//
//   - how long after the first contact, the first byte that came through, a fresh
//     sample was seen at the receiver: at most one upload interval;
//   - how old the newest sample at the receiver was at most from then on until
//     the backlog was acknowledged: at most --max-age;
//   - that the backlog was through within --within, and, unless --settle=false,
//     that the daemon has seen it at the receiver, where it tells of that;
//   - that the receiver holds all that the log holds and nothing else: series by
//     series, time by time, value by value;
//   - the peak of resident memory (VmHWM) of the daemon that drained: below
//     --max-rss, where the system tells it.
//
// Printed as well: samples a second, bytes a sample on the link, both ways with
// all headers of HTTP, and how many samples the receiver was given more than
// once.
//
// With --vmagent it then fills the on-disk queue of a vmagent with as many
// samples of the same shape, while that has no receiver, starts it again, with an
// empty VictoriaMetrics behind a link of the same kind, and prints how fast both
// drained: the daemon from the first contact to the acknowledgement of as many
// samples as the backlog has, vmagent from the first contact to the last answer
// of a receiver that was then seen to have all of them. vmagent encodes and
// compresses its samples when it queues them; how long that took is printed too.
// With --vmagent-stays it is not started again, and goes on when its back-off
// ends.
//
// Without a limit of bandwidth the link passes bytes on and does nothing else.
//
// All of it is on 127.0.0.1. Nothing is left running, and without --dir or
// --keep no file, unless something failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	opts, err := parse(flag.CommandLine, os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "backlog:", err)
		os.Exit(2)
	}
	// After the first interrupt the signals have their usual effect again, so
	// that a second one ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	err = run(ctx, opts, os.Stdout)
	if errors.Is(err, errMissed) {
		fmt.Println(err)
		os.Exit(1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "backlog:", err)
		os.Exit(1)
	}
}
