package shipper

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"taffrail/internal/event"
)

// settleLife returns a device whose receiver can be asked.
func settleLife(t *testing.T, dedup time.Duration) *life {
	opts := testOptions()
	opts.Remote.ReadURL, opts.Remote.Timeout, opts.UploadInterval = "", 10*time.Second, 10*time.Second
	return newLife(t, 1, opts, newModel(t, dedup))
}

// change changes the receiver's rules.
func (m *model) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// rejected returns the samples that were given up, by reason.
func rejected(l *memoryLog) map[string]int {
	n := map[string]int{}
	for _, ev := range l.of(event.KindReject) {
		r := ev.(*event.Reject)
		n[r.Reason] += r.Samples
	}
	return n
}

// A receiver that keeps one sample of each 30 s lacks none: what it merges away
// is settled with what is left.
func TestSettlingUnderCoarseDedup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := settleLife(t, 30*time.Second)
		// As after a merge: only the last of each interval can be seen.
		l.live(15 * time.Minute)
		time.Sleep(3 * time.Minute)
		if got := rejected(l.log); len(got) != 0 {
			t.Errorf("rejected: %v", got)
		}
		if repairs(l.log) != 0 {
			t.Errorf("%d batches are sent again", repairs(l.log))
		}
		l.check()
	})
}

// Bodies whose end is lost though they are answered for: what is missing is sent
// again, and nothing else.
func TestSettlingRepairsBodiesThatWereCut(t *testing.T) {
	for _, dedup := range []time.Duration{time.Millisecond, 0} {
		t.Run(fmt.Sprint("dedup ", dedup), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := settleLife(t, dedup)
				n := 0
				l.model.cuts = func() bool { n++; return n%5 == 0 && n < 60 }
				l.live(25 * time.Minute)
				time.Sleep(time.Minute)
				if repairs(l.log) == 0 {
					t.Error("nothing was sent again")
				}
				l.check()
			})
		})
	}
}

// What the receiver drops, however often it is sent, is given up after two rounds
// with the reason, and everything else is settled.
func TestSettlingEndsWhereTheReceiverDrops(t *testing.T) {
	for _, dedup := range []time.Duration{time.Millisecond, 0} {
		t.Run(fmt.Sprint("dedup ", dedup), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := settleLife(t, dedup)
				dropped := 0
				l.model.drops = func(labels map[string]string, ms int64) bool {
					drop := labels["n"] == "1" && ms < startMS+60_000 // over a limit of labels, say
					if drop {
						dropped++
					}
					return drop
				}
				l.live(30 * time.Minute)
				time.Sleep(time.Minute)
				l.end()
				ledger := l.log.Ledger()
				if got := rejected(l.log); got[event.ReasonReceiverDropped] != 60 || len(got) != 1 || ledger.Rejected != 60 {
					t.Errorf("rejected: %v, %d in the ledger", got, ledger.Rejected)
				}
				if dropped != 60*(1+rounds) {
					t.Errorf("they were sent %d times, want once and %d more", dropped/60, rounds)
				}
				if want := uint64(30*60*3 - 60); ledger.Sent != want || ledger.Pending() != 0 {
					t.Errorf("%d sent, want %d, %d pending", ledger.Sent, want, ledger.Pending())
				}
				if ledger.SettledCursor() < l.log.LastIndex()*7/10 {
					t.Errorf("settled up to %d of %d", ledger.SettledCursor(), l.log.LastIndex())
				}
				for _, ev := range l.log.of(event.KindReject) {
					if r := ev.(*event.Reject); len(r.Gaps) == 0 || len(r.Gaps[0].Series) != 1 || event.KeyText(r.Gaps[0].Series[0]) != `c{"n":"1"}` {
						t.Errorf("the reject does not name what was dropped: %+v", r)
					}
				}
			})
		})
	}
}

// Samples that are older than what the receiver keeps are refused before they are
// sent where its retention is known, and after two rounds where it is not.
func TestSamplesBeyondRetention(t *testing.T) {
	for _, tc := range []struct {
		name   string
		hidden bool
		reason string
	}{{"known", false, event.ReasonTooOld}, {"hidden", true, event.ReasonReceiverDropped}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := testOptions()
				opts.Remote.ReadURL, opts.UploadInterval = "", 10*time.Second
				m := newModel(t, time.Millisecond)
				m.keeps, m.noFlags = 30*24*time.Hour, tc.hidden
				m.kill()
				l := newLife(t, 1, opts, m)
				l.live(time.Minute)
				l.end()
				l.began = l.began.Add(-40 * 24 * time.Hour) // 40 days later
				oldest := l.now() - m.keeps.Milliseconds()
				sent := 0
				m.drops = func(_ map[string]string, ms int64) bool {
					if ms < oldest {
						sent++
					}
					return ms < oldest
				}
				m.start()
				l.boot()
				l.live(20 * time.Minute)
				time.Sleep(time.Minute)
				l.end()
				// The first tick was planned 40 days ago, and a plan is kept.
				const planned = 3
				got := rejected(l.log)
				if got[event.ReasonTooOld]+got[event.ReasonReceiverDropped] != 180 || got[tc.reason] < 180-planned {
					t.Errorf("rejected: %v", got)
				}
				if !tc.hidden && sent > planned*(1+rounds) {
					t.Errorf("%d samples were sent in vain", sent)
				}
				if ledger := l.log.Ledger(); ledger.Pending() != 0 || ledger.Rejected != 180 || ledger.Sent != 20*60*3 {
					t.Errorf("%d sent, %d pending, %d rejected", ledger.Sent, ledger.Pending(), ledger.Rejected)
				}
			})
		})
	}
}

// A read answer that is not what was asked for settles nothing and holds up
// nothing.
func TestReadsThatSayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := settleLife(t, time.Millisecond)
		l.model.change(func() { l.model.noReads = 502 })
		l.live(20 * time.Minute)
		time.Sleep(time.Minute)
		ledger := l.log.Ledger()
		if ledger.Pending() != 0 || len(ledger.Settled) != 0 || ledger.Rejected != 0 || repairs(l.log) != 0 {
			t.Errorf("%d pending, settled %v", ledger.Pending(), ledger.Settled)
		}
		l.model.change(func() { l.model.noReads = 0 })
		l.live(12 * time.Minute)
		time.Sleep(time.Minute)
		l.check()
	})
}

// What settling costs on the link is counted.
func TestSettlingIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := settleLife(t, time.Millisecond)
		s, err := New(l.log, l.opts)
		if err != nil {
			t.Fatal(err)
		}
		s.client.http.Transport = l.model
		l.end()
		if got := s.Status(); !got.ReadAccess || got.Settle.Requests != 0 {
			t.Errorf("%+v", got)
		}
		s.settler.learn(t.Context())
		if got := s.Status().Settle; got.Requests != 3 || got.BytesSent == 0 || got.BytesReceived == 0 {
			t.Errorf("%+v", got)
		}
	})
}
