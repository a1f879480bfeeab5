package main

import (
	"fmt"
	"strings"
)

// mode is a kind of receiver, and what the daemon may know of it.
type mode struct {
	name   string
	flags  []string // of the receiver
	remote string   // lines of the daemon's configuration
	reads  bool     // the daemon may ask the receiver what it holds
	merges bool     // the receiver merges what it gets twice
	// One answer to an import of this many is lost, though the receiver has stored
	// the chunk.
	lostShare int
}

// replayWindow is remote.replay_window where the daemon cannot ask. A receiver
// that is killed was seen to lose up to 14 seconds.
const replayWindow = "20s"

func modes() []mode {
	return []mode{{
		name: "merging", reads: true, merges: true, lostShare: 25,
	}, {
		name: "plain", reads: true, lostShare: 25,
		flags: []string{"-dedup.minScrapeInterval=0s"},
	}, {
		// With each answer the connection is lost, and all that is not settled is
		// sent again.
		name: "blind", merges: true, lostShare: 400,
		remote: "  read_url: off\n  replay_window: " + replayWindow + "\n",
	}}
}

// findModes returns the mode of a name, or all of them.
func findModes(name string) ([]mode, error) {
	var names []string
	for _, m := range modes() {
		if m.name == name {
			return []mode{m}, nil
		}
		names = append(names, m.name)
	}
	if name == "all" {
		return modes(), nil
	}
	return nil, fmt.Errorf("there is no mode %s; there are: %s, all", name, strings.Join(names, ", "))
}
