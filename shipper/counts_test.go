package shipper

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
)

const (
	oneItem  = `{"metric":{"site":"quay","__name__":"up","device_id":"boat"},"value":[1780000001,"30"]}`
	oneCount = `{"status":"success","data":{"resultType":"vector","result":[` + oneItem + `]},"stats":{"seriesFetched":"1"}}`
	oneKey   = `{"__name__":"up","device_id":"boat","site":"quay"}`
)

func withResult(result string) string {
	return `{"status":"success","data":{"resultType":"vector","result":` + result + `}}`
}

func TestCountsAreDecoded(t *testing.T) {
	escaped := `{"metric":{"b":"\"\\\n\t\u003c\u0027\u0001\u00e9\ud83d\ude00","a":"/é"},"value":[1.5,"0"]}`
	for body, want := range map[string]map[string]int{
		oneCount:                     {oneKey: 30},
		withResult(`[]`):             {},
		withResult(`[]`) + " \n\r\t": {},
		`{"stats":{"a":[1,{"b":null}]},"data":{"result":[` + oneItem + `],"resultType":"vector"},"isPartial":false,"status":"success"}`: {oneKey: 30},
		withResult(`[` + oneItem + `,` + escaped + `]`):                               {oneKey: 30, `{"__name__":"","a":"/é","b":"\"\\\n\t<'\u0001é😀"}`: 0},
		withResult(`[` + strings.Replace(oneItem, "30", "9007199254740992", 1) + `]`): {oneKey: 1 << 53},
		withResult(`[` + strings.Replace(oneItem, "30", "1e+06", 1) + `]`):            {oneKey: 1_000_000},
	} {
		for name, answer := range map[string]http.HandlerFunc{"plain": says(200, jsonMedia, body), "packed": zippedAnswer(jsonMedia, body, 0)} {
			if got, err := countBoat(t, answering(t, answer)); err != nil || !maps.Equal(got, want) {
				t.Errorf("%s, %s: got %v, %v, want %v", body, name, got, err, want)
			}
		}
	}
}

func TestOtherCountsAreUnknown(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":              "",
		"no object":            `[]`,
		"null":                 `null`,
		"empty object":         `{}`,
		"no JSON":              `{"status":"success","data":{`,
		"no data":              `{"status":"success"}`,
		"null data":            `{"status":"success","data":null}`,
		"null result":          withResult(`null`),
		"no result":            `{"status":"success","data":{"resultType":"vector"}}`,
		"partial":              strings.Replace(oneCount, `"status"`, `"isPartial":true,"status"`, 1),
		"partial at the end":   oneCount[:len(oneCount)-1] + `,"isPartial":true}`,
		"error":                `{"status":"error","errorType":"422","error":"too many"}`,
		"error with a result":  strings.Replace(oneCount, "success", "error", 1),
		"no status":            strings.Replace(oneCount, "status", "state", 1),
		"matrix":               strings.Replace(oneCount, "vector", "matrix", 1),
		"scalar":               `{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}`,
		"more":                 oneCount + `{}`,
		"a page behind":        oneCount + `<html>`,
		"a series twice":       withResult(`[` + oneItem + `,` + oneItem + `]`),
		"a fraction":           strings.Replace(oneCount, `"30"`, `"1.5"`, 1),
		"negative":             strings.Replace(oneCount, `"30"`, `"-1"`, 1),
		"NaN":                  strings.Replace(oneCount, `"30"`, `"NaN"`, 1),
		"infinite":             strings.Replace(oneCount, `"30"`, `"+Inf"`, 1),
		"beyond exact":         strings.Replace(oneCount, `"30"`, `"1e300"`, 1),
		"a number":             strings.Replace(oneCount, `"30"`, `30`, 1),
		"no value":             withResult(`[{"metric":{}}]`),
		"no time":              withResult(`[{"metric":{},"value":["1"]}]`),
		"no labels":            withResult(`[{"value":[1,"1"]}]`),
		"a label of no string": withResult(`[{"metric":{"a":1},"value":[1,"1"]}]`),
		"values":               withResult(`[{"metric":{},"values":[[1,"1"]]}]`),
	} {
		t.Run(name, func(t *testing.T) {
			for _, answer := range []http.HandlerFunc{says(200, jsonMedia, body), zippedAnswer(jsonMedia, body, 0)} {
				if got, err := countBoat(t, answering(t, answer)); !errors.Is(err, errUnknown) || got != nil {
					t.Errorf("got %v, %v", got, err)
				}
			}
		})
	}
	for missing := 1; missing <= 20; missing++ {
		if got, err := countBoat(t, answering(t, zippedAnswer(jsonMedia, oneCount, missing))); !errors.Is(err, errUnknown) || got != nil {
			t.Errorf("without the last %d bytes: got %v, %v", missing, got, err)
		}
	}
	long := oneCount[:len(oneCount)-1] + `,"trace":"` + strings.Repeat("x", maxCounts) + `"}`
	if _, err := countBoat(t, answering(t, says(200, jsonMedia, long))); !errors.Is(err, errTooLong) {
		t.Errorf("a long answer: %v", err)
	}
}

// FuzzDecodeCounts decodes, encodes and compares.
func FuzzDecodeCounts(f *testing.F) {
	seeds := []string{
		oneCount,
		withResult(`[]`),
		withResult(`[{"metric":{"__name__":"a","b":"\"\\\n\u003c"},"value":[1.5,"1e+06"]},` + oneItem + `]`),
		`{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]}}`,
		`{"status":"error","errorType":"422","error":"too many series"}`,
	}
	taken := 0
	for _, seed := range seeds {
		if _, err := decodeCounts(strings.NewReader(seed)); err == nil {
			taken++
		}
		f.Add([]byte(seed))
	}
	if taken != 3 {
		f.Fatalf("%d seeds are taken", taken)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		found, err := decodeCounts(bytes.NewReader(answer))
		if err != nil {
			if found != nil {
				t.Fatalf("%v beside %s", found, err)
			}
			return
		}
		var items []string
		for key, n := range found {
			if n < 0 {
				t.Fatalf("a count of %d", n)
			}
			items = append(items, fmt.Sprintf(`{"metric":%s,"value":[0,"%d"]}`, asMetric(key), n))
		}
		again, err := decodeCounts(strings.NewReader(withResult(`[` + strings.Join(items, ",") + `]`)))
		if err != nil || !maps.Equal(again, found) {
			t.Fatalf("%v is encoded and decoded as %v, %v", found, again, err)
		}
	})
}
