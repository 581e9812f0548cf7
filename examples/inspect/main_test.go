package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/certopt"
	"dhcpsec.example/internal/dhcp6"
	"dhcpsec.example/x509ip"
)

// The value of an IP address delegation extension with 10.0.0.0/8.
const tenSlash8 = "300c300a0402000130040302000a"

// outcome is what a run left behind.
type outcome struct {
	status         int
	stdout, stderr string
}

func inspect(stdin string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	status := run(args, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{status, stdout.String(), stderr.String()}
}

// line is either form of a line of output.
type line struct {
	OK        bool
	Text      string
	Reencoded string
	Error     string
	Offset    int
}

func inspectHexLines(t *testing.T, kind string, objects ...[]byte) ([]line, outcome) {
	t.Helper()
	var in strings.Builder
	for _, b := range objects {
		in.WriteString(hex.EncodeToString(b) + "\n")
	}
	got := inspect(in.String(), "-as", kind, "-hex")
	var lines []line
	for text := range strings.Lines(got.stdout) {
		var l line
		require.NoError(t, json.Unmarshal([]byte(text), &l), text)
		lines = append(lines, l)
	}
	require.Len(t, lines, len(objects), "one line of output for each of input")
	return lines, got
}

func TestHexLinesGiveOneLineOfJSONEach(t *testing.T) {
	got := inspect(strings.Join([]string{
		tenSlash8,
		"",
		"  \t" + strings.ToUpper(tenSlash8) + " \r",
		"zz",
		"abc",
		"300c",
		tenSlash8, // without the end of its line
	}, "\n"), "-as", "ipaddrblocks", "-hex")
	require.Equal(t, 1, got.status)
	const good = `{"ok":true,"text":"10.0.0.0/8","reencoded":"` + tenSlash8 + `"}` + "\n"
	lines := strings.SplitAfter(got.stdout, "\n")
	require.Len(t, lines, 8)
	require.Equal(t, good, lines[0])
	require.Equal(t, `{"ok":false,"error":"IPAddrBlocks at offset 0: truncated","offset":0}`+"\n", lines[1], "a blank line is an object too")
	require.Equal(t, good, lines[2], "space around the hex is ignored")
	require.Equal(t, `{"ok":false,"error":"encoding/hex: invalid byte: U+007A 'z'","offset":0}`+"\n", lines[3])
	require.Equal(t, `{"ok":false,"error":"encoding/hex: odd length hex string","offset":0}`+"\n", lines[4])
	require.Regexp(t, `^\{"ok":false,"error":"[^"]* at offset \d+: truncated","offset":\d+\}\n$`, lines[5])
	require.Equal(t, good, lines[6])
	require.Empty(t, lines[7])
	require.Equal(t, "inspect: standard input: 4 of 7 lines failed\n", got.stderr)
}

func TestExitStatus(t *testing.T) {
	file := filepath.Join(t.TempDir(), "blocks.hex")
	require.NoError(t, os.WriteFile(file, []byte(tenSlash8+"\n"), 0o600))
	for name, test := range map[string]struct {
		stdin  string
		args   []string
		status int
		stderr string
	}{
		"all good":            {tenSlash8, []string{"-as", "ipaddrblocks", "-hex"}, 0, ""},
		"no line at all":      {"", []string{"-as", "ipaddrblocks", "-hex"}, 0, ""},
		"a bad line":          {"00", []string{"-as", "ipaddrblocks", "-hex"}, 1, "1 of 1 lines failed"},
		"a bad object":        {"\x00", []string{"-as", "ipaddrblocks"}, 1, "at offset 0"},
		"an empty object":     {"", []string{"-as", "ipaddrblocks"}, 1, "truncated"},
		"a file":              {"ignored", []string{"-as", "ipaddrblocks", "-hex", file}, 0, ""},
		"a missing file":      {"", []string{"-as", "ipaddrblocks", "-hex", file + ".not", file}, 1, "blocks.hex.not"},
		"no kind":             {"", nil, 2, "ipaddrblocks, certificate, dhcpv6, certopt"},
		"an unknown kind":     {"", []string{"-as", "x\x1b[2J"}, 2, "ipaddrblocks, certificate, dhcpv6, certopt"},
		"an unknown flag":     {"", []string{"-not"}, 2, "usage: inspect"},
		"a question for help": {"", []string{"-h"}, 0, "usage: inspect"},
	} {
		t.Run(name, func(t *testing.T) {
			got := inspect(test.stdin, test.args...)
			require.Equal(t, test.status, got.status, got.stderr)
			require.Contains(t, got.stderr, test.stderr)
			require.NotContains(t, got.stderr, "\x1b")
			if test.stderr == "" {
				require.Empty(t, got.stderr)
			}
		})
	}
}

func TestFilesAfterAMissingOneAreInspected(t *testing.T) {
	file := filepath.Join(t.TempDir(), "blocks")
	der, err := hex.DecodeString(tenSlash8)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, der, 0o600))
	got := inspect("", "-as", "ipaddrblocks", file+".not", file)
	require.Equal(t, 1, got.status)
	require.Equal(t, file+":\n10.0.0.0/8\n", got.stdout)
}

