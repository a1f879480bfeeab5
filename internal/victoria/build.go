package victoria

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// module is what the tools are built from; tools/go.mod pins its version.
const module = "github.com/VictoriaMetrics/VictoriaMetrics"

// Build returns the path of tool, "victoria-metrics" or "vmagent", for this
// machine and at the pinned version. The first call builds it, which takes
// about a minute, and fetches its sources if the module cache lacks them; the
// result is kept in os.UserCacheDir()/taffrail for all that come after.
//
// Any number of processes may call Build at once: one builds, the others wait.
// A build that is cut short leaves nothing that is taken for a program.
func Build(ctx context.Context, tool string) (string, error) {
	if tool != "victoria-metrics" && tool != "vmagent" {
		return "", fmt.Errorf("build %s: no such tool", tool)
	}
	root, err := Root()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", tool, err)
	}
	tools := filepath.Join(root, "tools")
	version, err := run(ctx, "go", "-C", tools, "list", "-m", "-f", "{{.Version}}", module)
	if err != nil {
		return "", fmt.Errorf("build %s: find its version: %w", tool, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", tool, err)
	}
	name := strings.Join([]string{tool, version, runtime.GOOS, runtime.GOARCH}, "-")
	path := filepath.Join(cache, "taffrail", name)
	err = once(ctx, path, func(to string) error {
		_, err := run(ctx, "go", "-C", tools, "build", "-trimpath", "-o", to, module+"/app/"+tool)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("build %s: %w", tool, err)
	}
	return path, nil
}

// Root returns the directory of the checkout that the working directory is in.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte("module taffrail\n")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the checkout: no directory above %s has the go.mod of module taffrail", start)
		}
	}
}

// once makes sure that there is a file at path. If not, write creates it, under
// another name that it is given; the file gets its own when it is complete and
// on the disk. Only one process writes at a time.
func once(ctx context.Context, path string, write func(to string) error) error {
	if isProgram(path) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if isProgram(path) { // another process was at it while this one waited
		return nil
	}
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := write(part); err != nil {
		return err
	}
	if err := syncFile(part); err != nil {
		return err
	}
	return os.Rename(part, path)
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o100 != 0
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// lock waits until it has the lock file at path. The file stays: removing it
// would let two processes lock two files of the same name.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil // closing unlocks
		case errors.Is(err, syscall.EINTR):
			continue
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, ctx.Err()), f.Close())
		case <-tick.C:
		}
	}
}

// run runs a Go command for this machine, whatever the environment says to
// build for, and returns what it printed.
func run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	// An interrupt lets the go command end its compilers and remove its
	// temporary files.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
