package x509ip

import (
	"cmp"
	"crypto"
	"crypto/rsa"
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

// sendKeyUsages is all of them.
func sendKeyUsages() []asn1.ObjectIdentifier {
	return []asn1.ObjectIdentifier{OIDSendRouter(), OIDSendProxiedRouter(), OIDSendOwner(), OIDSendProxiedOwner()}
}

// Template is what goes into a resource certificate; [Template.Certificate]
// makes of it what [x509.CreateCertificate] needs. [RouterCertificate] and
// [AuthorityCertificate] are for the usual ones.
type Template struct {
	PublicKey crypto.PublicKey

	// Name is the common name, 1 to 64 characters of PrintableString: that of
	// [DUIDName] for who is known by a DUID.
	Name string

	// Authority tells a certification authority from an end entity.
	Authority bool

	// What is certified. One of them has to be there.
	Blocks        Blocks
	ASIdentifiers ASIdentifiers

	SerialNumber        *big.Int // positive and of at most 20 octets
	NotBefore, NotAfter time.Time

	// KeyUsages are the extended key usages of an end entity; without any it gets
	// [OIDSendRouter]. An authority has none.
	KeyUsages []asn1.ObjectIdentifier

	// Profile is what the certificate has to conform to, as far as it depends on
	// the template.
	Profile Profile

	// Reconsider has resources in the extensions of RFC 8360, with its policy.
	Reconsider bool

	// Publication is where RFC 6487 wants things published. Only ProfileStrict
	// needs it; with other profiles it says what is added.
	Publication Publication
}

// Publication is the rsync URIs of a certificate of the global RPKI, by section
// of RFC 6487. Empty ones are left out.
type Publication struct {
	CRL          string // 4.8.6: the issuer's CRL; none in a trust anchor
	Issuer       string // 4.8.7: the issuer's certificate; none in a trust anchor
	Repository   string // 4.8.8.1: the directory of what an authority publishes
	Manifest     string // 4.8.8.1: its manifest
	SignedObject string // 4.8.8.2: what an end entity's key verifies
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
	return Template{
		PublicKey: pub, Name: name, Blocks: blocks,
		SerialNumber: serial, NotBefore: notBefore, NotAfter: notAfter, Profile: ProfileLocal,
	}.Certificate()
}

// AuthorityCertificate returns the template of a certification authority that
// may delegate blocks: pass it and pub to [x509.CreateCertificate], with itself
// as parent for a trust anchor. It has BasicConstraints cA without a path
// length limit, KeyUsage keyCertSign and cRLSign, and no ExtendedKeyUsage (RFC
// 6487 sections 4.8.1, 4.8.4 and 4.8.5); everything else is as for
// [RouterCertificate]. commonName is 1 to 64 characters of PrintableString.
func AuthorityCertificate(pub crypto.PublicKey, commonName string, blocks Blocks, serial *big.Int, notBefore, notAfter time.Time) (*x509.Certificate, error) {
	return Template{
		PublicKey: pub, Name: commonName, Authority: true, Blocks: blocks,
		SerialNumber: serial, NotBefore: notBefore, NotAfter: notAfter,
	}.Certificate()
}

// Certificate returns the template for [x509.CreateCertificate], to be passed
// with the same public key. It adds what depends on the issuer: its name and key
// identifier, and the signature. It is an error if t lacks something or does not
// conform to its profile.
func (t Template) Certificate() (*x509.Certificate, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	keyID, err := keyIdentifier(t.PublicKey)
	if err != nil {
		return nil, err
	}
	subject := pkix.Name{CommonName: t.Name, SerialNumber: hex.EncodeToString(keyID)}
	// RFC 6487 section 4.4: "If both attributes are present, it is RECOMMENDED that
	// they appear as a set." A pkix.Name would put each in an RDN of its own.
	rawSubject, err := asn1.Marshal(pkix.RDNSequence{slices.Concat(subject.ToRDNSequence()...)})
	if err != nil {
		return nil, fmt.Errorf("x509ip: subject: %w", err)
	}
	extensions, err := t.extensions()
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		PublicKey:       t.PublicKey,
		SerialNumber:    new(big.Int).Set(t.SerialNumber),
		Subject:         subject,
		RawSubject:      rawSubject,
		NotBefore:       t.NotBefore,
		NotAfter:        t.NotAfter,
		SubjectKeyId:    keyID,
		ExtraExtensions: extensions,
	}
	if t.Publication.CRL != "" {
		c.CRLDistributionPoints = []string{t.Publication.CRL}
	}
	if t.Publication.Issuer != "" {
		c.IssuingCertificateURL = []string{t.Publication.Issuer}
	}
	if t.Authority {
		c.BasicConstraintsValid = true
		c.IsCA = true
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		return c, nil
	}
	c.KeyUsage = x509.KeyUsageDigitalSignature
	if c.UnknownExtKeyUsage = slices.Clone(t.KeyUsages); len(t.KeyUsages) == 0 {
		c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{OIDSendRouter()}
	}
	return c, nil
}

