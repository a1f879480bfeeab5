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

	// The trial that is to show it.
	mode  string
	pace  pace
	kills int
}

// edit replaces the one place in a file where old stands.
type edit struct {
	file     string // in the checkout
	old, new string
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

// setup returns the trial that is to show the defect, but for the daemon.
func (m mutant) setup(p programs) (setup, error) {
	in, err := findModes(m.mode)
	if err != nil {
		return setup{}, err
	}
	return setup{p, in[0], m.pace, m.kills}, nil
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
