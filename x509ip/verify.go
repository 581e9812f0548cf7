package x509ip

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Reasons for an error of [Verify].
var (
	// ErrKeyUsage: the leaf lacks an extended key usage that was asked for.
	ErrKeyUsage = errors.New("required extended key usage missing")
	// ErrRevoked: VerifyOptions.CheckRevocation refused a certificate.
	ErrRevoked = errors.New("certificate revoked, or not known to be good")
)

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

	// KeyUsages are the extended key usages that the leaf must have, every one of
	// them: RFC 6494 section 9 has a host require the one that belongs to the
	// message it received, such as [OIDSendRouter]. anyExtendedKeyUsage does not
	// stand for them. If it is empty, none in particular is asked for.
	KeyUsages []asn1.ObjectIdentifier

	// Profile is what the certificates of a path have to conform to.
	Profile Profile

	// Reconsider has the resources of a path checked by [ReconsiderPath] instead
	// of [VerifyPath]: certificates that RFC 8360 applies to are accepted, and
	// lose what their issuer does not hold. Ask ReconsiderPath for what is left,
	// which may be nothing.
	Reconsider bool

	// CheckRevocation, if not nil, is called for each certificate of a path but
	// the trust anchor, starting below that, once all else is in order. It
	// returns an error for a certificate that is revoked, or of which that cannot
	// be told; the path is then not valid. RFC 6487 section 7.2: "The issuer has
	// not revoked the certificate."
	CheckRevocation func(certificate, issuer *x509.Certificate) error
}

// Verify builds the certification paths from leaf to a trust anchor and returns
// those that are valid for [x509.Certificate.Verify], for [VerifyPath] and for
// whatever else opts asks for. There is at least one if err is nil. A path
// starts with leaf and consists of the certificates that were passed, none of
// which is modified.
//
// By itself crypto/x509 refuses every certificate with a critical extension of
// RFC 3779, and its default is to ask for the key usage of a TLS server. Verify
// takes those extensions, and no others, as understood.
//
// The error is a *[PathError] if there are paths, but none that is valid: it is
// that of the path whose fault is nearest to the leaf, and wraps [ErrProfile],
// [ErrRevoked] or a reason of VerifyPath. It wraps [ErrKeyUsage] if the leaf
// lacks a key usage, and otherwise is that of crypto/x509.
func Verify(leaf *x509.Certificate, opts VerifyOptions) ([][]*x509.Certificate, error) {
	switch {
	case opts.CurrentTime.IsZero():
		return nil, errors.New("x509ip: VerifyOptions.CurrentTime is required")
	case leaf == nil || slices.Contains(opts.Roots, nil) || slices.Contains(opts.Intermediates, nil):
		return nil, errors.New("x509ip: nil certificate")
	case opts.Profile > ProfileStrict:
		return nil, errors.New("x509ip: unknown profile")
	}
	for _, usage := range opts.KeyUsages {
		if !hasKeyUsage(leaf, usage) {
			return nil, fmt.Errorf("%w: %v", ErrKeyUsage, usage)
		}
	}
	originals := make(map[*x509.Certificate]*x509.Certificate)
	understood := func(c *x509.Certificate) *x509.Certificate {
		u := withExtensionsHandled(c, opts.Reconsider)
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
		err := opts.check(path)
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

// check is what Verify asks of a path that crypto/x509 built. An error is a
// *PathError.
func (opts *VerifyOptions) check(path []*x509.Certificate) error {
	if _, _, err := verifyPath(path, opts.Reconsider); err != nil {
		return err
	}
	if err := opts.Profile.check(path); err != nil {
		return err
	}
	if opts.CheckRevocation == nil {
		return nil
	}
	for depth := len(path) - 2; depth >= 0; depth-- {
		if err := opts.CheckRevocation(path[depth], path[depth+1]); err != nil {
			return &PathError{Depth: depth, Err: fmt.Errorf("%w: %w", ErrRevoked, err)}
		}
	}
	return nil
}

// hasKeyUsage reports whether c has an extended key usage. crypto/x509 keeps
// those that it knows in a list of their own.
func hasKeyUsage(c *x509.Certificate, usage asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(c.UnknownExtKeyUsage, usage.Equal) ||
		slices.ContainsFunc(c.ExtKeyUsage, func(known x509.ExtKeyUsage) bool { return known.OID().EqualASN1OID(usage) })
}

// withExtensionsHandled returns a copy of c that tells crypto/x509 that the
// extensions are taken care of.
func withExtensionsHandled(c *x509.Certificate, reconsider bool) *x509.Certificate {
	handled := []asn1.ObjectIdentifier{OIDIPAddrBlocks(), OIDASIdentifiers()}
	if reconsider {
		handled = append(handled, OIDIPAddrBlocksV2(), OIDASIdentifiersV2())
	}
	u := *c
	u.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(c.UnhandledCriticalExtensions),
		func(oid asn1.ObjectIdentifier) bool { return slices.ContainsFunc(handled, oid.Equal) })
	return &u
}
