package projections

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"taffrail/internal/event"
)

// The two series of the fixture that can be sent.
const (
	cpuKey  = "cpu.usage_percent\x00" + `{"core":"0"}`
	diskKey = "disk.read_bytes_total\x00{}"
)

func (f *uploadFixture) add(events ...event.Event) { f.l.append("00000000000000000001", events...) }

// line is the reject of a line of the batch that is open.
func line(batch string, chunk, n, samples int, key string, firstMS, lastMS int64) *event.Reject {
	return &event.Reject{Range: event.Range{From: 1, To: 4}, Samples: samples, Reason: event.ReasonRefused, Line: &event.RejectedLine{
		Batch: batch, Chunk: chunk, Line: n, Series: key, FirstMS: firstMS, LastMS: lastMS, Status: 400, Answer: "cannot parse"}}
}

// dropped says that the receiver dropped samples of the records 1 to 4.
func dropped(samples int, gaps ...event.Gap) *event.Reject {
	return &event.Reject{Range: event.Range{From: 1, To: 4}, Samples: samples, Reason: event.ReasonReceiverDropped, Gaps: gaps}
}

func settle(ranges ...event.Range) *event.Settle { return &event.Settle{Ranges: ranges} }

// chunkStates returns batch/chunk state acknowledged/rejected of all rows.
func chunkStates(t *testing.T, o Options) string {
	t.Helper()
	build(t, o)
	return column(t, o.Path, `SELECT ifnull(group_concat(x, ', '), '') FROM (SELECT batch_id || '/' || chunk_index || ' ' || state || ' ' || acknowledged || '/' || rejected AS x
		FROM upload_checkpoints ORDER BY plan_idx, chunk_index)`)
}

