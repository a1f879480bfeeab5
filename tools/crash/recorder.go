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
	"sync"
)

// maxBody bounds what is read of a request, and what it may unpack to.
const maxBody = 64 << 20

// lostShare: one answer of this many is lost, though the receiver has stored the
// chunk.
const lostShare = 25

// recorder stands between daemon and receiver, passes on what it is sent, and
// remembers it. While the receiver is away it breaks connections off; it loses
// some answers too.
type recorder struct {
	url    string
	logDir string
	server *http.Server
	proxy  *httputil.ReverseProxy

	mu     sync.Mutex // guards what follows
	rand   *rand.Rand // decides which answers are lost; nil: none
	chunks []sent
	lost   int
	errs   []error
}

// startRecorder starts a recorder before the receiver at target. The plans of
// what is sent are looked for in logDir.
func startRecorder(target, logDir string, answers *rand.Rand) (*recorder, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("start recorder: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start recorder: %w", err)
	}
	silent := log.New(io.Discard, "", 0) // what is broken off here is meant to be
	r := &recorder{url: "http://" + listener.Addr().String(), logDir: logDir, rand: answers}
	r.proxy = &httputil.ReverseProxy{
		Rewrite:        func(p *httputil.ProxyRequest) { p.SetURL(to) },
		Transport:      &http.Transport{}, // no proxy of the environment
		ModifyResponse: r.answer,
		ErrorLog:       silent,
		// The daemon is to see a connection that breaks, not an answer that
		// its receiver never gave.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	r.server = &http.Server{Handler: r, ErrorLog: silent}
	go r.server.Serve(listener)
	return r, nil
}

// close breaks off what is under way.
func (r *recorder) close() error { return r.server.Close() }

// ServeHTTP implements http.Handler.
func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodPost {
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
		if err != nil {
			panic(http.ErrAbortHandler) // the daemon was killed while it sent
		}
		r.record(req.Header, body)
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	r.proxy.ServeHTTP(w, req)
}

func (r *recorder) record(h http.Header, body []byte) {
	chunk, err := parseSent(h, body)
	if err == nil {
		chunk.planned, err = mentions(r.logDir, chunk.batch)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.errs = append(r.errs, err)
		return
	}
	r.chunks = append(r.chunks, chunk)
}

// errLost stands for an answer that the daemon does not get.
var errLost = errors.New("answer lost")

// answer decides whether the daemon gets the receiver's answer to a chunk.
func (r *recorder) answer(resp *http.Response) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if resp.Request.Method != http.MethodPost || r.rand == nil || r.rand.IntN(lostShare) > 0 {
		return nil
	}
	r.lost++
	return errLost
}

// loseNoMore lets all answers through from now on.
func (r *recorder) loseNoMore() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rand = nil
}

// records returns what was sent, how many answers were lost, and what was sent
// that is no chunk.
func (r *recorder) records() (chunks []sent, lost int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.chunks), r.lost, errors.Join(r.errs...)
}
