package projections

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"taffrail/internal/event"
)

// Every value comes back bit by bit, from memory and from the database.
func TestValuesBitExact(t *testing.T) {
	values := []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 1e15, 1e16, 1 << 53, 1<<53 + 2, -(1 << 53), math.MaxInt64, 1e300,
		math.MaxFloat64, math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1),
		math.NaN(), math.Float64frombits(0xfff8_dead_beef_0001), math.Float64frombits(0x7ff0_0000_0000_0001),
	}
	l := newMemoryLog()
	ctx := &event.Context{SessionID: "r", BootID: "b", DeviceID: "d"}
	for i, v := range values {
		l.append("1", &event.Tick{Stamp: event.Stamp{WallMS: epoch + int64(i)}, Trusted: true, Context: ctx,
			Samples: []event.Sample{{Series: mustSeries(t, "v", event.Gauge), Value: v}}})
	}
	bubble(t, options(t, l), func(t *testing.T, e *Engine) {
		for _, where := range []string{"head", "database"} {
			rows := queryAll(t, e, anySeries)
			if len(rows) != len(values) {
				t.Fatalf("%s: %d rows", where, len(rows))
			}
			for i, r := range rows {
				if math.Float64bits(r.Value) != math.Float64bits(values[i]) {
					t.Errorf("%s: %x became %x", where, math.Float64bits(values[i]), math.Float64bits(r.Value))
				}
			}
			flush(t, e)
		}
		settled(t, e)
		read(t, e, func(tx *sql.Tx) {
			wantInt(t, tx, 3, "SELECT count(*) FROM metrics WHERE metric_value IS NULL AND value_text IS NULL")
			wantInt(t, tx, 1, "SELECT count(*) FROM metrics WHERE metric_value = 0.1")
			wantInt(t, tx, 0, "SELECT count(*) FROM metrics WHERE typeof(metric_value) NOT IN ('real', 'null')")
		})
	})
}

// A series whose type changes has an id for each type, and keeps them.
func TestSeriesChangesType(t *testing.T) {
	l := newMemoryLog()
	ctx := &event.Context{SessionID: "r", BootID: "b", DeviceID: "d"}
	for i, typ := range []event.Type{event.Gauge, event.Text, event.Counter, event.Gauge, event.Text} {
		l.append("1", &event.Tick{Stamp: event.Stamp{WallMS: epoch + int64(i)}, Trusted: true, Context: ctx, Samples: []event.Sample{
			{Series: mustSeries(t, "power.state", typ, "b", "2", "a", "1"), Value: float64(i), Text: "on"}}})
	}
	o := options(t, l)
	o.MaxSamples = 1
	build(t, o)
	if got := column(t, o.Path, "SELECT group_concat(id || ' ' || name || labels || ' ' || type || ' ' || first_idx || '-' || last_idx, ', ') FROM series"); got !=
		`1 power.state{"a":"1","b":"2"} gauge 1-4, 2 power.state{"a":"1","b":"2"} text 2-5, 3 power.state{"a":"1","b":"2"} counter 3-3` {
		t.Fatal(got)
	}
	if got := column(t, o.Path, "SELECT group_concat((timestamp_ms - 1767226600000) || ' ' || value_type || ' ' || ifnull(metric_value, value_text), ', ') FROM (SELECT * FROM metrics ORDER BY 1)"); got !=
		"0 gauge 0.0, 1 text on, 2 counter 2.0, 3 gauge 3.0, 4 text on" {
		t.Fatal(got)
	}
}

