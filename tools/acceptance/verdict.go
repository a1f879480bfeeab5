package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// listed returns the tests in the output of go test -list, which has a line
// for each, and one for each package that starts with "ok" or "?".
func listed(output []byte) []string {
	var names []string
	for line := range strings.Lines(string(output)) {
		name := strings.TrimSpace(line)
		if strings.HasPrefix(name, "Test") && !strings.ContainsAny(name, " \t") {
			names = append(names, name)
		}
	}
	return names
}

// missing returns a line for each required test that is not listed.
func missing(required, listed []string) []string {
	var found []string
	for _, name := range required {
		if !slices.Contains(listed, name) {
			found = append(found, "missing: "+name)
		}
	}
	return found
}

// verdicts reads the output of go test -json and returns a line for each
// required test that did not pass as a whole.
func verdicts(required []string, output io.Reader) ([]string, error) {
	type event struct{ Action, Package, Test string }
	const passed = "pass"
	results := make(map[string]string) // of each required test, the worst
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadBytes('\n')
		if bytes.HasPrefix(line, []byte("{")) {
			var e event
			if err := json.Unmarshal(line, &e); err != nil {
				return nil, fmt.Errorf("decode event: %w", err)
			}
			name, _, _ := strings.Cut(e.Test, "/") // a subtest counts for its test
			if slices.Contains([]string{passed, "fail", "skip"}, e.Action) && worse(e.Action, results[name]) {
				results[name] = e.Action
			}
		}
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
	}
	var found []string
	for _, name := range required {
		switch results[name] {
		case passed:
		case "":
			found = append(found, "did not run: "+name)
		default:
			found = append(found, results[name]+": "+name)
		}
	}
	return found, nil
}

// worse orders results: none, pass, skip, fail.
func worse(a, b string) bool {
	order := []string{"", "pass", "skip", "fail"}
	return slices.Index(order, a) > slices.Index(order, b)
}
