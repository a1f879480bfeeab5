package eventlog

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/wal"

	"taffrail/internal/event"
)

// ErrClosed is returned by calls on a log after its Close.
var ErrClosed = errors.New("log is closed")

// Options configure a Log. The zero value of a field means its default.
type Options struct {
	// SegmentSize is the number of bytes after which a new segment begins;
	// the last record may exceed it. 1 MiB by default.
	SegmentSize int64
	// SyncInterval is how long a tick may wait for its fsync. 0: each Append
	// syncs. Whatever the interval, a record of any other kind is synced at
	// once, with all that is before it.
	SyncInterval time.Duration
	// Context is what every group and segment repeats.
	Context event.Context
	// Version of the agent, for the segments' headers.
	Version string
	// TornDir takes the bytes that recovery cuts off. By default it is the
	// directory torn beside the log's.
	TornDir string
	// Now is the clock that stamps segment headers; by default all zero.
	Now func() event.Stamp
	// Retention bounds what is kept.
	Retention Retention
}

// DefaultSegmentSize keeps what tidwall/wal holds in memory small.
const DefaultSegmentSize = 1 << 20

func (o Options) withDefaults(dir string) Options {
	if o.SegmentSize <= 0 {
		o.SegmentSize = DefaultSegmentSize
	}
	if o.TornDir == "" {
		o.TornDir = filepath.Join(filepath.Dir(dir), "torn")
	}
	if o.Now == nil {
		o.Now = func() event.Stamp { return event.Stamp{} }
	}
	return o
}

// Log is a log that is open for appending. Its methods may be called from
// several goroutines.
type Log struct {
	dir      string
	opts     Options
	recovery Recovery
	last     atomic.Uint64 // index of the last record that is stored

	stopSync chan struct{}
	syncDone chan struct{}

	mu      sync.Mutex // guards everything below
	wal     *wal.Log   // nil: the next append begins a new segment
	segment segmentFile
	size    int64 // bytes of the segment that hold stored records
	next    uint64
	lazy    *lazy         // what is not synced yet, nil for nothing
	rewrite []*event.Tick // what a failed sync may have lost
	enc     encoder
	ledger  event.Ledger
	body    []byte
	frame   []byte
	failure error // of the last append; nil when it succeeded
	closed  bool
}

// Open opens the log in dir, which it creates where it is missing, and brings
// its tail in order: see Recovery.
func Open(dir string, opts Options) (*Log, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &Log{dir: dir, opts: opts.withDefaults(dir)}
	// Tags that no series could have would make groups that no reader takes.
	if l.opts.Context.Tags, err = event.NewLabels(opts.Context.Tags...); err != nil {
		return nil, fmt.Errorf("open log: device tags: %w", err)
	}
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if err := l.recover(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if l.opts.SyncInterval > 0 {
		l.stopSync, l.syncDone = make(chan struct{}), make(chan struct{})
		go l.syncLoop()
	}
	return l, nil
}

// Recovery returns what Open found and did.
func (l *Log) Recovery() Recovery { return l.recovery }

// LastIndex returns the index of the last record that is stored, 0 in an empty
// log.
func (l *Log) LastIndex() uint64 { return l.last.Load() }

// Ledger returns what became of the records so far.
func (l *Log) Ledger() event.Ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ledger.Clone()
}

// Appended returns how many samples could be sent since the log's beginning.
func (l *Log) Appended() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ledger.Appended
}

// Failure returns the error of the last append, or nil after a success.
func (l *Log) Failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

// NewReader returns a reader of the records from index from on. It sees a
// record as soon as Append has returned.
func (l *Log) NewReader(from uint64) *Reader {
	return &Reader{dir: l.dir, limit: l.LastIndex, from: from, decide: l.decision}
}

// Append stores the event and returns the index of its record. When it returns
// an error, the event is not in the log.
func (l *Log) Append(ev event.Event) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, ErrClosed
	}
	index, err := l.appendLocked(ev)
	l.failure = err
	if err != nil {
		return 0, fmt.Errorf("append %s: %w", ev.Kind(), err)
	}
	return index, nil
}

