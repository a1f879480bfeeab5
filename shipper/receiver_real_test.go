package shipper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"taffrail/internal/event"
	"taffrail/internal/victoria"
	"taffrail/internal/victoria/child"
)

// realBound is the longest time for a test against a real VictoriaMetrics.
// Building it, where it is not cached, takes a minute or two of it.
const realBound = 8 * time.Minute

func startReal(t *testing.T, flags ...string) *victoria.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), realBound)
	t.Cleanup(cancel)
	s, err := victoria.Start(ctx, victoria.Options{Dir: t.TempDir(), Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// storeLines sends lines to the import API and returns when it answered.
func storeLines(t *testing.T, url string, lines ...string) {
	t.Helper()
	resp, err := readClient(t).Post(url+importPath, "application/stream+json", strings.NewReader(strings.Join(lines, "\n")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("the import answered %s: %s", resp.Status, text)
	}
}

// storedLine returns a line with a value at each time.
func storedLine(metric string, times ...int64) string {
	var values, ms []string
	for i, t := range times {
		values, ms = append(values, strconv.Itoa(i)), append(ms, strconv.FormatInt(t, 10))
	}
	return fmt.Sprintf(`{"metric":%s,"values":[%s],"timestamps":[%s]}`, metric, strings.Join(values, ","), strings.Join(ms, ","))
}

func flushReal(t *testing.T, s *victoria.Server) {
	t.Helper()
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// sortedTimes gathers times in order.
func sortedTimes(t *testing.T, r *receiver, match event.Labels, from, to int64) map[string][]int64 {
	t.Helper()
	all, err := gatherTimes(t, r, match, from, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, times := range all {
		slices.Sort(times)
	}
	return all
}

func TestRealReceiverTellsItsSettings(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		flags []string
		want  properties
	}{
		"as it is to be set up": {nil, properties{true, time.Millisecond, 36500 * day, 5 * time.Second}},
		"another": {[]string{"-dedup.minScrapeInterval=30s", "-retentionPeriod=30d", "-inmemoryDataFlushInterval=1m"},
			properties{true, 30 * time.Second, 30 * day, time.Minute}},
		"in months": {[]string{"-dedup.minScrapeInterval=0s", "-retentionPeriod=3"}, properties{true, 0, 93 * day, 5 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			r := readerAt(t, readClient(t), startReal(t, c.flags...).URL)
			if got, err := r.properties(t.Context()); got != c.want || err != nil {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
	t.Run("none set", func(t *testing.T) {
		r := readerAt(t, readClient(t), startPlain(t))
		want := properties{true, 0, 31 * day, 5 * time.Second}
		if got, err := r.properties(t.Context()); got != want || err != nil {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

// startPlain starts a server without a flag that is asked for, and returns its
// address.
func startPlain(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), realBound)
	t.Cleanup(cancel)
	program, err := victoria.Build(ctx, "victoria-metrics")
	if err != nil {
		t.Fatal(err)
	}
	address := victoria.FreeAddress()
	p, err := child.Start(exec.Command(program, "-httpListenAddr="+address, "-memory.allowedBytes=64MiB",
		"-storageDataPath="+filepath.Join(t.TempDir(), "data")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		if resp, err := readClient(t).Get("http://" + address + "/health"); err == nil {
			_ = resp.Body.Close()
			return "http://" + address
		}
		select {
		case <-poll.C:
		case <-p.Done():
			t.Fatalf("the server ended: %s", p.Output())
		case <-ctx.Done():
			t.Fatalf("the server does not answer: %s", p.Output())
		}
	}
}

func TestRealReceiverTellsItsStart(t *testing.T) {
	s := startReal(t)
	r := readerAt(t, readClient(t), s.URL)
	started := func() string {
		t.Helper()
		start, err := r.started(t.Context())
		if err != nil || start == "" {
			t.Fatalf("started is %q, %v", start, err)
		}
		return start
	}
	first := started()
	storeLines(t, s.URL, storedLine(`{"__name__":"a","device_id":"boat"}`, fromMS))
	flushReal(t, s)
	if again := started(); again != first {
		t.Errorf("the start was %s and is %s", first, again)
	}
	seconds, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Unix() <= seconds {
		<-tick.C
	}
	s.Kill()
	if start, err := r.started(t.Context()); err == nil {
		t.Errorf("a dead server was started at %q", start)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := started(); again == first {
		t.Errorf("after a restart the start still is %s", again)
	}
}

// A single node also serves the paths of a cluster, but for those of its process.
func TestRealReceiverAtOtherPaths(t *testing.T) {
	s := startReal(t)
	storeLines(t, s.URL, storedLine(`{"__name__":"a","device_id":"boat"}`, fromMS))
	flushReal(t, s)
	base, ok := ReadBase(s.URL+"/prometheus"+importPath, "")
	if !ok {
		t.Fatal("there is no base")
	}
	r := readerAt(t, readClient(t), base)
	if found, err := countBoat(t, r); len(found) != 1 || err != nil {
		t.Errorf("counts are %v, %v", found, err)
	}
	if found := sortedTimes(t, r, ofBoat, fromMS, toMS); len(found) != 1 {
		t.Errorf("times are %v", found)
	}
	if start, err := r.started(t.Context()); start == "" || err != nil {
		t.Errorf("started is %q, %v", start, err)
	}
	none := readerAt(t, readClient(t), s.URL+"/elsewhere")
	if _, err := countBoat(t, none); !errors.Is(err, errNoAccess) {
		t.Errorf("counts at a wrong path: %v", err)
	}
	if _, err := gatherTimes(t, none, ofBoat, fromMS, toMS); !errors.Is(err, errNoAccess) {
		t.Errorf("times at a wrong path: %v", err)
	}
	if p, err := none.properties(t.Context()); p.Known || err != nil {
		t.Errorf("properties at a wrong path: %+v, %v", p, err)
	}
	if start, err := none.started(t.Context()); start != "" || err != nil {
		t.Errorf("started at a wrong path: %q, %v", start, err)
	}
}

func TestRealReceiverCountsToTheMillisecond(t *testing.T) {
	s := startReal(t)
	const firstMS = 2 * 86_400_000 // samples of the first day of 1970 are not found again
	now := time.Now().UnixMilli()
	for i, at := range []int64{
		firstMS, 1<<33 - 1, 1 << 33, 1<<34 - 1, 1 << 34, fromMS, fromMS + 123, now, now + 60_000,
	} {
		device := fmt.Sprintf("boat%d", i)
		match := event.Labels{{Name: "device_id", Value: device}}
		metric := metricJSON("edge", match)
		var times []int64
		for _, d := range []int64{-1, 0, 1, 2, 1000, 3_600_000, 3_600_001} {
			if at+d > 0 {
				times = append(times, at+d)
			}
		}
		storeLines(t, s.URL, storedLine(metric, times...))
		flushReal(t, s)
		r := readerAt(t, readClient(t), s.URL)
		for _, from := range []int64{-7, at - 1, at, at + 1, at + 2} {
			for _, to := range []int64{at - 1, at, at + 1, at + 2, at + 999, at + 1000, at + 3_600_000, at + 3_600_001} {
				within := slices.DeleteFunc(slices.Clone(times), func(ms int64) bool { return ms < from || ms > to })
				wantCounts, wantTimes := map[string]int{}, map[string][]int64{}
				if len(within) > 0 {
					wantCounts[metric], wantTimes[metric] = len(within), within
				}
				found, err := r.counts(t.Context(), match, from, to)
				if err != nil || !maps.Equal(found, wantCounts) {
					t.Errorf("%d+%d to +%d: counts %v, %v, want %v", at, from-at, to-at, found, err, wantCounts)
				}
				if got := sortedTimes(t, r, match, from, to); !maps.EqualFunc(got, wantTimes, slices.Equal) {
					t.Errorf("%d+%d to +%d: times %v, want %v", at, from-at, to-at, got, wantTimes)
				}
			}
		}
	}
}

// What is stored twice is counted and exported twice, unless the receiver merges
// it. Then a count never has it twice, and an export until it is merged, which may
// be at once.
func TestRealReceiverHoldsSamplesTwice(t *testing.T) {
	metric, other := metricJSON("a", ofBoat), metricJSON("b", ofBoat)
	once := []int64{fromMS, fromMS + 1, fromMS + 2, fromMS + 1000, fromMS + 5000}
	twice := []int64{fromMS, fromMS + 1, fromMS + 1, fromMS + 2, fromMS + 1000, fromMS + 1000, fromMS + 5000}
	for name, c := range map[string]struct {
		flag  string
		count int
		times []int64 // at least
	}{
		"without dedup": {"-dedup.minScrapeInterval=0s", 7, twice},
		"with dedup":    {"-dedup.minScrapeInterval=1ms", 5, once},
		"with 1 s":      {"-dedup.minScrapeInterval=1s", 3, []int64{fromMS, fromMS + 1000, fromMS + 5000}},
	} {
		t.Run(name, func(t *testing.T) {
			s := startReal(t, c.flag)
			storeLines(t, s.URL, storedLine(metric, once...))
			storeLines(t, s.URL, storedLine(metric, fromMS+1, fromMS+1000), storedLine(other, fromMS))
			storeLines(t, s.URL, storedLine(metricJSON("a", event.Labels{{Name: "device_id", Value: "ship"}}), fromMS))
			flushReal(t, s)
			r := readerAt(t, readClient(t), s.URL)
			found, err := r.counts(t.Context(), ofBoat, fromMS, fromMS+5000)
			if want := (map[string]int{metric: c.count, other: 1}); err != nil || !maps.Equal(found, want) {
				t.Errorf("counts are %v, %v, want %v", found, err, want)
			}
			got := sortedTimes(t, r, ofBoat, fromMS, fromMS+5000)
			if len(got) != 2 || !slices.Equal(got[other], []int64{fromMS}) || !containsTimes(got[metric], c.times) || !containsTimes(twice, got[metric]) {
				t.Errorf("times are %v, want at least %v", got, c.times)
			}
		})
	}
}

// containsTimes reports whether all has each of some, as often. Both are sorted.
func containsTimes(all, some []int64) bool {
	for _, ms := range all {
		if len(some) > 0 && some[0] == ms {
			some = some[1:]
		}
	}
	return len(some) == 0
}

// Labels come back under the keys that they were sent with, and select.
func TestRealReceiverKeepsLabels(t *testing.T) {
	s := startReal(t)
	r := readerAt(t, readClient(t), s.URL)
	all := ""
	for b := byte(1); b < 0x80; b++ {
		all += string(rune(b))
	}
	for i, value := range []string{
		"plain", `"quoted"`, `back\slash`, `\`, `\"`, `\n`, "two\nlines", "\r\n\t", "'`{}[](),=~!", "a=\"b\",c", "${x}%25+&;",
		"é", "日本語", "😀", "\u200b\u2028\ufeff", "\ufffd", " spaced ", "<b>&amp;</b>", "a.*", all, strings.Repeat("é", 512),
	} {
		labels := event.Labels{
			{Name: "device_id", Value: value}, {Name: "n", Value: strconv.Itoa(i)}, {Name: "other", Value: value}, {Name: "site", Value: value},
		}
		key := metricJSON("kept", labels)
		storeLines(t, s.URL, storedLine(key, fromMS, toMS))
		storeLines(t, s.URL, storedLine(metricJSON("kept", event.Labels{{Name: "device_id", Value: value + "x"}}), fromMS))
		flushReal(t, s)
		match := event.Labels{labels[0], labels[3]}
		found, err := r.counts(t.Context(), match, fromMS, toMS)
		if want := (map[string]int{key: 2}); err != nil || !maps.Equal(found, want) {
			t.Errorf("%q: counts %v, %v, want %v", value, found, err, want)
		}
		if got := sortedTimes(t, r, match, fromMS, toMS); len(got) != 1 || !slices.Equal(got[key], []int64{fromMS, toMS}) {
			t.Errorf("%q: times %v, want those of %s", value, got, key)
		}
	}
}

// Whatever the values, and however many there are of a series.
func TestRealReceiverExportsAllValues(t *testing.T) {
	s := startReal(t)
	r := readerAt(t, readClient(t), s.URL)
	values := []string{"0", "-0", "1e308", "-1e-308", "5e-324", "0.1", "123456789012345", `"Infinity"`, `"-Infinity"`, "1.7976931348623157e308"}
	for i, v := range values {
		labels := event.Labels{{Name: "device_id", Value: "boat"}, {Name: "n", Value: strconv.Itoa(i)}}
		storeLines(t, s.URL, fmt.Sprintf(`{"metric":%s,"values":[%s],"timestamps":[%d]}`, metricJSON("odd", labels), v, fromMS))
	}
	const many = 20_000
	var times []int64
	long := make([]float64, many)
	for i := range long {
		times, long[i] = append(times, fromMS+int64(i)), math.MaxFloat64/float64(i+1)
	}
	line, err := json.Marshal(map[string]any{"metric": map[string]string{"__name__": "long", "device_id": "boat"}, "values": long, "timestamps": times})
	if err != nil {
		t.Fatal(err)
	}
	storeLines(t, s.URL, string(line))
	flushReal(t, s)
	got := sortedTimes(t, r, ofBoat, fromMS, fromMS+many)
	if !slices.Equal(got[metricJSON("long", ofBoat)], times) {
		t.Errorf("%d times of %d", len(got[metricJSON("long", ofBoat)]), many)
	}
	if len(got) != 1+len(values) {
		t.Errorf("%d series of %d: %v", len(got), 1+len(values), slices.Collect(maps.Keys(got)))
	}
}
