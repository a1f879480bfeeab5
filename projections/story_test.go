package projections

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"taffrail/internal/event"
)

// story writes the life of a device into a log: boots with and without trust,
// sessions that end in each way, uploads of every kind, and values of every kind.
type story struct {
	l       *memoryLog
	r       *rand.Rand
	t       testing.TB
	wall    int64
	boot    int64
	ctx     *event.Context
	bootNo  int
	runNo   int
	fileNo  int
	file    string
	trusted bool
	series  []*event.Series
	held    uint64 // first tick that has no time, 0: none
	waiting int    // sendable samples of those
	ledger  event.Ledger
	courier *courier
}

func newStory(t testing.TB, seed uint64) *story {
	s := &story{l: newMemoryLog(), r: rand.New(rand.NewPCG(seed, 7)), t: t, wall: epoch, boot: 1000}
	for i := range 12 {
		typ := []event.Type{event.Gauge, event.Counter, event.Text}[i%3]
		s.series = append(s.series, mustSeries(t, fmt.Sprintf("thing.%d_bytes", i), typ, "a", fmt.Sprint(i), "ü", `"x"`))
	}
	s.courier = newCourier(s)
	s.reboot()
	return s
}

// add appends an event, and the ledger learns of it.
func (s *story) add(ev event.Event) uint64 {
	index := s.l.append(s.file, ev)
	s.ledger.Apply(index, ev)
	return index
}

func (s *story) stamp() event.Stamp { return event.Stamp{WallMS: s.wall, BootMS: s.boot} }

func (s *story) reboot() {
	s.bootNo++
	s.boot = 500
	s.trusted = s.r.IntN(2) == 0
	if !s.trusted && s.r.IntN(2) == 0 {
		s.wall = 5000 // 1970
	} else {
		s.wall = epoch + int64(s.bootNo)*1e9
	}
	if s.held > 0 {
		s.decide(event.Range{From: s.held, To: s.l.last()}, []string{event.VerdictAsIs, event.VerdictUnknown}[s.r.IntN(2)], epoch+int64(s.bootNo-1)*1e9-500)
		s.held = 0
	}
	s.restart()
}

func (s *story) restart() {
	s.runNo++
	boot := fmt.Sprintf("boot-%d", s.bootNo)
	s.ctx = &event.Context{SessionID: fmt.Sprintf("run-%d", s.runNo), BootID: boot, DeviceID: "buoy-7",
		Tags: event.Labels{{Name: "site", Value: "pier"}}}
	s.rotate()
	s.add(&event.Session{Stamp: s.stamp(), Phase: event.SessionStart, ID: s.ctx.SessionID, BootID: boot, DeviceID: "buoy-7", Tags: s.ctx.Tags.Map(), Version: "1"})
}

func (s *story) rotate() {
	s.fileNo++
	s.file = fmt.Sprintf("%020d", s.l.last()+1)
	s.add(&event.SegmentHeader{Stamp: s.stamp(), Format: 1, DeviceID: "buoy-7", Tags: s.ctx.Tags.Map(),
		Session: s.ctx.SessionID, BootID: s.ctx.BootID, Version: "1", Ledger: s.ledger.Clone()})
}

func (s *story) value() float64 {
	switch s.r.IntN(12) {
	case 0:
		return math.Float64frombits(0x7ff8_0000_0000_0000 | uint64(s.r.IntN(1<<30)))
	case 1:
		return math.Inf(1 - 2*s.r.IntN(2))
	case 2:
		return math.Copysign(0, -1)
	case 3:
		return math.Float64frombits(s.r.Uint64() &^ (1 << 62))
	case 4:
		return float64(int64(1)<<53 + int64(s.r.IntN(4)))
	case 5, 6:
		return float64(s.r.IntN(1e6)) / 100
	}
	return float64(s.r.IntN(1000) - 100)
}

func (s *story) tick() {
	step := 1 + int64(s.r.IntN(10_000))
	s.wall, s.boot = s.wall+step, s.boot+step
	tick := &event.Tick{Stamp: s.stamp(), Trusted: s.trusted, Context: s.ctx}
	if i := s.r.IntN(60); i < len(s.series) {
		old := s.series[i] // its type changes, or it is a new pointer only
		n, err := event.NewSeries(old.Name, event.Type(s.r.IntN(3)), 0, old.Labels...)
		if err != nil {
			s.t.Fatal(err)
		}
		s.series[i] = n
	}
	for _, i := range s.r.Perm(len(s.series)) {
		if s.r.IntN(3) == 0 {
			continue
		}
		sample := event.Sample{Series: s.series[i]}
		if sample.Series.Type == event.Text {
			sample.Text = fmt.Sprintf("text %d", s.r.IntN(5))
		} else {
			sample.Value = s.value()
		}
		tick.Samples = append(tick.Samples, sample)
	}
	idx := s.add(tick)
	if s.trusted {
		return
	}
	if s.held == 0 {
		s.held = idx
	}
	for i := range tick.Samples {
		if tick.Samples[i].Sendable() {
			s.waiting++
		}
	}
}

func (s *story) decide(r event.Range, verdict string, offset int64) {
	s.add(&event.Clock{Stamp: s.stamp(), BootID: s.ctx.BootID, Trusted: s.trusted, Source: "kernel",
		Decision: &event.Decision{BootID: s.ctx.BootID, Range: r, Verdict: verdict, OffsetMS: offset, Samples: s.waiting}})
	s.waiting = 0
}

// sync makes the clock trusted.
func (s *story) sync() {
	if s.trusted {
		return
	}
	s.trusted = true
	s.wall = epoch + int64(s.bootNo)*1e9 + s.boot
	if s.held > 0 {
		s.decide(event.Range{From: s.held, To: s.l.last()}, event.VerdictShift, s.wall-s.boot)
	}
	s.held = 0
}

// live lets n things happen.
func (s *story) live(n int) *memoryLog {
	for range n {
		switch x := s.r.IntN(100); {
		case x < 55:
			s.tick()
		case x < 82:
			s.courier.work()
		case x < 85:
			s.sync()
		case x < 88:
			s.rotate()
		case x < 91:
			if s.r.IntN(2) == 0 {
				s.add(&event.Session{Stamp: s.stamp(), Phase: event.SessionEnd, ID: s.ctx.SessionID, BootID: s.ctx.BootID, DeviceID: "buoy-7", Reason: "stopped"})
			}
			s.restart()
		case x < 93:
			s.reboot()
		case x < 95:
			s.add(&event.Reject{Stamp: s.stamp(), Range: event.Range{From: 1, To: 2}, Samples: 3, Reason: event.ReasonTimeUnknown})
		case x < 96:
			s.courier.drop()
		case x < 97:
			s.courier.mislead()
		case x < 98:
			s.add(&event.Unknown{Stamp: s.stamp(), Of: 77, Body: []byte{1}})
		}
	}
	return s.l
}
