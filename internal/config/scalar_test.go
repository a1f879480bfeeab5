package config

import (
	"math"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]struct {
		d    time.Duration
		text string
	}{
		"0": {0, "0s"}, "0s": {0, "0s"}, "-0": {0, "0s"}, "1ns": {1, "1ns"}, "1.5us": {1500, "1.5us"}, "2µs": {2000, "2us"},
		"500ms": {500 * time.Millisecond, "500ms"}, "30s": {30 * time.Second, "30s"}, "90s": {90 * time.Second, "1m30s"},
		"1.5m": {90 * time.Second, "1m30s"}, "24h": {24 * time.Hour, "1d"}, "7d": {168 * time.Hour, "7d"},
		"0.1d": {144 * time.Minute, "2h24m"}, "1d12h": {36 * time.Hour, "1d12h"}, "12h1d": {36 * time.Hour, "1d12h"},
		"1.5d": {36 * time.Hour, "1d12h"}, "-1d": {-24 * time.Hour, "-1d"}, "1m0.25s": {60250 * time.Millisecond, "1m250ms"},
		".5s": {500 * time.Millisecond, "500ms"},
	} {
		got, err := ParseDuration(in)
		if err != nil || got.Std() != want.d {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", in, got, err, want.d)
		}
		if text := got.String(); text != want.text {
			t.Errorf("%q prints as %q, want %q", in, text, want.text)
		}
	}
	for _, in := range []string{"", "-", "s", "5", "5 s", "+5s", "1.5", "5parsecs", "1..5s", ".s", "5d3", "d5", "1e3s", "0x1s", "107000d", "106751d24h", "3000000h", "1y", "--1s", "1µ"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %v", in, got)
		}
	}
	for _, d := range []Duration{math.MaxInt64, math.MinInt64 + 1} {
		if got, err := ParseDuration(d.String()); err != nil || got != d {
			t.Errorf("%v reads back as %v, %v", d, got, err)
		}
	}
	if got, want := Duration(math.MinInt64).String(), Duration(math.MinInt64+1).String(); got != want {
		t.Errorf("the least duration prints as %q", got)
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]struct {
		size Size
		text string
	}{
		"0": {0, "0"}, "1": {1, "1"}, "1023": {1023, "1023"}, "1024": {1024, "1KiB"}, "256KiB": {256 << 10, "256KiB"}, "65536": {1 << 16, "64KiB"},
		"1MiB": {1 << 20, "1MiB"}, "1GiB": {1 << 30, "1GiB"}, "2TiB": {2 << 40, "2TiB"}, "64MB": {64e6, "64MB"}, "100kB": {1e5, "100kB"},
		"100KB": {1e5, "100kB"}, "1.5MiB": {3 << 19, "1536KiB"}, "1 GiB": {1 << 30, "1GiB"}, "7B": {7, "7"}, "0.5GB": {5e8, "500MB"},
		"9223372036854775807": {math.MaxInt64, "9223372036854775807"},
	} {
		got, err := ParseSize(in)
		if err != nil || got != want.size {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", in, got, err, want.size)
		}
		if text := got.String(); text != want.text {
			t.Errorf("%q prints as %q, want %q", in, text, want.text)
		}
	}
	for _, in := range []string{"", "-1", "+1", "MiB", "1M", "1mib", "1.5", "0.3KiB", "1e6", "1/2MiB", "0x10", "1_000", "9223372036854775808", "9TB9", "16777216TiB", ".", "1.2.3KiB"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %v", in, got)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"0", "1d12h", "1.5h", "-5s", "106751d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		if again, err := ParseDuration(d.String()); err != nil || again != d {
			t.Errorf("%q is %v, which reads as %v, %v", s, d, again, err)
		}
	})
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"0", "256KiB", "64MB", "1.5GiB", "7B"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		size, err := ParseSize(s)
		if err != nil {
			return
		}
		if again, err := ParseSize(size.String()); err != nil || again != size || size < 0 {
			t.Errorf("%q is %v, which reads as %v, %v", s, size, again, err)
		}
	})
}