func TestLongLines(t *testing.T) {
	// 2 MiB of hex: a message with many options of unknown meaning.
	w := dhcp6.NewBuilder(nil, dhcp6.Reply, dhcp6.TransactionID{1, 2, 3})
	for range 16 {
		w.Option(65100, make([]byte, 65535))
	}
	b, err := w.Bytes()
	require.NoError(t, err)
	lines, got := inspectHexLines(t, "dhcpv6", b)
	require.Zero(t, got.status, got.stderr)
	require.Equal(t, hex.EncodeToString(b), lines[0].Reencoded)
}

func TestALineThatIsTooLongFailsAlone(t *testing.T) {
	in := io.MultiReader(
		io.LimitReader(zeros{}, maxInput), strings.NewReader("0\n"+tenSlash8+"\n"),
		io.LimitReader(zeros{}, maxInput+1))
	var stdout, stderr bytes.Buffer
	require.Equal(t, 1, run([]string{"-as", "ipaddrblocks", "-hex"}, in, &stdout, &stderr))
	lines := strings.SplitAfter(stdout.String(), "\n")
	require.Len(t, lines, 4)
	require.Equal(t, `{"ok":false,"error":"line: too large","offset":0}`+"\n", lines[0])
	require.Contains(t, lines[1], `"ok":true`)
	require.Equal(t, lines[0], lines[2])

	stdout.Reset()
	require.Equal(t, 1, run([]string{"-as", "ipaddrblocks"}, io.LimitReader(zeros{}, maxInput+1), &stdout, &stderr))
	require.Empty(t, stdout.String())
}

// zeros is hex without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '0'
	}
	return len(b), nil
}

func TestEachLineIsAnsweredBeforeTheNextIsAwaited(t *testing.T) {
	in, lines := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan int)
	go func() { done <- run([]string{"-as", "ipaddrblocks", "-hex"}, in, out, io.Discard) }()
	for range 3 {
		_, err := io.WriteString(lines, tenSlash8+"\n")
		require.NoError(t, err)
		answer := make([]byte, len(`{"ok":true,"text":"10.0.0.0/8","reencoded":""}`)+len(tenSlash8)+1)
		_, err = io.ReadFull(answers, answer)
		require.NoError(t, err)
		require.Contains(t, string(answer), tenSlash8)
	}
	require.NoError(t, lines.Close())
	require.Zero(t, <-done)
}

func TestFailuresOfTheStreamsAreReported(t *testing.T) {
	broken := errors.New("broken")
	var stderr bytes.Buffer
	in := io.MultiReader(strings.NewReader(tenSlash8+"\n"), brokenStream{broken})
	require.Equal(t, 1, run([]string{"-as", "ipaddrblocks", "-hex"}, in, io.Discard, &stderr))
	require.Contains(t, stderr.String(), "broken")
	require.Equal(t, 1, run([]string{"-as", "ipaddrblocks"}, brokenStream{broken}, io.Discard, &stderr))
	require.Equal(t, 1, run([]string{"-as", "ipaddrblocks", "-hex"}, strings.NewReader(tenSlash8), brokenStream{broken}, &stderr))
}

