package x509ip

import (
	"crypto/x509"
	"encoding/pem"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/peertest"
)

// openssl runs the command and returns what it printed, on both channels. What
// it refuses shows in the text.
func openssl(t *testing.T, arguments ...string) string {
	t.Helper()
	c := exec.Command(peertest.Need(t, "openssl", "openssl"), arguments...)
	c.Env = append(os.Environ(), "OPENSSL_CONF=/dev/null")
	out, err := c.CombinedOutput()
	require.NotEmpty(t, out, "openssl %s: %v", arguments[0], err)
	return string(out)
}

func pemFile(t *testing.T, certificates ...*x509.Certificate) string {
	t.Helper()
	var text []byte
	for _, c := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	file := filepath.Join(t.TempDir(), "certificates.pem")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

// opensslVerify returns "OK" or the number of the error.
func opensslVerify(t *testing.T, leaf, ca, root *x509.Certificate) string {
	t.Helper()
	out := openssl(t, "verify", "-attime", strconv.FormatInt(midway.Unix(), 10),
		"-trusted", pemFile(t, root), "-untrusted", pemFile(t, ca), pemFile(t, leaf))
	if number := regexp.MustCompile(`error (\d+) at`).FindStringSubmatch(out); number != nil {
		return number[1]
	}
	require.Contains(t, out, ": OK")
	return "OK"
}

func TestInteropVerify(t *testing.T) {
	root := authority(t, "root", nil, blocksOf(t, "10.0.0.0/8", "2001:db8::/32"))
	safiRoot := authority(t, "root", nil, mustParse(t, ipv6AndSAFI1))
	tests := []struct {
		name     string
		root     *x509.Certificate
		ca, leaf Blocks
		want     string // 46: "RFC 3779 resource not subset of parent's resources"
	}{
		{"nested", root, blocksOf(t, "2001:db8::/40"), blocksOf(t, "2001:db8:0:100::/56"), "OK"},
		{"ranges", root, blocksOf(t, "10.0.1.0/24", "10.0.2.0/24", "2001:db8:1::/48", "2001:db8:2::/48"), blocksOf(t, "10.0.1.128/25", "10.0.2.0/25", "2001:db8:2::/56"), "OK"},
		{"leaf claims more", root, blocksOf(t, "2001:db8::/40"), blocksOf(t, "2001:db8:100::/56"), "46"},
		{"authority claims more", root, blocksOf(t, "2001:d00::/24"), blocksOf(t, "2001:db8::/56"), "46"},
		{"family that the issuer lacks", root, blocksOf(t, "10.0.0.0/8"), blocksOf(t, "2001:db8::/56"), "46"},
		{"inherit", root, mustParse(t, inheritIPv6), mustParse(t, inheritIPv6), "OK"},
		{"more than what is inherited", root, mustParse(t, inheritIPv6), blocksOf(t, "2001:db9::/56"), "46"},
		{"SAFI", safiRoot, mustParse(t, ipv6AndSAFI1), blocksOf(t, "2001:db8:1::/56"), "OK"},
		{"SAFI is no substitute", safiRoot, mustParse(t, ipv6AndSAFI1), blocksOf(t, "2001:db8:2::/56"), "46"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ca := authority(t, "ca", tt.root, tt.ca)
			leaf := router(t, ca, tt.leaf)
			require.Equal(t, tt.want, opensslVerify(t, leaf, ca, tt.root))
			err := VerifyPath([]*x509.Certificate{leaf, ca, tt.root})
			require.Equal(t, tt.want == "OK", err == nil, "ours: %v", err)
		})
	}
}

// Random blocks, of which OpenSSL has to find each canonical, and has to agree
// on whether they nest.
func TestInteropVerifyRandom(t *testing.T) {
	root := authority(t, "root", nil, blocksOf(t, "10.0.0.0/8", "2001:db8::/32"))
	r := rand.New(rand.NewPCG(19, 20))
	verdicts := make(map[string]int)
	for range 30 {
		// What the leaf claims is often, but not always, some of what its issuer has.
		held, err := FromPrefixes(slices.Concat(randomPrefixes(r, 20), prefixes("2001:db8:ff::/48"))...)
		require.NoError(t, err)
		parts := slices.Collect(held.Prefixes())
		claimed := prefixes("2001:db8:ff::/56")
		for range r.IntN(4) {
			claimed = append(claimed, parts[r.IntN(len(parts))])
		}
		if r.IntN(2) == 0 {
			claimed = append(claimed, randomPrefixes(r, 1)...)
		}
		claims, err := FromPrefixes(claimed...)
		require.NoError(t, err)

		ca := authority(t, "ca", root, held)
		leaf := router(t, ca, claims)
		theirs := opensslVerify(t, leaf, ca, root)
		verdicts[theirs]++
		want := "46"
		if VerifyPath([]*x509.Certificate{leaf, ca, root}) == nil {
			want = "OK"
		}
		require.Equal(t, want, theirs, "%v from an issuer with %v", claims, held)
	}
	require.Len(t, verdicts, 2, "both verdicts are reached: %v", verdicts)
}

func TestInteropText(t *testing.T) {
	root := authority(t, "root", nil, mustParse(t, ipv4PrefixIPv6))
	c := authority(t, "ca", root, mustParse(t, ipv6AndSAFI1))
	require.Equal(t, []string{
		"sbgp-ipAddrBlock: critical", "IPv6:", "2001:db8:1::/48", "IPv6 (Unicast):", "2001:db8:2::/48",
	}, opensslBlocks(t, c))
	c = authority(t, "ca", root, mustParse(t, ipv4RangeAndIPv6))
	require.Equal(t, []string{
		"sbgp-ipAddrBlock: critical", "IPv4:", "10.0.0.1-10.0.0.9", "IPv6: inherit",
	}, opensslBlocks(t, c))
	require.Regexp(t, `CN ?= ?00030001020304050607 ?\+ ?serialNumber ?= ?[0-9a-f]{40}`,
		openssl(t, "x509", "-noout", "-subject", "-in", pemFile(t, router(t, root, blocksOf(t, "2001:db8::/56")))))
}

// opensslBlocks returns the lines that openssl prints of the extension.
func opensslBlocks(t *testing.T, c *x509.Certificate) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(openssl(t, "x509", "-noout", "-ext", "sbgp-ipAddrBlock", "-in", pemFile(t, c))) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
