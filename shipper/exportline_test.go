package shipper

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"taffrail/internal/event"
)

func TestExportLine(t *testing.T) {
	line := func(metric, values, times string) string {
		return `{"metric":{` + metric + `},"values":[` + values + `],"timestamps":[` + times + `]}`
	}
	for _, c := range []struct {
		line string
		key  string // "": refused
	}{
		{line(`"__name__":"a"`, `1`, `1`), metricJSON("a", nil)},
		{line(`"z":"1","__name__":"a","y":"\u003c"`, `-1.5e-3,0,1e9,"Infinity","-Infinity",null`, `1,2,0,9223372036854775807,5,6`), `{"__name__":"a","y":"<","z":"1"}`},
		{line(``, `1`, `1`), metricJSON("", nil)},
		{line(`"a":"]}"`, `1`, `1`), `{"__name__":"","a":"]}"}`},

		{line(`"a":"b"`, `1`, `1,2`), ""},
		{line(`"a":"b"`, `1,2`, `1`), ""},
		{line(`"a":"b"`, ``, ``), ""},
		{line(`"a":"b"`, `1,`, `1`), ""},
		{line(`"a":"b"`, `01`, `1`), ""},
		{line(`"a":"b"`, `.5`, `1`), ""},
		{line(`"a":"b"`, `1.`, `1`), ""},
		{line(`"a":"b"`, `-`, `1`), ""},
		{line(`"a":"b"`, `1e`, `1`), ""},
		{line(`"a":"b"`, `NaN`, `1`), ""},
		{line(`"a":"b"`, `nul`, `1`), ""},
		{line(`"a":"b"`, `"1"`, `1`), ""},
		{line(`"a":"b"`, `1`, `-1`), ""},
		{line(`"a":"b"`, `1`, `01`), ""},
		{line(`"a":"b"`, `1`, `1.5`), ""},
		{line(`"a":"b"`, `1`, `null`), ""},
		{line(`"a":"b"`, `1`, `9223372036854775808`), ""},
		{line(`"a":"b"`, `1`, `18446744073709551617`), ""},
		{line(`"a":"b"`, `1`, `99999999999999999999`), ""},
		{line(`"a":"b"`, `1`, ``), ""},
		{line(`"a":1`, `1`, `1`), ""},
		{line(`"a":"b",`, `1`, `1`), ""},
		{line(`"a":"b","a":"c"`, `1`, `1`), ""},
		{line(`"__name__":"b","__name__":"b"`, `1`, `1`), ""},
		{line(`"a":"\x"`, `1`, `1`), ""},
		{line("\"a\":\"\n\"", `1`, `1`), ""},
		{line(strings.Repeat(`"":"",`, maxExportLabels)+`"":""`, `1`, `1`), ""},
		{line(`"a":"b"`, `1`, `1`) + " ", ""},
		{" " + line(`"a":"b"`, `1`, `1`), ""},
		{`{"metric":{"a":"b"}}`, ""},
		{`{"metric":null,"values":[1],"timestamps":[1]}`, ""},
		{``, ""},
	} {
		var d lineDecoder
		if key, _, err := d.decode([]byte(c.line)); (err == nil) != (c.key != "") || key != c.key {
			t.Errorf("%.200s: got %s, %v, want %q", c.line, key, err, c.key)
		}
	}
}

// A decoder remembers labels, and mixes up no two of them.
func TestExportLinesInTurn(t *testing.T) {
	ofA := event.Labels{{Name: "a", Value: "b"}}
	ofAC := append(ofA, event.Label{Name: "c", Value: "d"})
	var d lineDecoder
	a, b := `{"metric":{"a":"b"},"values":[1],"timestamps":[7]}`, `{"metric":{"a":"b","c":"d"},"values":[1,2],"timestamps":[8,9]}`
	broken := `{"metric":{"a":"b","a":"d"},"values":[1,2],"timestamps":[8,9]}`
	for _, line := range []string{a, a, broken, b, a, broken, a, b, b} {
		key, times, err := d.decode([]byte(line))
		switch line {
		case a:
			if key != metricJSON("", ofA) || !slices.Equal(times, []int64{7}) || err != nil {
				t.Errorf("got %s %v, %v", key, times, err)
			}
		case b:
			if key != metricJSON("", ofAC) || !slices.Equal(times, []int64{8, 9}) || err != nil {
				t.Errorf("got %s %v, %v", key, times, err)
			}
		default:
			if err == nil {
				t.Errorf("got %s %v", key, times)
			}
		}
	}
}

