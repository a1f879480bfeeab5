package projections

import (
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"taffrail/internal/event"
	"taffrail/internal/synthetic"
	"taffrail/migrations"
)

// syntheticSource gives the ticks of a device of 200 series, without a log.
type syntheticSource struct {
	device *synthetic.Device
	ctx    *event.Context
	next   uint64
	last   uint64
}

func (s *syntheticSource) Next() (event.Record, error) {
	if s.next > s.last {
		return event.Record{}, io.EOF
	}
	tick := s.device.Next()
	tick.Context = s.ctx
	rec := event.Record{Index: s.next, CRC: uint32(s.next), Segment: "/log/" + strconv.FormatUint(s.next/5000, 10), Event: tick}
	s.next++
	return rec, nil
}

func (s *syntheticSource) Close() error { return nil }

const benchSeries = 200

func syntheticLog(ticks, interval int) OpenSource {
	return func(from uint64) (Source, error) {
		s := &syntheticSource{
			device: synthetic.NewDevice(benchSeries, int64(interval), event.Stamp{WallMS: epoch}, 1),
			ctx:    &event.Context{SessionID: "run", BootID: "boot", DeviceID: "d"},
			next:   1, last: uint64(ticks),
		}
		for s.next < from {
			if _, err := s.Next(); err != nil {
				return nil, err
			}
		}
		return s, nil
	}
}

// BenchmarkRebuild builds the index of a million samples.
func BenchmarkRebuild(b *testing.B) {
	const ticks = 5000
	var size, elapsed int64
	for b.Loop() {
		path := b.TempDir() + "/index.db"
		began := time.Now()
		if _, err := Build(b.Context(), Options{Migrate: migrations.MigrateIndex, Path: path, Open: syntheticLog(ticks, 1000)}); err != nil {
			b.Fatal(err)
		}
		elapsed += int64(time.Since(began))
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		size = info.Size()
	}
	b.ReportMetric(float64(ticks*benchSeries*b.N)/float64(elapsed)*1e9, "samples/s")
	b.ReportMetric(float64(size)/(ticks*benchSeries), "B/sample")
}

// BenchmarkWritten counts the bytes that a day of ticks every ten seconds writes,
// committed every ten minutes and checkpointed every hour, by what the kernel
// was given to write (wchar of /proc/self/io).
func BenchmarkWritten(b *testing.B) {
	const ticks, batch = 8640, 60
	var wrote int64
	for b.Loop() {
		path := b.TempDir() + "/index.db"
		before := written(b)
		e, err := New(Options{Migrate: migrations.MigrateIndex, Path: path, Open: syntheticLog(ticks, 10_000), MaxSamples: batch * (benchSeries + 1)})
		if err != nil {
			b.Fatal(err)
		}
		err = e.session(b.Context(), func(ctx context.Context, w *writer, source Source) error {
			f := &follower{engine: e, w: w, source: source, checkpointed: time.Now()}
			for n := 1; ; n++ {
				if end, err := f.read(ctx); err != nil || end {
					return err
				}
				if n%6 == 0 {
					if err := e.checkpoint(ctx, w); err != nil {
						return err
					}
				}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		wrote = written(b) - before
	}
	b.ReportMetric(float64(wrote)/(ticks*benchSeries), "B/sample")
}

// BenchmarkQueryDay reads one series of 200 for a day.
func BenchmarkQueryDay(b *testing.B) {
	const ticks = 8640
	path := b.TempDir() + "/index.db"
	o := Options{Migrate: migrations.MigrateIndex, Path: path, Open: syntheticLog(ticks, 10_000)}
	if _, err := Build(b.Context(), o); err != nil {
		b.Fatal(err)
	}
	e, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	err = e.session(b.Context(), func(ctx context.Context, w *writer, _ Source) error {
		for b.Loop() {
			n := 0
			err := e.Query(ctx, func(s *event.Series) bool { return s.Name == "cpu.usage_percent" && s.Labels.Get("core") == "3" },
				0, 1<<62, func(Row) bool { n++; return true })
			if err != nil || n != ticks {
				b.Fatalf("%d rows, %v", n, err)
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkVerify checks all of an index of a million samples.
func BenchmarkVerify(b *testing.B) {
	const ticks = 5000
	o := Options{Migrate: migrations.MigrateIndex, Path: b.TempDir() + "/index.db", Open: syntheticLog(ticks, 1000)}
	if _, err := Build(b.Context(), o); err != nil {
		b.Fatal(err)
	}
	e, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	if err := e.session(b.Context(), func(ctx context.Context, w *writer, _ Source) error {
		for b.Loop() {
			if err := verify(ctx, w.db, 0); err != nil {
				b.Fatal(err)
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
}

func written(b *testing.B) int64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Fatal(err) // only Linux counts
	}
	for _, line := range strings.Split(string(text), "\n") {
		if n, ok := strings.CutPrefix(line, "wchar: "); ok {
			v, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return v
		}
	}
	b.Fatal("no wchar in /proc/self/io")
	return 0
}
