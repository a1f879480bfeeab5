// Package badlink is a bad link to a receiver: a proxy on 127.0.0.1 that does
// to requests and answers what mobile networks, captive portals, proxies and
// receivers under load do to them. Tests and the tools put it between the daemon
// and a real VictoriaMetrics, or have it answer by itself what a real one cannot
// be made to answer.
//
// What it guarantees:
//
//   - All that is random follows from the seed and the order in which requests
//     come in.
//   - What a mode does to a request is done to the whole request: bodies are
//     read to their end before anything is decided. A request that ends before
//     its body does reaches the receiver cut short, as it would through a cable
//     that is pulled.
//   - Each request to an import API is recorded with what became of it.
//   - Everything can be changed while it runs. Close ends everything that was
//     started here, bodies that are still to be delivered included.
//
// What it assumes: bodies of at most 64 MiB, and HTTP/1.1 without TLS.
//
// It does not use github.com/Shopify/toxiproxy/v2, which works on the bytes of
// a connection and knows no requests: it can neither delay a body past the end
// of its client nor lose an answer only after the body is stored. What would be
// left for it here, bandwidth and cuts, is one small file; it would bring 16
// modules.
package badlink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"taffrail/internal/victoria"
)

// maxBody bounds what is read of a request, and what it may unpack to.
const maxBody = 64 << 20

// Options say how a link is to be.
type Options struct {
	// Target is the receiver's address, such as http://127.0.0.1:8428. Where it
	// is empty there is no receiver: imports that no mode takes are answered 204
	// and other requests 404.
	Target string
	// Address to listen on; "": a free port of 127.0.0.1.
	Address string
	Seed    uint64
	// Plain says that the link carries bytes and does not look at them: there
	// are no modes and no records of requests, and a body reaches the receiver
	// while it is still being sent. Bandwidth, latency, cuts and states are as
	// they are otherwise. The target's address needs its port.
	Plain bool
	// OnImport is called for each whole request to an import API before anything
	// is decided on it. The request is valid during the call.
	OnImport func(*Request)
}

// Link is a bad link. Its methods may be called from any goroutine.
type Link struct {
	URL string // to give to the client

	opts      Options
	target    *url.URL // nil: no receiver
	transport *http.Transport
	server    *http.Server
	wire      *wire
	ctx       context.Context // done when the link is closed
	cancel    context.CancelFunc
	work      sync.WaitGroup // handlers, deliveries, windows, the server
	late      lateBodies
	record    record

	mu      sync.Mutex // guards what follows
	closed  bool
	rand    *rand.Rand
	modes   []Mode
	windows context.CancelFunc // ends the windows; nil without any
	failed  error              // of the windows
}

// Start starts a link that passes on everything. The caller closes it.
func Start(opts Options) (*Link, error) {
	l := &Link{opts: opts, rand: rand.New(rand.NewPCG(opts.Seed, 1))}
	if opts.Target != "" {
		target, err := url.Parse(opts.Target)
		if err != nil || target.Host == "" {
			return nil, fmt.Errorf("start link: %q is no receiver's address", opts.Target)
		}
		l.target = target
	}
	if opts.Plain && (l.target == nil || l.target.Port() == "") {
		return nil, fmt.Errorf("start link: %q has no port to carry bytes to", opts.Target)
	}
	listener, err := listen(opts.Address)
	if err != nil {
		return nil, fmt.Errorf("start link: %w", err)
	}
	l.URL = "http://" + listener.Addr().String()
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.wire = newWire(listener, opts.Seed)
	// No proxy of the environment, and bodies as they are.
	l.transport = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 8}
	l.server = &http.Server{
		Handler:     l,
		ErrorLog:    log.New(io.Discard, "", 0), // what is broken off here is meant to be
		ConnContext: withConn,
	}
	if opts.Plain {
		l.work.Go(l.carryAll)
	} else {
		l.work.Go(func() { _ = l.server.Serve(l.wire) }) // ends with Close
	}
	return l, nil
}

// listen listens on an address, or on a free one that stays free while the link
// refuses: no connection is given such a port for its own end.
func listen(address string) (l net.Listener, err error) {
	if address != "" {
		return net.Listen("tcp", address)
	}
	const tries = 10
	for range tries {
		if l, err = net.Listen("tcp", victoria.FreeAddress()); err == nil {
			break
		}
	}
	return l, err
}