// Chunks of 2 and 3 samples in 1 and 2 lines go through their states; each event
// is written by a transaction of its own, or all are by one.
func TestChunkStates(t *testing.T) {
	all := event.Range{From: 1, To: 4}
	for _, tt := range []struct {
		name   string
		events []event.Event
		want   string
	}{
		{"lines", []event.Event{&event.Ack{Batch: "b", Lines: []event.Lines{{Chunk: 1, From: 1, To: 1, Samples: 1}}}}, "b/0 planned 0/0, b/1 planned 1/0"},
		{"all lines", []event.Event{&event.Ack{Batch: "b", Lines: []event.Lines{{Chunk: 1, From: 1, To: 1, Samples: 1}, {Chunk: 1, Samples: 2}}}},
			"b/0 planned 0/0, b/1 acknowledged 3/0"},
		{"a line refused", []event.Event{line("b", 1, 0, 2, cpuKey, 0, 1)}, "b/0 planned 0/0, b/1 planned 0/2"},
		{"a line refused, the other taken", []event.Event{line("b", 1, 0, 2, cpuKey, 0, 1), &event.Ack{Batch: "b", Chunks: []int{1}}}, "b/0 planned 0/0, b/1 acknowledged 1/2"},
		{"all refused", []event.Event{line("b", 1, 0, 2, cpuKey, 0, 1), line("b", 1, 1, 1, diskKey, 0, 1)}, "b/0 planned 0/0, b/1 rejected 0/3"},
		{"in doubt", []event.Event{&event.Ack{Batch: "b", Doubt: []int{1}}}, "b/0 planned 0/0, b/1 doubt 0/0"},
		{"in doubt, and complete", []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}}}, "b/0 acknowledged 2/0, b/1 doubt 0/0"},
		{"in doubt, then answered", []event.Event{&event.Ack{Batch: "b", Doubt: []int{1}}, &event.Ack{Batch: "b", Chunks: []int{1}}}, "b/0 planned 0/0, b/1 acknowledged 3/0"},
		{"settled", []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}}, settle(all)}, "b/0 settled 2/0, b/1 settled 0/0"},
		{"refused lines are not settled", []event.Event{line("b", 0, 0, 2, cpuKey, 0, 1), &event.Ack{Batch: "b", Chunks: []int{1}}, settle(all)}, "b/0 rejected 0/2, b/1 settled 3/0"},
		{"another range settled", []event.Event{&event.Ack{Batch: "b", Chunks: []int{0, 1}}, settle(event.Range{From: 1, To: 3}, event.Range{From: 2, To: 9})},
			"b/0 acknowledged 2/0, b/1 acknowledged 3/0"},
		{"replaced", []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}, Lines: nil}, // complete: not replaced any more
			&event.Plan{Batch: "c", Range: event.Range{From: 5, To: 5}, Chunks: []event.Chunk{{Lines: 1, Samples: 1}}},
			&event.Plan{Batch: "d", Range: event.Range{From: 5, To: 5}, Chunks: []event.Chunk{{Lines: 1, Samples: 1}}}},
			"b/0 acknowledged 2/0, b/1 doubt 0/0, c/0 replaced 0/0, d/0 planned 0/0"},
		{"acknowledged and replaced", []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}}, &event.Plan{Batch: "c", Range: all, Chunks: []event.Chunk{{Lines: 1, Samples: 5}}}},
			"b/0 replaced 2/0, b/1 replaced 0/0, c/0 planned 0/0"},
		{"a repair", []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}},
			&event.Plan{Batch: "r", Range: all, Gaps: []event.Gap{{ToMS: 1 << 60}}, Chunks: []event.Chunk{{Lines: 1, Samples: 1}, {Lines: 1, Samples: 1}}},
			&event.Ack{Batch: "r", Chunks: []int{0}}},
			"b/0 acknowledged 2/0, b/1 doubt 0/0, r/0 acknowledged 1/0, r/1 planned 0/0"},
		{"a repair replaced", []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}},
			&event.Plan{Batch: "r", Range: all, Gaps: []event.Gap{{ToMS: 1 << 60}}, Chunks: []event.Chunk{{Lines: 1, Samples: 1}, {Lines: 1, Samples: 1}}},
			&event.Ack{Batch: "r", Chunks: []int{0}},
			&event.Plan{Batch: "s", Range: all, Gaps: []event.Gap{{ToMS: 1 << 60}}, Chunks: []event.Chunk{{Lines: 1, Samples: 1}}},
			&event.Ack{Batch: "s", Chunks: []int{0}}, settle(all)},
			"b/0 settled 2/0, b/1 settled 0/0, r/0 settled 1/0, r/1 replaced 0/0, s/0 settled 1/0"},
		{"settled while a repair is open", []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}},
			&event.Plan{Batch: "r", Range: all, Gaps: []event.Gap{{ToMS: 1 << 60}}, Chunks: []event.Chunk{{Lines: 1, Samples: 1}, {Lines: 1, Samples: 1}}},
			&event.Ack{Batch: "r", Chunks: []int{0}}, settle(all)},
			"b/0 settled 2/0, b/1 settled 0/0, r/0 acknowledged 1/0, r/1 planned 0/0"},
		{"settled while a repair is sent", []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}},
			&event.Plan{Batch: "r", Range: all, Gaps: []event.Gap{{ToMS: 1 << 60}}, Chunks: []event.Chunk{{Lines: 1, Samples: 1}, {Lines: 1, Samples: 1}}},
			&event.Ack{Batch: "r", Chunks: []int{0}}, settle(all), &event.Ack{Batch: "r", Doubt: []int{1}}},
			"b/0 settled 2/0, b/1 settled 0/0, r/0 acknowledged 1/0, r/1 doubt 0/0"},
		{"its records deleted while it is open", []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}}, &event.Drop{Range: all, Samples: 4}},
			"b/0 replaced 2/0, b/1 replaced 0/0"},
		{"deleted while it was in doubt", []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}}, &event.Drop{Range: all}, settle(all)},
			"b/0 acknowledged 2/0, b/1 doubt 0/0"},
		{"its beginning deleted, then settled", []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}},
			&event.Drop{Range: event.Range{From: 1, To: 3}}, settle(all)},
			"b/0 settled 2/0, b/1 settled 0/0"},
	} {
		for _, stepwise := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stepwise %t", tt.name, stepwise), func(t *testing.T) {
				f := newUploadFixture(t)
				f.plan("b", 1, 4, 2)
				o := options(t, f.l)
				for _, ev := range tt.events {
					f.add(ev)
					if stepwise {
						build(t, o)
					}
				}
				if got := chunkStates(t, o); got != tt.want {
					t.Fatalf("got  %s\nwant %s", got, tt.want)
				}
			})
		}
	}
}

