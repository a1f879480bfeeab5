package projections

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"taffrail/internal/event"
)

// Options configure an Engine. Zero values mean the defaults.
type Options struct {
	Path string // of the database; required
	// Open gives the log; required.
	Open OpenSource
	// Migrate brings an empty database, or an older one, to the schema that this
	// package works on; required. Its error has a method Unusable() string where
	// the database cannot be brought there, which returns a word for why.
	Migrate func(ctx context.Context, conn *sql.Conn) error

	// MaxLag (10m) and MaxSamples (100,000) bound what waits in memory. A
	// transaction is made when the oldest record has waited that long or that
	// many samples are waiting; a record without samples counts as one.
	MaxLag     time.Duration
	MaxSamples int
	// Poll (1s) is how often the log is looked at; a query looks by itself.
	Poll time.Duration

	// Retention (7d) and MaxBytes (256 MiB) bound what is kept; negative: no
	// bound.
	Retention time.Duration
	MaxBytes  int64

	// CheckpointInterval (1h) and CheckpointSize (64 MiB) are the age and size
	// at which SQLite's WAL is copied into the database and cut.
	CheckpointInterval time.Duration
	CheckpointSize     int64

	// MinBackoff (1s) and MaxBackoff (5m) bound the wait after trouble with the
	// database; it doubles each time.
	MinBackoff, MaxBackoff time.Duration

	Logger zerolog.Logger

	// effective stands in for event.Tick.EffectiveTime in tests.
	effective func(*event.Tick) (ms int64, ok bool)
}

func (o Options) withDefaults() (Options, error) {
	if o.Path == "" || o.Open == nil || o.Migrate == nil {
		return o, errors.New("index: a path, a log and a schema are required")
	}
	positive(&o.MaxLag, 10*time.Minute)
	positive(&o.MaxSamples, 100_000)
	positive(&o.Poll, time.Second)
	positive(&o.CheckpointInterval, time.Hour)
	positive(&o.CheckpointSize, 64<<20)
	positive(&o.MinBackoff, time.Second)
	positive(&o.MaxBackoff, 5*time.Minute)
	if o.Retention == 0 {
		o.Retention = 7 * 24 * time.Hour
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 256 << 20
	}
	if o.effective == nil {
		o.effective = (*event.Tick).EffectiveTime
	}
	return o, nil
}

// positive sets *v to fallback unless it is above zero.
func positive[T ~int | ~int64](v *T, fallback T) {
	if *v <= 0 {
		*v = fallback
	}
}
