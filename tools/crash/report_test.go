package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"taffrail/internal/config"
	"taffrail/tools/reconcile"
)

func TestReportSaysWhatFailed(t *testing.T) {
	r := &report{seed: 7, kills: 3, outcome: reconcile.Outcome{Found: 10}}
	if !r.ok() || !strings.HasSuffix(r.line(), ": ok") || r.details() != "" {
		t.Errorf("%s\n%s", r.line(), r.details())
	}
	r.problem(witnessed)
	if !r.ok() {
		t.Error("no problem is one")
	}
	r.outcome.Missing = 7
	r.problem(atReceiver, strings.Split("a b c d e f g", " ")...)
	r.problem(verified, "first\nsecond")
	const want = "  verify: first\n    second\n  receiver: a\n  receiver: b\n  receiver: c\n  receiver: d\n  receiver: e\n  receiver: and 2 more\n"
	if r.ok() || !strings.Contains(r.line(), "7 missing") || !strings.HasSuffix(r.line(), ": FAILED") || r.details() != want {
		t.Errorf("%s\n%s", r.line(), r.details())
	}
}

func TestTotals(t *testing.T) {
	var all totals
	all.add(&report{kills: 3, seen: 5, outcome: reconcile.Outcome{Found: 10}})
	if got, want := all.line(), "total: 1 seeds, 3 kills; 5 appends witnessed, 0 wrong; 10 samples: 0 missing, 0 twice, 0 extra, 0 off: ok"; got != want {
		t.Errorf("got %s", got)
	}
	bad := &report{kills: 2, outcome: reconcile.Outcome{Found: 4, Missing: 1, Twice: 2, Extra: 3, Off: 4}}
	bad.problem(witnessed, "x", "y")
	all.add(bad)
	if got, want := all.line(), "total: 2 seeds, 5 kills; 5 appends witnessed, 2 wrong; 14 samples: 1 missing, 2 twice, 3 extra, 4 off: 1 FAILED"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestConfigurationIsTaken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "taffrail.yaml")
	text := configuration("http://127.0.0.1:2", life{batchSize: 12, chunkSize: 5})
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, warnings, err := config.Load(file, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %q", err, warnings)
	}
	if cfg.Device.ID != owner().DeviceID || cfg.Device.Tags["site"] != owner().Tags["site"] ||
		cfg.Remote.BatchSize != 12 || cfg.Remote.ChunkSize != 5 || cfg.Remote.ClockHold != 0 {
		t.Errorf("got %+v", cfg)
	}
}
