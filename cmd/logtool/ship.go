package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"taffrail/internal/config"
	"taffrail/internal/event"
	eventlog "taffrail/log"
	"taffrail/shipper"
)

type shipCmd struct {
	Path string `arg:"" help:"Segment, directory of segments, or state directory."`

	Remote           string `required:"" placeholder:"URL" help:"Receiver to send to. An empty path becomes /api/v1/import, and credentials in it are sent."`
	ReadURL          string `placeholder:"URL" help:"Where to read back what the receiver holds; off: nowhere. Derived from --remote, if not given."`
	AuthTokenFile    string `placeholder:"FILE" help:"File with a bearer token, of mode 0600."`
	CAFile           string `name:"ca-file" placeholder:"FILE" help:"Certificates to trust in place of the system's."`
	ProxyURL         string `placeholder:"URL" help:"Proxy to go through; as the environment says, if not given."`
	MaxChunkBytes    string `placeholder:"SIZE" help:"Most of a request's body, gzipped: 256KiB, if not given."`
	Timeout          string `placeholder:"D" help:"Most that a request may take: 30s, if not given."`
	RetryMaxAttempts string `placeholder:"N" help:"How often a request is tried before ship gives up: 3, if not given."`
	selectors
	DryRun bool `help:"Look, say what would be sent, and send nothing."`
	Resend bool `help:"Send everything without a look before. Where the receiver cannot be read there is no other way. It must remove duplicates (-dedup.minScrapeInterval=1ms), or holds twice what it had."`
	JSON   bool `name:"json" help:"Print one JSON object."`
}

// Help is what --help says below the usage.
func (s *shipCmd) Help() string {
	return "Sends what the receiver lacks of a log, under the names that the device gave it, " +
		"and looks a minute later whether it is there. What was cut short goes on when it is run again.\n\n" +
		"Samples whose time is not known, texts, NaN and infinities are not sent, nor what is older than the receiver keeps " +
		"or over a day ahead. All of that is counted.\n\n" +
		"Exit codes: 0 all is there, 1 it is, and damage was found, 2 usage, 3 cannot read or send, or samples are missing."
}

// Run sends, and prints a summary.
func (s *shipCmd) Run(c *console) error {
	opts, err := s.options()
	if err != nil {
		return err
	}
	if err := checkLog(s.Path); err != nil {
		return err
	}
	sel, err := s.on(s.Path)
	if err != nil {
		return err
	}
	opts.Admits = sel.admits
	if len(sel.matchers) > 0 {
		opts.Matches = sel.matches
	}
	// An interrupted request is brought to its end, a second signal is obeyed at
	// once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	return s.ship(ctx, c, opts)
}

// options turns the flags into what they say; they are those of the configuration.
func (s *shipCmd) options() (shipper.SalvageOptions, error) {
	var flags []config.Flag
	for _, f := range []config.Flag{
		{Name: "--remote", Key: "remote.url", Value: s.Remote},
		{Name: "--read-url", Key: "remote.read_url", Value: s.ReadURL},
		{Name: "--auth-token-file", Key: "remote.auth_token_file", Value: s.AuthTokenFile},
		{Name: "--ca-file", Key: "remote.ca_file", Value: s.CAFile},
		{Name: "--proxy-url", Key: "remote.proxy_url", Value: s.ProxyURL},
		{Name: "--max-chunk-bytes", Key: "remote.max_chunk_bytes", Value: s.MaxChunkBytes},
		{Name: "--timeout", Key: "remote.timeout", Value: s.Timeout},
		{Name: "--retry-max-attempts", Key: "remote.retry.max_attempts", Value: s.RetryMaxAttempts},
	} {
		if f.Value != "" {
			flags = append(flags, f)
		}
	}
	cfg, _, err := config.Load("", nil, flags...)
	if err != nil {
		return shipper.SalvageOptions{}, usageError{err}
	}
	if cfg.Remote.URL == "" {
		return shipper.SalvageOptions{}, usageError{errors.New("--remote: is empty; write http://host:8428")}
	}
	token, err := cfg.Remote.Token()
	if err != nil {
		return shipper.SalvageOptions{}, err
	}
	remote := cfg.Remote
	return shipper.SalvageOptions{
		Remote: shipper.Remote{
			URL:       remote.ImportURL(),
			ReadURL:   remote.ReadURL,
			AuthToken: token,
			CAFile:    remote.CAFile,
			ProxyURL:  remote.ProxyURL,
			Timeout:   remote.Timeout.Std(),
			UserAgent: strings.Replace(version(), " ", "/", 1),
		},
		MaxChunkBytes: int(remote.MaxChunkBytes),
		Retry: shipper.Retry{
			MaxAttempts:    remote.RetryMaxAttempts(),
			InitialBackoff: remote.Retry.InitialBackoff.Std(),
			MaxBackoff:     remote.Retry.MaxBackoff.Std(),
			Multiplier:     remote.Retry.BackoffMultiplier,
			JitterPercent:  float64(remote.Retry.JitterPercent),
		},
		DryRun: s.DryRun,
		Resend: s.Resend,
	}, nil
}

