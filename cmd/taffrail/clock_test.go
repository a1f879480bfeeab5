package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"taffrail/internal/config"
	"taffrail/internal/device"
	"taffrail/internal/event"
	"taffrail/internal/timekeeper"
	eventlog "taffrail/log"
	"taffrail/shipper"
)

// TestClockTable_AtTheReceiver sends what boards with wrong clocks collect over a
// real log to a receiver, and looks at the times that it got. The stories' other
// forms are in the timekeeper's own table.
func TestClockTable_AtTheReceiver(t *testing.T) {
	tests := []struct {
		name  string
		story func(b *board)
		// Of one sample a tick: how many arrived, of them with a time that is
		// off, since nothing showed that the clock was; how many wait, and how
		// many never go.
		arrived, wrong, held, rejected int
	}{
		{
			name: "boot in 1970, synchronized after five minutes",
			story: func(b *board) {
				b.start("a", 0)
				b.run(5*time.Minute, time.Second)
				b.arrived(0)
				b.sync()
				b.run(time.Minute, time.Second)
			},
			arrived: 360,
		},
		{
			name: "time of the last shutdown restored, off for a week, synchronized after a minute",
			story: func(b *board) {
				b.start("a", b.now)
				b.sync()
				b.run(time.Minute, time.Second)
				b.arrived(60)
				shutdown := b.wall
				b.pass(7 * 24 * time.Hour)
				b.start("b", shutdown)
				b.run(time.Minute, time.Second)
				b.arrived(60)
				b.sync()
				b.run(time.Minute, time.Second)
			},
			arrived: 180,
		},
		{
			name: "trusted clock set back by an hour and forward again",
			story: func(b *board) {
				b.start("a", b.now)
				b.sync()
				b.run(2*time.Hour, 10*time.Second)
				b.step(-time.Hour)
				b.run(30*time.Minute, 10*time.Second)
				b.arrived(720 + 180)
				b.step(time.Hour)
				b.run(30*time.Minute, 10*time.Second)
			},
			arrived: 720 + 180 + 180, wrong: 180,
		},
		{
			name: "trusted clock set forward by an hour and back again",
			story: func(b *board) {
				b.start("a", b.now)
				b.sync()
				b.run(time.Hour, 10*time.Second)
				b.step(time.Hour)
				b.run(30*time.Minute, 10*time.Second)
				b.arrived(360 + 180)
				b.step(-time.Hour)
				b.run(2*time.Hour, 10*time.Second)
			},
			arrived: 360 + 180 + 720, wrong: 180,
		},
		{
			name: "never any trust, a clock with a battery",
			story: func(b *board) {
				b.start("a", b.now)
				b.run(9*time.Minute, 10*time.Second)
				b.arrived(0)
				b.run(51*time.Minute, 10*time.Second)
			},
			arrived: 360,
		},
		{
			name: "never any trust, 1970, in two boots",
			story: func(b *board) {
				b.start("a", 0)
				b.run(time.Hour, 10*time.Second)
				b.arrived(0)
				b.start("b", 0)
				b.run(time.Minute, 10*time.Second)
			},
			held: 6, rejected: 360,
		},
		{
			name: "suspended for a night",
			story: func(b *board) {
				b.start("a", b.now)
				b.sync()
				b.run(time.Minute, 10*time.Second)
				b.pass(8 * time.Hour)
				b.run(time.Minute, 10*time.Second)
			},
			arrived: 12,
		},
		{
			name: "suspended before it was trusted",
			story: func(b *board) {
				b.start("a", 0)
				b.run(time.Minute, 10*time.Second)
				b.pass(8 * time.Hour)
				b.run(time.Minute, 10*time.Second)
				b.arrived(0)
				b.sync()
				b.run(time.Minute, 10*time.Second)
			},
			arrived: 18,
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			b := newBoard(t)
			tc.story(b)
			b.arrived(tc.arrived)
			wrong := 0
			for ms, truth := range b.receiver {
				if off := ms - int64(truth); off > 10 || off < -10 {
					wrong++
				}
			}
			if wrong != tc.wrong {
				t.Errorf("%d samples arrived with a time that is off, want %d", wrong, tc.wrong)
			}
			if held := b.held(); held != tc.held {
				t.Errorf("%d samples wait, want %d", held, tc.held)
			}
			if err := b.log.Close(); err != nil {
				t.Fatal(err)
			}
			b.compare(tc.arrived+tc.held+tc.rejected, tc.rejected)
		})
	}
}

// board is a device with clocks of its own, a log, and a receiver. The value of
// every sample is the true time, which the board does not know.
type board struct {
	t        *testing.T
	dir      string
	log      *eventlog.Log
	keeper   *timekeeper.Keeper
	shipper  *shipper.Shipper
	url      string
	receiver map[int64]float64 // value by time
	series   *event.Series

	now, boot, wall time.Duration // the truth and wall time since 1970, boot time
	trusted         bool
}

