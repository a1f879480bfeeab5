package shipper

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestParseRetention(t *testing.T) {
	const day = 24 * time.Hour
	for s, want := range map[string]time.Duration{
		"1": 31 * day, "1M": 31 * day, "12": 372 * day, "0.5M": 31 * day / 2, "1200": 1200 * 31 * day,
		"24h": day, "30d": 30 * day, "30D": 30 * day, "2w": 14 * day, "1y": 365 * day, "100y": 36500 * day, "1.5d": 36 * time.Hour,
		"1w2d3h4s5ms": 9*day + 3*time.Hour + 4*time.Second + 5*time.Millisecond, "1h30m": 90 * time.Minute,
		"0": 0, "292y": 292 * 365 * day, "293y": math.MaxInt64, "1000y": math.MaxInt64, "9999999": math.MaxInt64, "1e300M": math.MaxInt64,
	} {
		if got, err := parseRetention(s); got != want || err != nil {
			t.Errorf("%q is %s, %v, want %s", s, got, err, want)
		}
	}
	for _, s := range []string{"", "M", "d", "-1", "-1M", "-1d", "NaN", "1x", "1.2.3d", "1d ", "1 d", "d1", "1dd", "1y6", "."} {
		if got, err := parseRetention(s); err == nil {
			t.Errorf("%q is %s", s, got)
		}
	}
}

func FuzzParseRetention(f *testing.F) {
	for _, s := range []string{"1", "1M", "100y", "1w2d3h4s5ms", "1.5d", "1e300M", "-1", "NaN", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseRetention(s)
		if d < 0 || err != nil && d != 0 {
			t.Errorf("%q is %s, %v", s, d, err)
		}
	})
}

// byPath answers each path in its way, and all others with 404.
func byPath(answers map[string]http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if answer := answers[r.URL.Path]; answer != nil {
			answer(w, r)
			return
		}
		http.NotFound(w, r)
	}
}

func TestPropertiesAreDecoded(t *testing.T) {
	ok := func(text string) http.HandlerFunc { return says(200, textMedia, text) }
	const day = 24 * time.Hour
	unset := ok("vm_rows 1\nflag{name=\"retentionFilter\", value=\"x\", is_set=\"false\"} 1\n" +
		"flag{name=\"retentionPeriod\", value=\"1M\", is_set=\"false\"} 1\nflag{name=\"z\", value=\"\", is_set=\"false\"} 1\n")
	for name, c := range map[string]struct {
		flags, metrics http.HandlerFunc
		want           properties
		err            error
	}{
		"all set": {ok("-dedup.minScrapeInterval=\"1m0s\"\n-inmemoryDataFlushInterval=\"1m30s\"\n-retentionPeriod=\"100y\"\n"), nil,
			properties{true, time.Minute, 36500 * day, 90 * time.Second}, nil},
		"others, with odd values": {ok("-a=\"retentionPeriod=1\"\n-b=\"\"\n-c=\"x\\ny\"\n-retentionPeriod=\"3\"\n"), nil,
			properties{true, 0, 93 * day, defaultFlush}, nil},
		"packed": {zippedAnswer(textMedia, "-retentionPeriod=\"1y\"\n"+strings.Repeat("-a=\"b\"\n", 10_000), 0), nil,
			properties{true, 0, 365 * day, defaultFlush}, nil},
		"none set":                {ok(""), unset, properties{true, 0, 31 * day, defaultFlush}, nil},
		"none set, no storage":    {ok(""), ok("up 1\n"), properties{true, 0, 0, defaultFlush}, nil},
		"none set, not shown":     {ok(""), says(401, textMedia, ""), properties{true, 0, 0, defaultFlush}, nil},
		"none set, not known":     {ok(""), says(503, textMedia, ""), properties{}, errUnknown},
		"none set, a portal then": {ok(""), redirects(302), properties{}, errNoAccess},
		"not shown":               {says(403, textMedia, ""), unset, properties{false, 0, 0, defaultFlush}, nil},
		"something else":          {ok("Welcome aboard\n"), unset, properties{}, errUnknown},
		"no end of the line":      {ok(`-retentionPeriod="1`), nil, properties{}, errUnknown},
		"no duration":             {ok("-dedup.minScrapeInterval=\"often\"\n"), nil, properties{}, errUnknown},
		"not quoted":              {ok("-dedup.minScrapeInterval=1s\n"), nil, properties{}, errUnknown},
		"no retention":            {ok("-retentionPeriod=\"long\"\n"), nil, properties{}, errUnknown},
		"long":                    {ok(strings.Repeat("-a=\"b\"\n", maxFlags/7+1)), unset, properties{}, errTooLong},
		"a long line":             {ok("-a=\"" + strings.Repeat("b", maxFlagLine) + "\"\n"), unset, properties{}, errTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]http.HandlerFunc{"/flags": c.flags, "/metrics": c.metrics}
			got, err := answering(t, byPath(answers)).properties(t.Context())
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, c.want, c.err)
			}
		})
	}
}

func TestStartIsDecoded(t *testing.T) {
	const storage, start = storageMetric + "17\n", startMetric + "1780000000\n"
	long := strings.Repeat("vm_rows{type=\"x\"} 1\n", maxMetrics/20+1)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
		err    error
	}{
		"plain":                   {says(200, textMedia, "a 1\n"+storage+"b 2\n"+start+"c 3\n"), "1780000000", nil},
		"packed":                  {zippedAnswer(textMedia, storage+start+"c 3\n", 0), "1780000000", nil},
		"with more than fits":     {says(200, textMedia, storage+start+long), "1780000000", nil},
		"with descriptions":       {says(200, textMedia, "# TYPE vm_rows_added_to_storage_total counter\n"+storage+"# TYPE vm_app_start_timestamp gauge\n"+start), "1780000000", nil},
		"of a vmselect":           {says(200, textMedia, "vm_app_version{version=\"vmselect\"} 1\n"+start), "", nil},
		"of something else":       {says(200, textMedia, storage+"up 1\n"), "", nil},
		"of nothing":              {says(200, textMedia, ""), "", nil},
		"cut short before":        {rawAnswer("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 999\r\n\r\n" + storage), "", errUnknown},
		"cut short after":         {rawAnswer("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 999\r\n\r\n" + storage + start + strings.Repeat("vm_rows 1\n", 60)), "1780000000", nil},
		"without a value":         {says(200, textMedia, storage+startMetric+"\n"), "", errUnknown},
		"too far down":            {says(200, textMedia, storage+long+start), "", errTooLong},
		"in a line that is long":  {says(200, textMedia, strings.Repeat("x", maxFlagLine+100_000)+"\n"+storage+start), "", errTooLong},
		"without an end of lines": {says(200, textMedia, storage+strings.TrimSpace(start)), "", errUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := answering(t, byPath(map[string]http.HandlerFunc{"/metrics": c.answer})).started(t.Context())
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %q, %v, want %q, %v", got, err, c.want, c.err)
			}
		})
	}
}
