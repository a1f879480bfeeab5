package lockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Holder returns the pid of the process that holds stateDir, or 0 if none does.
// It takes no lock, not even for a moment, and so cannot make an Acquire fail.
//
// A pid that a killed process left behind does not count. Where the kernel
// lists its locks (Linux) a process that was given the same pid since is told
// from the holder; elsewhere it is taken for it.
func Holder(stateDir string) (pid int, err error) {
	dir, err := resolve(stateDir)
	if err != nil {
		return 0, fmt.Errorf("resolve state directory: %w", err)
	}
	path := filepath.Join(dir, Name)
	pid, err = readPID(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read lock: %w", err)
	case pid == 0 || !alive(pid):
		return 0, nil
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("stat lock: %w", err)
	}
	if held, known := listed(pid, st.Ino); known && !held {
		return 0, nil
	}
	return pid, nil
}

func alive(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}

// listed looks the lock up in /proc/locks: proc_locks(5). known is false where
// there is no such file. The device is not compared, some file systems show
// another one there than stat does.
func listed(pid int, inode uint64) (held, known bool) {
	b, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false, false
	}
	return inLocks(string(b), pid, inode), true
}

// inLocks reads lines such as "1: FLOCK  ADVISORY  WRITE 1234 fe:00:9978 0 EOF".
// A line with "->" is of one who waits.
func inLocks(locks string, pid int, inode uint64) bool {
	suffix := ":" + strconv.FormatUint(inode, 10)
	return slices.ContainsFunc(strings.Split(locks, "\n"), func(line string) bool {
		f := strings.Fields(line)
		return len(f) >= 6 && f[1] != "->" && f[3] == "WRITE" &&
			f[4] == strconv.Itoa(pid) && strings.HasSuffix(f[5], suffix)
	})
}
