package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// layers lays sources over a configuration and remembers who set what.
type layers struct {
	cfg     *Config
	origins origins
}

// yamlFile decodes one file; it walks the syntax tree along the schema, so
// that every refusal has a position and a path.
type yamlFile struct {
	layers
	name string
}

func (l layers) applyYAML(name string, b []byte) error {
	f := yamlFile{layers: l, name: name}
	root, err := f.parse(b)
	if err != nil || root == nil {
		return err
	}
	return f.block(root, l.cfg, "")
}

// parse returns the file's one document, or nil for an empty one.
func (f yamlFile) parse(b []byte) (root ast.Node, err error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // the mark that some editors put first
	if i := invalidUTF8(b); i >= 0 {
		line := bytes.Count(b[:i], []byte("\n")) + 1
		return nil, &Error{Where: fmt.Sprintf("%s:%d", f.name, line), Problem: "is not UTF-8; save the file as UTF-8"}
	}
	defer func() {
		// A file that trips the YAML library is a bad file, not a crash.
		if r := recover(); r != nil {
			root, err = nil, &Error{Where: f.name, Problem: "is not YAML"}
		}
	}()
	tree, err := parser.ParseBytes(b, 0, parser.AllowDuplicateMapKey()) // they are refused below, with their path
	if err != nil {
		return nil, f.syntax(err)
	}
	for _, doc := range tree.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); directive || doc.Body == nil {
			continue
		}
		if root != nil {
			return nil, f.refuse(doc.Body, "", "begins a second document; a configuration is one")
		}
		root = doc.Body
	}
	return root, nil
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func (f yamlFile) syntax(err error) error {
	e := &Error{Where: f.name, Problem: "is not YAML"}
	if se, ok := errors.AsType[*yaml.SyntaxError](err); ok {
		e.Where = f.where(se.GetToken())
		e.Problem = "not YAML: " + se.GetMessage()
	}
	return e
}

// at returns where n begins, as "file:line:column".
func (f yamlFile) at(n ast.Node) string {
	// The token of a mapping without braces is its first colon.
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			n = m.Values[0].Key
		}
	case *ast.MappingValueNode:
		n = m.Key
	}
	return f.where(n.GetToken())
}

func (f yamlFile) where(t *token.Token) string {
	if t == nil || t.Position == nil {
		return f.name
	}
	return fmt.Sprintf("%s:%d:%d", f.name, t.Position.Line, t.Position.Column)
}

func (f yamlFile) refuse(n ast.Node, key, format string, args ...any) error {
	return &Error{Where: f.at(n), Key: key, Problem: fmt.Sprintf(format, args...)}
}

// pairs returns a mapping's keys and values. ok is false where n is none.
func pairs(n ast.Node) (values []*ast.MappingValueNode, ok bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	case *ast.NullNode:
		// "remote:" with all its keys commented out sets nothing.
		return nil, true
	}
	return nil, false
}

// block decodes a mapping over the struct that v points to.
func (f yamlFile) block(n ast.Node, v any, path string) error {
	known := map[string]node{}
	var names []string
	for _, c := range children(v, path) {
		known[c.name] = c
		names = append(names, c.name)
	}
	values, ok := pairs(n)
	if !ok {
		return f.refuse(n, path, "a block of keys is wanted here; write %s: on a line below", names[0])
	}
	seen := map[string]int{}
	for _, pair := range values {
		name, err := f.keyName(pair, path, seen)
		if err != nil {
			return err
		}
		c, ok := known[name]
		if !ok {
			key := join(path, name)
			return f.refuse(pair.Key, key, "unknown key; %s", hint(key, paths(f.cfg), names, "."))
		}
		if err := f.value(pair, c); err != nil {
			return err
		}
	}
	return nil
}

// keyName returns the pair's key, which must stand in its mapping once.
func (f yamlFile) keyName(pair *ast.MappingValueNode, path string, seen map[string]int) (string, error) {
	name, problem := scalar(pair.Key)
	if problem != "" {
		return "", f.refuse(pair.Key, path, "a key is a plain word; anchors, merges and complex keys are not supported")
	}
	if line := seen[name]; line > 0 {
		return "", f.refuse(pair.Key, join(path, name), "stands twice, first on line %d; remove one", line)
	}
	seen[name] = pair.Key.GetToken().Position.Line
	return name, nil
}

func (f yamlFile) value(pair *ast.MappingValueNode, c node) error {
	n := pair.Value
	if c.block {
		return f.block(n, c.ptr, c.path)
	}
	f.origins.set(c.path, f.at(n))
	switch p := c.ptr.(type) {
	case *[]string:
		return f.list(n, p, c.path)
	case *map[string]string:
		return f.table(n, p, c.path)
	}
	text, problem := scalar(n)
	if n.Type() == ast.NullType {
		// A value that is not there has no place either.
		n = pair.Key
	}
	if problem != "" {
		return f.refuse(n, c.path, "%s", problem)
	}
	if err := parseInto(c.ptr, text); err != nil {
		return f.refuse(n, c.path, "%v", err)
	}
	return nil
}

func (f yamlFile) list(n ast.Node, p *[]string, path string) error {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return f.refuse(n, path, "a list is wanted here; write [a, b], or [] for none")
	}
	items := []string{}
	for i, item := range seq.Values {
		key := fmt.Sprintf("%s[%d]", path, i)
		text, problem := scalar(item)
		if problem != "" {
			return f.refuse(item, key, "%s", problem)
		}
		f.origins[key] = f.at(item)
		items = append(items, text)
	}
	*p = items
	return nil
}

func (f yamlFile) table(n ast.Node, p *map[string]string, path string) error {
	values, ok := pairs(n)
	if !ok {
		return f.refuse(n, path, "names and values are wanted here; write {site: oslo}, or {} for none")
	}
	table := map[string]string{}
	seen := map[string]int{}
	for _, pair := range values {
		name, err := f.keyName(pair, path, seen)
		if err != nil {
			return err
		}
		text, problem := scalar(pair.Value)
		if problem != "" {
			return f.refuse(pair.Value, join(path, name), "%s", problem)
		}
		f.origins[join(path, name)] = f.at(pair.Value)
		table[name] = text
	}
	*p = table
	return nil
}

// scalar returns a value's text as it was written, or what is wrong with it.
// The text is taken whatever type YAML sees in it: device.id: 0123 is "0123",
// and read_url: off is not false.
func scalar(n ast.Node) (text, problem string) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, ""
	case *ast.LiteralNode:
		return strings.TrimSuffix(n.Value.Value, "\n"), ""
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, ""
	case *ast.NullNode:
		return "", `has no value; write one ("" for an empty one), or remove the key`
	case *ast.MappingNode, *ast.MappingValueNode:
		return "", "one value is wanted here, not a block of keys"
	case *ast.SequenceNode:
		return "", "one value is wanted here, not a list"
	}
	return "", "anchors, aliases and tags are not supported; write the value itself"
}
