package badlink

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAnswersThatNoReceiverGives(t *testing.T) {
	for name, c := range map[string]struct {
		mode   Mode
		status int
		header [2]string
		body   string
	}{
		"status":      {Answer(Response{Status: 503}), 503, [2]string{}, ""},
		"retry after": {Answer(Response{Status: 429, Header: http.Header{"Retry-After": {"7"}}, Body: "slow down"}), 429, [2]string{"Retry-After", "7"}, "slow down"},
		"date":        {Answer(Response{Header: http.Header{"Date": {"Thu, 01 Jan 1970 00:00:00 GMT"}}}), 200, [2]string{"Date", "Thu, 01 Jan 1970 00:00:00 GMT"}, ""},
		"no content":  {Answer(Response{Status: 204}), 204, [2]string{}, ""},
		"portal":      {Portal(false), 200, [2]string{"Content-Type", "text/html; charset=utf-8"}, portalPage},
		"reply":       {Reply(func(r *Request) (Response, bool) { return Response{Status: 400, Body: r.Batch}, true }), 400, [2]string{}, "b"},
		"trickle":     {Trickle(Response{Body: "drops"}, time.Microsecond), 200, [2]string{"Content-Length", "5"}, "drops"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			l := startLink(t, Options{Target: r.URL})
			l.Set(c.mode)
			cl := newClient(t, l, testBound)
			a := cl.must(c.status)(cl.upload("b", 0, jsonl(2)))
			if a.body != c.body || c.header[0] != "" && a.header.Get(c.header[0]) != c.header[1] {
				t.Errorf("answered %+v", a)
			}
			if i := l.Imports()[0]; i.Status != c.status || i.Fate == "" || !i.Delivered.IsZero() {
				t.Errorf("recorded %+v", i)
			}
			l.Set()
			cl.must(204)(cl.upload("b", 0, jsonl(2)))
			if len(r.all()) != 1 {
				t.Errorf("the receiver got %d requests", len(r.all()))
			}
		})
	}
}

func TestPortalRedirectsToAPage(t *testing.T) {
	l := startLink(t, Options{})
	l.Set(Portal(true))
	c := newClient(t, l, testBound)
	a := c.must(302)(c.upload("b", 0, jsonl(1)))
	if a.header.Get("Location") != l.URL+portalPath {
		t.Errorf("redirected to %q", a.header.Get("Location"))
	}
	if a := c.must(200)(c.do(http.MethodGet, portalPath, nil, nil)); a.body != portalPage {
		t.Errorf("the page is %q", a.body)
	}
	c.must(302)(c.do(http.MethodGet, "/metrics", nil, nil))
}

func TestNoAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		mode    Mode
		timeout bool // the client's own
		stored  bool
	}{
		"reset":                {Reset(), false, false},
		"silent":               {Silent(), true, false},
		"trickle":              {Trickle(Response{}, time.Minute), true, false},
		"answer lost":          {LoseAnswers(), false, true},
		"stored, never answer": {Stored(Silent()), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			l := startLink(t, Options{Target: r.URL})
			l.Set(c.mode)
			bound := testBound
			if c.timeout {
				bound = 500 * time.Millisecond
			}
			cl := newClient(t, l, bound)
			_, err := cl.upload("b", 0, jsonl(2))
			var timeout interface{ Timeout() bool }
			if err == nil || c.timeout != (errors.As(err, &timeout) && timeout.Timeout()) {
				t.Errorf("the client got %v", err)
			}
			if got := len(r.all()); (got == 1) != c.stored {
				t.Errorf("the receiver got %d requests", got)
			}
			if i := l.Imports()[0]; i.Delivered.IsZero() == c.stored || i.Fate == "" {
				t.Errorf("recorded %+v", i)
			}
		})
	}
}

func TestStoredThenRefused(t *testing.T) {
	r := newReceiver(t)
	l := startLink(t, Options{Target: r.URL})
	c := newClient(t, l, testBound)
	l.Set(Stored(Answer(Response{Status: 400})))
	c.must(400)(c.upload("b", 0, jsonl(1)))
	// What the mode within leaves alone is not passed on once more.
	l.Set(Stored(Share(0, Reset())))
	c.must(204)(c.upload("b", 0, jsonl(1)))
	if len(r.all()) != 2 {
		t.Errorf("the receiver got %d requests", len(r.all()))
	}
}

func TestCutBodyPassesOnABeginning(t *testing.T) {
	fates := func(seed uint64) (cut []int) {
		r := newReceiver(t)
		l := startLink(t, Options{Target: r.URL, Seed: seed})
		l.Set(Imports(Share(0.2, CutBody())))
		c := newClient(t, l, testBound)
		body := zipped(jsonl(50))
		for range 100 {
			c.must(204)(c.upload("b", 0, jsonl(50)))
			c.must(204)(c.do(http.MethodGet, "/", nil, nil)) // never cut
		}
		all := slices.DeleteFunc(r.all(), func(g got) bool { return g.path == "/" })
		for n, i := range l.Imports() {
			if i.Fate == "" {
				continue
			}
			if i.Fate != "body cut" || all[n].err != nil || len(all[n].body) >= len(body) || i.Status != 204 {
				t.Errorf("recorded %+v, the receiver got %d bytes (%v)", i, len(all[n].body), all[n].err)
			}
			cut = append(cut, n, len(all[n].body))
		}
		return cut
	}
	first, again, other := fates(7), fates(7), fates(8)
	if n := len(first) / 2; n < 8 || n > 35 {
		t.Errorf("%d of 100 were cut, want about 20", n)
	}
	// Which ones, and where, follows from the seed.
	if !slices.Equal(first, again) || slices.Equal(first, other) {
		t.Errorf("cut %v, with the same seed %v, with another %v", first, again, other)
	}
}