// A further line of the same series takes no memory.
func TestExportLinesTakeNoMemory(t *testing.T) {
	line := []byte(exportSeeds[0])
	var d lineDecoder
	if n := testing.AllocsPerRun(100, func() {
		if _, times, err := d.decode(line); len(times) != 6 || err != nil {
			t.Fatalf("%d times, %v", len(times), err)
		}
	}); n > 0 {
		t.Errorf("a line takes %v allocations", n)
	}
}

// exportSeeds are lines that VictoriaMetrics 1.151 has written.
var exportSeeds = []string{
	`{"metric":{"__name__":"cpu_usage_percent","device_id":"boat","core":"0"},"values":[1,2.5,-3e300,null,"Infinity","-Infinity"],"timestamps":[1780000000000,1780000001000,1780000002000,1780000003000,1780000004000,1780000005000]}`,
	`{"metric":{"__name__":"disk_read_bytes_total","device_id":"boat","device":"mmcblk0"},"values":[0],"timestamps":[1]}`,
	`{"metric":{"__name__":"quoted","device_id":"\"\\\n\t\r\u0001\u003cb\u003e\u0027é😀"},"values":[0.000001],"timestamps":[9223372036854]}`,
}

// FuzzExportLine decodes, encodes and compares: what is taken is JSON, and says
// the same as encoding/json makes of it.
func FuzzExportLine(f *testing.F) {
	for _, seed := range exportSeeds {
		var d lineDecoder
		if _, _, err := d.decode([]byte(seed)); err != nil {
			f.Fatalf("the seed %s: %s", seed, err)
		}
		f.Add([]byte(seed), []byte(seed))
		f.Add([]byte(strings.Replace(seed, "boat", "ship", 1)), []byte(seed[:len(seed)/2]))
	}
	if len(exportSeeds) == 0 {
		f.Fatal("the seed corpus is empty")
	}
	f.Fuzz(func(t *testing.T, before, line []byte) {
		var d lineDecoder
		_, _, _ = d.decode(before)
		checked := bytes.Clone(line)
		key, times, err := d.decode(line)
		if !bytes.Equal(checked, line) {
			t.Fatal("the line was changed")
		}
		if most := max(len(before), len(line)); cap(d.times) > most+64 || cap(d.metric) > 2*most+64 {
			t.Fatalf("room for %d times and %d bytes of labels, of %d bytes", cap(d.times), cap(d.metric), most)
		}
		var fresh lineDecoder
		freshKey, freshTimes, freshErr := fresh.decode(line)
		if key != freshKey || !slices.Equal(times, freshTimes) || (err == nil) != (freshErr == nil) {
			t.Fatalf("behind another line %s %v %v, alone %s %v %v", key, times, err, freshKey, freshTimes, freshErr)
		}
		if err != nil {
			return
		}
		var want struct {
			Metric     map[string]string
			Values     []json.RawMessage
			Timestamps []int64
		}
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatalf("%s is taken, and no JSON: %s", line, err)
		}
		name := want.Metric[nameLabel]
		delete(want.Metric, nameLabel)
		if wantKey := metricJSON(name, event.LabelsFromMap(want.Metric)); key != wantKey {
			t.Fatalf("the key is %s, want %s", key, wantKey)
		}
		if !slices.Equal(times, want.Timestamps) || len(times) != len(want.Values) {
			t.Fatalf("the times are %v, want %v", times, want.Timestamps)
		}
		var again lineDecoder
		againKey, againTimes, err := again.decode(encodeLine(t, key, times))
		if err != nil || againKey != key || !slices.Equal(againTimes, times) {
			t.Fatalf("%s %v is encoded and decoded as %s %v, %v", key, times, againKey, againTimes, err)
		}
	})
}

// encodeLine writes a line with these labels and times.
func encodeLine(t *testing.T, key string, times []int64) []byte {
	b := append([]byte(`{"metric":`), asMetric(key)...)
	b = append(append(b, `,"values":[0`...), strings.Repeat(",0", len(times)-1)...)
	b = append(b, `],"timestamps":[`...)
	for i, ms := range times {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, ms, 10)
	}
	return append(b, `]}`...)
}

// asMetric returns a key as JSON, which it is not where there is only a name.
func asMetric(key string) string {
	if name, only := strings.CutSuffix(key, ",}"); only {
		return name + "}"
	}
	return key
}
