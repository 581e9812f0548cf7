package x509ip

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strconv"
)

// Blocks is the value of the IP address delegation extension, IPAddrBlocks of
// RFC 3779 section 2.2.3.1: for each address family either a set of addresses
// or the instruction to inherit the issuer's.
//
// A Blocks is immutable and may be copied and used by several goroutines at
// once. It holds no reference to what it was parsed from. The zero value has no
// resources at all; RFC 3779 has no encoding for that.
type Blocks struct {
	families []familyBlocks // in ascending order of Family, no two alike
}

// familyBlocks is an IPAddressFamily. A family that does not inherit has at
// least one address.
type familyBlocks struct {
	Family
	inherit   bool
	addresses addressSet
}

// The address family identifiers that RFC 3779 is used with.
const (
	IPv4 uint16 = 1
	IPv6 uint16 = 2
)

// Family is the addressFamily of RFC 3779 section 2.2.3.3: what kind of
// addresses a set holds, and optionally for what use. Addresses with a SAFI are
// another resource than the same addresses without or with another SAFI.
type Family struct {
	AFI  uint16 // [IPv4] or [IPv6]
	SAFI uint8  // 1, 2, 3, 4, 64, 65, 66 or 128; 0 when there is none
}

// String returns the family as in "IPv6" or "IPv6 (SAFI 1)".
func (f Family) String() string {
	switch f.AFI {
	case IPv4:
		return "IPv4" + f.safiText()
	case IPv6:
		return "IPv6" + f.safiText()
	}
	return "AFI " + strconv.Itoa(int(f.AFI)) + f.safiText()
}

// safiText is what follows a family or an element of it, if it has a SAFI.
func (f Family) safiText() string {
	if f.SAFI == 0 {
		return ""
	}
	return " (SAFI " + strconv.Itoa(int(f.SAFI)) + ")"
}

// compare orders families as RFC 3779 section 2.2.3.3 asks: by AFI, first
// without SAFI, then by SAFI.
func (f Family) compare(g Family) int {
	return cmp.Or(cmp.Compare(f.AFI, g.AFI), cmp.Compare(f.SAFI, g.SAFI))
}

// addrBits is the width of an address: 32 or 128.
func (f Family) addrBits() int {
	if f.AFI == IPv4 {
		return 32
	}
	return 128
}

// Range is the addresses from From to To, both included, of one family.
type Range struct{ From, To netip.Addr }

// String returns a prefix, as in "2001:db8::/32", where there is one that is
// exactly r, and otherwise both ends, as in "10.0.0.0-10.0.0.9". The zero Range
// is "none".
func (r Range) String() string { return string(r.appendText(nil)) }

// valid reports whether r is a range of addresses at all.
func (r Range) valid() bool {
	return r.From.IsValid() && r.From.BitLen() == r.To.BitLen() && r.From.WithZone("").Compare(r.To.WithZone("")) <= 0
}

// errHostBits refuses what one would have to guess about.
var errHostBits = fmt.Errorf("%w: prefix has host bits set", ErrValue)

// FromPrefixes returns the blocks that hold exactly prefixes: sorted, merged,
// without SAFI. It is an error if a prefix is invalid or has host bits set:
// masking them would certify more than the caller wrote. An IPv4-mapped IPv6
// prefix is IPv6. Without prefixes it returns the zero value.
func FromPrefixes(prefixes ...netip.Prefix) (Blocks, error) {
	var c collector
	for _, p := range prefixes {
		switch {
		case !p.IsValid():
			return Blocks{}, errors.New("x509ip: invalid prefix")
		case p != p.Masked():
			return Blocks{}, errHostBits
		}
		c.add(familyOf(p.Addr()), fromPrefix(p))
	}
	return c.blocks(), nil
}

// FromRanges is [FromPrefixes] for ranges, which may be prefixes. It is an error
// if the ends of one are not of the same family or not in order. Zones are
// ignored.
func FromRanges(ranges ...Range) (Blocks, error) {
	var c collector
	for _, r := range ranges {
		if !r.valid() {
			return Blocks{}, errors.New("x509ip: invalid range")
		}
		c.add(familyOf(r.From), addressSpan{fromAddr(r.From), fromEnd(r.To)})
	}
	return c.blocks(), nil
}

// collector makes a Blocks of what comes in any order.
type collector struct{ families []familyBlocks }

// entry returns the entry of f, new if need be.
func (c *collector) entry(f Family) *familyBlocks {
	// There are at most maxFamilies.
	for i := range c.families {
		if c.families[i].Family == f {
			return &c.families[i]
		}
	}
	c.families = append(c.families, familyBlocks{Family: f})
	return &c.families[len(c.families)-1]
}

func (c *collector) add(f Family, s addressSpan) {
	e := c.entry(f)
	e.addresses = append(e.addresses, s)
}

// blocks returns what was collected, sorted and merged. The collector is used up.
func (c *collector) blocks() Blocks {
	for i, f := range c.families {
		c.families[i].addresses = newSet(f.addresses)
	}
	slices.SortFunc(c.families, func(f, g familyBlocks) int { return f.compare(g.Family) })
	return Blocks{c.families}
}

// IsZero reports whether b has no family at all.
func (b Blocks) IsZero() bool { return len(b.families) == 0 }

