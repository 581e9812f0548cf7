package x509ip

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	mathrand "math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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

// opensslVerify returns "OK" or the number of the error. The path is leaf first.
func opensslVerify(t *testing.T, path ...*x509.Certificate) string {
	t.Helper()
	arguments := []string{"verify", "-attime", strconv.FormatInt(midway.Unix(), 10), "-trusted", pemFile(t, path[len(path)-1])}
	if len(path) > 2 {
		arguments = append(arguments, "-untrusted", pemFile(t, path[1:len(path)-1]...))
	}
	out := openssl(t, append(arguments, pemFile(t, path[0]))...)
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
	r := mathrand.New(mathrand.NewPCG(19, 20))
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

// randomPath returns a path of the given length: each certificate claims, of
// each kind of resource that its issuer has, a part, all, or that it inherits,
// and sometimes something else. The trust anchor does not inherit, and nobody
// inherits what the issuer does not have: VerifyPath has rulings on both.
func randomPath(t *testing.T, r *mathrand.Rand, length int) []*x509.Certificate {
	all := "10.0.0.0/8, 10.0.0.0/8 (SAFI 1), 2001:db8::/32, 2001:db8::/32 (SAFI 2)"
	var path []*x509.Certificate
	held := Resources{fromText(t, all), as(t, "AS1-1000")}
	var issuer *x509.Certificate
	for depth := length - 1; depth >= 0; depth-- {
		claimed := Resources{held.Blocks, held.ASIdentifiers}
		if depth < length-1 {
			claimed.Blocks, claimed.ASIdentifiers = randomClaim(r, held)
		}
		template, err := Template{
			PublicKey: authorityKey().Public(), Name: "ca" + strconv.Itoa(depth), Authority: depth > 0, Blocks: claimed.Blocks, ASIdentifiers: claimed.ASIdentifiers,
			SerialNumber: big.NewInt(int64(depth) + 1), NotBefore: notBefore, NotAfter: notAfter,
		}.Certificate()
		require.NoError(t, err)
		issuer = issued(t, template, issuer)
		path = slices.Insert(path, 0, issuer)
		// What it holds, or would if it did not claim too much.
		if over := (&Overclaim{}); claimed.narrow(held, true, over) == nil && !claimed.Blocks.IsZero() && !claimed.ASIdentifiers.IsZero() {
			held = claimed
		}
	}
	return path
}

func randomClaim(r *mathrand.Rand, held Resources) (Blocks, ASIdentifiers) {
	var blocks Blocks
	for _, f := range held.Blocks.families {
		claim := familyBlocks{Family: f.Family}
		switch r.IntN(4) {
		case 0:
			claim.inherit = true
		case 1:
			claim.addresses = f.addresses
		default:
			for _, s := range f.addresses {
				if r.IntN(3) > 0 {
					s.lo.hi += uint64(r.IntN(9)) << 44
					s.hi.hi -= uint64(r.IntN(9)) << 44
				}
				if r.IntN(100) == 0 {
					s.hi.hi += 1 << 50 // more than the issuer has
				}
				if s.lo.less(s.hi) {
					claim.addresses = append(claim.addresses, s)
				}
			}
			claim.addresses = newSet(claim.addresses)
		}
		if claim.inherit || len(claim.addresses) > 0 {
			blocks.families = append(blocks.families, claim)
		}
	}
	if len(blocks.families) == 0 {
		blocks = held.Blocks
	}
	numbers := ASIdentifiers{asnum: claim[uint16]{inherit: true}}
	if r.IntN(2) == 0 {
		number := ASRange{uint32(1 + r.IntN(20)), uint32(30 + r.IntN(20))}
		if r.IntN(20) == 0 {
			number.To += 1000
		}
		numbers, _ = FromASNumbers(number)
	}
	return blocks, numbers
}

// Paths of up to six certificates: OpenSSL has to find each canonical, and has
// to agree on which hold.
func TestInteropVerifyRandomPaths(t *testing.T) {
	r := mathrand.New(mathrand.NewPCG(29, 30))
	verdicts := make(map[string]int)
	for range 150 {
		path := randomPath(t, r, 2+r.IntN(5))
		theirs := opensslVerify(t, path...)
		verdicts[theirs]++
		err := VerifyPath(path)
		want := "46"
		if err == nil {
			want = "OK"
		}
		require.Equal(t, want, theirs, "ours: %v", err)
	}
	require.Len(t, verdicts, 2, "both verdicts are reached: %v", verdicts)
}

// Whatever is encoded here, openssl finds canonical: error 41 is what it says of
// an extension that is not.
func TestInteropEncodingIsCanonical(t *testing.T) {
	root := authority(t, "root", nil, fromText(t, "0.0.0.0/0, 0.0.0.0/0 (SAFI 1), ::/0, ::/0 (SAFI 2)"))
	r := mathrand.New(mathrand.NewPCG(31, 32))
	for range 40 {
		b, err := FromPrefixes(randomPrefixes(r, 60)...)
		require.NoError(t, err)
		var ranges []Range
		for range r.IntN(20) {
			from := netip.AddrFrom4([4]byte{byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})
			to := netip.AddrFrom4([4]byte{255, byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})
			if from.Compare(to) <= 0 {
				ranges = append(ranges, Range{from, to})
			}
		}
		c, err := FromRanges(ranges...)
		require.NoError(t, err)
		b, err = b.Union(c)
		require.NoError(t, err)
		leaf := authority(t, "leaf", root, b)
		require.Equal(t, "OK", opensslVerify(t, leaf, root), "%v", b)
	}
}

// openssl prints the AS identifiers, and makes the same octets of their text.
func TestInteropASIdentifiers(t *testing.T) {
	for text, config := range map[string]string{
		"AS0, AS128, AS255-256, AS64496-4294967295": "AS.0:0,AS.1:128,AS.2:255-256,AS.3:64496-4294967295",
		"AS inherit":           "AS:inherit",
		"AS7, RDI inherit":     "AS:7,RDI:inherit",
		"RDI 5-6":              "RDI:5-6",
		"AS inherit, RDI 1":    "AS:inherit,RDI:1",
		"AS4294967295, RDI 32": "AS:4294967295,RDI:32",
	} {
		file := filepath.Join(t.TempDir(), "as.cnf")
		require.NoError(t, os.WriteFile(file, []byte("[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\nsbgp-autonomousSysNum=critical,@as\n[as]\n"+strings.NewReplacer(",", "\n", ":", "=").Replace(config)+"\n"), 0o600))
		out := filepath.Join(t.TempDir(), "c.pem")
		openssl(t, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", filepath.Join(t.TempDir(), "k.pem"), "-subj", "/CN=x", "-config", file, "-out", out)
		text2, err := os.ReadFile(out)
		require.NoError(t, err, text)
		block, _ := pem.Decode(text2)
		require.NotNil(t, block)
		c, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		a, err := ASIdentifiersFromCertificate(c)
		require.NoError(t, err, text)
		require.Equal(t, text, a.String())
		ours, err := a.Extension()
		require.NoError(t, err)
		require.Equal(t, c.Extensions[slices.IndexFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(OIDASIdentifiers()) })], ours)
	}
}