type brokenStream struct{ err error }

func (s brokenStream) Read([]byte) (int, error)  { return 0, s.err }
func (s brokenStream) Write([]byte) (int, error) { return 0, s.err }

// TestTheProgram runs what a user runs.
func TestTheProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "inspect")
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, test := range []struct {
		stdin  string
		args   []string
		status int
		stdout string
	}{
		{tenSlash8 + "\n", []string{"-as", "ipaddrblocks", "-hex"}, 0, `{"ok":true,"text":"10.0.0.0/8","reencoded":"` + tenSlash8 + `"}` + "\n"},
		{"\n", []string{"-as", "certificate"}, 1, ""},
		{"", []string{"-as", "nothing"}, 2, ""},
	} {
		cmd := exec.Command(program, test.args...)
		cmd.Stdin = strings.NewReader(test.stdin)
		got, err := cmd.Output()
		if test.status == 0 {
			require.NoError(t, err)
		} else {
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
		}
		require.Equal(t, test.status, cmd.ProcessState.ExitCode())
		require.Equal(t, test.stdout, string(got))
	}
}

// chain is a router's certificate and its trust anchor's, in DER.
func chain(t *testing.T, routerPrefix, anchorPrefix string) (router, anchor []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	start := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	held, err := x509ip.FromPrefixes(netip.MustParsePrefix(anchorPrefix))
	require.NoError(t, err)
	ca, err := x509ip.AuthorityCertificate(key.Public(), "Trust anchor", held, big.NewInt(1), start, start.AddDate(10, 0, 0))
	require.NoError(t, err)
	anchor, err = x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	require.NoError(t, err)
	delegated, err := x509ip.FromPrefixes(netip.MustParsePrefix(routerPrefix))
	require.NoError(t, err)
	leaf, err := x509ip.RouterCertificate(key.Public(), []byte{0, 3, 0, 1, 2}, delegated, big.NewInt(0x2a), start, start.AddDate(0, 0, 7))
	require.NoError(t, err)
	router, err = x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
	require.NoError(t, err)
	return router, anchor
}

