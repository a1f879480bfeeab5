package shipper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"taffrail/internal/event"
)

// lineDecoder decodes lines of VictoriaMetrics' JSON export, as it writes them:
//
//	{"metric":{"__name__":"a","device_id":"d"},"values":[1,null],"timestamps":[1780000000000,1780000001000]}
//
// https://docs.victoriametrics.com/victoriametrics/single-server-victoriametrics/#json-line-format
//
// What it allocates is bounded by the line: eight bytes for each two of the
// times, and some for each of at most maxExportLabels labels.
type lineDecoder struct {
	metric []byte // of the line before, which mostly is of the same series
	key    string
	times  []int64
}

// maxExportLabels is far beyond what VictoriaMetrics takes by default, 40.
const maxExportLabels = 256

// decode returns the series' key, as identities.metric makes it, and the times.
// They are valid until the next call.
func (d *lineDecoder) decode(line []byte) (key string, times []int64, err error) {
	c := jsonCursor{rest: line}
	c.literal(`{"metric":`)
	if len(d.metric) > 0 && bytes.HasPrefix(c.rest, d.metric) {
		c.take(len(d.metric))
	} else if err := d.series(&c); err != nil {
		return "", nil, err
	}
	c.literal(`,"values":`)
	values := c.array(c.value)
	c.literal(`,"timestamps":`)
	d.times = d.times[:0]
	c.array(func() { d.times = append(d.times, c.integer()) })
	c.literal(`}`)
	switch {
	case c.failed || len(c.rest) > 0:
		return "", nil, fmt.Errorf("byte %d is not expected", len(line)-len(c.rest)+1)
	case values != len(d.times):
		return "", nil, fmt.Errorf("%d values at %d times", values, len(d.times))
	case values == 0:
		return "", nil, errors.New("a series without samples")
	}
	return d.key, d.times, nil
}

// series reads the labels.
func (d *lineDecoder) series(c *jsonCursor) error {
	metric, labels := c.object(maxExportLabels)
	if c.failed {
		return errors.New("its labels are not as expected")
	}
	key, err := seriesKey(labels)
	if err != nil {
		return err
	}
	d.metric = append(d.metric[:0], metric...)
	d.key = key
	return nil
}

// seriesKey returns the key of a series from its labels' names and values in turn,
// as JSON strings.
func seriesKey(tokens [][]byte) (string, error) {
	labels := make(event.Labels, 0, len(tokens)/2)
	var name string
	named := false
	for i := 0; i+1 < len(tokens); i += 2 {
		label, err := unquoteJSON(tokens[i])
		if err != nil {
			return "", err
		}
		value, err := unquoteJSON(tokens[i+1])
		if err != nil {
			return "", err
		}
		switch {
		case label != nameLabel:
			labels = append(labels, event.Label{Name: label, Value: value})
		case named:
			return "", errors.New("a series with two names")
		default:
			name, named = value, true
		}
	}
	slices.SortFunc(labels, func(a, b event.Label) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(labels); i++ {
		if labels[i].Name == labels[i-1].Name {
			return "", errors.New("a label stands twice")
		}
	}
	return metricJSON(name, labels), nil
}

func unquoteJSON(token []byte) (string, error) {
	inner := token[1 : len(token)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner), nil
	}
	var s string
	if err := json.Unmarshal(token, &s); err != nil {
		return "", fmt.Errorf("decode a label: %w", err)
	}
	return s, nil
}

// jsonCursor reads JSON without white space. Once it failed it reads nothing more.
type jsonCursor struct {
	rest   []byte
	failed bool
}

// take cuts n bytes off.
func (c *jsonCursor) take(n int) []byte {
	taken := c.rest[:n]
	c.rest = c.rest[n:]
	return taken
}

// peek returns the next byte, and 0 at the end or after a failure.
func (c *jsonCursor) peek() byte {
	if c.failed || len(c.rest) == 0 {
		return 0
	}
	return c.rest[0]
}

func (c *jsonCursor) literal(text string) {
	if c.failed || len(c.rest) < len(text) || string(c.rest[:len(text)]) != text {
		c.failed = true
		return
	}
	c.take(len(text))
}

// array calls item for each item, and returns how many there were.
func (c *jsonCursor) array(item func()) (n int) {
	c.literal("[")
	if c.peek() == ']' {
		c.take(1)
		return 0
	}
	for !c.failed {
		item()
		n++
		if c.peek() != ',' {
			break
		}
		c.take(1)
	}
	c.literal("]")
	return n
}

// object reads an object of at most limit strings, and returns it whole, and its
// names and values in turn.
func (c *jsonCursor) object(limit int) (whole []byte, tokens [][]byte) {
	before := c.rest
	c.literal("{")
	if c.peek() == '}' {
		c.take(1)
		return before[:len(before)-len(c.rest)], nil
	}
	for !c.failed {
		c.failed = len(tokens) == 2*limit
		name := c.string()
		c.literal(":")
		tokens = append(tokens, name, c.string())
		if c.peek() != ',' {
			break
		}
		c.take(1)
	}
	c.literal("}")
	return before[:len(before)-len(c.rest)], tokens
}

// string returns the next string with its quotes. What is escaped in it is not
// looked at.
func (c *jsonCursor) string() []byte {
	if c.peek() != '"' {
		c.failed = true
		return nil
	}
	for i := 1; i < len(c.rest); i++ {
		switch b := c.rest[i]; {
		case b == '"':
			return c.take(i + 1)
		case b == '\\':
			i++
		case b < 0x20:
			c.failed = true
			return nil
		}
	}
	c.failed = true
	return nil
}

// value reads a value of a sample: a number, null for NaN, or an infinity.
func (c *jsonCursor) value() {
	switch c.peek() {
	case 'n':
		c.literal("null")
	case '"':
		if s := string(c.string()); s != `"Infinity"` && s != `"-Infinity"` {
			c.failed = true
		}
	default:
		c.number()
	}
}

// number reads a number: RFC 8259, section 6.
func (c *jsonCursor) number() {
	if c.peek() == '-' {
		c.take(1)
	}
	if c.peek() == '0' {
		c.take(1)
	} else {
		c.digits()
	}
	if c.peek() == '.' {
		c.take(1)
		c.digits()
	}
	if b := c.peek(); b == 'e' || b == 'E' {
		c.take(1)
		if b := c.peek(); b == '+' || b == '-' {
			c.take(1)
		}
		c.digits()
	}
}

func (c *jsonCursor) digits() {
	n := 0
	for n < len(c.rest) && c.rest[n] >= '0' && c.rest[n] <= '9' {
		n++
	}
	if c.failed = c.failed || n == 0; !c.failed {
		c.take(n)
	}
}

// integer reads an integer that is not negative.
func (c *jsonCursor) integer() int64 {
	const most = 19 // digits of an int64
	n, i := int64(0), 0
	for ; !c.failed && i < len(c.rest) && c.rest[i] >= '0' && c.rest[i] <= '9'; i++ {
		n = n*10 + int64(c.rest[i]-'0')
		if i == most || n < 0 || i == 1 && c.rest[0] == '0' {
			c.failed = true
			return 0
		}
	}
	if i == 0 {
		c.failed = true
		return 0
	}
	c.take(i)
	return n
}
