package main

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/rs/zerolog"

	"taffrail/collectors"
	"taffrail/internal/device"
	"taffrail/internal/event"
)

type collectCmd struct {
	settings
	Once   bool   `help:"Collect once; this is the default." xor:"count"`
	Count  int    `help:"Collect this many times, an interval apart." xor:"count" placeholder:"N"`
	Watch  bool   `help:"Collect until interrupted." xor:"count"`
	Format string `help:"table, jsonl or openmetrics." enum:"table,jsonl,openmetrics" default:"table"`
}

// warmUp is the time between the first read of the sources, which those that
// need two reads give no values for, and the first that is shown.
const warmUp = time.Second

// Run collects and prints. It keeps nothing and needs no state directory.
func (c *collectCmd) Run(ctx context.Context, sys system) error {
	if c.Count < 0 {
		return fmt.Errorf("%w: --count must be positive", errUsage)
	}
	cfg, _, err := c.load(sys.env)
	if err != nil {
		return err
	}
	jobs, err := newJobs(cfg.Collectors, c.Interval)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	scheduler, err := collectors.NewScheduler(jobs, nil, collectors.Options{Clock: device.Clock{}, Logger: zerolog.Nop()})
	if err != nil {
		return err
	}
	if _, _, err := scheduler.CollectOnce(ctx); err != nil {
		return quiet(ctx, err)
	}
	interval := collectors.DefaultInterval
	if c.Interval > 0 {
		interval = c.Interval
	}
	wait := warmUp
	for n := 0; c.Watch || n < max(1, c.Count); n++ {
		if !pause(ctx, wait) {
			return nil
		}
		tick, statuses, err := scheduler.CollectOnce(ctx)
		if err != nil {
			return quiet(ctx, err)
		}
		if err := printTick(sys, c.Format, tick, statuses); err != nil {
			return err
		}
		wait = interval
	}
	return nil
}

// quiet drops the error of a collection that the user interrupted.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// printTick prints samples on stdout, and what went wrong on stderr.
func printTick(sys system, format string, tick *event.Tick, statuses []collectors.CollectorStatus) error {
	for _, s := range statuses {
		if s.Error != nil {
			fmt.Fprintf(sys.stderr, "taffrail: collector %s: %s\n", s.Name, s.Error)
		}
	}
	switch format {
	case "jsonl":
		return printJSONL(sys, tick)
	case "openmetrics":
		return printOpenMetrics(sys.stdout, tick)
	}
	return printTable(sys, tick, statuses)
}

func printTable(sys system, tick *event.Tick, statuses []collectors.CollectorStatus) error {
	w := tabwriter.NewWriter(sys.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "NAME\tLABELS\tTYPE\tVALUE\n")
	for _, s := range tick.Samples {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Series.Name, s.Series.Labels.JSON(), s.Series.Type, shown(s))
	}
	fmt.Fprintf(w, "\nCOLLECTOR\tSAMPLES\tTIME\t\n")
	for _, s := range statuses {
		fmt.Fprintf(w, "%s\t%d\t%s\t\n", s.Name, s.Samples, s.Duration.Round(time.Microsecond))
	}
	return w.Flush()
}

func shown(s event.Sample) string {
	if s.Series.Type == event.Text {
		return strconv.Quote(s.Text)
	}
	return strconv.FormatFloat(s.Value, 'f', -1, 64)
}

// printJSONL prints an object a sample.
func printJSONL(sys system, tick *event.Tick) error {
	var line []byte
	for _, s := range tick.Samples {
		line = append(line[:0], `{"timestamp_ms":`...)
		line = strconv.AppendInt(line, tick.WallMS, 10)
		line = event.AppendJSONString(append(line, `,"name":`...), s.Series.Name)
		line = s.Series.Labels.AppendJSON(append(line, `,"labels":`...))
		line = event.AppendJSONString(append(line, `,"type":`...), s.Series.Type.String())
		switch {
		case s.Series.Type == event.Text:
			line = event.AppendJSONString(append(line, `,"text":`...), s.Text)
		case s.Sendable():
			line = strconv.AppendFloat(append(line, `,"value":`...), s.Value, 'f', -1, 64)
		default: // JSON has no NaN and no infinities
			line = event.AppendJSONString(append(line, `,"value":`...), strconv.FormatFloat(s.Value, 'f', -1, 64))
		}
		if _, err := sys.stdout.Write(append(line, "}\n"...)); err != nil {
			return err
		}
	}
	return nil
}