func toPEM(ders ...[]byte) string {
	var out strings.Builder
	for _, der := range ders {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return out.String()
}

func TestCertificate(t *testing.T) {
	router, anchor := chain(t, "2001:db8:8000:100::/56", "2001:db8::/32")
	for name, stdin := range map[string]string{"DER": string(router), "PEM": "Certificate:\n" + toPEM(router)} {
		got := inspect(stdin, "-as", "certificate")
		require.Zero(t, got.status, got.stderr)
		require.Regexp(t, `^subject: SERIALNUMBER=[0-9a-f]{40},CN=0003000102\n`, got.stdout, name)
		require.Contains(t, got.stdout, ",CN=Trust anchor\nserial: 2a\n"+
			"validity: 2030-01-02T03:04:05Z to 2030-01-09T03:04:05Z\nkey: ECDSA, P-256\nauthority: false\n"+
			"extended key usage: sendRouter\nresources: 2001:db8:8000:100::/56\n", name)
	}
	lines, got := inspectHexLines(t, "certificate", router, []byte(toPEM(router, anchor)))
	require.Zero(t, got.status, got.stderr)
	require.Equal(t, hex.EncodeToString(router), lines[0].Reencoded)
	require.Equal(t, hex.EncodeToString(append(router, anchor...)), lines[1].Reencoded)
	require.Contains(t, lines[1].Text, "authority: true")
	require.True(t, strings.HasSuffix(lines[1].Text, "\n\nresources along the chain: nested, up to the last certificate"))
}

func TestCertificateChainThatIsNotNested(t *testing.T) {
	router, anchor := chain(t, "2001:db9::/32", "2001:db8::/32")
	got := inspect(toPEM(router, anchor), "-as", "certificate")
	require.Zero(t, got.status, "what each certificate says can be read: %s", got.stderr)
	require.Contains(t, got.stdout, "resources along the chain: ")
	require.NotContains(t, got.stdout, "resources along the chain: nested")
}

// Who narrows what, and why it does not hold.
func TestCertificateChainTellsWhoHoldsWhat(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	start := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	var parent *x509.Certificate
	var ders [][]byte
	for i, c := range []struct{ name, blocks, numbers string }{
		{"anchor", "10.0.0.0/8, 2001:db8::/32", "AS1-10"},
		{"isp", "10.0.0.0/9, IPv6 inherit", "AS inherit"},
		{"customer", "2001:db8::/33", "none"},
		{"router", "2001:db8:8000::/56", "none"},
	} {
		template := x509ip.Template{
			PublicKey: key.Public(), Name: c.name, Authority: true, SerialNumber: big.NewInt(int64(i + 1)), NotBefore: start, NotAfter: start.AddDate(1, 0, 0),
		}
		require.NoError(t, template.Blocks.UnmarshalText([]byte(c.blocks)))
		require.NoError(t, template.ASIdentifiers.UnmarshalText([]byte(c.numbers)))
		cert, err := template.Certificate()
		require.NoError(t, err)
		if parent == nil {
			parent = cert
		}
		der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), key)
		require.NoError(t, err)
		parent = cert
		ders = append([][]byte{der}, ders...)
	}
	got := inspect(toPEM(ders...), "-as", "certificate")
	require.Zero(t, got.status, got.stderr)
	require.Contains(t, got.stdout, "resources: 10.0.0.0/9, IPv6 inherit, AS inherit\n")
	_, chain, found := strings.Cut(got.stdout, "who holds what, the trust anchor first:\n")
	require.True(t, found)
	require.Regexp(t, `^  3 .*CN=anchor: 10.0.0.0/8, 2001:db8::/32, AS1-10
  2 .*CN=isp: 10.0.0.0/9, 2001:db8::/32, AS1-10
    narrowed: without 10.128.0.0/9
  1 .*CN=customer: 2001:db8::/33
    narrowed: without 10.0.0.0/9, 2001:db8:8000::/33, AS1-10

resources along the chain: certificate at depth 0: 2001:db8:8000::/56: resource not held by the issuer at depth 1
$`, chain)

	got = inspect(toPEM(ders[2:]...), "-as", "certificate")
	require.Contains(t, got.stdout, "resources along the chain: nested")
	got = inspect(toPEM(ders[0], ders[3]), "-as", "certificate")
	require.Contains(t, got.stdout, "certificate 0 was not issued by the next: the names differ\n")
	got = inspect(toPEM(slices.Repeat(ders[:1], maxChain+1)...), "-as", "certificate")
	require.Contains(t, got.stdout, "more than 32 certificates")
}

// certificateWithBadBlocks is a certificate whose resources are not DER: in the
// BIT STRING of 10 octets at the offset returned, a bit is set that is not used.
func certificateWithBadBlocks(t *testing.T) (der []byte, offset int) {
	t.Helper()
	der, _ = chain(t, "2001:db8:8000:100::/56", "2001:db8::/32")
	offset = bytes.Index(der, []byte{0x03, 0x08, 0x00, 0x20, 0x01, 0x0d, 0xb8, 0x80, 0x00, 0x01})
	require.Positive(t, offset, "the prefix is in the certificate")
	der[offset+2] = 1
	return der, offset
}

