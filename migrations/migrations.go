// Package migrations holds the schemas of taffrail's databases as numbered
// steps, and applies them.
//
// What it guarantees:
//
//   - Each step is applied in a transaction of its own, together with its row
//     in schema_version and the database's user_version: it has happened
//     wholly or not at all, also over a kill.
//   - Applying what is applied already changes nothing.
//   - A database of a later version, and one that is not taffrail's, is left
//     untouched; NewerError and ForeignError say so.
//   - An error names the step that it happened in.
//
// What it assumes: one process migrates a database at a time, and steps are
// never changed after a release, only added.
//
// A step is a file NNNN_name.sql, and a Go function where SQL cannot say it.
// Numbers 0001 to 0005 belong to the databases of the predecessor; the index
// begins at 0006 and never passes through them.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ApplicationID is what the index has in the header of its file, where file(1)
// and PRAGMA application_id find it: "TFRI".
const ApplicationID = 0x54465249

// IndexFirst is the number of the index's first step.
const IndexFirst = 6

//go:embed *.sql
var files embed.FS

// Migration is one step of a schema.
type Migration struct {
	Number int
	Name   string // without the number: "index"
	SQL    string
	// Step, if not nil, runs after the SQL in the same transaction.
	Step func(ctx context.Context, tx *sql.Conn) error
}

// String returns the step as its file is called: "0006_index".
func (m Migration) String() string { return fmt.Sprintf("%04d_%s", m.Number, m.Name) }

// Schema is a sequence of steps that begins with an empty database.
type Schema struct {
	// ApplicationID marks the databases of this schema.
	ApplicationID int
	Migrations    []Migration // by number
}

// Latest returns the number of the last step.
func (s Schema) Latest() int {
	if len(s.Migrations) == 0 {
		return 0
	}
	return s.Migrations[len(s.Migrations)-1].Number
}

// Index returns the schema of index.db.
func Index() (Schema, error) {
	all, err := read(files)
	if err != nil {
		return Schema{}, err
	}
	s := Schema{ApplicationID: ApplicationID}
	for _, m := range all {
		if m.Number >= IndexFirst {
			s.Migrations = append(s.Migrations, m)
		}
	}
	if len(s.Migrations) == 0 {
		return Schema{}, errors.New("read migrations: the index has none")
	}
	return s, nil
}

// read returns the steps in fsys by number. It refuses names that are none and
// numbers that stand twice.
func read(fsys fs.FS) ([]Migration, error) {
	entries, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var all []Migration
	for _, file := range entries {
		digits, name, ok := strings.Cut(strings.TrimSuffix(path.Base(file), ".sql"), "_")
		number, err := strconv.Atoi(digits)
		if !ok || err != nil || len(digits) != 4 || number < 1 || name == "" {
			return nil, fmt.Errorf("read migrations: %s is not called NNNN_name.sql", file)
		}
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, fmt.Errorf("read migrations: %w", err)
		}
		all = append(all, Migration{Number: number, Name: name, SQL: string(text)})
	}
	slices.SortFunc(all, func(a, b Migration) int { return a.Number - b.Number })
	for i := 1; i < len(all); i++ {
		if all[i].Number == all[i-1].Number {
			return nil, fmt.Errorf("read migrations: %s and %s have one number", all[i-1], all[i])
		}
	}
	return all, nil
}
