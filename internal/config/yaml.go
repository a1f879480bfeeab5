package config

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// YAML prints the configuration, every key of it, as a file that Load reads
// back to the same one. What follows from other keys stands in comments. It
// prints secrets: show what Masked returns.
func (c Config) YAML() []byte {
	var b bytes.Buffer
	c.print(&b, children(&c, ""), 0)
	return b.Bytes()
}

func (c Config) print(b *bytes.Buffer, nodes []node, depth int) {
	indent := strings.Repeat("  ", depth)
	for _, n := range nodes {
		if n.block {
			fmt.Fprintf(b, "%s%s:\n", indent, n.name)
			c.print(b, children(n.ptr, n.path), depth+1)
			continue
		}
		value, set := format(n.ptr, indent)
		note := c.note(n.path)
		switch {
		case !set:
			fmt.Fprintf(b, "%s# %s: %s\n", indent, n.name, note)
		case note != "" && note != value:
			fmt.Fprintf(b, "%s%s: %s # %s\n", indent, n.name, value, note)
		default:
			fmt.Fprintf(b, "%s%s: %s\n", indent, n.name, value)
		}
	}
}

// note returns what holds for a key that is unset, or more than its value says.
func (c Config) note(path string) string {
	switch path {
	case "device.id":
		if c.Device.ID == "" {
			return "the device's own"
		}
	case "storage.path":
		if c.Storage.Path == "" {
			return "the state directory"
		}
	case "remote.url":
		return quote(c.Remote.ImportURL())
	case "remote.enabled":
		return strconv.FormatBool(c.Remote.Active())
	case "monitoring.clock_skew_url":
		return quote(c.ClockSkewURL())
	case "health.degraded_threshold":
		return Duration(c.DegradedThreshold()).String()
	}
	if name, ok := strings.CutPrefix(path, "collectors."); ok {
		if name, ok = strings.CutSuffix(name, ".interval"); ok {
			return Duration(c.Collectors.Interval(name, 0)).String()
		}
	}
	return ""
}

// format returns what ptr points to as YAML, and false for what is unset.
func format(ptr any, indent string) (text string, set bool) {
	switch p := ptr.(type) {
	case *string:
		return quote(*p), true
	case *float64:
		return strconv.FormatFloat(*p, 'f', -1, 64), true
	case **bool:
		if *p == nil {
			return "", false
		}
		return strconv.FormatBool(**p), true
	case **Duration:
		if *p == nil {
			return "", false
		}
		return (*p).String(), true
	case *[]string:
		quoted := make([]string, len(*p))
		for i, item := range *p {
			quoted[i] = quote(item)
		}
		return "[" + strings.Join(quoted, ", ") + "]", true
	case *map[string]string:
		return formatTable(*p, indent), true
	case *bool:
		return strconv.FormatBool(*p), true
	case *int:
		return strconv.Itoa(*p), true
	case *Duration:
		return p.String(), true
	case *Size:
		return p.String(), true
	}
	panic(fmt.Sprintf("config: no YAML for %T", ptr))
}

func formatTable(table map[string]string, indent string) string {
	if len(table) == 0 {
		return "{}"
	}
	var b strings.Builder
	for _, name := range sortedNames(table) {
		fmt.Fprintf(&b, "\n%s  %s: %s", indent, quote(name), quote(table[name]))
	}
	return b.String()
}

// quote returns s as a YAML scalar: bare where every reader of YAML takes it
// for a string, else in double quotes.
func quote(s string) string {
	if bare(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func bare(s string) bool {
	ok, err := regexp.MatchString(`^[A-Za-z/][A-Za-z0-9_./-]*$`, s)
	if err != nil || !ok {
		return false
	}
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		return false
	}
	return true
}
