// Package victoria builds, starts and reads a real VictoriaMetrics, for the
// demo, the tests and the benchmarks. Nothing that a device runs imports it.
//
// What runs is the single-node server at the version that tools/go.mod pins,
// built once by the local toolchain and kept in the user's cache directory. It
// listens on 127.0.0.1 only, keeps its data in the directory that it is given,
// scrapes nothing and sends nothing anywhere. It keeps samples of any time of
// the last 100 years and merges those that share series and millisecond, which
// is how a receiver of taffrail is to be set up; each flag can be replaced.
//
// A server does not outlive the process that started it, on Linux not even one
// that is killed (see package child).
package victoria

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"taffrail/internal/victoria/child"
)

const (
	// startBound is the longest wait for an answer after a start. An empty
	// store takes 20 ms; one that recovers on a busy machine takes longer.
	startBound = time.Minute
	// stopBound is the longest wait for the orderly end, which writes the
	// caches and what is in memory.
	stopBound = 30 * time.Second
	// portTries is how many ports Start tries.
	portTries = 10
	// Ports are chosen below the range from which Linux (32768 on) and macOS
	// (49152 on) give connections their own end. Otherwise a client that
	// repeats its attempts while the server is down takes the port some day,
	// or is connected to itself.
	firstPort, lastPort = 10240, 32767
)

// errPortTaken says that another process listens on the port.
var errPortTaken = errors.New("port is taken")

// Options say how a server is to run.
type Options struct {
	// Dir is where the server keeps its data, below "victoria-metrics-data".
	// It is created if need be, and never removed.
	Dir string
	// Flags are more command-line flags, "-name=value" each. One that names a
	// default flag replaces it.
	Flags []string
}

// Server is a VictoriaMetrics that Start started. Its methods may be called
// from any goroutine.
type Server struct {
	// URL is the server's address without a slash at its end. It stays the
	// same over restarts.
	URL string

	program string
	storage string
	listen  string
	flags   []string
	client  *http.Client

	mu      sync.Mutex     // guards process; held over starts and stops
	process *child.Process // the newest one; nil before the first
}

// Start builds VictoriaMetrics if it is not cached, starts it on a free port
// and waits until it answers. ctx bounds the building and the wait, not the
// life of the server: that ends with Stop, with Kill, or with this process.
func Start(ctx context.Context, opts Options) (*Server, error) {
	s, err := newServer(opts)
	if err != nil {
		return nil, err
	}
	if s.program, err = Build(ctx, "victoria-metrics"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for range portTries {
		s.listen = FreeAddress()
		s.URL = "http://" + s.listen
		if err = s.startLocked(ctx); !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func newServer(opts Options) (*Server, error) {
	if opts.Dir == "" {
		return nil, errors.New("start VictoriaMetrics: no directory is given")
	}
	storage, err := filepath.Abs(filepath.Join(opts.Dir, "victoria-metrics-data"))
	if err != nil {
		return nil, fmt.Errorf("locate the storage: %w", err)
	}
	flags, err := mergeFlags(opts.Flags)
	if err != nil {
		return nil, err
	}
	return &Server{
		storage: storage,
		flags:   flags,
		// No proxy of the environment, and no connection that outlives the
		// server that it leads to.
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}, nil
}

// mergeFlags returns the default flags, as far as extra does not name them,
// and extra.
func mergeFlags(extra []string) ([]string, error) {
	name := func(flag string) string {
		n, _, _ := strings.Cut(strings.TrimLeft(flag, "-"), "=")
		return n
	}
	flags := []string{
		"-retentionPeriod=100y",
		"-dedup.minScrapeInterval=1ms",
		"-search.latencyOffset=0s",
		"-loggerLevel=INFO",
		"-memory.allowedBytes=64MiB",
	}
	for _, f := range extra {
		switch n := name(f); n {
		case "storageDataPath", "httpListenAddr":
			return nil, fmt.Errorf("start VictoriaMetrics: flag %s is not for the caller to set", n)
		default:
			flags = slices.DeleteFunc(flags, func(d string) bool { return name(d) == n })
		}
	}
	return append(flags, extra...), nil
}

// FreeAddress returns an address of this machine, 127.0.0.1:PORT, on which
// nothing listens at this moment. Connections are not given such a port for
// their own end, so that it stays free while a server on it is away.
func FreeAddress() string {
	var address string
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		address = fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		_ = l.Close() // nothing was ever accepted
		break
	}
	return address
}

// startLocked starts the process and waits until it answers. It leaves no
// process behind when it returns an error.
func (s *Server) startLocked(ctx context.Context) error {
	args := append([]string{"-httpListenAddr=" + s.listen, "-storageDataPath=" + s.storage}, s.flags...)
	p, err := child.Start(exec.Command(s.program, args...))
	if err != nil {
		return err
	}
	s.process = p
	if err := s.waitLocked(ctx); err != nil {
		p.Kill()
		if strings.Contains(p.Output(), "address already in use") {
			err = errPortTaken
		}
		return fmt.Errorf("start VictoriaMetrics on %s: %w; its output ends with:\n%s", s.listen, err, lastLines(p.Output(), 10))
	}
	return nil
}

func (s *Server) waitLocked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startBound)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !s.answers(ctx) {
		select {
		case <-s.process.Done():
			return fmt.Errorf("it ended: %w", s.process.Err())
		case <-ctx.Done():
			return fmt.Errorf("wait for its answer: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// answers reports whether this server is healthy, and not another program that
// took the port: no two servers can have the same storage open.
func (s *Server) answers(ctx context.Context) bool {
	health, err := s.get(ctx, "/health", nil)
	if err != nil {
		return false
	}
	_ = health.Close() // the status said it all
	flags, err := s.get(ctx, "/flags", nil)
	if err != nil {
		return false
	}
	defer flags.Close()
	text, err := io.ReadAll(io.LimitReader(flags, 1<<20))
	return err == nil && strings.Contains(string(text), fmt.Sprintf("-storageDataPath=%q", s.storage))
}

// Stop ends the server in order: everything that it took is on disk. If that
// takes over half a minute the server is killed and an error is returned.
// Stop may be called again, and after Kill; there is nothing to do then.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.process.Done():
		return nil
	default:
	}
	if err := s.process.Stop(stopBound); err != nil {
		return fmt.Errorf("stop VictoriaMetrics: %w; its output ends with:\n%s", err, lastLines(s.process.Output(), 10))
	}
	return nil
}

// Kill ends the server at once, as a power cut of the receiver would: what it
// answered with success in its last seconds may be lost.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process.Kill()
}

// Restart starts the server again on the same data and the same address. One
// that still runs is stopped in order before. ctx is as in Start.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startLocked(ctx)
}

// PID returns the id of the process that was started last.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.PID()
}

// Log returns the end of what the process that was started last has printed.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.Output()
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
