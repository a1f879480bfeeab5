package health

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func hello() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "hello")
	})
}

func get(t *testing.T, method, address string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func closeServer(t *testing.T, s *Server) {
	t.Helper()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestServer(t *testing.T) {
	s := StartServer(ServerOptions{Address: "127.0.0.1:0", Handler: hello()})
	address := s.Addr()
	if c := s.State().component(); c.Status != OK || c.Details["address"] != address || c.LastSuccess.IsZero() {
		t.Errorf("state %+v", c)
	}
	if code, body := get(t, "GET", address); code != 200 || body != "hello" {
		t.Errorf("GET is %d %q", code, body)
	}
	if code, body := get(t, "HEAD", address); code != 200 || body != "" {
		t.Errorf("HEAD is %d %q", code, body)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "BREW"} {
		if code, _ := get(t, method, address); code != http.StatusMethodNotAllowed {
			t.Errorf("%s is %d", method, code)
		}
	}
	if h := s.http; h.ReadTimeout <= 0 || h.ReadHeaderTimeout <= 0 || h.WriteTimeout <= 0 || h.IdleTimeout <= 0 || h.MaxHeaderBytes <= 0 {
		t.Error("a bound on requests is missing")
	}
	closeServer(t, s)
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Error("after Close someone listens")
	}
}

// TestTakenPort: the server comes up by itself when the port is free again.
func TestTakenPort(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := other.Addr().String()
	listening := make(chan struct{})
	var once sync.Once
	s := StartServer(ServerOptions{
		Address: address, Handler: hello(), RetryInterval: time.Millisecond,
		Listen: func(network, address string) (net.Listener, error) {
			ln, err := net.Listen(network, address)
			if err == nil {
				once.Do(func() { close(listening) })
			}
			return ln, err
		},
	})
	defer closeServer(t, s)

	c := s.State().component()
	if c.Status != Degraded || c.Message != "cannot listen on "+address+": address already in use" || c.LastError.IsZero() || s.Addr() != "" {
		t.Errorf("state %+v at %q", c, s.Addr())
	}
	snapshot := well()
	state := s.State()
	snapshot.HTTP = &state
	if got := Evaluate(snapshot).Status; got != Degraded {
		t.Errorf("the agent is %s", got)
	}

	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	<-listening
	if code, body := get(t, "GET", address); code != 200 || body != "hello" {
		t.Errorf("GET is %d %q", code, body)
	}
	if c := s.State().component(); c.Status != OK || c.Message != "" {
		t.Errorf("state %+v", c)
	}
}

// pipeListener hands out in-memory connections, which a synctest bubble can
// wait for.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9100} }

func (l *pipeListener) dial() net.Conn {
	server, client := net.Pipe()
	l.conns <- server
	return client
}

func TestRetryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		listeners := []*pipeListener{newPipeListener(), newPipeListener()}
		var attempts []time.Duration
		s := StartServer(ServerOptions{
			Address: "127.0.0.1:9100", Handler: hello(),
			Listen: func(string, string) (net.Listener, error) {
				attempts = append(attempts, time.Since(began))
				switch len(attempts) {
				case 3:
					return listeners[0], nil
				case 5:
					return listeners[1], nil
				default:
					return nil, &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
				}
			},
		})
		wantState := func(status Status, message string) {
			t.Helper()
			synctest.Wait()
			if c := s.State().component(); c.Status != status || c.Message != message {
				t.Errorf("after %v: %+v", time.Since(began), c)
			}
		}
		wantState(Degraded, "cannot listen on 127.0.0.1:9100: address already in use")
		time.Sleep(19 * time.Second)
		wantState(Degraded, "cannot listen on 127.0.0.1:9100: address already in use")
		time.Sleep(time.Second)
		wantState(OK, "")

		// The listener breaks under the server: that is a state too.
		if err := listeners[0].Close(); err != nil {
			t.Fatal(err)
		}
		wantState(Degraded, "stopped serving 127.0.0.1:9100: use of closed network connection")
		time.Sleep(20 * time.Second)
		wantState(OK, "")
		want := []time.Duration{0, 10 * time.Second, 20 * time.Second, 30 * time.Second, 40 * time.Second}
		if len(attempts) != len(want) {
			t.Fatalf("attempts at %v", attempts)
		}
		for i := range want {
			if attempts[i] != want[i] {
				t.Errorf("attempts at %v, want %v", attempts, want)
			}
		}
		closeServer(t, s)
	})
}

func TestCloseWhileRetrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := StartServer(ServerOptions{Handler: hello(), Listen: func(string, string) (net.Listener, error) {
			return nil, errors.New("no such address")
		}})
		if c := s.State().component(); !strings.HasSuffix(c.Message, "no such address") {
			t.Errorf("state %+v", c)
		}
		closeServer(t, s)
		if took := time.Since(began); took != 0 {
			t.Errorf("Close took %v", took)
		}
	})
}

// TestCloseIsBounded: a request that does not end is given two seconds.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		release := make(chan struct{})
		s := StartServer(ServerOptions{
			Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }),
			Listen:  func(string, string) (net.Listener, error) { return ln, nil },
		})
		conn := ln.dial()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now()
		closeServer(t, s)
		if took := time.Since(began); took < closeTimeout || took > 2*closeTimeout {
			t.Errorf("Close took %v", took)
		}
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("the request is still being answered: %d bytes", n)
		}
		close(release)
		_ = conn.Close()
	})
}

// TestSlowClient: who does not send a request is cut off.
func TestSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		s := StartServer(ServerOptions{
			Handler: hello(),
			Listen:  func(string, string) (net.Listener, error) { return ln, nil },
		})
		began := time.Now()
		conn := ln.dial()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n"); err != nil {
			t.Fatal(err)
		}
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == 200 {
				t.Errorf("half a request was answered with %s", resp.Status)
			}
		}
		if took := time.Since(began); took != readTimeout {
			t.Errorf("cut off after %v, want %v", took, readTimeout)
		}
		_ = conn.Close()
		closeServer(t, s)
	})
}
