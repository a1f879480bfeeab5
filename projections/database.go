package projections

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"
)

// The settings of every connection.
//
// synchronous is NORMAL: with a WAL that means no fsync at a commit, and one of
// the WAL and one of the database at a checkpoint. A power cut can take back
// the last transactions, whole ones, which are then read from the log again; it
// cannot leave half of one, as every frame of the WAL has a checksum that
// follows from the one before. OFF would be cheaper still and loses that order.
//
// Automatic checkpoints are off, the engine makes them. Pages have 4 KiB, as a
// file system's blocks: twice that saved nothing (18.7 B a sample either way)
// and writes more for the few pages that change at random.
const (
	pageSize    = 4096
	cacheKiB    = 2048
	busyTimeout = 250 * time.Millisecond
	maxReaders  = 2
)

// connector opens connections by a driver of its own, so that the SQL function
// is registered for these and for no other user of SQLite in the process.
type connector struct {
	driver *sqlite.Driver
	dsn    string
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.driver.Open(c.dsn)
}

func (c *connector) Driver() driver.Driver { return c.driver }

// pool returns connections to the database at path.
func pool(path string, readOnly bool) (*sql.DB, error) {
	d := &sqlite.Driver{}
	if err := d.RegisterDeterministicScalarFunction("taffrail_dedup_key", 5, dedupKey); err != nil {
		return nil, fmt.Errorf("register SQL function: %w", err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	q := url.Values{}
	for _, pragma := range []string{
		fmt.Sprintf("page_size(%d)", pageSize),
		fmt.Sprintf("cache_size(-%d)", cacheKiB),
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"temp_store(MEMORY)",
		"wal_autocheckpoint(0)",
		"synchronous(NORMAL)",
		"mmap_size(0)",
		"cell_size_check(ON)", // a page's cells are looked at before they are used
	} {
		q.Add("_pragma", pragma)
	}
	if readOnly {
		q.Set("mode", "ro")
		q.Add("_pragma", "query_only(ON)")
	} else {
		q.Add("_pragma", "journal_mode(WAL)")
	}
	dsn := (&url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}).String()
	db := sql.OpenDB(&connector{driver: d, dsn: dsn})
	db.SetMaxOpenConns(maxReaders)
	db.SetMaxIdleConns(1)
	return db, nil
}

// database is an open index: one connection that writes, some that read.
type database struct {
	path   string
	pool   *sql.DB // of the writer
	conn   *sql.Conn
	read   *sql.DB
	file   os.FileInfo // of the database, as it was opened
	wal    os.FileInfo
	ctx    context.Context // done when the database is closed
	cancel context.CancelFunc
	// use is held for reading by whoever reads. Closing waits for them: SQLite
	// deletes the WAL by its name when a file's last connection goes, and by
	// then the name may be a new database's.
	use sync.RWMutex
}

// openDatabase opens the database at path, creates it where it is missing, and
// brings it to the latest schema.
func openDatabase(ctx context.Context, opts *Options) (_ *database, err error) {
	path := opts.Path
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, broken("unreadable", "%s is no file", filepath.Base(path))
	}
	db := &database{path: path}
	db.ctx, db.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open index: %w", err), db.close())
		}
	}()
	if db.pool, err = pool(path, false); err != nil {
		return nil, err
	}
	if db.conn, err = db.pool.Conn(ctx); err != nil {
		return nil, err
	}
	if err := opts.Migrate(ctx, db.conn); err != nil {
		return nil, err
	}
	if err := db.checkSchema(ctx, opts.Migrate); err != nil {
		return nil, err
	}
	if db.read, err = pool(path, true); err != nil {
		return nil, err
	}
	if db.file, err = os.Stat(path); err != nil {
		return nil, err
	}
	return db, nil
}

// checkSchema compares the tables with those of a new database: a flipped bit
// in the text of a table or a view is in no row that has a checksum.
func (db *database) checkSchema(ctx context.Context, migrate func(context.Context, *sql.Conn) error) error {
	empty := sql.OpenDB(&connector{driver: &sqlite.Driver{}, dsn: ":memory:"})
	defer empty.Close()
	memory, err := empty.Conn(ctx)
	if err != nil {
		return err
	}
	defer memory.Close()
	if err := migrate(ctx, memory); err != nil {
		return err
	}
	want, err := schemaText(ctx, memory)
	if err != nil {
		return err
	}
	have, err := schemaText(ctx, db.conn)
	if err != nil {
		return err
	}
	if have != want {
		return broken("corrupt", "its tables are not those of its version")
	}
	return nil
}

func schemaText(ctx context.Context, conn *sql.Conn) (text string, err error) {
	err = conn.QueryRowContext(ctx, `SELECT group_concat(type || ' ' || name || ' ' || tbl_name || ' ' || ifnull(sql, ''), x'0a')
		FROM (SELECT * FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name)`).Scan(&text)
	return text, err
}

// close waits for readers and closes all connections. It does not checkpoint;
// SQLite does so with the last connection.
func (db *database) close() error {
	db.cancel()
	db.use.Lock()
	defer db.use.Unlock()
	var errs []error
	if db.read != nil {
		errs = append(errs, db.read.Close())
	}
	if db.conn != nil {
		errs = append(errs, db.conn.Close())
	}
	if db.pool != nil {
		errs = append(errs, db.pool.Close())
	}
	return errors.Join(errs...)
}

// reading calls fn with a read transaction: all that fn reads is of one moment.
func (db *database) reading(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	db.use.RLock()
	defer db.use.RUnlock()
	if db.ctx.Err() != nil {
		return ErrNotReady
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(db.ctx, cancel)()
	tx, err := db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	defer tx.Rollback()
	err = fn(ctx, tx)
	if err != nil && db.ctx.Err() != nil {
		return ErrNotReady
	}
	return err
}

// inPlace makes sure that the files that are open are those that the names
// stand for: whoever removes index.db* wants a new one, and what is written to
// the old one is lost.
func (db *database) inPlace() error {
	file, err := os.Stat(db.path)
	if err != nil || !os.SameFile(file, db.file) {
		return broken("removed", "%s was removed or replaced", filepath.Base(db.path))
	}
	wal, err := os.Stat(db.path + "-wal")
	if err != nil || db.wal != nil && !os.SameFile(wal, db.wal) {
		return broken("removed", "%s-wal was removed or replaced", filepath.Base(db.path))
	}
	db.wal = wal
	return nil
}