// Where the events that say it are damaged, the next segment's header tells what
// became of chunks, records and samples.
func TestHeaderTellsWhatWasMissed(t *testing.T) {
	all := event.Range{From: 1, To: 4}
	first := func(f *uploadFixture) int64 { return f.wall - 1000 }
	repair := &event.Plan{Batch: "r", Range: all, Gaps: []event.Gap{{ToMS: 1 << 60}}, Chunks: []event.Chunk{{Lines: 1, Samples: 1}}}
	for _, tt := range []struct {
		name    string
		events  func(f *uploadFixture) []event.Event // behind a plan
		missed  []int                                // of them; 0 is the plan
		want    string                               // chunks
		samples string
	}{
		{"an acknowledgement", func(*uploadFixture) []event.Event { return []event.Event{&event.Ack{Batch: "b", Chunks: []int{0, 1}}} }, []int{1},
			"b/0 acknowledged 0/0, b/1 acknowledged 0/0", "upload 1, 0 rejected; upload 1, 0 rejected"},
		{"an acknowledgement in part", func(*uploadFixture) []event.Event { return []event.Event{&event.Ack{Batch: "b", Chunks: []int{1}}} }, []int{1},
			"b/0 planned 0/0, b/1 acknowledged 3/0", "upload 0, 0 rejected; upload 0, 0 rejected"},
		{"a plan", func(*uploadFixture) []event.Event { return []event.Event{&event.Ack{Batch: "b", Chunks: []int{1}}} }, []int{0},
			"b/0 planned 0/0, b/1 acknowledged 3/0", "upload 0, 0 rejected; upload 0, 0 rejected"},
		{"all of a batch", func(*uploadFixture) []event.Event { return []event.Event{&event.Ack{Batch: "b", Chunks: []int{0, 1}}} }, []int{0, 1},
			"", "upload 1, 0 rejected; upload 1, 0 rejected"},
		{"a doubt", func(*uploadFixture) []event.Event {
			return []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}}}
		}, []int{1},
			"b/0 doubt 0/0, b/1 doubt 0/0", "upload 0, 0 rejected; upload 0, 0 rejected"},
		{"a settle", func(*uploadFixture) []event.Event {
			return []event.Event{&event.Ack{Batch: "b", Chunks: []int{0, 1}}, settle(all)}
		}, []int{2},
			"b/0 settled 2/0, b/1 settled 3/0", "upload 1, 0 rejected; upload 1, 0 rejected"},
		{"a settle of what was in doubt", func(*uploadFixture) []event.Event {
			return []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}}, settle(all)}
		}, []int{2},
			"b/0 settled 2/0, b/1 settled 0/0", "upload 1, 0 rejected; upload 1, 0 rejected"},
		{"a drop of what was acknowledged", func(*uploadFixture) []event.Event {
			return []event.Event{&event.Ack{Batch: "b", Chunks: []int{0, 1}}, &event.Drop{Range: all}}
		}, []int{2},
			"b/0 acknowledged 2/0, b/1 acknowledged 3/0", "upload 1, 0 rejected; upload 1, 0 rejected"},
		{"a drop of what was in doubt", func(*uploadFixture) []event.Event {
			return []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}}, &event.Drop{Range: all}}
		}, []int{2},
			"b/0 acknowledged 2/0, b/1 doubt 0/0", "upload 3, 0 rejected; upload 3, 0 rejected"},
		{"a line", func(f *uploadFixture) []event.Event {
			return []event.Event{line("b", 1, 0, 1, cpuKey, first(f), first(f))}
		}, []int{1},
			"b/0 planned 0/0, b/1 planned 0/1", "upload 0, 1 rejected; upload 0, 0 rejected"},
		{"a line of a batch that is complete", func(f *uploadFixture) []event.Event {
			return []event.Event{line("b", 1, 0, 1, cpuKey, first(f), f.wall), &event.Ack{Batch: "b", Chunks: []int{0, 1}}}
		}, []int{1},
			"b/0 acknowledged 2/0, b/1 acknowledged 3/0", "upload 1, 1 rejected; upload 1, 1 rejected"},
		{"what the receiver dropped", func(f *uploadFixture) []event.Event {
			return []event.Event{&event.Ack{Batch: "b", Chunks: []int{0, 1}}, dropped(2, event.Gap{FromMS: f.wall, ToMS: f.wall})}
		}, []int{2},
			"b/0 acknowledged 2/0, b/1 acknowledged 3/0", "upload 1, 0 rejected; upload 1, 2 rejected"},
		{"a range given up", func(*uploadFixture) []event.Event {
			return []event.Event{&event.Reject{Range: all, Samples: 4, Reason: event.ReasonTooOld}}
		}, []int{1},
			"b/0 planned 0/0, b/1 planned 0/0", "upload 3, 0 rejected; upload 3, 0 rejected"},
		{"a batch in place of the one that is known", func(f *uploadFixture) []event.Event {
			return []event.Event{line("b", 1, 0, 1, cpuKey, first(f), first(f)), &event.Plan{Batch: "c", Range: all, Chunks: []event.Chunk{{Lines: 2, Samples: 4}}}}
		}, []int{2},
			"b/0 replaced 0/0, b/1 replaced 0/1, c/0 planned 0/0", "upload 0, 0 rejected; upload 0, 0 rejected"},
		{"a repair", func(*uploadFixture) []event.Event {
			return []event.Event{&event.Ack{Batch: "b", Chunks: []int{0}, Doubt: []int{1}}, repair, &event.Ack{Batch: "r", Chunks: []int{0}}}
		}, []int{3},
			"b/0 acknowledged 2/0, b/1 doubt 0/0, r/0 replaced 0/0", "upload 0, 0 rejected; upload 0, 0 rejected"},
		{"a part of a record", func(f *uploadFixture) []event.Event {
			return []event.Event{&event.Plan{Batch: "p", Range: event.Range{From: 4, To: 4}, More: true, Chunks: []event.Chunk{{Lines: 1, Samples: 1}}},
				line("p", 0, 0, 1, diskKey, f.wall, f.wall)}
		}, []int{2},
			"b/0 replaced 0/0, b/1 replaced 0/0, p/0 acknowledged 0/0", "upload 0, 0 rejected; upload 0, 1 rejected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newUploadFixture(t)
			f.plan("b", 1, 4, 2)
			plan := f.l.last()
			f.add(tt.events(f)...)
			var ledger event.Ledger
			for _, rec := range f.l.records {
				ledger.Apply(rec.Index, rec.Event)
			}
			f.l.append("00000000000000000099", &event.SegmentHeader{DeviceID: "buoy-7", Session: "run-1", BootID: "boot-1", Ledger: ledger})
			for _, n := range tt.missed {
				f.l.damaged[plan+uint64(n)] = true
			}
			o := options(t, f.l)
			if got := chunkStates(t, o); got != tt.want {
				t.Errorf("chunks\ngot  %s\nwant %s", got, tt.want)
			}
			if got := column(t, o.Path, "SELECT group_concat('upload ' || upload || ', ' || rejected || ' rejected', '; ') FROM (SELECT * FROM records ORDER BY idx)"); got != tt.samples {
				t.Errorf("samples\ngot  %s\nwant %s", got, tt.samples)
			}
			again := options(t, f.l)
			again.MaxSamples = 1
			same(t, "stepwise", dumpOf(t, o.Path), build(t, again))
		})
	}
}

