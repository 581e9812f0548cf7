package certopt

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRFC7227s5_7URI(t *testing.T) {
	for _, uri := range []string{
		"http://ca.example/.well-known/cmp",
		"https://user@ca.example:8443/a;b=c/?q=%7Ex&r=/?",
		"http://[2001:db8::1]:829/",
		"ldap://[2001:db8::7]/c=GB?objectClass?one",
		"HTTP://CA.EXAMPLE",
		"urn:x",
		"a:b",
		"x-y+z.1:-._~!$&'()*+,;=:@/?",
		"file:///",
		"a:%00", // encoded, it harms no log; what it means is for the resolver
	} {
		require.NoError(t, checkURI([]byte(uri)), uri)
	}
	for _, tc := range []struct {
		uri    string
		offset int
	}{
		{"ca.example", 0},
		{"/.well-known/cmp", 0},
		{"//ca.example:80/", 0},
		{"1http://ca.example", 0},
		{"-http://ca.example", 0},
		{"ht_tp://ca.example", 2},
		{"ht\xc3tp://ca.example", 2},
		{":", 0},
		{"://ca.example", 0},
		{"http:", 4},
		{"http://ca.example/#top", 18},
		{"http://ca.example/ ", 18},
		{"http://ca.example/\x00", 18},
		{"http://ca.example/\n", 18},
		{"http://ca.example/\x7f", 18},
		{"http://ca.example/\xc3\xa9", 18},
		{"http://ca.example/%", 18},
		{"http://ca.example/%4", 18},
		{"http://ca.example/%g0", 18},
		{"http://ca.example/%0G", 18},
		{"http://ca.example/[", 18},
		{"http://ca.example?]", 18},
		{"urn:[x]", 4},
		{`a:"`, 2},
		{"a:<", 2},
		{"a:>", 2},
		{`a:\`, 2},
		{"a:^", 2},
		{"a:`", 2},
		{"a:{", 2},
		{"a:|", 2},
		{"a:}", 2},
	} {
		requireParseError(t, checkURI([]byte(tc.uri)), tc.offset, ErrValue, "%q", tc.uri)
	}
}

// tlv and seq build DER elements, right and wrong ones.
func tlv(tag byte, content ...[]byte) []byte {
	der, err := asn1.Marshal(asn1.RawValue{
		Class: int(tag >> 6), IsCompound: tag&0x20 != 0, Tag: int(tag & 0x1f), Bytes: bytes.Join(content, nil),
	})
	if err != nil {
		panic(err)
	}
	return der
}

func seq(content ...[]byte) []byte { return tlv(0x30, content...) }

var (
	oidRSA  = tlv(6, []byte(rsaEncryption))
	oidEd   = tlv(6, []byte{0x2b, 0x65, 0x70})
	algEd   = seq(oidEd)
	algRSA  = seq(oidRSA, null)
	null    = tlv(5)
	bits    = tlv(3, []byte{0, 1, 2})
	integer = tlv(2, []byte{1})
)

// badAlgorithms are AlgorithmIdentifiers that no option may carry.
var badAlgorithms = map[string][]byte{
	"algorithm not a SEQUENCE":        oidEd,
	"algorithm empty":                 seq(),
	"algorithm without OID":           seq(null),
	"OID empty":                       seq(tlv(6)),
	"OID padded":                      seq(tlv(6, []byte{0x2b, 0x80, 0x01})),
	"OID padded at its start":         seq(tlv(6, []byte{0x80, 0x01})),
	"OID unfinished":                  seq(tlv(6, []byte{0x2b, 0x81})),
	"parameters cut short":            seq(oidEd, []byte{5}),
	"two parameters":                  seq(oidEd, null, null),
	"algorithm length not minimal":    append([]byte{0x30, 0x81, byte(len(oidEd))}, oidEd...),
	"algorithm of indefinite length":  slices.Concat([]byte{0x30, 0x80}, oidEd, []byte{0, 0}),
	"parameters with high tag number": seq(oidEd, []byte{0x1f, 0x20, 0}),
}

// badBits are BIT STRINGs that no option may carry.
var badBits = map[string][]byte{
	"BIT STRING missing":          nil,
	"BIT STRING is an INTEGER":    integer,
	"BIT STRING without content":  tlv(3),
	"BIT STRING of no bits":       tlv(3, []byte{0}),
	"BIT STRING with unused bits": tlv(3, []byte{1, 0xfe}),
	"BIT STRING cut short":        {3, 2, 0},
	"BIT STRING constructed":      tlv(0x23, bits),
}

func requireRefused(t *testing.T, check func([]byte) error, what string, v []byte) {
	t.Helper()
	err := check(v)
	var pe *ParseError
	require.ErrorAs(t, err, &pe, what)
	require.True(t, pe.Offset >= 0 && pe.Offset <= len(v), "%s: offset %d", what, pe.Offset)
	require.True(t, strings.HasPrefix(pe.Field, "public key") || strings.HasPrefix(pe.Field, "certificate") ||
		strings.HasPrefix(pe.Field, "key proof"), "%s: field %q", what, pe.Field)
}

func TestRFC5280s4_1PublicKeyOutline(t *testing.T) {
	for _, k := range keysUnderTest(t) {
		require.NoError(t, checkPublicKey(marshalSPKI(t, k.signer.Public())), k.name)
	}
	r, err := rsaKey()
	require.NoError(t, err)
	require.Len(t, marshalSPKI(t, r.Public()), 294, "an RSA-2048 SubjectPublicKeyInfo")

	require.NoError(t, checkPublicKey(seq(algEd, bits)))
	for what, alg := range badAlgorithms {
		requireRefused(t, checkPublicKey, what, seq(alg, bits))
	}
	for what, b := range badBits {
		requireRefused(t, checkPublicKey, what, seq(algEd, b))
	}
	requireParseError(t, checkPublicKey(tlv(0x31, algEd, bits)), 0, ErrValue, "a SET")
	requireParseError(t, checkPublicKey(append(seq(algEd, bits), 0)), 14, ErrTrailing, "octets behind the key")
	requireParseError(t, checkPublicKey(seq(algEd, bits, null)), 14, ErrTrailing, "a third element")
	requireParseError(t, checkPublicKey(bytes.Join([][]byte{{0x30, 0x81, 14}, algEd, bits}, nil)), 0, ErrValue, "length not minimal")
	requireParseError(t, checkPublicKey(slices.Concat([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff}, algEd, bits)), 0, ErrValue, "length of 4 GiB")
}

func TestRFC3279s2_3_1RSAParametersAreNULL(t *testing.T) {
	require.NoError(t, checkPublicKey(seq(algRSA, bits)))
	const parameters = 2 + 2 + 11 // where they start
	requireParseError(t, checkPublicKey(seq(seq(oidRSA), bits)), parameters, ErrValue, "absent")
	requireParseError(t, checkPublicKey(seq(seq(oidRSA, integer), bits)), parameters, ErrValue, "an INTEGER")
	requireParseError(t, checkPublicKey(seq(seq(oidRSA, tlv(5, []byte{0})), bits)), parameters+2, ErrTrailing, "a NULL with content")
	requireParseError(t, checkPublicKey(seq(seq(oidRSA, null, null), bits)), parameters+2, ErrTrailing, "two")
}

func TestRFC5280s4_1CertificateOutline(t *testing.T) {
	require.NoError(t, checkCertificate(testCertificate(t)))
	tbs := seq(integer)
	require.NoError(t, checkCertificate(seq(tbs, algEd, bits)))
	for what, alg := range badAlgorithms {
		requireRefused(t, checkCertificate, what, seq(tbs, alg, bits))
	}
	for what, b := range badBits {
		requireRefused(t, checkCertificate, what, seq(tbs, algEd, b))
	}
	good := seq(tbs, algEd, bits)
	requireParseError(t, checkCertificate(append(good, 0)), len(good), ErrTrailing, "octets behind the certificate")
	requireParseError(t, checkCertificate(seq(tbs, algEd, bits, null)), len(good), ErrTrailing, "a fourth element")
	requireParseError(t, checkCertificate(seq(integer, algEd, bits)), 2, ErrValue, "tbsCertificate is an INTEGER")
	requireParseError(t, checkCertificate([]byte("-----BEGIN CERTIFICATE-----")), 0, ErrValue, "PEM")
}

func TestKeyProofOutline(t *testing.T) {
	check := func(v []byte) error {
		_, _, err := splitKeyProof(v)
		return err
	}
	algorithm, signature, err := splitKeyProof(slices.Concat(algEd, bits))
	require.NoError(t, err)
	require.Equal(t, algEd, algorithm)
	require.Equal(t, []byte{1, 2}, signature)
	for what, alg := range badAlgorithms {
		requireRefused(t, check, what, slices.Concat(alg, bits))
	}
	for what, b := range badBits {
		requireRefused(t, check, what, slices.Concat(algEd, b))
	}
	requireParseError(t, check(slices.Concat(algEd, bits, []byte{0})), 12, ErrTrailing, "octets behind the proof")
	requireParseError(t, check(seq(algEd, bits)), 2, ErrValue, "a SEQUENCE around it")
}

func TestChainOutline(t *testing.T) {
	cert := seq(seq(), algEd, bits)
	chain, err := AppendChain(nil, cert, cert)
	require.NoError(t, err)
	require.NoError(t, checkChain(chain, 100))
	second := 2 + len(cert)
	for what, tc := range map[string]struct {
		v        []byte
		offset   int
		sentinel error
	}{
		"half a length":          {append(slices.Clone(chain), 0), 2 * second, ErrTruncated},
		"length beyond the end":  {chain[:len(chain)-1], second + 2, ErrTruncated},
		"certificate of no size": {append(slices.Clone(chain[:second]), 0, 0), second + 2, ErrValue},
		"length too small":       {slices.Concat(chain[:second], []byte{0, byte(len(cert) - 1)}, cert[:len(cert)-1]), second + 2, ErrValue},
		"trailing in second":     {slices.Concat(chain[:second], []byte{0, byte(len(cert) + 1)}, cert, []byte{0}), 2 * second, ErrTrailing},
	} {
		requireParseError(t, checkChain(tc.v, 100), tc.offset, tc.sentinel, what)
	}
}

// What passes the outline but is no key must be refused by whoever looks inside.
func TestOutlineIsNotTheWholeCheck(t *testing.T) {
	hollow := seq(algRSA, bits)
	require.NoError(t, checkPublicKey(hollow))
	_, err := x509.ParsePKIXPublicKey(hollow)
	require.Error(t, err)
}

func TestErrorsDoNotQuoteTheInput(t *testing.T) {
	const secret = "\xde\xad\xbe\xef\xde\xad\xbe\xef"
	for k := range kinds {
		err := k.check([]byte(secret), Codec{}.withDefaults().Limits)
		require.Error(t, err, k)
		require.NotContains(t, err.Error(), secret[:4], k)
		require.NotContains(t, err.Error(), hex.EncodeToString([]byte(secret))[:8], k)
	}
}
