package x509ip

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// Reported of a certificate without the extension asked for.
var (
	ErrNoExtension   = errors.New("no IP address delegation extension")
	ErrNoASExtension = errors.New("no AS identifier delegation extension")
)

// OIDIPAddrBlocks returns id-pe-ipAddrBlocks, the identifier of the IP address
// delegation extension (RFC 3779 section 2.2.1).
func OIDIPAddrBlocks() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 7} }

// OIDASIdentifiers returns id-pe-autonomousSysIds, the identifier of the AS
// identifier delegation extension (RFC 3779 section 3.2.1).
func OIDASIdentifiers() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 8}
}

// OIDIPAddrBlocksV2 returns id-pe-ipAddrBlocks-v2, the identifier of the
// extension in certificates that are validated by RFC 8360 (section 4.2.2.1).
func OIDIPAddrBlocksV2() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 28}
}

// OIDASIdentifiersV2 returns id-pe-autonomousSysIds-v2, likewise (RFC 8360
// section 4.2.2.3).
func OIDASIdentifiersV2() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 29}
}

// OIDResourcePolicy returns id-cp-ipAddr-asNumber, the certificate policy of
// resource certificates (RFC 6484 section 1.2).
func OIDResourcePolicy() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 14, 2}
}

// OIDResourcePolicyV2 returns id-cp-ipAddr-asNumber-v2, the certificate policy
// of certificates that are validated by RFC 8360 (section 4.2.1).
func OIDResourcePolicyV2() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 14, 3}
}

// Extension returns b as a certificate extension. It is critical, as RFC 3779
// section 2.2.2 recommends and RFC 6487 section 4.8.10 requires. The errors are
// those of [Blocks.AppendBinary].
func (b Blocks) Extension() (pkix.Extension, error) {
	return criticalExtension(OIDIPAddrBlocks(), b.MarshalBinary)
}

// ExtensionV2 is [Blocks.Extension] with [OIDIPAddrBlocksV2].
func (b Blocks) ExtensionV2() (pkix.Extension, error) {
	return criticalExtension(OIDIPAddrBlocksV2(), b.MarshalBinary)
}

// Extension returns a as a certificate extension, which is critical (RFC 3779
// section 3.2.2, RFC 6487 section 4.8.11). The errors are those of
// [ASIdentifiers.AppendBinary].
func (a ASIdentifiers) Extension() (pkix.Extension, error) {
	return criticalExtension(OIDASIdentifiers(), a.MarshalBinary)
}

// ExtensionV2 is [ASIdentifiers.Extension] with [OIDASIdentifiersV2].
func (a ASIdentifiers) ExtensionV2() (pkix.Extension, error) {
	return criticalExtension(OIDASIdentifiersV2(), a.MarshalBinary)
}

func criticalExtension(oid asn1.ObjectIdentifier, marshal func() ([]byte, error)) (pkix.Extension, error) {
	der, err := marshal()
	if err != nil {
		return pkix.Extension{}, err
	}
	return pkix.Extension{Id: oid, Critical: true, Value: der}, nil
}

// FromCertificate returns the blocks of a parsed certificate. The error is
// [ErrNoExtension] if it has none, wraps [ErrDuplicate] if it has more than
// one, and otherwise wraps the *[ParseError] of [Parse], whose offset counts
// from the start of the extension's value. Whether the extension is critical is
// not looked at: RFC 3779 section 2.2.2 only recommends that it is. The
// extension of RFC 8360 is not taken for it.
func FromCertificate(c *x509.Certificate) (Blocks, error) {
	return blocksOfCertificate(c, OIDIPAddrBlocks())
}

// ASIdentifiersFromCertificate is [FromCertificate] of the AS identifiers. A
// certificate without them is [ErrNoASExtension].
func ASIdentifiersFromCertificate(c *x509.Certificate) (ASIdentifiers, error) {
	return asIdentifiersOfCertificate(c, OIDASIdentifiers())
}

func blocksOfCertificate(c *x509.Certificate, oid asn1.ObjectIdentifier) (Blocks, error) {
	e, err := findExtension(c, oid)
	switch {
	case err == nil && e == nil:
		return Blocks{}, ErrNoExtension
	case err == nil:
		var b Blocks
		if b, err = Parse(e.Value); err == nil {
			return b, nil
		}
	}
	return Blocks{}, fmt.Errorf("IP address delegation extension: %w", err)
}

func asIdentifiersOfCertificate(c *x509.Certificate, oid asn1.ObjectIdentifier) (ASIdentifiers, error) {
	e, err := findExtension(c, oid)
	switch {
	case err == nil && e == nil:
		return ASIdentifiers{}, ErrNoASExtension
	case err == nil:
		var a ASIdentifiers
		if a, err = ParseASIdentifiers(e.Value); err == nil {
			return a, nil
		}
	}
	return ASIdentifiers{}, fmt.Errorf("AS identifier delegation extension: %w", err)
}

// findExtension returns an extension of c, or nil.
func findExtension(c *x509.Certificate, oid asn1.ObjectIdentifier) (*pkix.Extension, error) {
	is := func(e pkix.Extension) bool { return e.Id.Equal(oid) }
	i := slices.IndexFunc(c.Extensions, is)
	if i < 0 {
		return nil, nil
	}
	// RFC 5280 section 4.2: "A certificate MUST NOT include more than one instance
	// of a particular extension."
	if slices.ContainsFunc(c.Extensions[i+1:], is) {
		return nil, ErrDuplicate
	}
	return &c.Extensions[i], nil
}