// A reject is about samples before it, of the series that it names; the ticks can
// be many.
func TestRejectedSamples(t *testing.T) {
	all := event.Gap{ToMS: 1 << 60}
	for _, tt := range []struct {
		name   string
		reject event.Reject
		want   string // rejected samples of both series, and the records that have any
	}{
		{"all", event.Reject{Range: event.Range{From: 3, To: 602}, Gaps: []event.Gap{all}}, "600 600 600"},
		{"a series", event.Reject{Range: event.Range{From: 3, To: 602}, Gaps: []event.Gap{{ToMS: 1 << 60, Series: []string{diskKey}}}}, "0 600 600"},
		{"both, one by one", event.Reject{Range: event.Range{From: 3, To: 602}, Gaps: []event.Gap{{ToMS: epoch + 100_000, Series: []string{diskKey}}, {ToMS: epoch + 1000, Series: []string{cpuKey}}}}, "1 100 100"},
		{"a series that is not there", event.Reject{Range: event.Range{From: 3, To: 602}, Gaps: []event.Gap{{ToMS: 1 << 60, Series: []string{"cpu.usage_percent\x00{}"}}}}, "0 0 0"},
		{"a part of the range", event.Reject{Range: event.Range{From: 303, To: 312}, Gaps: []event.Gap{all}}, "10 10 10"},
		{"a stretch of time", event.Reject{Range: event.Range{From: 3, To: 602}, Gaps: []event.Gap{{FromMS: epoch + 5000, ToMS: epoch + 9000}}}, "5 5 5"},
		{"a range without an end", event.Reject{Range: event.Range{From: 0, To: 1<<64 - 1}, Gaps: []event.Gap{all}}, "600 600 600"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newUploadFixture(t)
			for range 598 {
				f.tick(t)
			}
			tt.reject.Samples, tt.reject.Reason = 1, event.ReasonReceiverDropped
			f.add(&event.Plan{Batch: "b", Range: event.Range{From: 3, To: 602}, Chunks: []event.Chunk{{Lines: 1, Samples: 1200}}},
				&event.Ack{Batch: "b", Chunks: []int{0}}, &tt.reject)
			for range 10 { // later ones
				f.tick(t)
			}
			o := options(t, f.l)
			build(t, o)
			if got := column(t, o.Path, `SELECT (SELECT count(*) FROM rejected WHERE series_id = 1) || ' ' || (SELECT count(*) FROM rejected WHERE series_id = 3) || ' ' ||
				(SELECT count(*) FROM records WHERE rejected > 0)`); got != tt.want {
				t.Fatalf("rejected: %s, want %s", got, tt.want)
			}
			again := options(t, f.l)
			again.MaxSamples = 1
			same(t, "stepwise", dumpOf(t, o.Path), build(t, again))
		})
	}
}

