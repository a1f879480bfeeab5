// Package lockfile keeps a state directory to one process.
//
// The guarantees:
//
//   - While a Lock is held, no other Acquire of the same directory succeeds, by
//     whatever path, symlinks included. It never waits: it succeeds or names
//     the holder.
//   - The lock is the kernel's, on the inode of the file "lock" in the
//     directory. It ends with its process, however that ends. What the file
//     holds decides nothing: empty, foreign or huge content is overwritten.
//   - The file is never removed, so that two processes cannot hold locks on two
//     inodes of one name.
//
// It assumes a file system on which flock(2) works, as all local ones do.
package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/gofrs/flock"
)

// Name is the lock's file in the state directory.
const Name = "lock"

// HeldError says that another process has the directory.
type HeldError struct {
	Path string // the state directory, without symlinks
	PID  int    // 0 where the holder did not leave it
}

// Error names the holder and what to do.
func (e *HeldError) Error() string {
	holder := "another process"
	if e.PID > 0 {
		holder = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("%s is in use by %s; stop it or choose another --state-dir", e.Path, holder)
}

// Lock is a directory held.
type Lock struct {
	dir   string
	flock *flock.Flock

	mu   sync.Mutex // guards file
	file *os.File   // the locked file again, to write to; nil once released
}

// Acquire takes the lock of stateDir, which exists, and leaves this process's
// pid in it. The error is a *HeldError if another process has it.
func Acquire(stateDir string) (*Lock, error) {
	dir, err := resolve(stateDir)
	if err != nil {
		return nil, fmt.Errorf("resolve state directory: %w", err)
	}
	path := filepath.Join(dir, Name)
	fl := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR))
	locked, err := fl.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	if !locked {
		pid, err := readPID(path)
		if err != nil {
			pid = 0 // who it is matters less than that it is
		}
		return nil, &HeldError{Path: dir, PID: pid}
	}
	file, err := openSame(path, fl)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open lock: %w", err), fl.Unlock())
	}
	// The pid is for people. On a full disk it cannot be written, and the lock
	// holds all the same.
	_ = replace(file, strconv.Itoa(os.Getpid())+"\n")
	return &Lock{dir: dir, flock: fl, file: file}, nil
}

func resolve(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// openSame opens the locked file for writing. Another inode at its path means
// that someone removed the file in this moment, and that the lock is of no use.
func openSame(path string, fl *flock.Flock) (*os.File, error) {
	locked, err := fl.Stat()
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !os.SameFile(info, locked) {
		err = fmt.Errorf("%s was replaced while it was being locked", path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// replace makes content all that file holds. It is not synced: after a power
// cut nobody holds the lock.
func replace(file *os.File, content string) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(content), 0)
	return err
}

// Dir returns the directory that is held, without symlinks.
func (l *Lock) Dir() string { return l.dir }

// Release clears the pid and gives the directory up. Calling it again does
// nothing.
func (l *Lock) Release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	// Cleared first: after the unlock it may be the next holder's.
	err := errors.Join(replace(l.file, ""), l.file.Close(), l.flock.Unlock())
	l.file = nil
	if err != nil {
		return fmt.Errorf("release lock: %w", err)
	}
	return nil
}

// maxPIDBytes is more than a pid with white space around it needs.
const maxPIDBytes = 64

// readPID returns the pid in the file, or 0 if it holds anything else.
func readPID(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPIDBytes+1))
	if err != nil {
		return 0, err
	}
	pid, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 32)
	if err != nil || pid < 1 || len(b) > maxPIDBytes {
		return 0, nil
	}
	return int(pid), nil
}