func TestLateBodyComesAfterItsClientGaveUp(t *testing.T) {
	r := newReceiver(t)
	l := startLink(t, Options{Target: r.URL})
	const delay = 150 * time.Millisecond
	l.Set(Imports(Late(delay)))
	impatient, c := newClient(t, l, 300*time.Millisecond), newClient(t, l, testBound)
	text := jsonl(5)

	began := time.Now()
	if a, err := impatient.upload("b", 0, text); err == nil {
		t.Errorf("answered %+v", a)
	}
	if err := l.WaitLate(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := r.all()
	if len(all) != 1 || unzipped(t, all[0].body) != text || all[0].at.Sub(began) < 300*time.Millisecond+delay {
		t.Fatalf("the receiver got %+v, began at %v", all, began)
	}
	if i := l.Imports()[0]; i.Fate != "late" || i.Status != 0 || i.Stored != 204 || i.Delivered.Sub(i.At) < delay {
		t.Errorf("recorded %+v", i)
	}
	// A repeat is not delayed again.
	c.must(204)(c.upload("b", 0, text))
	if len(r.all()) != 2 {
		t.Errorf("the receiver got %d requests", len(r.all()))
	}
	if err := l.WaitLate(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLinesAreJudged(t *testing.T) {
	third := Contains(`"m3"`)
	text := jsonl(10)
	without := strings.Join(slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(line string) bool { return third([]byte(line)) }), "")
	for name, c := range map[string]struct {
		mode     Mode
		status   int
		body     string
		received string // "": nothing
	}{
		"refuse": {Refuse(Response{Status: 400, Body: "bad line"}, third), 400, "bad line", ""},
		"drop":   {DropLines(third), 204, "", without},
		"part":   {Partial("too long", third), 200, `{"accepted":9,"rejected":[{"line":3,"reason":"too long"}]}`, without},
		"all":    {Partial("", func([]byte) bool { return false }), 200, `{"accepted":10,"rejected":[]}`, text},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			l := startLink(t, Options{Target: r.URL})
			l.Set(Imports(c.mode))
			cl := newClient(t, l, testBound)
			if a := cl.must(c.status)(cl.upload("b", 0, text)); a.body != c.body {
				t.Errorf("answered %q", a.body)
			}
			all := r.all()
			if c.received == "" && len(all) != 0 || c.received != "" && (len(all) != 1 || unzipped(t, all[0].body) != c.received) {
				t.Errorf("the receiver got %+v", all)
			}
			good := strings.Join(strings.SplitAfter(text, "\n")[:3], "")
			a, err := cl.upload("b", 1, good)
			if err != nil || a.status/100 != 2 || !bytes.Equal([]byte(unzipped(t, r.all()[len(r.all())-1].body)), []byte(good)) {
				t.Errorf("good lines: answered %+v (%v)", a, err)
			}
		})
	}
}

func TestRestrictions(t *testing.T) {
	teapot := Answer(Response{Status: 418})
	for name, c := range map[string]struct {
		mode Mode
		want []int // for import, query, import, query
	}{
		"imports": {Imports(teapot), []int{418, 404, 418, 404}},
		"others":  {Others(teapot), []int{204, 418, 204, 418}},
		"times":   {Times(3, teapot), []int{418, 418, 418, 404}},
		"after":   {After(1, teapot), []int{204, 418, 418, 418}},
		"nested":  {Imports(After(1, teapot)), []int{204, 404, 418, 404}},
		"never":   {Share(0, teapot), []int{204, 404, 204, 404}},
		"ever":    {Share(1, teapot), []int{418, 418, 418, 418}},
		"if":      {If(func(r *Request) bool { return r.Chunk == 2 }, teapot), []int{204, 404, 418, 404}},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLink(t, Options{})
			l.Set(Named("tea", c.mode))
			cl := newClient(t, l, testBound)
			var got []int
			for n := range 4 {
				send := func() (answer, error) { return cl.upload("b", n, jsonl(1)) }
				if n%2 == 1 {
					send = func() (answer, error) { return cl.do(http.MethodGet, "/api/v1/query", nil, nil) }
				}
				a, err := send()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, a.status)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("answered %v, want %v", got, c.want)
			}
			for _, i := range l.Imports() {
				if (i.Fate == "tea") != (i.Status == 418) {
					t.Errorf("recorded %+v", i)
				}
			}
		})
	}
}
