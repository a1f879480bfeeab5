package projections

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// keptAside is how many databases that were set aside are kept.
const keptAside = 2

const asideTime = "20060102T150405.000Z"

// setAside renames the database at path, its WAL and its shared memory, to
// path.REASON-TIME, and removes what was set aside before the last few. Nobody
// may have them open. It returns the new name, "" where nothing was there.
func setAside(path, reason string, now time.Time) (string, error) {
	to := path + "." + reason + "-" + now.UTC().Format(asideTime)
	moved := ""
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		err := os.Rename(path+suffix, to+suffix)
		switch {
		case err == nil:
			moved = to
		case !errors.Is(err, os.ErrNotExist):
			errs = append(errs, err)
		}
	}
	errs = append(errs, removeOldest(path))
	if err := errors.Join(errs...); err != nil {
		return moved, fmt.Errorf("set index aside: %w", err)
	}
	return moved, nil
}

// removeOldest removes what was set aside long ago.
func removeOldest(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	byTime := map[string][]string{}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+".")
		_, stamp, _ := strings.Cut(rest, "-")
		if !ok || len(stamp) < len(asideTime) {
			continue
		}
		stamp = stamp[:len(asideTime)]
		if _, err := time.Parse(asideTime, stamp); err == nil {
			byTime[stamp] = append(byTime[stamp], e.Name())
		}
	}
	var stamps []string
	for stamp := range byTime {
		stamps = append(stamps, stamp)
	}
	slices.Sort(stamps)
	var errs []error
	for ; len(stamps) > keptAside; stamps = stamps[1:] {
		for _, name := range byTime[stamps[0]] {
			errs = append(errs, os.RemoveAll(filepath.Join(filepath.Dir(path), name)))
		}
	}
	return errors.Join(errs...)
}
