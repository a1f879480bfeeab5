package shipper

import (
	"math"
	"testing"

	"taffrail/internal/event"
	"taffrail/internal/synthetic"
)

// BenchmarkBatch plans batches of a 200-series device: samples are gathered,
// rendered as JSONL and gzipped. live is 30 s at 1 s ticks, backlog as much as a
// batch can hold. B/sample is what goes over the wire, without HTTP headers.
func BenchmarkBatch(b *testing.B) {
	const series = 200
	for _, bench := range []struct {
		name  string
		ticks int
	}{{"live", 30}, {"backlog", maxBatchSamples / series}} {
		b.Run(bench.name, func(b *testing.B) {
			l := &memoryLog{}
			device := synthetic.NewDevice(series, 1000, event.Stamp{WallMS: startMS}, 1)
			for range bench.ticks {
				tick := device.Next()
				tick.Context = boat
				if _, err := l.Append(tick); err != nil {
					b.Fatal(err)
				}
			}
			lim := testLimits(l)
			if bench.name == "backlog" {
				lim.batchLines = math.MaxInt
			}
			samples, bytes := 0, 0
			for b.Loop() {
				batch := makeBatch(b, newTestPlanner(b, l), l, lim)
				samples, bytes = batch.plan.Samples(), 0
				for _, body := range batch.bodies {
					bytes += len(body)
				}
			}
			b.ReportMetric(float64(samples)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Msamples/s")
			b.ReportMetric(float64(bytes)/float64(samples), "B/sample")
			b.ReportMetric(float64(bytes)/float64(len(makeBatch(b, newTestPlanner(b, l), l, lim).bodies))/1024, "KiB/chunk")
			b.ReportMetric(0, "ns/op")
		})
	}
}
