package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ForeignError is returned for a database that is not of the schema: another
// program's, or one whose header and tables contradict each other.
type ForeignError struct{ Reason string }

// Error says what is wrong.
func (e *ForeignError) Error() string { return "not a database of this schema: " + e.Reason }

// Unusable returns the word under which such a database can be set aside.
func (e *ForeignError) Unusable() string { return "foreign" }

// NewerError is returned for a database that a later version of taffrail made.
type NewerError struct {
	Have  int // version of the database
	Known int // latest that this program knows
}

// Unusable returns the word under which such a database can be set aside.
func (e *NewerError) Unusable() string { return "newer" }

// Error says both versions.
func (e *NewerError) Error() string {
	return fmt.Sprintf("the database has version %d, this program knows %d", e.Have, e.Known)
}

const versionTable = `CREATE TABLE IF NOT EXISTS schema_version (
    version    INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    applied_at TEXT NOT NULL -- RFC 3339, UTC
)`

// MigrateIndex brings an index to its latest version.
func MigrateIndex(ctx context.Context, conn *sql.Conn) error {
	schema, err := Index()
	if err != nil {
		return err
	}
	_, err = Apply(ctx, conn, schema, time.Now())
	return err
}

// Apply brings a database to the schema's latest version and returns the steps
// that it took, in order. now is the time that schema_version shows.
func Apply(ctx context.Context, conn *sql.Conn, schema Schema, now time.Time) ([]Migration, error) {
	version, err := Version(ctx, conn, schema)
	if err != nil {
		return nil, err
	}
	var applied []Migration
	for _, m := range schema.Migrations {
		if m.Number <= version {
			continue
		}
		if err := apply(ctx, conn, schema.ApplicationID, m, now); err != nil {
			return applied, fmt.Errorf("apply migration %s: %w", m, err)
		}
		applied = append(applied, m)
	}
	return applied, nil
}

// Version returns the number of the last step that was applied, 0 for an empty
// database. It writes nothing.
func Version(ctx context.Context, conn *sql.Conn, schema Schema) (int, error) {
	var id, user, tables int
	for _, q := range []struct {
		sql string
		to  *int
	}{
		{"PRAGMA application_id", &id},
		{"PRAGMA user_version", &user},
		{"SELECT count(*) FROM sqlite_schema", &tables},
	} {
		if err := conn.QueryRowContext(ctx, q.sql).Scan(q.to); err != nil {
			return 0, fmt.Errorf("read schema version: %w", err)
		}
	}
	switch {
	case tables == 0 && id == 0 && user == 0:
		return 0, nil
	case id != schema.ApplicationID:
		return 0, fmt.Errorf("read schema version: %w", &ForeignError{fmt.Sprintf("application id %#x", uint32(id))})
	}
	var recorded sql.NullInt64
	err := conn.QueryRowContext(ctx, "SELECT max(version) FROM schema_version").Scan(&recorded)
	if err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	if newest := max(int(recorded.Int64), user); newest > schema.Latest() {
		return 0, &NewerError{Have: newest, Known: schema.Latest()}
	}
	if int(recorded.Int64) != user {
		return 0, fmt.Errorf("read schema version: %w", &ForeignError{fmt.Sprintf("its header has version %d, its table %d", user, recorded.Int64)})
	}
	return user, nil
}

// apply takes one step. The header's two numbers are part of the transaction.
func apply(ctx context.Context, conn *sql.Conn, id int, m Migration, now time.Time) (err error) {
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// The context may be what failed; the lock must go all the same.
			_, back := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			err = errors.Join(err, back)
		}
	}()
	for _, text := range []string{
		versionTable,
		m.SQL,
		fmt.Sprintf("PRAGMA application_id = %d", id),
		fmt.Sprintf("PRAGMA user_version = %d", m.Number),
	} {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	if m.Step != nil {
		if err := m.Step(ctx, conn); err != nil {
			return err
		}
	}
	if _, err := conn.ExecContext(ctx, "INSERT INTO schema_version (version, name, applied_at) VALUES (?, ?, ?)",
		m.Number, m.Name, now.UTC().Format(time.RFC3339)); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}
