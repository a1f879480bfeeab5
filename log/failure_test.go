package eventlog

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"taffrail/internal/event"
)

// small makes every other append begin a segment.
func small(o Options) Options {
	o.SegmentSize = 1
	return o
}

// refused appends and expects that nothing is stored.
func refused(t *testing.T, l *Log, ev event.Event) {
	t.Helper()
	before := l.LastIndex()
	index, err := l.Append(ev)
	if err == nil || index != 0 {
		t.Fatalf("Append returned %d, %v", index, err)
	}
	if l.Failure() == nil {
		t.Fatal("Failure is not set")
	}
	if l.LastIndex() != before {
		t.Fatalf("last index %d became %d", before, l.LastIndex())
	}
}

func accepted(t *testing.T, l *Log, h history, events ...event.Event) {
	t.Helper()
	h.append(t, l, events...)
	if err := l.Failure(); err != nil {
		t.Fatalf("Failure after a success: %v", err)
	}
}

func TestANextSegmentThatCannotBeCreated(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, small(testOptions(t.TempDir())))
	h := history{}
	events := script(3, 20, 1)
	accepted(t, l, h, events[:6]...)
	obstacle := filepath.Join(dir, segmentName(l.LastIndex()+1))
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	ledger := l.Ledger()
	for range 3 {
		refused(t, l, events[6])
	}
	if now := l.Ledger(); now.Appended != ledger.Appended {
		t.Fatalf("the ledger counts what was not stored: %+v, %+v", ledger, now)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	accepted(t, l, h, events[6:]...)
	if last := l.LastIndex(); last != uint64(2*len(events)) {
		t.Fatalf("last index %d, want a header and an event each for %d", last, len(events))
	}
	mustClose(t, l)
	h.check(t, readIntact(t, dir))
	if v := mustVerify(t, dir); v.Damaged || len(v.Gaps) > 0 {
		t.Fatalf("%+v", v)
	}
}

func TestCloseAndReopenAfterAFailure(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, small(testOptions(t.TempDir())))
	h := history{}
	accepted(t, l, h, script(3, 3, 1)...)
	obstacle := filepath.Join(dir, segmentName(l.LastIndex()+1))
	if err := os.Mkdir(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	refused(t, l, script(3, 1, 1)[1])
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Append(script(3, 1, 1)[1]); !errors.Is(err, ErrClosed) {
		t.Fatalf("Append after Close: %v", err)
	}
	// What stands in the way of an Open is moved, not obeyed.
	torn := t.TempDir()
	l = mustOpen(t, dir, small(testOptions(torn)))
	if aside := l.Recovery().Aside; !slices.Equal(aside, []string{filepath.Join(torn, filepath.Base(obstacle))}) {
		t.Fatalf("aside %v", aside)
	}
	accepted(t, l, h, script(3, 3, 2)...)
	mustClose(t, l)
	h.check(t, readIntact(t, dir))
}

func TestALogDirectoryThatIsTakenAwayAndComesBackEmpty(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := mustOpen(t, dir, small(testOptions(t.TempDir())))
	events := script(3, 10, 1)
	accepted(t, l, history{}, events[:4]...)
	lost := l.LastIndex()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	refused(t, l, events[4])
	refused(t, l, events[4])
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h := history{}
	accepted(t, l, h, events[4:]...)
	mustClose(t, l)
	records := readIntact(t, dir)
	h.check(t, records)
	if records[0].Index != lost+1 {
		t.Fatalf("the new log begins at %d, want %d", records[0].Index, lost+1)
	}
	if v := mustVerify(t, dir); v.Damaged || v.Segments[0].Chain != ChainAbsent {
		t.Fatalf("%+v", v)
	}
}

// A segment before that cannot be read must not keep the next from beginning.
func TestASegmentThatVanishesUnderTheLog(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, small(testOptions(t.TempDir())))
	events := script(3, 10, 1)
	h := history{}
	accepted(t, l, h, events[:4]...)
	list := names(t, dir)
	if err := os.Remove(filepath.Join(dir, list[len(list)-1])); err != nil {
		t.Fatal(err)
	}
	delete(h, l.LastIndex())
	accepted(t, l, h, events[4:]...)
	mustClose(t, l)
	h.check(t, readIntact(t, dir))
	if v := mustVerify(t, dir); v.Damaged || len(v.Gaps) != 1 {
		t.Fatalf("%+v", v)
	}
}

// limited runs the calling test again in a process of its own, whose limits it
// may change, and reports whether this is that process.
func limited(t *testing.T) bool {
	t.Helper()
	const mark = "TAFFRAIL_TEST_LIMITED"
	if os.Getenv(mark) == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASS")) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// failWrites makes every write of the process that would let a file grow beyond
// size fail, as a full disk does, until the returned function is called.
func failWrites(t *testing.T, size uint64) (restore func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	now := before
	now.Cur = size
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}
}

