//go:build linux

package collectors

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/procfs"
)

// Network reads /proc/net/dev and records for each interface that its options
// select
//
//	network.rx_bytes_total{interface}    network.tx_bytes_total{interface}
//	network.rx_packets_total{interface}  network.tx_packets_total{interface}
//	network.rx_errors_total{interface}   network.tx_errors_total{interface}
//	network.rx_dropped_total{interface}  network.tx_dropped_total{interface}
//
// counters as the kernel has them, wrap-around included, and once
//
//	network.interfaces_dropped_total  counter, interfaces
//
// which counts every interface that the cap turned away: once when it is first
// turned away, and again should it be so after a time in which it was not.
type Network struct {
	roots            Roots
	include, exclude names
	limit            int

	dropped   float64
	wasTurned map[string]bool // those that the cap turned away last time
}

// NewNetwork returns the collector called "network".
func NewNetwork(roots Roots, o NetworkOptions) (*Network, error) {
	include, err := compileNames(o.Include)
	if err != nil {
		return nil, fmt.Errorf("new network: include: %w", err)
	}
	patterns := o.Exclude
	if patterns == nil {
		patterns = DefaultNetworkExclude()
	}
	exclude, err := compileNames(patterns)
	if err != nil {
		return nil, fmt.Errorf("new network: exclude: %w", err)
	}
	limit := o.MaxInterfaces
	if limit <= 0 {
		limit = DefaultMaxInterfaces
	}
	return &Network{roots: roots.withDefaults(), include: include, exclude: exclude, limit: limit}, nil
}

// Name returns "network".
func (n *Network) Name() string { return "network" }

// Collect implements Collector.
func (n *Network) Collect(_ context.Context, rec *Recorder) error {
	fs, err := n.roots.procfs()
	if err != nil {
		return err
	}
	devices, err := fs.NetDev()
	if err != nil {
		return fmt.Errorf("read %s: %w", n.roots.proc("net/dev"), err)
	}
	all := make([]string, 0, len(devices))
	for name := range devices {
		all = append(all, name)
	}
	kept, turnedAway := n.choose(all)
	for _, name := range kept {
		recordInterface(devices[name], rec)
	}
	n.count(turnedAway)
	rec.Counter("network.interfaces_dropped_total", n.dropped)
	return nil
}

// choose returns the interfaces to report and those that the cap turns away.
// Both depend on nothing but the set of names: the included come first, then
// the rest, each by name.
func (n *Network) choose(all []string) (kept, turnedAway []string) {
	var included, others []string
	for _, name := range all {
		switch {
		case n.include.match(name):
			included = append(included, name)
		case !n.exclude.match(name):
			others = append(others, name)
		}
	}
	slices.SortFunc(included, strings.Compare)
	slices.SortFunc(others, strings.Compare)
	kept = append(included, others...)
	if len(kept) > n.limit {
		kept, turnedAway = kept[:n.limit], kept[n.limit:]
	}
	return kept, turnedAway
}

// count counts those that were not turned away last time as well.
func (n *Network) count(turnedAway []string) {
	now := make(map[string]bool, len(turnedAway))
	for _, name := range turnedAway {
		now[name] = true
		if !n.wasTurned[name] {
			n.dropped++
		}
	}
	n.wasTurned = now
}

func recordInterface(d procfs.NetDevLine, rec *Recorder) {
	rec.Counter("network.rx_bytes_total", float64(d.RxBytes), "interface", d.Name)
	rec.Counter("network.rx_packets_total", float64(d.RxPackets), "interface", d.Name)
	rec.Counter("network.rx_errors_total", float64(d.RxErrors), "interface", d.Name)
	rec.Counter("network.rx_dropped_total", float64(d.RxDropped), "interface", d.Name)
	rec.Counter("network.tx_bytes_total", float64(d.TxBytes), "interface", d.Name)
	rec.Counter("network.tx_packets_total", float64(d.TxPackets), "interface", d.Name)
	rec.Counter("network.tx_errors_total", float64(d.TxErrors), "interface", d.Name)
	rec.Counter("network.tx_dropped_total", float64(d.TxDropped), "interface", d.Name)
}
