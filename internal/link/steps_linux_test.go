//go:build linux

package link

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// The two ends of a cable, and a bridge. Their indices are far from those that
// the kernel gives by itself.
const (
	left   = 1001
	right  = 1002
	bridge = 1003
)

// step is something that happens to the network and whether it is news.
type step struct {
	name     string
	requests [][]byte
	// until tells from what is known that all messages are there. It is nil
	// where the kernel sends them before it answers the request.
	until func(*memory) bool
	news  bool
}

func isUp(indices ...uint32) func(*memory) bool {
	return func(m *memory) bool {
		for _, i := range indices {
			if _, ok := m.up[i]; !ok {
				return false
			}
		}
		return true
	}
}

func has(link uint32, prefix netip.Prefix) func(*memory) bool {
	return func(m *memory) bool {
		_, ok := m.addresses[address{link, prefix}]
		return ok
	}
}

func isDown(m *memory) bool { return !isUp(left)(m) && !isUp(right)(m) }

// steps are what happens to a network namespace that is new.
func steps() []step {
	const create, replace = unix.NLM_F_CREATE | unix.NLM_F_EXCL, unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	v4, v6 := netip.MustParsePrefix("198.51.100.2/24"), netip.MustParsePrefix("2001:db8::2/64")
	slow := netip.MustParsePrefix("2001:db8:1::2/64")
	// struct ifa_cacheinfo: preferred, valid, and two times that are not set.
	lifetime := attribute(unix.IFA_CACHEINFO, u32(1800), u32(3600), u32(0), u32(0))
	main4 := route{family: unix.AF_INET, table: unix.RT_TABLE_MAIN, priority: 100}
	main6 := route{family: unix.AF_INET6, table: unix.RT_TABLE_MAIN, priority: 100}
	vpn := route{family: unix.AF_INET, table: 51820, priority: 100}
	via := func(r route, messageType, flags uint16, gateway string) []byte {
		return message(messageType, flags, routeHeader(r, 0, unix.RTN_UNICAST),
			attribute(unix.RTA_OIF, u32(left)), attribute(unix.RTA_GATEWAY, netip.MustParseAddr(gateway).AsSlice()))
	}
	hop := func(gateway string) []byte { // struct rtnexthop
		attributes := attribute(unix.RTA_GATEWAY, netip.MustParseAddr(gateway).AsSlice())
		return slices.Concat([]byte{byte(8 + len(attributes)), 0, 0, 0}, u32(left), attributes)
	}
	return slices.Concat([]step{
		{name: "loopback up", requests: [][]byte{flags(1, unix.IFF_UP, unix.IFF_UP)}},
		{name: "address on loopback", requests: [][]byte{
			message(unix.RTM_NEWADDR, create, addressHeader(netip.MustParsePrefix("198.51.100.1/32"), 1, 0))}},
	}, cable("cable"), []step{
		{name: "left end up without carrier", requests: [][]byte{flags(left, unix.IFF_UP, unix.IFF_UP)}},
		{name: "both ends up", requests: [][]byte{flags(right, unix.IFF_UP, unix.IFF_UP)}, until: isUp(left, right), news: true},
		{name: "another name for it", requests: [][]byte{alias(left, "uplink")}},
		{name: "multicast on", requests: [][]byte{flags(left, unix.IFF_ALLMULTI, unix.IFF_ALLMULTI)}},

		{name: "IPv4 address", requests: [][]byte{message(unix.RTM_NEWADDR, create, addressHeader(v4, left, 0), lifetime)}, news: true},
		{name: "IPv4 lease renewed", requests: [][]byte{message(unix.RTM_NEWADDR, replace, addressHeader(v4, left, 0), lifetime)}},
		{name: "IPv6 address", requests: [][]byte{message(unix.RTM_NEWADDR, create, addressHeader(v6, left, unix.IFA_F_NODAD), lifetime)},
			until: has(left, v6), news: true},
		{name: "IPv6 address advertised again", requests: [][]byte{message(unix.RTM_NEWADDR, replace, addressHeader(v6, left, unix.IFA_F_NODAD), lifetime)}},
		{name: "IPv6 address after a search for others", requests: [][]byte{message(unix.RTM_NEWADDR, create, addressHeader(slow, left, 0))},
			until: has(left, slow), news: true},

		{name: "IPv4 default route", requests: [][]byte{via(main4, unix.RTM_NEWROUTE, create, "198.51.100.9")}, news: true},
		{name: "IPv4 default route by another router", requests: [][]byte{via(main4, unix.RTM_NEWROUTE, replace, "198.51.100.8")}, news: true},
		{name: "IPv4 default route of a VPN", requests: [][]byte{via(vpn, unix.RTM_NEWROUTE, create, "198.51.100.9")}, news: true},
		{name: "IPv4 route to a network", requests: [][]byte{message(unix.RTM_NEWROUTE, create, routeHeader(main4, 8, unix.RTN_UNICAST), attribute(unix.RTA_DST, []byte{10, 0, 0, 0}), attribute(unix.RTA_OIF, u32(left)))}},
		{name: "IPv4 default route to nowhere", requests: [][]byte{message(unix.RTM_NEWROUTE, create, routeHeader(route{family: unix.AF_INET, table: unix.RT_TABLE_MAIN, priority: 9999}, 0, unix.RTN_BLACKHOLE))}},
		{name: "IPv4 default route gone", requests: [][]byte{via(main4, unix.RTM_DELROUTE, 0, "198.51.100.8")}},
		{name: "IPv4 default route over two routers", requests: [][]byte{message(unix.RTM_NEWROUTE, create, routeHeader(main4, 0, unix.RTN_UNICAST), attribute(unix.RTA_MULTIPATH, hop("198.51.100.8"), hop("198.51.100.9")))}, news: true},
		{name: "IPv6 default route", requests: [][]byte{via(main6, unix.RTM_NEWROUTE, create, "2001:db8::9")}, news: true},
		{name: "IPv6 default route again", requests: [][]byte{via(main6, unix.RTM_NEWROUTE, replace, "2001:db8::9")}},
		{name: "IPv6 default route by another router", requests: [][]byte{via(main6, unix.RTM_NEWROUTE, replace, "2001:db8::8")}, news: true},
		{name: "IPv6 default route gone", requests: [][]byte{via(main6, unix.RTM_DELROUTE, 0, "2001:db8::8")}},

		{name: "left end down", requests: [][]byte{flags(left, 0, unix.IFF_UP)}, until: isDown},
		{name: "left end up again", requests: [][]byte{flags(left, unix.IFF_UP, unix.IFF_UP)}, until: isUp(left, right), news: true},
		// The kernel took the route with the link and did not say so.
		{name: "IPv4 default route as before", requests: [][]byte{via(vpn, unix.RTM_NEWROUTE, create, "198.51.100.9")}, news: true},
		{name: "carrier lost", requests: [][]byte{flags(right, 0, unix.IFF_UP)}, until: isDown},
		{name: "carrier found", requests: [][]byte{flags(right, unix.IFF_UP, unix.IFF_UP)}, until: isUp(left, right), news: true},
		{name: "both ends gone", requests: [][]byte{message(unix.RTM_DELLINK, 0, linkHeader(0, left, 0, 0))}},
	}, cable("another cable"), []step{
		{name: "new ends up", requests: [][]byte{flags(left, unix.IFF_UP, unix.IFF_UP), flags(right, unix.IFF_UP, unix.IFF_UP)}, until: isUp(left, right), news: true},
		{name: "IPv4 address of the end before", requests: [][]byte{message(unix.RTM_NEWADDR, create, addressHeader(v4, left, 0), lifetime)}, news: true},
		{name: "bridge", requests: [][]byte{message(unix.RTM_NEWLINK, create, linkHeader(0, bridge, 0, 0),
			attribute(unix.IFLA_IFNAME, []byte("bridge\x00")),
			attribute(unix.IFLA_LINKINFO, attribute(unix.IFLA_INFO_KIND, []byte("bridge"))))}},
		{name: "right end into the bridge", requests: [][]byte{message(unix.RTM_NEWLINK, 0, linkHeader(0, right, 0, 0), attribute(unix.IFLA_MASTER, u32(bridge)))}},
		{name: "right end out of the bridge", requests: [][]byte{message(unix.RTM_NEWLINK, 0, linkHeader(0, right, 0, 0), attribute(unix.IFLA_MASTER, u32(0)))}},
		{name: "right end named after the bridge", requests: [][]byte{alias(right, "was in a bridge")}},
	})
}

