package x509ip

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// vector is a line of testdata/rfc3779.jsonl: the value of an extension, and
// whether RFC 3779 allows it.
type vector struct {
	Name    string `json:"name"`
	Class   string `json:"cls"`            // "valid" or "invalid"
	OpenSSL string `json:"openssl_verify"` // "OK" or the error
	Hex     string `json:"der_hex_of_extension_value"`
}

func (v vector) der(t testing.TB) []byte { return unhex(t, v.Hex) }

func vectors(t testing.TB) []vector {
	t.Helper()
	f, err := os.Open("testdata/rfc3779.jsonl")
	require.NoError(t, err)
	defer f.Close()
	var all []vector
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var v vector
		require.NoError(t, json.Unmarshal(lines.Bytes(), &v))
		all = append(all, v)
	}
	require.Len(t, all, 68, "testdata/rfc3779.jsonl")
	return all
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func mustParse(t testing.TB, hexDER string) Blocks {
	t.Helper()
	b, err := Parse(unhex(t, hexDER))
	require.NoError(t, err)
	return b
}

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range texts {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func blocksOf(t testing.TB, texts ...string) Blocks {
	t.Helper()
	b, err := FromPrefixes(prefixes(texts...)...)
	require.NoError(t, err)
	return b
}

// The blocks that FromPrefixes cannot make.
const (
	inheritIPv6      = "30083006040200020500"
	inheritIPv4      = "30083006040200010500"
	inheritIPv6SAFI1 = "3009300704030002010500"
	ipv6SAFI1        = "301230100403000201300903070020010db80000" // 2001:db8::/48 (SAFI 1)
	ipv6AndSAFI1     = "3023300f04020002300903070020010db8000130100403000201300903070020010db80002"
	ipv4RangeAndIPv6 = "30203016040200013010300e0305000a0000010305010a0000083006040200020500" // 10.0.0.1-10.0.0.9, IPv6 inherit
	ipv4PrefixIPv6   = "301b300a0402000130040302000a300d04020002300703050020010db8"           // 10.0.0.0/8, 2001:db8::/32
)

// Keys are made once: they say nothing about the certificates that use them.
var (
	authorityKey = sync.OnceValue(newKey)
	routerKey    = sync.OnceValue(newKey)
)

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

var (
	notBefore = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	midway    = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	duidLL    = []byte{0, 3, 0, 1, 2, 3, 4, 5, 6, 7}
)

// issued makes a certificate of template, signed by parent with the key that
// all authorities of these tests share. Without a parent it is self-signed.
func issued(t testing.TB, template, parent *x509.Certificate) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, template.PublicKey, authorityKey())
	require.NoError(t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return c
}

func authority(t testing.TB, name string, parent *x509.Certificate, blocks Blocks) *x509.Certificate {
	t.Helper()
	template, err := AuthorityCertificate(authorityKey().Public(), name, blocks, big.NewInt(1), notBefore, notAfter)
	require.NoError(t, err)
	return issued(t, template, parent)
}

func router(t testing.TB, parent *x509.Certificate, blocks Blocks) *x509.Certificate {
	t.Helper()
	template, err := RouterCertificate(routerKey().Public(), duidLL, blocks, big.NewInt(2), notBefore, notAfter)
	require.NoError(t, err)
	return issued(t, template, parent)
}

// bare is a certificate of which only the extension matters.
func bare(t testing.TB, blocks Blocks) *x509.Certificate {
	t.Helper()
	e, err := blocks.Extension()
	require.NoError(t, err)
	return &x509.Certificate{Extensions: []pkix.Extension{e}}
}

// none is a certificate without the extension.
func none() *x509.Certificate {
	return &x509.Certificate{Extensions: []pkix.Extension{{Id: OIDSendRouter()}}}
}
