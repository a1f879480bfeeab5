package selector

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// SyntaxError is a selector that cannot be understood.
type SyntaxError struct {
	Column  int // in characters, from 1
	Problem string
}

// Error names the column and the problem.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("selector, column %d: %s", e.Column, e.Problem)
}

// Parse reads one selector. The error is a *SyntaxError.
func Parse(text string) (*Selector, error) {
	p := &parser{text: text}
	if err := p.selector(); err != nil {
		return nil, err
	}
	return &p.out, nil
}

type parser struct {
	text  string
	pos   int // in bytes
	named bool
	out   Selector
}

func (p *parser) fail(pos int, format string, args ...any) error {
	return &SyntaxError{Column: utf8.RuneCountInString(p.text[:pos]) + 1, Problem: fmt.Sprintf(format, args...)}
}

// unexpected says what stands at the position instead of what was wanted.
func (p *parser) unexpected(wanted string) error {
	if p.pos == len(p.text) {
		return p.fail(p.pos, "ends where %s is wanted", wanted)
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.pos:])
	return p.fail(p.pos, "%q stands where %s is wanted", string(r), wanted)
}

func (p *parser) space() {
	p.pos = len(p.text) - len(strings.TrimLeft(p.text[p.pos:], " \t\r\n"))
}

// accept steps over token if it is next.
func (p *parser) accept(token string) bool {
	if !strings.HasPrefix(p.text[p.pos:], token) {
		return false
	}
	p.pos += len(token)
	p.space()
	return true
}

func (p *parser) selector() error {
	p.space()
	start := p.pos
	name := p.name()
	if name != "" {
		if err := p.nameIs(name, start); err != nil {
			return err
		}
	}
	switch {
	case p.accept("{"):
		if err := p.matchers(); err != nil {
			return err
		}
	case name == "":
		return p.unexpected("a name or {")
	}
	if p.pos < len(p.text) {
		return p.unexpected("the end")
	}
	return nil
}

// matchers reads up to the closing brace. A comma may stand before it.
func (p *parser) matchers() error {
	for !p.accept("}") {
		if err := p.matcher(); err != nil {
			return err
		}
		if p.accept("}") {
			return nil
		}
		if !p.accept(",") {
			return p.unexpected(", or }")
		}
	}
	return nil
}

// matcher reads a label, an operator and a value, or the series' quoted name.
func (p *parser) matcher() error {
	start := p.pos
	label, quoted := p.name(), false
	if label == "" {
		var err error
		if label, quoted, err = p.quoted(); err != nil {
			return err
		}
		if !quoted {
			return p.unexpected("a label or }")
		}
	}
	op := p.operator()
	if op == "" {
		if quoted && (p.pos == len(p.text) || strings.IndexByte(",}", p.text[p.pos]) >= 0) {
			return p.nameIs(label, start)
		}
		return p.unexpected("=, !=, =~ or !~")
	}
	if label == "" {
		return p.fail(start, "a label without a name")
	}
	valueStart := p.pos
	value, ok, err := p.quoted()
	if err != nil {
		return err
	}
	if !ok {
		return p.unexpected("a value in quotes")
	}
	return p.add(label, op, value, valueStart)
}

// nameIs adds the condition on the name that a selector can have outside its
// braces, or quoted within them, but once.
func (p *parser) nameIs(name string, start int) error {
	if p.named {
		return p.fail(start, "a second name, %q", name)
	}
	if name == "" {
		return p.fail(start, "an empty name")
	}
	p.named = true
	return p.add(nameLabel, equal, name, start)
}

func (p *parser) add(label string, op operator, value string, start int) error {
	m := matcher{label: label, op: op, value: value}
	if op == like || op == notLike {
		// Alone first: "a)(b" compiles only between the anchors.
		re, err := regexp.Compile(value)
		if err == nil {
			re, err = regexp.Compile("^(?s:" + value + ")$")
		}
		if err != nil {
			reason := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
			return p.fail(start, "not a regular expression (RE2): %s", reason)
		}
		m.re = re
	}
	p.out.matchers = append(p.out.matchers, m)
	return nil
}

// name reads a name without quotes, or returns "".
func (p *parser) name() string {
	start := p.pos
	for p.pos < len(p.text) && nameByte(p.text[p.pos], p.pos == start) {
		p.pos++
	}
	name := p.text[start:p.pos]
	p.space()
	return name
}

func (p *parser) operator() operator {
	for _, op := range []operator{like, notLike, notEqual, equal} {
		if p.accept(string(op)) {
			return op
		}
	}
	return ""
}

// quoted reads a string in double, single or back quotes, with Go's escapes in
// the first two. ok is false where none begins.
func (p *parser) quoted() (text string, ok bool, err error) {
	start := p.pos
	if start == len(p.text) || strings.IndexByte("\"'`", p.text[start]) < 0 {
		return "", false, nil
	}
	quote := p.text[start]
	rest := p.text[start+1:]
	if quote == '`' {
		text, _, ok := strings.Cut(rest, "`")
		if !ok {
			return "", false, p.fail(start, "a quote that is never closed")
		}
		p.pos = start + len(text) + 2
		p.space()
		return text, true, nil
	}
	var b strings.Builder
	for rest != "" && rest[0] != quote {
		at := len(p.text) - len(rest)
		r, multibyte, tail, err := strconv.UnquoteChar(rest, quote)
		if err != nil {
			return "", false, p.fail(at, "an escape that quotes do not know; write \\\\ for a backslash")
		}
		if r < utf8.RuneSelf || !multibyte {
			b.WriteByte(byte(r))
		} else {
			b.WriteRune(r)
		}
		rest = tail
	}
	if rest == "" {
		return "", false, p.fail(start, "a quote that is never closed")
	}
	p.pos = len(p.text) - len(rest) + 1
	p.space()
	return b.String(), true, nil
}