// shipped is what ship prints.
type shipped struct {
	shipper.Summary
	DamagedPlaces int `json:"damaged_places"`
}

// ship sends and prints. What was done before an error is printed too.
func (s *shipCmd) ship(ctx context.Context, c *console, opts shipper.SalvageOptions) error {
	progress := newShipProgress(c)
	defer progress.clear()
	report := func(err error) {
		progress.clear()
		c.report(err)
	}
	card := card{path: s.Path, report: report}
	opts.Open = card.open
	opts.Progress = func(at shipper.Progress) {
		if progress.due() {
			progress.show(progressText(at))
		}
	}
	opts.Wait = c.wait
	opts.Refused = func(r shipper.Refusal) { report(errors.New(refusalText(r))) }
	salvage, err := shipper.NewSalvage(opts)
	if err != nil {
		return err
	}
	summary, err := salvage.Run(ctx)
	progress.clear()
	done := shipped{summary, card.damaged}
	if err == nil || summary.Samples > 0 || s.JSON {
		if err := s.print(c, &done); err != nil {
			return err
		}
	}
	return s.verdict(ctx, &done, err)
}

func (s *shipCmd) print(c *console, done *shipped) error {
	if s.JSON {
		return printJSON(c.out, done)
	}
	return printShipped(c.out, done)
}

// verdict returns what the verb ends with.
func (s *shipCmd) verdict(ctx context.Context, done *shipped, err error) error {
	switch left := done.Missing + done.Refused; {
	case err != nil && ctx.Err() != nil:
		return errors.New("interrupted; run it again to go on")
	case errors.Is(err, shipper.ErrUnreadable):
		return fmt.Errorf("%v; set --read-url, or send everything with --resend to a receiver that removes duplicates", err)
	case errors.Is(err, shipper.ErrKeepsTwice):
		return fmt.Errorf("%v; do without --resend", err)
	case errors.Is(err, shipper.ErrUnavailable):
		return fmt.Errorf("%v; run it again to go on", err)
	case err != nil:
		// A connection that broke is no reader of ours that went away.
		return fmt.Errorf("%v", err)
	case left > 0:
		return fmt.Errorf("%d samples are not at the receiver: %d refused, %d missing", left, done.Refused, done.Missing)
	case done.DamagedPlaces > 0:
		return errDamage
	}
	return nil
}

// card opens a log again and again, and reports its damage the first time.
type card struct {
	path    string
	report  func(error)
	opened  bool
	damaged int // places
}

func (k *card) open() (shipper.Source, error) {
	r, err := eventlog.OpenReader(k.path)
	if err != nil {
		return nil, err
	}
	first := !k.opened
	k.opened = true
	return &cardSource{r, k, first}, nil
}

// cardSource leaves out what is damaged.
type cardSource struct {
	*eventlog.Reader
	card  *card
	first bool
}

// Next implements shipper.Source.
func (s *cardSource) Next() (uint64, event.Event, error) {
	for {
		rec, err := s.Reader.Next()
		switch {
		case err == nil || err == io.EOF || !errors.Is(err, eventlog.ErrCorrupt):
			return rec.Index, rec.Event, err
		case s.first:
			s.card.damaged++
			s.card.report(err)
		}
	}
}
