package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// maxBody bounds what is read of a request, and what it may unpack to.
const maxBody = 64 << 20

// importSuffix is how the path of an import ends. All else only asks.
const importSuffix = "/api/v1/import"

// recorder stands between daemon and receiver, passes on what it is sent, and
// remembers it. While the receiver is away it breaks connections off; it loses
// some answers too. It keeps no body back.
type recorder struct {
	url    string
	logDir string
	server *http.Server
	proxy  *httputil.ReverseProxy
	share  int // one answer of this many is lost

	mu     sync.Mutex // guards what follows
	rand   *rand.Rand // decides which answers are lost; nil: none
	swaps  *swapper   // puts chunks in the place of others; nil: none
	chunks []sent
	lost   int
	probes int // imports without a line
	reads  int
	errs   []error
}

// startRecorder starts a recorder before the receiver at target, which loses one
// answer of share. The plans of what is sent are looked for in logDir.
func startRecorder(target, logDir string, share int, answers *rand.Rand) (*recorder, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("start recorder: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start recorder: %w", err)
	}
	silent := log.New(io.Discard, "", 0) // what is broken off here is meant to be
	r := &recorder{url: "http://" + listener.Addr().String(), logDir: logDir, share: share, rand: answers}
	both := pairs{listener}
	r.proxy = &httputil.ReverseProxy{
		Rewrite:        func(p *httputil.ProxyRequest) { p.SetURL(to) },
		Transport:      both,
		ModifyResponse: r.answer,
		ErrorLog:       silent,
		// The daemon is to see a connection that breaks, not an answer that
		// its receiver never gave.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	r.server = &http.Server{Handler: r, ErrorLog: silent, ConnContext: inContext, ConnState: follow}
	go r.server.Serve(both)
	return r, nil
}

// close breaks off what is under way.
func (r *recorder) close() error { return r.server.Close() }

// ServeHTTP implements http.Handler.
func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !isImport(req) {
		r.mu.Lock()
		r.reads++
		r.mu.Unlock()
		r.proxy.ServeHTTP(w, req)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler) // the daemon was killed while it sent
	}
	body = r.record(req.Header, body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.ContentLength = int64(len(body))
	r.proxy.ServeHTTP(w, req)
}

func isImport(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, importSuffix)
}

// record remembers a request and returns the body to pass on.
func (r *recorder) record(h http.Header, body []byte) []byte {
	chunk, jsonl, err := parseSent(h, body)
	probe := err == nil && chunk.batch == ""
	if err == nil && !probe {
		chunk.planned, err = mentions(r.logDir, chunk.batch)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.errs = append(r.errs, err)
		return body
	case probe:
		r.probes++
		return body
	}
	r.chunks = append(r.chunks, chunk)
	if r.swaps != nil {
		return r.swaps.pass(body, jsonl)
	}
	return body
}

// errLost stands for an answer that the daemon does not get.
var errLost = errors.New("answer lost")

// answer decides whether the daemon gets the receiver's answer to an import.
func (r *recorder) answer(resp *http.Response) error {
	if resp.Close {
		// The daemon is told what the receiver told.
		resp.Header.Set("Connection", "close")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !isImport(resp.Request) || r.rand == nil || r.rand.IntN(r.share) > 0 {
		return nil
	}
	r.lost++
	return errLost
}

// calm lets all answers through from now on, and each chunk in its own place.
func (r *recorder) calm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rand = nil
	if r.swaps != nil {
		r.swaps.over = true
	}
}

// recorded is what went through a recorder.
type recorded struct {
	chunks []sent
	lost   int // answers
	probes int
	reads  int
	swaps  int // chunks in whose place another went
	twice  int // samples of those others
}

// records returns what went through. The error says what was sent that is no
// chunk.
func (r *recorder) records() (recorded, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := recorded{chunks: slices.Clone(r.chunks), lost: r.lost, probes: r.probes, reads: r.reads}
	if r.swaps != nil {
		all.swaps, all.twice = r.swaps.swaps, r.swaps.samples
	}
	return all, errors.Join(r.errs...)
}
