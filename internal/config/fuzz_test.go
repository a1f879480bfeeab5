package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// FuzzDecode: whatever the file holds, it is refused in one line that names it,
// or it is a configuration that prints and reads back to itself.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		everything,
		string(Default().YAML()),
		"remote:\n  retry:\n    initial_backoff: 5 parsecs\n",
		"device:\n  tags:\n    ? a\n    : b\n    <<: *x\n    k: |\n      text\n    l: >-\n      folded\n      text\n",
		"device: {tags: {\"\\u2028\": \"\\x00\\x85\", '': x}}\n",
		"a: [[[{{&x *x !!str",
		"%YAML 1.2\n---\nlog: {}\n...\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 4<<10 || strings.Contains(string(file), "_file") {
			return // slow to parse, or speaks of this machine's files
		}
		cfg, _, err := decode("taffrail.yaml", file, nil, nil)
		if err != nil {
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Problem == "" || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("error %#v: %q", err, err)
			}
			return
		}
		for _, c := range []Config{cfg, cfg.Masked()} {
			printed := c.YAML()
			again, _, err := decode("printed", printed, nil, nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, printed)
			}
			if !reflect.DeepEqual(again, c) {
				t.Errorf("read back differently:\n%s", printed)
			}
		}
	})
}

func TestFuzzSeeds(t *testing.T) {
	for _, file := range []string{everything, string(Default().YAML())} {
		if _, _, err := decode("seed", []byte(file), nil, nil); err != nil {
			t.Errorf("a seed is refused: %v", err)
		}
	}
}
