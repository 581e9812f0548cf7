package x509ip

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrKeyUsage reports a leaf that lacks an extended key usage that
// [VerifyOptions] asks for.
var ErrKeyUsage = errors.New("required extended key usage missing")

// VerifyOptions are the parameters of [Verify]. It takes certificates rather
// than an [x509.CertPool], because it has to look into each of them.
type VerifyOptions struct {
	// Roots are the trust anchors. Without any, nothing verifies: the system's
	// are never used, since they delegate no addresses.
	Roots []*x509.Certificate

	// Intermediates may be part of a path. They need not be trusted or in order.
	Intermediates []*x509.Certificate

	// CurrentTime is when all certificates of a path must be valid. It is
	// required.
	CurrentTime time.Time

	// KeyUsages are the extended key usages of SEND that the leaf must have, every
	// one of them: RFC 6494 section 9 has a host require the one that belongs to
	// the message it received, such as [OIDSendRouter]. anyExtendedKeyUsage does
	// not stand for them. If it is empty, key usages are not checked.
	KeyUsages []asn1.ObjectIdentifier
}

// Verify builds the certification paths from leaf to a trust anchor and returns
// those that are valid both for [x509.Certificate.Verify] and for [VerifyPath].
// There is at least one if err is nil. A path starts with leaf and consists of
// the certificates that were passed, none of which is modified.
//
// By itself crypto/x509 refuses every certificate with a critical IP address
// delegation extension, and its default is to ask for the key usage of a TLS
// server. Verify takes that extension, and no other, as understood. It does not
// check revocation.
//
// The error is a *[PathError] if there are paths, but none with valid
// resources: it is that of the path whose fault is nearest to the leaf. It
// wraps [ErrKeyUsage] if the leaf lacks a key usage, and otherwise is that of
// crypto/x509.
func Verify(leaf *x509.Certificate, opts VerifyOptions) ([][]*x509.Certificate, error) {
	switch {
	case opts.CurrentTime.IsZero():
		return nil, errors.New("x509ip: VerifyOptions.CurrentTime is required")
	case leaf == nil || slices.Contains(opts.Roots, nil) || slices.Contains(opts.Intermediates, nil):
		return nil, errors.New("x509ip: nil certificate")
	}
	for _, usage := range opts.KeyUsages {
		if !slices.ContainsFunc(leaf.UnknownExtKeyUsage, usage.Equal) {
			return nil, fmt.Errorf("%w: %v", ErrKeyUsage, usage)
		}
	}
	originals := make(map[*x509.Certificate]*x509.Certificate)
	understood := func(c *x509.Certificate) *x509.Certificate {
		u := withExtensionHandled(c)
		originals[u] = c
		return u
	}
	pool := func(certificates []*x509.Certificate) *x509.CertPool {
		p := x509.NewCertPool()
		for _, c := range certificates {
			p.AddCert(understood(c))
		}
		return p
	}
	paths, err := understood(leaf).Verify(x509.VerifyOptions{
		Roots:         pool(opts.Roots),
		Intermediates: pool(opts.Intermediates),
		CurrentTime:   opts.CurrentTime,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, err
	}
	var nearest *PathError
	valid := paths[:0]
	for _, path := range paths {
		for i, c := range path {
			path[i] = originals[c]
		}
		err := VerifyPath(path)
		if err == nil {
			valid = append(valid, path)
		} else if pe, ok := errors.AsType[*PathError](err); ok && (nearest == nil || pe.Depth < nearest.Depth) {
			nearest = pe
		}
	}
	if len(valid) == 0 {
		return nil, nearest
	}
	return valid, nil
}

// withExtensionHandled returns a copy of c that tells crypto/x509 that the
// extension is taken care of.
func withExtensionHandled(c *x509.Certificate) *x509.Certificate {
	u := *c
	u.UnhandledCriticalExtensions = slices.DeleteFunc(
		slices.Clone(c.UnhandledCriticalExtensions), OIDIPAddrBlocks().Equal)
	return &u
}
