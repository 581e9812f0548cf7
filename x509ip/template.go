package x509ip

import (
	"crypto"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// The extended key usages of SEND, RFC 6494 section 7.

// OIDSendRouter returns id-kp-sendRouter: the certificate's holder may send
// Router Advertisements and Redirects for the prefixes it certifies.
func OIDSendRouter() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 23} }

// OIDSendProxiedRouter returns id-kp-sendProxiedRouter: the holder may proxy
// Router Advertisements and Redirects for those prefixes.
func OIDSendProxiedRouter() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 24}
}

// OIDSendOwner returns id-kp-sendOwner: the holder may use the addresses it
// certifies.
func OIDSendOwner() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 25} }

// OIDSendProxiedOwner returns id-kp-sendProxiedOwner: the holder may proxy
// neighbor discovery for those addresses.
func OIDSendProxiedOwner() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 26}
}

// RouterCertificate returns the template of a Router Authorization Certificate
// (RFC 6494 appendix A) that lets the router with duid and key pub advertise
// blocks: pass it and pub to [x509.CreateCertificate], which adds what depends
// on the issuer. Its parts, by section of RFC 6487:
//
//   - 4.2: serial, positive and of at most 20 octets
//   - 4.5: subject: common name [DUIDName], serialNumber the key identifier in
//     hex, so that a new key makes a new name; one RDN, PrintableString
//   - 4.6: notBefore to notAfter
//   - 4.8.1: no BasicConstraints
//   - 4.8.2: SubjectKeyIdentifier, SHA-1 of the key's BIT STRING
//   - 4.8.4: KeyUsage digitalSignature, critical
//   - 4.8.5: ExtendedKeyUsage id-kp-sendRouter, not critical
//   - 4.8.10: blocks, critical, with IPv6 addresses and without SAFI
//
// It is an error if an argument does not allow that. RFC 6494 section 4.1 has
// an unconstrained router inherit, so blocks may. The subject is in RawSubject,
// which goes before Subject, so a caller who wants another name sets both.
func RouterCertificate(pub crypto.PublicKey, duid []byte, blocks Blocks, serial *big.Int, notBefore, notAfter time.Time) (*x509.Certificate, error) {
	name, err := DUIDName(duid)
	if err != nil {
		return nil, err
	}
	// RFC 6494 section 4: "This extension MUST include at least one address block
	// for the IPv6 Address Family".
	if _, ok := blocks.family(Family{AFI: IPv6}); !ok {
		return nil, errors.New("x509ip: router certificate without IPv6 addresses")
	}
	// RFC 6487 section 4.8.10: "the Subsequent AFI (SAFI) value MUST NOT be used."
	if slices.ContainsFunc(blocks.families, func(f familyBlocks) bool { return f.SAFI != 0 }) {
		return nil, errors.New("x509ip: router certificate with a SAFI")
	}
	c, err := resourceCertificate(pub, name, blocks, serial, notBefore, notAfter)
	if err != nil {
		return nil, err
	}
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{OIDSendRouter()}
	return c, nil
}

// AuthorityCertificate returns the template of a certification authority that
// may delegate blocks: pass it and pub to [x509.CreateCertificate], with itself
// as parent for a trust anchor. It has BasicConstraints cA without a path
// length limit, KeyUsage keyCertSign and cRLSign, and no ExtendedKeyUsage (RFC
// 6487 sections 4.8.1, 4.8.4 and 4.8.5); everything else is as for
// [RouterCertificate]. commonName is 1 to 64 characters of PrintableString.
func AuthorityCertificate(pub crypto.PublicKey, commonName string, blocks Blocks, serial *big.Int, notBefore, notAfter time.Time) (*x509.Certificate, error) {
	c, err := resourceCertificate(pub, commonName, blocks, serial, notBefore, notAfter)
	if err != nil {
		return nil, err
	}
	c.BasicConstraintsValid = true
	c.IsCA = true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return c, nil
}

// resourceCertificate returns what both templates have in common.
func resourceCertificate(pub crypto.PublicKey, commonName string, blocks Blocks, serial *big.Int, notBefore, notAfter time.Time) (*x509.Certificate, error) {
	switch {
	case serial == nil || serial.Sign() <= 0 || serial.BitLen() > maxSerialBits:
		return nil, errors.New("x509ip: serial number is not positive or longer than 20 octets")
	case notAfter.Before(notBefore):
		return nil, errors.New("x509ip: certificate ends before it begins")
	case !isName(commonName):
		return nil, errors.New("x509ip: common name is not 1 to 64 characters of PrintableString")
	}
	keyID, err := keyIdentifier(pub)
	if err != nil {
		return nil, err
	}
	extension, err := blocks.Extension()
	if err != nil {
		return nil, err
	}
	subject := pkix.Name{CommonName: commonName, SerialNumber: hex.EncodeToString(keyID)}
	// RFC 6487 section 4.4: "If both attributes are present, it is RECOMMENDED that
	// they appear as a set." A pkix.Name would put each in an RDN of its own.
	rawSubject, err := asn1.Marshal(pkix.RDNSequence{slices.Concat(subject.ToRDNSequence()...)})
	if err != nil {
		return nil, fmt.Errorf("x509ip: subject: %w", err)
	}
	return &x509.Certificate{
		PublicKey:       pub,
		SerialNumber:    new(big.Int).Set(serial),
		Subject:         subject,
		RawSubject:      rawSubject,
		NotBefore:       notBefore,
		NotAfter:        notAfter,
		SubjectKeyId:    keyID,
		ExtraExtensions: []pkix.Extension{extension},
	}, nil
}

// maxSerialBits keeps the sign bit of 20 octets clear (RFC 5280 section
// 4.1.2.2).
const maxSerialBits = 8*20 - 1

// isName reports whether s may be a common name: RFC 5280 limits it to 64
// characters (ub-common-name), RFC 6487 section 4.4 to PrintableString.
func isName(s string) bool {
	return len(s) >= 1 && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return false
		}
		return !strings.ContainsRune(" '()+,-./:=?", r)
	}) < 0
}

// keyIdentifier is "the 160-bit SHA-1 hash of the value of the DER-encoded
// ASN.1 bit string of the Subject Public Key" (RFC 6487 section 4.8.2).
func keyIdentifier(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("x509ip: public key: %w", err)
	}
	var spki struct {
		Algorithm        pkix.AlgorithmIdentifier
		SubjectPublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &spki); err != nil {
		return nil, fmt.Errorf("x509ip: public key: %w", err)
	}
	id := sha1.Sum(spki.SubjectPublicKey.Bytes)
	return id[:], nil
}
