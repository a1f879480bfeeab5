package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// sink gathers lines and writes them in large pieces.
type sink struct {
	w   io.Writer
	buf []byte
}

const sinkSize = 64 << 10

// spill writes what was gathered once that is worth a system call.
func (s *sink) spill() error {
	if len(s.buf) < sinkSize {
		return nil
	}
	return s.flush()
}

func (s *sink) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	_, err := s.w.Write(s.buf)
	s.buf = s.buf[:0]
	if err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// newFile is a file that appears under its name when it is complete, and only
// where nothing else has that name.
type newFile struct {
	*os.File
	name string
}

func createNew(name string) (*newFile, error) {
	if err := checkFree(name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(fmt.Sprintf("%s.%d.part", name, os.Getpid()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create output: %w", err)
	}
	return &newFile{File: f, name: name}, nil
}

func checkFree(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("create output: %s exists and is not overwritten", name)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("create output: %w", err)
	}
	return nil
}

// commit makes the file durable under its name.
func (f *newFile) commit() error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write output: %w", err), os.Remove(f.Name()))
	}
	if err := f.publish(); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(f.name))
	if err != nil {
		return fmt.Errorf("sync output: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("sync output: %w", err)
	}
	return nil
}

// publish gives the file its name. A link, unlike a renaming, fails where the
// name was taken meanwhile; a file system without links, as sticks and cards
// have it, makes do with another look.
func (f *newFile) publish() error {
	err := os.Link(f.Name(), f.name)
	switch {
	case err == nil:
		err = os.Remove(f.Name())
	case errors.Is(err, fs.ErrExist):
		return checkFree(f.name)
	default:
		if err := checkFree(f.name); err != nil {
			return err
		}
		err = os.Rename(f.Name(), f.name)
	}
	if err != nil {
		return fmt.Errorf("rename output: %w", err)
	}
	return nil
}

// discard removes what was written so far.
func (f *newFile) discard() error {
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
