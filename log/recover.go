package eventlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"taffrail/internal/event"
)

// Recovery is what Open found at the end of the log and did about it.
type Recovery struct {
	// Cut is set when bytes behind the last record were cut off: the rest of
	// an append that did not come to its end.
	Cut *Cut
	// Damage lies before the last record of the tail. The segment was left as
	// it is, and appending goes on in a new one.
	Damage []error
	// Aside are files that were moved away because they would have confused
	// the log, or a whole log of a newer format.
	Aside []string
}

// Cut says which bytes were cut off and where they were kept.
type Cut struct {
	Segment string
	Offset  int64
	Bytes   int64
	Kept    string // path of the copy
}

// tail is what a scan of the last segment found.
type tail struct {
	good    int64  // bytes up to the end of the last intact frame
	size    int64  // bytes of the file
	last    uint64 // index of the last intact frame, 0 without one
	damage  []error
	entries uint64 // intact frames
}

// recover finds the end of the log, restores the ledger and opens the tail, or
// leaves l.wal nil so that the first append begins a new segment.
func (l *Log) recover() error {
	if err := l.setAside(); err != nil {
		return err
	}
	segments, err := listSegments(l.dir)
	if err != nil {
		return err
	}
	if n := len(segments); n > 0 {
		if version := formatOf(segments[n-1].path); version > FormatVersion {
			if err := l.setNewerAside(version); err != nil {
				return err
			}
			segments = nil
		}
	}
	l.next = 1
	if len(segments) == 0 {
		return nil
	}
	l.segment = segments[len(segments)-1]
	t, err := scanTail(l.segment.path)
	if err != nil {
		return err
	}
	l.size = t.good
	last := max(t.last, l.segment.first-1)
	l.next = last + 1
	l.last.Store(last)
	if t.good < t.size {
		if err := l.cut(t); err != nil {
			// No room for the copy, say: the bytes stay where they are.
			t.damage = append(t.damage, err)
			t.entries = max(t.entries, 1)
		}
	}
	if err := l.restoreLedger(segments); err != nil {
		return err
	}
	if t.entries == 0 {
		return l.dropEmpty(segments)
	}
	l.recovery.Damage = t.damage
	// tidwall/wal counts the entries of the tail; only where all of them are
	// intact and in their places does it come to the right index.
	if len(t.damage) > 0 || l.segment.first+t.entries != l.next {
		// The next segment needs a name of its own, whatever this one holds.
		l.next = max(l.next, l.segment.first+1)
		return nil
	}
	return l.openTailLocked()
}

// setAside moves away what is no segment of ours and what tidwall/wal takes for
// one by its name: links and the like, and its own half-finished truncations,
// which make it rename and delete segments.
func (l *Log) setAside() error {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		_, ok := parseSegmentName(name)
		switch _, err := strconv.ParseUint(name[:min(len(name), segmentNameLen)], 10, 64); {
		case err != nil, ok && e.Type().IsRegular():
			continue
		case len(name) == segmentNameLen:
		case e.IsDir():
			continue
		case strings.HasSuffix(name, ".START"), strings.HasSuffix(name, ".END"):
		default:
			continue
		}
		to, err := l.keepName(name)
		if err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(l.dir, name), to); err != nil {
			return err
		}
		l.recovery.Aside = append(l.recovery.Aside, to)
	}
	return nil
}

// formatOf returns the format version of a segment's first frame, whatever its
// rest looks like, or 0 where no frame begins it.
func formatOf(path string) uint8 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	head := make([]byte, maxEntryPrefix+frameHeaderSize)
	n, _ := io.ReadFull(f, head)
	at := bytes.Index(head[:n], frameMagic[:])
	if at < 1 || at > maxEntryPrefix || at+len(frameMagic) >= n {
		return 0
	}
	return head[at+len(frameMagic)]
}

// setNewerAside moves a log away that a newer version wrote, and that this one
// could only damage. A new one begins in its place.
func (l *Log) setNewerAside(version uint8) error {
	name := fmt.Sprintf("%s.format%d-%s", l.dir, version, time.Now().UTC().Format("20060102T150405Z"))
	to := name
	for n := 2; ; n++ {
		if _, err := os.Lstat(to); errors.Is(err, os.ErrNotExist) {
			break
		}
		to = fmt.Sprintf("%s-%d", name, n)
	}
	if err := os.Rename(l.dir, to); err != nil {
		return err
	}
	if err := os.Mkdir(l.dir, 0o750); err != nil {
		return err
	}
	l.recovery.Aside = append(l.recovery.Aside, to)
	return syncDir(filepath.Dir(l.dir))
}