// The view shows what the predecessor's users ask for, with the same key that
// the rest of the program computes.
func TestMetricsView(t *testing.T) {
	l := newMemoryLog()
	s := mustSeries(t, "cpu.usage_percent", event.Gauge, "core", `"0"`, "a", "ü")
	l.append("1", &event.Tick{Stamp: event.Stamp{WallMS: epoch}, Trusted: true,
		Context: &event.Context{SessionID: "run", BootID: "b", DeviceID: "buoy-7"}, Samples: []event.Sample{{Series: s, Value: 2}}})
	l.append("1", &event.Tick{Trusted: false, // no time: not shown
		Context: &event.Context{SessionID: "run", BootID: "b", DeviceID: "buoy-7"}, Samples: []event.Sample{{Series: s, Value: 3}}})
	o := options(t, l)
	build(t, o)
	edit(t, o.Path, func(db *sql.DB) {
		rows, err := db.QueryContext(t.Context(), "SELECT * FROM metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		names, err := rows.Columns()
		if want := "timestamp_ms metric_name metric_value value_text value_type tags session_id device_id uploaded dedup_key"; err != nil || strings.Join(names, " ") != want {
			t.Fatalf("columns %v, %v", names, err)
		}
	})
	edit(t, o.Path, func(db *sql.DB) {
		n := 0
		if err := eachRow(t.Context(), db, func(row []any) error {
			n++
			want := fmt.Sprint([]any{int64(epoch), s.Name, float64(2), nil, "gauge", s.Labels.JSON(), "run", "buoy-7", int64(0), event.DedupKey(s, epoch, "buoy-7")})
			if got := fmt.Sprint(row); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			return nil
		}, "SELECT * FROM metrics"); err != nil || n != 1 {
			t.Fatalf("%d rows, %v", n, err)
		}
	})
}

func TestUnitOf(t *testing.T) {
	for name, want := range map[string]string{
		"disk.read_bytes_total": "bytes", "cpu.usage_percent": "percent", "thermal.zone_celsius": "celsius",
		"agent.append_seconds": "seconds", "network.receive_packets_total": "packets", "system.load1": "", "volts": "volts",
		"a.ratio": "ratio", "total": "", "": "",
	} {
		if got := unitOf(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// One tick of 100,000 series is indexed, found again after the cache of series
// was given up, and takes bounded memory.
func TestManySeries(t *testing.T) {
	const n = 100_000
	l := newMemoryLog()
	ctx := &event.Context{SessionID: "r", BootID: "b", DeviceID: "d"}
	samples := make([]event.Sample, n)
	for i := range samples {
		samples[i] = event.Sample{Series: mustSeries(t, "churn", event.Gauge, "n", fmt.Sprint(i)), Value: float64(i)}
	}
	for i := range 2 {
		l.append("1", &event.Tick{Stamp: event.Stamp{WallMS: epoch + int64(i)}, Trusted: true, Context: ctx, Samples: samples})
	}
	o := options(t, l)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := Build(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("%d bytes stay in use", grown)
	}
	if got := column(t, o.Path, "SELECT count(*) || ' ' || max(series_id) FROM samples"); got != "200000 100000" {
		t.Fatal(got)
	}
	edit(t, o.Path, func(db *sql.DB) {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ids := newSeriesIDs()
		ids.limit = 10
		if err := ids.load(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, 99_999, 500, 501, 502, 503, 504, 505, 506, 507, 508, 509} {
			if known, err := ids.at(i%7, samples[i].Series, 9, 9); err != nil || known.id != int64(i+1) {
				t.Fatalf("series %d is %+v, %v", i, known, err)
			}
		}
		if err := ids.flush(t.Context(), conn); err != nil || len(ids.byKey) != 0 {
			t.Fatalf("%d series are kept, %v", len(ids.byKey), err)
		}
		known, err := ids.at(0, samples[77].Series, 10, 10)
		if err != nil || known.id != 78 {
			t.Fatalf("a forgotten series is %+v, %v", known, err)
		}
		known, err = ids.at(0, mustSeries(t, "new", event.Gauge), 10, 10)
		if err != nil || known.id != n+1 {
			t.Fatalf("a new series is %+v, %v", known, err)
		}
	})
}

func TestQuerySelects(t *testing.T) {
	story := newStory(t, 21)
	l := story.live(900)
	o := options(t, l)
	o.MaxSamples = 3000 // the last ones stay in memory
	bubble(t, o, func(t *testing.T, e *Engine) {
		for range 40 {
			story.tick()
		}
		all := queryAll(t, e, anySeries)
		if len(all) < 1500 || e.Status().Waiting == 0 {
			t.Fatalf("%d rows, %d waiting", len(all), e.Status().Waiting)
		}
		from, to := all[len(all)/4].TimeMS, all[3*len(all)/4].TimeMS
		one := func(s *event.Series) bool { return s.Name == "thing.4_bytes" || s.Name == "thing.5_bytes" }
		var want, got []string
		for _, r := range all {
			if one(r.Series) && from <= r.TimeMS && r.TimeMS < to {
				want = append(want, fmt.Sprintf("%+v", r))
			}
		}
		stop := 0
		if err := e.Query(t.Context(), one, from, to, func(r Row) bool {
			got = append(got, fmt.Sprintf("%+v", r))
			stop++
			return true
		}); err != nil {
			t.Fatal(err)
		}
		// Pointers to series differ, their content is compared elsewhere.
		cut := func(s string) string {
			a, b, _ := strings.Cut(s, "Series:")
			_, b, _ = strings.Cut(b, " Value")
			return a + b
		}
		if !slices.EqualFunc(want, got, func(a, b string) bool { return cut(a) == cut(b) }) || len(got) == 0 {
			t.Fatalf("%d rows, want %d", len(got), len(want))
		}
		n := 0
		if err := e.Query(t.Context(), anySeries, from, to, func(Row) bool { n++; return n < 5 }); err != nil || n != 5 {
			t.Fatalf("stopped after %d rows, %v", n, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.Query(ctx, anySeries, from, to, func(Row) bool { return true }); err == nil {
			t.Fatal("a cancelled query went on")
		}
	})
}

// Many ticks at one moment are one step of a query, however many they are.
func TestQueryOneMoment(t *testing.T) {
	l := newMemoryLog()
	for i := range 3 * pageTicks {
		ctx := &event.Context{SessionID: "r", BootID: "b", DeviceID: "d"}
		l.append("1", &event.Tick{Stamp: event.Stamp{WallMS: epoch + int64(i/(2*pageTicks))}, Trusted: true, Context: ctx,
			Samples: []event.Sample{{Series: mustSeries(t, fmt.Sprint("s", i%5), event.Gauge), Value: float64(i)}}})
	}
	o := options(t, l)
	o.MaxSamples = 2200
	bubble(t, o, func(t *testing.T, e *Engine) {
		sameRows(t, e, l)
		flush(t, e)
		sameRows(t, e, l)
	})
}
