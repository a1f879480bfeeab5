package main

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"

	"taffrail/internal/event"
	eventlog "taffrail/log"
)

// sighting is a tick as the daemon has told of it once the log had taken it.
type sighting struct {
	index  uint64
	wallMS int64
	count  int
	hash   uint64
}

// parseSighting reads a line `<index> <wall_ms> <count> <hash>`.
func parseSighting(line string) (sighting, error) {
	var s sighting
	n, err := fmt.Sscanf(line, "%d %d %d %x", &s.index, &s.wallMS, &s.count, &s.hash)
	if err != nil || n != 4 || line != s.String() {
		return sighting{}, fmt.Errorf("%q is no sighting", line)
	}
	return s, nil
}

// String returns the line that tells of the sighting.
func (s sighting) String() string {
	return fmt.Sprintf("%d %d %d %016x", s.index, s.wallMS, s.count, s.hash)
}

// sight returns what a daemon should have told of a tick.
func sight(index uint64, tick *event.Tick) sighting {
	return sighting{index: index, wallMS: tick.WallMS, count: len(tick.Samples), hash: fingerprint(tick.Samples)}
}

// fingerprint is FNV-1a 64 over the samples in the order of their series' keys:
// key, a zero byte, and the number's bits, big-endian, or the text and a zero
// byte.
func fingerprint(samples []event.Sample) uint64 {
	samples = slices.Clone(samples)
	slices.SortFunc(samples, func(a, b event.Sample) int { return cmp.Compare(a.Series.Key(), b.Series.Key()) })
	h := fnv.New64a()
	for _, s := range samples {
		b := append([]byte(s.Series.Key()), 0)
		if s.Series.Type == event.Text {
			b = append(append(b, s.Text...), 0)
		} else {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(s.Value))
		}
		h.Write(b)
	}
	return h.Sum64()
}

// witness hears of what the daemons of a trial appended, one after the other.
type witness struct {
	readers sync.WaitGroup

	mu   sync.Mutex // guards seen and err
	seen []sighting
	err  error
}

// pipe returns the end of a pipe that a daemon is to write to. The caller closes
// it once the daemon has its own.
func (w *witness) pipe() (*os.File, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for the witness: %w", err)
	}
	w.readers.Go(func() {
		defer from.Close()
		seen, err := readSightings(from)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen, w.err = append(w.seen, seen...), errors.Join(w.err, err)
	})
	return to, nil
}

// sightings waits until all daemons are gone and returns what they told.
func (w *witness) sightings() ([]sighting, error) {
	w.readers.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen, w.err
}

// readSightings reads to the end. A last line without its end was torn by the
// daemon's death and says nothing.
func readSightings(r io.Reader) ([]sighting, error) {
	var seen []sighting
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return seen, nil
		}
		if err != nil {
			return seen, fmt.Errorf("read witness: %w", err)
		}
		s, err := parseSighting(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return seen, fmt.Errorf("read witness: %w", err)
		}
		seen = append(seen, s)
	}
}

// contents are the parts of a log that are compared with what was observed from
// outside.
type contents struct {
	ticks   map[uint64]sighting // by index
	plans   map[string]*event.Plan
	repairs int            // plans of samples that were sent before
	proofs  map[string]int // samples that were settled, by the proof
}

// readContents reads the log of a state directory. Damage is left out: verify
// finds it.
func readContents(stateDir string) (contents, error) {
	c := contents{ticks: make(map[uint64]sighting), plans: make(map[string]*event.Plan), proofs: make(map[string]int)}
	r, err := eventlog.OpenReader(stateDir)
	if err != nil {
		return c, err
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		switch {
		case err == io.EOF:
			return c, nil
		case errors.Is(err, eventlog.ErrCorrupt):
			continue
		case err != nil:
			return c, fmt.Errorf("read log: %w", err)
		}
		switch ev := rec.Event.(type) {
		case *event.Tick:
			c.ticks[rec.Index] = sight(rec.Index, ev)
		case *event.Plan:
			// The id follows from the bytes: of two plans with one id either
			// says what was to be sent.
			c.plans[ev.Batch] = ev
			if ev.Repair() {
				c.repairs++
			}
		case *event.Settle:
			c.proofs[ev.Proof] += ev.Samples
		}
	}
}

// compareSightings returns a line for each sighting that the log does not hold
// as it was.
func compareSightings(seen []sighting, ticks map[uint64]sighting) (differences []string) {
	for _, s := range seen {
		switch stored, ok := ticks[s.index]; {
		case !ok:
			differences = append(differences, fmt.Sprintf("acknowledged and not in the log: tick %s", s))
		case stored != s:
			differences = append(differences, fmt.Sprintf("acknowledged as tick %s, in the log %s", s, stored))
		}
	}
	return differences
}
