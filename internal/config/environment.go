package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// envPrefix begins the name of every environment variable of the agent.
const envPrefix = "TAFFRAIL_"

// Variable returns the environment variable of the key at path:
// "remote.url" is TAFFRAIL_REMOTE_URL.
func Variable(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// Keys returns the paths of all keys that hold a value.
func Keys() []string {
	var keys []string
	cfg := Default()
	for _, n := range flatten(&cfg) {
		if !n.block {
			keys = append(keys, n.path)
		}
	}
	return keys
}

func (l layers) applyEnv(env []string) error {
	byVariable := map[string]string{}
	var variables []string
	for _, key := range Keys() {
		byVariable[Variable(key)] = key
		variables = append(variables, Variable(key))
	}
	// Sorted, so that of two wrong ones the same is always named.
	for _, entry := range slices.Sorted(slices.Values(env)) {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		key, ok := byVariable[name]
		if !ok {
			return &Error{Where: name, Problem: "unknown variable; " + hint(name, variables, nil, "_")}
		}
		if err := l.applyText(name, key, value); err != nil {
			return err
		}
	}
	return nil
}

// applyText sets the key at path to what the text of a variable or flag says.
func (l layers) applyText(where, path, text string) error {
	i := slices.IndexFunc(flatten(l.cfg), func(n node) bool { return n.path == path && !n.block })
	if i < 0 {
		return &Error{Where: where, Key: path, Problem: "unknown key"}
	}
	if !utf8.ValidString(text) {
		return &Error{Where: where, Key: path, Problem: "is not UTF-8"}
	}
	n := flatten(l.cfg)[i]
	var err error
	switch p := n.ptr.(type) {
	case *[]string:
		*p = splitList(text)
	case *map[string]string:
		err = assign(p, text, parseTable)
	default:
		err = parseInto(n.ptr, text)
	}
	if err != nil {
		return &Error{Where: where, Key: path, Problem: err.Error()}
	}
	l.origins.set(path, where)
	return nil
}

// splitList reads "a, b"; an empty text is an empty list.
func splitList(text string) []string {
	items := []string{}
	if strings.TrimSpace(text) == "" {
		return items
	}
	for item := range strings.SplitSeq(text, ",") {
		items = append(items, strings.TrimSpace(item))
	}
	return items
}

// parseTable reads "site=oslo,rack=3".
func parseTable(text string) (map[string]string, error) {
	table := map[string]string{}
	for _, item := range splitList(text) {
		name, value, ok := strings.Cut(item, "=")
		if !ok {
			return nil, fmt.Errorf("%q has no =; write site=oslo,rack=3", item)
		}
		name = strings.TrimSpace(name)
		if _, twice := table[name]; twice {
			return nil, fmt.Errorf("%s stands twice; remove one", name)
		}
		table[name] = strings.TrimSpace(value)
	}
	return table, nil
}
