//go:build linux

package link

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

func TestMemory(t *testing.T) {
	up, down, gone := change{kind: linkUp, link: left}, change{kind: linkDown, link: left}, change{kind: linkGone, link: left}
	usable := change{kind: addressUsable, address: address{left, netip.MustParsePrefix("198.51.100.2/24")}}
	lost := usable
	lost.kind = addressGone
	added := change{kind: routeAdded, route: route{family: 2, table: 254}, hops: 1}
	replaced, other, removed := added, added, added
	replaced.kind, other.kind, removed.kind = routeReplaced, routeReplaced, routeGone
	other.hops = 2
	for _, c := range []struct {
		name    string
		changes []change
		news    bool // whether the last one is
	}{
		{"first seen up", []change{up}, true},
		{"first seen down", []change{down}, false},
		{"still up", []change{up, up}, false},
		{"another link up", []change{up, {kind: linkUp, link: right}}, true},
		{"up after down", []change{up, down, up}, true},
		{"up after it was deleted", []change{up, gone, up}, true},
		{"address", []change{usable}, true},
		{"address again", []change{usable, usable}, false},
		{"address back", []change{usable, lost, usable}, true},
		{"address of a link that was deleted", []change{usable, gone, usable}, true},
		{"address that stays while its link is down", []change{usable, down, usable}, false},
		{"the same address elsewhere", []change{usable, {kind: addressUsable, address: address{right, usable.address.prefix}}}, true},
		{"route", []change{added}, true},
		{"route added again", []change{added, added}, true},
		{"route replaced by itself", []change{added, replaced}, false},
		{"route replaced by another", []change{added, other}, true},
		{"route unknown but replaced", []change{replaced}, true},
		{"route replaced after it was removed", []change{added, removed, replaced}, true},
	} {
		m := newMemory()
		var news bool
		for _, ch := range c.changes {
			news = m.apply(ch)
		}
		if news != c.news {
			t.Errorf("%s: news %v", c.name, news)
		}
		if m.forget(); len(m.up)+len(m.addresses)+len(m.routes) != 0 {
			t.Errorf("%s: not forgotten: %v", c.name, m)
		}
	}
}

// With more than it holds, memory stays within its bound and nothing new goes
// unnoticed.
func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	for i := range uint32(3 * maxKnown) {
		ip := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, i)))
		for _, c := range []change{
			{kind: linkUp, link: i},
			{kind: addressUsable, address: address{i, netip.PrefixFrom(ip, 32)}},
			{kind: routeReplaced, route: route{table: i}},
		} {
			if !m.apply(c) {
				t.Fatalf("number %d, %v, is no news", i, c)
			}
			if m.apply(c) {
				t.Fatalf("number %d, %v, is news twice", i, c)
			}
		}
		if len(m.up) > maxKnown || len(m.addresses) > maxKnown || len(m.routes) > maxKnown {
			t.Fatalf("%d, %d and %d are known", len(m.up), len(m.addresses), len(m.routes))
		}
	}
}
