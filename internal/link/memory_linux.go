//go:build linux

package link

import "maps"

// maxKnown bounds each part of the memory. It is far more than a device has;
// on a router or a host of containers that has more, everything of that kind is
// forgotten then, which makes some repeated messages news.
const maxKnown = 4096

// memory knows what is up, so that repeated messages are told from news.
type memory struct {
	up        map[uint32]struct{} // interfaces, by index
	addresses map[address]struct{}
	routes    map[route]uint64 // to the hops that they lead to
}

func newMemory() *memory {
	return &memory{
		up:        make(map[uint32]struct{}),
		addresses: make(map[address]struct{}),
		routes:    make(map[route]uint64),
	}
}

// forget makes everything news again.
func (m *memory) forget() {
	clear(m.up)
	clear(m.addresses)
	clear(m.routes)
}

// learn takes in a datagram and reports whether it has news. What makes no
// sense in it is left out: to act on it would be to act again and again.
func (m *memory) learn(datagram []byte) (news bool) {
	changes, _ := parse(datagram)
	for _, c := range changes {
		if m.apply(c) {
			news = true
		}
	}
	return news
}

// apply reports whether the change is one for the better.
func (m *memory) apply(c change) (news bool) {
	switch c.kind {
	case linkUp:
		return remember(m.up, c.link, struct{}{})
	case linkDown:
		delete(m.up, c.link)
	case linkGone:
		delete(m.up, c.link)
		maps.DeleteFunc(m.addresses, func(a address, _ struct{}) bool { return a.link == c.link })
	case addressUsable:
		return remember(m.addresses, c.address, struct{}{})
	case addressGone:
		delete(m.addresses, c.address)
	case routeAdded:
		// The kernel adds no route twice, so this one is new. It may be known
		// all the same: a link that is taken down takes its routes with it, and
		// the kernel says nothing of that.
		remember(m.routes, c.route, c.hops)
		return true
	case routeReplaced:
		return remember(m.routes, c.route, c.hops)
	case routeGone:
		delete(m.routes, c.route)
	}
	return false
}

// remember stores a value and reports whether it was another one before.
func remember[K, V comparable](known map[K]V, key K, value V) (changed bool) {
	before, ok := known[key]
	if ok && before == value {
		return false
	}
	if !ok && len(known) >= maxKnown {
		clear(known)
	}
	known[key] = value
	return true
}
