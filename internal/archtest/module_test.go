package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const modulePath = "dhcpsec.example"

// module is what the rules look at.
type module struct {
	fset     *token.FileSet
	packages []*pkg
	requires []string            // modules that go.mod requires directly
	reaches  map[string][]string // import path -> every package it depends on, tests apart
}

// pkg is one package of the module, with its files for every build constraint.
type pkg struct {
	path  string // below the module path: "x509ip"; "." is the root
	files []file
	tests []file
}

type file struct {
	name string // below the module's root: "x509ip/parse.go"
	ast  *ast.File
}

func (p *pkg) importPath() string {
	if p.path == "." {
		return modulePath
	}
	return modulePath + "/" + p.path
}

// importOf is the path that an import names.
func importOf(spec *ast.ImportSpec) string {
	imported, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
	return imported
}

// localName is what the file of an import calls the package.
func localName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return path.Base(strings.TrimSuffix(importOf(spec), "/v2"))
}

// add parses one source file into the package of its folder.
func (m *module) add(name string, source []byte) error {
	parsed, err := parser.ParseFile(m.fset, name, source, parser.ParseComments)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	i := slices.IndexFunc(m.packages, func(p *pkg) bool { return p.path == dir })
	if i < 0 {
		i = len(m.packages)
		m.packages = append(m.packages, &pkg{path: dir})
	}
	p := m.packages[i]
	if strings.HasSuffix(name, "_test.go") {
		p.tests = append(p.tests, file{name, parsed})
	} else {
		p.files = append(p.files, file{name, parsed})
	}
	return nil
}

// load reads the module below root.
func load(t *testing.T, root string) *module {
	t.Helper()
	m := &module{fset: token.NewFileSet(), reaches: make(map[string][]string)}

	decoder := json.NewDecoder(bytes.NewReader(goCommand(t, root, "list", "-deps", "-json=ImportPath,Dir,Deps,Module", "./...")))
	for {
		var listed struct {
			ImportPath, Dir string
			Deps            []string
			Module          *struct{ Main bool }
		}
		err := decoder.Decode(&listed)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		m.reaches[listed.ImportPath] = listed.Deps
		if listed.Module == nil || !listed.Module.Main {
			continue
		}
		dir := strings.TrimPrefix(strings.TrimPrefix(listed.ImportPath, modulePath), "/")
		sources, err := filepath.Glob(filepath.Join(listed.Dir, "*.go"))
		require.NoError(t, err)
		for _, name := range sources {
			source, err := os.ReadFile(name)
			require.NoError(t, err)
			require.NoError(t, m.add(path.Join(dir, filepath.Base(name)), source))
		}
	}

	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	require.NoError(t, json.Unmarshal(goCommand(t, root, "mod", "edit", "-json"), &mod))
	for _, r := range mod.Require {
		if !r.Indirect {
			m.requires = append(m.requires, r.Path)
		}
	}
	return m
}

func goCommand(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go %s: %s", strings.Join(args, " "), stderr.Bytes())
	return out
}

// synthetic is a module made of sources, file name -> text. What a package
// outside of it reaches is given by reaches.
func synthetic(t *testing.T, sources map[string]string, reaches map[string][]string) *module {
	t.Helper()
	m := &module{fset: token.NewFileSet(), reaches: maps.Clone(reaches)}
	if m.reaches == nil {
		m.reaches = make(map[string][]string)
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		require.NoError(t, m.add(name, []byte(sources[name])))
	}
	for _, p := range m.packages {
		m.reaches[p.importPath()] = m.closure(p)
	}
	return m
}

// closure is every package that p reaches by the imports of its files.
func (m *module) closure(p *pkg) []string {
	reached := make(map[string]bool)
	var visit func(p *pkg)
	visit = func(p *pkg) {
		for _, f := range p.files {
			for _, spec := range f.ast.Imports {
				imported := importOf(spec)
				if reached[imported] {
					continue
				}
				reached[imported] = true
				for _, dep := range m.reaches[imported] {
					reached[dep] = true
				}
				if i := slices.IndexFunc(m.packages, func(p *pkg) bool { return p.importPath() == imported }); i >= 0 {
					visit(m.packages[i])
				}
			}
		}
	}
	visit(p)
	return slices.Sorted(maps.Keys(reached))
}

// at is where a violation stands.
func (m *module) at(f file, pos token.Pos) string {
	return fmt.Sprintf("%s:%d", f.name, m.fset.Position(pos).Line)
}
