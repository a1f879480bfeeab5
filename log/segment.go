package eventlog

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// segmentFile is a segment in a directory. Its name is the index of its first
// record in 20 decimal digits, as tidwall/wal has it.
type segmentFile struct {
	path  string
	first uint64
}

const segmentNameLen = 20

func segmentName(first uint64) string { return fmt.Sprintf("%0*d", segmentNameLen, first) }

// parseSegmentName reports false for names that are no segment's.
func parseSegmentName(name string) (first uint64, ok bool) {
	if len(name) != segmentNameLen {
		return 0, false
	}
	first, err := strconv.ParseUint(name, 10, 63)
	return first, err == nil && first > 0
}

// listSegments returns the segments in dir, oldest first. Whatever else lies
// there is left out.
func listSegments(dir string) ([]segmentFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	var segments []segmentFile
	for _, e := range entries {
		if first, ok := parseSegmentName(e.Name()); ok && e.Type().IsRegular() {
			segments = append(segments, segmentFile{filepath.Join(dir, e.Name()), first})
		}
	}
	slices.SortFunc(segments, func(a, b segmentFile) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	return segments, nil
}

// digest returns the SHA-256 of a whole file.
func digest(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("digest segment: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, fmt.Errorf("digest segment: %w", err)
	}
	return h.Sum(nil), nil
}

// makeDir makes a directory where it is missing, durably in the one above.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// syncDir makes the entries of a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}
