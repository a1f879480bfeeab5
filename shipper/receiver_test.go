package shipper

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"taffrail/internal/event"
)

// readClient is a client as the sender has it.
func readClient(t testing.TB) *http.Client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func readerAt(t testing.TB, client *http.Client, base string) *receiver {
	t.Helper()
	r := newReceiver(client, Remote{Timeout: 10 * time.Second, DeviceID: "boat", UserAgent: "taffrail/test"}, base)
	if r == nil {
		t.Fatalf("no receiver at %s", base)
	}
	return r
}

// answering starts a server that answers all the same, and returns a receiver of it.
func answering(t testing.TB, answer http.HandlerFunc) *receiver {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return readerAt(t, readClient(t), server.URL)
}

// says answers with a status, a type and a body.
func says(code int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// rawAnswer answers with these bytes and closes the connection.
func rawAnswer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

// zippedAnswer answers 200 with a packed body of which the last bytes are missing.
func zippedAnswer(media, body string, missing int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		_, _ = io.WriteString(zip, body)
		_ = zip.Close()
		w.Header().Set("Content-Type", media)
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes()[:packed.Len()-missing])
	}
}

const (
	jsonMedia   = "application/json"
	streamMedia = "application/stream+json; charset=utf-8"
	textMedia   = "text/plain; charset=utf-8"
)

var ofBoat = event.Labels{{Name: "device_id", Value: "boat"}}

const (
	fromMS = int64(1780000000000)
	toMS   = int64(1780000001000)
)

func countBoat(t testing.TB, r *receiver) (map[string]int, error) {
	t.Helper()
	return r.counts(t.Context(), ofBoat, fromMS, toMS)
}

// gatherTimes returns all that times yields, by key.
func gatherTimes(t testing.TB, r *receiver, match event.Labels, from, to int64) (map[string][]int64, error) {
	t.Helper()
	all := make(map[string][]int64)
	err := r.times(t.Context(), match, from, to, func(key string, times []int64) {
		all[key] = append(all[key], times...)
	})
	return all, err
}

func TestReceiverJudgesAnswers(t *testing.T) {
	page := "\n<!DOCTYPE html><title>Harbour Wi-Fi</title>"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   error
		// shown is what comes of looking at flags and start: nil where the
		// receiver itself says that it does not show them.
		shown error
	}{
		"401":                           {says(401, textMedia, ""), errNoAccess, nil},
		"403":                           {says(403, textMedia, ""), errNoAccess, nil},
		"403 with a page":               {says(403, "text/html", page), errNoAccess, nil},
		"404":                           {says(404, textMedia, "404 page not found"), errNoAccess, nil},
		"405":                           {says(405, textMedia, ""), errNoAccess, nil},
		"400 of vmagent":                {says(400, textMedia, `unsupported path requested: "/api/v1/query"`), errNoAccess, nil},
		"400 of vmauth":                 {says(400, textMedia, `user boat missing route for "/api/v1/query"`), errNoAccess, nil},
		"400 with a page":               {says(400, "text/html", page), errNoAccess, nil},
		"301":                           {redirects(301), errNoAccess, errNoAccess},
		"302":                           {redirects(302), errNoAccess, errNoAccess},
		"307":                           {redirects(307), errNoAccess, errNoAccess},
		"200 with a page":               {says(200, "text/html; charset=utf-8", page), errNoAccess, errNoAccess},
		"200 with a page of other type": {says(200, textMedia, page), errNoAccess, errNoAccess},
		"200 with a packed page":        {zippedAnswer("text/html", page, 0), errNoAccess, errNoAccess},
		"204":                           {says(204, "", ""), errUnknown, errUnknown},
		"206":                           {says(206, jsonMedia, `{"status":"success"}`), errUnknown, errUnknown},
		"400":                           {says(400, jsonMedia, `{"status":"error","error":"missing query arg"}`), errUnknown, errUnknown},
		"407":                           {says(407, textMedia, ""), errUnknown, errUnknown},
		"408":                           {says(408, textMedia, ""), errUnknown, errUnknown},
		"422":                           {says(422, jsonMedia, `{"status":"error","error":"too many series"}`), errUnknown, errUnknown},
		"429":                           {says(429, "text/html", page), errUnknown, errUnknown},
		"500":                           {says(500, textMedia, ""), errUnknown, errUnknown},
		"502 with a page":               {says(502, "text/html", page), errUnknown, errUnknown},
		"503":                           {says(503, textMedia, ""), errUnknown, errUnknown},
		"504":                           {says(504, textMedia, ""), errUnknown, errUnknown},
		"200 of another type":           {says(200, "image/png", "PNG"), errUnknown, errUnknown},
		"200 without a type":            {rawAnswer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), errUnknown, errUnknown},
		"no answer":                     {rawAnswer(""), errUnknown, errUnknown},
		"no HTTP":                       {rawAnswer("SSH-2.0-OpenSSH_9.2\r\n"), errUnknown, errUnknown},
		"200 without a body":            {rawAnswer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), errUnknown, errUnknown},
		"packed in another way":         {rawAnswer("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx"), errUnknown, errUnknown},
		"not packed":                    {rawAnswer("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n{}\n"), errUnknown, errUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			r := answering(t, c.answer)
			if _, err := countBoat(t, r); !errors.Is(err, c.want) {
				t.Errorf("counts: %v, want %v", err, c.want)
			}
			if found, err := gatherTimes(t, r, ofBoat, fromMS, toMS); !errors.Is(err, c.want) || len(found) > 0 {
				t.Errorf("times: %v %v, want %v", found, err, c.want)
			}
			if start, err := r.started(t.Context()); start != "" || !errors.Is(err, c.shown) {
				t.Errorf("started: %q, %v, want %v", start, err, c.shown)
			}
			if p, err := r.properties(t.Context()); p.Known || !errors.Is(err, c.shown) || err == nil && p.Flush != defaultFlush {
				t.Errorf("properties: %+v, %v, want %v", p, err, c.shown)
			}
		})
	}
}

