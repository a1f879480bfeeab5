package shipper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"taffrail/internal/event"
)

// What each answer does to the queue: whether the chunk is tried again in the
// cycle, whether anything is given up, and what health calls it.
func TestAnswers(t *testing.T) {
	reset := errors.New("read: connection reset by peer")
	timeout := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	trickle := func(r *http.Request) (*http.Response, error) {
		resp, err := status(200)(r)
		resp.Body = io.NopCloser(&slowBody{r.Context()})
		return resp, err
	}
	date := time.Date(2000, 1, 1, 0, 0, 40, 0, time.UTC).Format(http.TimeFormat) // bubbles begin in 2000
	const again, once = 3, 1
	for _, tc := range []struct {
		name      string
		answer    func(*http.Request) (*http.Response, error)
		attempts  int
		took      time.Duration // of the cycle
		errorType string
	}{
		{"400", status(400), once, 0, "refused"},
		{"401", status(401), once, 0, "credentials"},
		{"403", status(403), once, 0, "credentials"},
		{"404", status(404), once, 0, "address"},
		{"408", status(408), again, 3 * time.Second, "unavailable"},
		{"409", status(409), once, 0, "refused"},
		{"413", status(413), once, 0, "refused"},
		{"422", status(422), once, 0, "refused"},
		{"429", status(429), again, 3 * time.Second, "unavailable"},
		{"429, seconds", status(429, "Retry-After", "10"), again, 20 * time.Second, "unavailable"},
		{"429, a date", status(429, "Retry-After", date), again, 42 * time.Second, "unavailable"},
		{"429, a year", status(429, "Retry-After", "31536000"), again, 4 * time.Minute, "unavailable"},
		{"500", status(500), again, 3 * time.Second, "unavailable"},
		{"502", status(502), again, 3 * time.Second, "unavailable"},
		{"503", status(503), again, 3 * time.Second, "unavailable"},
		{"504", status(504), again, 3 * time.Second, "unavailable"},
		{"reset", broken(reset), again, 3 * time.Second, "unavailable"},
		{"timeout", timeout, again, 93 * time.Second, "unavailable"},
		{"slow trickle", trickle, again, 93 * time.Second, "unavailable"},
		{"redirect", status(302, "Location", "http://portal.test/"), once, 0, "not_receiver"},
		{"page", page(200, "<html>", "Content-Type", "text/html"), once, 0, "not_receiver"},
		{"201", status(201), once, 0, "not_receiver"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &memoryLog{}
				fill(t, l, boat, 3, 2)
				s, receiver := newTest(t, l, testOptions(), tc.answer)
				began := time.Now()
				if err := s.Cycle(t.Context()); err == nil {
					t.Fatal("no error")
				}
				if took := time.Since(began); took != tc.took || len(receiver.requests()) != tc.attempts {
					t.Errorf("%d attempts in %s, want %d in %s", len(receiver.requests()), took, tc.attempts, tc.took)
				}
				if got := s.Status(); got.LastErrorType != tc.errorType || got.LastError == nil {
					t.Errorf("error type %q, want %q: %v", got.LastErrorType, tc.errorType, got.LastError)
				}
				checkHeld(t, l, 6)
				// Nothing has changed on the way: once the receiver takes it, all
				// of it arrives, as it was planned.
				first := receiver.requests()[0]
				receiver.answers = append(receiver.answers[:0], status(204))
				if err := s.Cycle(t.Context()); err != nil {
					t.Fatal(err)
				}
				all := receiver.requests()
				last := all[len(all)-1]
				if last.jsonl != first.jsonl || last.header.Get("X-Batch-ID") != first.header.Get("X-Batch-ID") {
					t.Error("the repeat differs")
				}
				if ledger := l.Ledger(); ledger.Sent != 6 || ledger.Rejected != 0 {
					t.Errorf("%d sent, %d rejected", ledger.Sent, ledger.Rejected)
				}
			})
		})
	}
}

// checkHeld fails unless all samples still wait, in one open batch.
func checkHeld(t *testing.T, l *memoryLog, samples uint64) {
	t.Helper()
	ledger := l.Ledger()
	if ledger.Pending() != samples || ledger.Sent+ledger.Rejected+ledger.Dropped != 0 || ledger.Open == nil || len(ledger.Unsettled) != 0 {
		t.Errorf("%d pending, %d sent, %d rejected: %+v", ledger.Pending(), ledger.Sent, ledger.Rejected, ledger.Unsettled)
	}
	if n := len(l.of(event.KindAck)) + len(l.of(event.KindReject)); n != 0 {
		t.Errorf("%d events say that something became of it", n)
	}
}

