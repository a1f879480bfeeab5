//go:build linux

package link

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxDatagram bounds what one read takes. The kernel puts one message of these
// kinds into a datagram, of about 1.5 kB for a link. One of an interface with
// hundreds of virtual functions may be larger; it counts as lost.
const maxDatagram = 32 << 10

// groups are the kinds of messages to hear, see rtnetlink(7).
const groups = unix.RTMGRP_LINK |
	unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR |
	unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE

// socket receives what the kernel tells everyone about links, addresses and
// routes. It needs no privilege.
type socket struct {
	file *os.File
	raw  syscall.RawConn
	buf  []byte
}

// openSocket returns a socket that misses nothing from now on.
func openSocket() (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EPROTONOSUPPORT) {
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "netlink")
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return nil, errors.Join(fmt.Errorf("bind netlink socket: %w", err), file.Close())
	}
	// Without a deadline nothing could end a read.
	if err := file.SetReadDeadline(time.Time{}); err != nil {
		return nil, errors.Join(fmt.Errorf("poll netlink socket: %w", err), file.Close())
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("poll netlink socket: %w", err), file.Close())
	}
	return &socket{file: file, raw: raw, buf: make([]byte, maxDatagram)}, nil
}

// present teaches seen what is there already, so that it is not news when the
// kernel mentions it. What cannot be listed stays unknown, and is news once.
func (s *socket) present(seen *memory) {
	for _, request := range []int{unix.RTM_GETLINK, unix.RTM_GETADDR} {
		if dump, err := syscall.NetlinkRIB(request, unix.AF_UNSPEC); err == nil {
			seen.learn(dump)
		}
	}
}

// receive waits for a datagram, which is valid until the next call. The error
// is unix.ENOBUFS where messages were lost, after which it can go on.
func (s *socket) receive() ([]byte, error) {
	var datagram []byte
	var err error
	if waitErr := s.raw.Read(func(fd uintptr) (done bool) {
		datagram, err = s.take(int(fd), 0)
		return !errors.Is(err, unix.EAGAIN)
	}); waitErr != nil {
		return nil, fmt.Errorf("receive from netlink: %w", waitErr)
	}
	if err != nil {
		return nil, fmt.Errorf("receive from netlink: %w", err)
	}
	return datagram, nil
}

// take reads what is there. A datagram that is not the kernel's is returned as
// an empty one.
func (s *socket) take(fd, flags int) ([]byte, error) {
	for {
		// MSG_TRUNC asks for the true length, whatever fits.
		n, from, err := unix.Recvfrom(fd, s.buf, flags|unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case n > len(s.buf):
			return nil, unix.ENOBUFS
		}
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			n = 0
		}
		return s.buf[:n], nil
	}
}

// interrupt makes receive fail, now and from now on.
func (s *socket) interrupt() {
	// It fails only on a file that is closed, where receive fails as well.
	_ = s.file.SetReadDeadline(time.Unix(1, 0))
}

// close releases the socket. There is nothing that could fail to be written.
func (s *socket) close() { _ = s.file.Close() }
