package timekeeper

import (
	"testing"
	"time"

	"taffrail/internal/event"
)

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// TestClockTable tells what becomes of the times when clocks are wrong, set,
// restored, or never right.
func TestClockTable(t *testing.T) {
	tests := []struct {
		name  string
		story func(d *device)
		ticks int
		held  int // still waiting at the end
		lost  int // decided as unknown
		// wrong is how many ticks have a time that is off by over 10 ms: those
		// which were taken when nothing showed that the clock was wrong.
		wrong int
		// clocks is the number of clock events, where it matters.
		clocks int
	}{
		{
			name: "boot in 1970, synchronized after five minutes",
			story: func(d *device) {
				d.start("a", 0)
				d.run(5*minute, second)
				d.sync()
				d.run(minute, second)
			},
			ticks: 360,
		},
		{
			name: "time of the last shutdown restored, off for a week, synchronized after a minute",
			story: func(d *device) {
				d.start("a", d.now)
				d.sync()
				d.run(minute, second)
				shutdown := d.wall
				d.now += 7 * 24 * hour
				d.start("b", shutdown)
				d.run(minute, second)
				d.sync()
				d.run(minute, second)
			},
			ticks: 180,
		},
		{
			name: "trusted clock set back by an hour and forward again",
			story: func(d *device) {
				d.start("a", d.now)
				d.sync()
				d.run(2*hour, 10*second)
				d.wall -= hour
				d.run(30*minute, 10*second)
				d.wall += hour
				d.run(30*minute, 10*second)
			},
			ticks: 720 + 180 + 180,
			wrong: 180,
		},
		{
			name: "trusted clock set forward by an hour and back again",
			story: func(d *device) {
				d.start("a", d.now)
				d.sync()
				d.run(hour, 10*second)
				d.wall += hour
				d.run(30*minute, 10*second)
				d.wall -= hour
				d.run(2*hour, 10*second)
			},
			ticks: 360 + 180 + 720,
			wrong: 180,
		},
		{
			name: "never any trust, a clock with a battery",
			story: func(d *device) {
				d.start("a", d.now)
				d.run(hour, 10*second)
			},
			ticks: 360, clocks: 1,
		},
		{
			name: "set back twice, the second time further",
			story: func(d *device) {
				d.start("a", d.now)
				d.sync()
				d.run(2*hour, 10*second)
				d.wall -= hour / 2
				d.run(5*minute, 10*second)
				d.wall -= hour
				d.run(2*hour, 10*second)
			},
			ticks: 720 + 30 + 720, wrong: 750, clocks: 3,
		},
		{
			name: "two ticks at one moment",
			story: func(d *device) {
				d.start("a", 0)
				for range 10 {
					d.run(second, second)
					d.pass(-1)
					d.run(1, 1)
				}
				d.sync()
				d.run(second, second)
			},
			ticks: 21,
		},
		{
			name: "set while the daemon was down",
			story: func(d *device) {
				d.start("a", d.now-hour)
				d.trusted = true
				d.run(minute, 10*second)
				d.sync()
				d.restart()
				d.run(minute, 10*second)
			},
			ticks: 12, wrong: 6, clocks: 2,
		},
		{
			name: "shifted to where times are taken",
			story: func(d *device) {
				d.start("a", d.now+hour)
				d.trusted = true
				d.run(hour, 10*second)
				d.start("b", 0)
				d.run(5*minute, 10*second)
				d.sync()
				d.run(hour, 10*second)
			},
			ticks: 360 + 30 + 360, wrong: 360,
		},
		{
			name: "set by hand after the hold, without trust",
			story: func(d *device) {
				d.start("a", d.now-3*minute)
				d.run(20*minute, 10*second)
				d.wall = d.now
				d.run(20*minute, 10*second)
			},
			ticks: 240, wrong: 120,
		},
		{
			name: "a boot that was ahead and ended, then the truth catches up",
			story: func(d *device) {
				d.start("a", d.now+hour)
				d.run(5*minute, 10*second)
				d.start("b", 0)
				d.sync()
				d.run(2*hour, 10*second)
			},
			ticks: 30 + 720, wrong: 30,
		},
		{
			name: "never any trust, 1970",
			story: func(d *device) {
				d.start("a", 0)
				d.run(hour, 10*second)
			},
			ticks: 360, held: 360,
		},
		{
			name: "1970 to the end of the boot",
			story: func(d *device) {
				d.start("a", 0)
				d.run(5*minute, 10*second)
				d.start("b", d.now)
				d.sync()
				d.run(minute, 10*second)
			},
			ticks: 36, lost: 30,
		},
		{
			name: "1970 for hours, then synchronized",
			story: func(d *device) {
				d.start("a", 0)
				d.run(5*hour, minute)
				d.sync()
				d.run(hour, minute)
			},
			ticks: 360,
		},
		{
			name: "the boot ends before its clock was trusted",
			story: func(d *device) {
				d.start("a", d.now)
				d.run(5*minute, 10*second)
				d.pass(minute)
				d.start("b", d.now)
				d.sync()
				d.run(minute, 10*second)
			},
			ticks: 36,
		},
		{
			name: "restored time, and the boot ends before its clock was trusted",
			story: func(d *device) {
				d.start("a", d.now)
				d.sync()
				d.run(minute, 10*second)
				d.now += hour
				d.start("b", d.wall-5*minute) // the last save was five minutes old
				d.run(2*minute, 10*second)
				d.start("c", d.now)
				d.sync()
				d.run(minute, 10*second)
			},
			ticks: 6 + 12 + 6, lost: 12,
		},
		{
			name: "suspended for a night",
			story: func(d *device) {
				d.start("a", d.now)
				d.sync()
				d.run(minute, 10*second)
				d.pass(8 * hour)
				d.run(minute, 10*second)
			},
			ticks: 12,
		},
		{
			name: "suspended before it was trusted",
			story: func(d *device) {
				d.start("a", 0)
				d.run(minute, 10*second)
				d.pass(8 * hour)
				d.run(minute, 10*second)
				d.sync()
				d.run(minute, 10*second)
			},
			ticks: 18,
		},
		{
			name: "the kernel takes its word back",
			story: func(d *device) {
				d.start("a", d.now)
				d.sync()
				d.run(minute, 10*second)
				d.trusted = false
				d.run(hour, 10*second)
			},
			ticks: 6 + 360, clocks: 1,
		},
		{
			name: "restart of the daemon while ticks wait",
			story: func(d *device) {
				d.start("a", 0)
				d.run(minute, 10*second)
				d.restart()
				d.run(minute, 10*second)
				d.sync()
				d.run(minute, 10*second)
				d.restart()
				d.run(minute, 10*second)
			},
			ticks: 24,
		},
		{
			name: "restart of the daemon in the repeated hour",
			story: func(d *device) {
				d.start("a", d.now)
				d.sync()
				d.run(hour, 10*second)
				d.wall -= hour
				d.run(10*minute, 10*second)
				d.restart()
				d.run(10*minute, 10*second)
				d.wall -= 10 * minute
				d.run(20*minute, 10*second)
			},
			ticks: 360 + 60 + 60 + 120,
			wrong: 240,
		},
		{
			name: "sent as it is after the hold, then set",
			story: func(d *device) {
				d.start("a", d.now-3*minute) // runs three minutes late
				d.run(20*minute, 10*second)
				d.sync()
				d.run(10*minute, 10*second)
			},
			ticks: 120 + 60,
			wrong: 120,
		},
		{
			name: "no hold at all",
			story: func(d *device) {
				d.hold = 0
				d.start("a", d.now)
				d.run(minute, second)
				d.restart()
				d.run(minute, second)
				d.start("b", d.now)
				d.run(minute, second)
			},
			ticks: 180,
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			d := newDevice(t)
			tc.story(d)
			var held, lost, wrong int
			seen := map[int64]uint64{}
			all := d.log.ticks()
			for index, tick := range all {
				ms, ok := tick.EffectiveTime()
				switch {
				case tick.Held():
					held++
				case !ok:
					lost++
				default:
					if other, twice := seen[ms]; twice {
						t.Errorf("records %d and %d have the same time", index, other)
					}
					seen[ms] = index
					if off := ms - int64(tick.Samples[0].Value); off > 10 || off < -10 {
						wrong++
					}
				}
			}
			if len(all) != tc.ticks || held != tc.held || lost != tc.lost || wrong != tc.wrong {
				t.Errorf("%d ticks, %d held, %d lost, %d with a wrong time; want %d, %d, %d, %d", len(all), held, lost, wrong, tc.ticks, tc.held, tc.lost, tc.wrong)
			}
			if got := len(d.log.clocks()); tc.clocks != 0 && got != tc.clocks {
				t.Errorf("%d clock events, want %d", got, tc.clocks)
			}
			if got := d.log.ledger.Appended; got != uint64(tc.ticks-tc.held-tc.lost) {
				t.Errorf("%d samples count as sendable, want %d", got, tc.ticks-tc.held-tc.lost)
			}
		})
	}
}

