//go:build linux

package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"

	"golang.org/x/sys/unix"
)

// errMalformed is in the error of every message whose lengths make no sense.
var errMalformed = errors.New("malformed message")

const (
	// loopback is the index of the loopback interface in every network
	// namespace: LOOPBACK_IFINDEX in the kernel's include/net/flow.h.
	loopback = 1
	// attributeNextHop names a route's hop by its number: RTA_NH_ID in
	// include/uapi/linux/rtnetlink.h.
	attributeNextHop = 30
	// attributeType is what is left of a type without its flags: NLA_TYPE_MASK
	// in include/uapi/linux/netlink.h.
	attributeType = 0x3fff
)

// kind is what happened.
type kind uint8

const (
	linkUp kind = iota + 1 // it is up and has a carrier; repeated with every other change of it
	linkDown
	linkGone
	addressUsable // repeated when its lifetime changes
	addressGone   // or not usable yet
	routeAdded
	routeReplaced // another one of the same key was there, or this one
	routeGone
)

// change is what one message says. What a kind does not need is zero.
type change struct {
	kind    kind
	link    uint32 // the interface's index, for the link kinds
	address address
	route   route
	hops    uint64 // a hash of what the route leads to
}

// address is an address of an interface, with the length of its prefix.
type address struct {
	link   uint32
	prefix netip.Prefix
}

// route is what the kernel keeps default routes apart by. Added ones may share
// one, replaced ones do not.
type route struct {
	family, tos     uint8
	table, priority uint32
}

// parse returns what a datagram of rtnetlink messages says about links,
// addresses and default routes, up to the first message that is malformed. All
// numbers in it are in the byte order of the machine.
//
//	 0       4      6       8     12    16
//	┌────────┬──────┬───────┬─────┬─────┬─────────┬──────────────┐
//	│ length │ type │ flags │ seq │ pid │ by type │ attributes … │  netlink(7)
//	└────────┴──────┴───────┴─────┴─────┴─────────┴──────────────┘
//
// length includes the header; the next message begins at a multiple of four.
func parse(b []byte) ([]change, error) {
	var found []change
	for len(b) > 0 {
		if len(b) < unix.SizeofNlMsghdr {
			return found, fmt.Errorf("parse header: %w: %d bytes", errMalformed, len(b))
		}
		size := binary.NativeEndian.Uint32(b)
		if size < unix.SizeofNlMsghdr || uint64(size) > uint64(len(b)) {
			return found, fmt.Errorf("parse header: %w: length %d in %d bytes", errMalformed, size, len(b))
		}
		c, err := parseBody(binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:]), b[unix.SizeofNlMsghdr:size])
		if err != nil {
			return found, err
		}
		if c.kind != 0 {
			found = append(found, c)
		}
		b = b[min(aligned(int(size)), len(b)):]
	}
	return found, nil
}

// parseBody returns a change of no kind for a message that is about something
// else.
func parseBody(messageType, flags uint16, body []byte) (change, error) {
	var c change
	var err error
	switch messageType {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if c, err = parseLink(messageType, body); err != nil {
			return change{}, fmt.Errorf("parse link: %w", err)
		}
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if c, err = parseAddress(messageType, body); err != nil {
			return change{}, fmt.Errorf("parse address: %w", err)
		}
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if c, err = parseRoute(messageType, flags, body); err != nil {
			return change{}, fmt.Errorf("parse route: %w", err)
		}
	}
	return c, nil
}

// parseLink reads a struct ifinfomsg:
//
//	 0        1   2      4       8       12       16
//	┌────────┬───┬──────┬───────┬───────┬────────┐
//	│ family │   │ type │ index │ flags │ change │
//	└────────┴───┴──────┴───────┴───────┴────────┘
//
// A bridge tells of its ports under a family of its own, and that one has left
// looks there as if it were deleted.
func parseLink(messageType uint16, body []byte) (change, error) {
	if len(body) < unix.SizeofIfInfomsg {
		return change{}, fmt.Errorf("%w: %d bytes", errMalformed, len(body))
	}
	c := change{kind: linkDown, link: binary.NativeEndian.Uint32(body[4:])}
	flags := binary.NativeEndian.Uint32(body[8:])
	if body[0] != unix.AF_UNSPEC || c.link == loopback {
		return change{}, nil
	}
	// RUNNING follows the state of RFC 2863, which for Wi-Fi includes being let
	// in; it lags behind the carrier, LOWER_UP.
	const works = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP
	switch {
	case messageType == unix.RTM_DELLINK:
		c.kind = linkGone
	case flags&works == works:
		c.kind = linkUp
	}
	return c, nil
}