func TestCertificateErrors(t *testing.T) {
	router, anchor := chain(t, "2001:db8:8000:100::/56", "2001:db8::/32")
	bad, at := certificateWithBadBlocks(t)
	lines, got := inspectHexLines(t, "certificate",
		bad, []byte(toPEM(anchor, bad)), append(bytes.Clone(router), 0), router[:len(router)-1],
		[]byte(toPEM(router)[:200]), []byte(toPEM(router)+toPEM(anchor)[:200]),
		[]byte(strings.ReplaceAll(toPEM(router), "CERTIFICATE", "PRIVATE KEY")), []byte("neither"))
	require.Equal(t, 1, got.status)
	for i, l := range lines {
		require.False(t, l.OK, "object %d", i)
		require.NotEmpty(t, l.Error, "object %d", i)
	}
	require.GreaterOrEqual(t, lines[0].Offset, at, "the offset counts from the start of the certificate")
	require.Less(t, lines[0].Offset, at+10)
	require.Equal(t, lines[0].Offset, lines[1].Offset, "in a chain, from the start of its certificate")
	require.True(t, strings.HasPrefix(lines[1].Error, "certificate 2: "), lines[1].Error)
	require.Equal(t, "malformed PEM", lines[4].Error)
	require.Equal(t, "malformed PEM", lines[5].Error)
	require.Equal(t, "PEM block 1 is not a certificate", lines[6].Error)
}

func TestCertificateFieldsCannotForgeOutput(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	template.Subject.CommonName = "a\nresources: ::/0\x1b[2J"
	template.Subject.Organization = []string{toPEM([]byte("not to be taken for the object"))}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	got := inspect(string(der), "-as", "certificate")
	require.Zero(t, got.status, got.stderr)
	require.NotContains(t, got.stdout, "\x1b")
	require.NotContains(t, got.stdout, "\nresources: ::/0")
	require.True(t, strings.HasSuffix(got.stdout, "\nextended key usage: not restricted\nresources: none\n"))
}

func TestDHCPv6(t *testing.T) {
	router, _ := chain(t, "2001:db8:8000:100::/56", "2001:db8::/32")
	w := dhcp6.NewBuilder(nil, dhcp6.Reply, dhcp6.TransactionID{1, 2, 3})
	w.BeginIAPD(1, 1000, 2000)
	w.IAPrefix(3000, 4000, netip.MustParsePrefix("2001:db8:8000:100::/56"))
	w.End()
	w.Option(65003, router)
	reply, err := w.Bytes()
	require.NoError(t, err)
	relay := dhcp6.NewRelayBuilder(nil, dhcp6.Relay{
		Type: dhcp6.RelayReply, LinkAddress: netip.IPv6Unspecified(), PeerAddress: netip.MustParseAddr("fe80::1"),
	})
	relay.Option(dhcp6.OptionRelayMessage, reply)
	relayed, err := relay.Bytes()
	require.NoError(t, err)

	lines, got := inspectHexLines(t, "dhcpv6", reply, relayed, reply[:len(reply)-1], append(bytes.Clone(relayed[:38]), 99))
	require.Equal(t, 1, got.status)
	for i, b := range [][]byte{reply, relayed} {
		require.True(t, lines[i].OK, lines[i].Error)
		require.Equal(t, hex.EncodeToString(b), lines[i].Reencoded)
		require.Contains(t, lines[i].Text, "IA_PD(iaid=1 t1=1000 t2=2000 2001:db8:8000:100::/56 pref=3000 valid=4000)")
		require.Contains(t, lines[i].Text, "\ncertificate:\n  subject: ")
		require.Contains(t, lines[i].Text, "\n  resources: 2001:db8:8000:100::/56")
	}
	require.Equal(t, line{Error: "option-len at offset 51: truncated", Offset: 51}, lines[2])
	require.Equal(t, line{Error: "option-len at offset 36: truncated", Offset: 36}, lines[3])
}

func TestDHCPv6MalformedOptionsAreFaults(t *testing.T) {
	lines, got := inspectHexLines(t, "dhcpv6",
		unhex(t, "07010203"+"0019000400000001"),
		unhex(t, "07010203"+"00190012"+"000000010000000000000000"+"001a0002"+"0000"),
		unhex(t, "01010203"+"00060003"+"000102"))
	require.Equal(t, 1, got.status)
	require.Equal(t, line{Error: "IA_PD T1 at offset 12: truncated", Offset: 12}, lines[0])
	require.Equal(t, line{Error: "IAPREFIX preferred-lifetime at offset 24: truncated", Offset: 24}, lines[1])
	require.Equal(t, line{Error: "ORO at offset 8: impossible length", Offset: 8}, lines[2])
}

