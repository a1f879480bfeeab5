package projections

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"taffrail/internal/event"
)

// sameFates compares what the index and the ledger say became of each sample with
// what the courier knows.
func sameFates(t *testing.T, e *Engine, c *courier) {
	t.Helper()
	want := map[sampleID]string{}
	var waiting []string
	for _, s := range c.in(event.Range{From: 1, To: c.l.last()}) {
		want[s.sampleID] = c.is(s)
		if want[s.sampleID] == "pending" {
			waiting = append(waiting, s.String())
		}
	}
	for _, row := range queryAll(t, e, anySeries) {
		id := sampleID{row.Index, row.Series.Key()}
		if is := want[id]; row.Uploaded != (is == "uploaded") || row.Rejected != (is == "rejected") {
			t.Fatalf("%s is %q (fate %d), and the index has uploaded %t, rejected %t", id, is, c.fates[id].fate, row.Uploaded, row.Rejected)
		}
	}
	if n := pending(t, e); n != int64(len(waiting)) {
		t.Fatalf("%d pending, want %d", n, len(waiting))
	}
	var got []string
	if err := e.QueryUnuploaded(t.Context(), 1<<30, func(r Row) bool {
		got = append(got, sampleID{r.Index, r.Series.Key()}.String())
		return true
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	slices.Sort(waiting)
	if !slices.Equal(got, waiting) {
		t.Fatalf("unuploaded are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(waiting, "\n"))
	}
	sameLedger(t, c)
}

// sameLedger compares the ledger's numbers.
func sameLedger(t *testing.T, c *courier) {
	t.Helper()
	l := &c.ledger
	done := c.count(took, refused, deleted)
	if slices.ContainsFunc(c.sent, func(b *shipment) bool { return b.mixed }) {
		if l.Done() < done {
			t.Fatalf("the ledger has done with %d, want at least %d", l.Done(), done)
		}
		return
	}
	if l.Done() != done || l.Pending() != c.count(unsent, doubtful) || l.Doubt() != c.count(doubtful)-c.openDoubts() {
		t.Fatalf("the ledger has done with %d, %d pending, %d in doubt; want %d, %d, %d: %+v", l.Done(), l.Pending(), l.Doubt(),
			done, c.count(unsent, doubtful), c.count(doubtful)-c.openDoubts(), l)
	}
	if !c.blurred && (l.Sent != c.count(took) || l.Rejected != c.count(refused) || l.Dropped != c.count(deleted)) {
		t.Fatalf("the ledger has %d sent, %d rejected, %d dropped; want %d, %d, %d", l.Sent, l.Rejected, l.Dropped,
			c.count(took), c.count(refused), c.count(deleted))
	}
}

// What became of each sample is right at every moment, whether in the database
// or not: uploaded, given up, deleted or pending.
func TestFateOfEverySample(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			story := newStory(t, 300+seed)
			o := options(t, story.l)
			o.MaxSamples = 150
			o.MaxLag = time.Minute
			bubble(t, o, func(t *testing.T, e *Engine) {
				for range 60 {
					story.live(6)
					sameFates(t, e, story.courier)
					time.Sleep(time.Duration(story.r.IntN(9)) * time.Second)
				}
				story.courier.finish()
				sameFates(t, e, story.courier)
				if n := pending(t, e); n != 0 || story.ledger.Pending() != 0 {
					t.Fatalf("in the end %d are pending in the index and %d in the ledger", n, story.ledger.Pending())
				}
				sameMetrics(t, e, story.courier)
			})
		})
	}
}

// sameMetrics compares the view.
func sameMetrics(t *testing.T, e *Engine, c *courier) {
	t.Helper()
	flush(t, e)
	want := map[string]bool{}
	for _, s := range c.in(event.Range{From: 1, To: c.l.last()}) {
		name, labels, _ := strings.Cut(s.key, "\x00")
		want[fmt.Sprint(s.ms, name, labels)] = c.is(s) == "uploaded"
	}
	uploaded := map[bool]int{}
	read(t, e, func(tx *sql.Tx) {
		if err := eachRow(t.Context(), tx, func(row []any) error {
			id, is := fmt.Sprint(row[0], row[1], row[2]), row[3] == any(int64(1))
			uploaded[is]++
			if is != want[id] {
				t.Fatalf("%s is uploaded in the view: %t, want %t", id, is, want[id])
			}
			return nil
		}, "SELECT timestamp_ms, metric_name, tags, uploaded FROM metrics"); err != nil {
			t.Fatal(err)
		}
	})
	if uploaded[true] == 0 || uploaded[false] == 0 {
		t.Fatalf("in the view: %v", uploaded)
	}
}

// The stories are worth something only as long as they have everything in them.
func TestStoriesHaveEverything(t *testing.T) {
	states, events := map[string]int{}, map[string]int{}
	for seed := range uint64(4) {
		story := newStory(t, 300+seed)
		o := options(t, story.live(400))
		build(t, o)
		edit(t, o.Path, func(db *sql.DB) {
			if err := eachRow(t.Context(), db, func(row []any) error {
				states[textOf(row[0])]++
				return nil
			}, `SELECT state FROM upload_checkpoints UNION ALL SELECT 'upload ' || upload FROM records
				UNION ALL SELECT 'rejected of ' || upload FROM rejected JOIN records USING (idx)`); err != nil {
				t.Fatal(err)
			}
		})
		for _, rec := range story.l.records {
			switch ev := rec.Event.(type) {
			case *event.Plan:
				events[fmt.Sprintf("plan, repair %t, more %t, continued %t", ev.Repair(), ev.More, ev.FirstLine > 0)]++
			case *event.Ack:
				events[fmt.Sprintf("ack, lines %t, doubt %t", len(ev.Lines) > 0, len(ev.Doubt) > 0)]++
			case *event.Reject:
				events["reject "+ev.Reason]++
			case *event.Settle, *event.Drop:
				events[ev.Kind().String()]++
			}
		}
	}
	for _, s := range []string{"planned", "acknowledged", "doubt", "rejected", "settled", "replaced", "upload 0", "upload 1", "upload 2", "upload 3",
		"rejected of 0", "rejected of 1"} {
		if states[s] == 0 {
			t.Errorf("no %s: %v", s, states)
		}
	}
	for _, s := range []string{"plan, repair false, more false, continued false", "plan, repair true, more false, continued false",
		"plan, repair false, more true, continued false", "plan, repair false, more true, continued true", "plan, repair false, more false, continued true",
		"ack, lines false, doubt false", "ack, lines true, doubt false", "ack, lines true, doubt true", "ack, lines false, doubt true",
		"reject refused", "reject receiver_dropped", "reject too_old", "reject far_future", "reject empty", "reject time_unknown", "settle", "drop"} {
		if events[s] == 0 {
			t.Errorf("no %s: %v", s, events)
		}
	}
}
