package certopt

import (
	"bytes"
	"fmt"

	"dhcpsec.example/internal/wire"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// kind is one of the five options, in the order of the fields of [Options].
type kind int

const (
	kindCAPointer kind = iota
	kindPublicKey
	kindCertificate
	kindKeyProof
	kindChain
	kinds // how many there are
)

func (k kind) String() string {
	return [kinds]string{"CA pointer", "public key", "certificate", "key proof", "certificate chain"}[k]
}

// token is the name of k in the text form of [Options].
func (k kind) token() string {
	return [kinds]string{"ca-pointer", "public-key", "certificate", "key-proof", "certificate-chain"}[k]
}

// check checks one value. The offset in its error counts from the start of v.
func (k kind) check(v []byte, limits Limits) error {
	if len(v) == 0 {
		return wire.Errorf(k.String(), 0, ErrLength)
	}
	if len(v) > limits.of(k) {
		return wire.Errorf(k.String(), 0, ErrTooLarge)
	}
	switch k {
	case kindCAPointer:
		return checkURI(v)
	case kindPublicKey:
		return checkPublicKey(v)
	case kindCertificate:
		return checkCertificate(v)
	case kindKeyProof:
		_, _, err := splitKeyProof(v)
		return err
	default:
		return checkChain(v, limits.Certificate)
	}
}

// checkURI checks the characters and the outline of
//
//	absolute-URI = scheme ":" hier-part [ "?" query ]
//
// of RFC 3986 §4.3, which has no fragment. What stands between the slashes is
// for whoever resolves the URI.
func checkURI(uri []byte) error {
	colon := bytes.IndexByte(uri, ':')
	if colon < 0 {
		return wire.Errorf("CA pointer scheme", 0, ErrValue)
	}
	// scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
	for i, ch := range uri[:colon] {
		if !isAlpha(ch) && (i == 0 || !isDigit(ch) && ch != '+' && ch != '-' && ch != '.') {
			return wire.Errorf("CA pointer scheme", i, ErrValue)
		}
	}
	if colon == 0 || colon == len(uri)-1 {
		return wire.Errorf("CA pointer", colon, ErrValue)
	}

	// RFC 3986 §3.2.2: an IP literal is "the only place where square bracket
	// characters are allowed in the URI syntax".
	bracketsEnd := colon + 1
	if authority, ok := bytes.CutPrefix(uri[colon+1:], []byte("//")); ok {
		bracketsEnd = len(uri)
		if n := bytes.IndexAny(authority, "/?"); n >= 0 {
			bracketsEnd = colon + len("://") + n
		}
	}
	for i := colon + 1; i < len(uri); i++ {
		switch ch := uri[i]; {
		case isURIChar(ch):
		case ch == '[' || ch == ']':
			if i >= bracketsEnd {
				return wire.Errorf("CA pointer", i, ErrValue)
			}
		case ch == '%':
			// pct-encoded = "%" HEXDIG HEXDIG
			if len(uri)-i < 3 || !isHex(uri[i+1]) || !isHex(uri[i+2]) {
				return wire.Errorf("CA pointer percent-encoding", i, ErrValue)
			}
		default:
			return wire.Errorf("CA pointer", i, ErrValue)
		}
	}
	return nil
}

func isAlpha(ch byte) bool { return 'a' <= ch|0x20 && ch|0x20 <= 'z' }
func isDigit(ch byte) bool { return '0' <= ch && ch <= '9' }
func isHex(ch byte) bool   { return isDigit(ch) || 'a' <= ch|0x20 && ch|0x20 <= 'f' }

// isURIChar reports whether ch stands for itself in a path or a query: the
// unreserved, the sub-delims and the gen-delims but "#", "[" and "]".
func isURIChar(ch byte) bool {
	switch ch {
	case '-', '.', '_', '~', // unreserved
		'!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=', // sub-delims
		':', '/', '?', '@':
		return true
	}
	return isAlpha(ch) || isDigit(ch)
}

// checkPublicKey checks the outline of
//
//	SubjectPublicKeyInfo ::= SEQUENCE {
//	    algorithm         AlgorithmIdentifier,
//	    subjectPublicKey  BIT STRING }
//
// RFC 5280 §4.1.
func checkPublicKey(v []byte) error {
	in := der{rest: v}
	spki, err := in.element(asn1.SEQUENCE, "public key")
	if err != nil {
		return err
	}
	if err := in.end("public key"); err != nil {
		return err
	}
	if err := spki.algorithm("public key algorithm"); err != nil {
		return err
	}
	if _, err := spki.bitString("public key subjectPublicKey"); err != nil {
		return err
	}
	return spki.end("public key")
}

// checkCertificate checks the outline of
//
//	Certificate ::= SEQUENCE {
//	    tbsCertificate      TBSCertificate,
//	    signatureAlgorithm  AlgorithmIdentifier,
//	    signatureValue      BIT STRING }
//
// RFC 5280 §4.1. What is inside matters only to whoever verifies it.
func checkCertificate(v []byte) error {
	in := der{rest: v}
	cert, err := in.element(asn1.SEQUENCE, "certificate")
	if err != nil {
		return err
	}
	if err := in.end("certificate"); err != nil {
		return err
	}
	if _, err := cert.element(asn1.SEQUENCE, "certificate tbsCertificate"); err != nil {
		return err
	}
	if err := cert.algorithm("certificate signatureAlgorithm"); err != nil {
		return err
	}
	if _, err := cert.bitString("certificate signatureValue"); err != nil {
		return err
	}
	return cert.end("certificate")
}

// splitKeyProof returns the two elements of a key proof: the AlgorithmIdentifier
// as it stands, and the octets of the signature. Both alias v.
func splitKeyProof(v []byte) (algorithm, signature []byte, err error) {
	in := der{rest: v}
	if err := in.algorithm("key proof algorithm"); err != nil {
		return nil, nil, err
	}
	algorithm = v[:in.at]
	if signature, err = in.bitString("key proof signature"); err != nil {
		return nil, nil, err
	}
	return algorithm, signature, in.end("key proof")
}

func checkChain(v []byte, limit int) error {
	c := wire.NewCursor(v, 0)
	for n := 0; c.Len() > 0; n++ {
		if n == MaxChainCertificates {
			return wire.Errorf("certificate chain", c.Offset(), ErrTooLarge)
		}
		cert, err := nextCertificate(&c)
		if err != nil {
			return err
		}
		at := c.Offset() - len(cert)
		if len(cert) > limit {
			return wire.Errorf("certificate chain certificate", at, ErrTooLarge)
		}
		if err := checkCertificate(cert); err != nil {
			return wire.Shift(err, at)
		}
	}
	return nil
}

// errDER is the [ErrValue] of a DER reader: something else, or no strict DER.
var errDER = fmt.Errorf("%w: not the DER element expected here", ErrValue)

// der reads the elements of one DER value from front to back.
type der struct {
	rest cryptobyte.String
	at   int // offset of rest
}

// element reads one element with this tag and returns a reader of its content.
func (d *der) element(tag asn1.Tag, field string) (der, error) {
	var content cryptobyte.String
	before := len(d.rest)
	if !d.rest.ReadASN1(&content, tag) {
		return der{}, wire.Errorf(field, d.at, errDER)
	}
	d.at += before - len(d.rest)
	return der{rest: content, at: d.at - len(content)}, nil
}

// end fails if there is another element.
func (d *der) end(field string) error {
	if len(d.rest) > 0 {
		return wire.Errorf(field, d.at, ErrTrailing)
	}
	return nil
}

// bitString reads a BIT STRING of whole octets, at least one, and returns them.
func (d *der) bitString(field string) ([]byte, error) {
	s, err := d.element(asn1.BIT_STRING, field)
	if err != nil {
		return nil, err
	}
	// The first content octet counts the unused bits of the last.
	if len(s.rest) < 2 || s.rest[0] != 0 {
		return nil, wire.Errorf(field, s.at, ErrValue)
	}
	return s.rest[1:], nil
}

// rsaEncryption is 1.2.840.113549.1.1.1.
const rsaEncryption = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"

// algorithm reads
//
//	AlgorithmIdentifier ::= SEQUENCE {
//	    algorithm   OBJECT IDENTIFIER,
//	    parameters  ANY DEFINED BY algorithm OPTIONAL }
func (d *der) algorithm(field string) error {
	alg, err := d.element(asn1.SEQUENCE, field)
	if err != nil {
		return err
	}
	oid, err := alg.element(asn1.OBJECT_IDENTIFIER, field)
	if err != nil {
		return err
	}
	if !isOID(oid.rest) {
		return wire.Errorf(field, oid.at, errDER)
	}
	// RFC 3279 §2.3.1: for rsaEncryption "The parameters field MUST have ASN.1
	// type NULL".
	if string(oid.rest) == rsaEncryption {
		null, err := alg.element(asn1.NULL, field)
		if err != nil {
			return err
		}
		if err := null.end(field); err != nil {
			return err
		}
	} else if len(alg.rest) > 0 {
		anyTag := asn1.Tag(alg.rest[0])
		if _, err := alg.element(anyTag, field); err != nil {
			return err
		}
	}
	return alg.end(field)
}

// isOID reports whether s is the content of an OBJECT IDENTIFIER: base-128
// numbers, none of them padded, the last one complete (X.690 §8.19).
func isOID(s []byte) bool {
	first := true
	for _, ch := range s {
		if first && ch == 0x80 {
			return false
		}
		first = ch < 0x80
	}
	return len(s) > 0 && first
}
