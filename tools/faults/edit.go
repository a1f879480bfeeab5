package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"taffrail/internal/victoria"
	"taffrail/tools/agent"
)

// edit replaces the one place in a source where old stands.
type edit struct {
	file     string // in the checkout
	old, new string
}

// trustEdits make a daemon that takes the kernel's clock for synchronized. That of
// a virtual machine often is not said to be, and a clock that nobody trusts does
// not decide what is too old.
func trustEdits() []edit {
	return []edit{{
		file: "internal/device/clock_linux.go",
		old:  "trusted = err == nil && state != unix.TIME_ERROR && timex.Status&unix.STA_UNSYNC == 0",
		new:  "trusted = err == nil && state >= 0",
	}}
}

// lookEdits make a daemon that looks at the receiver after another time than a
// minute.
func lookEdits(minute time.Duration) []edit {
	if minute == time.Minute {
		return nil
	}
	const file = "shipper/settle.go"
	text := fmt.Sprintf("time.Duration(%d)", minute)
	return []edit{
		{file, "settleLag = time.Minute\n", "settleLag = " + text + "\n"},
		{file, "minSettleInterval, maxSettleInterval = time.Minute,", "minSettleInterval, maxSettleInterval = " + text + ","},
	}
}

// buildDaemon builds the daemon into dir, with edits of its sources.
func buildDaemon(ctx context.Context, dir string, edits []edit) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	root, err := victoria.Root()
	if err != nil {
		return "", err
	}
	overlay, err := writeOverlay(root, dir, edits)
	if err != nil {
		return "", fmt.Errorf("edit sources: %w", err)
	}
	return agent.Build(ctx, dir, "taffrail", overlay)
}

// edited returns the sources that are changed, as they are then, by their path in
// the checkout.
func edited(root string, edits []edit) (map[string]string, error) {
	changed := make(map[string]string)
	for _, e := range edits {
		text, ok := changed[e.file]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.file)))
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("%s has the text that is to be replaced %d times and not once; the sources have changed, change tools/faults/edit.go as well:\n%s", e.file, n, e.old)
		}
		changed[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	return changed, nil
}

// writeOverlay writes the edited sources into dir and returns the path of a file
// that makes `go build -overlay` take them, or "" without any.
func writeOverlay(root, dir string, edits []edit) (string, error) {
	if len(edits) == 0 {
		return "", nil
	}
	changed, err := edited(root, edits)
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for file, text := range changed {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(file))] = to
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, b, 0o644)
}
