// Package synthetic makes the ticks of a device that does not exist, for
// benchmarks and tests. The same seed gives the same ticks on every machine.
//
// The mix of series is that of a single-board computer: for each block of 60
// series, one third byte, packet and operation counters that grow at different
// rates, some of them idle; one third percentages and temperatures, rounded as
// the collectors round them; one third slow or constant gauges.
package synthetic

import (
	"fmt"
	"math"
	"math/rand/v2"

	"taffrail/internal/event"
)

// Device is a source of ticks.
type Device struct {
	rand *rand.Rand
	rows []row
	tick event.Tick
	step int64
}

type row struct {
	value float64
	next  func(r *rand.Rand, v float64) float64
}

// NewDevice returns a device with the given number of series and milliseconds
// between ticks, whose clocks start at start.
func NewDevice(series int, interval int64, start event.Stamp, seed uint64) *Device {
	d := &Device{rand: rand.New(rand.NewPCG(seed, 1)), step: interval}
	d.tick.Stamp, d.tick.Trusted = start, true
	d.tick.WallMS -= interval
	d.tick.BootMS -= interval
	for i := range series {
		d.add(i)
	}
	return d
}

// add makes series i; twelve kinds take turns.
func (d *Device) add(i int) {
	unit := fmt.Sprint(i / 12)
	seconds := float64(d.step) / 1000
	grow := func(rate float64) func(*rand.Rand, float64) float64 {
		return func(r *rand.Rand, v float64) float64 {
			return v + math.Floor(rate*seconds*(0.5+r.Float64()))
		}
	}
	sometimes := func(chance, rate float64) func(*rand.Rand, float64) float64 {
		return func(r *rand.Rand, v float64) float64 {
			if r.Float64() > chance {
				return v
			}
			return v + math.Floor(rate*(0.5+r.Float64()))
		}
	}
	wander := func(width, places, low, high float64) func(*rand.Rand, float64) float64 {
		return func(r *rand.Rand, v float64) float64 {
			v += width * r.NormFloat64()
			return math.Round(min(max(v, low), high)*places) / places
		}
	}
	constant := func(_ *rand.Rand, v float64) float64 { return v }
	switch i % 12 {
	case 0:
		d.series("network.receive_bytes_total", event.Counter, 0, 1e9, grow(40_000), "interface", "eth"+unit)
	case 1:
		d.series("network.receive_packets_total", event.Counter, 0, 1e6, grow(60), "interface", "eth"+unit)
	case 2:
		d.series("disk.written_bytes_total", event.Counter, 0, 1e9, sometimes(0.3, 64*1024), "device", "sd"+unit)
	case 3:
		d.series("network.receive_errors_total", event.Counter, 0, 0, constant, "interface", "eth"+unit)
	case 4:
		d.series("cpu.usage_percent", event.Gauge, 2, 20, wander(4, 100, 0, 100), "core", unit)
	case 5:
		d.series("cpu.iowait_percent", event.Gauge, 2, 0, wander(0.3, 100, 0, 5), "core", unit)
	case 6:
		d.series("thermal.zone_celsius", event.Gauge, 3, 50, wander(0.2, 1000, 20, 90), "zone", "zone"+unit)
	case 7:
		d.series("system.load1", event.Gauge, 2, 0.5, wander(0.03, 100, 0, 8), "part", unit)
	case 8:
		d.series("memory.used_bytes", event.Gauge, 0, 1e9, func(r *rand.Rand, v float64) float64 {
			return v + 4096*math.Round(30*r.NormFloat64())
		}, "part", unit)
	case 9:
		d.series("memory.total_bytes", event.Gauge, 0, 4e9, constant, "part", unit)
	case 10:
		d.series("cpu.frequency_hertz", event.Gauge, 0, 1_800_000_000, func(r *rand.Rand, v float64) float64 {
			if r.Float64() < 0.9 {
				return v
			}
			return 600_000_000 * float64(1+r.IntN(3))
		}, "core", unit)
	case 11:
		d.series("disk.reads_total", event.Counter, 0, 1e5, sometimes(0.1, 20), "device", "sd"+unit)
	}
}

func (d *Device) series(name string, typ event.Type, decimals uint8, first float64, next func(*rand.Rand, float64) float64, label, value string) {
	s, err := event.NewSeries(name, typ, decimals, event.Label{Name: label, Value: value})
	if err != nil {
		panic(err) // the names above are constants
	}
	d.rows = append(d.rows, row{value: first, next: next})
	d.tick.Samples = append(d.tick.Samples, event.Sample{Series: s, Value: first})
}

// Next returns the next tick. It is valid until the call after.
func (d *Device) Next() *event.Tick {
	d.tick.WallMS += d.step
	d.tick.BootMS += d.step
	for i := range d.rows {
		r := &d.rows[i]
		r.value = r.next(d.rand, r.value)
		d.tick.Samples[i].Value = r.value
	}
	return &d.tick
}
