package timekeeper

import (
	"testing"

	"taffrail/internal/event"
)

// memoryLog is a log without a disk. Record n is events[n-1].
type memoryLog struct {
	boot   string // of the daemon that appends
	events []event.Event
	ledger event.Ledger
}

func (l *memoryLog) Append(ev event.Event) (uint64, error) {
	if tick, ok := ev.(*event.Tick); ok {
		c := *tick
		c.Context = &event.Context{BootID: l.boot}
		ev = &c
	}
	l.events = append(l.events, ev)
	index := uint64(len(l.events))
	l.ledger.Apply(index, ev)
	return index, nil
}

func (l *memoryLog) Times() event.Times { return l.ledger.Times }

func (l *memoryLog) LastIndex() uint64 { return uint64(len(l.events)) }

// ticks returns the ticks with what was decided on their times so far.
func (l *memoryLog) ticks() map[uint64]*event.Tick {
	all := map[uint64]*event.Tick{}
	for i, ev := range l.events {
		if tick, ok := ev.(*event.Tick); ok {
			c := *tick
			if !c.Trusted {
				c.Decision = l.ledger.Times.Find(uint64(i+1), c.Context.BootID)
			}
			all[uint64(i+1)] = &c
		}
	}
	return all
}

func (l *memoryLog) Taken(from, to int64) (map[int64]bool, error) {
	taken := map[int64]bool{}
	for _, tick := range l.ticks() {
		if ms, ok := tick.EffectiveTime(); ok && ms >= from && ms <= to {
			taken[ms] = true
		}
	}
	return taken, nil
}

func (l *memoryLog) BootTimes(r event.Range) ([]int64, error) {
	var boots []int64
	for index, tick := range l.ticks() {
		if !tick.Trusted && index >= r.From && index <= r.To {
			boots = append(boots, tick.BootMS)
		}
	}
	return boots, nil
}

// clocks events of the log.
func (l *memoryLog) clocks() []*event.Clock {
	var all []*event.Clock
	for _, ev := range l.events {
		if c, ok := ev.(*event.Clock); ok {
			all = append(all, c)
		}
	}
	return all
}

// device is a board with its clocks. now is the true time, which it does not
// know; every tick carries it as its value.
type device struct {
	t       *testing.T
	log     *memoryLog
	keeper  *Keeper
	hold    int64 // milliseconds
	now     int64
	boot    int64 // boot time
	wall    int64
	trusted bool
	series  *event.Series
}

const second, minute, hour = 1000, 60_000, 3_600_000

// day is when the story begins.
const day = event.PlausibleSinceMS + 100*24*hour

func newDevice(t *testing.T) *device {
	t.Helper()
	s, err := event.NewSeries("truth", event.Gauge, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &device{t: t, log: &memoryLog{}, hold: 10 * minute, now: day, series: s}
}

// start boots the device under a name, with its wall clock at wall.
func (d *device) start(boot string, wall int64) {
	d.log.boot, d.boot, d.wall, d.trusted = boot, 20*second, wall, false
	d.restart()
}

// restart starts the daemon anew in the same boot.
func (d *device) restart() {
	d.t.Helper()
	var err error
	d.keeper, err = New(d.log, Options{BootID: d.log.boot, Hold: millis(d.hold), Source: "kernel"})
	if err != nil {
		d.t.Fatal(err)
	}
}

// pass lets time go by without a tick.
func (d *device) pass(ms int64) {
	d.now += ms
	d.boot += ms
	d.wall += ms
}

// run makes ticks for a while, one each interval.
func (d *device) run(length, interval int64) {
	d.t.Helper()
	for range length / interval {
		d.pass(interval)
		tick := &event.Tick{Trusted: d.trusted, Stamp: event.Stamp{WallMS: d.wall, BootMS: d.boot}}
		tick.Samples = []event.Sample{{Series: d.series, Value: float64(d.now)}}
		if _, err := d.keeper.Append(tick); err != nil {
			d.t.Fatal(err)
		}
	}
}

// sync sets the clock right, as NTP does.
func (d *device) sync() { d.wall, d.trusted = d.now, true }
