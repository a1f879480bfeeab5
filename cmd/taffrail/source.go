package main

import (
	"errors"

	"github.com/rs/zerolog"

	"taffrail/internal/event"
	eventlog "taffrail/log"
	"taffrail/shipper"
)

// shippingLog is the log as the shipper sees it.
type shippingLog struct {
	*eventlog.Log
	logger zerolog.Logger
}

// Source returns the records from an index on that can be read.
func (l shippingLog) Source(from uint64) shipper.Source {
	return &readable{reader: l.NewReader(from), logger: l.logger}
}

// readable leaves out what is damaged.
type readable struct {
	reader *eventlog.Reader
	logger zerolog.Logger
}

// Next implements shipper.Source.
func (r *readable) Next() (uint64, event.Event, error) {
	for {
		rec, err := r.reader.Next()
		if errors.Is(err, eventlog.ErrCorrupt) || errors.Is(err, eventlog.ErrNewerFormat) {
			r.logger.Warn().Err(err).Str("error_type", "corrupt").Msg("damaged record is not uploaded")
			continue
		}
		return rec.Index, rec.Event, err
	}
}

// Close implements shipper.Source.
func (r *readable) Close() error { return r.reader.Close() }