func (l *Log) appendLocked(ev event.Event) (uint64, error) {
	if l.wal == nil || l.size >= l.opts.SegmentSize {
		if err := l.startSegmentLocked(); err != nil {
			return 0, err
		}
		// What cannot be removed now is tried at the next segment again.
		if err := l.retainLocked(); l.wal == nil {
			return 0, err
		}
	}
	if err := l.rewriteLocked(); err != nil {
		return 0, err
	}
	tick, isTick := ev.(*event.Tick)
	if isTick {
		tick.Context = &l.opts.Context
	}
	return l.storeLocked(ev, isTick && l.opts.SyncInterval > 0)
}

// storeLocked encodes and writes an event as the next record.
func (l *Log) storeLocked(ev event.Event, lazy bool) (uint64, error) {
	if err := l.encodeLocked(ev); err != nil {
		l.enc.startGroup()
		return 0, err
	}
	return l.writeLocked(ev, lazy)
}

// encodeLocked leaves the event's body in l.body.
func (l *Log) encodeLocked(ev event.Event) error {
	var err error
	if tick, ok := ev.(*event.Tick); ok {
		l.body, err = l.enc.appendTick(l.body[:0], l.next, tick, &l.opts.Context)
	} else {
		l.body, err = encodeBody(ev)
	}
	if err == nil && len(l.body) > MaxBody {
		err = fmt.Errorf("%d bytes in one record, at most %d are allowed", len(l.body), MaxBody)
	}
	return err
}

// writeLocked writes l.body as the next record, and syncs it unless lazy.
func (l *Log) writeLocked(ev event.Event, lazy bool) (uint64, error) {
	index := l.next
	l.frame = appendFrame(l.frame[:0], ev.Kind(), index, l.body)
	if err := l.wal.Write(index, l.frame); err != nil {
		l.abandonLocked()
		return 0, err
	}
	if lazy {
		l.rememberLocked(ev)
	} else if err := l.wal.Sync(); err != nil {
		l.rollBackLocked()
		return 0, err
	} else {
		l.lazy = nil
	}
	l.size += int64(len(l.frame)) + int64(uvarintLen(uint64(len(l.frame))))
	l.next++
	l.ledger.Apply(index, ev)
	l.last.Store(index)
	return index, nil
}

func uvarintLen(v uint64) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}

// abandonLocked gives up the current segment after an error. A file whose fsync
// failed is never written again, since nothing tells which of its pages are on
// the disk; so the next append begins a new segment. What the failed append
// left behind the last stored record is cut off, and where even that fails, the
// next segment's first index is behind whatever stands there.
func (l *Log) abandonLocked() {
	l.wal.Close()
	l.wal, l.lazy = nil, nil
	l.enc.startGroup()
	if shorten(l.segment.path, l.size) != nil {
		l.next++
	}
}

// startSegmentLocked closes the current segment and begins the next one. The
// rotation of tidwall/wal stays out of it: it neither syncs the directory nor
// lets a header go first.
func (l *Log) startSegmentLocked() error {
	if l.wal != nil {
		if err := l.wal.Close(); err != nil {
			l.rollBackLocked()
			return fmt.Errorf("close segment: %w", err)
		}
		l.wal, l.lazy = nil, nil
	}
	header := l.headerLocked()
	before := l.segment
	if err := l.createLocked(); err != nil {
		return fmt.Errorf("start segment: %w", err)
	}
	if err := l.fillLocked(header); err != nil {
		// A segment without its header is as good as none.
		if l.wal != nil {
			l.wal.Close()
			l.wal = nil
		}
		l.removeLocked(l.segment.path)
		l.segment = before
		return fmt.Errorf("start segment: %w", err)
	}
	return nil
}

