package arch

import (
	"path"
	"slices"
	"strings"
)

// CheckTop returns a line for each entry of the checkout's top directory that
// has no place there. Directories are named with a slash at the end; ignore
// holds the lines of .gitignore.
func CheckTop(entries, ignore []string) []string {
	places := []string{
		"cmd/", "log/", "projections/", "collectors/", "shipper/", "migrations/",
		"tools/", "internal/", "deploy/", "docs/",
		"go.mod", "go.sum", "justfile", "README.md",
	}
	var found []string
	for _, e := range entries {
		if slices.Contains(places, e) || strings.HasPrefix(e, ".") || ignored(e, ignore) {
			continue
		}
		found = append(found, e+": has no place at the top of the checkout")
	}
	return found
}

// ignored reports whether git leaves the top-level entry alone. It knows the
// patterns that one level needs; "!" is none of them.
func ignored(entry string, ignore []string) bool {
	name := strings.TrimSuffix(entry, "/")
	for _, line := range ignore {
		pattern := strings.TrimSpace(line)
		if pattern == "" || strings.HasPrefix(pattern, "#") {
			continue
		}
		if strings.HasSuffix(pattern, "/") && name == entry {
			continue // only a directory can match
		}
		pattern = strings.Trim(pattern, "/")
		if ok, err := path.Match(pattern, name); err == nil && ok {
			return true
		}
	}
	return false
}
