package certopt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const testURI = "http://ca.example/.well-known/cmp"

// seedKey is the Ed25519 key of RFC 8032 §7.1 test 1.
func seedKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(
		"\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4" +
			"\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60"))
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

type testKey struct {
	name   string
	signer crypto.Signer
}

func keysUnderTest(t testing.TB) []testKey {
	t.Helper()
	r, err := rsaKey()
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	return []testKey{{"RSA-2048", r}, {"ECDSA P-256", p256}, {"ECDSA P-384", p384}, {"Ed25519", seedKey()}}
}

func marshalSPKI(t testing.TB, public crypto.PublicKey) []byte {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return spki
}

func testStatement() Statement {
	return Statement{
		TransactionID: [3]byte{0x12, 0x34, 0x56},
		ClientDUID:    []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1},
		ServerDUID:    []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 2},
	}
}

func testCertificate(t testing.TB) []byte {
	t.Helper()
	key := seedKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "requesting router"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Unix(1<<31, 0),
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	require.NoError(t, err)
	return der
}

// sample has every option present.
func sample(t testing.TB) Options {
	t.Helper()
	key := seedKey()
	proof, err := SignKeyProof(nil, key, nil, testStatement())
	require.NoError(t, err)
	cert := testCertificate(t)
	chain, err := AppendChain(nil, cert, cert)
	require.NoError(t, err)
	return Options{
		CAPointer:   []byte(testURI),
		PublicKey:   marshalSPKI(t, key.Public()),
		Certificate: cert,
		KeyProof:    proof,
		Chain:       chain,
	}
}

// codecs are the two carriers.
func codecs() map[string]Codec {
	return map[string]Codec{"top-level": {}, "VENDOR_OPTS": {Enterprise: 32473}}
}

func mustAppend(t testing.TB, codec Codec, o Options) []byte {
	t.Helper()
	b, err := codec.Append(nil, o)
	require.NoError(t, err)
	return b
}

// option is one option's octets.
func option(t testing.TB, code uint16, data []byte) []byte {
	t.Helper()
	b, err := AppendOption(nil, code, data)
	require.NoError(t, err)
	return b
}

// vendorOpts is a VENDOR_OPTS of enterprise 32473 (RFC 5612, for documentation).
func vendorOpts(t testing.TB, subOptions ...[]byte) []byte {
	t.Helper()
	return option(t, 17, slices.Concat(binary.BigEndian.AppendUint32(nil, 32473), bytes.Join(subOptions, nil)))
}

func appendORO(t testing.TB, b []byte, codes []uint16) []byte {
	t.Helper()
	var data []byte
	for _, code := range codes {
		data = binary.BigEndian.AppendUint16(data, code)
	}
	b, err := AppendOption(b, 6, data)
	require.NoError(t, err)
	return b
}

// requireParseError checks the whole error: offset and sentinel, and that the
// offset lies in the input.
func requireParseError(t testing.TB, err error, offset int, sentinel error, msg ...any) {
	t.Helper()
	var pe *ParseError
	require.ErrorAs(t, err, &pe, msg...)
	require.ErrorIs(t, err, sentinel, msg...)
	require.Equal(t, offset, pe.Offset, msg...)
}