// parseAddress reads a struct ifaddrmsg and the address behind it:
//
//	 0        1        2       3       4       8
//	┌────────┬────────┬───────┬───────┬───────┬──────────────┐
//	│ family │ prefix │ flags │ scope │ index │ attributes … │
//	└────────┴────────┴───────┴───────┴───────┴──────────────┘
//
// IFA_LOCAL is the address where IFA_ADDRESS is that of the other end.
func parseAddress(messageType uint16, body []byte) (change, error) {
	if len(body) < unix.SizeofIfAddrmsg {
		return change{}, fmt.Errorf("%w: %d bytes", errMalformed, len(body))
	}
	family, bits, flags := body[0], body[1], body[2]
	index := binary.NativeEndian.Uint32(body[4:])
	if family != unix.AF_INET && family != unix.AF_INET6 || index == loopback {
		return change{}, nil
	}
	var value, local []byte
	err := attributes(body[unix.SizeofIfAddrmsg:], func(attribute uint16, v []byte) {
		switch attribute {
		case unix.IFA_ADDRESS:
			value = v
		case unix.IFA_LOCAL:
			local = v
		}
	})
	if err != nil {
		return change{}, err
	}
	if local != nil {
		value = local
	}
	ip, ok := netip.AddrFromSlice(value)
	prefix := netip.PrefixFrom(ip, int(bits))
	if !ok || !prefix.IsValid() || ip.Is4() != (family == unix.AF_INET) {
		return change{}, fmt.Errorf("%w: family %d, %d bytes of address, prefix of %d bits", errMalformed, family, len(value), bits)
	}
	c := change{kind: addressUsable, address: address{link: index, prefix: prefix}}
	// Until nobody else is found to have it, and for good if someone has, an
	// address is no source for packets. An optimistic one is, before that.
	waits := flags&unix.IFA_F_TENTATIVE != 0 && flags&unix.IFA_F_OPTIMISTIC == 0
	if messageType == unix.RTM_DELADDR || waits || flags&unix.IFA_F_DADFAILED != 0 {
		c.kind = addressGone
	}
	return c, nil
}

// parseRoute reads a struct rtmsg and what a default route leads to:
//
//	 0        1     2     3     4       5          6       7      8       12
//	┌────────┬─────┬─────┬─────┬───────┬──────────┬───────┬──────┬───────┬──────────────┐
//	│ family │ dst │ src │ tos │ table │ protocol │ scope │ type │ flags │ attributes … │
//	└────────┴─────┴─────┴─────┴───────┴──────────┴───────┴──────┴───────┴──────────────┘
//
// dst is the length of the destination's prefix, 0 for a default route. It may
// be one of any table: a VPN has its own.
func parseRoute(messageType, messageFlags uint16, body []byte) (change, error) {
	if len(body) < unix.SizeofRtMsg {
		return change{}, fmt.Errorf("%w: %d bytes", errMalformed, len(body))
	}
	r := route{family: body[0], tos: body[3], table: uint32(body[4])}
	bits, routeType, flags := body[1], body[7], binary.NativeEndian.Uint32(body[8:])
	if r.family != unix.AF_INET && r.family != unix.AF_INET6 || bits != 0 || flags&unix.RTM_F_CLONED != 0 {
		return change{}, nil
	}
	var out uint32
	hops := fnv.New64a()
	err := attributes(body[unix.SizeofRtMsg:], func(attribute uint16, v []byte) {
		switch attribute {
		case unix.RTA_TABLE:
			r.table = number(v, r.table)
		case unix.RTA_PRIORITY:
			r.priority = number(v, r.priority)
		case unix.RTA_OIF, unix.RTA_GATEWAY, unix.RTA_VIA, unix.RTA_MULTIPATH, attributeNextHop:
			if attribute == unix.RTA_OIF {
				out = number(v, out)
			}
			// A hash returns no errors.
			_, _ = hops.Write(binary.NativeEndian.AppendUint16(nil, attribute))
			_, _ = hops.Write(binary.NativeEndian.AppendUint32(nil, uint32(len(v))))
			_, _ = hops.Write(v)
		}
	})
	if err != nil {
		return change{}, err
	}
	c := change{kind: routeAdded, route: r, hops: hops.Sum64()}
	switch {
	case messageType == unix.RTM_DELROUTE, routeType != unix.RTN_UNICAST, out == loopback:
		// A route that leads nowhere stands where another one may have stood.
		c.kind, c.hops = routeGone, 0
	case messageFlags&unix.NLM_F_REPLACE != 0:
		c.kind = routeReplaced
	}
	return c, nil
}

// number returns the 32 bits of an attribute, or the other number where it has
// not as many.
func number(value []byte, other uint32) uint32 {
	if len(value) != 4 {
		return other
	}
	return binary.NativeEndian.Uint32(value)
}

// attributes calls each for each attribute in b. A value is part of b.
//
//	 0        2      4
//	┌────────┬──────┬─────────┐
//	│ length │ type │ value … │
//	└────────┴──────┴─────────┘
//
// length includes these four bytes; the next one begins at a multiple of four.
func attributes(b []byte, each func(attribute uint16, value []byte)) error {
	for len(b) > 0 {
		if len(b) < unix.SizeofRtAttr {
			return fmt.Errorf("%w: %d bytes of attribute", errMalformed, len(b))
		}
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return fmt.Errorf("%w: attribute of length %d in %d bytes", errMalformed, size, len(b))
		}
		each(binary.NativeEndian.Uint16(b[2:])&attributeType, b[unix.SizeofRtAttr:size])
		b = b[min(aligned(size), len(b)):]
	}
	return nil
}

// aligned returns the next multiple of four.
func aligned(n int) int { return (n + 3) &^ 3 }