// slowBody gives a space a second.
type slowBody struct{ ctx context.Context }

func (b *slowBody) Read(p []byte) (int, error) {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	case <-timer.C:
		return copy(p, " "), nil
	}
}

// refusing answers with a status every body that has the text in it.
func refusing(code int, text string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.Header.Get("X-Test-Body"), text) {
			return page(code, "cannot parse it")(r)
		}
		return status(204)(r)
	}
}

// One line of a thousand is refused for ever: all others arrive in the same
// cycle, and the log says which was not taken.
func TestOneBadLineIsSetAside(t *testing.T) {
	for _, code := range []int{400, 409, 413, 422} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &memoryLog{}
				fill(t, l, boat, 1000, 1)
				s, receiver := newTest(t, l, testOptions(), refusing(code, `"n":"0777"`))
				if err := s.Cycle(t.Context()); err != nil {
					t.Fatal(err)
				}
				ledger := l.Ledger()
				if ledger.Sent != 999 || ledger.Rejected != 1 || ledger.Pending() != 0 || ledger.Open != nil {
					t.Errorf("%d sent, %d rejected, %d pending", ledger.Sent, ledger.Rejected, ledger.Pending())
				}
				rejects := l.of(event.KindReject)
				if len(rejects) != 1 {
					t.Fatalf("%d rejects", len(rejects))
				}
				r := rejects[0].(*event.Reject)
				if r.Reason != event.ReasonRefused || r.Samples != 1 || event.KeyText(r.Line.Series) != `test.gauge{"n":"0777"}` ||
					r.Line.Status != code || r.Line.Answer != "cannot parse it" || r.Line.FirstMS != r.Line.LastMS {
					t.Errorf("%+v, line %+v", r, r.Line)
				}
				if n := len(receiver.requests()); n > 20+12 {
					t.Errorf("%d requests", n)
				}
				// The next cycle has nothing to do with it any more.
				before := len(receiver.requests())
				fill(t, l, boat, 3, 1)
				if err := s.Cycle(t.Context()); err != nil || len(receiver.requests()) != before+1 {
					t.Errorf("%v after %d more requests", err, len(receiver.requests())-before)
				}
			})
		})
	}
}

// Where all is refused, lines are given up only if the receiver takes a body
// without one: else the address is wrong, or the receiver.
func TestNothingIsGivenUpWhereAllIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		fill(t, l, boat, 3, 2)
		s, receiver := newTest(t, l, testOptions(), status(400))
		for range 3 {
			if err := s.Cycle(t.Context()); !errors.Is(err, ErrRefused) {
				t.Fatalf("error %v", err)
			}
		}
		checkHeld(t, l, 6)
		if n := receiver.probes; n != 3 {
			t.Errorf("%d probes", n)
		}
		receiver.probe = status(204)
		if err := s.Cycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ledger := l.Ledger(); ledger.Rejected != 6 || ledger.Pending() != 0 {
			t.Errorf("%d rejected, %d pending", ledger.Rejected, ledger.Pending())
		}
	})
}

// A line that is too large by itself is sent in pieces.
func TestLineThatIsTooLargeIsCutByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		fill(t, l, boat, 1, 40)
		s, receiver := newTest(t, l, testOptions(), func(r *http.Request) (*http.Response, error) {
			if strings.Count(r.Header.Get("X-Test-Body"), ",") > 40 {
				return status(413)(r)
			}
			return status(204)(r)
		})
		if err := s.Cycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen := map[int64]int{}
		for _, r := range receiver.requests()[1:] {
			for _, line := range parseLines(t, r.jsonl) {
				for _, ms := range line.Timestamps {
					seen[ms]++
				}
			}
		}
		if ledger := l.Ledger(); ledger.Sent != 40 || ledger.Rejected != 0 || len(seen) != 40 {
			t.Errorf("%d sent, %d rejected, %d times arrived", ledger.Sent, ledger.Rejected, len(seen))
		}
	})
}

