package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/rogpeppe/go-internal/testscript"
)

// scriptedReceiver is a receiver for scripts. What it does depends on how its path
// begins; all of them share what is stored.
//
//	/open      takes samples and shows them
//	/twice     the same, and says that it keeps what comes twice
//	/closed    takes samples and shows nothing
//	/picky     the same, but for series with core="1", which it refuses
//	/denied    accepts no credentials but the bearer token "secret"
//	/down      answers 503
//	/portal    redirects
//
// Any other shows nothing and takes nothing.
type scriptedReceiver struct {
	mu     sync.Mutex
	stored map[string]map[int64]bool // by the series' labels as JSON
}

// receiver NAME starts one and keeps its address in a variable.
func receiver(ts *testscript.TestScript, _ bool, args []string) {
	server := httptest.NewServer(&scriptedReceiver{stored: map[string]map[int64]bool{}})
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
}

// ServeHTTP implements http.Handler.
func (s *scriptedReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mode, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case mode == "portal":
		http.Redirect(w, r, "http://portal.test/login", http.StatusFound)
	case mode == "down":
		w.WriteHeader(http.StatusServiceUnavailable)
	case mode == "denied" && r.Header.Get("Authorization") != "Bearer secret":
		w.WriteHeader(http.StatusUnauthorized)
	case path == "api/v1/import" && slices.Contains([]string{"open", "twice", "closed", "picky", "denied"}, mode):
		s.take(w, r, mode == "picky")
	case mode == "open" || mode == "twice" || mode == "denied":
		s.show(w, r, path, mode != "twice")
	case mode == "closed" || mode == "picky":
		w.WriteHeader(http.StatusForbidden)
	default:
		http.NotFound(w, r)
	}
}

func (s *scriptedReceiver) take(w http.ResponseWriter, r *http.Request, picky bool) {
	body, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	type line struct {
		Metric     json.RawMessage
		Timestamps []int64
	}
	var all []line
	for lines := bufio.NewScanner(body); lines.Scan(); {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil || picky && strings.Contains(string(l.Metric), `"core":"1"`) {
			http.Error(w, "cannot take a line", http.StatusUnprocessableEntity)
			return
		}
		all = append(all, l)
	}
	for _, l := range all {
		key := string(l.Metric)
		if s.stored[key] == nil {
			s.stored[key] = map[int64]bool{}
		}
		for _, ms := range l.Timestamps {
			s.stored[key][ms] = true
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *scriptedReceiver) show(w http.ResponseWriter, r *http.Request, path string, merges bool) {
	answer := func(media, text string) {
		w.Header().Set("Content-Type", media)
		fmt.Fprint(w, text)
	}
	switch path {
	case "flags":
		text := "-retentionPeriod=\"100y\"\n"
		if merges {
			text += "-dedup.minScrapeInterval=\"1ms\"\n"
		}
		answer("text/plain", text)
	case "api/v1/query":
		answer("application/json", `{"status":"success","data":{"resultType":"vector","result":[]}}`)
	case "api/v1/export":
		from, err1 := strconv.ParseInt(r.FormValue("start"), 10, 64)
		to, err2 := strconv.ParseInt(r.FormValue("end"), 10, 64)
		if err1 != nil || err2 != nil {
			http.Error(w, "bad time", http.StatusBadRequest)
			return
		}
		var b strings.Builder
		for key, times := range s.stored {
			for ms := range times {
				if from <= ms && ms <= to {
					fmt.Fprintf(&b, `{"metric":%s,"values":[0],"timestamps":[%d]}`+"\n", key, ms)
				}
			}
		}
		answer("application/stream+json", b.String())
	default:
		http.NotFound(w, r)
	}
}
