//go:build linux

package collectors

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

const netDevHeader = "Inter-|   Receive |  Transmit\n face |bytes |bytes\n"

// netDev returns a /proc/net/dev with these interfaces.
func netDev(names ...string) string {
	var b strings.Builder
	b.WriteString(netDevHeader)
	for i, name := range names {
		fmt.Fprintf(&b, "%6s: %d 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n", name, i)
	}
	return b.String()
}

func newTestNetwork(t *testing.T, roots Roots, o NetworkOptions) *Network {
	t.Helper()
	n, err := NewNetwork(roots, o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNetworkCollector_InterfaceFiltering(t *testing.T) {
	for _, c := range []struct {
		name string
		o    NetworkOptions
		want []string
	}{
		{"defaults", NetworkOptions{}, []string{"br0", "eth0", "vlan5", "wlan0", "xlo"}},
		{"include wins over exclude", NetworkOptions{Include: []string{"wwan0", "lo"}},
			[]string{"br0", "eth0", "lo", "vlan5", "wlan0", "wwan0", "xlo"}},
		{"only what is included", NetworkOptions{Include: []string{"eth[0-9]+"}, Exclude: []string{".*"}}, []string{"eth0"}},
		{"own exclude replaces the defaults", NetworkOptions{Exclude: []string{"[^e].*"}}, []string{"eth0"}},
		{"nothing excluded", NetworkOptions{Exclude: []string{}}, []string{
			"br-0123456789ab", "br0", "docker0", "eth0", "lo", "usb0", "veth1a2b3c", "virbr0",
			"vlan5", "wlan0", "wlan0mon", "wwan0", "wwp0s20f0u6", "xlo"}},
		{"anchored", NetworkOptions{Exclude: []string{"eth", "lan0", "lo", "wlan", "br", "0"}, Include: []string{"th0"}}, []string{
			"br-0123456789ab", "br0", "docker0", "eth0", "usb0", "veth1a2b3c", "virbr0",
			"vlan5", "wlan0", "wlan0mon", "wwan0", "wwp0s20f0u6", "xlo"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := mustCollect(t, newTestNetwork(t, fixtures, c.o), NewRecorder())
			if names := labelValues(got, "interface"); !slices.Equal(names, c.want) {
				t.Errorf("interfaces %v, want %v", names, c.want)
			}
			if dropped := got["network.interfaces_dropped_total{}"].Value; dropped != 0 {
				t.Errorf("%v interfaces dropped, want 0: filtered is not dropped", dropped)
			}
		})
	}
}

func TestNetworkCollector_Counters(t *testing.T) {
	n := newTestNetwork(t, fixtures, NetworkOptions{Include: []string{"eth0"}, Exclude: []string{".*"}})
	wantValues(t, mustCollect(t, n, NewRecorder()), map[string]float64{
		`network.rx_bytes_total{"interface":"eth0"}`:   162393277,
		`network.rx_packets_total{"interface":"eth0"}`: 10982,
		`network.rx_errors_total{"interface":"eth0"}`:  1,
		`network.rx_dropped_total{"interface":"eth0"}`: 2,
		`network.tx_bytes_total{"interface":"eth0"}`:   828245,
		`network.tx_packets_total{"interface":"eth0"}`: 7939,
		`network.tx_errors_total{"interface":"eth0"}`:  3,
		`network.tx_dropped_total{"interface":"eth0"}`: 4,
		"network.interfaces_dropped_total{}":           0,
	})
}

func TestNetworkCollector_CountersAsTheKernelHasThem(t *testing.T) {
	roots := newDevice(t)
	n, rec := newTestNetwork(t, roots, NetworkOptions{}), NewRecorder()
	// Up to the end of 64 bits, and on from zero.
	for _, v := range []uint64{math.MaxUint64 - 4096, 12} {
		writeFile(t, roots.proc("net/dev"), fmt.Sprintf("%seth0: %d 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n", netDevHeader, v))
		if got := mustCollect(t, n, rec)[`network.rx_bytes_total{"interface":"eth0"}`].Value; got != float64(v) {
			t.Errorf("%v, want %v", got, float64(v))
		}
	}
}

func TestNetworkCollector_CardinalityHardCap(t *testing.T) {
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprintf("eth%02d", i))
	}
	slices.Reverse(names)
	roots := newDevice(t, "proc/net/dev", netDev(names...))
	n, rec := newTestNetwork(t, roots, NetworkOptions{Include: []string{"eth49"}}), NewRecorder()
	want := []string{"eth49"} // what is included comes first, then by name
	for i := range DefaultMaxInterfaces - 1 {
		want = append(want, fmt.Sprintf("eth%02d", i))
	}
	slices.Sort(want)
	for range 3 { // the same each time, and counted once
		got := mustCollect(t, n, rec)
		if kept := labelValues(got, "interface"); !slices.Equal(kept, want) {
			t.Fatalf("interfaces %v, want %v", kept, want)
		}
		if dropped := got["network.interfaces_dropped_total{}"].Value; dropped != 18 {
			t.Fatalf("%v interfaces dropped, want 18", dropped)
		}
	}
}

func TestNetworkCollector_DroppedCount(t *testing.T) {
	roots := newDevice(t)
	n, rec := newTestNetwork(t, roots, NetworkOptions{MaxInterfaces: 2}), NewRecorder()
	for i, step := range []struct {
		names   []string
		dropped float64
	}{
		{[]string{"a", "b"}, 0},
		{[]string{"a", "b", "c"}, 1},
		{[]string{"a", "b", "c", "d"}, 2},
		{[]string{"a", "b"}, 2},
		{[]string{"a", "b", "c"}, 3},
	} {
		writeFile(t, roots.proc("net/dev"), netDev(step.names...))
		got := mustCollect(t, n, rec)
		if dropped := got["network.interfaces_dropped_total{}"].Value; dropped != step.dropped {
			t.Errorf("step %d: %v dropped, want %v", i, dropped, step.dropped)
		}
		if kept := labelValues(got, "interface"); !slices.Equal(kept, []string{"a", "b"}) {
			t.Errorf("step %d: %v kept", i, slices.Collect(maps.Keys(got)))
		}
	}
}
