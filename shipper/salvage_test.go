package shipper

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"

	"taffrail/internal/event"
)

// bench is a card with a receiver, in a bubble whose clock stands a day behind
// the card's beginning.
type bench struct {
	t        *testing.T
	log      *memoryLog
	model    *model
	opts     SalvageOptions
	way      http.RoundTripper // to the model; nil: straight
	refusals []Refusal
}

func onBench(t *testing.T, dedup time.Duration, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.UnixMilli(startMS).Add(24 * time.Hour)))
		b := &bench{t: t, log: &memoryLog{}, model: newModel(t, dedup)}
		b.opts = SalvageOptions{
			Remote:        Remote{URL: "http://receiver.test/api/v1/import", Timeout: 30 * time.Second, UserAgent: "logtool/test"},
			MaxChunkBytes: 256 << 10,
			Retry:         Retry{MaxAttempts: 3, InitialBackoff: time.Second, MaxBackoff: 30 * time.Second, Multiplier: 2},
			Open:          func() (Source, error) { return b.log.Source(1), nil },
			Refused:       func(r Refusal) { b.refusals = append(b.refusals, r) },
		}
		test(t, b)
	})
}

// run runs a Salvage as the options say.
func (b *bench) run(ctx context.Context) (Summary, error) {
	b.t.Helper()
	sv, err := NewSalvage(b.opts)
	if err != nil {
		b.t.Fatal(err)
	}
	sv.s.client.http.Transport = b.model
	if b.way != nil {
		sv.s.client.http.Transport = b.way
	}
	return sv.Run(ctx)
}

