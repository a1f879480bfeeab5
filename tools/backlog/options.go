package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

type options struct {
	days     float64
	samples  int // 0: as many as the days have
	series   int
	interval time.Duration // between the ticks of the backlog
	seed     uint64

	bandwidth rate // 0: no limit
	latency   time.Duration
	upload    time.Duration
	collect   time.Duration
	dedup     time.Duration
	readURL   string

	settle bool
	every  time.Duration
	within time.Duration
	maxAge time.Duration // 0: upload and ageSlack
	maxRSS rate

	vmagent       bool
	vmagentStays  bool // is not started again before it drains
	vmagentQueues int  // 0: its default

	dir  string // "": a temporary one
	keep bool
}

// ageSlack is what a fresh sample may take beyond the upload interval that it
// waits for: behind a chunk of the backlog, on the link, into the receiver's
// memory.
const ageSlack = 10 * time.Second

// parse reads the command line.
func parse(flags *flag.FlagSet, args []string) (options, error) {
	opts := options{bandwidth: 100_000, maxRSS: 40_000_000}
	flags.Float64Var(&opts.days, "days", 4, "`days` of backlog")
	flags.IntVar(&opts.samples, "samples", 0, "`number` of samples in the backlog, in place of days")
	flags.IntVar(&opts.series, "series", 180, "`number` of series")
	flags.DurationVar(&opts.interval, "step", 10*time.Second, "`time` between two readings in the backlog")
	flags.Uint64Var(&opts.seed, "seed", 1, "`seed` of the values")
	flags.Var(&opts.bandwidth, "bandwidth", "bytes a second, each way, such as 100kB/s; 0: no limit")
	flags.DurationVar(&opts.latency, "latency", 0, "`time` that a byte takes on the link, each way")
	flags.DurationVar(&opts.upload, "upload-interval", 30*time.Second, "the daemon's remote.upload_interval")
	flags.DurationVar(&opts.collect, "interval", time.Second, "`time` between two readings of the daemon")
	flags.DurationVar(&opts.dedup, "dedup", time.Millisecond, "the receiver's dedup.minScrapeInterval; 0: it keeps duplicates")
	flags.StringVar(&opts.readURL, "read-url", "", "the daemon's remote.read_url, such as off")
	flags.BoolVar(&opts.settle, "settle", true, "wait until the daemon has seen the backlog at the receiver")
	flags.DurationVar(&opts.every, "every", 5*time.Second, "`time` between two lines of progress")
	flags.DurationVar(&opts.within, "within", time.Hour, "the longest `time` for the backlog")
	flags.DurationVar(&opts.maxAge, "max-age", 0, "the greatest `age` of the newest sample at the receiver; 0: an upload interval and "+ageSlack.String())
	flags.Var(&opts.maxRSS, "max-rss", "bound of the daemon's resident memory, such as 40MB")
	flags.BoolVar(&opts.vmagent, "vmagent", false, "drain a vmagent as well, for comparison")
	flags.BoolVar(&opts.vmagentStays, "vmagent-stays", false, "do not start vmagent again before it drains: what it waits for then counts")
	flags.IntVar(&opts.vmagentQueues, "vmagent-queues", 0, "its remoteWrite.queues, which is its `number` of connections; 0: its default")
	flags.StringVar(&opts.dir, "dir", "", "keep all files in this `directory`")
	flags.BoolVar(&opts.keep, "keep", false, "do not remove the files in the end")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case opts.days <= 0 || opts.samples < 0 || opts.series < 1 || opts.interval < time.Millisecond:
		return options{}, errors.New("there is no such backlog")
	case opts.upload <= 0 || opts.collect <= 0 || opts.every <= 0 || opts.within <= 0:
		return options{}, errors.New("intervals must be positive")
	case opts.maxAge < 0 || opts.latency < 0 || opts.dedup < 0:
		return options{}, errors.New("a time cannot be negative")
	case opts.vmagentQueues < 0 || !opts.vmagent && (opts.vmagentStays || opts.vmagentQueues > 0):
		return options{}, errors.New("there is no such vmagent")
	}
	if opts.maxAge == 0 {
		opts.maxAge = opts.upload + ageSlack
	}
	return opts, nil
}

// ticks returns how many ticks the backlog has, one at least.
func (o *options) ticks() int {
	if o.samples > 0 {
		return (o.samples + o.series - 1) / o.series
	}
	return max(1, int(o.days*24*float64(time.Hour)/float64(o.interval)))
}

// rate is a number of bytes, a second or at all. As text it has a unit, of 1000
// or, with an i, of 1024, and may end in /s.
type rate int

// String implements flag.Value.
func (r *rate) String() string { return bytesText(float64(*r)) }

// Set implements flag.Value.
func (r *rate) Set(text string) error {
	number := strings.TrimSuffix(strings.TrimSuffix(text, "/s"), "B")
	unit := 1.0
	for suffix, factor := range map[string]float64{"k": 1e3, "Ki": 1 << 10, "M": 1e6, "Mi": 1 << 20, "G": 1e9, "Gi": 1 << 30} {
		if n, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = n, factor
			break
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(n >= 0) || n*unit > math.MaxInt32 { // nor is NaN
		return fmt.Errorf("%q is no number of bytes, such as 100kB/s", text)
	}
	*r = rate(n * unit)
	return nil
}

// bytesText returns a number of bytes for people.
func bytesText(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", n/1e3)
	}
	return fmt.Sprintf("%.0f B", n)
}
