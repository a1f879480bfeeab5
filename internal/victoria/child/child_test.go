package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary itself is the program that the tests start; role says what
// it does then.
const role = "CHILD_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "polite":
		wait()
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		wait()
	case "parent":
		// Starts a child of its own, says who it is, and dies at once.
		p, err := Start(command("polite"))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("grandchild", p.PID())
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "chatty":
		fmt.Print(strings.Repeat("a", 3*tailSize), "the end")
	}
}

func command(as string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), role+"="+as)
	return cmd
}

// wait says that it is there and stays. It ends by itself in the end, so that
// not even a failing test leaves it for good.
func wait() {
	fmt.Println("ready")
	<-time.After(time.Minute)
}

func start(t *testing.T, as string) *Process {
	t.Helper()
	p, err := Start(command(as))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func startReady(t *testing.T, as string) *Process {
	t.Helper()
	p := start(t, as)
	eventually(t, "the child is ready", func() bool { return strings.Contains(p.Output(), "ready") })
	return p
}

func TestStopEndsAPoliteChild(t *testing.T) {
	p := startReady(t, "polite")
	if err := p.Err(); err == nil {
		t.Error("Err is nil while the child runs")
	}
	err := p.Stop(30 * time.Second)
	if err == nil || errors.Is(err, ErrKilled) {
		t.Errorf("Stop returned %v, want how SIGTERM ended the child", err)
	}
	if again := p.Stop(time.Second); again == nil || again.Error() != err.Error() {
		t.Errorf("the second Stop returned %v, the first %v", again, err)
	}
	if running(p.PID()) {
		t.Error("the process is still there")
	}
}

func TestStopKillsAStubbornChild(t *testing.T) {
	p := startReady(t, "stubborn")
	if err := p.Stop(50 * time.Millisecond); !errors.Is(err, ErrKilled) {
		t.Errorf("Stop returned %v, want ErrKilled", err)
	}
	if running(p.PID()) {
		t.Error("the process is still there")
	}
}

func TestOutputKeepsTheEnd(t *testing.T) {
	p := start(t, "chatty")
	<-p.Done()
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	if out := p.Output(); len(out) != tailSize || !strings.HasSuffix(out, "aathe end") {
		t.Errorf("kept %d bytes that end in %q", len(out), out[max(0, len(out)-20):])
	}
}

func TestStartOfNothingFails(t *testing.T) {
	if _, err := Start(exec.Command("/nonexistent/program")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start returned %v", err)
	}
}

func running(pid int) bool { return syscall.Kill(pid, 0) == nil }

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("it did not come to this: %s", what)
		case <-tick.C:
		}
	}
}