// check refuses what cannot be certified, or not with that profile.
func (t Template) check() error {
	switch {
	case t.SerialNumber == nil || t.SerialNumber.Sign() <= 0 || t.SerialNumber.BitLen() > maxSerialBits:
		return errors.New("x509ip: serial number is not positive or longer than 20 octets")
	case t.NotAfter.Before(t.NotBefore):
		return errors.New("x509ip: certificate ends before it begins")
	case !isName(t.Name):
		return errors.New("x509ip: common name is not 1 to 64 characters of PrintableString")
	case t.Blocks.IsZero() && t.ASIdentifiers.IsZero():
		return errNone
	case t.Authority && len(t.KeyUsages) > 0:
		return errors.New("x509ip: authority with extended key usages")
	}
	if t.Profile == ProfileNone {
		return nil
	}
	_, hasIPv6 := t.Blocks.family(Family{AFI: IPv6})
	switch {
	case t.Blocks.IsZero():
		// RFC 6494 section 4: "SEND certificates MUST include the IP Address Delegation
		// extension".
		return errors.New("x509ip: certificate without IP addresses")
	case !t.Authority && !hasIPv6:
		// RFC 6494 section 4: "This extension MUST include at least one address block
		// for the IPv6 Address Family".
		return errors.New("x509ip: router certificate without IPv6 addresses")
	case t.Blocks.hasSAFI():
		// RFC 6487 section 4.8.10: "the Subsequent AFI (SAFI) value MUST NOT be used."
		return errors.New("x509ip: certificate with a SAFI")
	case !t.ASIdentifiers.rdi.absent():
		// RFC 6487 section 4.8.11: "Routing Domain Identifier (RDI) values are NOT
		// supported in this profile and MUST NOT be used."
		return errors.New("x509ip: certificate with routing domain identifiers")
	case !t.Authority && len(t.KeyUsages) > 0 && !slices.ContainsFunc(t.KeyUsages, func(u asn1.ObjectIdentifier) bool {
		return slices.ContainsFunc(sendKeyUsages(), u.Equal)
	}):
		return errors.New("x509ip: no extended key usage of SEND")
	case t.Profile == ProfileStrict:
		return t.checkStrict()
	}
	return nil
}

func (t Template) checkStrict() error {
	p := t.Publication
	needed := []string{p.CRL, p.Issuer, p.SignedObject}
	if !t.Authority && p.Repository+p.Manifest != "" {
		// RFC 6487 section 4.8.8.2: "Other AccessMethods MUST NOT be used for an EE
		// certificates's SIA."
		return errors.New("x509ip: strict profile with a repository or manifest of an end entity")
	}
	if t.Authority {
		needed = []string{p.Repository, p.Manifest}
		if p.CRL != "" || p.Issuer != "" { // not a trust anchor
			needed = append(needed, p.CRL, p.Issuer)
		}
	}
	isURI := func(s string) bool { return strings.HasPrefix(s, "rsync://") }
	if slices.ContainsFunc(needed, func(s string) bool { return !isURI(s) }) {
		return errors.New("x509ip: strict profile without the rsync URIs that it needs")
	}
	if key, ok := t.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() != 2048 || key.E != 65537 {
		return errors.New("x509ip: strict profile without an RSA key of 2048 bits (RFC 7935)")
	}
	return nil
}

// extensions returns what crypto/x509 does not know how to make.
func (t Template) extensions() (all []pkix.Extension, err error) {
	blocks, as := t.Blocks.Extension, t.ASIdentifiers.Extension
	policy := OIDResourcePolicy()
	if t.Reconsider {
		blocks, as = t.Blocks.ExtensionV2, t.ASIdentifiers.ExtensionV2
		policy = OIDResourcePolicyV2()
	}
	add := func(e pkix.Extension, err2 error) {
		all = append(all, e)
		err = cmp.Or(err, err2)
	}
	if !t.Blocks.IsZero() {
		add(blocks())
	}
	if !t.ASIdentifiers.IsZero() {
		add(as())
	}
	if t.Reconsider || t.Profile == ProfileStrict {
		value, err := asn1.Marshal([]struct{ ID asn1.ObjectIdentifier }{{policy}})
		add(pkix.Extension{Id: oidPolicies, Critical: true, Value: value}, err)
	}
	type accessDescription struct {
		Method   asn1.ObjectIdentifier
		Location asn1.RawValue
	}
	var access []accessDescription
	for _, a := range []struct {
		method asn1.ObjectIdentifier
		uri    string
	}{{oidCARepository, t.Publication.Repository}, {oidManifest, t.Publication.Manifest}, {oidSignedObject, t.Publication.SignedObject}} {
		if a.uri != "" {
			location := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagURI, Bytes: []byte(a.uri)}
			access = append(access, accessDescription{a.method, location})
		}
	}
	if access != nil {
		value, err := asn1.Marshal(access)
		add(pkix.Extension{Id: oidSubjectInfo, Value: value}, err)
	}
	return all, err
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
