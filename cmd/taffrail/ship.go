package main

import (
	"context"
	"errors"
	"sync"

	"taffrail/internal/config"
	"taffrail/internal/link"
	"taffrail/shipper"
)

// ship uploads until ctx is done. A reload of the configuration begins anew with
// another shipper: all that it must know stands in the log.
func (d *daemon) ship(ctx context.Context) {
	for ctx.Err() == nil {
		run, stop := context.WithCancel(ctx)
		var done sync.WaitGroup
		done.Go(func() { d.shipper.Load().Run(run) })
		cfg, reloaded := d.awaitReload(ctx)
		stop()
		done.Wait()
		if !reloaded {
			return
		}
		if err := d.replaceShipper(cfg); err != nil {
			d.logger.Error().Err(err).Str("error_type", "config").Msg("the new configuration is not used")
			continue
		}
		d.logger.Info().Msg("uploads follow the new configuration")
	}
}

// awaitReload returns the next configuration that has another remote, or false
// when ctx is done.
func (d *daemon) awaitReload(ctx context.Context) (config.Config, bool) {
	select {
	case <-ctx.Done():
		return config.Config{}, false
	case cfg := <-d.reloads:
		return cfg, true
	}
}

// replaceShipper puts one that follows cfg in the place of the one that has
// stopped.
func (d *daemon) replaceShipper(cfg config.Config) error {
	if !cfg.Remote.Active() {
		return errors.New("uploads are switched on and off by a restart")
	}
	next, err := d.newShipper(cfg.Remote)
	if err != nil {
		return err
	}
	d.shipper.Store(next)
	return nil
}

func (d *daemon) newShipper(cfg config.Remote) (*shipper.Shipper, error) {
	opts, err := newShipperOptions(cfg, d.context.DeviceID, d.clock, d.logger)
	if err != nil {
		return nil, err
	}
	return shipper.New(shippingLog{d.log, d.logger}, opts)
}

// watchLinks lets the shipper try again as soon as a network link comes up.
func (d *daemon) watchLinks(ctx context.Context) {
	err := link.Watch(ctx, func() {
		d.logger.Debug().Msg("a network link came up")
		d.shipper.Load().Kick()
	})
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		d.logger.Warn().Err(err).Str("error_type", "link").Msg("links that come up go unnoticed; uploads wait for their time")
	}
}
