package event

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Type says how a series' values are to be read.
type Type uint8

// The types of format version 1.
const (
	Gauge   Type = 0 // a number that goes up and down
	Counter Type = 1 // a number that only grows, until its source starts anew
	Text    Type = 2 // a string, recorded when it changes; it never leaves the device
)

// String returns "gauge", "counter" or "text".
func (t Type) String() string {
	switch t {
	case Gauge:
		return "gauge"
	case Counter:
		return "counter"
	case Text:
		return "text"
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Bounds on a series. They keep one bad source from filling the log: a name
// longer than MaxName has no reader, and VictoriaMetrics drops labels beyond
// 40 and cuts values beyond 4 KiB by default.
const (
	MaxName       = 256  // bytes in a series' or a label's name
	MaxLabelValue = 1024 // bytes in a label's value
	MaxLabels     = 30   // labels of one series
	MaxDecimals   = 9    // decimal places that a series can declare
)

// ErrSeries is what NewSeries wraps for a name or label that cannot be stored.
var ErrSeries = errors.New("bad series")

// Label is one name and value.
type Label struct {
	Name  string
	Value string
}

// Labels are sorted by name, and no name stands twice.
type Labels []Label

// NewLabels returns a sorted copy of pairs, or an error that wraps ErrSeries.
func NewLabels(pairs ...Label) (Labels, error) {
	if len(pairs) > MaxLabels {
		return nil, fmt.Errorf("%w: %d labels, at most %d are allowed", ErrSeries, len(pairs), MaxLabels)
	}
	labels := slices.Clone(pairs)
	slices.SortFunc(labels, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	for i, l := range labels {
		if err := checkText("label name", l.Name, MaxName); err != nil {
			return nil, err
		}
		if len(l.Value) > MaxLabelValue {
			return nil, fmt.Errorf("%w: label %s has a value of %d bytes, at most %d are allowed", ErrSeries, l.Name, len(l.Value), MaxLabelValue)
		}
		if !utf8.ValidString(l.Value) {
			return nil, fmt.Errorf("%w: the value of label %s is not UTF-8", ErrSeries, l.Name)
		}
		if i > 0 && labels[i-1].Name == l.Name {
			return nil, fmt.Errorf("%w: label %s stands twice", ErrSeries, l.Name)
		}
	}
	return labels, nil
}

// Get returns the value of the label called name, or "".
func (ls Labels) Get(name string) string {
	for _, l := range ls {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// LabelsFromMap returns the labels of a map that NewLabels accepted before.
func LabelsFromMap(m map[string]string) Labels {
	labels := make(Labels, 0, len(m))
	for name, value := range m {
		labels = append(labels, Label{name, value})
	}
	slices.SortFunc(labels, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	return labels
}

// Map is the inverse of LabelsFromMap.
func (ls Labels) Map() map[string]string {
	m := make(map[string]string, len(ls))
	for _, l := range ls {
		m[l.Name] = l.Value
	}
	return m
}

// JSON returns the labels as canonical JSON: an object with its keys in order,
// no white space, and nothing escaped that JSON does not require.
func (ls Labels) JSON() string { return string(ls.AppendJSON(nil)) }

// AppendJSON appends what JSON returns.
func (ls Labels) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for i, l := range ls {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendJSONString(dst, l.Name)
		dst = append(dst, ':')
		dst = AppendJSONString(dst, l.Value)
	}
	return append(dst, '}')
}

// Series is what a sample belongs to. Two series are the same when name and
// labels are. A *Series is shared by whoever holds it and is never changed.
type Series struct {
	Name   string // dotted, with its unit: "disk.read_bytes_total"
	Labels Labels
	Type   Type
	// Decimals is the number of decimal places that the source rounds its
	// values to: a value that this many places represent exactly is stored as
	// an integer. It is a hint for size and never changes a value.
	Decimals uint8

	key string
}

// NewSeries checks and returns a series. Errors wrap ErrSeries.
func NewSeries(name string, typ Type, decimals uint8, labels ...Label) (*Series, error) {
	if err := checkText("name", name, MaxName); err != nil {
		return nil, err
	}
	if typ > Text {
		return nil, fmt.Errorf("%w: %s has the unknown type %d", ErrSeries, name, typ)
	}
	if decimals > MaxDecimals {
		return nil, fmt.Errorf("%w: %s has %d decimals, at most %d are allowed", ErrSeries, name, decimals, MaxDecimals)
	}
	sorted, err := NewLabels(labels...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s := &Series{Name: name, Labels: sorted, Type: typ, Decimals: decimals}
	key := append([]byte(name), 0)
	s.key = string(sorted.AppendJSON(key))
	return s, nil
}

// Key identifies the series: equal for equal name and labels, and for no
// others. Keys sort by name, then labels.
func (s *Series) Key() string { return s.key }

// KeyText returns a key as name and labels, for messages.
func KeyText(key string) string { return strings.Replace(key, "\x00", "", 1) }

// String returns the series as name and labels, for messages.
func (s *Series) String() string { return s.Name + s.Labels.JSON() }

func checkText(what, s string, limit int) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: empty %s", ErrSeries, what)
	case len(s) > limit:
		return fmt.Errorf("%w: %s of %d bytes, at most %d are allowed", ErrSeries, what, len(s), limit)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: %s %q is not UTF-8", ErrSeries, what, s)
	case strings.IndexByte(s, 0) >= 0:
		return fmt.Errorf("%w: %s %q holds a zero byte", ErrSeries, what, s)
	}
	return nil
}

// AppendJSONString appends s quoted as a JSON string. It escapes what RFC 8259
// requires and nothing else; bytes that are not UTF-8 become U+FFFD.
func AppendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
			i++
		case c == '\n':
			dst = append(dst, '\\', 'n')
			i++
		case c == '\r':
			dst = append(dst, '\\', 'r')
			i++
		case c == '\t':
			dst = append(dst, '\\', 't')
			i++
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return append(dst, '"')
}