// fillLocked opens the segment that createLocked made and writes its header.
func (l *Log) fillLocked(header *event.SegmentHeader) error {
	if err := l.openTailLocked(); err != nil {
		return err
	}
	l.enc.startSegment()
	if err := l.encodeLocked(header); err != nil {
		return err
	}
	_, err := l.writeLocked(header, false)
	return err
}

// headerLocked describes the log as it is before the next record. Where the
// segment before cannot be read any more it is named without its digest: that
// it is lost is no reason to lose what comes.
func (l *Log) headerLocked() *event.SegmentHeader {
	ctx := &l.opts.Context
	header := &event.SegmentHeader{
		Stamp:    l.opts.Now(),
		Format:   FormatVersion,
		DeviceID: ctx.DeviceID,
		Tags:     ctx.Tags.Map(),
		Session:  ctx.SessionID,
		BootID:   ctx.BootID,
		Version:  l.opts.Version,
		Ledger:   l.ledger.Clone(),
	}
	if l.segment.path == "" {
		return header
	}
	header.Previous = filepath.Base(l.segment.path)
	if sum, err := digest(l.segment.path); err == nil {
		header.PreviousSHA256 = sum
	}
	return header
}

// removeLocked removes a segment that could not be begun. Where it stays, the
// next attempt takes another name.
func (l *Log) removeLocked(path string) {
	if os.Remove(path) != nil {
		l.next++
	}
}

// createLocked makes the empty file of the next segment durable.
func (l *Log) createLocked() error {
	path := filepath.Join(l.dir, segmentName(l.next))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	// Without its entry the file could vanish with all that it will hold.
	if err := errors.Join(f.Close(), syncDir(l.dir)); err != nil {
		l.removeLocked(path)
		return err
	}
	l.segment, l.size = segmentFile{path: path, first: l.next}, 0
	return nil
}

// openTailLocked opens the last segment for appending.
func (l *Log) openTailLocked() error {
	w, err := wal.Open(l.dir, &wal.Options{
		NoSync:           true,          // appends decide when to sync
		SegmentSize:      math.MaxInt32, // rotation is ours
		SegmentCacheSize: 1,
		AllowEmpty:       true,
		DirPerms:         0o750,
		FilePerms:        0o640,
	})
	if err != nil {
		return err
	}
	if last, err := w.LastIndex(); err != nil || last+1 != l.next {
		w.Close()
		return fmt.Errorf("the segment ends at record %d, expected %d: %w", last, l.next-1, errors.Join(err, ErrCorrupt))
	}
	l.wal = w
	return nil
}

// Sync makes all that was appended durable.
func (l *Log) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.syncLocked()
}

func (l *Log) syncLocked() error {
	if l.lazy == nil || l.wal == nil {
		return nil
	}
	if err := l.wal.Sync(); err != nil {
		l.failure = fmt.Errorf("sync log: %w", err)
		l.rollBackLocked()
		return l.failure
	}
	l.lazy = nil
	return nil
}

func (l *Log) syncLoop() {
	defer close(l.syncDone)
	ticker := time.NewTicker(l.opts.SyncInterval)
	defer ticker.Stop()
	for {
		select {
		case <-l.stopSync:
			return
		case <-ticker.C:
			// A failure is kept for Failure, and the next append writes what
			// was not synced again, into a new segment.
			_ = l.Sync()
		}
	}
}

// Close syncs and closes the log. It may be called twice.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	err := l.syncLocked()
	if len(l.rewrite) > 0 {
		// The last chance for what a failed sync may have lost.
		err = errors.Join(err, l.startSegmentLocked())
		if l.wal != nil {
			err = errors.Join(err, l.rewriteLocked())
		}
		l.failure = err
	}
	if l.wal != nil {
		err = errors.Join(err, l.wal.Close())
		l.wal = nil
	}
	l.mu.Unlock()
	if l.stopSync != nil {
		close(l.stopSync)
		<-l.syncDone
	}
	if err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}
