//go:build linux

package link

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func mustRequest(t *testing.T, request func([]byte) error, name string, messages ...[]byte) {
	t.Helper()
	for _, m := range messages {
		err := request(m)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
			t.Skipf("kernel without what %q needs (CONFIG_VETH, CONFIG_IPV6, CONFIG_BRIDGE): %v", name, err)
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// waiting takes what the kernel has sent, except what is lost, and does not wait
// for more.
func waiting(t *testing.T, s *socket) (datagrams [][]byte) {
	t.Helper()
	for {
		var b []byte
		var err error
		if ctlErr := s.raw.Control(func(fd uintptr) { b, err = s.take(int(fd), unix.MSG_DONTWAIT) }); ctlErr != nil {
			t.Fatal(ctlErr)
		}
		switch {
		case errors.Is(err, unix.EAGAIN):
			return datagrams
		case errors.Is(err, unix.ENOBUFS):
			continue
		case err != nil:
			t.Fatal(err)
		}
		datagrams = append(datagrams, slices.Clone(b))
	}
}

// TestKernel does every step in a network namespace of its own. Its artifact is
// what testdata/messages.txt holds:
//
//	go test -run '^TestKernel$' -artifacts -outputdir /tmp ./internal/link
func TestKernel(t *testing.T) {
	request := enterNamespace(t)
	s, err := openSocket()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	var captured strings.Builder
	seen := newMemory()
	s.present(seen)
	for _, st := range steps() {
		mustRequest(t, request, st.name, st.requests...)
		if err := s.file.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		news, count := false, 0
		take := func(datagram []byte) {
			count++
			fmt.Fprintf(&captured, "%s: %s\n", st.name, hex.EncodeToString(datagram))
			if _, err := parse(datagram); err != nil {
				t.Errorf("%s: %v\n%x", st.name, err, datagram)
			}
			news = seen.learn(datagram) || news
		}
		for _, d := range waiting(t, s) {
			take(d)
		}
		for st.until != nil && !st.until(seen) {
			d, err := s.receive()
			if err != nil {
				t.Fatalf("%s: %v", st.name, err)
			}
			take(d)
		}
		if news != st.news || count == 0 {
			t.Errorf("%s: news %v in %d messages, want %v", st.name, news, count, st.news)
		}
	}
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), "messages.txt"), []byte(captured.String()), 0o666); err != nil {
		t.Error(err)
	}
}

// What is there already is no news when the kernel mentions it.
func TestPresentIsNoNews(t *testing.T) {
	request := enterNamespace(t)
	for _, st := range cable("cable") {
		mustRequest(t, request, st.name, st.requests...)
	}
	s, err := openSocket()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	seen := newMemory()
	mustRequest(t, request, "ends up", flags(left, unix.IFF_UP, unix.IFF_UP), flags(right, unix.IFF_UP, unix.IFF_UP), newAddress("198.51.100.2/24", left, 0))
	for !isUp(left, right)(seen) {
		d, err := s.receive()
		if err != nil {
			t.Fatal(err)
		}
		seen.learn(d)
	}
	waiting(t, s)

	seen = newMemory()
	s.present(seen)
	if !isUp(left, right)(seen) || len(seen.addresses) == 0 {
		t.Fatalf("up are %v, addresses are %v", seen.up, seen.addresses)
	}
	mustRequest(t, request, "repeated", alias(left, "uplink"), alias(right, "uplink"))
	repeated := waiting(t, s)
	if len(repeated) == 0 {
		t.Fatal("the kernel said nothing")
	}
	for _, d := range repeated {
		if seen.learn(d) {
			t.Errorf("%x is news", d)
		}
	}
}

// When more happens than the socket can hold, messages are lost, and a call is
// made for them.
func TestOverrunIsNews(t *testing.T) {
	request := enterNamespace(t)
	s, err := openSocket()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var sizeErr error
	if err := s.raw.Control(func(fd uintptr) { sizeErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) }); err != nil || sizeErr != nil {
		t.Fatal(err, sizeErr)
	}
	if err := s.file.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	mustRequest(t, request, "loopback up", flags(1, unix.IFF_UP, unix.IFF_UP))
	for i := range 50 { // none of which is news by itself
		mustRequest(t, request, "another name", alias(1, fmt.Sprint(i)))
	}
	for range 50 {
		if _, err = s.receive(); err != nil {
			break
		}
	}
	if !errors.Is(err, unix.ENOBUFS) {
		t.Fatalf("error %v", err)
	}
	waiting(t, s)
	mustRequest(t, request, "another name", alias(1, "after"))
	if _, err := s.receive(); err != nil {
		t.Errorf("after the overrun: %v", err)
	}
}

// A datagram that does not fit is as good as lost, and one that another process
// sends is none.
func TestDatagramsThatAreNotTaken(t *testing.T) {
	request := enterNamespace(t)
	s, err := openSocket()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.file.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	s.buf = make([]byte, 200)
	mustRequest(t, request, "loopback up", flags(1, unix.IFF_UP, unix.IFF_UP))
	if _, err := s.receive(); !errors.Is(err, unix.ENOBUFS) {
		t.Errorf("error %v", err)
	}
	waiting(t, s)

	var address unix.Sockaddr
	if ctlErr := s.raw.Control(func(fd uintptr) { address, err = unix.Getsockname(int(fd)) }); ctlErr != nil || err != nil {
		t.Fatal(ctlErr, err)
	}
	other, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	to := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: address.(*unix.SockaddrNetlink).Pid}
	if err := unix.Sendto(other, newLink(left, works), 0, to); err != nil {
		t.Fatal(err)
	}
	if d, err := s.receive(); err != nil || len(d) != 0 {
		t.Errorf("% x from another process, error %v", d, err)
	}
}

// Watch calls for a real link, once for all that comes with it.
func TestWatch(t *testing.T) {
	request := enterNamespace(t)
	for _, st := range cable("cable") {
		mustRequest(t, request, st.name, st.requests...)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := make(chan struct{}, 1000)
	done := make(chan error, 1)
	namespace, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(namespace)
	go inNamespace(namespace, done, func() error { return Watch(ctx, func() { calls <- struct{}{} }) })

	// A link that comes up before Watch listens is not told of, and so it goes
	// down and up until Watch does.
	deadline := time.After(patience)
	mustRequest(t, request, "right end up", flags(right, unix.IFF_UP, unix.IFF_UP))
	toggle := time.NewTicker(2 * settle)
	defer toggle.Stop()
	for called := false; !called; {
		mustRequest(t, request, "left end up", flags(left, 0, unix.IFF_UP), flags(left, unix.IFF_UP, unix.IFF_UP))
		select {
		case <-calls:
			called = true
		case err := <-done:
			t.Fatalf("Watch returned %v", err)
		case <-deadline:
			t.Fatal("no call")
		case <-toggle.C:
		}
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Watch returned %v", err)
		}
	case <-deadline:
		t.Fatal("Watch goes on after its context")
	}
	if n := len(calls); n > 1 {
		t.Errorf("%d more calls", n)
	}
}

// Watch needs no privilege, and ends with its context while nothing happens.
func TestWatchEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- Watch(ctx, func() {}) }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
		if ctx.Err() == nil {
			t.Error("Watch ended before its context")
		}
	case <-time.After(patience):
		t.Fatal("Watch goes on after its context")
	}
	if err := Watch(ctx, func() { t.Error("called") }); err != nil {
		t.Errorf("with a context that is done: %v", err)
	}
}
