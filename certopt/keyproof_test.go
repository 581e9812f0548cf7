package certopt

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeyProofVerifies(t *testing.T) {
	for _, k := range keysUnderTest(t) {
		t.Run(k.name, func(t *testing.T) {
			spki := marshalSPKI(t, k.signer.Public())
			for name, x := range map[string]Statement{
				"Request":              testStatement(),
				"Rebind, no server":    {ClientDUID: testStatement().ClientDUID},
				"longest DUIDs":        {ClientDUID: make([]byte, 130), ServerDUID: make([]byte, 130)},
				"shortest client DUID": {ClientDUID: []byte{0, 1, 2}},
			} {
				proof, err := SignKeyProof([]byte("before"), k.signer, nil, x)
				require.NoError(t, err, name)
				require.Equal(t, "before", string(proof[:6]), name)
				require.NoError(t, VerifyKeyProof(proof[6:], spki, x), name)
				_, err = Codec{}.Append(nil, Options{PublicKey: spki, KeyProof: proof[6:]})
				require.NoError(t, err, "%s: Append refuses what SignKeyProof made", name)
			}
		})
	}
}

func TestKeyProofIsBoundToItsStatementAndKey(t *testing.T) {
	otherKeys := []crypto.PublicKey{rsaOfSize(2048), ed25519.NewKeyFromSeed(make([]byte, 32)).Public()}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		otherKeys = append(otherKeys, key.Public())
	}
	for _, k := range keysUnderTest(t) {
		t.Run(k.name, func(t *testing.T) {
			x := testStatement()
			spki := marshalSPKI(t, k.signer.Public())
			proof, err := SignKeyProof(nil, k.signer, rand.Reader, x)
			require.NoError(t, err)

			for name, change := range map[string]func(*Statement){
				"another transaction": func(x *Statement) { x.TransactionID[2]++ },
				"another client":      func(x *Statement) { x.ClientDUID = flip(x.ClientDUID, -1) },
				"another server":      func(x *Statement) { x.ServerDUID = flip(x.ServerDUID, -1) },
				"no server":           func(x *Statement) { x.ServerDUID = nil },
				"client and server exchanged": func(x *Statement) {
					x.ClientDUID, x.ServerDUID = x.ServerDUID, x.ClientDUID
				},
				"an octet moved between the DUIDs": func(x *Statement) {
					all := slices.Concat(x.ClientDUID, x.ServerDUID)
					n := len(x.ClientDUID) - 1
					x.ClientDUID, x.ServerDUID = all[:n], all[n:]
				},
			} {
				other := x
				change(&other)
				require.ErrorIs(t, VerifyKeyProof(proof, spki, other), ErrKeyProof, name)
			}

			for _, other := range otherKeys {
				err := VerifyKeyProof(proof, marshalSPKI(t, other), x)
				require.ErrorIs(t, err, ErrKeyProof, "%T of another", other)
			}
			require.ErrorIs(t, VerifyKeyProof(flip(proof, -1), spki, x), ErrKeyProof, "last octet of the signature changed")
		})
	}
}

// flip returns a copy of b with the lowest bit of octet i changed; -1 is the last.
func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[(i+len(b))%len(b)] ^= 1
	return b
}

func TestKeyProofFixedVector(t *testing.T) {
	// Ed25519 is deterministic: this pins the signed octets.
	want := "300506032b6570" + "034100" +
		"3c3afebacc511be35f2d070248db496c9eaa9e54c3143fc732aac35072a0ca4e" +
		"96dc79c6f98ba038279e699fd58af0cfa572bd026d3433b46aa4f99e1b997b01"
	proof, err := SignKeyProof(nil, seedKey(), nil, testStatement())
	require.NoError(t, err)
	require.Equal(t, want, hex.EncodeToString(proof))

	octets, err := testStatement().signedOctets([]byte("SPKI"))
	require.NoError(t, err)
	require.Equal(t, "DHCPv6-KEY-POP\x00"+"\x12\x34\x56"+
		"\x00\x0a\x00\x03\x00\x01\x02\x00\x00\x00\x00\x01"+
		"\x00\x0a\x00\x03\x00\x01\x02\x00\x00\x00\x00\x02"+"SPKI", string(octets))
}

