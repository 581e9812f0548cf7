package certopt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // crypto.SHA256
	_ "crypto/sha512" // crypto.SHA384
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
)

var (
	// ErrKeyProof: the proof is well formed, but it is not a signature by this
	// key over this statement.
	ErrKeyProof = errors.New("certopt: key proof does not verify")
	// ErrUnsupportedKey: a key of another type, curve or size than those that
	// [SignKeyProof] lists.
	ErrUnsupportedKey = errors.New("certopt: unsupported public key")
)

// Statement is what a key proof says besides the key: which client speaks to
// which server, in which transaction. A proof for one statement is worthless for
// any other.
type Statement struct {
	TransactionID [3]byte // of the message that carries the proof
	ClientDUID    []byte  // the value of its Client Identifier option, 3 to 130 octets
	// ServerDUID is the value of its Server Identifier option, 3 to 130 octets;
	// empty if it has none, as in a Solicit or a Rebind.
	ServerDUID []byte
}

// SignKeyProof appends a key proof: the AlgorithmIdentifier and, as a BIT
// STRING, the signature by key over
//
//	"DHCPv6-KEY-POP" 0x00
//	transaction-id                                    3 octets
//	length of the client DUID, client DUID            2 octets, length
//	length of the server DUID, server DUID            2 octets, length
//	SubjectPublicKeyInfo, as in Options.PublicKey     the rest
//
// The SubjectPublicKeyInfo is the one that x509.MarshalPKIXPublicKey makes of
// key.Public(): send exactly that as Options.PublicKey. The key decides the
// algorithm:
//
//	RSA, modulus of 2048 to 8192 bits   sha256WithRSAEncryption (PKCS #1 v1.5), NULL parameters
//	ECDSA P-256                         ecdsa-with-SHA256
//	ECDSA P-384                         ecdsa-with-SHA384
//	Ed25519                             Ed25519
//
// Of these, hosts that speak SEND use RSA only: they "MUST disregard the
// certificate for SEND if it does not contain an RSA key" (RFC 3971 §6.3.1).
//
// rand is handed to key.Sign; the keys of the standard library do without (nil).
// On error SignKeyProof returns b as it came: [ErrUnsupportedKey], [ErrLength] for a DUID, or what key.Sign returned.
func SignKeyProof(b []byte, key crypto.Signer, rand io.Reader, s Statement) ([]byte, error) {
	public := key.Public()
	scheme, err := schemeOf(public)
	if err != nil {
		return b, err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return b, fmt.Errorf("%w: %w", ErrUnsupportedKey, err)
	}
	octets, err := s.signedOctets(spki)
	if err != nil {
		return b, err
	}
	signature, err := key.Sign(rand, scheme.digest(octets), scheme.hash)
	if err != nil {
		return b, fmt.Errorf("certopt: sign key proof: %w", err)
	}
	var bits cryptobyte.Builder
	bits.AddASN1BitString(signature)
	encoded, err := bits.Bytes()
	if err != nil {
		return b, fmt.Errorf("certopt: encode key proof: %w", err)
	}
	return append(append(b, scheme.algorithm...), encoded...), nil
}

// VerifyKeyProof reports whether proof was made by the private key of spki, the
// value of the public key option, for statement s. Only nil means that it was:
// [ErrKeyProof] (wrong signature, or an algorithm that is not the one for this
// key), [ErrUnsupportedKey], [ErrLength] for a DUID, or a *[ParseError] for
// malformed octets of the proof or the key.
//
// The work is bounded: RSA keys above 8192 bits are refused before any
// arithmetic.
func VerifyKeyProof(proof, spki []byte, s Statement) error {
	if err := checkPublicKey(spki); err != nil {
		return err
	}
	algorithm, signature, err := splitKeyProof(proof)
	if err != nil {
		return err
	}
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupportedKey, err)
	}
	scheme, err := schemeOf(public)
	if err != nil {
		return err
	}
	octets, err := s.signedOctets(spki)
	if err != nil {
		return err
	}
	if string(algorithm) != scheme.algorithm || !scheme.verify(public, octets, signature) {
		return ErrKeyProof
	}
	return nil
}

// signatureScheme is how one kind of key signs.
type signatureScheme struct {
	algorithm string      // the DER AlgorithmIdentifier
	hash      crypto.Hash // 0: the key signs the octets themselves
}

// schemeOf chooses the one scheme that public may be used with.
func schemeOf(public crypto.PublicKey) (signatureScheme, error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		// Smaller is too weak; larger costs a verifier more than a stranger's
		// message may.
		if bits := key.N.BitLen(); 2048 <= bits && bits <= 8192 {
			return signatureScheme{"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00", crypto.SHA256}, nil
		}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return signatureScheme{"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", crypto.SHA256}, nil
		case elliptic.P384():
			return signatureScheme{"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03", crypto.SHA384}, nil
		}
	case ed25519.PublicKey:
		return signatureScheme{"\x30\x05\x06\x03\x2b\x65\x70", 0}, nil
	}
	return signatureScheme{}, ErrUnsupportedKey
}

// digest is what a key of this scheme is given to sign.
func (s signatureScheme) digest(octets []byte) []byte {
	if s.hash == 0 {
		return octets
	}
	h := s.hash.New()
	h.Write(octets)
	return h.Sum(nil)
}

func (s signatureScheme) verify(public crypto.PublicKey, octets, signature []byte) bool {
	digest := s.digest(octets)
	switch key := public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, s.hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, digest, signature)
	}
	return false
}

// signedOctets is what the signature covers. The lengths make the encoding
// unambiguous, the leading text keeps it apart from all else the key may sign.
func (s Statement) signedOctets(spki []byte) ([]byte, error) {
	if !isDUIDLen(len(s.ClientDUID)) {
		return nil, fmt.Errorf("certopt: client DUID of %d octets: %w", len(s.ClientDUID), ErrLength)
	}
	if len(s.ServerDUID) != 0 && !isDUIDLen(len(s.ServerDUID)) {
		return nil, fmt.Errorf("certopt: server DUID of %d octets: %w", len(s.ServerDUID), ErrLength)
	}
	b := append([]byte("DHCPv6-KEY-POP\x00"), s.TransactionID[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.ClientDUID)))
	b = append(b, s.ClientDUID...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.ServerDUID)))
	b = append(b, s.ServerDUID...)
	return append(b, spki...), nil
}

// isDUIDLen reports whether a DUID can have n octets: a two-octet type and "at
// least 1 octet and at most 128 octets" behind it (RFC 8415 §11.1).
func isDUIDLen(n int) bool { return 3 <= n && n <= 130 }
