package main

import (
	"flag"
	"io"
	"testing"
	"time"
)

func parseArgs(args ...string) (options, error) {
	flags := flag.NewFlagSet("backlog", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return parse(flags, args)
}

func TestBacklogHasAsManyTicksAsAskedFor(t *testing.T) {
	for _, c := range []struct {
		args  []string
		ticks int
	}{
		{nil, 34_560}, // 6.2 M samples of 180 series
		{[]string{"--days", "0.5"}, 4_320},
		{[]string{"--samples", "181"}, 2},
		{[]string{"--samples", "180"}, 1},
		{[]string{"--series", "10", "--samples", "1000"}, 100},
		{[]string{"--step", "1s", "--days", "1"}, 86_400},
		{[]string{"--days", "0.00001"}, 1},
	} {
		opts, err := parseArgs(c.args...)
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
		} else if got := opts.ticks(); got != c.ticks {
			t.Errorf("%q: %d ticks, want %d", c.args, got, c.ticks)
		}
	}
}

func TestDefaults(t *testing.T) {
	opts, err := parseArgs()
	if err != nil {
		t.Fatal(err)
	}
	if opts.bandwidth != 100_000 || opts.maxRSS != 40_000_000 || opts.upload != 30*time.Second || opts.maxAge != 40*time.Second {
		t.Errorf("got %+v", opts)
	}
	if opts, err := parseArgs("--upload-interval", "5s", "--max-age", "7s", "--bandwidth", "0"); err != nil || opts.maxAge != 7*time.Second || opts.bandwidth != 0 {
		t.Errorf("got %+v (%v)", opts, err)
	}
}

func TestBadArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"more"}, {"--days", "0"}, {"--samples", "-1"}, {"--series", "0"}, {"--step", "0s"}, {"--upload-interval", "0s"},
		{"--bandwidth", "fast"}, {"--bandwidth", "-1"}, {"--max-age", "-1s"}, {"--vmagent-stays"}, {"--vmagent-queues", "2"}, {"--within", "0s"},
	} {
		if opts, err := parseArgs(args...); err == nil {
			t.Errorf("%q: got %+v", args, opts)
		}
	}
}

func TestRatesAreRead(t *testing.T) {
	for text, want := range map[string]rate{
		"0": 0, "100kB/s": 100_000, "1.5MB/s": 1_500_000, "64KiB": 65_536, "2 MiB/s": 2 << 20, "512": 512, "9B/s": 9, "1GB": 1_000_000_000,
	} {
		var r rate
		if err := r.Set(text); err != nil || r != want {
			t.Errorf("%q: %d (%v), want %d", text, r, err, want)
		}
	}
	for _, text := range []string{"", "kB", "1TB", "9GB", "1e99", "NaN", "100 kb/s"} {
		var r rate
		if err := r.Set(text); err == nil {
			t.Errorf("%q: read as %d", text, r)
		}
	}
}