// counting answers as a receiver does that tells what became of each line: it
// takes those that do not have the text in them.
func counting(text string, list bool) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		accepted, rejected := 0, []string{}
		for i, line := range strings.Split(strings.TrimSuffix(r.Header.Get("X-Test-Body"), "\n"), "\n") {
			if strings.Contains(line, text) {
				rejected = append(rejected, fmt.Sprintf(`{"line":%d,"reason":"odd"}`, i))
			} else {
				accepted++
			}
		}
		if !list {
			rejected = nil
		}
		return page(200, fmt.Sprintf(`{"accepted":%d,"rejected":[%s]}`, accepted, strings.Join(rejected, ",")), "Content-Type", "application/json")(r)
	}
}

func TestPartialSuccess_VMAccepts25Of50(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		fill(t, l, boat, 50, 1)
		odd := func(r *http.Request) (*http.Response, error) {
			body := r.Header.Get("X-Test-Body")
			for _, digit := range "13579" {
				body = strings.ReplaceAll(body, string(digit)+`"}`, `odd"}`)
			}
			r.Header.Set("X-Test-Body", body)
			return counting(`odd"}`, true)(r)
		}
		s, receiver := newTest(t, l, testOptions(), odd)
		if err := s.Cycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		ledger := l.Ledger()
		if ledger.Sent != 25 || ledger.Rejected != 25 || ledger.Pending() != 0 || len(receiver.requests()) != 1 {
			t.Errorf("%d marked, %d rejected, %d pending, %d requests", ledger.Sent, ledger.Rejected, ledger.Pending(), len(receiver.requests()))
		}
		for _, ev := range l.of(event.KindReject) {
			if r := ev.(*event.Reject); r.Line.Line%2 != 1 || r.Line.Answer != "odd" || r.Line.Status != 200 {
				t.Errorf("%+v", r.Line)
			}
		}
		if got := s.Status().PartialSuccesses; got != 1 {
			t.Errorf("partial_success_total is %d", got)
		}
	})
}

func TestPartialSuccess_Fallback200WithoutDetails(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"empty":   status(200),
		"status":  page(200, `{"status":"success"}`, "Content-Type", "application/json"),
		"all":     page(200, `{"accepted":50,"rejected":[]}`, "Content-Type", "application/json"),
		"all, no": page(200, `{"accepted":50}`, "Content-Type", "application/json"),
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &memoryLog{}
			fill(t, l, boat, 50, 1)
			s, _ := newTest(t, l, testOptions(), answer)
			if err := s.Cycle(t.Context()); err != nil {
				t.Fatalf("%s: %s", name, err)
			}
			if ledger := l.Ledger(); ledger.Sent != 50 || ledger.Rejected != 0 || s.Status().PartialSuccesses != 0 {
				t.Errorf("%s: %d sent, %d rejected", name, ledger.Sent, ledger.Rejected)
			}
		})
	}
}

// Numbers that do not add up mark nothing; line by line it comes out which were
// taken.
func TestPartialSuccessThatDoesNotAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		fill(t, l, boat, 50, 1)
		s, _ := newTest(t, l, testOptions(), counting(`"n":"0007"`, false))
		if err := s.Cycle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ledger := l.Ledger(); ledger.Sent != 49 || ledger.Rejected != 1 || ledger.Pending() != 0 {
			t.Errorf("%d sent, %d rejected, %d pending", ledger.Sent, ledger.Rejected, ledger.Pending())
		}
	})
	for _, body := range []string{
		`{"accepted":30,"rejected":[]}`, `{"accepted":50,"rejected":[{"line":3}]}`, `{"accepted":49,"rejected":[{"line":50}]}`,
		`{"accepted":49,"rejected":[{"line":-1}]}`, `{"accepted":48,"rejected":[{"line":3},{"line":3}]}`, `{"accepted":49,"rejected":[{"reason":"x"}]}`,
		`{"accepted":-1,"rejected":[]}`, `{"accepted":51}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &memoryLog{}
			fill(t, l, boat, 50, 1)
			s, _ := newTest(t, l, testOptions(), page(200, body, "Content-Type", "application/json"))
			if err := s.Cycle(t.Context()); err == nil {
				t.Errorf("%s: no error", body)
			}
			checkHeld(t, l, 50)
		})
	}
}