// rpki-client finds the certificate of an authority of the strict profile valid,
// and lists its resources. (It has no use for a router's.) It checks against the
// clock of the machine.
func TestInteropRPKIClient(t *testing.T) {
	program := peertest.Need(t, "rpki-client", "rpki-client")
	now := time.Now().Truncate(time.Second)
	templates := strictTemplates(t, false)
	caKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	var certificates [2]*x509.Certificate
	for i, key := range []*rsa.PrivateKey{rsaKey(), caKey} {
		templates[i].PublicKey, templates[i].NotBefore, templates[i].NotAfter = key.Public(), now.Add(-time.Hour), now.Add(time.Hour)
		c, err := templates[i].Certificate()
		require.NoError(t, err)
		certificates[i] = signed(t, c, certificates[0], rsaKey())
	}
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour),
	}, certificates[0], rsaKey())
	require.NoError(t, err)
	locator := "rsync://rpki.example/repository/ta.cer\n\n" + base64.StdEncoding.EncodeToString(certificates[0].RawSubjectPublicKeyInfo) + "\n"

	// rpki-client gives up the privileges of root, and then has to read all this.
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	for name, content := range map[string][]byte{
		"test.tal":             []byte(locator),
		"ca.cer":               certificates[1].Raw,
		"cache/ta/test/ta.cer": certificates[0].Raw,
		"cache/rpki.example/repository/ta/ta.crl": crl,
	} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, content, 0o644))
	}
	out, err := exec.Command(program, "-n", "-d", filepath.Join(dir, "cache"), "-t", filepath.Join(dir, "test.tal"), "-f", filepath.Join(dir, "ca.cer")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, want := range []string{"AS: 64496 -- 64511", "IP: 10.0.0.0/8", "IP: 2001:db8::/32", "Validation: OK"} {
		require.Regexp(t, strings.ReplaceAll(want, ": ", `:\s+`), string(out))
	}
}