// cable makes a veth pair that gives itself no IPv6 addresses.
func cable(name string) []step {
	const vethPeer = 1    // VETH_INFO_PEER in include/uapi/linux/veth.h
	const genModeNone = 1 // IN6_ADDR_GEN_MODE_NONE in include/uapi/linux/if_link.h
	quiet := func(index uint32) []byte {
		return message(unix.RTM_NEWLINK, 0, linkHeader(0, index, 0, 0),
			attribute(unix.IFLA_AF_SPEC, attribute(unix.AF_INET6, attribute(unix.IFLA_INET6_ADDR_GEN_MODE, []byte{genModeNone}))))
	}
	return []step{{name: name, requests: [][]byte{
		message(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, linkHeader(0, left, 0, 0),
			attribute(unix.IFLA_IFNAME, []byte("left\x00")),
			attribute(unix.IFLA_LINKINFO,
				attribute(unix.IFLA_INFO_KIND, []byte("veth")),
				attribute(unix.IFLA_INFO_DATA, attribute(vethPeer, linkHeader(0, right, 0, 0), attribute(unix.IFLA_IFNAME, []byte("right\x00")))))),
		quiet(left), quiet(right),
	}}}
}

// flags sets those flags of an interface that are in the mask.
func flags(index, flags, mask uint32) []byte {
	return message(unix.RTM_NEWLINK, 0, linkHeader(0, index, flags, mask))
}

// alias changes nothing but a text that the kernel keeps with the interface,
// which it tells everyone as it does Wi-Fi statistics.
func alias(index uint32, text string) []byte {
	return message(unix.RTM_NEWLINK, 0, linkHeader(0, index, 0, 0), attribute(unix.IFLA_IFALIAS, []byte(text)))
}
