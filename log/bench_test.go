package eventlog

import (
	"io"
	"testing"
	"time"

	"taffrail/internal/event"
	"taffrail/internal/synthetic"
)

// benchTicks is how many different ticks the benchmarks take turns with, so
// that making them stays out of the measurement.
const benchTicks = 600

func benchDevice(series int) []*event.Tick {
	d := synthetic.NewDevice(series, 1000, event.Stamp{WallMS: event.PlausibleSinceMS, BootMS: 60_000}, 1)
	ticks := make([]*event.Tick, benchTicks)
	for i := range ticks {
		t := *d.Next()
		t.Samples = append([]event.Sample(nil), t.Samples...)
		ticks[i] = &t
	}
	return ticks
}

func BenchmarkAppend(b *testing.B) {
	for name, interval := range map[string]time.Duration{"fsync": 0, "nosync": time.Hour} {
		b.Run(name, func(b *testing.B) {
			ticks := benchDevice(200)
			l, err := Open(b.TempDir(), Options{SyncInterval: interval, TornDir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			for i := 0; b.Loop(); i++ {
				if _, err := l.Append(ticks[i%len(ticks)]); err != nil {
					b.Fatal(err)
				}
			}
			reportSamples(b, 200)
		})
	}
}

func BenchmarkReplay(b *testing.B) {
	dir := b.TempDir()
	const series = 200
	l, err := Open(dir, Options{SyncInterval: time.Hour, TornDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	ticks := benchDevice(series)
	for range 10 {
		for _, t := range ticks {
			if _, err := l.Append(t); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	var bytes int64
	for b.Loop() {
		r, err := OpenReader(dir)
		if err != nil {
			b.Fatal(err)
		}
		bytes = 0
		for {
			rec, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			bytes += rec.Size
		}
		r.Close()
	}
	reportSamples(b, 10*benchTicks*series)
	b.ReportMetric(float64(bytes)/(10*benchTicks*series), "B/sample")
}

func reportSamples(b *testing.B, perOp int) {
	b.ReportMetric(float64(perOp)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
	b.ReportMetric(0, "ns/op")
}
