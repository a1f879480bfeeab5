package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// Bounds on one request. A client cannot hold a connection for longer, nor make
// the agent hold more than the header.
const (
	readTimeout    = 5 * time.Second
	writeTimeout   = 30 * time.Second // a page of metrics over a slow link
	idleTimeout    = 60 * time.Second
	maxHeaderBytes = 16 << 10
	closeTimeout   = 2 * time.Second
)

const defaultRetryInterval = 10 * time.Second

// ServerOptions say what a Server serves, and where.
type ServerOptions struct {
	Address string // host:port
	Handler http.Handler
	// RetryInterval is how long to wait after a failed listen; 10 s if 0.
	RetryInterval time.Duration
	// Listen is net.Listen if nil.
	Listen func(network, address string) (net.Listener, error)
}

// Server serves GET and HEAD on one address. If the address cannot be had, it
// says so in its State and tries again until it is closed: a taken port is no
// reason to stop measuring.
type Server struct {
	opts   ServerOptions
	http   *http.Server
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex // guards what follows
	address  string     // bound; empty while there is none
	since    time.Time  // of the address
	failure  string     // of the last attempt; empty while bound
	failedAt time.Time
}

// StartServer makes the first attempt to listen before it returns, so that
// State knows its outcome.
func StartServer(opts ServerOptions) *Server {
	if opts.RetryInterval <= 0 {
		opts.RetryInterval = defaultRetryInterval
	}
	if opts.Listen == nil {
		opts.Listen = net.Listen
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		opts:   opts,
		cancel: cancel,
		done:   make(chan struct{}),
		http: &http.Server{
			Handler:           readOnly(opts.Handler),
			ReadTimeout:       readTimeout,
			ReadHeaderTimeout: readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			// What it logs are its clients' mistakes and scans of the port.
			ErrorLog: log.New(io.Discard, "", 0),
		},
	}
	go s.run(ctx, s.listen())
	return s
}

// readOnly refuses whatever might change something.
func readOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// listen makes one attempt. The listener is nil if it failed.
func (s *Server) listen() net.Listener {
	ln, err := s.opts.Listen("tcp", s.opts.Address)
	if err != nil {
		s.fail(fmt.Sprintf("cannot listen on %s: %v", s.opts.Address, cause(err)))
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address, s.since, s.failure = ln.Addr().String(), time.Now(), ""
	return ln
}

// cause leaves out what the message says already.
func cause(err error) error {
	if se, ok := errors.AsType[*os.SyscallError](err); ok {
		return se.Err
	}
	return err
}

func (s *Server) fail(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address, s.failure, s.failedAt = "", reason, time.Now()
}

func (s *Server) run(ctx context.Context, ln net.Listener) {
	defer close(s.done)
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		if ln != nil {
			err := s.http.Serve(ln)
			if ctx.Err() != nil {
				return
			}
			s.fail(fmt.Sprintf("stopped serving %s: %v", s.opts.Address, err))
		}
		retry.Reset(s.opts.RetryInterval)
		select {
		case <-ctx.Done():
			return
		case <-retry.C:
			ln = s.listen()
		}
	}
}

// Addr returns the address that is listened on, or "" while there is none.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// State returns the component "http" for a Snapshot. It is degraded, not
// failing: the agent does its work without.
func (s *Server) State() Part {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := Part{LastSuccess: s.since, LastErrorAt: s.failedAt, Warning: s.failure}
	if s.failure == "" {
		p.Details = map[string]any{"address": s.address}
	}
	return p
}

// Close stops listening, gives requests two seconds to end, and cuts the rest.
// It may be called twice.
func (s *Server) Close() error {
	s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	<-s.done
	if err != nil {
		return fmt.Errorf("close http server: %w", err)
	}
	return nil
}
