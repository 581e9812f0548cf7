package archtest

import (
	"path"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModule(t *testing.T) {
	m := load(t, "../..")
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, violation := range rule.check(m) {
				t.Errorf("%s\n\trule: %s: %s", violation, rule.name, rule.why)
			}
		})
	}
}

// The rules are worth nothing if the loader finds nothing to hold them against.
func TestLoadSeesTheModule(t *testing.T) {
	m := load(t, "../..")
	var wire *pkg
	for _, p := range m.packages {
		if p.path == "internal/wire" {
			wire = p
		}
	}
	require.NotNil(t, wire, "internal/wire is a package of the module")
	require.NotEmpty(t, wire.files)
	require.NotEmpty(t, wire.tests)
	require.Contains(t, m.reaches[wire.importPath()], "encoding/binary")
	require.NotContains(t, m.reaches[wire.importPath()], "testing", "what tests import does not count")
	require.NotEmpty(t, m.requires)
}

func TestEachRuleCanFail(t *testing.T) {
	outside := map[string][]string{
		"net/http":                          {"net", "os", "syscall"},
		"crypto/x509":                       {"net", "os"},
		"github.com/google/gopacket/layers": {"github.com/google/gopacket", "net"},
		"example.com/capture":               {"github.com/google/gopacket"},
		"example.com/assertions":            {"github.com/stretchr/testify/assert"},
	}
	for _, tt := range []struct {
		name, rule string
		file       string
		source     string
		want       string // "" when the rule has nothing against it
	}{
		{"a codec imports net", "no I/O", "x509ip/a.go", `import "net"`, "x509ip/a.go:2: x509ip imports net"},
		{"a machine imports os", "no I/O", "ikedhcp/a.go", `import "os"`, "ikedhcp imports os"},
		{"an internal package imports syscall", "no I/O", "internal/dhcp4/a.go", `import "syscall"`, "imports syscall"},
		{"a package nobody has classified imports log", "no I/O", "brandnew/a.go", `import "log"`, "brandnew imports log"},
		{"log/slog is a log", "no I/O", "certreq/a.go", `import "log/slog"`, "imports log/slog"},
		{"net/http is the net", "no I/O", "certreq/a.go", `import "net/http"`, "imports net/http"},
		{"os/exec under another name", "no I/O", "certreq/a.go", `import bytes "os/exec"`, "imports os/exec"},
		{"a layer imports net", "no I/O", "certopt/gopkt/a.go", `import "net"`, "imports net"},
		{"net/netip is fine", "no I/O", "x509ip/a.go", `import "net/netip"`, ""},
		{"a test owns its sockets", "no I/O", "x509ip/a_test.go", `import "net"`, ""},
		{"an example owns its sockets", "no I/O", "examples/relay4/a.go", `import "net"`, ""},

		{"time.Now", "no clock", "dhcpv6pd/a.go", "import \"time\"\nvar start = time.Now()", "dhcpv6pd/a.go:3: time.Now"},
		{"time.Since", "no clock", "dhcpv6pd/a.go", "import \"time\"\nfunc f(t time.Time) { time.Since(t) }", "time.Since"},
		{"time.AfterFunc", "no clock", "dhcpv6pd/a.go", "import clock \"time\"\nfunc f() { clock.AfterFunc(1, nil) }", "time.AfterFunc"},
		{"a function value", "no clock", "dhcpv6pd/a.go", "import \"time\"\nvar now = time.Now", "time.Now"},
		{"a second name for it", "no clock", "dhcpv6pd/a.go", "import \"time\"\nimport t2 \"time\"\nvar start = t2.Now()\nvar d time.Duration", "time.Now"},
		{"a dot import", "no clock", "dhcpv6pd/a.go", "import . \"time\"\nvar start = Now()", "dot import of time"},
		{"time.Unix is arithmetic", "no clock", "dhcpv6pd/a.go", "import \"time\"\nvar epoch = time.Unix(0, 0)", ""},
		{"Now of something else", "no clock", "dhcpv6pd/a.go", "var x = machine.Now()", ""},

		{"a goroutine", "no goroutines", "dhcpv6pd/a.go", "func f() {\n\tgo f()\n}", "dhcpv6pd/a.go:3: go statement"},

		{"the shared generator", "no ambient randomness", "dhcpv6pd/a.go", "import \"math/rand/v2\"\nvar n = rand.IntN(6)", "dhcpv6pd/a.go:3: math/rand/v2.IntN"},
		{"the old shared generator", "no ambient randomness", "ikedhcp/a.go", "import \"math/rand\"\nvar n = rand.Intn(6)", "math/rand.Intn"},
		{"crypto/rand", "no ambient randomness", "dhcpv6pd/a.go", "import \"crypto/rand\"\nvar r = rand.Reader", "crypto/rand.Reader"},
		{"crypto/rand elsewhere in the file of the default", "no ambient randomness", "dhcpv6pd/machine.go", "import crand \"crypto/rand\"\nfunc g() { crand.Text() }", "crypto/rand.Text"},
		{"the documented default", "no ambient randomness", "dhcpv6pd/machine.go", "import crand \"crypto/rand\"\nfunc newRand() { crand.Read(nil) }", ""},
		{"an own generator", "no ambient randomness", "dhcpv6pd/a.go", "import \"math/rand/v2\"\nfunc f(s rand.Source) *rand.Rand { return rand.New(s) }", ""},

		{"a codec imports a codec", "siblings", "certopt/a.go", `import "dhcpsec.example/x509ip"`, "certopt/a.go:2: certopt imports x509ip"},
		{"a codec imports a machine", "siblings", "relayinfo/a.go", `import "dhcpsec.example/ikedhcp"`, "relayinfo imports ikedhcp"},
		{"what all share imports a codec", "siblings", "internal/wire/a.go", `import "dhcpsec.example/x509ip"`, "internal/wire imports x509ip"},
		{"a machine imports another's codec", "siblings", "ikedhcp/a.go", `import "dhcpsec.example/x509ip"`, "ikedhcp imports x509ip"},
		{"a layer over somebody else's codec", "siblings", "certopt/gopkt/a.go", `import "dhcpsec.example/x509ip"`, "certopt/gopkt imports x509ip"},
		{"a layer over its codec", "siblings", "certopt/gopkt/a.go", `import "dhcpsec.example/certopt"`, ""},
		{"a machine imports its codecs", "siblings", "dhcpv6pd/a.go", `import "dhcpsec.example/certopt"`, ""},
		{"a codec imports what all share", "siblings", "certopt/a.go", `import "dhcpsec.example/internal/wire"`, ""},

		{"testify in the code", "no test code outside tests", "x509ip/a.go", `import "github.com/stretchr/testify/require"`, "x509ip imports github.com/stretchr/testify/require"},
		{"testify behind a helper", "no test code outside tests", "examples/inspect/a.go", `import "example.com/assertions"`, "which reaches github.com/stretchr/testify/assert"},
		{"our own test helper in the code", "no test code outside tests", "x509ip/a.go", `import "dhcpsec.example/internal/peertest"`, "imports dhcpsec.example/internal/peertest"},
		{"testify in a test", "no test code outside tests", "x509ip/a_test.go", `import "github.com/stretchr/testify/require"`, ""},

		{"gopacket in a codec", "gopacket in layers and examples only", "relayinfo/a.go", `import "github.com/google/gopacket/layers"`, "relayinfo imports github.com/google/gopacket/layers"},
		{"gopacket behind something", "gopacket in layers and examples only", "relayinfo/a.go", `import "example.com/capture"`, "which reaches github.com/google/gopacket"},
		{"gopacket in a layer", "gopacket in layers and examples only", "relayinfo/gopkt/a.go", `import "github.com/google/gopacket"`, ""},
		{"gopacket in an example", "gopacket in layers and examples only", "examples/inspect/a.go", `import "github.com/google/gopacket"`, ""},
		{"gopacket in a test", "gopacket in layers and examples only", "relayinfo/a_test.go", `import "github.com/google/gopacket"`, ""},

		{"certificates in the relay", "net and crypto/x509 behind certificates only", "relayinfo/a.go", `import "crypto/x509"`, "relayinfo imports crypto/x509"},
		{"net behind the gateway", "net and crypto/x509 behind certificates only", "ikedhcp/a.go", `import "net/http"`, "ikedhcp imports net/http, which reaches net"},
		{"net behind what all share", "net and crypto/x509 behind certificates only", "internal/dhcp6/a.go", `import "net/http"`, "reaches net"},
		{"certificates where they are the subject", "net and crypto/x509 behind certificates only", "x509ip/a.go", `import "crypto/x509"`, ""},
	} {
		t.Run(tt.rule+"/"+tt.name, func(t *testing.T) {
			name := path.Base(path.Dir(tt.file))
			m := synthetic(t, map[string]string{tt.file: "package " + name + "\n" + tt.source}, outside)
			violations := check(t, tt.rule, m)
			if tt.want == "" {
				require.Empty(t, violations)
				return
			}
			require.Len(t, violations, 1)
			require.Contains(t, violations[0], tt.want)
		})
	}
}

