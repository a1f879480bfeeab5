package selector

import (
	"errors"
	"strings"
	"testing"

	"taffrail/internal/event"
)

// series reads "name|label=value|…".
func series(t testing.TB, text string) *event.Series {
	t.Helper()
	parts := strings.Split(text, "|")
	var labels []event.Label
	for _, p := range parts[1:] {
		name, value, _ := strings.Cut(p, "=")
		labels = append(labels, event.Label{Name: name, Value: value})
	}
	s, err := event.NewSeries(parts[0], event.Gauge, 0, labels...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMatch(t *testing.T) {
	const cpu = "cpu.usage_percent|core=0|zone=soc-1"
	tests := []struct {
		selector, series string
		want             bool
	}{
		{`cpu.usage_percent`, cpu, true},
		{`cpu.usage`, cpu, false},
		{`cpu_usage_percent`, cpu, false},
		{`{}`, cpu, true},
		{`cpu.usage_percent{}`, cpu, true},
		{`cpu.usage_percent{core="0"}`, cpu, true},
		{`cpu.usage_percent{core="1"}`, cpu, false},
		{`cpu.usage_percent{core!="1"}`, cpu, true},
		{`cpu.usage_percent{core!="0"}`, cpu, false},
		{`{core="0"}`, cpu, true},
		{`memory.used_bytes{core="0"}`, cpu, false},
		{`cpu.usage_percent{core="0",zone=~"soc.*",x!="",y!~"a|b"}`, cpu + "|x=1", true},
		{`cpu.usage_percent{core="0",zone=~"soc.*",x!="",y!~"a|b"}`, cpu, false},
		{`cpu.usage_percent{core="0",zone=~"soc.*",x!="",y!~"a|b"}`, cpu + "|x=1|y=b", false},
		{`cpu.usage_percent{core="0",zone=~"soc.*",x!="",y!~"a|b"}`, cpu + "|x=1|y=bb", true},

		{`{__name__=~"disk\\..*"}`, "disk.read_bytes_total|device=sda", true},
		{`{__name__=~"disk\\..*"}`, "disk_read_bytes_total", false},
		{`{__name__=~'disk\\..*'}`, "disk.read_bytes_total", true},
		{"{__name__=~`disk\\..*`}", "disk.read_bytes_total", true},
		{`{__name__!="cpu"}`, "cpu", false},
		{`{__name__="cpu"}`, "cpu", true},
		{`{"cpu.usage_percent"}`, cpu, true},
		{`{"cpu.usage_percent", core="0"}`, cpu, true},
		{`{core="0","cpu.usage_percent"}`, cpu, true},
		{`{'cpu'}`, cpu, false},
		{`{"name with {} and \"quotes\""}`, `name with {} and "quotes"`, true},

		// The whole value, and values of several lines.
		{`{zone=~"soc"}`, cpu, false},
		{`{zone=~"oc-1"}`, cpu, false},
		{`{zone=~"soc-1|x"}`, cpu, true},
		{`{zone=~"x|soc"}`, cpu, false},
		{`{zone!~"soc"}`, cpu, true},
		{`{text=~"a.*b"}`, "t|text=a\nb", true},
		{`{zone=~"(?i)SOC-1"}`, cpu, true},

		// A label that is not there equals "".
		{`{x=""}`, cpu, true}, {`{x!=""}`, cpu, false},
		{`{x=~""}`, cpu, true}, {`{x=~".*"}`, cpu, true}, {`{x=~".+"}`, cpu, false}, {`{x!~".+"}`, cpu, true},
		{`{core=""}`, cpu, false},

		// Two conditions on one label; a dotted and a quoted label name.
		{`{core!="1",core!="0"}`, cpu, false},
		{`{"core"="0"}`, cpu, true},
		{`{device.id="7"}`, "x|device.id=7", true},
		{`{"a b"=~"7"}`, "x|a b=7", true},
		{`:rule:x_1.y{_a:b="é"}`, ":rule:x_1.y|_a:b=é", true},
		{`{x="\u00e9\x41\t"}`, "n|x=éA\t", true},
		{`{x='"'}`, `n|x="`, true},

		{" cpu.usage_percent \n{ core = \"0\" ,\tzone =~ 'soc.*' , } ", cpu, true},
	}
	for _, tt := range tests {
		s, err := Parse(tt.selector)
		if err != nil {
			t.Errorf("Parse(%s): %v", tt.selector, err)
			continue
		}
		if got := s.Match(series(t, tt.series)); got != tt.want {
			t.Errorf("%s matches %s: %v, want %v", tt.selector, tt.series, got, tt.want)
		}
		again, err := Parse(s.String())
		if err != nil || again.Match(series(t, tt.series)) != tt.want || again.String() != s.String() {
			t.Errorf("%s prints as %s, which is not the same (%v)", tt.selector, s, err)
		}
	}
}

func TestString(t *testing.T) {
	s, err := Parse("a.b{ 'x y' != 'q\"', z=~`\\d`, }")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.String(), `{__name__="a.b","x y"!="q\"",z=~"\\d"}`; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		``:                       `selector, column 1: ends where a name or { is wanted`,
		`  `:                     `selector, column 3: ends where a name or { is wanted`,
		`9a`:                     `selector, column 1: "9" stands where a name or { is wanted`,
		`.a`:                     `selector, column 1: "." stands where a name or { is wanted`,
		`"cpu"`:                  `selector, column 1: "\"" stands where a name or { is wanted`,
		`é`:                      `selector, column 1: "é" stands where a name or { is wanted`,
		`cpu-load`:               `selector, column 4: "-" stands where the end is wanted`,
		`cpu[5m]`:                `selector, column 4: "[" stands where the end is wanted`,
		`cpu mem`:                `selector, column 5: "m" stands where the end is wanted`,
		`{a="b"} offset 5m`:      `selector, column 9: "o" stands where the end is wanted`,
		`cpu{`:                   `selector, column 5: ends where a label or } is wanted`,
		`cpu{,}`:                 `selector, column 5: "," stands where a label or } is wanted`,
		`{a="b",,}`:              `selector, column 8: "," stands where a label or } is wanted`,
		`{a}`:                    `selector, column 3: "}" stands where =, !=, =~ or !~ is wanted`,
		`{a`:                     `selector, column 3: ends where =, !=, =~ or !~ is wanted`,
		`{"a" "b"}`:              `selector, column 6: "\"" stands where =, !=, =~ or !~ is wanted`,
		`{a~"b"}`:                `selector, column 3: "~" stands where =, !=, =~ or !~ is wanted`,
		`{a==“b”}`:               `selector, column 4: "=" stands where a value in quotes is wanted`,
		`{a=b}`:                  `selector, column 4: "b" stands where a value in quotes is wanted`,
		`{é="b"}`:                `selector, column 2: "é" stands where a label or } is wanted`,
		`{a="é",b=c}`:            `selector, column 10: "c" stands where a value in quotes is wanted`,
		`{a="b" c="d"}`:          `selector, column 8: "c" stands where , or } is wanted`,
		`{a="b"`:                 `selector, column 7: ends where , or } is wanted`,
		`{a="b}`:                 `selector, column 4: a quote that is never closed`,
		`{a="b\"}`:               `selector, column 4: a quote that is never closed`,
		"{a=`b}":                 `selector, column 4: a quote that is never closed`,
		`{a="é\d"}`:              `selector, column 6: an escape that quotes do not know; write \\ for a backslash`,
		`{x="",a=~"(b"}`:         "selector, column 10: not a regular expression (RE2): missing closing ): `(b`",
		`{a!~"b)(c"}`:            "selector, column 5: not a regular expression (RE2): unexpected ): `b)(c`",
		`{a=~"(?=b)"}`:           "selector, column 5: not a regular expression (RE2): invalid or unsupported Perl syntax: `(?=`",
		`cpu{"mem"}`:             `selector, column 5: a second name, "mem"`,
		`{"cpu","mem"}`:          `selector, column 8: a second name, "mem"`,
		`{""}`:                   `selector, column 2: an empty name`,
		`{""="x"}`:               `selector, column 2: a label without a name`,
		`{a="b"}{c="d"}`:         `selector, column 8: "{" stands where the end is wanted`,
		`{a="b"} or {c="d"}`:     `selector, column 9: "o" stands where the end is wanted`,
		`{a=~"x{1001}"}`:         "selector, column 5: not a regular expression (RE2): invalid repeat count: `{1001}`",
		`sum(cpu.usage_percent)`: `selector, column 4: "(" stands where the end is wanted`,
	} {
		_, err := Parse(text)
		if err == nil {
			t.Errorf("Parse(%s) succeeded", text)
			continue
		}
		if err.Error() != want {
			t.Errorf("Parse(%s)\ngot  %v\nwant %s", text, err, want)
		}
		if _, ok := errors.AsType[*SyntaxError](err); !ok {
			t.Errorf("Parse(%s): error is a %T", text, err)
		}
	}
}

func seeds() []string {
	return []string{
		`cpu.usage_percent{core="0",zone=~"soc.*",x!="",y!~"a|b"}`,
		`{__name__=~"disk\\..*"}`, `{"cpu.usage_percent"}`, "{a=`b`,'c d'!=\"\\u00e9\\xff\",}", `{}`, `a`, `{a="\`,
	}
}

// FuzzParse: no panic, columns within the text, and what is accepted prints to
// something that is read back to the same.
func FuzzParse(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	probes := []*event.Series{
		series(f, "cpu.usage_percent|core=0|zone=soc"), series(f, "disk.x|a=b|c d=é"), series(f, "a"),
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			se, ok := errors.AsType[*SyntaxError](err)
			if !ok || se.Column < 1 || se.Column > len(text)+1 {
				t.Errorf("error %#v", err)
			}
			return
		}
		printed := s.String()
		again, err := Parse(printed)
		if err != nil {
			t.Fatalf("%q prints as %s: %v", text, printed, err)
		}
		if again.String() != printed {
			t.Errorf("%q prints as %s, then as %s", text, printed, again)
		}
		for _, p := range probes {
			if s.Match(p) != again.Match(p) {
				t.Errorf("%q and %s differ on %v", text, printed, p)
			}
		}
	})
}

func TestFuzzSeeds(t *testing.T) {
	accepted := 0
	for _, s := range seeds() {
		if _, err := Parse(s); err == nil {
			accepted++
		}
	}
	if accepted < 5 {
		t.Errorf("only %d seeds are accepted", accepted)
	}
}