// ship is run where all is to go well.
func (b *bench) ship() Summary {
	b.t.Helper()
	s, err := b.run(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// preload lets the receiver hold the ticks of some records, under the names that
// the log gives them.
func (b *bench) preload(names []string, from, to int) {
	b.model.mu.Lock()
	defer b.model.mu.Unlock()
	for _, key := range b.samples(names, from, to) {
		b.model.rows[key.series] = append(b.model.rows[key.series], row{key.ms, time.Now().Add(-time.Hour)})
	}
}

type sampleKey struct {
	series string
	ms     int64
}

// samples returns those of the ticks of some records that can be sent.
func (b *bench) samples(names []string, from, to int) (all []sampleKey) {
	for i := from; i <= to; i++ {
		tick, ok := b.log.events[i-1].(*event.Tick)
		if !ok {
			continue
		}
		ids := newIdentities(tick.Context.DeviceID, tick.Context.Tags, names)
		ms, timed := tick.EffectiveTime()
		for j := range tick.Samples {
			s := &tick.Samples[j]
			if !timed || !s.Sendable() {
				continue
			}
			var labels map[string]string
			if err := json.Unmarshal([]byte(ids.metric(s.Series)), &labels); err != nil {
				b.t.Fatal(err)
			}
			all = append(all, sampleKey{keyOf(labels), ms})
		}
	}
	return all
}

// checkOnce expects each sample of the card at the receiver, once, or at least once
// where it merges, and nothing else.
func (b *bench) checkOnce(names []string) {
	b.t.Helper()
	stored := b.model.stored()
	missing, twice := 0, 0
	for _, key := range b.samples(names, 1, len(b.log.events)) {
		text := fmt.Sprintf("%s at %d", key.series, key.ms)
		switch n := stored[text]; {
		case n == 0:
			missing++
		case n > 1 && b.model.dedup == 0:
			twice++
		}
		delete(stored, text)
	}
	if missing+twice+len(stored) > 0 {
		b.t.Errorf("%d samples are missing, %d twice, %d are extra", missing, twice, len(stored))
	}
}

// dedups are a receiver that merges, and one that does not.
var dedups = map[string]time.Duration{"merging": time.Millisecond, "not merging": 0}

func TestSalvageSendsWhatTheReceiverLacks(t *testing.T) {
	for name, dedup := range dedups {
		t.Run(name, func(t *testing.T) {
			onBench(t, dedup, func(t *testing.T, b *bench) {
				fill(t, b.log, boat, 10, 300)
				b.preload(nil, 101, 200)
				b.opts.DryRun = true
				began := time.Now()
				s := b.ship()
				if s.Samples != 3000 || s.There != 1000 || s.Lacking != 2000 || s.Sent != 0 || s.Verified || !s.Complete || s.DeviceID != "boat" {
					t.Errorf("dry run: %+v", s)
				}
				if b.model.imports != 0 || s.Requests != 0 || time.Since(began) > 0 {
					t.Errorf("the dry run sent %d requests and took %v", b.model.imports, time.Since(began))
				}
				b.opts.DryRun = false
				s = b.ship()
				if s.There != 1000 || s.Lacking != 2000 || s.Sent != 2000 || s.Repeated != 0 || s.Missing != 0 || !s.Verified || s.Rounds != 1 {
					t.Errorf("first run: %+v", s)
				}
				if s.FirstMS != startMS || s.LastMS != startMS+299_000 {
					t.Errorf("from %d to %d", s.FirstMS-startMS, s.LastMS-startMS)
				}
				b.checkOnce(nil)
				began, imports := time.Now(), b.model.imports
				s = b.ship()
				if s.There != 3000 || s.Lacking != 0 || s.Sent != 0 || !s.Verified || b.model.imports != imports || time.Since(began) > 0 {
					t.Errorf("second run: %+v, %d requests, took %v", s, b.model.imports-imports, time.Since(began))
				}
			})
		})
	}
}

// Whatever befalls the link, the receiver and the run, further runs bring all of
// it, and where the receiver does not merge nothing twice.
func TestSalvageIsGoneOnWith(t *testing.T) {
	for name, dedup := range dedups {
		for seed := range uint64(60) {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				onBench(t, dedup, func(t *testing.T, b *bench) {
					r := rand.New(rand.NewPCG(seed, 5))
					fill(t, b.log, boat, 20, 300)
					b.opts.MaxChunkBytes = 1 << 10
					b.opts.Remote.Timeout = 10 * time.Second
					b.model.fault = random(r, 4, lostRequest, lostAnswer, delayed, failing)
					for range 8 {
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(150_000))*time.Millisecond)
						if _, err := b.run(ctx); err == nil && ctx.Err() != nil {
							t.Error("a run that was broken off has no error")
						}
						cancel()
						if r.IntN(3) == 0 {
							b.model.kill()
							time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
							b.model.start()
						}
					}
					b.model.fault = func() fault { return noFault }
					if s := b.ship(); s.Missing+s.Refused > 0 || !s.Verified {
						t.Errorf("%+v", s)
					}
					b.checkOnce(nil)
				})
			})
		}
	}
}

// A single run gets through a bad link, and finds what a receiver lost that was
// killed after it had answered.
func TestSalvageLooksAgain(t *testing.T) {
	for name, dedup := range dedups {
		t.Run(name, func(t *testing.T) {
			onBench(t, dedup, func(t *testing.T, b *bench) {
				fill(t, b.log, boat, 20, 300)
				b.opts.MaxChunkBytes, b.opts.Retry.MaxAttempts = 2<<10, 10
				r := rand.New(rand.NewPCG(2, 5))
				b.model.fault = random(r, 5, lostRequest, lostAnswer)
				killed := false
				b.opts.Wait = func(ctx context.Context, d time.Duration) error {
					if b.model.imports > 0 && !killed {
						b.model.kill()
						b.model.start()
						killed = true
						b.model.fault = func() fault { return noFault }
					}
					time.Sleep(d)
					return nil
				}
				s := b.ship()
				if s.Sent != 6000 || s.Repeated == 0 || s.Missing > 0 || s.Rounds != 2 {
					t.Errorf("%+v", s)
				}
				b.checkOnce(nil)
			})
		})
	}
}

