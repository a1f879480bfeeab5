package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"taffrail/internal/config"
)

func TestConfigurationIsTaken(t *testing.T) {
	for _, s := range scenarios() {
		file := filepath.Join(t.TempDir(), "taffrail.yaml")
		if err := os.WriteFile(file, []byte(configuration("http://127.0.0.1:2", &s)), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, warnings, err := config.Load(file, nil)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%s: %v, warnings %q", s.name, err, warnings)
		}
		o := owner()
		if cfg.Device.ID != o.DeviceID || len(cfg.Device.Tags) != len(o.Tags) || cfg.Device.Tags["site"] != o.Tags["site"] ||
			cfg.Remote.ClockHold != 0 || cfg.Log.Retention.MaxAge != 0 || cfg.Remote.UploadInterval.Std() != uploadInterval ||
			cfg.Remote.URL != "http://127.0.0.1:2" {
			t.Errorf("%s: got %+v", s.name, cfg)
		}
	}
	// What the limit of labels is made for.
	if want := 2 + len(owner().Tags); labelLimit != want {
		t.Errorf("every series has %d labels, the limit is %d", want, labelLimit)
	}
}

func TestFindScenarios(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range scenarios() {
		got, err := findScenarios([]string{s.name})
		if err != nil || len(got) != 1 || got[0].name != s.name || s.expect == nil || seen[s.name] {
			t.Errorf("%s: %d found (%v)", s.name, len(got), err)
		}
		if !s.collects && len(s.history.at) == 0 {
			t.Errorf("%s has no samples", s.name)
		}
		seen[s.name] = true
	}
	if got, err := findScenarios(nil); err != nil || len(got) != len(scenarios()) {
		t.Errorf("%d of all (%v)", len(got), err)
	}
	if _, err := findScenarios([]string{"labels", "none"}); err == nil || !strings.Contains(err.Error(), "cut-plain") {
		t.Errorf("error %v", err)
	}
}

func TestScenarioFlags(t *testing.T) {
	s := scenario{dedup: 30 * time.Second, receiver: []string{"-a=b"}}
	if got := strings.Join(s.flags(), " "); got != "-dedup.minScrapeInterval=30s -a=b" {
		t.Errorf("got %s", got)
	}
}

func TestPoisonousLines(t *testing.T) {
	for line, want := range map[string]bool{
		`{"metric":{"__name__":"system_load1","device_id":"faults"},"values":[1]`:              true,
		`{"metric":{"__name__":"system_load1","device_id":"faults","part":"7"},"values":[1]`:   true,
		`{"metric":{"__name__":"system_load1","device_id":"faults","part":"77"},"values":[1]`:  false,
		`{"metric":{"__name__":"system_load15","device_id":"faults"},"values":[1]`:             false,
		`{"metric":{"__name__":"memory_used_bytes","device_id":"faults","part":"7"},"values":`: false,
	} {
		if got := poisonous([]byte(line)); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}
