package x509ip

import "slices"

// claim is what an extension says of one kind of resource: that it is inherited,
// or which it is. The zero value says nothing.
type claim[W word] struct {
	inherit bool
	members set[W]
}

func (c claim[W]) absent() bool { return !c.inherit && len(c.members) == 0 }

func (c claim[W]) equal(d claim[W]) bool {
	return c.inherit == d.inherit && slices.Equal(c.members, d.members)
}

// cut makes c, which a certificate claims, what it holds if its issuer holds
// issuer. If that is not all of c, it says why, and sets lacking to what the
// issuer does not hold.
func (c *claim[W]) cut(issuer set[W], lacking *claim[W]) error {
	if c.inherit {
		*c = claim[W]{members: issuer}
		if len(issuer) == 0 {
			*lacking = claim[W]{inherit: true}
			return ErrNothingToInherit
		}
		return nil
	}
	// "the IP addresses in the IP address delegation extension of that
	// certificate MUST be subsumed by IP addresses in the IP address delegation
	// extension in the issuer's certificate."
	if _, found := issuer.missing(c.members); found {
		lacking.members = c.members.difference(issuer)
		c.members = c.members.intersect(issuer)
		return ErrNotHeld
	}
	return nil
}
