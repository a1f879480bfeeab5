package shipper

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestExponentialBackoff_WithJitter(t *testing.T) {
	retry := Retry{InitialBackoff: time.Second, MaxBackoff: 30 * time.Second, Multiplier: 2, JitterPercent: 20}
	want := []time.Duration{1, 2, 4, 8, 16, 30, 30, 30}
	t.Run("within 20 percent", func(t *testing.T) {
		varied := false
		for range 200 {
			waits := retry.waits()
			for i, w := range want {
				exact := w * time.Second
				got := waits.NextBackOff()
				if low, high := exact*8/10, exact*12/10+1; got < low || got > high {
					t.Fatalf("wait %d is %s, want %s to %s", i, got, low, high)
				}
				varied = varied || got != exact
			}
		}
		if !varied {
			t.Error("there is no jitter")
		}
	})
	t.Run("zero jitter is respected", func(t *testing.T) {
		exact := retry
		exact.JitterPercent = 0
		waits := exact.waits()
		for i, w := range want {
			if got := waits.NextBackOff(); got != w*time.Second {
				t.Errorf("wait %d is %s, want %s", i, got, w*time.Second)
			}
		}
	})
}

func TestRetryAfter_HeaderParsing(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for value, want := range map[string]time.Duration{
		"":                        0,
		"0":                       0,
		"7":                       7 * time.Second,
		" 7 ":                     7 * time.Second,
		"120":                     2 * time.Minute,
		"121":                     2 * time.Minute,
		"31536000":                2 * time.Minute,
		"9223372036854775807":     2 * time.Minute,
		"99999999999999999999999": 0,
		"-5":                      0,
		"1.5":                     0,
		"soon":                    0,
		at(30 * time.Second):      30 * time.Second,
		at(-time.Hour):            0,
		at(365 * 24 * time.Hour):  2 * time.Minute,
		now.Add(9 * time.Second).Format(time.RFC850): 9 * time.Second,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("Retry-After %q: %s, want %s", value, got, want)
		}
	}
}

// cycle runs one cycle in a bubble of fake time and returns its error and the
// time that it took.
func cycle(t *testing.T, opts Options, answers ...func(*http.Request) (*http.Response, error)) (took time.Duration, receiver *scripted, l *memoryLog, err error) {
	t.Helper()
	l = &memoryLog{}
	fill(t, l, boat, 3, 2)
	var s *Shipper
	s, receiver = newTest(t, l, opts, answers...)
	began := time.Now()
	err = s.Cycle(t.Context())
	return time.Since(began), receiver, l, err
}

func TestMaxRetriesRespected(t *testing.T) {
	for attempts, want := range map[int]int{0: 1, 1: 1, 3: 3, 6: 6} {
		synctest.Test(t, func(t *testing.T) {
			opts := testOptions()
			opts.Retry.MaxAttempts = attempts
			_, receiver, l, err := cycle(t, opts, status(500))
			if got := len(receiver.requests()); got != want {
				t.Errorf("max_attempts %d: %d attempts, want %d", attempts, got, want)
			}
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("error %v", err)
			}
			if ledger := l.Ledger(); ledger.Sent != 0 || ledger.Pending() != 6 {
				t.Errorf("%d samples count as sent", ledger.Sent)
			}
		})
	}
}

func TestRetryableErrors_DoRetry(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"408": status(408), "429": status(429), "500": status(500), "502": status(502), "503": status(503), "504": status(504),
		"reset": broken(errors.New("connection reset by peer")), "eof": broken(io.ErrUnexpectedEOF),
	} {
		synctest.Test(t, func(t *testing.T) {
			took, receiver, l, err := cycle(t, testOptions(), answer, answer, status(204))
			if got := len(receiver.requests()); err != nil || got != 3 {
				t.Errorf("%s: %d attempts, error %v", name, got, err)
			}
			if took != 3*time.Second { // 1 s and 2 s
				t.Errorf("%s: waited %s", name, took)
			}
			if ledger := l.Ledger(); ledger.Pending() != 0 {
				t.Errorf("%s: %d samples are pending", name, ledger.Pending())
			}
			if got := receiver.requests(); got[0].jsonl != got[2].jsonl || got[0].header.Get("X-Batch-ID") != got[2].header.Get("X-Batch-ID") {
				t.Errorf("%s: the repeat differs", name)
			}
		})
	}
}

