package x509ip

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func extension(c *x509.Certificate, oid asn1.ObjectIdentifier) (found, critical bool) {
	for _, e := range c.Extensions {
		if e.Id.Equal(oid) {
			return true, e.Critical
		}
	}
	return false, false
}

func keyID(t testing.TB, key *ecdsa.PublicKey) []byte {
	t.Helper()
	point, err := key.Bytes() // what the BIT STRING of an ECDSA key holds
	require.NoError(t, err)
	id := sha1.Sum(point)
	return id[:]
}

func TestRouterCertificate(t *testing.T) {
	root := authority(t, "root", nil, blocksOf(t, "::/0"))
	c := router(t, root, blocksOf(t, "2001:db8::/56"))
	id := keyID(t, &routerKey().PublicKey)

	t.Run("6487 section 4.5 subject", func(t *testing.T) {
		require.Equal(t, "00030001020304050607", c.Subject.CommonName)
		require.Equal(t, hex.EncodeToString(id), c.Subject.SerialNumber)
		require.Len(t, c.Subject.Names, 2)
		requireOnePrintableRDN(t, c.RawSubject)
	})
	t.Run("6487 section 4.8.1 BasicConstraints absent", func(t *testing.T) {
		found, _ := extension(c, oidBasicConstraints)
		require.False(t, found)
	})
	t.Run("6487 section 4.8.2 key identifier", func(t *testing.T) {
		require.Equal(t, id, c.SubjectKeyId)
	})
	t.Run("6487 section 4.8.3 authority key identifier", func(t *testing.T) {
		require.Equal(t, root.SubjectKeyId, c.AuthorityKeyId)
	})
	t.Run("6487 section 4.8.4 key usage", func(t *testing.T) {
		_, critical := extension(c, oidKeyUsage)
		require.True(t, critical)
		require.Equal(t, x509.KeyUsageDigitalSignature, c.KeyUsage)
	})
	t.Run("6494 section 7 extended key usage", func(t *testing.T) {
		found, critical := extension(c, oidExtKeyUsage)
		require.True(t, found)
		require.False(t, critical)
		require.Empty(t, c.ExtKeyUsage)
		require.Equal(t, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 23}}, c.UnknownExtKeyUsage)
	})
	t.Run("6487 section 4.8.10 resources", func(t *testing.T) {
		_, critical := extension(c, OIDIPAddrBlocks())
		require.True(t, critical)
		b, err := FromCertificate(c)
		require.NoError(t, err)
		require.Equal(t, "2001:db8::/56", b.String())
	})
	require.Equal(t, 3, c.Version)
	require.Equal(t, big.NewInt(2), c.SerialNumber)
	require.Equal(t, notBefore, c.NotBefore)
	require.Equal(t, notAfter, c.NotAfter)
}

// requireOnePrintableRDN checks that a name is one set of attributes, all of
// them PrintableString, in the order that DER wants.
func requireOnePrintableRDN(t *testing.T, raw []byte) {
	t.Helper()
	var name []asn1.RawValue
	_, err := asn1.Unmarshal(raw, &name)
	require.NoError(t, err)
	require.Len(t, name, 1, "RDNs")
	var encoded [][]byte
	for rest := name[0].Bytes; len(rest) > 0; {
		var attribute asn1.RawValue
		rest, err = asn1.Unmarshal(rest, &attribute)
		require.NoError(t, err)
		var parts []asn1.RawValue
		_, err = asn1.Unmarshal(attribute.FullBytes, &parts)
		require.NoError(t, err)
		require.Equal(t, asn1.TagPrintableString, parts[1].Tag)
		encoded = append(encoded, attribute.FullBytes)
	}
	require.True(t, slices.IsSortedFunc(encoded, bytes.Compare), "DER SET OF")
}

func TestRouterCertificateMayInherit(t *testing.T) {
	root := authority(t, "root", nil, blocksOf(t, "::/0"))
	b, err := FromCertificate(router(t, root, mustParse(t, inheritIPv6)))
	require.NoError(t, err)
	require.True(t, b.Inherits())
}

func TestRouterCertificateOfEachKeyType(t *testing.T) {
	root := authority(t, "root", nil, blocksOf(t, "::/0"))
	pub, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	template, err := RouterCertificate(pub, duidLL, blocksOf(t, "2001:db8::/56"), big.NewInt(1), notBefore, notAfter)
	require.NoError(t, err)
	id := sha1.Sum(pub)
	require.Equal(t, id[:], issued(t, template, root).SubjectKeyId)
}

