package eventlog

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"taffrail/internal/event"
)

func TestAReaderFollowsAppendsOverRotations(t *testing.T) {
	for _, size := range []int64{1, 2_000, 1 << 20} {
		o := lazily(testOptions(t.TempDir()))
		o.SegmentSize = size
		l := mustOpen(t, t.TempDir(), o)
		r := l.NewReader(0)
		defer r.Close()
		if _, err := r.Next(); err != io.EOF {
			t.Fatalf("an empty log: %v", err)
		}
		h := history{}
		var read []event.Record
		for i, ev := range script(5, 130, 1) {
			h.append(t, l, ev)
			if i%3 == 1 {
				continue
			}
			records, damage := drain(t, r)
			if len(damage) > 0 {
				t.Fatal(damage)
			}
			read = append(read, records...)
			if n := len(read); n == 0 || read[n-1].Index != l.LastIndex() {
				t.Fatalf("read %d records, %d are stored", n, l.LastIndex())
			}
		}
		records, _ := drain(t, r)
		h.check(t, append(read, records...))
	}
}

func TestAReaderBeginsAnywhere(t *testing.T) {
	dir, h := rotated(t)
	l := mustOpen(t, dir, lazily(testOptions(t.TempDir())))
	last := l.LastIndex()
	for from := uint64(0); from <= last+2; from++ {
		r := l.NewReader(from)
		records, damage := drain(t, r)
		r.Close()
		if len(damage) > 0 {
			t.Fatal(damage)
		}
		if want := int(last) + 1 - int(max(from, 1)); len(records) != max(want, 0) {
			t.Fatalf("from %d: %d records, want %d", from, len(records), want)
		}
		for i, rec := range records {
			if rec.Index != max(from, 1)+uint64(i) {
				t.Fatalf("from %d: record %d at place %d", from, rec.Index, i)
			}
			if want, ok := h[rec.Index]; ok {
				if diff := difference(want, rec.Event); diff != "" {
					t.Fatalf("from %d, record %d: %s", from, rec.Index, diff)
				}
			}
		}
	}
}

// What is appended while a reader waits behind the end.
func TestAReaderFromTheFuture(t *testing.T) {
	o := lazily(testOptions(t.TempDir()))
	o.SegmentSize = 1_000
	l := mustOpen(t, t.TempDir(), o)
	const from = 100
	r := l.NewReader(from)
	defer r.Close()
	h := history{}
	var read []event.Record
	for _, ev := range script(3, 130, 1) {
		h.append(t, l, ev)
		records, _ := drain(t, r)
		read = append(read, records...)
	}
	for i := range h {
		if i < from {
			delete(h, i)
		}
	}
	h.check(t, read)
}

func TestReadersBesideAppendsSeeNothingElse(t *testing.T) {
	o := lazily(testOptions(t.TempDir()))
	o.SegmentSize = 3_000
	l := mustOpen(t, t.TempDir(), o)
	events := script(5, 600, 1)
	last := uint64(0)
	stored := make(chan struct{})
	var mu sync.Mutex
	h := history{}
	var wg sync.WaitGroup
	for from := range uint64(3) {
		wg.Go(func() {
			r := l.NewReader(from * 50)
			defer r.Close()
			for next := max(1, from*50); ; {
				rec, err := r.Next()
				if err == io.EOF {
					select {
					case <-stored:
						if next > last {
							return
						}
					default:
						runtime.Gosched()
					}
					continue
				}
				if err != nil || rec.Index != next {
					t.Errorf("record %d, want %d: %v", rec.Index, next, err)
					return
				}
				next++
				mu.Lock()
				want, ok := h[rec.Index]
				mu.Unlock()
				if !ok {
					continue // a header, or Append has not returned to us yet
				}
				if diff := difference(want, rec.Event); diff != "" {
					t.Errorf("record %d: %s", rec.Index, diff)
					return
				}
			}
		})
	}
	for _, ev := range events {
		index, err := l.Append(ev)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		h[index] = ev
		mu.Unlock()
	}
	last = l.LastIndex()
	close(stored)
	wg.Wait()
}

// A record can be whole in the file when its fsync fails. It is cut off then,
// and a reader that has read ahead must not show it.
func TestAReaderDoesNotShowWhatItReadAheadAndWasGivenUp(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, testOptions(t.TempDir()))
	events := script(3, 10, 1)
	h := history{}
	h.append(t, l, events[:4]...)
	path := filepath.Join(dir, segmentName(1))
	whole := files(t, dir)[segmentName(1)]
	refused := entry(appendFrame(nil, event.KindAck, l.LastIndex()+1, append([]byte{0xc4, 100}, make([]byte, 100)...)))
	for _, behind := range [][]byte{refused, refused[:len(refused)-1], {0x40}} {
		r := l.NewReader(0)
		defer r.Close()
		if err := os.WriteFile(path, append(append([]byte(nil), whole...), behind...), 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, int64(len(whole))); err != nil {
			t.Fatal(err)
		}
		n := len(h)
		h.append(t, l, events[n])
		whole = files(t, dir)[segmentName(1)]
		records, damage := drain(t, r)
		if len(damage) > 0 {
			t.Fatal(damage)
		}
		h.check(t, records)
	}
}

// hooked calls atEnd once, when a read finds nothing more.
type hooked struct {
	io.ReaderAt
	atEnd func()
}

func (h *hooked) ReadAt(b []byte, off int64) (int, error) {
	n, err := h.ReaderAt.ReadAt(b, off)
	if n == 0 && h.atEnd != nil {
		f := h.atEnd
		h.atEnd = nil
		f()
	}
	return n, err
}

// Between the end of a segment and the look for the next one the log can grow
// by the rest of the one and the whole of the other.
func TestAReaderDoesNotLeaveASegmentTooEarly(t *testing.T) {
	dir := t.TempDir()
	o := lazily(testOptions(t.TempDir()))
	o.SegmentSize = 2_000
	l := mustOpen(t, dir, o)
	h := history{}
	events := script(3, 90, 1)
	h.append(t, l, events[:5]...)
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read, _ := drain(t, r)
	r.scan.r = &hooked{r.scan.r, func() { h.append(t, l, events[5:]...) }}
	more, damage := drain(t, r)
	if len(damage) > 0 || len(names(t, dir)) < 2 {
		t.Fatal(damage, names(t, dir))
	}
	h.check(t, append(read, more...))
}

// The first segment can be there without its header.
func TestAReaderOfAnEmptyLogOpensNothing(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, testOptions(t.TempDir()))
	r := l.NewReader(0)
	defer r.Close()
	writeFiles(t, dir, map[string][]byte{segmentName(1): {0x80}})
	if _, err := r.Next(); err != io.EOF || r.file != nil {
		t.Fatalf("%v, %v", r.file, err)
	}
}

func TestReaderErrors(t *testing.T) {
	if _, err := OpenReader(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("a path that is not there: %v", err)
	}
	empty := t.TempDir()
	if _, err := OpenReader(empty); err == nil {
		t.Error("a directory without segments: no error")
	}
	dir, h := rotated(t)
	state := t.TempDir()
	writeFiles(t, filepath.Join(state, "log"), files(t, dir))
	writeFiles(t, filepath.Join(state, "log"), map[string][]byte{"notes.txt": []byte("x"), segmentName(7) + ".bak": nil})
	h.check(t, readIntact(t, state))
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = u.Unwrap()
	}
}
