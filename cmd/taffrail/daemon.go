package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"taffrail/collectors"
	"taffrail/internal/config"
	"taffrail/internal/device"
	"taffrail/internal/event"
	"taffrail/internal/timekeeper"
	eventlog "taffrail/log"
	"taffrail/projections"
	"taffrail/shipper"
)

// lastUploadTimeout bounds the upload that is tried when the daemon stops. A
// receiver that is down must not hold up a shutdown.
const lastUploadTimeout = 10 * time.Second

// trustSource is what says that the wall clock is right: adjtimex(2).
const trustSource = "kernel"

// daemon is the wiring of one run: collectors to log, log to shipper, and the
// health of all three.
type daemon struct {
	cfg      config.Config
	jobs     []collectors.Job
	stateDir string // held by the caller
	logger   zerolog.Logger
	witness  io.Writer // nil unless a test wants one

	clock      device.Clock
	context    event.Context
	log        *eventlog.Log
	production *production
	scheduler  *collectors.Scheduler
	// shipper is nil without an active remote.
	shipper atomic.Pointer[shipper.Shipper]
	reloads <-chan config.Config // configurations to go on with
	index   *projections.Engine
}

// run works until ctx is done and then stops in order.
func (d *daemon) run(ctx context.Context) (err error) {
	if err := d.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.log.Close()) }()
	server := d.startHealth()
	defer func() { err = errors.Join(err, server.Close()) }()
	d.closeCutOff()
	d.mark(event.SessionStart, "")
	d.logger.Info().
		Str("session_id", d.context.SessionID).
		Str("device_id", d.context.DeviceID).
		Str("version", version).
		Int("collectors", len(d.jobs)).
		Bool("remote", d.shipper.Load() != nil).
		Msg("taffrail runs")
	indexed := d.startIndex()
	d.work(ctx)
	d.logger.Info().Msg("stopping")
	d.lastUpload()
	d.mark(event.SessionEnd, event.EndCompleted)
	indexed()
	return nil
}

// startIndex keeps the index up to date in the background. It goes on through
// the stop, so that the last events are in it; what is returned ends it.
func (d *daemon) startIndex() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.index.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// open opens the log and makes the stages.
func (d *daemon) open() error {
	session, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("name session: %w", err)
	}
	if d.context, err = newContext(d.cfg.Device, session.String()); err != nil {
		return err
	}
	d.log, err = eventlog.Open(logDir(d.stateDir), newLogOptions(d.cfg.Log, d.cfg.Remote.Active(), d.context, d.clock))
	if err != nil {
		return err
	}
	d.reportRecovery(d.log.Recovery())
	if err := d.makeStages(); err != nil {
		return errors.Join(err, d.log.Close())
	}
	return nil
}

func (d *daemon) makeStages() (err error) {
	if d.index, err = newIndex(d.cfg.Storage, d.stateDir, d.log, d.logger); err != nil {
		return err
	}
	keeper, err := timekeeper.New(d.log, timekeeper.Options{
		BootID: d.context.BootID,
		Hold:   d.cfg.Remote.ClockHold.Std(),
		Source: trustSource,
	})
	if err != nil {
		return err
	}
	d.production = newProduction(keeper, d.cfg.Remote.UploadInterval.Std(), d.log.Appended, time.Now)
	var sink collectors.Sink = d.production
	if d.witness != nil {
		sink = &witness{sink: sink, out: d.witness}
	}
	d.scheduler, err = collectors.NewScheduler(d.jobs, sink, collectors.Options{
		Clock:     d.clock,
		Logger:    d.logger,
		SessionID: d.context.SessionID,
	})
	if err != nil || !d.cfg.Remote.Active() {
		return err
	}
	first, err := d.newShipper(d.cfg.Remote)
	if err != nil {
		return err
	}
	d.shipper.Store(first)
	return nil
}

// reportRecovery tells what the log found at its end.
func (d *daemon) reportRecovery(r eventlog.Recovery) {
	if r.Cut != nil {
		d.logger.Warn().Str("segment", r.Cut.Segment).Int64("offset", r.Cut.Offset).
			Int64("bytes", r.Cut.Bytes).Str("kept", r.Cut.Kept).
			Msg("an append was cut short; its bytes were cut off and kept")
	}
	for _, damage := range r.Damage {
		d.logger.Error().Err(damage).Str("error_type", "corrupt").Msg("the log is damaged; it goes on in a new segment")
	}
	for _, path := range r.Aside {
		d.logger.Warn().Str("kept", path).Msg("a file that is no segment was moved out of the log")
	}
}

// work runs collectors and shipper until ctx is done and both have come back.
func (d *daemon) work(ctx context.Context) {
	var stages sync.WaitGroup
	stages.Go(func() {
		if err := d.scheduler.Run(ctx); err != nil {
			d.logger.Error().Err(err).Str("error_type", "internal").Msg("collecting ended")
		}
	})
	if d.shipper.Load() != nil {
		stages.Go(func() { d.ship(ctx) })
		stages.Go(func() { d.watchLinks(ctx) })
	}
	stages.Go(func() { d.retain(ctx) })
	stages.Wait()
}

// retainInterval is how often segments are looked at that may be too old. The
// log itself looks whenever it begins a new one.
const retainInterval = time.Hour

// retain removes segments beyond the log's bounds until ctx is done.
func (d *daemon) retain(ctx context.Context) {
	ticker := time.NewTicker(retainInterval)
	defer ticker.Stop()
	for {
		if err := d.log.Retain(); err != nil {
			d.logger.Error().Err(err).Str("error_type", "log").Msg("old segments are still there")
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// lastUpload ships what the last ticks brought.
func (d *daemon) lastUpload() {
	last := d.shipper.Load()
	if last == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastUploadTimeout)
	defer cancel()
	if err := last.Cycle(ctx); err != nil {
		ledger := d.log.Ledger()
		d.logger.Warn().Err(err).Uint64("pending", ledger.Pending()).
			Msg("not everything was uploaded; the rest follows after the next start")
	}
}

// closeCutOff records the end of the session before, if it did not do so itself.
func (d *daemon) closeCutOff() {
	ledger := d.log.Ledger()
	cutOff := ledger.Alive
	if cutOff.SessionID == "" {
		return
	}
	reason := event.EndCrashed
	if cutOff.BootID != d.context.BootID {
		reason = event.EndPowerLost
	}
	stamp, _ := d.clock.Now()
	_, err := d.log.Append(&event.Session{
		Stamp:  stamp,
		Phase:  event.SessionEnd,
		ID:     cutOff.SessionID,
		BootID: cutOff.BootID,
		Reason: reason,
		LastMS: cutOff.LastMS,
	})
	if err != nil {
		d.logger.Error().Err(err).Str("error_type", "log").Msg("end of the last session not recorded")
	}
	d.logger.Warn().Str("session_id", cutOff.SessionID).Str("end", reason).
		Time("last_seen", time.UnixMilli(cutOff.LastMS).UTC()).Msg("the last session was cut off")
}

// mark records the beginning or the end of the session.
func (d *daemon) mark(phase, reason string) {
	stamp, _ := d.clock.Now()
	_, err := d.log.Append(&event.Session{
		Stamp:    stamp,
		Phase:    phase,
		ID:       d.context.SessionID,
		BootID:   d.context.BootID,
		DeviceID: d.context.DeviceID,
		Tags:     d.context.Tags.Map(),
		Version:  version,
		Reason:   reason,
	})
	if err != nil {
		d.logger.Error().Err(err).Str("error_type", "log").Msg("session not marked")
	}
}