// A body that is stored only a minute after its client gave up is not sent twice,
// neither by the same run nor by one that follows at once.
func TestSalvageWaitsForABodyThatIsLate(t *testing.T) {
	for _, runs := range []string{"one run", "two runs"} {
		t.Run(runs, func(t *testing.T) {
			onBench(t, 0, func(t *testing.T, b *bench) {
				fill(t, b.log, boat, 20, 30)
				late := true
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b.way = &rewriting{next: b.model, store: func(jsonl string) (string, func(*http.Request) (*http.Response, error)) {
					if !late || jsonl == "" {
						return jsonl, nil
					}
					late = false
					return "", func(r *http.Request) (*http.Response, error) {
						trace := httptrace.ContextClientTrace(r.Context())
						trace.WroteHeaders()
						if runs == "two runs" {
							cancel()
						}
						<-r.Context().Done()
						time.AfterFunc(59*time.Second, func() {
							b.model.mu.Lock()
							defer b.model.mu.Unlock()
							b.model.storeLocked(pack(jsonl))
						})
						return nil, r.Context().Err()
					}
				}}
				_, err := b.run(ctx)
				if (err != nil) != (runs == "two runs") {
					t.Error(err)
				}
				if err != nil {
					b.ship()
				}
				b.checkOnce(nil)
			})
		})
	}
}

// rewriting changes what imports bring, or answers in place of the model.
type rewriting struct {
	next  *model
	store func(jsonl string) (string, func(*http.Request) (*http.Response, error))
	other func(*http.Request) (*http.Response, error) // for all but imports, nil: the model
	mu    sync.Mutex
	lines []string // that came
}

func (w *rewriting) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, importPath) {
		if w.other != nil {
			if resp, err := w.other(r); resp != nil || err != nil {
				return resp, err
			}
		}
		return w.next.RoundTrip(r)
	}
	zip, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	jsonl, err := io.ReadAll(zip)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.lines = append(w.lines, strings.Split(strings.TrimSuffix(string(jsonl), "\n"), "\n")...)
	w.mu.Unlock()
	text, answer := w.store(string(jsonl))
	if answer != nil {
		return answer(r)
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(pack(text)))
	return w.next.RoundTrip(r)
}

func pack(text string) []byte {
	var packed bytes.Buffer
	out := gzip.NewWriter(&packed)
	_, _ = io.WriteString(out, text)
	_ = out.Close()
	return packed.Bytes()
}

func TestSalvageNarrowsDownToARefusedLine(t *testing.T) {
	for name, dedup := range dedups {
		for _, code := range []int{400, 413, 422} {
			t.Run(fmt.Sprintf("%s, %d", name, code), func(t *testing.T) {
				onBench(t, dedup, func(t *testing.T, b *bench) {
					fill(t, b.log, boat, 100, 3)
					way := &rewriting{next: b.model, store: func(jsonl string) (string, func(*http.Request) (*http.Response, error)) {
						if strings.Contains(jsonl, `"n":"0042"`) {
							return "", page(code, "cannot parse")
						}
						return jsonl, nil
					}}
					b.way = way
					s := b.ship()
					if s.Sent != 297 || s.Refused != 3 || s.Missing != 0 || !s.Verified {
						t.Errorf("%+v", s)
					}
					want := Refusal{Series: `test.gauge{"n":"0042"}`, FirstMS: startMS, LastMS: startMS + 2000, Samples: 3, Status: code, Answer: "cannot parse"}
					if !slices.Equal(b.refusals, []Refusal{want}) || !slices.Equal(s.Refusals, b.refusals) {
						t.Errorf("refused: %+v", b.refusals)
					}
					for text, n := range b.model.stored() {
						if n > 1 {
							t.Errorf("%s is there %d times", text, n)
						}
					}
				})
			})
		}
	}
}

