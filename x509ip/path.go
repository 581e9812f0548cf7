package x509ip

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// Reasons for a [PathError], besides [ErrNoExtension], what [FromCertificate]
// returns, and those of [Verify].
var (
	// ErrNotHeld: the certificate claims a resource that its issuer does not hold.
	ErrNotHeld = errors.New("resource not held by the issuer")
	// ErrNothingToInherit: the certificate inherits, but is the trust anchor, or
	// its issuer has no such resources.
	ErrNothingToInherit = errors.New("nothing to inherit")
	// ErrOIDs: the certificate has an extension of RFC 8360 without its policy, or
	// the policy beside an extension of RFC 3779 or the policy of RFC 6484.
	ErrOIDs = errors.New("extension and certificate policy do not belong together")
)

// PathError reports the certificate that breaks a certification path.
type PathError struct {
	Depth int // which certificate: 0 is the leaf

	// With ErrNotHeld: the certificate that does not hold what is missing, which
	// is the nearest issuer that does not inherit it. With other errors 0.
	Issuer int

	// With ErrNotHeld and ErrNothingToInherit: which resources. Either Family is
	// set and, with ErrNotHeld, Missing is the first addresses that are not held;
	// or MissingAS is the AS identifiers that are not held, or that inherit.
	Family    Family
	Missing   Range
	MissingAS ASIdentifiers

	Err error
}

// Error says which certificate lacks what, and why.
func (e *PathError) Error() string {
	text := fmt.Sprintf("certificate at depth %d: ", e.Depth)
	switch {
	case !e.MissingAS.IsZero():
		text += e.MissingAS.String() + ": "
	case e.Missing.From.IsValid():
		text += fmt.Sprintf("%v%s: ", e.Missing, e.Family.safiText())
	case e.Family != Family{}:
		text += fmt.Sprintf("%v: ", e.Family)
	}
	text += e.Err.Error()
	if e.Issuer > 0 {
		text += fmt.Sprintf(" at depth %d", e.Issuer)
	}
	return text
}

func (e *PathError) Unwrap() error { return e.Err }

// Resources is what a certificate holds by a path to a trust anchor, with what
// it inherits filled in. RFC 8360 calls it the Verified Resource Set.
type Resources struct {
	Blocks        Blocks
	ASIdentifiers ASIdentifiers
}

// String returns the blocks and then the AS identifiers, in the form of their
// String methods, or "none".
func (r Resources) String() string {
	switch {
	case r.ASIdentifiers.IsZero():
		return r.Blocks.String()
	case r.Blocks.IsZero():
		return r.ASIdentifiers.String()
	}
	return r.Blocks.String() + ", " + r.ASIdentifiers.String()
}

// Overclaim is what a certificate claims and does not hold.
type Overclaim struct {
	Depth int // which certificate: 0 is the leaf
	Resources
}

// String returns what is claimed by whom.
func (o Overclaim) String() string {
	return fmt.Sprintf("certificate at depth %d: %v", o.Depth, o.Resources)
}

// VerifyPath checks the resources along a certification path as RFC 3779
// sections 2.3 and 3.3 ask, and nothing else: it checks no signature, validity
// period or name. chain[0] is the leaf, each certificate was issued by the next,
// and the last is the trust anchor. That is the order in which
// [x509.Certificate.Verify] returns chains.
//
// Every certificate must have the extension for IP addresses or the one for AS
// identifiers, each one's resources must be among its issuer's, and the trust
// anchor must not inherit. An error is a *[PathError], unless chain is empty or
// holds a nil.
//
// The certificate nearest to the trust anchor is reported first. The work is
// linear in the size of the extensions.
func VerifyPath(chain []*x509.Certificate) error {
	_, err := VerifiedResources(chain)
	return err
}

// VerifiedBlocks is [VerifyPath] and returns the addresses of the leaf, with
// what it inherits filled in. Ask it, rather than [FromCertificate], what a
// verified certificate may be used for. A leaf without the extension for IP
// addresses is an error.
func VerifiedBlocks(chain []*x509.Certificate) (Blocks, error) {
	r, err := VerifiedResources(chain)
	if err == nil && r.Blocks.IsZero() {
		err = &PathError{Err: ErrNoExtension}
	}
	return r.Blocks, err
}

// VerifiedResources is [VerifyPath] and returns all resources of the leaf.
func VerifiedResources(chain []*x509.Certificate) (Resources, error) {
	r, _, err := verifyPath(chain, false)
	return r, err
}

// ReconsiderPath checks a path by the rules of RFC 8360 and returns the
// resources of the leaf. A certificate with the policy [OIDResourcePolicyV2] has
// its resources in the extensions [OIDIPAddrBlocksV2] and [OIDASIdentifiersV2].
// What it claims beyond its issuer's resources does not break the path: it is
// cut off, and listed among the overclaims, those nearest to the trust anchor
// first. The leaf may then hold less than its extensions say, or nothing at
// all. For all other certificates the rules are those of [VerifyPath].
func ReconsiderPath(chain []*x509.Certificate) (Resources, []Overclaim, error) {
	return verifyPath(chain, true)
}

