package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mutant is a daemon with a defect that the harness must find. It is built from
// the sources as they are, with a few pieces of text replaced.
type mutant struct {
	name  string
	shows string // what the defect would cost a user
	by    kind   // the check that must fail
	edits []edit
}

// edit replaces the one place in a file where old stands.
type edit struct {
	file     string // in the checkout
	old, new string
}

func mutants() []mutant {
	return []mutant{{
		name:  "early-ack",
		shows: "a chunk counts as sent before the receiver has answered: what it did not take is missing",
		by:    atReceiver,
		edits: []edit{{"shipper/shipper.go",
			"		if failure = s.sendChunk(ctx, b, i); failure != nil {\n",
			`		early := event.Ack{Stamp: s.opts.Now(), Batch: ack.Batch, Chunks: []int{i}, Samples: chunk.Samples}
		if _, err := s.log.Append(&early); err != nil {
			return err
		}
		if failure = s.sendChunk(ctx, b, i); failure != nil {
`}},
	}, {
		name:  "no-fsync",
		shows: "an append is acknowledged from memory: what is there when the power goes is missing",
		by:    witnessed,
		edits: []edit{
			{"log/log.go", "*wal.Log", "*lateWAL"},
			{"log/log.go", "	l.wal = w\n", "	l.wal = &lateWAL{Log: w}\n"},
			// A killed process loses nothing of what it wrote, only a machine
			// without power does. This log loses as much as a page cache that
			// writes back every second.
			{"log/log.go", "func uvarintLen(", `type lateWAL struct {
	*wal.Log
	late  []lateEntry
	since time.Time
}

type lateEntry struct {
	index uint64
	data  []byte
}

func (w *lateWAL) Write(index uint64, data []byte) error {
	if len(w.late) == 0 {
		w.since = time.Now()
	}
	w.late = append(w.late, lateEntry{index, append([]byte(nil), data...)})
	if time.Since(w.since) < time.Second {
		return nil
	}
	return w.writeBack()
}

func (w *lateWAL) writeBack() error {
	for _, e := range w.late {
		if err := w.Log.Write(e.index, e.data); err != nil {
			return err
		}
	}
	w.late = nil
	return nil
}

func (w *lateWAL) Sync() error { return nil }

func (w *lateWAL) Close() error { return errors.Join(w.writeBack(), w.Log.Close()) }

func uvarintLen(`},
		},
	}, {
		name:  "cursor-too-far",
		shows: "a batch's range goes one record beyond what was sent: that tick is missing",
		by:    atReceiver,
		edits: []edit{{"shipper/plan.go",
			"event.Range{From: from, To: to},",
			"event.Range{From: from, To: to + 1},"}},
	}, {
		name:  "late-plan",
		shows: "a plan is on disk after its chunks were sent: a repeat after a crash has other bytes and another id",
		by:    planned,
		edits: []edit{
			{"shipper/shipper.go", `	if _, err := s.log.Append(&b.plan); err != nil {
		s.planner.close()
		return nil, nil, err
	}
`, ""},
			{"shipper/shipper.go", "	if len(ack.Chunks) > 0 {\n", `	if len(ack.Chunks) > 0 {
		if ledger := s.log.Ledger(); ledger.Open == nil || ledger.Open.Plan.Batch != b.plan.Batch {
			if _, err := s.log.Append(&b.plan); err != nil {
				return err
			}
		}
`},
		},
	}}
}

// findMutant returns the mutant of a name.
func findMutant(name string) (mutant, error) {
	var names []string
	for _, m := range mutants() {
		if m.name == name {
			return m, nil
		}
		names = append(names, m.name)
	}
	return mutant{}, fmt.Errorf("there is no mutant %s; there are: %s", name, strings.Join(names, ", "))
}

// sources returns the files that the mutant changes, as it has them, by their
// path in the checkout.
func (m mutant) sources(root string) (map[string]string, error) {
	changed := make(map[string]string)
	for _, e := range m.edits {
		text, ok := changed[e.file]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.file)))
			if err != nil {
				return nil, fmt.Errorf("mutant %s: %w", m.name, err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("mutant %s: %s has the text that it replaces %d times and not once; the sources have changed, change tools/crash/mutant.go as well:\n%s", m.name, e.file, n, e.old)
		}
		changed[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	return changed, nil
}

// overlay writes the changed files into dir and returns the path of a file that
// makes `go build -overlay` take them.
func (m mutant) overlay(root, dir string) (string, error) {
	changed, err := m.sources(root)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for file, text := range changed {
		to := filepath.Join(dir, m.name+"-"+strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			return "", fmt.Errorf("mutant %s: %w", m.name, err)
		}
		replace[filepath.Join(root, filepath.FromSlash(file))] = to
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("mutant %s: %w", m.name, err)
	}
	path := filepath.Join(dir, m.name+"-overlay.json")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		return "", fmt.Errorf("mutant %s: %w", m.name, err)
	}
	return path, nil
}