// A receiver that takes samples and does not keep them is given two more rounds.
func TestSalvageSaysWhatTheReceiverDoesNotKeep(t *testing.T) {
	for name, dedup := range dedups {
		t.Run(name, func(t *testing.T) {
			onBench(t, dedup, func(t *testing.T, b *bench) {
				fill(t, b.log, boat, 10, 5)
				way := &rewriting{next: b.model}
				way.store = func(jsonl string) (string, func(*http.Request) (*http.Response, error)) {
					lines := slices.DeleteFunc(strings.SplitAfter(jsonl, "\n"), func(l string) bool { return strings.Contains(l, `"n":"0004"`) })
					return strings.Join(lines, ""), nil
				}
				b.way = way
				s := b.ship()
				if s.Sent != 45 || s.Missing != 5 || s.Repeated != 10 || s.Rounds != 3 || !s.Verified {
					t.Errorf("%+v", s)
				}
				if len(way.lines) != 12 {
					t.Errorf("%d lines were sent", len(way.lines))
				}
			})
		})
	}
}

func TestSalvageDoesNotSendWhatNoReceiverTakes(t *testing.T) {
	onBench(t, time.Millisecond, func(t *testing.T, b *bench) {
		way := &rewriting{next: b.model, other: func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/flags" {
				return page(200, "-retentionPeriod=\"2d\"\n-dedup.minScrapeInterval=\"1ms\"\n", "Content-Type", "text/plain")(r)
			}
			return nil, nil
		}, store: func(jsonl string) (string, func(*http.Request) (*http.Response, error)) { return jsonl, nil }}
		b.way = way
		time.Sleep(72 * time.Hour) // so that a time before the retention's is plausible
		now := time.Now().UnixMilli()
		const hour = 3600_000
		shift := &event.Decision{Verdict: event.VerdictShift, OffsetMS: now - 10*hour}
		num, text := series(t, "a", event.Gauge), series(t, "b", event.Text)
		for _, tick := range []event.Tick{
			{Trusted: true, Stamp: event.Stamp{WallMS: now - 49*hour}},                     // too old
			{Trusted: true, Stamp: event.Stamp{WallMS: now - 47*hour}},                     // 1
			{Stamp: event.Stamp{WallMS: 5, BootMS: 5}},                                     // held for ever
			{Stamp: event.Stamp{WallMS: 7, BootMS: 7}, Decision: shift},                    // 2
			{Stamp: event.Stamp{WallMS: 9}, Decision: &event.Decision{Verdict: "unknown"}}, // no time
			{Trusted: true, Stamp: event.Stamp{WallMS: 12}},                                // no time: 1970
			{Trusted: true, Stamp: event.Stamp{WallMS: now + 23*hour}},                     // 3
			{Trusted: true, Stamp: event.Stamp{WallMS: now + 25*hour}},                     // far ahead
		} {
			tick.Context = boat
			tick.Samples = []event.Sample{{Series: num, Value: 1}}
			if _, err := b.log.Append(&tick); err != nil {
				t.Fatal(err)
			}
		}
		inf := series(t, "c", event.Gauge)
		if _, err := b.log.Append(&event.Tick{Context: boat, Trusted: true, Stamp: event.Stamp{WallMS: now}, Samples: []event.Sample{
			{Series: num, Value: math.NaN()}, {Series: text, Text: "x"}, {Series: inf, Value: math.Inf(-1)},
		}}); err != nil {
			t.Fatal(err)
		}
		s := b.ship()
		want := map[string]int{"too_old": 1, "time_unknown": 3, "far_future": 1, "nan": 1, "text": 1, "infinite": 1}
		if s.Samples != 3 || s.Sent != 3 || fmt.Sprint(s.NotSent) != fmt.Sprint(want) || !s.Verified {
			t.Errorf("%+v", s)
		}
		if joined := strings.Join(way.lines, "\n"); len(way.lines) != 1 || !strings.Contains(joined,
			fmt.Sprintf(`"timestamps":[%d,%d,%d]`, now-47*hour, now-10*hour+7, now+23*hour)) {
			t.Errorf("sent: %s", joined)
		}
	})
}