func TestRouterCertificateRefuses(t *testing.T) {
	type arguments struct {
		pub       any
		duid      []byte
		blocks    Blocks
		serial    *big.Int
		notBefore time.Time
		notAfter  time.Time
	}
	tests := map[string]func(a *arguments){
		"no key":            func(a *arguments) { a.pub = nil },
		"not a key":         func(a *arguments) { a.pub = "key" },
		"short DUID":        func(a *arguments) { a.duid = []byte{0, 3} },
		"no resources":      func(a *arguments) { a.blocks = Blocks{} },
		"no IPv6":           func(a *arguments) { a.blocks = blocksOf(t, "10.0.0.0/8") },
		"only with a SAFI":  func(a *arguments) { a.blocks = mustParse(t, ipv6SAFI1) },
		"also with a SAFI":  func(a *arguments) { a.blocks = mustParse(t, ipv6AndSAFI1) },
		"no serial":         func(a *arguments) { a.serial = nil },
		"serial zero":       func(a *arguments) { a.serial = new(big.Int) },
		"serial negative":   func(a *arguments) { a.serial = big.NewInt(-1) },
		"serial 21 octets":  func(a *arguments) { a.serial = new(big.Int).Lsh(big.NewInt(1), 159) },
		"ends before start": func(a *arguments) { a.notAfter = a.notBefore.Add(-time.Second) },
	}
	valid := arguments{routerKey().Public(), duidLL, blocksOf(t, "2001:db8::/56"), big.NewInt(1), notBefore, notAfter}
	certificate := func(a arguments) (*x509.Certificate, error) {
		return RouterCertificate(a.pub, a.duid, a.blocks, a.serial, a.notBefore, a.notAfter)
	}
	_, err := certificate(valid)
	require.NoError(t, err)
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			a := valid
			change(&a)
			c, err := certificate(a)
			require.Error(t, err)
			require.Nil(t, c)
		})
	}
}

func TestRouterCertificateOfLongSerial(t *testing.T) {
	serial := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 159), big.NewInt(1))
	template, err := RouterCertificate(routerKey().Public(), duidLL, blocksOf(t, "2001:db8::/56"), serial, notBefore, notAfter)
	require.NoError(t, err)
	c := issued(t, template, authority(t, "root", nil, blocksOf(t, "::/0")))
	require.Equal(t, serial, c.SerialNumber)
}

func TestAuthorityCertificate(t *testing.T) {
	root := authority(t, "root", nil, blocksOf(t, "10.0.0.0/8", "::/0"))
	c := authority(t, "ISP's CA (1)", root, mustParse(t, ipv4RangeAndIPv6))

	require.Equal(t, "ISP's CA (1)", c.Subject.CommonName)
	require.Equal(t, hex.EncodeToString(keyID(t, &authorityKey().PublicKey)), c.Subject.SerialNumber)
	requireOnePrintableRDN(t, c.RawSubject)
	_, critical := extension(c, oidBasicConstraints)
	require.True(t, critical, "6487 section 4.8.1")
	require.True(t, c.IsCA)
	require.Equal(t, -1, c.MaxPathLen, "6487 section 4.8.1: no path length constraint")
	_, critical = extension(c, oidKeyUsage)
	require.True(t, critical, "6487 section 4.8.4")
	require.Equal(t, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, c.KeyUsage)
	found, _ := extension(c, oidExtKeyUsage)
	require.False(t, found, "6487 section 4.8.5")
	_, critical = extension(c, OIDIPAddrBlocks())
	require.True(t, critical, "6487 section 4.8.10")
	require.Equal(t, root.SubjectKeyId, c.AuthorityKeyId)
	require.NoError(t, c.CheckSignatureFrom(root))
}

func TestAuthorityCertificateWithoutResources(t *testing.T) {
	_, err := AuthorityCertificate(authorityKey().Public(), "ca", Blocks{}, big.NewInt(1), notBefore, notAfter)
	require.Error(t, err)
}

func TestAuthorityCertificateName(t *testing.T) {
	for _, tt := range []struct {
		name string
		ok   bool
	}{
		{"", false},
		{"x", true},
		{strings.Repeat("x", 64), true},
		{strings.Repeat("x", 65), false},
		{"AZaz09 '()+,-./:=?", true},
		{"under_score", false},
		{"a*", false},
		{"é", false},
		{"line\n", false},
	} {
		_, err := AuthorityCertificate(authorityKey().Public(), tt.name, blocksOf(t, "::/0"), big.NewInt(1), notBefore, notAfter)
		require.Equal(t, tt.ok, err == nil, "%q: %v", tt.name, err)
	}
}

func TestKeyPurposes(t *testing.T) {
	require.Equal(t, "1.3.6.1.5.5.7.3.23", OIDSendRouter().String())
	require.Equal(t, "1.3.6.1.5.5.7.3.24", OIDSendProxiedRouter().String())
	require.Equal(t, "1.3.6.1.5.5.7.3.25", OIDSendOwner().String())
	require.Equal(t, "1.3.6.1.5.5.7.3.26", OIDSendProxiedOwner().String())
}
