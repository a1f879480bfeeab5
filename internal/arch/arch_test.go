package arch

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"taffrail/internal/victoria"
)

func checkout(t *testing.T) string {
	t.Helper()
	dir, err := victoria.Root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func report(t *testing.T, found []string) {
	t.Helper()
	for _, f := range found {
		t.Error(f)
	}
}

// TestCheckout applies every rule to the checkout.
func TestCheckout(t *testing.T) {
	dir := checkout(t)
	files, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	// Without these the checkout was not read, and nothing would be found.
	for _, want := range []string{"internal/event/event.go", "internal/arch/arch_test.go", "internal/victoria/child/attributes_other.go"} {
		if !slices.ContainsFunc(files, func(f File) bool { return f.Path == want }) {
			t.Errorf("%s was not read", want)
		}
	}
	report(t, CheckImports(files))
	report(t, CheckFiles(files))
	report(t, CheckRequires(requires(t, dir)))
	report(t, CheckTop(top(t, dir), lines(t, filepath.Join(dir, ".gitignore"))))
}

func requires(t *testing.T, dir string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "-C", dir, "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct{ Require []struct{ Path string } }
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, r := range mod.Require {
		paths = append(paths, r.Path)
	}
	return paths
}

func top(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return names
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}

func TestImportRules(t *testing.T) {
	const zerolog = "github.com/rs/zerolog"
	for _, c := range []struct {
		from, to string
		test     bool
		broken   bool
	}{
		{from: "taffrail/log", to: "taffrail/shipper", broken: true},
		{from: "taffrail/log/inner", to: "taffrail/collectors", broken: true},
		{from: "taffrail/shipper", to: "taffrail/log", broken: true},
		{from: "taffrail/shipper", to: "taffrail/log", test: true},
		{from: "taffrail/projections", to: "taffrail/migrations", broken: true},
		{from: "taffrail/collectors", to: "taffrail/cmd/taffrail", broken: true},
		{from: "taffrail/log", to: "taffrail/log/inner"},
		{from: "taffrail/log", to: "taffrail/internal/event"},
		{from: "taffrail/log", to: zerolog},
		{from: "taffrail/logs", to: "taffrail/log", broken: true},

		{from: "taffrail/internal/event", to: "taffrail/internal/config", broken: true},
		{from: "taffrail/internal/event", to: "taffrail/log", broken: true},
		{from: "taffrail/internal/event", to: zerolog, broken: true},
		{from: "taffrail/internal/event", to: "encoding/json"},

		{from: "taffrail/internal/health", to: "taffrail/shipper", broken: true},
		{from: "taffrail/internal/health", to: "taffrail/cmd/taffrail", broken: true},
		{from: "taffrail/internal/health", to: "taffrail/internal/event"},

		{from: "taffrail/cmd/taffrail", to: "taffrail/internal/victoria", broken: true},
		{from: "taffrail/shipper", to: "taffrail/internal/victoria/child", broken: true},
		{from: "taffrail/internal/arch", to: "taffrail/internal/victoria", broken: true},
		{from: "taffrail/shipper", to: "taffrail/internal/victoria", test: true},
		{from: "taffrail/internal/victoria", to: "taffrail/internal/victoria/child"},
		{from: "taffrail/tools/demo", to: "taffrail/internal/victoria"},

		{from: "taffrail/cmd/taffrail", to: "taffrail/cmd/logtool", broken: true},
		{from: "taffrail/tools/demo", to: "taffrail/cmd/taffrail", broken: true},
		{from: "taffrail/cmd/taffrail", to: "taffrail/cmd/taffrail/inner"},
		{from: "taffrail/cmd/taffrail", to: "taffrail/log"},
		{from: "taffrail/tools/demo", to: "taffrail/log"},
	} {
		found := CheckImports([]File{{Path: "f.go", Package: c.from, Test: c.test, Imports: []string{"fmt", c.to}}})
		if broken := len(found) > 0; broken != c.broken {
			t.Errorf("%s imports %s (test: %v): found %q", c.from, c.to, c.test, found)
		}
	}
}

func TestFileRules(t *testing.T) {
	for _, c := range []struct {
		name, text string
		found      int
	}{
		{"a.go", "package a\nfunc init() {}", 1},
		{"a_test.go", "package a\nfunc init() {}", 1},
		{"a.go", "package a\ntype t int\nfunc (t) init() {}", 0},
		{"a.go", "package a\nimport \"log\"\nfunc f() { log.Printf(\"x\") }", 1},
		{"a.go", "package a\nimport l \"log\"\nfunc f() { l.Fatal(\"x\") }", 1},
		{"a.go", "package a\nimport \"log\"\nfunc f() { g(log.Println) }", 1},
		{"a.go", "package a\nimport \"log\"\nfunc f() *log.Logger { return log.New(nil, \"\", 0) }", 0},
		{"a.go", "package a\nimport log \"taffrail/log\"\nfunc f() { log.Printf() }", 0},
		{"a.go", "package a\nimport \"log/slog\"\nfunc f() { slog.Info(\"x\") }", 1},
		{"a.go", "package a\nimport \"log/slog\"\nfunc f(l *slog.Logger) { l.Info(\"x\", slog.LevelInfo) }", 0},
		{"a.go", "package a\nimport \"github.com/rs/zerolog/log\"\nfunc f() { log.Info() }", 1},
		{"a.go", "package a\nimport \"github.com/rs/zerolog\"\nfunc f() { zerolog.SetGlobalLevel(1) }", 1},
		{"a.go", "package a\nimport \"github.com/rs/zerolog\"\nvar l zerolog.Logger", 1},
		{"a.go", "package a\nimport \"log/slog\"\nvar l *slog.Logger", 1},
		{"a.go", "package a\nimport \"github.com/rs/zerolog\"\nvar l = zerolog.New(nil).With().Logger()", 1},
		{"a.go", "package a\nimport \"github.com/rs/zerolog\"\nfunc f() { l := zerolog.Nop(); _ = l }", 0},
		{"a.go", "package a\nimport \"github.com/rs/zerolog\"\ntype t struct { l zerolog.Logger }", 0},
		{"a_test.go", "package a\nimport \"log\"\nfunc f() { log.Print() }", 0},
	} {
		f, err := Parse(c.name, []byte(c.text))
		if err != nil {
			t.Error(err)
			continue
		}
		if found := CheckFiles([]File{f}); len(found) != c.found {
			t.Errorf("%s: found %q, want %d", c.text, found, c.found)
		}
	}
	if _, err := Parse("a.go", []byte("package")); err == nil {
		t.Error("a file that is no Go was read")
	}
}

func TestRequireRules(t *testing.T) {
	if found := CheckRequires([]string{"github.com/rs/zerolog", "github.com/VictoriaMetrics/metrics"}); len(found) != 1 {
		t.Errorf("found %q", found)
	}
}

func TestTopRules(t *testing.T) {
	entries := []string{"cmd/", ".ci/", ".gitignore", "go.mod", "taffrail-data/", "a.test", // these may
		"pkg/", "main.go", "LICENSE.txt", "cmd", "b/"} // these may not
	found := CheckTop(entries, []string{"# a comment", "/taffrail-data/", "*.test", "", "cmd/"})
	if want := 5; len(found) != want {
		t.Errorf("found %q, want %d", found, want)
	}
}
