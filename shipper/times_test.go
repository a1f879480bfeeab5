package shipper

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
)

const oneLine = `{"metric":{"__name__":"up","device_id":"boat","site":"quay"},"values":[1,null],"timestamps":[1780000000000,1780000001000]}` + "\n"

func TestTimesAreDecoded(t *testing.T) {
	many := strings.Repeat(`,0.`+strings.Repeat("0", 300)+`1`, maxLineSamples-1)
	long := fmt.Sprintf(`{"metric":{"a":"b"},"values":[0%s],"timestamps":[1780000000000%s]}`+"\n",
		many, strings.Repeat(",1780000000001", maxLineSamples-1))
	for body, want := range map[string]map[string]int{
		"":                       {},
		oneLine:                  {oneKey: 2},
		oneLine + oneLine:        {oneKey: 4},
		oneLine + long + oneLine: {oneKey: 4, `{"__name__":"","a":"b"}`: maxLineSamples},
	} {
		got, err := gatherTimes(t, answering(t, zippedAnswer(streamMedia, body, 0)), ofBoat, fromMS, toMS)
		if err != nil {
			t.Fatal(err)
		}
		n := make(map[string]int)
		for key, times := range got {
			n[key] = len(times)
		}
		if !maps.Equal(n, want) {
			t.Errorf("got %v, want %v", n, want)
		}
	}
}

func TestOtherTimesAreUnknown(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nContent-Type: " + streamMedia + "\r\n"
	for name, answer := range map[string]struct {
		r    *receiver
		want string
	}{
		"no end of the line":   {answering(t, says(200, streamMedia, oneLine[:len(oneLine)-1])), "unexpected EOF"},
		"a line cut short":     {answering(t, says(200, streamMedia, oneLine+oneLine[:50]+"\n")), "line 2: its labels"},
		"an error behind":      {answering(t, says(200, streamMedia, oneLine+"\ncannot read the index\n")), "line 2"},
		"before the time":      {answering(t, says(200, streamMedia, strings.Replace(oneLine, "1780000000000", "1779999999999", 1))), "not asked for"},
		"after the time":       {answering(t, says(200, streamMedia, strings.Replace(oneLine, "1780000001000", "1780000001001", 1))), "not asked for"},
		"a line without end":   {answering(t, zippedAnswer(streamMedia, oneLine+strings.Repeat("x", maxExportLine+100_000)+"\n", 0)), errTooLong.Error()},
		"an end that is no":    {answering(t, rawAnswer(head+"Connection: close\r\n\r\n"+oneLine)), "not marked"},
		"a short body":         {answering(t, rawAnswer(head+"Content-Length: 1000\r\n\r\n"+oneLine)), "unexpected EOF"},
		"a chunk of the whole": {answering(t, rawAnswer(head+fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(oneLine), oneLine))), "EOF"},
		"packed and cut short": {answering(t, zippedAnswer(streamMedia, oneLine, 9)), "EOF"},
		"JSON":                 {answering(t, says(200, jsonMedia, oneLine)), "application/json"},
		"an empty page":        {answering(t, says(200, textMedia, "")), "text/plain"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := gatherTimes(t, answer.r, ofBoat, fromMS, toMS)
			if !errors.Is(err, errUnknown) || !strings.Contains(err.Error(), answer.want) {
				t.Errorf("got %v, want %q in it", err, answer.want)
			}
		})
	}
}
