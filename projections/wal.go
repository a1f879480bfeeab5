package projections

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Checkpoint is how a copy of SQLite's WAL into the database went.
type Checkpoint struct {
	At     time.Time
	Busy   bool  // a reader or another program kept it from going all the way
	Frames int64 // pages that were in the WAL
	Copied int64 // those that are in the database now
}

// walSize returns the size of the WAL in bytes.
func (db *database) walSize() int64 {
	info, err := os.Stat(db.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// checkpoint copies the WAL into the database and cuts it to nothing. Busy is
// no error: it is tried again.
func (db *database) checkpoint(ctx context.Context) (Checkpoint, error) {
	cp := Checkpoint{At: time.Now()}
	err := db.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&cp.Busy, &cp.Frames, &cp.Copied)
	if err != nil {
		return cp, fmt.Errorf("checkpoint index: %w", err)
	}
	// Both counts are -1 where there is no WAL: the database is not in the mode
	// that all of this rests on.
	if cp.Frames < 0 || cp.Copied < 0 {
		return cp, broken("corrupt", "it has no WAL")
	}
	return cp, nil
}