func TestKeyProofAlgorithmIsTheOneForTheKey(t *testing.T) {
	x := testStatement()
	keys := keysUnderTest(t)
	for _, k := range keys {
		for _, other := range keys {
			if k.name == other.name {
				continue
			}
			proof, err := SignKeyProof(nil, k.signer, rand.Reader, x)
			require.NoError(t, err)
			otherScheme, err := schemeOf(other.signer.Public())
			require.NoError(t, err)
			_, signature, err := splitKeyProof(proof)
			require.NoError(t, err)
			forged := slices.Concat([]byte(otherScheme.algorithm), tlv(3, []byte{0}, signature))
			require.ErrorIs(t, VerifyKeyProof(forged, marshalSPKI(t, k.signer.Public()), x), ErrKeyProof,
				"%s signature labelled as %s", k.name, other.name)
		}
	}

	r, err := rsaKey()
	require.NoError(t, err)
	octets, err := x.signedOctets(marshalSPKI(t, r.Public()))
	require.NoError(t, err)
	digest := signatureScheme{hash: crypto.SHA256}.digest(octets)
	signature, err := r.Sign(rand.Reader, digest, crypto.SHA256)
	require.NoError(t, err)
	bare := slices.Concat(seq(tlv(6, []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"))), tlv(3, []byte{0}, signature))
	require.ErrorIs(t, VerifyKeyProof(bare, marshalSPKI(t, r.Public()), x), ErrKeyProof, "sha256WithRSAEncryption without NULL")
	pss, err := r.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256})
	require.NoError(t, err)
	s, err := schemeOf(r.Public())
	require.NoError(t, err)
	require.ErrorIs(t, VerifyKeyProof(slices.Concat([]byte(s.algorithm), tlv(3, []byte{0}, pss)), marshalSPKI(t, r.Public()), x),
		ErrKeyProof, "a PSS signature labelled as PKCS #1 v1.5")
}

// fakeSigner has a public key of the test's choice and signs nothing.
type fakeSigner struct{ public crypto.PublicKey }

func (f fakeSigner) Public() crypto.PublicKey { return f.public }

func (f fakeSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("token removed")
}

func rsaOfSize(bits uint) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
}

func TestUnsupportedKeys(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	require.NoError(t, err)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(t, err)
	proof, err := SignKeyProof(nil, seedKey(), nil, testStatement())
	require.NoError(t, err)
	for name, public := range map[string]crypto.PublicKey{
		"RSA, 2047 bits":  rsaOfSize(2047),
		"RSA, 8193 bits":  rsaOfSize(8193),
		"RSA, 30000 bits": rsaOfSize(30000),
		"ECDSA P-224":     p224.Public(),
		"ECDSA P-521":     p521.Public(),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := SignKeyProof([]byte("before"), fakeSigner{public}, nil, testStatement())
			require.ErrorIs(t, err, ErrUnsupportedKey)
			require.Equal(t, "before", string(got))
			require.ErrorIs(t, VerifyKeyProof(proof, marshalSPKI(t, public), testStatement()), ErrUnsupportedKey)
		})
	}
	for name, public := range map[string]crypto.PublicKey{"RSA, 2048 bits": rsaOfSize(2048), "RSA, 8192 bits": rsaOfSize(8192)} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, VerifyKeyProof(proof, marshalSPKI(t, public), testStatement()), ErrKeyProof)
		})
	}
	t.Run("no key at all", func(t *testing.T) {
		_, err := SignKeyProof(nil, fakeSigner{"a string"}, nil, testStatement())
		require.ErrorIs(t, err, ErrUnsupportedKey)
		require.ErrorIs(t, VerifyKeyProof(proof, seq(algRSA, bits), testStatement()), ErrUnsupportedKey)
	})
}

func TestSignKeyProofReportsTheSignersError(t *testing.T) {
	got, err := SignKeyProof([]byte("before"), fakeSigner{ed25519.PublicKey(make([]byte, 32))}, nil, testStatement())
	require.ErrorContains(t, err, "token removed")
	require.Equal(t, "before", string(got))
}

func TestRFC8415s11_1DUIDLength(t *testing.T) {
	spki := marshalSPKI(t, seedKey().Public())
	proof, err := SignKeyProof(nil, seedKey(), nil, testStatement())
	require.NoError(t, err)
	for name, x := range map[string]Statement{
		"no client":        {ServerDUID: make([]byte, 10)},
		"client too short": {ClientDUID: make([]byte, 2)},
		"client too long":  {ClientDUID: make([]byte, 131)},
		"server too short": {ClientDUID: make([]byte, 10), ServerDUID: make([]byte, 2)},
		"server too long":  {ClientDUID: make([]byte, 10), ServerDUID: make([]byte, 131)},
	} {
		got, err := SignKeyProof([]byte("before"), seedKey(), nil, x)
		require.ErrorIs(t, err, ErrLength, name)
		require.Equal(t, "before", string(got), name)
		require.ErrorIs(t, VerifyKeyProof(proof, spki, x), ErrLength, name)
	}
}

func TestVerifyKeyProofRefusesEveryTruncation(t *testing.T) {
	for _, k := range keysUnderTest(t) {
		t.Run(k.name, func(t *testing.T) {
			x := testStatement()
			spki := marshalSPKI(t, k.signer.Public())
			proof, err := SignKeyProof(nil, k.signer, rand.Reader, x)
			require.NoError(t, err)
			var pe *ParseError
			for n := range len(proof) {
				require.ErrorAs(t, VerifyKeyProof(proof[:n], spki, x), &pe, "proof cut to %d octets", n)
			}
			for n := range len(spki) {
				require.ErrorAs(t, VerifyKeyProof(proof, spki[:n], x), &pe, "key cut to %d octets", n)
			}
		})
	}
}