func redirects(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "https://portal.test/login", code) }
}

func TestReceiverAsks(t *testing.T) {
	var got []*http.Request
	var forms []url.Values
	r := answering(t, func(w http.ResponseWriter, req *http.Request) {
		if err := req.ParseForm(); err != nil {
			t.Error(err)
		}
		got, forms = append(got, req), append(forms, req.PostForm)
		w.WriteHeader(503)
	})
	r.base.User = url.UserPassword("u", "p")
	r.root.User = r.base.User
	match := event.Labels{{Name: "device_id", Value: "a\"\\\n\u00e9\u200b"}, {Name: "site.x", Value: "quay"}}
	all := func() {
		_, _ = r.counts(t.Context(), match, fromMS, toMS)
		_, _ = gatherTimes(t, r, match, -5, 1000)
		_, _ = r.started(t.Context())
		_, _ = r.properties(t.Context())
	}
	all()
	r.remote.AuthToken = "token"
	all()

	const selected = `{device_id="a\"\\\né\u200b",site_x="quay"}`
	want := []struct {
		method, uri string
		form        map[string]string
	}{
		{"POST", "/api/v1/query", map[string]string{
			"query": "count_over_time(" + selected + "[1001ms]) keep_metric_names",
			"time":  "1780000001000", "nocache": "1", "deny_partial_response": "1",
		}},
		{"POST", "/api/v1/export", map[string]string{
			"match[]": selected, "start": "0.000", "end": "1.000",
			"reduce_mem_usage": "1", "max_rows_per_line": "1000", "deny_partial_response": "1",
		}},
		{"GET", "/metrics", nil},
		{"GET", "/flags", nil},
	}
	if len(got) != 2*len(want) {
		t.Fatalf("%d requests, want %d", len(got), 2*len(want))
	}
	for i, req := range got {
		w := want[i%len(want)]
		if req.Method != w.method || req.RequestURI != w.uri || len(forms[i]) != len(w.form) {
			t.Errorf("request %d is %s %s with %v", i, req.Method, req.RequestURI, forms[i])
		}
		for name, value := range w.form {
			if forms[i].Get(name) != value {
				t.Errorf("request %d: %s is %q, want %q", i, name, forms[i].Get(name), value)
			}
		}
		authorization := "Basic dTpw"
		if i >= len(want) {
			authorization = "Bearer token"
		}
		for name, value := range map[string]string{
			"Authorization": authorization, "Accept-Encoding": "gzip", "User-Agent": "taffrail/test", "X-Device-Id": "boat",
		} {
			if req.Header.Get(name) != value {
				t.Errorf("request %d: header %s is %q, want %q", i, name, req.Header.Get(name), value)
			}
		}
		if _, there := req.Header["Idempotency-Key"]; there {
			t.Errorf("request %d has an empty key", i)
		}
	}
	if n := r.requests.Load(); n != uint64(len(got)) {
		t.Errorf("%d requests are counted of %d", n, len(got))
	}
}

func TestNothingIsAskedOfAnEmptyTime(t *testing.T) {
	r := answering(t, says(503, textMedia, ""))
	if found, err := r.counts(t.Context(), ofBoat, 2, 1); err != nil || found == nil || len(found) > 0 {
		t.Errorf("counts: %v, %v", found, err)
	}
	if found, err := gatherTimes(t, r, ofBoat, 0, -1); err != nil || len(found) > 0 {
		t.Errorf("times: %v, %v", found, err)
	}
	if n := r.requests.Load(); n > 0 {
		t.Errorf("%d requests", n)
	}
}

func TestErrorsHoldNoSecrets(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, answer := range map[string]http.HandlerFunc{
		"redirect": redirects(302), "401": says(401, textMedia, ""), "400": says(400, textMedia, "bad"),
		"page": says(200, "text/html", "<p>"), "cut": rawAnswer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), "closed": nil,
	} {
		t.Run(name, func(t *testing.T) {
			address := closed.URL
			if answer != nil {
				server := httptest.NewServer(answer)
				t.Cleanup(server.Close)
				address = server.URL
			}
			r := readerAt(t, readClient(t), strings.Replace(address, "http://", "http://skipper:hunter2@", 1))
			for _, token := range []string{"", "hunter3"} {
				r.remote.AuthToken = token
				_, err1 := countBoat(t, r)
				_, err2 := gatherTimes(t, r, ofBoat, fromMS, toMS)
				_, err3 := r.started(t.Context())
				_, err4 := r.properties(t.Context())
				text := fmt.Sprint(err1, err2, err3, err4)
				if err1 == nil || err2 == nil {
					t.Error("there are no errors")
				}
				for _, secret := range []string{"hunter", "skipper", "aHVudGVy"} {
					if strings.Contains(text, secret) {
						t.Errorf("%q is in %s", secret, text)
					}
				}
			}
		})
	}
}
