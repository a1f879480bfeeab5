package projections

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"taffrail/internal/event"
)

// maxCachedSeries bounds the series that are kept in memory: as many as one
// group of the log can have, twice. Beyond it all are forgotten and looked up
// again, which a device comes to only by making up new series all the time.
const maxCachedSeries = 1 << 18

// knownSeries is a row of the table series.
type knownSeries struct {
	id       int64
	boxed    any // id, as a statement wants it
	series   *event.Series
	firstIdx uint64
	firstMS  int64
	lastIdx  uint64
	lastMS   int64
	fixed    checksum // over the columns that never change
	dirty    bool
}

type seriesKey struct {
	key string
	typ event.Type
}

// seriesIDs numbers the series in order of their first appearance.
type seriesIDs struct {
	// order holds the series of the tick before: collectors deliver the same
	// ones in the same order, and the log gives them the same pointers.
	order    []*knownSeries
	pointers []*event.Series
	byKey    map[seriesKey]*knownSeries
	complete bool // byKey holds every row of the table
	limit    int
	last     int64 // greatest id
	dirty    []*knownSeries
	find     func(s *event.Series) (*knownSeries, error) // in the database
	table    table
	update   *sql.Stmt
	stored   int64 // greatest id in the table
}

func newSeriesIDs() seriesIDs {
	return seriesIDs{
		byKey: map[seriesKey]*knownSeries{},
		limit: maxCachedSeries,
		table: table{name: "series", columns: 10},
	}
}

func (t *seriesIDs) load(ctx context.Context, conn *sql.Conn) error {
	t.find = func(s *event.Series) (found *knownSeries, err error) {
		err = loadRows(ctx, conn, "series", "WHERE name = ? AND labels = ? AND type = ?", func(row []any) error {
			found, err = knownSeriesOf(row)
			return err
		}, s.Name, s.Labels.JSON(), s.Type.String())
		return found, err
	}
	if err := eachRow(ctx, conn, func(row []any) error {
		t.last = intOf(row[0])
		return nil
	}, "SELECT ifnull(max(id), 0) FROM series"); err != nil {
		return err
	}
	t.stored = t.last
	// Ids are never taken back, so their number is that of the rows.
	if t.complete = t.last <= int64(t.limit); !t.complete {
		return nil
	}
	return loadRows(ctx, conn, "series", "", func(row []any) error {
		known, err := knownSeriesOf(row)
		if err != nil {
			return err
		}
		t.byKey[keyOf(known.series)] = known
		return nil
	})
}

func keyOf(s *event.Series) seriesKey { return seriesKey{s.Key(), s.Type} }

func knownSeriesOf(row []any) (*knownSeries, error) {
	s, err := parseSeries(textOf(row[1]), textOf(row[2]), textOf(row[3]))
	if err != nil {
		return nil, broken("corrupt", "series %d: %s", intOf(row[0]), err)
	}
	known := newKnownSeries(intOf(row[0]), s, uint64(intOf(row[5])), intOf(row[6]))
	known.lastIdx, known.lastMS = uint64(intOf(row[7])), intOf(row[8])
	return known, nil
}

func newKnownSeries(id int64, s *event.Series, idx uint64, ms int64) *knownSeries {
	known := &knownSeries{id: id, boxed: id, series: s, firstIdx: idx, firstMS: ms}
	known.fixed = checksum(0).add(known.columns()...)
	return known
}

// columns returns those that never change.
func (k *knownSeries) columns() []any {
	s := k.series
	return []any{k.id, s.Name, s.Labels.JSON(), s.Type.String(), unitOf(s.Name), int64(k.firstIdx), k.firstMS}
}

// at returns the series of the sample that stands at a position of a tick.
func (t *seriesIDs) at(position int, s *event.Series, idx uint64, ms int64) (*knownSeries, error) {
	var known *knownSeries
	if position < len(t.pointers) && t.pointers[position] == s {
		known = t.order[position]
	} else {
		var err error
		if known, err = t.lookup(s, idx, ms); err != nil {
			return nil, err
		}
		for len(t.order) <= position {
			t.order, t.pointers = append(t.order, nil), append(t.pointers, nil)
		}
		t.order[position], t.pointers[position] = known, s
	}
	known.lastIdx, known.lastMS = idx, ms
	if !known.dirty {
		known.dirty = true
		t.dirty = append(t.dirty, known)
	}
	return known, nil
}

func (t *seriesIDs) lookup(s *event.Series, idx uint64, ms int64) (*knownSeries, error) {
	key := keyOf(s)
	if known := t.byKey[key]; known != nil {
		return known, nil
	}
	var known *knownSeries
	if !t.complete {
		var err error
		if known, err = t.find(s); err != nil {
			return nil, err
		}
	}
	if known == nil {
		t.last++
		known = newKnownSeries(t.last, s, idx, ms)
	}
	t.byKey[key] = known
	return known, nil
}

func (t *seriesIDs) flush(ctx context.Context, conn *sql.Conn) error {
	if t.update == nil {
		stmt, err := conn.PrepareContext(ctx, "UPDATE series SET last_idx = ?, last_ms = ?, sum = ? WHERE id = ?")
		if err != nil {
			return err
		}
		t.update = stmt
	}
	slices.SortFunc(t.dirty, func(a, b *knownSeries) int { return int(a.id - b.id) })
	for _, k := range t.dirty {
		seen := []any{int64(k.lastIdx), k.lastMS}
		sum := int64(k.fixed.add(seen...))
		var err error
		if k.id <= t.stored {
			_, err = t.update.ExecContext(ctx, seen[0], seen[1], sum, k.boxed)
		} else {
			err = t.table.put(ctx, conn, append(append(k.columns(), seen...), sum))
		}
		if err != nil {
			return err
		}
		k.dirty = false
	}
	t.dirty, t.stored = t.dirty[:0], t.last
	if len(t.byKey) > t.limit {
		clear(t.byKey)
		t.order, t.pointers, t.complete = nil, nil, false
	}
	return nil
}

// unitOf returns the unit that a series' name ends in, "_total" left out, or ""
// where it names none.
func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	name = name[strings.LastIndexAny(name, "._")+1:]
	switch name {
	case "bytes", "percent", "ratio", "celsius", "seconds", "milliseconds", "ms", "hertz",
		"volts", "amperes", "watts", "joules", "rpm", "dbm", "packets", "errors", "drops":
		return name
	}
	return ""
}
