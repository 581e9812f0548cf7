package fuzz

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"testing"
	"unicode"

	"dhcpsec.example/certopt"
	"github.com/stretchr/testify/require"
)

// certoptCodecs are the two carriers of the options.
var certoptCodecs = []certopt.Codec{{}, {Enterprise: 32473}}

func certoptHex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(tb, err)
	return b
}

// requireCertoptParseError checks that err is a *ParseError at an offset within
// the n octets of the input.
func requireCertoptParseError(t *testing.T, err error, n int) {
	t.Helper()
	pe, ok := errors.AsType[*certopt.ParseError](err)
	require.True(t, ok, "not a *ParseError: %v", err)
	require.True(t, pe.Offset >= 0 && pe.Offset <= n, "offset %d in an input of %d octets", pe.Offset, n)
}

// Whatever the octets, Walk either splits all of them into options or fails; and
// what it yields, appended, is the octets it came from.
func FuzzCertoptWalk(f *testing.F) {
	// No option at all.
	f.Add([]byte{})
	// A Client Identifier, then an empty Rapid Commit.
	f.Add(certoptHex(f, "000100040003001b000e0000"))
	// An option-len that reaches one octet beyond the area.
	f.Add(certoptHex(f, "fde9000261"))
	// Three octets: half an option header.
	f.Add(certoptHex(f, "fde900"))
	f.Fuzz(func(t *testing.T, area []byte) {
		var back []byte
		for opt, err := range certopt.Walk(area) {
			if err != nil {
				requireCertoptParseError(t, err, len(area))
				require.True(t, bytes.HasPrefix(area, back))
				return
			}
			require.Equal(t, len(back)+4, opt.Offset)
			back, err = certopt.AppendOption(back, opt.Code, opt.Data)
			require.NoError(t, err)
		}
		require.True(t, bytes.Equal(area, back), "the options do not make up the area")
	})
}

// Whatever the octets, Find and Requests do not panic; what Find accepts is what
// stands in the area, prints safely, and survives Append and Find unchanged.
func FuzzCertoptFind(f *testing.F) {
	// A CA pointer, "ldap:x".
	f.Add(certoptHex(f, "fde900066c6461703a78"))
	// The same CA pointer in a VENDOR_OPTS of enterprise 32473.
	f.Add(certoptHex(f, "0011000e00007ed9000100066c6461703a78"))
	// An Ed25519 public key between two options that are not ours.
	f.Add(certoptHex(f, "000e0000"+"fdea002c302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"+"00080002ffff"))
	// A certificate of the smallest outline, then a chain of the same twice.
	f.Add(certoptHex(f, "fdeb000f300d3000300506032b6570030200aa"+"fded0022"+"000f300d3000300506032b6570030200aa"+"000f300d3000300506032b6570030200aa"))
	// A key proof of the smallest outline.
	f.Add(certoptHex(f, "fdec000b300506032b6570030200aa"))
	// Two CA pointers.
	f.Add(certoptHex(f, "fde90003613a62fde90003613a62"))
	// Two VENDOR_OPTS of the same enterprise, the second empty.
	f.Add(certoptHex(f, "0011000b00007ed900010003613a620011000400007ed9"))
	// An Option Request option that asks for all three, and one of odd length.
	f.Add(certoptHex(f, "00060006fde9fdebfded"+"0006000101"))
	f.Fuzz(func(t *testing.T, area []byte) {
		input := bytes.Clone(area)
		for _, codec := range certoptCodecs {
			if _, err := codec.Requests(area); err != nil {
				requireCertoptParseError(t, err, len(area))
			}
			o, err := codec.Find(area)
			if err != nil {
				requireCertoptParseError(t, err, len(area))
				require.Equal(t, certopt.Options{}, o, "options beside an error")
				continue
			}
			if codec.Enterprise == 0 {
				requireCertoptStandsIn(t, area, o)
			}
			for _, r := range o.String() {
				require.False(t, unicode.IsControl(r), "control character in %q", o.String())
			}
			total := 0
			for cert := range o.Chain.All() {
				total += 2 + len(cert)
			}
			require.Equal(t, len(o.Chain), total, "the certificates do not make up the chain")

			back, err := codec.Append(nil, o)
			require.NoError(t, err)
			again, err := codec.Find(back)
			require.NoError(t, err)
			require.Equal(t, o, again)
		}
		require.Equal(t, input, area, "the input was changed")
	})
}

