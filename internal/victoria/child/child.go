// Package child runs programs that serve a test, a benchmark or a demo and
// must not be left behind by it.
//
// A Process is in a process group of its own, so that an interrupt typed at
// the terminal reaches its parent only, which then stops its children in the
// order that it wants. On Linux the kernel kills it when its parent ends, in
// whatever way; elsewhere a parent that is killed leaves it running. The last
// 64 KiB of what it printed are kept for messages.
package child

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// afterExit is how long output is waited for that a program's own children
// might still write once it has ended.
const afterExit = 2 * time.Second

// ErrKilled is what Stop wraps when the program did not end by itself in time.
var ErrKilled = errors.New("killed")

// Process is a program that was started. Its methods may be called from any
// goroutine.
type Process struct {
	cmd    *exec.Cmd
	output tail
	done   chan struct{}
	err    error // from Wait; written before done is closed
}

// Start starts cmd and takes over its Stdout, Stderr and SysProcAttr. The
// process runs until it ends by itself or is stopped, killed or orphaned.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.SysProcAttr = attributes()
	cmd.WaitDelay = afterExit
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// run starts the program and waits for it on one thread: the kernel's signal
// on the parent's death comes when the thread that forked ends, not the
// process, so that thread must live as long as the child.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended and was waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns nil if the program has ended with status 0, how it ended
// otherwise, and an error as well while it runs.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return errors.New("still running")
	}
}

// Output returns the end of what the program printed, on both outputs.
func (p *Process) Output() string { return p.output.String() }

// Signal sends sig to the program. Nothing happens if it has ended.
func (p *Process) Signal(sig syscall.Signal) {
	// The error is os.ErrProcessDone: a program of the same user that runs
	// cannot refuse a signal.
	_ = p.cmd.Process.Signal(sig)
}

// Stop sends SIGTERM, waits for the end at most as long as bound, and then
// kills. It returns an error that wraps ErrKilled after a kill, and how the
// program ended if that was not with status 0. It may be called again, also
// for a program that has ended by itself.
func (p *Process) Stop(bound time.Duration) error {
	p.Signal(syscall.SIGTERM)
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.Err()
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("stop %s: %w after %v", p.cmd.Path, ErrKilled, bound)
	}
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}
