package main

import (
	"path/filepath"

	"github.com/rs/zerolog"

	"taffrail/internal/config"
	"taffrail/internal/event"
	"taffrail/internal/health"
	eventlog "taffrail/log"
	"taffrail/migrations"
	"taffrail/projections"
)

// indexName is the database in the directory storage.path.
const indexName = "index.db"

// newIndex returns the index of the log. It is disposable: nothing else depends
// on it, and whatever is wrong with it, it is built again.
func newIndex(cfg config.Storage, stateDir string, log *eventlog.Log, logger zerolog.Logger) (*projections.Engine, error) {
	dir := cfg.Path
	if dir == "" {
		dir = stateDir
	}
	return projections.New(projections.Options{
		Path: filepath.Join(dir, indexName),
		Open: func(from uint64) (projections.Source, error) {
			return indexSource{readable{reader: log.NewReader(from), logger: logger}}, nil
		},
		Migrate:            migrations.MigrateIndex,
		MaxLag:             cfg.MaxLag.Std(),
		Retention:          cfg.Retention.Std(),
		MaxBytes:           int64(cfg.MaxBytes),
		CheckpointInterval: cfg.WALCheckpointInterval.Std(),
		CheckpointSize:     int64(cfg.WALCheckpointSizeMB) << 20,
		Logger:             logger,
	})
}

// indexSource is the log as the index sees it.
type indexSource struct{ readable }

// Next implements projections.Source.
func (s indexSource) Next() (event.Record, error) { return s.next() }

// indexHealth is the component "storage". Trouble with the index costs queries
// and nothing else, so it is a warning.
func indexHealth(s projections.Status) *health.Part {
	part := &health.Part{
		LastSuccess: s.LastCommit,
		LastErrorAt: s.LastErrorAt,
		Details: map[string]any{
			"caught_up": s.CaughtUp,
			"position":  s.Position.Index,
			"head":      s.Head.Index,
			"rebuilds":  s.Rebuilds,
		},
	}
	if s.LastError != nil {
		part.Warning = s.LastError.Error()
	}
	return part
}
