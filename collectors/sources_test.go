package collectors

import "testing"

func TestNames_MatchWholeNamesOnly(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"lo", "lo", true},
		{"lo", "xlo", false},
		{"lo", "lo0", false},
		{"eth0|wlan0", "wlan0", true},
		{"eth0|wlan0", "eth01", false},
		{"eth0|wlan0", "xwlan0", false},
		{"usb.*", "usb", true},
		{"br-.*", "br0", false},
	} {
		set, err := compileNames([]string{c.pattern})
		if err != nil {
			t.Fatal(err)
		}
		if got := set.match(c.name); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
}

func TestNames_BadPattern(t *testing.T) {
	if _, err := compileNames([]string{"eth[0"}); err == nil {
		t.Error("a pattern that is no RE2 is accepted")
	}
}
