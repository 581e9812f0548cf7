package x509ip

import "errors"

// ErrInherits reports an operation on blocks of which a family inherits: what it
// holds depends on certificates not at hand. Resolve it with [VerifiedBlocks]
// first.
var ErrInherits = errors.New("family inherits its addresses")

// Union returns the resources that are in b or c. Like all operations on blocks
// it takes time linear in the size of both, changes neither, and takes addresses
// with a SAFI for another resource than those without. The error is
// [ErrInherits] if b or c inherits in any family.
func (b Blocks) Union(c Blocks) (Blocks, error) { return b.combine(c, addressSet.union) }

// Intersect returns the resources that are in both b and c, as [Blocks.Union].
func (b Blocks) Intersect(c Blocks) (Blocks, error) { return b.combine(c, addressSet.intersect) }

// Difference returns the resources of b that are not in c, as [Blocks.Union].
func (b Blocks) Difference(c Blocks) (Blocks, error) { return b.combine(c, addressSet.difference) }

// Covers reports whether every resource of c is one of b's too, family by
// family: addresses with a SAFI are only covered by addresses with the same
// SAFI. It is false if b or c inherits in any family, since what that is
// depends on certificates not at hand: resolve with [VerifiedBlocks] first.
// It takes time linear in the size of both and does not allocate.
func (b Blocks) Covers(c Blocks) bool {
	if b.Inherits() || c.Inherits() {
		return false
	}
	for _, g := range c.families {
		f, ok := b.family(g.Family)
		if !ok {
			return false
		}
		if _, found := f.addresses.missing(g.addresses); found {
			return false
		}
	}
	return true
}

// Overlaps reports whether b and c have any resource in common. A family that
// inherits, in b or c, is not looked at: what it is depends on certificates not
// at hand. Overlaps takes time linear in the size of both and does not allocate.
func (b Blocks) Overlaps(c Blocks) bool {
	for _, g := range c.families {
		if f, ok := b.family(g.Family); ok && f.addresses.overlaps(g.addresses) {
			return true
		}
	}
	return false
}

// combine applies op to each family that b or c has.
func (b Blocks) combine(c Blocks, op func(s, t addressSet) addressSet) (Blocks, error) {
	if b.Inherits() || c.Inherits() {
		return Blocks{}, ErrInherits
	}
	var result Blocks
	for f, g := b.families, c.families; len(f) > 0 || len(g) > 0; {
		var family Family
		var s, t addressSet
		if len(g) == 0 || len(f) > 0 && f[0].compare(g[0].Family) <= 0 {
			family = f[0].Family
		} else {
			family = g[0].Family
		}
		if len(f) > 0 && f[0].Family == family {
			s, f = f[0].addresses, f[1:]
		}
		if len(g) > 0 && g[0].Family == family {
			t, g = g[0].addresses, g[1:]
		}
		if r := op(s, t); len(r) > 0 {
			result.families = append(result.families, familyBlocks{Family: family, addresses: r})
		}
	}
	return result, nil
}