func TestTimesThatWereKnownStayAsTheyAre(t *testing.T) {
	d := newDevice(t)
	known := map[uint64]int64{}
	look := func() {
		t.Helper()
		for index, tick := range d.log.ticks() {
			ms, ok := tick.EffectiveTime()
			before, was := known[index]
			if was && (!ok || ms != before) {
				t.Fatalf("record %d: %d, %t, was %d", index, ms, ok, before)
			}
			if ok {
				known[index] = ms
			}
		}
	}
	for _, boot := range []string{"a", "b", "c"} {
		d.start(boot, d.now-2*minute)
		for _, step := range []func(){
			func() { d.run(15*minute, 10*second) },
			func() { d.wall += minute },
			func() { d.run(minute, 10*second) },
			d.sync,
			func() { d.run(minute, 10*second) },
			func() { d.wall -= hour; d.trusted = false },
			func() { d.run(15*minute, 10*second) },
			d.restart,
			func() { d.run(minute, 10*second) },
			d.sync,
			func() { d.run(minute, 10*second) },
		} {
			step()
			look()
		}
	}
	if len(known) < 400 {
		t.Errorf("only %d ticks have a time", len(known))
	}
}

func TestClockEventsAreFew(t *testing.T) {
	d := newDevice(t)
	d.start("a", 0)
	d.run(5*minute, second)
	d.sync()
	d.run(hour, second)
	clocks := d.log.clocks()
	if len(clocks) != 1 {
		t.Fatalf("%d clock events, want 1", len(clocks))
	}
	c := clocks[0]
	if !c.Trusted || c.Source != "kernel" || c.Decision == nil || c.Decision.Verdict != event.VerdictShift || c.Decision.Samples != 300 {
		t.Errorf("%+v, decision %+v", c, c.Decision)
	}
	// The step is what the wall clock was off by.
	if c.StepMS != day-20*second+20*second {
		t.Errorf("step %d", c.StepMS)
	}
}

func TestRejectNamesTicksWithoutATime(t *testing.T) {
	d := newDevice(t)
	d.start("a", 0)
	d.run(minute, 10*second)
	d.start("b", d.now)
	var rejects []*event.Reject
	for _, ev := range d.log.events {
		if r, ok := ev.(*event.Reject); ok {
			rejects = append(rejects, r)
		}
	}
	if len(rejects) != 1 || rejects[0].Reason != event.ReasonTimeUnknown || rejects[0].Samples != 6 || rejects[0].Range != (event.Range{From: 1, To: 6}) {
		t.Errorf("%+v", rejects)
	}
}