func newBoard(t *testing.T) *board {
	t.Helper()
	s, err := event.NewSeries("truth", event.Gauge, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := &board{t: t, dir: t.TempDir(), series: s, receiver: map[int64]float64{}}
	b.now = time.Duration(event.PlausibleSinceMS)*time.Millisecond + 100*24*time.Hour
	server := httptest.NewServer(http.HandlerFunc(b.receive))
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// receive takes what the board sends; nothing may come twice.
func (b *board) receive(w http.ResponseWriter, r *http.Request) {
	for _, line := range linesOf(b.t, unpack(b.t, r)) {
		for i, ms := range line.Timestamps {
			if other, twice := b.receiver[ms]; twice {
				b.t.Errorf("%d came with the value %v and with %v", ms, other, line.Values[i])
			}
			b.receiver[ms] = line.Values[i]
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// start boots the board with its wall clock at wall.
func (b *board) start(bootID string, wall time.Duration) {
	b.t.Helper()
	if b.log != nil {
		if err := b.log.Close(); err != nil {
			b.t.Fatal(err)
		}
	}
	b.boot, b.wall, b.trusted = 20*time.Second, wall, false
	cfg := config.Default()
	cfg.Remote.URL, cfg.Remote.ReadURL, cfg.Remote.ReplayWindow = b.url, config.ReadOff, 0 // nothing is repeated
	var err error
	b.log, err = eventlog.Open(logDir(b.dir), eventlog.Options{
		SyncInterval: time.Hour,
		Now:          b.stamp,
		Context:      event.Context{SessionID: "of " + bootID, BootID: bootID, DeviceID: "board"},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.keeper, err = timekeeper.New(b.log, timekeeper.Options{BootID: bootID, Hold: cfg.Remote.ClockHold.Std(), Source: trustSource})
	if err != nil {
		b.t.Fatal(err)
	}
	opts, err := newShipperOptions(cfg.Remote, "board", device.Clock{}, zerolog.Nop())
	if err != nil {
		b.t.Fatal(err)
	}
	opts.Now = b.stamp
	if b.shipper, err = shipper.New(shippingLog{b.log, zerolog.Nop()}, opts); err != nil {
		b.t.Fatal(err)
	}
}

func (b *board) stamp() event.Stamp {
	return event.Stamp{WallMS: b.wall.Milliseconds(), BootMS: b.boot.Milliseconds()}
}

// sync sets the clock right, as NTP does.
func (b *board) sync() { b.wall, b.trusted = b.now, true }

// step sets the clock by hand.
func (b *board) step(d time.Duration) { b.wall += d }

// pass lets time go by without a tick.
func (b *board) pass(d time.Duration) {
	b.now, b.boot, b.wall = b.now+d, b.boot+d, b.wall+d
}

// run makes a tick each interval, and uploads every ten.
func (b *board) run(length, interval time.Duration) {
	b.t.Helper()
	for n := range int(length / interval) {
		b.pass(interval)
		tick := &event.Tick{Stamp: b.stamp(), Trusted: b.trusted}
		tick.Samples = []event.Sample{{Series: b.series, Value: float64(b.now.Milliseconds())}}
		if _, err := b.keeper.Append(tick); err != nil {
			b.t.Fatal(err)
		}
		if n%10 == 9 {
			b.ship()
		}
	}
}

func (b *board) ship() {
	b.t.Helper()
	if err := b.shipper.Cycle(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// arrived uploads what can be sent and checks how much has come.
func (b *board) arrived(want int) {
	b.t.Helper()
	b.ship()
	if got := len(b.receiver); got != want {
		b.t.Fatalf("%d samples arrived, want %d", got, want)
	}
}

func (b *board) held() (samples int) {
	for _, h := range b.log.Times().Held {
		samples += int(h.Samples)
	}
	return samples
}

// compare checks that the receiver holds the log's samples under the log's
// times, and that all others stand in the log without one.
func (b *board) compare(ticks, rejected int) {
	b.t.Helper()
	r, err := eventlog.OpenReader(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Close()
	all, timed := 0, 0
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.t.Fatal(err)
		}
		switch ev := rec.Event.(type) {
		case *event.Tick:
			all++
			ms, known := ev.EffectiveTime()
			if !known {
				continue
			}
			timed++
			if value, ok := b.receiver[ms]; !ok || value != ev.Samples[0].Value {
				b.t.Errorf("record %d of %d did not arrive as it is: %v, %t", rec.Index, ms, value, ok)
			}
		case *event.Reject:
			if ev.Reason != event.ReasonTimeUnknown {
				b.t.Errorf("rejected with %q", ev.Reason)
			}
			rejected -= int(ev.Samples)
		}
	}
	if all != ticks || timed != len(b.receiver) || rejected != 0 {
		b.t.Errorf("the log has %d ticks, %d with a time; %d arrived, of %d; rejects that are missing: %d", all, timed, len(b.receiver), ticks, rejected)
	}
}
