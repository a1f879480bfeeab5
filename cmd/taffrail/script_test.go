package main

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"taffrail/internal/lockfile"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"taffrail": main})
}

// TestScripts runs testdata/script: a command line, what it prints, its exit
// code, and what it leaves behind.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("LISTEN", freeAddress(t))
			// Else every program under the race detector ends a second late.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// waitheld DIR waits until a daemon holds the state directory.
			"waitheld": func(ts *testscript.TestScript, neg bool, args []string) {
				deadline := time.After(10 * time.Second)
				poll := time.NewTicker(10 * time.Millisecond)
				defer poll.Stop()
				for {
					if pid, err := lockfile.Holder(ts.MkAbs(args[0])); err == nil && pid != 0 {
						return
					}
					select {
					case <-deadline:
						ts.Fatalf("nobody holds %s", args[0])
					case <-poll.C:
					}
				}
			},
			// private FILE takes the rights of others away, ! private FILE gives them.
			"private": func(ts *testscript.TestScript, neg bool, args []string) {
				mode := os.FileMode(0o600)
				if neg {
					mode = 0o644
				}
				ts.Check(os.Chmod(ts.MkAbs(args[0]), mode))
			},
		},
	})
}

// freeAddress returns an address of this machine on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