// Samples go under the names that the device gave them, whatever is chosen, and in
// whichever order it comes.
func TestSalvageKeepsNames(t *testing.T) {
	dot, under, other, late := "disk.used_bytes", "disk_used.bytes", "disk_used_bytes", "late.one"
	for name, c := range map[string]struct {
		sent  []string
		owner string // of disk_used_bytes
	}{
		"sent before":     {[]string{other, "x"}, other},
		"not sent before": {nil, dot},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, 0, func(t *testing.T, b *bench) {
				if _, err := b.log.Append(&event.SegmentHeader{Ledger: event.Ledger{}}); err != nil {
					t.Fatal(err)
				}
				at := int64(startMS)
				tick := func(ctx *event.Context, names ...string) {
					tick := &event.Tick{Context: ctx, Trusted: true, Stamp: event.Stamp{WallMS: at}}
					for _, n := range names {
						tick.Samples = append(tick.Samples, event.Sample{Series: series(t, n, event.Gauge), Value: 1})
					}
					at += 1000
					if _, err := b.log.Append(tick); err != nil {
						t.Fatal(err)
					}
				}
				tags := event.Labels{{Name: "site", Value: "quay"}}
				tick(boat, dot)
				tick(boat, dot, under, other)
				tick(&event.Context{DeviceID: "boat", Tags: tags}, other, dot)
				tick(&event.Context{DeviceID: "dinghy\x01"}, other)
				if len(c.sent) > 0 { // what the newest of the headers says counts
					if _, err := b.log.Append(&event.SegmentHeader{Ledger: event.Ledger{Names: c.sent}}); err != nil {
						t.Fatal(err)
					}
				}
				tick(boat, other, late)
				// First only one of the series, then all.
				b.opts.Matches = func(s *event.Series) bool { return s.Name == under }
				if s := b.ship(); s.Samples != 1 || s.Sent != 1 {
					t.Errorf("%+v", s)
				}
				b.opts.Matches = func(s *event.Series) bool { return s.Name == other }
				if s := b.ship(); s.Samples != 4 || s.Sent != 4 {
					t.Errorf("%+v", s)
				}
				b.opts.Matches = nil
				if s := b.ship(); s.Samples != 9 || s.Sent != 4 || s.There != 5 {
					t.Errorf("%+v", s)
				}
				names := append([]string{c.owner}, late)
				b.checkOnce(names)
			})
		})
	}
}

func TestSalvageNeedsToRead(t *testing.T) {
	for name, c := range map[string]struct {
		readURL string
		noReads int
		dedup   time.Duration
	}{
		"off":       {"off", 0, 0},
		"forbidden": {"", 403, 0},
		"not there": {"", 404, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, c.dedup, func(t *testing.T, b *bench) {
				fill(t, b.log, boat, 10, 20)
				b.opts.Remote.ReadURL, b.model.noReads = c.readURL, c.noReads
				b.preload(nil, 1, 5)
				for _, dry := range []bool{true, false} {
					b.opts.DryRun = dry
					if _, err := b.run(t.Context()); !errors.Is(err, ErrUnreadable) || b.model.imports > 0 {
						t.Errorf("dry %v: %v, %d requests", dry, err, b.model.imports)
					}
				}
				b.opts.Resend, b.opts.DryRun = true, true
				if s := b.ship(); s.Lacking != 200 || b.model.imports > 0 {
					t.Errorf("dry run: %+v", s)
				}
				b.opts.DryRun = false
				b.model.fault = random(rand.New(rand.NewPCG(1, 1)), 2, lostAnswer)
				b.opts.Retry.MaxAttempts = 10
				s := b.ship()
				if s.Sent != 200 || s.There != 0 || s.Verified || !s.Complete {
					t.Errorf("%+v", s)
				}
				b.model.dedup = time.Millisecond
				b.checkOnce(nil)
			})
		})
	}
	t.Run("keeps what comes twice", func(t *testing.T) {
		onBench(t, 0, func(t *testing.T, b *bench) {
			fill(t, b.log, boat, 1, 1)
			b.opts.Resend = true
			if _, err := b.run(t.Context()); !errors.Is(err, ErrKeepsTwice) || b.model.imports > 0 {
				t.Errorf("%v", err)
			}
		})
	})
	t.Run("merges", func(t *testing.T) {
		onBench(t, time.Millisecond, func(t *testing.T, b *bench) {
			fill(t, b.log, boat, 10, 20)
			b.preload(nil, 1, 20)
			b.opts.Resend = true
			if s := b.ship(); s.Lacking != 200 || s.Sent != 200 || !s.Verified {
				t.Errorf("%+v", s)
			}
		})
	})
}

