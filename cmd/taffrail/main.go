// Command taffrail is the metrics agent: it collects, keeps what it collected in
// its log, and ships it.
//
// It guarantees that a wrong configuration, or a state directory that it cannot
// have, is refused before anything is created or changed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"taffrail/internal/config"
)

// version is set by the linker (-X main.version=1.2.3).
var version = "dev"

// cli is the command line; each verb has a file of its own.
type cli struct {
	Run     runCmd     `cmd:"" help:"Collect, keep and ship until told to stop."`
	Check   checkCmd   `cmd:"" help:"Print the effective configuration, secrets masked, or what is wrong with it."`
	Collect collectCmd `cmd:"" help:"Collect here and now and print what was found."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// Exit codes.
const (
	exitFailed = 1 // it ran and failed
	exitUsage  = 2 // command line, configuration or state directory
)

// errUsage marks an error as the user's to mend.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Stopping is bounded. Who does not want to wait presses Ctrl-C once more.
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt) })
	code := execute(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	var c cli
	parser, err := kong.New(&c,
		kong.Name("taffrail"),
		kong.Description("A metrics agent for devices at the edge."),
		kong.Writers(stdout, stderr),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(system{env: env, stdout: stdout, stderr: stderr}),
		kong.UsageOnError(),
	)
	if err != nil {
		fmt.Fprintln(stderr, "taffrail:", err)
		return exitUsage
	}
	exited := -1
	parser.Exit = func(code int) { exited = code }
	command, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err == nil {
		err = command.Run()
	} else {
		err = fmt.Errorf("%w: %w", errUsage, err)
	}
	return report(stderr, err)
}

// report prints an error as one line and returns the exit code for it.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	var configured *config.Error
	if errors.Is(err, errUsage) || errors.As(err, &configured) {
		fmt.Fprintln(stderr, "taffrail:", trimUsage(err))
		return exitUsage
	}
	fmt.Fprintln(stderr, "taffrail:", err)
	return exitFailed
}

// trimUsage returns an error's text without the mark.
func trimUsage(err error) string {
	text, mark := err.Error(), errUsage.Error()+": "
	if len(text) > len(mark) && text[:len(mark)] == mark {
		return text[len(mark):]
	}
	return text
}

// system is what a verb may touch beside files.
type system struct {
	env            []string
	stdout, stderr io.Writer
}

type versionCmd struct{}

// Run prints version, toolchain and platform.
func (versionCmd) Run(sys system) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("the program carries no build information")
	}
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	_, err := fmt.Fprintf(sys.stdout, "taffrail %s (%s, %s/%s)\n", version, info.GoVersion, setting["GOOS"], setting["GOARCH"])
	return err
}
