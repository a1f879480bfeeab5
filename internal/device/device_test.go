package device

import (
	"os"
	"path/filepath"
	"testing"

	"taffrail/internal/event"
)

func TestIDPrefersWhatSurvivesReinstallation(t *testing.T) {
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	const serial, machine = "proc/device-tree/serial-number", "etc/machine-id"
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"serial of the board", map[string]string{serial: "10000000deadbeef\x00", machine: "aa\n"}, "10000000deadbeef"},
		{"blank serial", map[string]string{serial: "\x00", machine: "0123456789abcdef0123456789abcdef\n"}, "3c64463112db2693"},
		{"nothing but a name", nil, hostname},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			for path, content := range test.files {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := (Roots{Root: root}).ID(); got != test.want {
				t.Errorf("ID() = %q, want %q", got, test.want)
			}
		})
	}
}

func TestClockOfThisSystem(t *testing.T) {
	before, _ := Clock{}.Now()
	after, _ := Clock{}.Now()
	if before.WallMS < event.PlausibleSinceMS || before.BootMS <= 0 {
		t.Errorf("the clock shows %+v", before)
	}
	if after.BootMS < before.BootMS {
		t.Errorf("boot time went from %d to %d", before.BootMS, after.BootMS)
	}
	if (Roots{}).BootID() == "" {
		t.Error("no boot id")
	}
}