// requireCertoptStandsIn checks o against the naive reading of area.
func requireCertoptStandsIn(t *testing.T, area []byte, o certopt.Options) {
	t.Helper()
	naive := map[uint16][]byte{}
	for opt, err := range certopt.Walk(area) {
		require.NoError(t, err)
		naive[opt.Code] = opt.Data
	}
	codes := certopt.DefaultCodes()
	require.Equal(t, naive[codes.CAPointer], o.CAPointer)
	require.Equal(t, naive[codes.PublicKey], o.PublicKey)
	require.Equal(t, naive[codes.Certificate], o.Certificate)
	require.Equal(t, naive[codes.KeyProof], o.KeyProof)
	require.Equal(t, naive[codes.CertificateChain], []byte(o.Chain))
}

// Whatever the values, Append either refuses them and leaves the buffer alone, or
// Find returns them unchanged.
func FuzzCertoptAppend(f *testing.F) {
	key := certoptHex(f, "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
	cert := certoptHex(f, "300d3000300506032b6570030200aa")
	proof := certoptHex(f, "300506032b6570030200aa")
	// Nothing.
	f.Add([]byte(nil), []byte(nil), []byte(nil), []byte(nil), []byte(nil))
	// Everything.
	f.Add([]byte("http://[2001:db8::1]/cmp?a=%20"), key, cert, proof, append([]byte{0, 15}, cert...))
	// A CA pointer with a terminating NUL.
	f.Add([]byte("http://ca.example\x00"), key, []byte(nil), []byte(nil), []byte(nil))
	// A certificate with one octet too many.
	f.Add([]byte(nil), key, append(bytes.Clone(cert), 0), proof, []byte(nil))
	f.Fuzz(func(t *testing.T, pointer, key, cert, proof, chain []byte) {
		// An absent option comes back as nil.
		present := func(b []byte) []byte {
			if len(b) == 0 {
				return nil
			}
			return b
		}
		o := certopt.Options{
			CAPointer: present(pointer), PublicKey: present(key), Certificate: present(cert),
			KeyProof: present(proof), Chain: present(chain),
		}
		for _, codec := range certoptCodecs {
			b, err := codec.Append([]byte("before"), o)
			require.Equal(t, "before", string(b[:6]))
			if err != nil {
				require.Len(t, b, 6)
				continue
			}
			got, err := codec.Find(b[6:])
			require.NoError(t, err)
			require.Equal(t, o, got)
		}
	})
}

// Whatever proof, key and DUIDs, VerifyKeyProof does not panic, and holds nothing
// for proven but what the key signed.
func FuzzCertoptVerifyKeyProof(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(f, err)
	s := certopt.Statement{ClientDUID: []byte{0, 3, 0}, ServerDUID: []byte{0, 3, 1}}
	proof, err := certopt.SignKeyProof(nil, key, nil, s)
	require.NoError(f, err)
	// A good proof.
	f.Add(proof, spki, s.ClientDUID, s.ServerDUID)
	// The same proof for a message that names no server.
	f.Add(proof, spki, s.ClientDUID, []byte(nil))
	// A proof by a P-256 key that is not a point of the curve.
	f.Add(certoptHex(f, "300a06082a8648ce3d040302"+"03090030060201010201"+"01"),
		certoptHex(f, "3019301306072a8648ce3d020106082a8648ce3d03010703020004"), s.ClientDUID, s.ServerDUID)
	// An RSA key with a modulus of one octet.
	f.Add(certoptHex(f, "300d06092a864886f70d01010b0500030200aa"),
		certoptHex(f, "301a300d06092a864886f70d01010105000309003006020107020103"), s.ClientDUID, s.ServerDUID)
	// An RSA key with an even modulus of 2048 bits.
	f.Add(certoptHex(f, "300d06092a864886f70d01010b0500030200aa"),
		append(certoptHex(f, "30820122300d06092a864886f70d01010105000382010f003082010a0282010100"),
			append(append([]byte{0x80}, make([]byte, 255)...), certoptHex(f, "0203010001")...)...), s.ClientDUID, s.ServerDUID)
	f.Fuzz(func(t *testing.T, proof, key, client, server []byte) {
		err := certopt.VerifyKeyProof(proof, key, certopt.Statement{ClientDUID: client, ServerDUID: server})
		if err != nil {
			return
		}
		// A proof for one statement is none for another.
		other := certopt.Statement{TransactionID: [3]byte{1}, ClientDUID: client, ServerDUID: server}
		require.ErrorIs(t, certopt.VerifyKeyProof(proof, key, other), certopt.ErrKeyProof)
		_, err = certopt.Codec{}.Append(nil, certopt.Options{PublicKey: key, KeyProof: proof})
		if !errors.Is(err, certopt.ErrTooLarge) {
			require.NoError(t, err, "Append refuses what VerifyKeyProof accepts")
		}
	})
}