// keepName returns a path in TornDir that does not exist yet.
func (l *Log) keepName(name string) (string, error) {
	if err := makeDir(l.opts.TornDir); err != nil {
		return "", err
	}
	path := filepath.Join(l.opts.TornDir, name)
	for n := 2; ; n++ {
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			return path, nil
		} else if err != nil {
			return "", err
		}
		path = filepath.Join(l.opts.TornDir, fmt.Sprintf("%s-%d", name, n))
	}
}

func scanTail(path string) (tail, error) {
	f, err := os.Open(path)
	if err != nil {
		return tail{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return tail{}, err
	}
	t := tail{size: info.Size()}
	scan := newScanner(path, f)
	for {
		fr, err := scan.next()
		if err == io.EOF {
			break
		}
		if errors.Is(err, ErrCorrupt) {
			t.damage = append(t.damage, err)
			continue
		}
		if err != nil {
			return tail{}, err
		}
		t.good, t.last = fr.end, max(t.last, fr.index)
		t.entries++
	}
	if t.good < t.size {
		// The last damage is the torn end, which will be cut off.
		t.damage = t.damage[:len(t.damage)-1]
	}
	return t, nil
}

// cut keeps a copy of what follows the last intact frame and shortens the tail
// to that frame. The copy is durable before the file is touched.
func (l *Log) cut(t tail) error {
	name := fmt.Sprintf("%s-%d", filepath.Base(l.segment.path), t.good)
	kept, err := l.keepName(name)
	if err != nil {
		return fmt.Errorf("keep torn bytes: %w", err)
	}
	if err := copyRange(kept, l.segment.path, t.good, t.size-t.good); err != nil {
		return fmt.Errorf("keep torn bytes: %w", errors.Join(err, os.Remove(kept)))
	}
	if err := syncDir(l.opts.TornDir); err != nil {
		return fmt.Errorf("keep torn bytes: %w", err)
	}
	if err := shorten(l.segment.path, t.good); err != nil {
		return fmt.Errorf("cut torn bytes: %w", err)
	}
	l.recovery.Cut = &Cut{Segment: l.segment.path, Offset: t.good, Bytes: t.size - t.good, Kept: kept}
	return nil
}

// shorten truncates a file, durably.
func shorten(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func copyRange(to, from string, off, n int64) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, io.NewSectionReader(src, off, n))
	if err == nil {
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close())
}

// dropEmpty removes a tail without a single record, which a crash between the
// creation of a segment and its header leaves. The next append makes it anew.
func (l *Log) dropEmpty(segments []segmentFile) error {
	if err := os.Remove(l.segment.path); err != nil {
		return fmt.Errorf("remove empty segment: %w", err)
	}
	l.segment, l.size = segmentFile{}, 0
	if n := len(segments); n > 1 {
		l.segment = segments[n-2]
	}
	return syncDir(l.dir)
}

// restoreLedger takes the ledger from the last segment whose header can be read
// and applies what follows.
func (l *Log) restoreLedger(segments []segmentFile) error {
	from := uint64(0)
	for _, s := range slices.Backward(segments) {
		header, err := readHeader(s.path)
		if err != nil {
			return err
		}
		if header != nil {
			from = s.first
			break
		}
	}
	// The ledger finds out itself what is decided when.
	r := &Reader{dir: l.dir, from: from}
	defer r.Close()
	for {
		rec, err := r.Next()
		switch {
		case err == io.EOF:
			// The ids of the tail are taken.
			l.enc.nextID = r.dec.nextID()
			return nil
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNewerFormat):
			continue
		case err != nil:
			return err
		}
		l.ledger.Apply(rec.Index, rec.Event)
	}
}

// readHeader returns a segment's header, or nil where it cannot be read.
func readHeader(path string) (*event.SegmentHeader, error) {
	r, err := OpenReader(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	rec, err := r.Next()
	if err != nil {
		if err == io.EOF || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewerFormat) {
			return nil, nil
		}
		return nil, err
	}
	header, _ := rec.Event.(*event.SegmentHeader)
	return header, nil
}
