package shipper

import (
	"net/http"
	"testing"
	"time"
)

func TestReadBase(t *testing.T) {
	const node = "http://vm.test:8428/api/v1/import"
	for _, c := range []struct {
		importURL, readURL string
		base               string
		ok                 bool
	}{
		{node, "", "http://vm.test:8428", true},
		{node + "/", "", "http://vm.test:8428", true},
		{"https://[::1]:8428/api/v1/import", "", "https://[::1]:8428", true},
		{"https://a:b%40c@vm.test/api/v1/import", "", "https://a:b%40c@vm.test", true},
		{"https://vm.test/far/away/api/v1/import?authKey=x#y", "", "https://vm.test/far/away", true},
		{"http://vm.test/a%2Fb/api/v1/import", "", "http://vm.test/a%2Fb", true},
		{"http://vm.test/prometheus/api/v1/import", "", "http://vm.test/prometheus", true},
		{"http://vm.test:8480/insert/0/prometheus/api/v1/import", "", "http://vm.test:8480/select/0/prometheus", true},
		{"http://vm.test:8480/insert/7:12/prometheus/api/v1/import", "", "http://vm.test:8480/select/7:12/prometheus", true},
		{"http://vm.test/pre/insert/7/prometheus/api/v1/import", "", "http://vm.test/pre/select/7/prometheus", true},
		{"http://vm.test/insert/insert/prometheus/api/v1/import", "", "http://vm.test/select/insert/prometheus", true},

		{"http://vm.test/insert/multitenant/prometheus/api/v1/import", "", "", false},
		{node + "?extra_label=site=quay", "", "", false},
		{"http://vm.test:8428/api/v1/write", "", "", false},
		{"http://vm.test:8428/", "", "", false},
		{"ftp://vm.test/api/v1/import", "", "", false},
		{"/api/v1/import", "", "", false},
		{"http://%zz/api/v1/import", "", "", false},
		{"", "", "", false},

		{node, "off", "", true},
		{node, "http://read.test", "http://read.test", true},
		{node, "http://read.test/", "http://read.test", true},
		{node, "http://u:p@read.test:1/select/0/prometheus//", "http://u:p@read.test:1/select/0/prometheus", true},
		{node, "http://read.test/api/v1", "http://read.test", true},
		{node, "http://read.test/api/v1/", "http://read.test", true},
		{node, "http://read.test/api/v1/query?query=up", "http://read.test", true},
		{node, "http://read.test/select/0/prometheus/api/v1/export", "http://read.test/select/0/prometheus", true},
		{node, "http://read.test/api/v10", "http://read.test/api/v10", true},
		{"http://vm.test/any", "http://read.test", "http://read.test", true},
		{node, "read.test", "", false},
		{node, "OFF", "", false},
	} {
		base, ok := ReadBase(c.importURL, c.readURL)
		if base != c.base || ok != c.ok {
			t.Errorf("ReadBase(%q, %q) is %q, %v, want %q, %v", c.importURL, c.readURL, base, ok, c.base, c.ok)
		}
		if again, ok := ReadBase("", base); base != "" && (again != base || !ok) {
			t.Errorf("the base %q becomes %q, %v", base, again, ok)
		}
	}
}

func TestReceiverAtBase(t *testing.T) {
	for base, want := range map[string]string{
		"":                              "",
		"no address":                    "",
		"http://vm.test:8428":           "http://vm.test:8428/metrics",
		"http://vm.test/pre":            "http://vm.test/pre/metrics",
		"http://vm.test/prometheus":     "http://vm.test/metrics",
		"http://vm.test/pre/prometheus": "http://vm.test/pre/metrics",
		"http://u:p@vm.test:8481/select/7:0/prometheus":  "http://u:p@vm.test:8481/metrics",
		"http://vm.test/pre/select/0/prometheus":         "http://vm.test/pre/metrics",
		"http://vm.test/select/0":                        "http://vm.test/metrics",
		"http://vm.test/a%2Fb/select/0/prometheus":       "http://vm.test/a%2Fb/metrics",
		"http://vm.test/prometheus/select/0/prometheus/": "http://vm.test/prometheus/metrics",
	} {
		r := newReceiver(http.DefaultClient, Remote{Timeout: time.Second}, base)
		if r == nil {
			if want != "" {
				t.Errorf("there is no receiver at %q", base)
			}
			continue
		}
		if got := r.root.JoinPath("metrics").String(); got != want {
			t.Errorf("the metrics of %q are at %q, want %q", base, got, want)
		}
	}
}
