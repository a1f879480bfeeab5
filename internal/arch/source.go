package arch

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Load reads every Go file of the checkout at dir, that of the tools module
// included, except what the go command ignores as well.
func Load(dir string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if p != dir && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		below, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an editor's temporary file
		} else if err != nil {
			return err
		}
		f, err := Parse(filepath.ToSlash(below), text)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load source: %w", err)
	}
	return files, nil
}

// Parse reads one Go file; name is its path below the checkout.
func Parse(name string, text []byte) (File, error) {
	syntax, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		return File{}, fmt.Errorf("parse source: %w", err)
	}
	f := File{
		Path:    name,
		Package: path.Join(root, path.Dir(name)),
		Test:    strings.HasSuffix(name, "_test.go"),
	}
	names := make(map[string]string) // what the file calls each import
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return File{}, fmt.Errorf("parse source: %s: import %s: %w", name, spec.Path.Value, err)
		}
		f.Imports = append(f.Imports, imported)
		local := path.Base(imported)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		names[local] = imported
	}
	f.Breaches = breaches(syntax, names, f.Test)
	return f, nil
}

// breaches returns what the file must not contain.
func breaches(syntax *ast.File, names map[string]string, test bool) []string {
	var found []string
	for _, decl := range syntax.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				found = append(found, "has an init function")
			}
		case *ast.GenDecl:
			if d.Tok == token.VAR && !test {
				found = append(found, loggerVars(d, names)...)
			}
		}
	}
	if !test {
		found = append(found, globalLoggers(syntax, names)...)
	}
	return found
}

// loggerVars returns the package's variables that are loggers by their
// declared type or by how they are made.
func loggerVars(decl *ast.GenDecl, names map[string]string) []string {
	var found []string
	for _, spec := range decl.Specs {
		v := spec.(*ast.ValueSpec) // a var declaration has no other specs
		isLogger := isLoggerType(v.Type, names)
		for _, value := range v.Values {
			isLogger = isLogger || makesLogger(value, names)
		}
		if isLogger {
			found = append(found, "has the logger "+v.Names[0].Name+" as a variable of the package")
		}
	}
	return found
}

// isLoggerPackage reports whether the package's Logger type and New function
// are about logs.
func isLoggerPackage(imported string) bool {
	return slices.Contains([]string{"log", "log/slog", "github.com/rs/zerolog"}, imported)
}

func isLoggerType(expr ast.Expr, names map[string]string) bool {
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	imported, name := qualified(expr, names)
	return isLoggerPackage(imported) && name == "Logger"
}

// makesLogger reports whether the expression contains a call that makes one.
func makesLogger(expr ast.Expr, names map[string]string) bool {
	made := false
	ast.Inspect(expr, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			imported, name := qualified(call.Fun, names)
			made = made || isLoggerPackage(imported) && slices.Contains([]string{"New", "Nop", "Default"}, name)
		}
		_, function := n.(*ast.FuncLit)
		return !function // what a function makes is not the variable
	})
	return made
}

// globalLoggers returns the uses of a logger that belongs to all.
func globalLoggers(syntax *ast.File, names map[string]string) []string {
	var found []string
	for _, imported := range names {
		if imported == "github.com/rs/zerolog/log" {
			found = append(found, "imports the logger for all of zerolog")
		}
	}
	ast.Inspect(syntax, func(n ast.Node) bool {
		expr, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		imported, name := qualified(expr, names)
		if usesGlobal(imported, name) {
			found = append(found, "uses the logger for all: "+imported+"."+name)
		}
		return true
	})
	return found
}

// usesGlobal reports whether a name of a log package works on its one global
// logger. What is left over makes a logger, or is a type or a constant.
func usesGlobal(imported, name string) bool {
	var prefixes []string
	switch imported {
	case "log":
		prefixes = []string{"Print", "Fatal", "Panic", "Default", "Set", "Output", "Writer", "Flags", "Prefix"}
	case "log/slog":
		prefixes = []string{"Default", "SetDefault", "Debug", "Info", "Warn", "Error", "Log", "With"}
		if slices.Contains([]string{"Logger", "LogValuer"}, name) || strings.HasPrefix(name, "Level") {
			return false
		}
	case "github.com/rs/zerolog":
		prefixes = []string{"SetGlobalLevel", "DefaultContextLogger"}
	}
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// qualified returns package and name of pkg.Name, or empty strings.
func qualified(expr ast.Expr, names map[string]string) (imported, name string) {
	sel, ok := expr.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok {
		return "", ""
	}
	return names[pkg.Name], sel.Sel.Name
}
