package projections

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"taffrail/internal/event"
)

// clockLog is a log of ticks with one sample each.
type clockLog struct {
	*memoryLog
	series *event.Series
}

func newClockLog(t *testing.T) clockLog {
	return clockLog{newMemoryLog(), mustSeries(t, "x", event.Gauge)}
}

func (l clockLog) tick(boot string, trusted bool, wall, bootMS int64) uint64 {
	ctx := &event.Context{SessionID: "run of " + boot, BootID: boot, DeviceID: "d"}
	return l.append("1", &event.Tick{Stamp: event.Stamp{WallMS: wall, BootMS: bootMS}, Trusted: trusted, Context: ctx,
		Samples: []event.Sample{{Series: l.series, Value: float64(bootMS)}}})
}

func (l clockLog) decide(boot, verdict string, from, to uint64, offset int64) {
	l.append("1", &event.Clock{BootID: boot, Decision: &event.Decision{
		BootID: boot, Range: event.Range{From: from, To: to}, Verdict: verdict, OffsetMS: offset}})
}

// times returns the rows that a query sees as INDEX@TIME.
func times(t *testing.T, e *Engine) string {
	t.Helper()
	var b []string
	for _, r := range queryAll(t, e, anySeries) {
		b = append(b, fmt.Sprintf("%d@%d", r.Index, r.TimeMS))
	}
	return strings.Join(b, " ")
}

func TestTimeCorrections(t *testing.T) {
	for _, tt := range []struct {
		name  string
		story func(l clockLog, sync func())
		want  string
	}{
		{"held", func(l clockLog, sync func()) {
			l.tick("a", true, epoch, 10)
			l.tick("b", false, 5, 5)
			sync()
		}, fmt.Sprintf("1@%d", epoch)},
		{"shift", func(l clockLog, sync func()) {
			l.tick("b", false, 5, 5)
			sync()
			l.tick("b", false, 7, 6)
			l.tick("b", true, epoch, 100)
			l.decide("b", event.VerdictShift, 1, 3, epoch-100)
			sync()
		}, fmt.Sprintf("1@%d 2@%d 3@%d", epoch-95, epoch-94, epoch)},
		{"as is", func(l clockLog, sync func()) {
			l.tick("b", false, epoch, 5)
			sync()
			l.tick("b", false, epoch+3, 6)
			l.decide("b", event.VerdictAsIs, 1, 2, epoch-4)
		}, fmt.Sprintf("1@%d 2@%d", epoch+1, epoch+2)},
		{"unknown", func(l clockLog, sync func()) {
			l.tick("b", false, 5, 5)
			sync()
			l.tick("b", false, 6, 6)
			l.decide("b", event.VerdictUnknown, 1, 2, 0)
			sync()
			l.decide("b", event.VerdictShift, 1, 2, epoch) // decided before: stays
			sync()
		}, ""},
		{"a second decision", func(l clockLog, sync func()) {
			l.tick("b", false, 5, 5)
			l.decide("b", event.VerdictShift, 1, 1, epoch)
			sync()
			l.tick("b", false, 6, 6)
			l.decide("b", event.VerdictShift, 1, 3, epoch+1000)
			sync()
		}, fmt.Sprintf("1@%d 3@%d", epoch+5, epoch+1006)},
		{"open range", func(l clockLog, sync func()) {
			l.tick("b", false, epoch, 5)
			l.decide("b", event.VerdictAsIs, 1, 0, epoch-5)
			sync()
			l.tick("b", false, epoch+1, 6)
			sync()
			l.tick("b", false, epoch+2, 7)
		}, fmt.Sprintf("1@%d 3@%d 4@%d", epoch, epoch+1, epoch+2)},
		{"another boot and what lies outside", func(l clockLog, sync func()) {
			l.tick("a", false, 3, 3)
			l.tick("b", false, 4, 4)
			sync()
			l.tick("b", false, 5, 5)
			l.tick("a", false, 6, 6)
			l.tick("b", false, 7, 7)
			l.decide("b", event.VerdictShift, 2, 4, epoch)
			sync()
		}, fmt.Sprintf("2@%d 3@%d", epoch+4, epoch+5)},
		{"trusted ticks stay", func(l clockLog, sync func()) {
			l.tick("b", false, 4, 4)
			l.tick("b", true, epoch, 5)
			sync()
			l.decide("b", event.VerdictShift, 1, 9, epoch-1)
		}, fmt.Sprintf("2@%d 1@%d", epoch, epoch+3)},
	} {
		for _, stored := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stored %t", tt.name, stored), func(t *testing.T) {
				l := newClockLog(t)
				o := options(t, l.memoryLog)
				o.MaxLag = time.Hour
				var live string
				bubble(t, o, func(t *testing.T, e *Engine) {
					tt.story(l, func() {
						if stored {
							flush(t, e)
						} else {
							times(t, e) // the head reads what there is
						}
					})
					if got := times(t, e); got != tt.want {
						t.Errorf("got  %s\nwant %s", got, tt.want)
					}
					live = engineDump(t, e)
					if got := times(t, e); got != tt.want {
						t.Errorf("from the database: %s\nwant %s", got, tt.want)
					}
				})
				// Whoever reads the log now knows the decisions in advance.
				same(t, "rebuilt", build(t, options(t, l.memoryLog)), live)
			})
		}
	}
}

