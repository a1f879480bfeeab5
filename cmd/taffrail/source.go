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
	return shippingSource{readable{reader: l.NewReader(from), logger: l.logger}}
}

type shippingSource struct{ readable }

// Next implements shipper.Source.
func (s shippingSource) Next() (uint64, event.Event, error) {
	rec, err := s.next()
	return rec.Index, rec.Event, err
}

// readable leaves out what is damaged.
type readable struct {
	reader *eventlog.Reader
	logger zerolog.Logger
}

func (r readable) next() (event.Record, error) {
	for {
		rec, err := r.reader.Next()
		if errors.Is(err, eventlog.ErrCorrupt) || errors.Is(err, eventlog.ErrNewerFormat) {
			r.logger.Warn().Err(err).Str("error_type", "corrupt").Msg("damaged record is left out")
			continue
		}
		return rec, err
	}
}

// Close ends the reading.
func (r readable) Close() error { return r.reader.Close() }
