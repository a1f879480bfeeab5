//go:build linux

package link

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const works = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP

// datagram is one that the kernel sent, and the step at which it did.
type datagram struct {
	step  string
	bytes []byte
}

// captured returns what testdata holds, in order.
func captured(tb testing.TB) []datagram {
	tb.Helper()
	text, err := os.ReadFile("testdata/messages.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var all []datagram
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, digits, ok := strings.Cut(lines.Text(), ": ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, datagram{name, b})
	}
	if lines.Err() != nil || len(all) < 50 {
		tb.Fatalf("%d datagrams, error %v", len(all), lines.Err())
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		tb.Skip("a big-endian machine: the messages are of a little-endian one")
	}
	return all
}

// String is what the tables of the tests say of a change.
func (c change) String() string {
	name := []string{"nothing", "up", "down", "gone", "usable", "not usable", "added", "replaced", "removed"}[c.kind]
	switch c.kind {
	case addressUsable, addressGone:
		return fmt.Sprintf("%s %s on %d", name, c.address.prefix, c.address.link)
	case routeAdded, routeReplaced, routeGone:
		return fmt.Sprintf("%s %d/%d/%d/%d", name, c.route.family, c.route.tos, c.route.table, c.route.priority)
	}
	return fmt.Sprintf("%s %d", name, c.link)
}

// encode returns a message that says c, whatever its hops are.
func encode(c change) []byte {
	switch c.kind {
	case linkUp:
		return newLink(c.link, works)
	case linkDown:
		return newLink(c.link, 0)
	case linkGone:
		return message(unix.RTM_DELLINK, 0, linkHeader(0, c.link, 0, 0))
	case addressUsable:
		return message(unix.RTM_NEWADDR, 0, addressHeader(c.address.prefix, c.address.link, 0))
	case addressGone:
		return message(unix.RTM_DELADDR, 0, addressHeader(c.address.prefix, c.address.link, 0))
	case routeAdded:
		return message(unix.RTM_NEWROUTE, 0, routeHeader(c.route, 0, unix.RTN_UNICAST))
	case routeReplaced:
		return message(unix.RTM_NEWROUTE, unix.NLM_F_REPLACE, routeHeader(c.route, 0, unix.RTN_UNICAST))
	}
	return message(unix.RTM_DELROUTE, 0, routeHeader(c.route, 0, unix.RTN_UNICAST))
}

// TestCaptured reads what a kernel said, and finds in it what is news.
func TestCaptured(t *testing.T) {
	want := map[string][]string{
		"loopback up":                            {},
		"address on loopback":                    {},
		"cable":                                  {"down 1002", "down 1001"},
		"left end up without carrier":            {"down 1001"},
		"both ends up":                           {"down 1002", "up 1002", "up 1001"},
		"another name for it":                    {"up 1001"},
		"multicast on":                           {"up 1001"},
		"IPv4 address":                           {"usable 198.51.100.2/24 on 1001"},
		"IPv4 lease renewed":                     {"usable 198.51.100.2/24 on 1001"},
		"IPv6 address":                           {"usable 2001:db8::2/64 on 1001"},
		"IPv6 address advertised again":          {"usable 2001:db8::2/64 on 1001"},
		"IPv6 address after a search for others": {"not usable 2001:db8:1::2/64 on 1001", "usable 2001:db8:1::2/64 on 1001"},
		"IPv4 default route":                     {"added 2/0/254/100"},
		"IPv4 default route by another router":   {"replaced 2/0/254/100"},
		"IPv4 default route of a VPN":            {"added 2/0/51820/100"},
		"IPv4 route to a network":                {},
		"IPv4 default route to nowhere":          {"removed 2/0/254/9999"},
		"IPv4 default route gone":                {"removed 2/0/254/100"},
		"IPv4 default route over two routers":    {"added 2/0/254/100"},
		"IPv6 default route":                     {"added 10/0/254/100"},
		"IPv6 default route again":               {"replaced 10/0/254/100"},
		"IPv6 default route by another router":   {"replaced 10/0/254/100"},
		"IPv6 default route gone":                {"removed 10/0/254/100"},
		"left end down":                          {"down 1001", "not usable 2001:db8:1::2/64 on 1001", "not usable 2001:db8::2/64 on 1001", "down 1002"},
		"left end up again":                      {"down 1001", "up 1001", "up 1002"},
		"IPv4 default route as before":           {"added 2/0/51820/100"},
		"carrier lost":                           {"down 1002", "down 1001"},
		"carrier found":                          {"up 1002", "up 1002", "up 1001"},
		"both ends gone":                         {"down 1001", "down 1002", "not usable 198.51.100.2/24 on 1001", "gone 1001", "gone 1002"},
		"another cable":                          {"down 1002", "down 1001"},
		"new ends up":                            {"down 1001", "up 1002", "up 1002", "up 1001"},
		"IPv4 address of the end before":         {"usable 198.51.100.2/24 on 1001"},
		"bridge":                                 {"down 1003"},
		"right end into the bridge":              {"up 1002", "up 1002", "down 1003", "down 1003"},
		"right end out of the bridge":            {"up 1002", "up 1002", "down 1003", "down 1003"},
		"right end named after the bridge":       {"up 1002"},
	}
	said := make(map[string][]string)
	news := make(map[string]bool)
	seen := newMemory()
	for _, d := range captured(t) {
		changes, err := parse(d.bytes)
		if err != nil {
			t.Errorf("%s: %v", d.step, err)
		}
		for _, c := range changes {
			said[d.step] = append(said[d.step], c.String())
		}
		news[d.step] = seen.learn(d.bytes) || news[d.step]
	}
	for _, st := range steps() {
		if got, ok := news[st.name]; !ok || got != st.news || !slices.Equal(said[st.name], want[st.name]) {
			t.Errorf("%s: news %v, want %v: %q, want %q", st.name, got, st.news, said[st.name], want[st.name])
		}
	}
}

func TestParse(t *testing.T) {
	six := netip.MustParsePrefix("2001:db8::2/64")
	def := route{family: unix.AF_INET, table: unix.RT_TABLE_MAIN, priority: 7}
	out := attribute(unix.RTA_OIF, u32(left))
	routed := func(r route, routeType byte, flags uint32, attributes ...[]byte) []byte {
		b := routeHeader(r, 0, routeType)
		binary.NativeEndian.PutUint32(b[8:], flags)
		return message(unix.RTM_NEWROUTE, 0, b, slices.Concat(attributes...))
	}
	addressed := func(family, bits byte, attributes ...[]byte) []byte {
		return message(unix.RTM_NEWADDR, 0, []byte{family, bits, 0, 0}, u32(left), slices.Concat(attributes...))
	}
	local, peer := attribute(unix.IFA_LOCAL, []byte{10, 0, 0, 1}), attribute(unix.IFA_ADDRESS, []byte{10, 0, 0, 2})
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"nothing", nil, ""},
		{"a link that works", newLink(left, works|unix.IFF_MULTICAST), "up 1001"},
		{"no carrier", newLink(left, works&^unix.IFF_LOWER_UP), "down 1001"},
		{"Wi-Fi that is not let in yet", newLink(left, works&^unix.IFF_RUNNING|unix.IFF_DORMANT), "down 1001"},
		{"taken down", newLink(left, works&^unix.IFF_UP), "down 1001"},
		{"the loopback", newLink(1, works), ""},
		{"the port of a bridge", message(unix.RTM_NEWLINK, 0, linkHeader(unix.AF_BRIDGE, left, works, 0)), ""},
		{"no port of a bridge any more", message(unix.RTM_DELLINK, 0, linkHeader(unix.AF_BRIDGE, left, works, 0)), ""},

		{"an address", newAddress("2001:db8::2/64", left, unix.IFA_F_PERMANENT), "usable 2001:db8::2/64 on 1001"},
		{"an address on the loopback", newAddress("2001:db8::2/64", 1, 0), ""},
		{"tentative", newAddress("2001:db8::2/64", left, unix.IFA_F_TENTATIVE), "not usable 2001:db8::2/64 on 1001"},
		{"optimistic", newAddress("2001:db8::2/64", left, unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC), "usable 2001:db8::2/64 on 1001"},
		{"another one has it", newAddress("2001:db8::2/64", left, unix.IFA_F_PERMANENT|unix.IFA_F_DADFAILED), "not usable 2001:db8::2/64 on 1001"},
		{"deleted", message(unix.RTM_DELADDR, 0, addressHeader(six, left, 0)), "not usable 2001:db8::2/64 on 1001"},
		{"point to point", addressed(unix.AF_INET, 32, peer, local), "usable 10.0.0.1/32 on 1001"},
		{"without IFA_LOCAL", addressed(unix.AF_INET, 32, peer), "usable 10.0.0.2/32 on 1001"},
		{"of a family without links", addressed(unix.AF_MPLS, 20), ""},
		{"without any", addressed(unix.AF_INET, 24), "malformed"},
		{"of another length", addressed(unix.AF_INET, 24, attribute(unix.IFA_LOCAL, six.Addr().AsSlice())), "malformed"},
		{"of no length", addressed(unix.AF_INET6, 24, attribute(unix.IFA_LOCAL, make([]byte, 5))), "malformed"},
		{"with a long prefix", addressed(unix.AF_INET, 33, local), "malformed"},

		{"a default route", routed(def, unix.RTN_UNICAST, 0, out), "added 2/0/254/7"},
		{"to nowhere", routed(def, unix.RTN_UNREACHABLE, 0), "removed 2/0/254/7"},
		{"into the loopback", routed(def, unix.RTN_UNICAST, 0, attribute(unix.RTA_OIF, u32(1))), "removed 2/0/254/7"},
		{"of the route cache", routed(def, unix.RTN_UNICAST, unix.RTM_F_CLONED, out), ""},
		{"of MPLS", routed(route{family: unix.AF_MPLS}, unix.RTN_UNICAST, 0, out), ""},
		{"to a network", message(unix.RTM_NEWROUTE, 0, routeHeader(def, 8, unix.RTN_UNICAST), out), ""},
		{"with flags in the type", routed(def, unix.RTN_UNICAST, 0, attribute(0x8000|unix.RTA_OIF, u32(1))), "removed 2/0/254/7"},
		{"with a table of another length", routed(def, unix.RTN_UNICAST, 0, attribute(unix.RTA_TABLE, []byte{1})), "added 2/0/254/7"},

		{"several in one", slices.Concat(newLink(left, works), message(unix.NLMSG_NOOP, 0), newLink(right, 0)), "up 1001, down 1002"},
		{"the end of a dump", message(unix.NLMSG_DONE, 0, u32(0)), ""},
		{"of another kind", message(unix.RTM_NEWNEIGH, 0, []byte{1}), ""},
		{"without the last padding", message(unix.NLMSG_NOOP, 0, u32(0))[:19], "malformed"},
		{"an attribute without its padding", func() []byte {
			b := routed(def, unix.RTN_UNICAST, 0, attribute(unix.RTA_PREF, []byte{1}))
			binary.NativeEndian.PutUint32(b, uint32(len(b)-3))
			return b[:len(b)-3]
		}(), "added 2/0/254/7"},
		{"one that makes sense before one that does not", append(newLink(left, works), 1, 2, 3), "up 1001, malformed"},
	} {
		changes, err := parse(c.b)
		var got []string
		for _, ch := range changes {
			got = append(got, ch.String())
		}
		if errors.Is(err, errMalformed) {
			got = append(got, "malformed")
		} else if err != nil {
			t.Errorf("%s: error %v", c.name, err)
		}
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Wherever a length is wrong, and wherever a message is cut, nothing is read
// that is not there.
func TestLengths(t *testing.T) {
	for _, size := range []uint32{0, 1, 15, 16 + 15, 33, 1 << 31, 1<<32 - 1, 1<<32 - 3} {
		b := newLink(left, works)
		binary.NativeEndian.PutUint32(b, size)
		if changes, err := parse(b); !errors.Is(err, errMalformed) || len(changes) != 0 {
			t.Errorf("length %d: %v, error %v", size, changes, err)
		}
	}
	header := unix.SizeofNlMsghdr + unix.SizeofIfAddrmsg
	for _, size := range []uint16{0, 1, 3, 17, 1<<16 - 1} {
		b := newAddress("198.51.100.2/24", left, 0)
		binary.NativeEndian.PutUint16(b[header:], size)
		if changes, err := parse(b); !errors.Is(err, errMalformed) || len(changes) != 0 {
			t.Errorf("length %d of an attribute: %v, error %v", size, changes, err)
		}
	}
	for _, d := range captured(t) {
		for n := range len(d.bytes) {
			// A copy of its own, so that reading beyond it is found.
			cut := slices.Clip(slices.Clone(d.bytes[:n]))
			if changes, err := parse(cut); n > 0 && (!errors.Is(err, errMalformed) || len(changes) != 0) {
				t.Fatalf("%s cut at %d: %v, error %v", d.step, n, changes, err)
			}
			if n < unix.SizeofNlMsghdr {
				continue
			}
			// The message says that it ends there.
			binary.NativeEndian.PutUint32(cut, uint32(n))
			if _, err := parse(cut); err != nil && !errors.Is(err, errMalformed) {
				t.Fatalf("%s that ends at %d: error %v", d.step, n, err)
			}
		}
	}
}

// FuzzParse: whatever the bytes, what is found in them is the same when it is
// written and read again, there is not more of it than there is room for, and
// the memory stays within its bounds.
func FuzzParse(f *testing.F) {
	seeds := captured(f)
	if len(seeds) == 0 {
		f.Fatal("the seed corpus is empty")
	}
	byKind := make(map[kind]bool)
	for _, d := range seeds {
		f.Add(d.bytes)
		changes, _ := parse(d.bytes)
		for _, c := range changes {
			byKind[c.kind] = true
		}
	}
	for k := linkUp; k <= routeGone; k++ {
		if !byKind[k] {
			f.Errorf("the seed corpus has no %q", change{kind: k})
		}
	}
	f.Add(slices.Concat(seeds[0].bytes, seeds[1].bytes, seeds[2].bytes))
	f.Fuzz(func(t *testing.T, b []byte) {
		changes, err := parse(b)
		if err != nil && !errors.Is(err, errMalformed) {
			t.Fatal(err)
		}
		if room := len(b) / (unix.SizeofNlMsghdr + unix.SizeofIfAddrmsg); len(changes) > room {
			t.Fatalf("%d changes in %d bytes", len(changes), len(b))
		}
		seen := newMemory()
		for _, c := range changes {
			again, err := parse(encode(c))
			c.hops = 0
			for i := range again {
				again[i].hops = 0
			}
			if err != nil || !slices.Equal(again, []change{c}) {
				t.Fatalf("%v became %v, error %v", c, again, err)
			}
			seen.apply(c)
			if repeated := seen.apply(c); repeated && c.kind != routeAdded {
				t.Fatalf("%v is news again", c)
			}
		}
		if len(seen.up)+len(seen.addresses)+len(seen.routes) > len(changes) {
			t.Fatalf("%d changes became %v", len(changes), seen)
		}
	})
}