func TestReachingGoesThroughOurOwnPackages(t *testing.T) {
	m := synthetic(t, map[string]string{
		"ikedhcp/a.go":        `package ikedhcp; import "dhcpsec.example/relayinfo"`,
		"relayinfo/a.go":      `package relayinfo; import "dhcpsec.example/internal/dhcp4"`,
		"internal/dhcp4/a.go": `package dhcp4; import "crypto/x509"`,
	}, nil)
	violations := check(t, "net and crypto/x509 behind certificates only", m)
	require.Contains(t, violations, "ikedhcp/a.go:1: ikedhcp imports dhcpsec.example/relayinfo, which reaches crypto/x509")
}

func TestPackageCommentRuleCanFail(t *testing.T) {
	const rule = "package comment"
	for _, tt := range []struct {
		name    string
		sources map[string]string
		fails   bool
	}{
		{"no comment", map[string]string{"x509ip/a.go": "package x509ip"}, true},
		{"another package's comment", map[string]string{"x509ip/a.go": "// Package certopt is.\npackage x509ip"}, true},
		{"a comment that is detached", map[string]string{"x509ip/a.go": "// Package x509ip is.\n\npackage x509ip"}, true},
		{"a program without one", map[string]string{"examples/inspect/main.go": "package main"}, true},
		{"in one file of two", map[string]string{"x509ip/a.go": "package x509ip", "x509ip/doc.go": "// Package x509ip is.\npackage x509ip"}, false},
		{"a program", map[string]string{"examples/inspect/main.go": "// Inspect decodes.\npackage main"}, false},
		{"a package of tests", map[string]string{"fuzz/a_test.go": "// Package fuzz is.\npackage fuzz"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.fails, len(check(t, rule, synthetic(t, tt.sources, nil))) > 0)
		})
	}
}

func TestDirectRequirementsRuleCanFail(t *testing.T) {
	const rule = "direct requirements"
	require.Empty(t, check(t, rule, &module{requires: []string{"golang.org/x/crypto"}}))
	require.Equal(t, []string{"go.mod: requires example.com/heavy"},
		check(t, rule, &module{requires: []string{"golang.org/x/crypto", "example.com/heavy"}}))
}

// check is what the rule called name has against m.
func check(t *testing.T, name string, m *module) []string {
	t.Helper()
	for _, rule := range rules {
		if rule.name == name {
			return rule.check(m)
		}
	}
	t.Fatalf("there is no rule %q", name)
	return nil
}
