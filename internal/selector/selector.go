// Package selector picks series by name and labels, in the words of PromQL's
// series selectors:
//
//	cpu.usage_percent{core="0",zone=~"soc.*",x!="",y!~"a|b"}
//	{__name__=~"disk\\..*"}
//	{device="sda"}
//	{"cpu.usage_percent"}
//
// Names are those that series have inside the agent: a dot is allowed in the
// name and in label names, and anything at all in a quoted one. Regular
// expressions are RE2 and match the whole value. A label that a series does not
// have equals "". Unlike PromQL, {} is allowed and matches every series.
//
// A Selector is never changed and can be used by many goroutines. Parse takes
// time linear in the length of its input, but for the regular expressions, and
// never panics; what it accepts, String prints so that Parse reads it back.
package selector

import (
	"regexp"
	"strconv"
	"strings"

	"taffrail/internal/event"
)

// nameLabel stands for the series' name among the labels.
const nameLabel = "__name__"

// Selector is a conjunction of conditions on a series.
type Selector struct {
	matchers []matcher
}

type operator string

const (
	equal    operator = "="
	notEqual operator = "!="
	like     operator = "=~"
	notLike  operator = "!~"
)

type matcher struct {
	label string
	op    operator
	value string
	re    *regexp.Regexp // for like and notLike
}

func (m *matcher) match(value string) bool {
	switch m.op {
	case equal:
		return value == m.value
	case notEqual:
		return value != m.value
	case like:
		return m.re.MatchString(value)
	default:
		return !m.re.MatchString(value)
	}
}

// Match reports whether every condition holds for the series.
func (s *Selector) Match(series *event.Series) bool {
	for i := range s.matchers {
		m := &s.matchers[i]
		value := series.Name
		if m.label != nameLabel {
			value = series.Labels.Get(m.label)
		}
		if !m.match(value) {
			return false
		}
	}
	return true
}

// String returns the selector in one form: every condition within braces, in
// their order.
func (s *Selector) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, m := range s.matchers {
		if i > 0 {
			b.WriteByte(',')
		}
		if isName(m.label) {
			b.WriteString(m.label)
		} else {
			b.WriteString(strconv.Quote(m.label))
		}
		b.WriteString(string(m.op))
		b.WriteString(strconv.Quote(m.value))
	}
	b.WriteByte('}')
	return b.String()
}

func isName(s string) bool {
	if s == "" || !nameByte(s[0], true) {
		return false
	}
	for i := range len(s) {
		if !nameByte(s[i], false) {
			return false
		}
	}
	return true
}

// nameByte reports whether c can stand in a name without quotes.
func nameByte(c byte, first bool) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == ':':
		return true
	case c >= '0' && c <= '9', c == '.':
		return !first
	}
	return false
}