// Inherits reports whether any family of b inherits.
func (b Blocks) Inherits() bool {
	return slices.ContainsFunc(b.families, func(f familyBlocks) bool { return f.inherit })
}

// Equal reports whether b and c have the same families with the same content.
func (b Blocks) Equal(c Blocks) bool {
	return slices.EqualFunc(b.families, c.families, func(f, g familyBlocks) bool {
		return f.Family == g.Family && f.inherit == g.inherit && slices.Equal(f.addresses, g.addresses)
	})
}

// Clone returns a copy that shares no memory with b. Only what a [Decoder]
// returned needs it.
func (b Blocks) Clone() Blocks {
	families := slices.Clone(b.families)
	for i, f := range families {
		families[i].addresses = slices.Clone(f.addresses)
	}
	return Blocks{families}
}

// Contains reports whether every address of p is in the family of p's
// addresses without SAFI. It is false for an invalid prefix and for a family
// that inherits, whose addresses b does not know. Host bits of p are ignored.
// An IPv4-mapped IPv6 prefix is IPv6: it is never looked up among IPv4
// addresses.
//
// Contains, ContainsAddr and ContainsRange take time logarithmic in the size of
// b and do not allocate.
func (b Blocks) Contains(p netip.Prefix) bool {
	return p.IsValid() && b.contains(p.Addr(), fromPrefix(p.Masked()))
}

// ContainsAddr is [Blocks.Contains] of one address, whose zone is ignored.
func (b Blocks) ContainsAddr(a netip.Addr) bool {
	return a.IsValid() && b.contains(a, addressSpan{fromAddr(a), fromEnd(a)})
}

// ContainsRange is [Blocks.Contains] of a range. It is false unless the ends of
// r are of one family and in order.
func (b Blocks) ContainsRange(r Range) bool {
	return r.valid() && b.contains(r.From, addressSpan{fromAddr(r.From), fromEnd(r.To)})
}

// contains reports whether s is in the family of a without SAFI.
func (b Blocks) contains(a netip.Addr, s addressSpan) bool {
	f, ok := b.family(familyOf(a))
	return ok && f.addresses.covers(s)
}

// Families yields the families of b in ascending order, and whether each
// inherits.
func (b Blocks) Families() iter.Seq2[Family, bool] {
	return func(yield func(Family, bool) bool) {
		for _, f := range b.families {
			if !yield(f.Family, f.inherit) {
				return
			}
		}
	}
}

// Ranges yields the address ranges of the families without SAFI, IPv4 first,
// in ascending order; no two overlap or touch. A family that inherits yields
// nothing.
func (b Blocks) Ranges() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		for _, f := range b.families {
			if f.SAFI == 0 && !f.ranges(yield) {
				return
			}
		}
	}
}

// FamilyRanges is [Blocks.Ranges] of one family, with or without SAFI.
func (b Blocks) FamilyRanges(f Family) iter.Seq[Range] {
	return func(yield func(Range) bool) {
		if g, ok := b.family(f); ok {
			g.ranges(yield)
		}
	}
}

// ranges yields the ranges of f, and reports whether to go on.
func (f familyBlocks) ranges(yield func(Range) bool) bool {
	for _, s := range f.addresses {
		if !yield(f.toRange(s)) {
			return false
		}
	}
	return true
}

// Prefixes yields the fewest prefixes that make up the families without SAFI,
// IPv4 first, in ascending order. A family that inherits yields nothing.
func (b Blocks) Prefixes() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for _, f := range b.families {
			if f.SAFI != 0 {
				continue
			}
			for _, s := range f.addresses {
				for p := range s.prefixes() {
					n, _ := p.prefixBits()
					if !yield(netip.PrefixFrom(f.toAddr(p.lo), n)) {
						return
					}
				}
			}
		}
	}
}

// family returns the entry of b for f.
func (b Blocks) family(f Family) (familyBlocks, bool) {
	// There are at most 18: two address families, eight SAFIs or none.
	for _, g := range b.families {
		if g.Family == f {
			return g, true
		}
	}
	return familyBlocks{}, false
}

// familyOf is the family without SAFI that a is of.
func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return Family{AFI: IPv4}
	}
	return Family{AFI: IPv6}
}

// toRange converts a span of this family.
func (f Family) toRange(s addressSpan) Range {
	return Range{f.toAddr(s.lo), f.toAddr(s.hi)}
}

func (f Family) toAddr(a address) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
	if f.AFI == IPv4 {
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrFrom16(b)
}

// fromAddr converts an address, which is the first of a span: the bits below an
// IPv4 address are zeros.
func fromAddr(a netip.Addr) address {
	if !a.Is4() {
		return loadAddress(a.As16())
	}
	a4 := a.As4()
	return address{uint64(binary.BigEndian.Uint32(a4[:])) << 32, 0}
}

// fromEnd converts the last address of a span: the bits below an IPv4 address
// are ones.
func fromEnd(a netip.Addr) address { return fromAddr(a).or(hostBits(a.BitLen())) }

// fromPrefix converts a valid prefix without host bits.
func fromPrefix(p netip.Prefix) addressSpan {
	lo := fromAddr(p.Addr())
	return addressSpan{lo, lo.or(hostBits(p.Bits()))}
}

func loadAddress(b [16]byte) address {
	return address{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}
