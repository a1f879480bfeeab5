// Package arch checks that the source keeps to the architecture: who imports
// whom, what no package may contain, and what may lie at the top of the
// checkout. Its test applies the rules to the whole checkout.
//
// The rules:
//
//   - A stage (log, projections, collectors, shipper, migrations) imports no
//     other stage and nothing of cmd. They share the words of internal/event,
//     and cmd wires them.
//   - internal/event imports the standard library only.
//   - A package of internal imports no stage and nothing of cmd.
//   - No package of cmd is imported by another program.
//   - internal/victoria, which starts a receiver for tests and the demo, is
//     imported by tests and by the tools module only, and the root module does
//     not depend on VictoriaMetrics.
//   - There are no init functions and no loggers for all: neither those of
//     libraries nor variables.
//
// Files are read whatever their build constraints say, so that the rules hold
// for every platform. Tests may import what they want: joining stages is what
// some are for.
package arch

import (
	"fmt"
	"strings"
)

const root = "taffrail"

// File is what the rules need to know of one Go file.
type File struct {
	Path    string // below the checkout, with slashes
	Package string // import path of its directory
	Test    bool   // whether the name ends in _test.go
	Imports []string
	// Breaches are the findings that concern the file by itself.
	Breaches []string
}

// stages are the directories of the root module that must not know each other.
func stages() []string {
	return []string{"log", "projections", "collectors", "shipper", "migrations"}
}

// CheckImports returns a line for each import that breaks a rule.
func CheckImports(files []File) []string {
	var found []string
	for _, f := range files {
		if f.Test {
			continue
		}
		for _, path := range f.Imports {
			if why := forbidden(f.Package, path); why != "" {
				found = append(found, fmt.Sprintf("%s: imports %s: %s", f.Path, path, why))
			}
		}
	}
	return found
}

// forbidden says why package from must not import package to, or "".
func forbidden(from, to string) string {
	event := root + "/internal/event"
	if within(from, event) && !standard(to) && !within(to, event) {
		return "internal/event imports the standard library only"
	}
	if !within(to, root) {
		return ""
	}
	victoria := root + "/internal/victoria"
	tools := within(from, root+"/tools")
	switch {
	case within(to, victoria) && !within(from, victoria) && !tools:
		return "VictoriaMetrics is for tests and tools"
	case within(to, root+"/cmd") && (!within(from, root+"/cmd") || program(from) != program(to)):
		return "nothing imports a program"
	case tools:
		return ""
	}
	stage := stageOf(to)
	switch {
	case stage == "" || stage == stageOf(from) || within(from, root+"/cmd"):
		return ""
	case within(from, root+"/internal"):
		return "internal packages do not know the stages"
	}
	return "stages do not know each other"
}

// within reports whether path is tree or below it.
func within(path, tree string) bool {
	return path == tree || strings.HasPrefix(path, tree+"/")
}

// standard reports whether path belongs to the standard library: only there
// and in this checkout does the first element have no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && first != root
}

// stageOf returns the stage that a package belongs to, or "".
func stageOf(path string) string {
	for _, s := range stages() {
		if within(path, root+"/"+s) {
			return s
		}
	}
	return ""
}

// program returns the path of the directory below cmd that path belongs to.
func program(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, root+"/cmd/"), "/")
	return name
}

// CheckFiles returns a line for each finding that concerns a file by itself.
func CheckFiles(files []File) []string {
	var found []string
	for _, f := range files {
		for _, b := range f.Breaches {
			found = append(found, f.Path+": "+b)
		}
	}
	return found
}

// CheckRequires returns a line for each module that the root module must not
// require.
func CheckRequires(modules []string) []string {
	var found []string
	for _, m := range modules {
		if strings.Contains(strings.ToLower(m), "victoriametrics") {
			found = append(found, "go.mod: requires "+m+": it is for the tools module")
		}
	}
	return found
}