func TestNonRetryableErrors_NoRetry(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		kind   error
	}{
		"400":          {status(400), ErrRefused},
		"401":          {status(401), ErrNotReceiver},
		"403":          {status(403), ErrNotReceiver},
		"404":          {status(404), ErrNotReceiver},
		"409":          {status(409), ErrRefused},
		"413":          {status(413), ErrRefused},
		"422":          {status(422), ErrRefused},
		"redirect":     {status(302, "Location", "http://portal.test/login"), ErrNotReceiver},
		"portal":       {page(200, "<html>Log in", "Content-Type", "text/html"), ErrNotReceiver},
		"text":         {page(200, "welcome"), ErrNotReceiver},
		"html as json": {page(200, "{welcome}", "Content-Type", "text/html"), ErrNotReceiver},
		"created":      {status(201), ErrNotReceiver},
	} {
		synctest.Test(t, func(t *testing.T) {
			took, receiver, l, err := cycle(t, testOptions(), test.answer)
			if got := len(receiver.requests()); got != 1 || took != 0 {
				t.Errorf("%s: %d attempts in %s, want one at once", name, got, took)
			}
			if !errors.Is(err, test.kind) {
				t.Errorf("%s: error %v, want one that wraps %v", name, err, test.kind)
			}
			if ledger := l.Ledger(); ledger.Sent != 0 || ledger.Open == nil {
				t.Errorf("%s: %d samples count as sent", name, ledger.Sent)
			}
		})
	}
}

func TestSuccessOfAnImportAPI(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"204":      status(204),
		"200":      status(200),
		"200 json": page(200, `{"status":"success"}`, "Content-Type", "application/json"),
	} {
		synctest.Test(t, func(t *testing.T) {
			_, _, l, err := cycle(t, testOptions(), answer)
			if ledger := l.Ledger(); err != nil || ledger.Pending() != 0 {
				t.Errorf("%s: %v, %d pending", name, err, ledger.Pending())
			}
		})
	}
}

func TestRetryAfterLengthensTheWait(t *testing.T) {
	for value, want := range map[string]time.Duration{"": time.Second, "9": 9 * time.Second, "99999": 2 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			took, _, _, _ := cycle(t, testOptions(), status(503, "Retry-After", value), status(204))
			if took != want {
				t.Errorf("Retry-After %q: waited %s, want %s", value, took, want)
			}
		})
	}
}

func TestStopEndsTheWaitAndTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		fill(t, l, boat, 3, 2)
		s, receiver := newTest(t, l, testOptions(), status(503, "Retry-After", "60"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan time.Duration)
		began := time.Now()
		go func() {
			s.Run(ctx)
			done <- time.Since(began)
		}()
		time.Sleep(5 * time.Second)
		cancel()
		if took := <-done; took != 5*time.Second || len(receiver.requests()) != 1 {
			t.Errorf("came back after %s and %d attempts", took, len(receiver.requests()))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		fill(t, l, boat, 3, 2)
		hangs := func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		s, _ := newTest(t, l, testOptions(), hangs)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		s.Run(ctx)
		if took := time.Since(began); took != time.Second+stopGrace {
			t.Errorf("came back after %s", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		fill(t, l, boat, 3, 2)
		slow := func(r *http.Request) (*http.Response, error) {
			time.Sleep(3 * time.Second)
			return status(204)(r)
		}
		s, _ := newTest(t, l, testOptions(), slow)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		s.Run(ctx)
		if ledger := l.Ledger(); ledger.Pending() != 0 {
			t.Error("the answer of a request that was under way is lost")
		}
	})
}

func TestErrorsShowNoCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := testOptions()
		opts.Remote.URL = "http://user:hunter2@receiver.test/api/v1/import"
		opts.Remote.AuthToken = "hunter2"
		opts.Retry.MaxAttempts = 1
		_, receiver, _, err := cycle(t, opts, broken(errors.New("no route to host")))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error %v", err)
		}
		if got := receiver.requests()[0].header.Get("Authorization"); got != "Bearer hunter2" {
			t.Errorf("Authorization %q", got)
		}
	})
}

// A link that comes up ends the wait; one that flaps does not make a storm.
func TestKickEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		fill(t, l, boat, 3, 2)
		opts := testOptions()
		opts.Retry.InitialBackoff, opts.Retry.MaxBackoff = time.Hour, time.Hour
		s, receiver := newTest(t, l, opts, status(503))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		time.Sleep(10 * time.Second)
		if n := len(receiver.requests()); n != 1 {
			t.Errorf("%d attempts before the link came up", n)
		}
		s.Kick()
		time.Sleep(time.Second)
		if n := len(receiver.requests()); n != 2 {
			t.Errorf("%d attempts after it", n)
		}
		for range 100 {
			s.Kick()
			time.Sleep(100 * time.Millisecond)
		}
		if n := len(receiver.requests()); n > 5 {
			t.Errorf("%d attempts on a link that flaps", n)
		}
		cancel()
		<-done
	})
}
