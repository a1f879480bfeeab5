// Command logtool reads what taffrail recorded, on any machine: a segment, a
// directory of segments, or the state directory of a device.
//
// What it guarantees:
//
//   - Its input is only ever read: bytes and times of the files stay as they
//     are, and a read-only mount is enough.
//   - Nothing is left out in silence. What can be read is printed, each damaged
//     place is named on stderr with segment and offsets, and the exit code
//     says so.
//   - The same log and the same arguments give the same bytes.
//   - Input is streamed: memory does not grow with the samples of the log.
//   - Data goes to stdout and nothing else does. On a terminal, control
//     characters that a log carries in names, labels or texts are escaped.
//   - A file is never overwritten, and one that was not written to its end
//     never stands under its name.
//   - Only ship uses the network, for the receiver that it is given.
//
// Exit codes: 0 done, 1 damage found, 2 usage, 3 cannot read or write.
//
// What it assumes: that nobody writes to the log while it is read. It may be
// used on a live log, but a record that is just being written looks damaged.
package main

import (
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands are the verbs, one file each.
type commands struct {
	Info   infoCmd   `cmd:"" help:"Sum up a log: sessions, times, counts, what was shipped."`
	Verify verifyCmd `cmd:"" help:"Check every record and the chain of the segments."`
	Replay replayCmd `cmd:"" help:"Print the events in order, one JSON object a line."`
	Export exportCmd `cmd:"" help:"Print the samples as JSON lines or CSV, one a line."`
	Ship   shipCmd   `cmd:"" help:"Send to a receiver what it lacks of a log."`

	Version kong.VersionFlag `help:"Print the version and exit."`
}

func main() {
	// A reader that goes away, as head does, is told by the write's error.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(os.Args[1:], newConsole(os.Stdout, os.Stderr)))
}

// run does what the command line says and returns the exit code.
func run(args []string, c *console) int {
	exited := false
	parser, err := kong.New(&commands{},
		kong.Name("logtool"),
		kong.Description("Reads the logs of taffrail and never writes to them.\n\n"+
			"PATH is a segment, a directory of segments, or a state directory. Times are UTC.\n\n"+
			"Exit codes: 0 done, 1 damage found, 2 usage, 3 cannot read or write."),
		kong.Vars{"version": version()},
		kong.Writers(c.out, c.err),
		kong.Exit(func(int) { exited = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return c.finish(err)
	}
	ctx, err := parser.Parse(args)
	if exited { // after --help or --version
		return exitDone
	}
	if err != nil {
		return c.finish(usageError{err})
	}
	return c.finish(ctx.Run(c))
}

// version is what the build recorded.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return "logtool " + info.Main.Version
	}
	return "logtool (unknown version)"
}
