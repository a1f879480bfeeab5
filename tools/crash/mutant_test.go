package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"taffrail/internal/victoria"
)

// The texts that mutants replace are in the sources: whoever changes these is
// told here, and not by a harness that tests the daemon as it is.
func TestMutantsFitTheSources(t *testing.T) {
	root, err := victoria.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants() {
		changed, err := m.sources(root)
		if err != nil {
			t.Error(err)
			continue
		}
		for file, text := range changed {
			before, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				t.Fatal(err)
			}
			if text == string(before) {
				t.Errorf("mutant %s leaves %s as it is", m.name, file)
			}
		}
	}
}

func TestMutantRefusesOtherSources(t *testing.T) {
	root := t.TempDir()
	m := mutant{name: "m", edits: []edit{{"a.go", "old", "new"}}}
	for _, text := range []string{"nothing of it", "old and old"} {
		if err := os.WriteFile(filepath.Join(root, "a.go"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := m.overlay(root, t.TempDir()); err == nil || !strings.Contains(err.Error(), "not once") {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

func TestMutantOverlay(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "p"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "p", "a.go"), []byte("one old thing"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := mutant{name: "m", edits: []edit{{"p/a.go", "old", "new"}, {"p/a.go", "new thing", "newer"}}}
	path, err := m.overlay(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var overlay struct{ Replace map[string]string }
	if err := json.Unmarshal(b, &overlay); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(overlay.Replace[filepath.Join(root, "p", "a.go")])
	if err != nil || string(text) != "one newer" {
		t.Errorf("the overlay is %s, its file %q (%v)", b, text, err)
	}
}

func TestFindMutant(t *testing.T) {
	for _, m := range mutants() {
		if got, err := findMutant(m.name); err != nil || got.shows != m.shows {
			t.Errorf("%s: %v", m.name, err)
		}
		if _, err := m.setup(programs{}); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	if _, err := findMutant("none"); err == nil || !strings.Contains(err.Error(), mutants()[0].name) {
		t.Errorf("error %v", err)
	}
}
