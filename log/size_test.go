package eventlog

import (
	"testing"

	"taffrail/internal/event"
	"taffrail/internal/synthetic"
)

// All overhead counts: entries, frames, headers, definitions, contexts.
func TestA180SeriesDeviceCostsAtMostFourBytesASample(t *testing.T) {
	const series = 180
	tests := []struct {
		name     string
		interval int64 // ms
		ticks    int
	}{
		{"1s ticks, an hour", 1_000, 3_600},
		{"10s ticks, six hours", 10_000, 2_160},
		{"10s ticks, one group", 10_000, groupTicks},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			l := mustOpen(t, dir, lazily(testOptions(t.TempDir())))
			d := synthetic.NewDevice(series, tc.interval, event.Stamp{WallMS: epoch, BootMS: 60_000}, 7)
			for range tc.ticks {
				if _, err := l.Append(d.Next()); err != nil {
					t.Fatal(err)
				}
			}
			mustClose(t, l)
			bytes := 0
			for _, b := range files(t, dir) {
				bytes += len(b)
			}
			cost := float64(bytes) / float64(series*tc.ticks)
			t.Logf("%.3f bytes a sample, %d segments", cost, len(files(t, dir)))
			if cost > 4 {
				t.Fatalf("%.2f bytes a sample", cost)
			}
		})
	}
}
