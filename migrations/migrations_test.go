package migrations

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	_ "modernc.org/sqlite"
)

func open(t *testing.T, path string) *sql.Conn {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		db.Close()
	})
	return conn
}

func one(t *testing.T, conn *sql.Conn, query string) (text string) {
	t.Helper()
	if err := conn.QueryRowContext(t.Context(), query).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.FixedZone("", 3600))

func TestIndexSchema(t *testing.T) {
	schema, err := Index()
	if err != nil {
		t.Fatal(err)
	}
	if schema.Migrations[0].Number != 6 || schema.Migrations[0].String() != "0006_index" {
		t.Fatalf("the index begins with %s", schema.Migrations[0])
	}
	path := filepath.Join(t.TempDir(), "index.db")
	conn := open(t, path)
	applied, err := Apply(t.Context(), conn, schema, noon)
	if err != nil || len(applied) != len(schema.Migrations) {
		t.Fatalf("applied %v, %v", applied, err)
	}
	if got := one(t, conn, "SELECT version || ' ' || name || ' ' || applied_at FROM schema_version"); got != "6 index 2026-05-04T11:00:00Z" {
		t.Fatal(got)
	}
	if got := one(t, conn, "PRAGMA user_version"); got != "6" {
		t.Fatal(got)
	}
	if got := one(t, conn, "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name)"); got !=
		"events,records,rejected,samples,schema_version,segments,series,sessions,state,upload_checkpoints" {
		t.Fatal(got)
	}
	// Once more changes nothing, also from another connection.
	before := one(t, conn, "PRAGMA schema_version")
	for _, c := range []*sql.Conn{conn, open(t, path)} {
		if applied, err := Apply(t.Context(), c, schema, noon.Add(time.Hour)); err != nil || len(applied) != 0 {
			t.Fatalf("applied again %v, %v", applied, err)
		}
	}
	if after := one(t, conn, "PRAGMA schema_version"); after != before {
		t.Fatal("the schema was changed")
	}
}

// steps is a schema of three steps, the second with a Go step.
func steps(step func(ctx context.Context, tx *sql.Conn) error) Schema {
	return Schema{ApplicationID: 0x1234, Migrations: []Migration{
		{Number: 6, Name: "base", SQL: "CREATE TABLE a (x); CREATE TABLE b (x)"},
		{Number: 7, Name: "fill", SQL: "INSERT INTO a VALUES (1)", Step: step},
		{Number: 9, Name: "more", SQL: "ALTER TABLE b ADD COLUMN y"},
	}}
}

func TestStepsFromEveryVersion(t *testing.T) {
	double := func(ctx context.Context, tx *sql.Conn) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO a SELECT x + 1 FROM a")
		return err
	}
	all := steps(double)
	for n := range len(all.Migrations) + 1 {
		conn := open(t, filepath.Join(t.TempDir(), "x.db"))
		some := all
		some.Migrations = all.Migrations[:n]
		if _, err := Apply(t.Context(), conn, some, noon); err != nil {
			t.Fatal(err)
		}
		if got, err := Version(t.Context(), conn, all); err != nil || got != some.Latest() {
			t.Fatalf("version %d, %v, want %d", got, err, some.Latest())
		}
		if _, err := Apply(t.Context(), conn, all, noon); err != nil {
			t.Fatalf("from %d: %v", n, err)
		}
		if got := one(t, conn, "SELECT group_concat(x) || (SELECT count(*) FROM pragma_table_info('b')) || (SELECT group_concat(version) FROM schema_version) FROM a"); got != "1,226,7,9" {
			t.Fatal(got)
		}
	}
}

// A step that fails leaves nothing of itself, and is named.
func TestStepFails(t *testing.T) {
	conn := open(t, filepath.Join(t.TempDir(), "x.db"))
	broken := errors.New("no tea")
	_, err := Apply(t.Context(), conn, steps(func(context.Context, *sql.Conn) error { return broken }), noon)
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "apply migration 0007_fill: no tea") {
		t.Fatalf("error %v", err)
	}
	if got := one(t, conn, "SELECT (SELECT count(*) FROM a) || ' ' || max(version) FROM schema_version"); got != "0 6" {
		t.Fatal(got)
	}
	if got := one(t, conn, "PRAGMA user_version"); got != "6" {
		t.Fatal(got)
	}
	bad := steps(nil)
	bad.Migrations[1].SQL = "INSERT INTO a VALUES (1); INSERT INTO nowhere VALUES (1)"
	if _, err := Apply(t.Context(), conn, bad, noon); err == nil || !strings.Contains(err.Error(), "apply migration 0007_fill") {
		t.Fatalf("error %v", err)
	}
	if got := one(t, conn, "SELECT count(*) FROM a"); got != "0" {
		t.Fatal("half a step was left")
	}
	if _, err := Apply(t.Context(), conn, steps(nil), noon); err != nil {
		t.Fatalf("after a failure: %v", err)
	}
}

func TestRefused(t *testing.T) {
	schema := steps(nil)
	for _, tt := range []struct {
		name  string
		alter string
		check func(err error) bool
	}{
		{"newer by the table", "INSERT INTO schema_version VALUES (10, 'x', '')", isNewer},
		{"newer by the header", "PRAGMA user_version = 10", isNewer},
		{"another application id", "PRAGMA application_id = 7", isForeign},
		{"no application id", "PRAGMA application_id = 0", isForeign},
		{"header and table differ", "PRAGMA user_version = 7", isForeign},
		{"no table", "DROP TABLE schema_version", func(err error) bool { return err != nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := open(t, filepath.Join(t.TempDir(), "x.db"))
			if _, err := Apply(t.Context(), conn, schema, noon); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.ExecContext(t.Context(), tt.alter); err != nil {
				t.Fatal(err)
			}
			before := one(t, conn, "PRAGMA schema_version")
			if applied, err := Apply(t.Context(), conn, schema, noon); !tt.check(err) || len(applied) != 0 {
				t.Fatalf("error %v", err)
			}
			if one(t, conn, "PRAGMA schema_version") != before {
				t.Fatal("it was changed")
			}
		})
	}
	conn := open(t, filepath.Join(t.TempDir(), "x.db"))
	if _, err := conn.ExecContext(t.Context(), "CREATE TABLE theirs (x)"); err != nil {
		t.Fatal(err)
	}
	if _, err := Apply(t.Context(), conn, schema, noon); !isForeign(err) {
		t.Fatalf("a database with tables and no id: %v", err)
	}
}

func isNewer(err error) bool {
	var newer *NewerError
	return errors.As(err, &newer) && newer.Have == 10 && newer.Known == 9
}

func isForeign(err error) bool {
	var foreign *ForeignError
	return errors.As(err, &foreign)
}

func TestNames(t *testing.T) {
	file := func() *fstest.MapFile { return &fstest.MapFile{Data: []byte("SELECT 1")} }
	all, err := read(fstest.MapFS{"0010_b.sql": file(), "0002_a_c.sql": file(), "readme.txt": file()})
	if err != nil || len(all) != 2 || all[0].String() != "0002_a_c" || all[1].Number != 10 || all[1].SQL != "SELECT 1" {
		t.Fatalf("%v, %v", all, err)
	}
	for _, names := range [][]string{{"1_a.sql"}, {"abcd_a.sql"}, {"0001.sql"}, {"0001_.sql"}, {"0000_a.sql"}, {"0003_a.sql", "0003_b.sql"}} {
		fsys := fstest.MapFS{}
		for _, n := range names {
			fsys[n] = file()
		}
		if _, err := read(fsys); err == nil {
			t.Errorf("%v were taken", names)
		}
	}
}