// What is no receiver, or does not take the credentials, ends the run; so does one
// that does not answer, when the attempts are used up. What was not sent is sent
// by the next run.
func TestSalvageStops(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		want   error
		tries  int
		took   time.Duration
	}{
		"401":     {status(401), ErrNotReceiver, 1, 0},
		"403":     {status(403), ErrNotReceiver, 1, 0},
		"404":     {status(404), ErrNotReceiver, 1, 0},
		"portal":  {page(200, "<html>log in", "Content-Type", "text/html"), ErrNotReceiver, 1, 0},
		"away":    {status(302, "Location", "http://portal.test"), ErrNotReceiver, 1, 0},
		"400":     {status(400), ErrRefused, 2, 0}, // a body without lines is refused too
		"503":     {status(503), ErrUnavailable, 3, 3 * time.Second},
		"429":     {status(429, "Retry-After", "20"), ErrUnavailable, 3, 40 * time.Second},
		"refused": {broken(errRefusedConnection), ErrUnavailable, 3, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, time.Millisecond, func(t *testing.T, b *bench) {
				fill(t, b.log, boat, 2, 2)
				tries := 0
				b.way = &rewriting{next: b.model, store: func(string) (string, func(*http.Request) (*http.Response, error)) {
					tries++
					return "", c.answer
				}}
				began := time.Now()
				s, err := b.run(t.Context())
				if !errors.Is(err, c.want) || tries != c.tries || time.Since(began) != c.took {
					t.Errorf("%v after %d requests and %v", err, tries, time.Since(began))
				}
				if s.Sent != 0 || s.Complete || s.Verified || s.Lacking != 4 {
					t.Errorf("%+v", s)
				}
				b.way = nil
				if s := b.ship(); s.Sent != 4 {
					t.Errorf("%+v", s)
				}
				b.checkOnce(nil)
			})
		})
	}
	t.Run("a portal before it is read", func(t *testing.T) {
		onBench(t, 0, func(t *testing.T, b *bench) {
			b.way = &rewriting{next: b.model, other: status(302, "Location", "http://portal.test")}
			if _, err := b.run(t.Context()); !errors.Is(err, errNoAccess) || errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), "portal") {
				t.Error(err)
			}
		})
	})
	t.Run("reads that fail", func(t *testing.T) {
		onBench(t, 0, func(t *testing.T, b *bench) {
			fill(t, b.log, boat, 2, 2)
			asked := 0
			b.way = &rewriting{next: b.model, other: func(r *http.Request) (*http.Response, error) {
				if r.URL.Path != "/api/v1/export" {
					return nil, nil
				}
				asked++
				return status(503)(r)
			}}
			if s, err := b.run(t.Context()); !errors.Is(err, errUnknown) || asked != 3 || b.model.imports > 0 || s.Complete {
				t.Errorf("%v after %d questions", err, asked)
			}
		})
	})
	t.Run("a log that cannot be read", func(t *testing.T) {
		onBench(t, 0, func(t *testing.T, b *bench) {
			bad := errors.New("input/output error")
			b.opts.Open = func() (Source, error) { return nil, bad }
			if _, err := b.run(t.Context()); !errors.Is(err, bad) {
				t.Error(err)
			}
		})
	})
	t.Run("a receiver that answers nothing but probes", func(t *testing.T) {
		onBench(t, 0, func(t *testing.T, b *bench) {
			fill(t, b.log, boat, 50, 50)
			b.opts.MaxChunkBytes = 1 << 10
			bodies := 0
			b.way = &rewriting{next: b.model, store: func(jsonl string) (string, func(*http.Request) (*http.Response, error)) {
				if jsonl == "" {
					return "", nil
				}
				bodies++
				return "", status(500)
			}}
			if _, err := b.run(t.Context()); !errors.Is(err, ErrUnavailable) || bodies != 3 {
				t.Errorf("%v after %d bodies", err, bodies)
			}
		})
	})
}

