package archtest

import (
	"fmt"
	"go/ast"
	"iter"
	"path"
	"slices"
	"strings"
)

const (
	testify  = "github.com/stretchr/testify"
	gopacket = "github.com/google/gopacket"
)

// class says which rules hold for a package.
type class int

const (
	core    class = iota // codecs, machines and what they share
	layer                // gopacket layers over a codec
	example              // a program
	support              // imported by tests only
)

// classOf makes core of everything that is not named here, so a new package is
// under the strictest rules from its first line.
func classOf(p string) class {
	switch {
	case strings.HasPrefix(p, "examples/"):
		return example
	case p == "fuzz", p == "internal/archtest", p == "internal/peertest":
		return support
	case path.Base(p) == "gopkt":
		return layer
	}
	return core
}

// siblings are the public packages of this module that a core package may
// import. A codec, and a package not named here, imports none.
var siblings = map[string][]string{
	"dhcpv6pd": {"certopt", "x509ip"},
	"ikedhcp":  {"relayinfo"},
	"certreq":  {"x509ip"},
	"certpath": {"x509ip"},
}

// certificates are the core packages whose subject is certificates: crypto/x509,
// which drags in net, may stand behind these and no others.
var certificates = []string{"certopt", "x509ip", "dhcpv6pd", "certreq", "certpath"}

// seeds are the functions that may draw on crypto/rand: the documented default
// of a machine that was given no source of randomness.
var seeds = map[string]string{"dhcpv6pd/machine.go": "newRand"}

// requirements are the modules that go.mod may require directly.
var requirements = []string{gopacket, testify, "golang.org/x/crypto"}

// rules, each with what a violation is told.
var rules = []struct {
	name  string
	why   string
	check func(*module) (violations []string)
}{
	{"no I/O", "the caller owns every socket, file and log", noIO},
	{"no clock", "the caller passes the time in and arms the timers", noClock},
	{"no goroutines", "a machine does its work inside the caller's call", noGoroutines},
	{"no ambient randomness", "randomness comes from Config; its default has one place", noAmbientRandomness},
	{"siblings", "an importer of one package gets that package, not the module", onlySiblings},
	{"no test code outside tests", "importers never meet testify or our test helpers", noTestCode},
	{"gopacket in layers and examples only", "its decoders are made for captures, and importing it costs every program", noGopacket},
	{"net and crypto/x509 behind certificates only", "a relay or a gateway does without", noNetBehind},
	{"package comment", "a package says what it is", packageComments},
	{"direct requirements", "every module we require is in our importers' graph", directRequirements},
}

func noIO(m *module) (violations []string) {
	for p, f := range m.sources(core, layer) {
		for _, spec := range f.ast.Imports {
			imported := importOf(spec)
			if imported == "net/netip" {
				continue
			}
			for _, banned := range []string{"net", "os", "syscall", "log"} {
				if within(imported, banned) {
					violations = append(violations, fmt.Sprintf("%s: %s imports %s", m.at(f, spec.Pos()), p.path, imported))
				}
			}
		}
	}
	return violations
}

func noClock(m *module) []string {
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}
	return m.uses("time", func(_ file, _ *ast.FuncDecl, name string) bool { return slices.Contains(clock, name) })
}

func noGoroutines(m *module) (violations []string) {
	for _, f := range m.sources(core) {
		for n := range ast.Preorder(f.ast) {
			if stmt, ok := n.(*ast.GoStmt); ok {
				violations = append(violations, m.at(f, stmt.Pos())+": go statement")
			}
		}
	}
	return violations
}

func noAmbientRandomness(m *module) []string {
	// What is left of math/rand are functions on a generator that the whole program shares.
	own := []string{
		"Rand", "Source", "Source64", "Zipf", "PCG", "ChaCha8",
		"New", "NewSource", "NewZipf", "NewPCG", "NewChaCha8",
	}
	shared := func(_ file, _ *ast.FuncDecl, name string) bool { return !slices.Contains(own, name) }
	violations := m.uses("math/rand", shared)
	violations = append(violations, m.uses("math/rand/v2", shared)...)
	return append(violations, m.uses("crypto/rand", func(f file, in *ast.FuncDecl, _ string) bool {
		return in == nil || in.Name.Name != seeds[f.name]
	})...)
}