// A correction writes one row a tick and no sample.
func TestCorrectionTouchesNoSample(t *testing.T) {
	l := newClockLog(t)
	for i := range 3000 { // more than one page of changes
		l.tick("b", false, int64(i), int64(i))
	}
	o := options(t, l.memoryLog)
	build(t, o)
	alter(t, o.Path, "CREATE TEMP TABLE x (y)") // a writable database
	before := column(t, o.Path, "SELECT group_concat(idx || ' ' || series_id || ' ' || value) FROM samples")
	l.decide("b", event.VerdictShift, 1, 3000, epoch)
	build(t, o)
	if after := column(t, o.Path, "SELECT group_concat(idx || ' ' || series_id || ' ' || value) FROM samples"); after != before {
		t.Fatal("samples changed")
	}
	if n := column(t, o.Path, fmt.Sprintf("SELECT count(*) || '' FROM records WHERE decided = 1 AND ts_ms = boot_ms + %d", epoch)); n != "3000" {
		t.Fatalf("%s records were corrected", n)
	}
}

func column(t *testing.T, path, query string) (text string) {
	t.Helper()
	edit(t, path, func(db *sql.DB) {
		if err := db.QueryRowContext(t.Context(), query).Scan(&text); err != nil {
			t.Fatal(err)
		}
	})
	return text
}

func TestSessionEndings(t *testing.T) {
	l := newMemoryLog()
	at := int64(0)
	stamp := func() event.Stamp { at++; return event.Stamp{WallMS: epoch + at, BootMS: at} }
	begin := func(id, boot string) {
		l.append("1", &event.SegmentHeader{Stamp: stamp(), DeviceID: "d", Session: id, BootID: boot, Version: "9"})
		l.append("1", &event.Session{Stamp: stamp(), Phase: event.SessionStart, ID: id, BootID: boot, DeviceID: "d", Version: "9"})
	}
	tick := func(id, boot string) {
		l.append("1", &event.Tick{Stamp: stamp(), Trusted: true, Context: &event.Context{SessionID: id, BootID: boot, DeviceID: "d"},
			Samples: []event.Sample{{Series: mustSeries(t, "n", event.Gauge)}, {Series: mustSeries(t, "t", event.Text)}}})
	}
	begin("stopped", "a")
	tick("stopped", "a")
	l.append("1", &event.Session{Stamp: stamp(), Phase: event.SessionEnd, ID: "stopped", BootID: "a", Reason: "stopped"})
	begin("killed", "a")
	tick("killed", "a")
	tick("killed", "a")
	begin("cut off", "a")
	tick("cut off", "a")
	tick("no start", "b") // its header and start event are damaged
	begin("running", "b")
	// What the daemon says of those before it agrees with what follows anyway,
	// also where the header of its segment comes first.
	l.append("1", &event.Session{Stamp: stamp(), Phase: event.SessionEnd, ID: "no start", BootID: "b", Reason: event.EndCrashed, LastMS: epoch + 12})

	o := options(t, l)
	build(t, o)
	got := column(t, o.Path, `SELECT group_concat(x, x'0a') FROM (SELECT n || ' ' || id || ' ' || boot_id || ' ' || version || ' ' ||
		ifnull(ended, 'running') || ' start ' || (start_ms - 1767226600000) || ' end ' || ifnull(end_ms - 1767226600000, '-') ||
		' alive ' || (alive_ms - 1767226600000) || '/' || alive_boot_ms || ' ticks ' || ticks || ' samples ' || samples || ' texts ' || texts || reason AS x
		FROM sessions ORDER BY n)`)
	want := `1 stopped a 9 completed start 1 end 4 alive 4/4 ticks 1 samples 1 texts 1stopped
2 killed a 9 crashed start 5 end - alive 8/8 ticks 2 samples 2 texts 2
3 cut off a 9 power_lost start 9 end - alive 11/11 ticks 1 samples 1 texts 1
4 no start b  crashed start 12 end 12 alive 12/12 ticks 1 samples 1 texts 1crashed
5 running b 9 running start 13 end - alive 14/14 ticks 0 samples 0 texts 0`
	if got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}