// The codes of the certificate options are nobody's: what stands there may be
// somebody else's option.
func TestDHCPv6SaysThatCertificateOptionsAreUnusable(t *testing.T) {
	message := unhex(t, "07010203"+"fde90000")
	lines, got := inspectHexLines(t, "dhcpv6", message)
	require.Zero(t, got.status)
	require.Equal(t, hex.EncodeToString(message), lines[0].Reencoded)
	require.Contains(t, lines[0].Text, "\nunusable certificate options: ")
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func TestCertopt(t *testing.T) {
	router, anchor := chain(t, "2001:db8:8000:100::/56", "2001:db8::/32")
	certs, err := certopt.AppendChain(nil, anchor)
	require.NoError(t, err)
	area, err := certopt.AppendOption(nil, 6, []byte{0, 82})
	require.NoError(t, err)
	area, err = certopt.Codec{}.Append(area, certopt.Options{CAPointer: []byte("https://ca.example/"), Certificate: router, Chain: certs})
	require.NoError(t, err)
	area, err = certopt.AppendOption(area, 65100, nil)
	require.NoError(t, err)

	lines, got := inspectHexLines(t, "certopt", area)
	require.Zero(t, got.status, got.stdout)
	require.Equal(t, hex.EncodeToString(area), lines[0].Reencoded)
	require.Contains(t, lines[0].Text, `ca-pointer="https://ca.example/"`)
	require.Contains(t, lines[0].Text, "\ncertificate:\n  subject: ")
	require.Contains(t, lines[0].Text, "\nchain certificate:\n  subject: ")
	require.Contains(t, lines[0].Text, ",CN=Trust anchor\n")
	require.Contains(t, lines[0].Text, "\nother option: 6(2)\nother option: 65100(0)")

	lines, got = inspectHexLines(t, "certopt", area[:len(area)-1], append(bytes.Clone(area), area...), []byte{0xfd, 0xe9, 0, 0})
	require.Equal(t, 1, got.status)
	require.Equal(t, len(area)-2, lines[0].Offset)
	require.Contains(t, lines[1].Error, "duplicate")
	require.Contains(t, lines[2].Error, "impossible length")
}

// A certificate whose outline is right is a good option, whatever is within.
func TestCertoptWithACertificateThatCannotBeRead(t *testing.T) {
	bad, _ := certificateWithBadBlocks(t)
	area, err := certopt.Codec{}.Append(nil, certopt.Options{Certificate: bad})
	require.NoError(t, err)
	lines, got := inspectHexLines(t, "certopt", area)
	require.Zero(t, got.status, got.stdout)
	require.Equal(t, hex.EncodeToString(area), lines[0].Reencoded)
	require.Contains(t, lines[0].Text, "\ncertificate:\n  cannot be read: ")
}

// TestIPAddrBlocksVectors: every valid vector comes out as it went in.
func TestIPAddrBlocksVectors(t *testing.T) {
	vectors, err := os.Open("../../x509ip/testdata/rfc3779.jsonl")
	require.NoError(t, err)
	defer vectors.Close()
	decoder, valid := json.NewDecoder(vectors), 0
	for {
		var v struct {
			Name, Cls string
			DER       string `json:"der_hex_of_extension_value"`
		}
		err := decoder.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if v.Cls != "valid" {
			continue
		}
		valid++
		got := inspect(v.DER, "-as", "ipaddrblocks", "-hex")
		require.Zero(t, got.status, "%s: %s", v.Name, got.stdout)
		require.Contains(t, got.stdout, `"reencoded":"`+v.DER+`"`, v.Name)
	}
	require.Positive(t, valid)
}