// A log larger than a window is sent in several, and only the selected of it.
func TestSalvageOfManyWindows(t *testing.T) {
	onBench(t, time.Millisecond, func(t *testing.T, b *bench) {
		fill(t, b.log, boat, 500, 1200) // 600,000 samples
		b.opts.Admits = func(ev event.Event) bool {
			tick, ok := ev.(*event.Tick)
			return ok && tick.WallMS >= startMS+100_000
		}
		b.opts.Matches = func(s *event.Series) bool { return s.Labels.Get("n") < "0480" }
		stages := map[Stage]int{}
		b.opts.Progress = func(p Progress) {
			stages[p.Stage]++
			if p.Stage == Looking && (p.Total != 1200 || p.Records > p.Total) {
				t.Errorf("%+v", p)
			}
		}
		s := b.ship()
		if s.Samples != 1100*480 || s.Sent != s.Samples || !s.Verified {
			t.Errorf("%+v", s)
		}
		if stages[Surveying] == 0 || stages[Looking] == 0 || stages[Waiting] < 59 {
			t.Errorf("progress: %v", stages)
		}
		n := 0
		for _, times := range b.model.stored() {
			n += times
		}
		if n != s.Samples {
			t.Errorf("%d samples are stored", n)
		}
	})
}

func TestSalvageIsInterruptedWhileItWaits(t *testing.T) {
	onBench(t, 0, func(t *testing.T, b *bench) {
		fill(t, b.log, boat, 2, 2)
		ctx, cancel := context.WithTimeout(t.Context(), 80*time.Second)
		defer cancel()
		began := time.Now()
		s, err := b.run(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 80*time.Second || s.Sent != 4 || s.Verified {
			t.Errorf("%v after %v: %+v", err, time.Since(began), s)
		}
	})
}

func TestRefusalsAreBounded(t *testing.T) {
	var r refusals
	for i := range 3 * maxRefusedTimes {
		r.add(i, &event.RejectedLine{Series: fmt.Sprint(i % 3), FirstMS: int64(i) * 10, LastMS: int64(i)*10 + 5})
	}
	n := 0
	for _, list := range r.lines {
		n += len(list)
	}
	if n != maxRefusedTimes {
		t.Errorf("%d are kept", n)
	}
	missing := lacks{"0": {0, 5, 6, 30, 35, maxRefusedTimes * 20}, "1": {10, 11}, "9": {1}}
	r.takeOut(0, missing)
	if want := (lacks{"0": {6, 30, 35}, "1": {10, 11}, "9": {1}}); fmt.Sprint(missing) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", missing, want)
	}
	r.takeOut(1, missing)
	if want := (lacks{"0": {6, 30, 35}, "9": {1}}); fmt.Sprint(missing) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", missing, want)
	}
}