// Close ends everything and waits for it. It may be called again. The error is
// also that of windows that could not come up any more.
func (l *Link) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.wire.end()
	err := l.server.Close()
	l.work.Wait()
	l.transport.CloseIdleConnections()
	if err = errors.Join(err, l.failed); err != nil {
		return fmt.Errorf("close link: %w", err)
	}
	return nil
}

// begin says that a piece of work begins. It returns false once the link is
// closed; otherwise the caller has to call work.Done.
func (l *Link) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.work.Add(1)
	return true
}

// Set replaces what happens to requests from now on: each is offered to the
// modes in their order, and passed on where none takes it. Requests that a mode
// has taken before stay with it.
func (l *Link) Set(modes ...Mode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.modes = modes
}

// SetBandwidth limits what all connections carry together, in bytes a second to
// the receiver and back; 0 is no limit. Waiting for what is under way goes on
// under the limit that it began with.
func (l *Link) SetBandwidth(up, down int) {
	l.wire.up.setRate(up)
	l.wire.down.setRate(down)
}

// SetLatency sets the time that a byte takes, each way. A new connection takes
// one round trip more.
func (l *Link) SetLatency(oneWay time.Duration) { l.wire.latency.Store(int64(oneWay)) }

// Cut breaks all connections off, with what is under way on them.
func (l *Link) Cut() { l.wire.cutAll() }

// SetCuts breaks off each connection, those that are there included, after a
// random number of bytes from 1 to limit, either way; 0: none.
func (l *Link) SetCuts(limit int) { l.wire.setCuts(limit) }

// State is whether there is a link.
type State int

// States of a link.
const (
	Up State = iota
	// Refusing breaks off connections, and nothing listens for new ones: whoever
	// connects knows that nothing of what it has to say was heard.
	Refusing
	// Breaking breaks off connections at once, old and new ones: who connects
	// may have written something before it learns of that.
	Breaking
	// Dark lets nothing through: connections stay, new ones are taken, and their
	// bytes wait.
	Dark
)

// SetState brings the link up or takes it down, and ends its windows. It returns
// an error if the link was refusing and cannot listen again.
func (l *Link) SetState(s State) error {
	l.endWindows()
	return l.wire.setState(s)
}

// endWindows ends the windows for good: none of them changes the state after it
// returns.
func (l *Link) endWindows() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.windows != nil {
		l.windows()
		l.windows = nil
	}
}

// SetWindows takes the link down for a while and brings it up for a while, again
// and again, until SetState is called. It begins with down.
func (l *Link) SetWindows(down State, away, there time.Duration) {
	l.endWindows()
	if !l.begin() {
		return
	}
	ctx, cancel := context.WithCancel(l.ctx)
	l.mu.Lock()
	l.windows = cancel
	l.mu.Unlock()
	set := func(s State) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if ctx.Err() != nil {
			return false
		}
		l.failed = l.wire.setState(s)
		return l.failed == nil
	}
	go func() {
		defer l.work.Done()
		defer cancel()
		for set(down) && wait(ctx, away) && set(Up) && wait(ctx, there) {
		}
	}()
}

// wait waits and reports whether ctx was not done meanwhile.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// chance draws whether something happens that happens to this share.
func (l *Link) chance(share float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rand.Float64() < share
}

// intN draws from 0 to n-1.
func (l *Link) intN(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rand.IntN(n)
}

// ServeHTTP implements http.Handler.
func (l *Link) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !l.begin() {
		panic(http.ErrAbortHandler)
	}
	defer l.work.Done()
	x := &exchange{link: l, w: w, req: req, entry: noEntry}
	if !x.read() {
		x.reset()
	}
	l.mu.Lock()
	modes := l.modes
	l.mu.Unlock()
	for _, m := range modes {
		if m.take(x, m.name) {
			return
		}
	}
	x.pass()
}

// isImport reports whether a request goes to an import API, that of a cluster
// included.
func isImport(req *http.Request) bool {
	return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/api/v1/import")
}