// Of chunks, only those of the open batch stay in memory.
func TestChunksInMemory(t *testing.T) {
	story := newStory(t, 61)
	l := story.live(400)
	e, err := New(options(t, l))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.session(t.Context(), func(ctx context.Context, w *writer, source Source) error {
		if err := e.once(ctx, w, source); err != nil {
			return err
		}
		if err := w.commit(ctx); err != nil {
			return err
		}
		want := 0
		if open := story.ledger.Open; open != nil {
			want = len(open.Chunks)
		}
		if len(w.uploads.chunks) != want || len(w.uploads.dirty) != 0 || len(w.rejected.losses) != 0 {
			t.Errorf("%d chunks, %d to be written, %d losses; the open batch has %d", len(w.uploads.chunks), len(w.uploads.dirty), len(w.rejected.losses), want)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// What was given up is found by words.
func TestRejectsAsEvents(t *testing.T) {
	f := newUploadFixture(t)
	f.plan("b", 1, 4, 2)
	f.add(line("b", 1, 0, 2, cpuKey, 5, 6), dropped(3, event.Gap{FromMS: 7, ToMS: 8}, event.Gap{FromMS: 9, ToMS: 9, Series: []string{cpuKey, diskKey}}),
		&event.Reject{Range: event.Range{From: 1, To: 2}, Samples: 4, Reason: event.ReasonTooOld},
		&event.Drop{Range: event.Range{From: 1, To: 2}, Samples: 4, Reason: "max_bytes"})
	o := options(t, f.l)
	build(t, o)
	want := strings.Join([]string{
		`reject {"from":1,"to":4,"samples":2,"reason":"refused","line":{"batch":"b","chunk":1,"line":0,"series":"cpu.usage_percent{\"core\":\"0\"}","first_ms":5,"last_ms":6,"status":400,"answer":"cannot parse"}}`,
		`reject {"from":1,"to":4,"samples":3,"reason":"receiver_dropped","gaps":[{"from_ms":7,"to_ms":8},{"from_ms":9,"to_ms":9,"series":["cpu.usage_percent{\"core\":\"0\"}","disk.read_bytes_total{}"]}]}`,
		`reject {"from":1,"to":2,"samples":4,"reason":"too_old"}`,
		`drop {"from":1,"to":2,"samples":4,"reason":"max_bytes"}`}, "\n")
	if got := column(t, o.Path, "SELECT group_concat(kind || ' ' || text, x'0a') FROM (SELECT * FROM events WHERE kind <> 'text' ORDER BY idx)"); got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}