func onlySiblings(m *module) (violations []string) {
	for p, f := range m.sources(core, layer) {
		allowed := siblings[p.path]
		if classOf(p.path) == layer {
			allowed = []string{path.Dir(p.path)}
		}
		for _, spec := range f.ast.Imports {
			sibling, ok := strings.CutPrefix(importOf(spec), modulePath+"/")
			if !ok || strings.HasPrefix(sibling, "internal/") || slices.Contains(allowed, sibling) {
				continue
			}
			violations = append(violations, fmt.Sprintf("%s: %s imports %s", m.at(f, spec.Pos()), p.path, sibling))
		}
	}
	return violations
}

func noTestCode(m *module) []string {
	isTestCode := func(_ *pkg, imported string) bool {
		own, ok := strings.CutPrefix(imported, modulePath+"/")
		return within(imported, testify) || ok && classOf(own) == support
	}
	return m.reaching(isTestCode, core, layer, example)
}

func noGopacket(m *module) []string {
	return m.reaching(func(_ *pkg, imported string) bool { return within(imported, gopacket) }, core, support)
}

func noNetBehind(m *module) []string {
	return m.reaching(func(p *pkg, imported string) bool {
		return !slices.Contains(certificates, p.path) && (imported == "net" || imported == "crypto/x509")
	}, core)
}

func packageComments(m *module) (violations []string) {
	for _, p := range m.packages {
		all := slices.Concat(p.files, p.tests)
		want := "Package " + all[0].ast.Name.Name + " "
		if all[0].ast.Name.Name == "main" {
			want = "" // a program's comment starts with its own name
		}
		if !slices.ContainsFunc(all, func(f file) bool {
			return f.ast.Doc != nil && strings.HasPrefix(f.ast.Doc.Text(), want)
		}) {
			violations = append(violations, fmt.Sprintf("%s: no comment that starts with %q", p.path, want))
		}
	}
	return violations
}

func directRequirements(m *module) (violations []string) {
	for _, required := range m.requires {
		if !slices.Contains(requirements, required) {
			violations = append(violations, "go.mod: requires "+required)
		}
	}
	return violations
}

// sources is every file, tests apart, of the packages of these classes.
func (m *module) sources(classes ...class) iter.Seq2[*pkg, file] {
	return func(yield func(*pkg, file) bool) {
		for _, p := range m.packages {
			if !slices.Contains(classes, classOf(p.path)) {
				continue
			}
			for _, f := range p.files {
				if !yield(p, f) {
					return
				}
			}
		}
	}
}

// uses is where core files use a name of the package imported for which banned
// says so. in is the function around it, nil at package level.
func (m *module) uses(imported string, banned func(f file, in *ast.FuncDecl, name string) bool) (violations []string) {
	for _, f := range m.sources(core) {
		for _, spec := range f.ast.Imports {
			if importOf(spec) != imported {
				continue
			}
			local := localName(spec)
			if local == "." {
				violations = append(violations, fmt.Sprintf("%s: dot import of %s", m.at(f, spec.Pos()), imported))
				continue
			}
			for _, decl := range f.ast.Decls {
				in, _ := decl.(*ast.FuncDecl)
				for n := range ast.Preorder(decl) {
					sel, ok := n.(*ast.SelectorExpr)
					if !ok {
						continue
					}
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == local && banned(f, in, sel.Sel.Name) {
						violations = append(violations, fmt.Sprintf("%s: %s.%s", m.at(f, sel.Pos()), imported, sel.Sel.Name))
					}
				}
			}
		}
	}
	return violations
}

// reaching is every import by a package of these classes that is, or leads to, a
// package for which banned says so.
func (m *module) reaching(banned func(by *pkg, imported string) bool, classes ...class) (violations []string) {
	for p, f := range m.sources(classes...) {
		bannedHere := func(imported string) bool { return banned(p, imported) }
		for _, spec := range f.ast.Imports {
			imported := importOf(spec)
			what := fmt.Sprintf("%s: %s imports %s", m.at(f, spec.Pos()), p.path, imported)
			if bannedHere(imported) {
				violations = append(violations, what)
			} else if i := slices.IndexFunc(m.reaches[imported], bannedHere); i >= 0 {
				violations = append(violations, what+", which reaches "+m.reaches[imported][i])
			}
		}
	}
	return violations
}

// within tells whether an import path is the package parent or below it.
func within(imported, parent string) bool {
	return imported == parent || strings.HasPrefix(imported, parent+"/")
}
