//go:build linux

package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// message returns a netlink message of the parts, as they are sent and come.
func message(messageType, flags uint16, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, messageType)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = append(b, make([]byte, 8)...) // sequence and sender
	return padded(append(b, body...))
}

// attribute returns one; the parts of its value may be attributes again.
func attribute(attributeType uint16, parts ...[]byte) []byte {
	value := slices.Concat(parts...)
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, attributeType)
	return padded(append(b, value...))
}

func padded(b []byte) []byte {
	return append(b, make([]byte, aligned(len(b))-len(b))...)
}

func u32(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func linkHeader(family byte, index, flags, mask uint32) []byte {
	return slices.Concat([]byte{family, 0, 0, 0}, u32(index), u32(flags), u32(mask))
}

func newLink(index, flags uint32) []byte {
	return message(unix.RTM_NEWLINK, 0, linkHeader(0, index, flags, 0))
}

func addressHeader(prefix netip.Prefix, index uint32, flags byte) []byte {
	family := byte(unix.AF_INET6)
	if prefix.Addr().Is4() {
		family = unix.AF_INET
	}
	header := slices.Concat([]byte{family, byte(prefix.Bits()), flags, unix.RT_SCOPE_UNIVERSE}, u32(index))
	return slices.Concat(header, attribute(unix.IFA_LOCAL, prefix.Addr().AsSlice()), attribute(unix.IFA_ADDRESS, prefix.Addr().AsSlice()))
}

func newAddress(prefix string, index uint32, flags byte) []byte {
	return message(unix.RTM_NEWADDR, 0, addressHeader(netip.MustParsePrefix(prefix), index, flags))
}

func routeHeader(r route, bits, routeType byte) []byte {
	return slices.Concat([]byte{r.family, bits, 0, r.tos, byte(r.table), unix.RTPROT_BOOT, unix.RT_SCOPE_UNIVERSE, routeType}, u32(0),
		attribute(unix.RTA_TABLE, u32(r.table)), attribute(unix.RTA_PRIORITY, u32(r.priority)))
}

// enterNamespace puts the test's thread into a network namespace of its own
// until the test ends, and returns a socket to make requests of the kernel.
func enterNamespace(t *testing.T) (request func(message []byte) error) {
	t.Helper()
	runtime.LockOSThread()
	before, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		t.Skip("kernel without network namespaces (CONFIG_NET_NS), or without /proc")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(before) })
	err = unix.Unshare(unix.CLONE_NEWNET)
	if errors.Is(err, unix.EPERM) {
		t.Skip("no permission for a network namespace of its own (CAP_SYS_ADMIN)")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A thread that could not come back ends with the test's goroutine.
		if err := unix.Setns(before, unix.CLONE_NEWNET); err != nil {
			t.Error(err)
		} else {
			runtime.UnlockOSThread()
		}
	})
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func(message []byte) error { return exchange(fd, message) }
}

// exchange sends a request and returns what the kernel answers. When it has
// answered, it has told everyone.
func exchange(fd int, message []byte) error {
	message = slices.Clone(message)
	flags := binary.NativeEndian.Uint16(message[6:])
	binary.NativeEndian.PutUint16(message[6:], flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 8192)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("answer % x", answer[:n])
	}
	if code := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

// inNamespace calls f on a thread in the namespace, which ends with it.
func inNamespace(namespace int, done chan<- error, f func() error) {
	runtime.LockOSThread() // never unlocked
	if err := unix.Setns(namespace, unix.CLONE_NEWNET); err != nil {
		done <- err
		return
	}
	done <- f()
}
