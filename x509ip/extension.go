package x509ip

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// ErrNoExtension reports a certificate without the IP address delegation
// extension.
var ErrNoExtension = errors.New("no IP address delegation extension")

// OIDIPAddrBlocks returns id-pe-ipAddrBlocks, the identifier of the IP address
// delegation extension (RFC 3779 section 2.2.1).
func OIDIPAddrBlocks() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 7}
}

// Extension returns b as a certificate extension. It is critical, as RFC 3779
// section 2.2.2 recommends and RFC 6487 section 4.8.10 requires. The errors are
// those of [Blocks.AppendBinary].
func (b Blocks) Extension() (pkix.Extension, error) {
	der, err := b.AppendBinary(nil)
	if err != nil {
		return pkix.Extension{}, err
	}
	return pkix.Extension{Id: OIDIPAddrBlocks(), Critical: true, Value: der}, nil
}

// FromCertificate returns the blocks of a parsed certificate. The error is
// [ErrNoExtension] if it has none, wraps [ErrDuplicate] if it has more than
// one, and otherwise wraps the *[ParseError] of [Parse], whose offset counts
// from the start of the extension's value. Whether the extension is critical is
// not looked at: RFC 3779 section 2.2.2 only recommends that it is.
func FromCertificate(c *x509.Certificate) (Blocks, error) {
	oid := OIDIPAddrBlocks()
	isIPAddrBlocks := func(e pkix.Extension) bool { return e.Id.Equal(oid) }
	i := slices.IndexFunc(c.Extensions, isIPAddrBlocks)
	if i < 0 {
		return Blocks{}, ErrNoExtension
	}
	// RFC 5280 section 4.2: "A certificate MUST NOT include more than one instance
	// of a particular extension."
	if slices.ContainsFunc(c.Extensions[i+1:], isIPAddrBlocks) {
		return Blocks{}, fmt.Errorf("IP address delegation extension: %w", ErrDuplicate)
	}
	b, err := Parse(c.Extensions[i].Value)
	if err != nil {
		return Blocks{}, fmt.Errorf("IP address delegation extension: %w", err)
	}
	return b, nil
}
