package projections

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrNotReady is returned while no database is open: before Run, and while what
// was wrong with one is dealt with.
var ErrNotReady = errors.New("the index is not ready")

// brokenError says that the database cannot be used as it is, and must be set
// aside and built again.
type brokenError struct {
	reason string // a word for the file's name
	text   string
}

// Unusable is how an error says that the database must be set aside, and under
// which word; those of Options.Migrate have it too.
func (e *brokenError) Unusable() string { return e.reason }

func (e *brokenError) Error() string { return "index is broken: " + e.text }

func broken(reason, format string, args ...any) error {
	return &brokenError{reason: reason, text: fmt.Sprintf(format, args...)}
}

// rebuildReason returns the word under which the database is to be set aside
// after err, or "" where trying again is all that can help: a full disk, a lock
// that another program holds, an I/O error, trouble with the log.
func rebuildReason(err error) string {
	var u interface{ Unusable() string }
	if errors.As(err, &u) {
		return u.Unusable()
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return ""
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT:
		return "corrupt"
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE,
		sqlite3.SQLITE_INTERNAL, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_SCHEMA:
		// The statements are sound, so the tables are not what they were.
		return "corrupt"
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return "unreadable"
	}
	if e.Code() == sqlite3.SQLITE_IOERR_SHORT_READ {
		return "corrupt"
	}
	return ""
}
