package config

import (
	"strconv"
	"strings"
	"unicode"
)

// Error is a configuration that was refused. Every error of this package is
// one, so that a command can tell a wrong configuration from other failures.
type Error struct {
	// Where is "taffrail.yaml:7:13", "TAFFRAIL_REMOTE_URL", "--remote", or
	// empty where a value's source is not known.
	Where string
	Key   string // full path, "remote.retry.jitter_percent", or empty
	// Problem says what is wrong and what would be right.
	Problem string

	err error
	// related is the key whose source is named where Key has none of its own.
	related string
}

// Error returns the one line for the user.
func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	for _, p := range []string{e.Where, e.Key, e.Problem} {
		if p != "" {
			parts = append(parts, oneLine(p))
		}
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the file system's error, if one was the cause.
func (e *Error) Unwrap() error { return e.err }

// oneLine escapes control characters, which a key or a path can hold.
func oneLine(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// origins says which source set a key last.
type origins map[string]string

// set notes that where set key, and forgets who set parts of it before.
func (o origins) set(key, where string) {
	for k := range o {
		if strings.HasPrefix(k, key+".") || strings.HasPrefix(k, key+"[") {
			delete(o, k)
		}
	}
	o[key] = where
}

// of returns who set key, or the list or map that it is an element of.
func (o origins) of(key string) string {
	for key != "" {
		if where, ok := o[key]; ok {
			return where
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return ""
}

// locate fills in where the value that err speaks of came from.
func (o origins) locate(err error) error {
	e, ok := err.(*Error)
	if !ok || e.Where != "" {
		return err
	}
	e.Where = o.of(e.Key)
	if e.Where == "" && e.related != "" {
		e.Where = o.of(e.related)
	}
	return e
}
