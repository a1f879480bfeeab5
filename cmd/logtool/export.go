package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"taffrail/internal/event"
)

type exportCmd struct {
	Path   string `arg:"" help:"Segment, directory of segments, or state directory."`
	Format string `short:"f" placeholder:"FORMAT" help:"csv (the default) or jsonl."`
	Output string `short:"o" placeholder:"FILE" help:"Write to this file, which must not exist yet, instead of stdout."`
	selectors
	JSON bool `name:"json" help:"The same as --format jsonl."`
}

// Run prints the samples, or writes them to a file.
func (e *exportCmd) Run(c *console) error {
	format, err := e.format()
	if err != nil {
		return err
	}
	if err := checkLog(e.Path); err != nil {
		return err
	}
	sel, err := e.on(e.Path)
	if err != nil {
		return err
	}
	sel.kinds = map[event.Kind]bool{event.KindSamples: true}
	p := &samplePrinter{
		out:    sink{w: c.out},
		format: format,
		series: seriesTexts{selected: sel.matches, render: format.series},
	}
	p.out.buf = append(p.out.buf, format.header...)
	if e.Output == "" {
		return walk(context.Background(), c, e.Path, sel, &p.out, p.print)
	}
	// An interrupted export takes its unfinished file with it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return e.toFile(ctx, c, sel, p)
}

func (e *exportCmd) format() (sampleFormat, error) {
	switch {
	case e.JSON && e.Format == "csv":
		return sampleFormat{}, usageError{errors.New("--json and --format csv exclude each other")}
	case e.JSON, e.Format == "jsonl":
		return jsonlFormat(), nil
	case e.Format == "", e.Format == "csv":
		return csvFormat(), nil
	}
	return sampleFormat{}, usageError{fmt.Errorf("--format %s: unknown format, use csv or jsonl", e.Format)}
}

// toFile prints into the output file, which comes into being only when it is
// complete. Damage in the log does not make it less so.
func (e *exportCmd) toFile(ctx context.Context, c *console, sel *selection, p *samplePrinter) error {
	f, err := createNew(e.Output)
	if err != nil {
		return err
	}
	p.out.w = f
	damage := walk(ctx, c, e.Path, sel, &p.out, p.print)
	if damage != nil && !errors.Is(damage, errDamage) {
		return errors.Join(damage, f.discard())
	}
	if err := f.commit(); err != nil {
		return err
	}
	return damage
}

// samplePrinter prints the samples of ticks, one a line.
type samplePrinter struct {
	out    sink
	format sampleFormat
	series seriesTexts
	head   []byte
	owner  []byte
	end    []byte
}

func (p *samplePrinter) print(rec event.Record) error {
	tick, ok := rec.Event.(*event.Tick)
	if !ok {
		return nil
	}
	ms, _ := tick.EffectiveTime()
	p.head = p.format.tick(p.head[:0], rec.Index, ms)
	p.owner = p.format.owner(p.owner[:0], tick.Context)
	p.end = p.format.end(p.end[:0], tick.Context)
	for i := range tick.Samples {
		s := &tick.Samples[i]
		text := p.series.at(i, s.Series)
		if !text.selected {
			continue
		}
		b := append(p.out.buf, p.head...)
		b = append(b, text.text...)
		b = p.format.value(b, s)
		b = append(b, p.owner...)
		b = append(b, event.DedupKey(s.Series, ms, tick.Context.DeviceID)...)
		p.out.buf = append(b, p.end...)
		if err := p.out.spill(); err != nil {
			return err
		}
	}
	return nil
}