// Each limit lets another part of the record, or of the new segment's header
// after it, reach the file.
func TestWritesThatStopInTheMiddle(t *testing.T) {
	if !limited(t) {
		return
	}
	for _, interval := range []func(Options) Options{lazily, func(o Options) Options { return o }} {
		for extra := uint64(0); extra < 120; extra += 7 {
			dir := t.TempDir()
			l := mustOpen(t, dir, interval(testOptions(t.TempDir())))
			events := script(3, 90, 1)
			h := history{}
			accepted(t, l, h, events[:70]...)
			size := uint64(len(files(t, dir)[segmentName(1)]))
			plan := testPlan("a batch that is longer than any limit", event.Range{From: 1, To: 4}, 3)

			restore := failWrites(t, size+extra)
			refused(t, l, plan)
			restore()
			if got := files(t, dir)[segmentName(1)]; uint64(len(got)) != size {
				t.Fatalf("%d bytes are left of the refused record", uint64(len(got))-size)
			}
			restore = failWrites(t, extra)
			refused(t, l, events[70])
			refused(t, l, plan)
			restore()
			if open := l.Ledger().Open; open != nil {
				t.Fatalf("a plan that was refused is open: %+v", open)
			}
			accepted(t, l, h, events[70:]...)
			mustClose(t, l)
			records := readIntact(t, dir)
			h.check(t, records)
			for i, rec := range records {
				if rec.Index != uint64(i+1) {
					t.Fatalf("record %d stands at %d", rec.Index, i+1)
				}
			}
			if v := mustVerify(t, dir); v.Damaged || len(v.Gaps) > 0 || len(v.Segments) != 2 {
				t.Fatalf("%+v", v)
			}
		}
	}
}

// A tick that cannot be stored costs itself alone: the next opens a group.
func TestAnEventThatIsRefusedLeavesTheLogAsItWas(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, testOptions(t.TempDir()))
	h := history{}
	events := script(3, 20, 1)
	accepted(t, l, h, events[:5]...)
	text := mustSeries(t, "t", event.Text, 0)
	refused(t, l, &event.Unknown{Of: 60, Body: make([]byte, MaxBody+1)})
	refused(t, l, &event.Tick{Samples: []event.Sample{{Series: text, Text: string(make([]byte, MaxBody))}}})
	refused(t, l, &event.Tick{Samples: []event.Sample{{Series: text}, {Series: text}}})
	accepted(t, l, h, events[5:]...)
	if len(names(t, dir)) != 1 {
		t.Fatalf("segments %v", names(t, dir))
	}
	mustClose(t, l)
	h.check(t, readIntact(t, dir))
}

// A segment that got no header is taken back: nothing may be written to a file
// that is gone.
func TestAHeaderThatCannotBeWrittenIsRefusedEveryTime(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, small(testOptions(t.TempDir())))
	h := history{}
	plan := testPlan(string(make([]byte, MaxBody-500)), event.Range{From: 1, To: 4}, 1)
	accepted(t, l, h, script(3, 3, 1)...)
	accepted(t, l, h, plan) // fits a record, but no header with more beside it
	before := names(t, dir)
	for range 3 {
		refused(t, l, script(3, 1, 1)[1])
	}
	if now := names(t, dir); !slices.Equal(now, before) {
		t.Fatalf("segments %v became %v", before, now)
	}
	mustClose(t, l)
	h.check(t, readIntact(t, dir))
}

// Names that tidwall/wal takes for segments, and would delete or rename
// others for.
func TestWhateverLiesInTheDirectoryTheLogOpens(t *testing.T) {
	contents, records := smallLog(t, script(3, 10, 1))
	obstacles := map[string]func(path string) error{
		"a truncation's start": func(p string) error { return os.WriteFile(p+".START", []byte("x"), 0o600) },
		"a truncation's end":   func(p string) error { return os.WriteFile(p+".END", []byte("x"), 0o600) },
		"a directory":          func(p string) error { return os.Mkdir(p, 0o700) },
		"a link to nothing":    func(p string) error { return os.Symlink("/nonexistent", p) },
		"a link to a file":     func(p string) error { return os.Symlink("/proc/self/status", p) },
		"a pipe":               func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"other files": func(p string) error {
			return errors.Join(os.WriteFile(p+".bak", []byte("x"), 0o600), os.WriteFile(p[:len(p)-1], nil, 0o600), os.WriteFile(filepath.Join(filepath.Dir(p), "README"), nil, 0o600))
		},
	}
	for name, put := range obstacles {
		for _, at := range []string{segmentName(1), segmentName(12), segmentName(14), segmentName(40), "18446744073709551615", "09223372036854775808"} {
			dir, torn := t.TempDir(), t.TempDir()
			if at == segmentName(1) && name != "a truncation's start" && name != "a truncation's end" && name != "other files" {
				continue
			}
			writeFiles(t, dir, map[string][]byte{segmentName(1): contents})
			if err := put(filepath.Join(dir, at)); err != nil {
				t.Fatal(err)
			}
			l, err := Open(dir, small(testOptions(torn)))
			if err != nil {
				t.Fatalf("%s at %s: %v", name, at, err)
			}
			if l.LastIndex() != uint64(len(records)) {
				t.Fatalf("%s at %s: last index %d", name, at, l.LastIndex())
			}
			h := history{}
			accepted(t, l, h, script(3, 6, 2)...)
			mustClose(t, l)
			for _, rec := range records[1:] {
				h[rec.Index] = rec.Event
			}
			h.check(t, readIntact(t, dir))
			if !bytes.Equal(files(t, dir)[segmentName(1)], contents) {
				t.Fatalf("%s at %s: the segment was changed", name, at)
			}
		}
	}
}
