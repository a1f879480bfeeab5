package eventlog

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"

	"taffrail/internal/event"
)

// A tick under an untrusted clock gets its time from a clock event behind it.
// Whoever reads the log in order meets the tick first, so readers look ahead: one
// of an open log asks that log, one of files goes once over their frames.

// decision returns what was decided on the time of an untrusted tick, or nil.
func (l *Log) decision(index uint64, boot string) *event.Decision {
	times := l.Times()
	return times.Find(index, boot)
}

// Times returns what the log knows of the clock.
func (l *Log) Times() event.Times {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ledger.Times
}

// decisionsOf returns a look-up in the decisions of the log at path. The log is
// gone over at the first question.
func decisionsOf(path string) func(index uint64, boot string) *event.Decision {
	times := sync.OnceValue(func() *event.Times { return readTimes(path) })
	return func(index uint64, boot string) *event.Decision { return times().Find(index, boot) }
}

// readTimes folds the clock events of a log. What cannot be read is left out:
// reading the ticks reports it.
func readTimes(path string) *event.Times {
	times := &event.Times{}
	segments, err := segmentsAt(path)
	if err != nil {
		return times
	}
	for i, s := range segments {
		readSegmentTimes(s.path, i == 0, times)
	}
	return times
}

func readSegmentTimes(path string, first bool, times *event.Times) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	scan := newScanner(path, f)
	for {
		fr, err := scan.next()
		if errors.Is(err, ErrCorrupt) {
			continue
		}
		if err != nil {
			return
		}
		header := first && fr.kind == event.KindSegment
		if fr.version != FormatVersion || fr.kind != event.KindClock && !header {
			continue
		}
		switch ev, _ := decodeBody(fr.kind, fr.body); ev := ev.(type) {
		case *event.SegmentHeader:
			times.Decisions = ev.Ledger.Times.Decisions
		case *event.Clock:
			times.Apply(fr.index, ev)
		}
	}
}

// Taken returns which milliseconds of [from, to] are the time of a tick. Only the
// end of the log is read, from where one of that time can be: the newest time of
// all ticks, which each header carries, only grows, and what was decided later
// than it was recorded, the decisions tell.
func (l *Log) Taken(from, to int64) (map[int64]bool, error) {
	segments, err := listSegments(l.dir)
	if err != nil {
		return nil, err
	}
	start := uint64(0)
	for _, s := range slices.Backward(segments) {
		start = s.first
		if header, err := readHeader(s.path); err == nil && header != nil && header.Ledger.Times.NewestMS < from {
			break
		}
	}
	for _, d := range l.Times().Decisions {
		if d.LastMS >= from {
			start = min(start, d.Range.From)
		}
	}
	taken := make(map[int64]bool)
	err = l.eachTick(event.Range{From: start, To: l.LastIndex()}, func(_ uint64, tick *event.Tick) {
		if ms, ok := tick.EffectiveTime(); ok && ms >= from && ms <= to {
			taken[ms] = true
		}
	})
	return taken, err
}

// BootTimes returns the boot times of the untrusted ticks in a range.
func (l *Log) BootTimes(r event.Range) ([]int64, error) {
	var times []int64
	err := l.eachTick(r, func(_ uint64, tick *event.Tick) {
		if !tick.Trusted {
			times = append(times, tick.BootMS)
		}
	})
	return times, err
}

func (l *Log) eachTick(r event.Range, do func(index uint64, tick *event.Tick)) error {
	reader := l.NewReader(r.From)
	defer reader.Close()
	return eachTick(reader, r.To, do)
}

// eachTick calls do with the ticks up to the index last that can be read.
func eachTick(reader *Reader, last uint64, do func(index uint64, tick *event.Tick)) error {
	for {
		rec, err := reader.Next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNewerFormat):
			continue
		case err != nil:
			return err
		case rec.Index > last:
			return nil
		}
		if tick, ok := rec.Event.(*event.Tick); ok {
			do(rec.Index, tick)
		}
	}
}
