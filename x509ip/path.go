package x509ip

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// Reasons for a [PathError], besides [ErrNoExtension] and what
// [FromCertificate] returns.
var (
	// ErrNotHeld: the certificate claims a resource that its issuer does not hold.
	ErrNotHeld = errors.New("resource not held by the issuer")
	// ErrNothingToInherit: the certificate inherits, but is the trust anchor, or
	// its issuer has no such address family.
	ErrNothingToInherit = errors.New("nothing to inherit")
)

// PathError reports the certificate that breaks a certification path.
type PathError struct {
	Depth   int    // which certificate: 0 is the leaf
	Family  Family // with ErrNotHeld and ErrNothingToInherit: of which addresses
	Missing Range  // with ErrNotHeld: the first addresses that the issuer lacks
	Err     error  // ErrNoExtension, ErrNotHeld, ErrNothingToInherit or an error of FromCertificate
}

func (e *PathError) Error() string {
	text := fmt.Sprintf("certificate at depth %d: ", e.Depth)
	switch {
	case e.Missing.From.IsValid():
		text += fmt.Sprintf("%v%s: ", e.Missing, e.Family.safiText())
	case e.Family != Family{}:
		text += fmt.Sprintf("%v: ", e.Family)
	}
	return text + e.Err.Error()
}

func (e *PathError) Unwrap() error { return e.Err }

// VerifyPath checks the resources along a certification path as RFC 3779
// section 2.3 asks, and nothing else: it checks no signature, validity period
// or name. chain[0] is the leaf, each certificate was issued by the next, and
// the last is the trust anchor. That is the order in which
// [x509.Certificate.Verify] returns chains.
//
// Every certificate must have the extension, each one's resources must be
// among its issuer's, and the trust anchor must not inherit. An error is a
// *[PathError], unless chain is empty or holds a nil.
//
// The certificate nearest to the trust anchor is reported first. The work is
// linear in the size of the extensions.
func VerifyPath(chain []*x509.Certificate) error {
	_, err := VerifiedBlocks(chain)
	return err
}

// VerifiedBlocks is [VerifyPath] and returns the resources of the leaf, with
// what it inherits filled in. Ask it, rather than [FromCertificate], what a
// verified certificate may be used for.
func VerifiedBlocks(chain []*x509.Certificate) (Blocks, error) {
	if len(chain) == 0 || slices.Contains(chain, nil) {
		return Blocks{}, errors.New("x509ip: certification path is empty or has a nil certificate")
	}
	// "The initial set of allowed address ranges is taken from the trust anchor
	// certificate."
	anchor := len(chain) - 1
	held, err := FromCertificate(chain[anchor])
	if err != nil {
		return Blocks{}, &PathError{Depth: anchor, Err: err}
	}
	for _, f := range held.families {
		if f.inherit {
			return Blocks{}, &PathError{Depth: anchor, Family: f.Family, Err: ErrNothingToInherit}
		}
	}
	for depth := anchor - 1; depth >= 0; depth-- {
		b, err := FromCertificate(chain[depth])
		if err != nil {
			return Blocks{}, &PathError{Depth: depth, Err: err}
		}
		if held, err = b.resolve(held, depth); err != nil {
			return Blocks{}, err
		}
	}
	return held, nil
}

// resolve returns b, the blocks of the certificate at depth, with what it
// inherits taken from issuer, which does not inherit. The error is a
// *PathError if b holds anything that issuer does not.
func (b Blocks) resolve(issuer Blocks, depth int) (Blocks, error) {
	held := b
	if b.Inherits() {
		held.families = slices.Clone(b.families)
	}
	for i, f := range b.families {
		from, ok := issuer.family(f.Family)
		switch {
		case f.inherit && !ok:
			return Blocks{}, &PathError{Depth: depth, Family: f.Family, Err: ErrNothingToInherit}
		case f.inherit:
			held.families[i] = from
		default:
			// "the IP addresses in the IP address delegation extension of that
			// certificate MUST be subsumed by IP addresses in the IP address
			// delegation extension in the issuer's certificate."
			if m, found := from.addresses.missing(f.addresses); found {
				return Blocks{}, &PathError{Depth: depth, Family: f.Family, Missing: f.toRange(m), Err: ErrNotHeld}
			}
		}
	}
	return held, nil
}
