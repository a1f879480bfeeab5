package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taffrail/internal/victoria"
)

// TestSourcesHaveWhatIsEdited finds out in no time that the sources have changed.
func TestSourcesHaveWhatIsEdited(t *testing.T) {
	root, err := victoria.Root()
	if err != nil {
		t.Fatal(err)
	}
	changed, err := edited(root, append(trustEdits(), lookEdits(20*time.Second)...))
	if err != nil {
		t.Fatal(err)
	}
	if text := changed["shipper/settle.go"]; strings.Count(text, "time.Duration(20000000000)") != 2 {
		t.Error("the minute is what it was")
	}
	if len(changed) != 2 || lookEdits(time.Minute) != nil {
		t.Errorf("%d files are changed", len(changed))
	}
}

func TestOverlay(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.go"), []byte("one two three two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if path, err := writeOverlay(root, dir, nil); path != "" || err != nil {
		t.Errorf("no edits: %q, %v", path, err)
	}
	if _, err := writeOverlay(root, dir, []edit{{"a.go", "two", "2"}}); err == nil || !strings.Contains(err.Error(), "2 times") {
		t.Errorf("a text that stands twice: %v", err)
	}
	if _, err := writeOverlay(root, dir, []edit{{"b.go", "two", "2"}}); err == nil {
		t.Error("a file that is not there")
	}
	path, err := writeOverlay(root, dir, []edit{{"a.go", "one", "1"}, {"a.go", "three", "3"}})
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(overlay), filepath.Join(root, "a.go")) {
		t.Errorf("%s, %v", overlay, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "a.go"))
	if err != nil || string(text) != "1 two 3 two" {
		t.Errorf("%s, %v", text, err)
	}
}
