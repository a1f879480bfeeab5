package agent

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

func TestWithoutSettingsKeepsTheRest(t *testing.T) {
	got := withoutSettings([]string{"HOME=/h", "TAFFRAIL_REMOTE_URL=http://elsewhere", "PATH=/b"})
	if want := []string{"HOME=/h", "PATH=/b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCountsReadHealthOfAnyStatus(t *testing.T) {
	for _, c := range []struct {
		body string
		want Counts
		ok   bool
	}{
		{`{"status":"error","components":{"log":{"details":{"last_index":9}},
			"uploader":{"details":{"appended_samples":7,"acknowledged_samples":5,"cursor":4}}}}`, Counts{9, 7, 5, 4}, true},
		{`{"components":{"log":{"details":{}}}}`, Counts{}, false},
		{`{"components":{"log":{"details":{}},"uploader":{}}}`, Counts{}, false},
		{`<html>`, Counts{}, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(c.body))
		}))
		got, err := (&Daemon{URL: server.URL}).Counts(t.Context())
		server.Close()
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("%s: got %+v, %v", c.body, got, err)
		}
	}
}
