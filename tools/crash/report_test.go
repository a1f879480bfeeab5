package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	all := totals{mode: "plain"}
	all.add(&report{kills: 3, receiverKills: 2, seen: 5, chunks: 7, outcome: reconcile.Outcome{Found: 10}})
	if got := all.line(); !strings.HasPrefix(got, "plain, total: 1 seeds, 3 kills, receiver 2 kills, ") || !strings.HasSuffix(got, ": ok") {
		t.Errorf("got %s", got)
	}
	bad := &report{kills: 2, receiverKills: 2, lost: 1, chunks: 2, repeated: 1, repairs: 4, rejected: 6, raw: 9,
		outcome: reconcile.Outcome{Found: 4, Missing: 1, Twice: 2, Extra: 3, Off: 4}}
	bad.problem(witnessed, "x", "y")
	bad.problem(planned, "z")
	all.add(bad)
	const want = "plain, total: 2 seeds, 5 kills, receiver 4 kills, 1 answers lost; 5 appends witnessed, 2 wrong; " +
		"9 chunks, 1 again, 1 wrong; 4 repairs; 14 samples: 1 missing, 2 twice, 3 extra, 4 off, 6 rejected (raw twice 9): 1 FAILED"
	if got := all.line(); got != want {
		t.Errorf("got %s", got)
	}
}

func TestConfigurationIsTaken(t *testing.T) {
	for _, m := range modes() {
		file := filepath.Join(t.TempDir(), "taffrail.yaml")
		text := configuration("http://127.0.0.1:2", m, life{upload: time.Second, batchSize: 12, chunkSize: 5})
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, warnings, err := config.Load(file, nil)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%v, warnings %q", err, warnings)
		}
		if cfg.Device.ID != owner().DeviceID || cfg.Device.Tags["site"] != owner().Tags["site"] ||
			cfg.Remote.BatchSize != 12 || cfg.Remote.ChunkSize != 5 || cfg.Remote.ClockHold != 0 ||
			cfg.Remote.UploadInterval.Std() != time.Second || (cfg.Remote.ReadURL == config.ReadOff) == m.reads {
			t.Errorf("got %+v", cfg)
		}
	}
}

func TestFindModes(t *testing.T) {
	for _, m := range modes() {
		if got, err := findModes(m.name); err != nil || len(got) != 1 || got[0].name != m.name || m.lostShare == 0 {
			t.Errorf("%s: %v (%v)", m.name, got, err)
		}
	}
	if got, err := findModes("all"); err != nil || len(got) != len(modes()) {
		t.Errorf("%d modes (%v)", len(got), err)
	}
	if _, err := findModes("none"); err == nil || !strings.Contains(err.Error(), "plain") {
		t.Errorf("error %v", err)
	}
}
