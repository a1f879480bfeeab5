package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"

	"taffrail/collectors"
	"taffrail/internal/event"
)

// witness is a sink that tells another process of every tick that the log has
// taken, so that a test which kills this one knows what must be there.
type witness struct {
	sink collectors.Sink
	out  io.Writer
}

// Append implements collectors.Sink.
func (w *witness) Append(ev event.Event) (uint64, error) {
	index, err := w.sink.Append(ev)
	if tick, ok := ev.(*event.Tick); ok && err == nil {
		// Who listens no longer has seen enough.
		_, _ = fmt.Fprintf(w.out, "%d %d %d %016x\n", index, tick.WallMS, len(tick.Samples), fingerprint(tick))
	}
	return index, err
}

// fingerprint is FNV-1a over the samples in the order of their series: key, a
// zero byte, and the bits of the number, or the text and a zero byte.
func fingerprint(tick *event.Tick) uint64 {
	samples := slices.Clone(tick.Samples)
	slices.SortFunc(samples, func(a, b event.Sample) int { return cmp.Compare(a.Series.Key(), b.Series.Key()) })
	h := fnv.New64a()
	var b []byte
	for _, s := range samples {
		b = append(append(b[:0], s.Series.Key()...), 0)
		if s.Series.Type == event.Text {
			b = append(append(b, s.Text...), 0)
		} else {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(s.Value))
		}
		h.Write(b)
	}
	return h.Sum64()
}
