package projections

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"taffrail/internal/event"
)

// However the log is cut into transactions, the index is the same, and it
// answers with what the log holds.
func TestIndexIsAFunctionOfTheLog(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := newStory(t, seed).live(300)
			want := build(t, options(t, l))
			for _, table := range []string{"records", "samples", "series", "sessions", "events", "segments", "upload_checkpoints", "rejected"} {
				if !strings.Contains(want, "\n"+table+" ") {
					t.Fatalf("the story leaves %s empty", table)
				}
			}
			for _, samples := range []int{1, 30, 1000} {
				o := options(t, l)
				o.MaxSamples = samples
				same(t, fmt.Sprintf("transactions of %d", samples), want, build(t, o))
			}
			bubble(t, options(t, l), func(t *testing.T, e *Engine) {
				sameRows(t, e, l)
				settled(t, e)
			})
		})
	}
}

// Also where events of uploads are damaged, whatever they said: what the next
// segment's header says of them is folded alike.
func TestIndexOfADamagedLog(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			story := newStory(t, 500+seed)
			l := story.live(400)
			for i := range l.last() {
				switch l.records[i].Event.(type) {
				case *event.Plan, *event.Ack, *event.Settle, *event.Reject, *event.Drop:
					l.damaged[i+1] = story.r.IntN(3) == 0
				}
			}
			want := build(t, options(t, l))
			for _, samples := range []int{1, 50} {
				o := options(t, l)
				o.MaxSamples = samples
				same(t, fmt.Sprintf("transactions of %d", samples), want, build(t, o))
			}
			// A kill and a restart at every so many records.
			o := options(t, l)
			for n := 20; n < int(l.last()); n += 20 {
				part := l.prefix(n)
				part.damaged = l.damaged
				o.Open, o.effective = part.open, part.effective
				build(t, o)
			}
			o.Open, o.effective = l.open, l.effective
			same(t, "restarts", want, build(t, o))
			bubble(t, options(t, l), func(t *testing.T, e *Engine) { settled(t, e) })
		})
	}
}

// The index of a log that grows, whose ticks have no time when they are read,
// becomes that of the finished log; and at every moment it answers with what
// the log holds by then, whether in the database or not.
func TestIndexFollowsALivingLog(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			story := newStory(t, 100+seed)
			o := options(t, story.l)
			o.MaxSamples = 90
			o.MaxLag = 20 * time.Second
			var live string
			bubble(t, o, func(t *testing.T, e *Engine) {
				for range 50 {
					story.live(5)
					time.Sleep(time.Duration(story.r.IntN(3000)) * time.Millisecond)
					sameRows(t, e, story.l)
				}
				live = engineDump(t, e)
			})
			same(t, "rebuilt with all decisions known", build(t, options(t, story.l)), live)
		})
	}
}

// A kill at any commit boundary loses and repeats nothing. The kill is simulated
// by a copy of the files as they are behind each commit.
func TestKillAtEveryCommit(t *testing.T) {
	l := newStory(t, 42).live(150)
	want := build(t, options(t, l))
	for n := 1; n <= int(l.last()); n += 5 {
		// An index of the log's first n records, left as a kill would leave it.
		o := options(t, l.prefix(n))
		o.MaxSamples = 40
		killed := options(t, l)
		abandon(t, o, killed.Path)
		same(t, fmt.Sprintf("killed behind record %d", n), want, build(t, killed))
	}
}

// abandon brings an index up to the end of its log and copies its files while
// it is open: the WAL is not in the database yet.
func abandon(t *testing.T, o Options, to string) {
	t.Helper()
	bubble(t, o, func(t *testing.T, e *Engine) {
		flush(t, e)
		for _, suffix := range []string{"", "-wal"} {
			copyFile(t, o.Path+suffix, to+suffix)
		}
		if info, err := os.Stat(to + "-wal"); err != nil || info.Size() == 0 {
			t.Fatalf("nothing is in the WAL: %v", err)
		}
	})
}

// A power cut in the middle of a commit leaves part of the WAL. Whatever part it
// is, the index goes on from the transaction before.
func TestCommitCutShort(t *testing.T) {
	l := newStory(t, 43).live(150)
	want := build(t, options(t, l))
	whole := options(t, l)
	whole.MaxSamples = 60
	copied := t.TempDir() + "/index.db"
	abandon(t, whole, copied)
	wal, err := os.ReadFile(copied + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut <= len(wal); cut += 1 + len(wal)/37 {
		o := options(t, l)
		copyFile(t, copied, o.Path)
		if err := os.WriteFile(o.Path+"-wal", wal[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		status, err := Build(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if status.Rebuilds > 0 {
			t.Fatalf("cut at %d: set aside: %s", cut, status.LastReason)
		}
		same(t, fmt.Sprintf("WAL cut at %d", cut), want, dumpOf(t, o.Path))
	}
}
