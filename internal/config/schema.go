package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// node is one key of the configuration: a block of keys, or a value that ptr
// points to. The structs' tags are the only list of the keys.
type node struct {
	name  string
	path  string
	block bool
	ptr   any
}

// children returns the keys of the block that v points to. Embedded structs
// add theirs.
func children(v any, path string) []node {
	var nodes []node
	s := reflect.ValueOf(v).Elem()
	for i := range s.NumField() {
		field := s.Type().Field(i)
		ptr := s.Field(i).Addr().Interface()
		if field.Anonymous {
			nodes = append(nodes, children(ptr, path)...)
			continue
		}
		n := node{name: field.Tag.Get("key"), block: field.Type.Kind() == reflect.Struct, ptr: ptr}
		n.path = join(path, n.name)
		nodes = append(nodes, n)
	}
	return nodes
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// flatten returns all keys of cfg, blocks before what is in them.
func flatten(cfg *Config) []node {
	var all []node
	var walk func(nodes []node)
	walk = func(nodes []node) {
		for _, n := range nodes {
			all = append(all, n)
			if n.block {
				walk(children(n.ptr, n.path))
			}
		}
	}
	walk(children(cfg, ""))
	return all
}

// parseInto reads one scalar's text into what ptr points to.
func parseInto(ptr any, text string) error {
	switch p := ptr.(type) {
	case *string:
		*p = text
		return nil
	case *bool:
		return assign(p, text, parseBool)
	case **bool:
		return allocate(p, text, parseBool)
	case *int:
		return assign(p, text, parseInt)
	case *float64:
		return assign(p, text, parseFloat)
	case *Duration:
		return assign(p, text, ParseDuration)
	case **Duration:
		return allocate(p, text, ParseDuration)
	case *Size:
		return assign(p, text, ParseSize)
	}
	return fmt.Errorf("cannot be written as one value")
}

func assign[T any](p *T, text string, parse func(string) (T, error)) error {
	v, err := parse(text)
	if err == nil {
		*p = v
	}
	return err
}

func allocate[T any](p **T, text string, parse func(string) (T, error)) error {
	v, err := parse(text)
	if err == nil {
		*p = &v
	}
	return err
}

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

func parseInt(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || strings.HasPrefix(s, "+") {
		return 0, fmt.Errorf("%q is not a whole number; write 3 or 2500", s)
	}
	return n, nil
}

func parseFloat(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || strings.ContainsAny(s, "xXpP_+") {
		return 0, fmt.Errorf("%q is not a number; write 2 or 1.5", s)
	}
	return f, nil
}