func verifyPath(chain []*x509.Certificate, reconsider bool) (Resources, []Overclaim, error) {
	if len(chain) == 0 || slices.Contains(chain, nil) {
		return Resources{}, nil, errors.New("x509ip: certification path is empty or has a nil certificate")
	}
	var held Resources
	var overclaims []Overclaim
	for depth := len(chain) - 1; depth >= 0; depth-- {
		r, amended, err := claimedResources(chain[depth], reconsider)
		if err != nil {
			return Resources{}, nil, &PathError{Depth: depth, Err: err}
		}
		if depth == len(chain)-1 {
			// "The initial set of allowed address ranges is taken from the trust anchor
			// certificate." It has nobody to inherit from.
			if err := r.inheritsNothing(depth); err != nil {
				return Resources{}, nil, err
			}
			held = r
			continue
		}
		over := Overclaim{Depth: depth}
		if err := r.narrow(held, amended, &over); err != nil {
			if err.Err == ErrNotHeld {
				err.Issuer = holder(chain, reconsider, err)
			}
			return Resources{}, nil, err
		}
		if !over.Blocks.IsZero() || !over.ASIdentifiers.IsZero() {
			overclaims = append(overclaims, over)
		}
		held = r
	}
	return held, overclaims, nil
}

// claimedResources returns what the extensions of c say, which is not shared
// with anything, and whether RFC 8360 applies to it.
func claimedResources(c *x509.Certificate, reconsider bool) (r Resources, amended bool, err error) {
	blocksOID, asOID := OIDIPAddrBlocks(), OIDASIdentifiers()
	if reconsider {
		// RFC 8360 sections 4.2.2.1 and 4.2.2.3: "This OID MUST only be used in
		// conjunction with the alternative Certificate Policy OID".
		amended = slices.ContainsFunc(c.PolicyIdentifiers, OIDResourcePolicyV2().Equal)
		if amended && slices.ContainsFunc(c.PolicyIdentifiers, OIDResourcePolicy().Equal) {
			return Resources{}, amended, ErrOIDs
		}
		otherBlocks, otherAS := OIDIPAddrBlocksV2(), OIDASIdentifiersV2()
		if amended {
			blocksOID, otherBlocks = otherBlocks, blocksOID
			asOID, otherAS = otherAS, asOID
		}
		for _, e := range c.Extensions {
			if e.Id.Equal(otherBlocks) || e.Id.Equal(otherAS) {
				return Resources{}, amended, ErrOIDs
			}
		}
	}
	blocks, err := blocksOfCertificate(c, blocksOID)
	if err != nil && err != ErrNoExtension {
		return Resources{}, amended, err
	}
	as, asErr := asIdentifiersOfCertificate(c, asOID)
	switch {
	case asErr == ErrNoASExtension:
		// RFC 6487 section 4.8.10: "Either the IP Resources extension, or the AS
		// Resources extension, or both, MUST be present".
		return Resources{Blocks: blocks}, amended, err
	case asErr != nil:
		return Resources{}, amended, asErr
	}
	return Resources{blocks, as}, amended, nil
}

// inheritsNothing is an error if anything in r inherits.
func (r Resources) inheritsNothing(depth int) error {
	for _, f := range r.Blocks.families {
		if f.inherit {
			return &PathError{Depth: depth, Family: f.Family, Err: ErrNothingToInherit}
		}
	}
	if r.ASIdentifiers.Inherits() {
		return &PathError{Depth: depth, MissingAS: r.ASIdentifiers.inherited(), Err: ErrNothingToInherit}
	}
	return nil
}

// inherited is the part of a that inherits.
func (a ASIdentifiers) inherited() ASIdentifiers {
	return ASIdentifiers{claim[uint16]{inherit: a.asnum.inherit}, claim[uint16]{inherit: a.rdi.inherit}}
}

// narrow makes r, which a certificate claims, what it holds if its issuer holds
// held. If RFC 8360 applies, what is cut off goes to over, and otherwise is an
// error.
func (r *Resources) narrow(held Resources, amended bool, over *Overclaim) *PathError {
	families := r.Blocks.families[:0]
	for _, f := range r.Blocks.families {
		issuer, _ := held.Blocks.family(f.Family)
		var lacking claim[uint64]
		c := claim[uint64]{f.inherit, f.addresses}
		if err := c.cut(issuer.addresses, &lacking); err != nil && !amended {
			pe := &PathError{Depth: over.Depth, Family: f.Family, Err: err}
			if len(lacking.members) > 0 {
				pe.Missing = f.toRange(lacking.members[0])
			}
			return pe
		}
		if len(lacking.members) > 0 {
			over.Blocks.families = append(over.Blocks.families, familyBlocks{Family: f.Family, addresses: lacking.members})
		}
		if len(c.members) > 0 {
			families = append(families, familyBlocks{Family: f.Family, addresses: c.members})
		}
	}
	r.Blocks.families = families

	var lacking ASIdentifiers
	errNumber := r.ASIdentifiers.asnum.cut(held.ASIdentifiers.asnum.members, &lacking.asnum)
	errRDI := r.ASIdentifiers.rdi.cut(held.ASIdentifiers.rdi.members, &lacking.rdi)
	if err := cmp.Or(errNumber, errRDI); err != nil && !amended {
		return &PathError{Depth: over.Depth, MissingAS: lacking, Err: err}
	}
	over.ASIdentifiers.asnum.members = lacking.asnum.members
	over.ASIdentifiers.rdi.members = lacking.rdi.members
	return nil
}

// holder returns the depth of the certificate above err.Depth that says itself
// what it holds of the resources in err.
func holder(chain []*x509.Certificate, reconsider bool, err *PathError) int {
	for depth := err.Depth + 1; depth < len(chain)-1; depth++ {
		// That it could be read is known.
		r, _, _ := claimedResources(chain[depth], reconsider)
		f, _ := r.Blocks.family(err.Family)
		inherits := f.inherit
		if !err.MissingAS.IsZero() {
			as := r.ASIdentifiers
			inherits = as.asnum.inherit && !err.MissingAS.asnum.absent() || as.rdi.inherit && !err.MissingAS.rdi.absent()
		}
		if !inherits {
			return depth
		}
	}
	return len(chain) - 1
}
