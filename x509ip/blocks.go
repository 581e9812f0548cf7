package x509ip

import (
	"cmp"
	"encoding/binary"
	"errors"
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

// errHostBits refuses what FromPrefixes would have to guess about.
var errHostBits = errors.New("x509ip: prefix has host bits set")

// FromPrefixes returns the blocks that hold exactly prefixes: sorted, merged,
// without SAFI. It is an error if a prefix is invalid or has host bits set:
// masking them would certify more than the caller wrote. An IPv4-mapped IPv6
// prefix is IPv6. Without prefixes it returns the zero value.
func FromPrefixes(prefixes ...netip.Prefix) (Blocks, error) {
	var v4, v6 []addressSpan
	for _, p := range prefixes {
		switch {
		case !p.IsValid():
			return Blocks{}, errors.New("x509ip: invalid prefix")
		case p != p.Masked():
			return Blocks{}, errHostBits
		case p.Addr().Is4():
			v4 = append(v4, fromPrefix(p))
		default:
			v6 = append(v6, fromPrefix(p))
		}
	}
	var b Blocks
	if v4 != nil {
		b.families = append(b.families, familyBlocks{Family: Family{AFI: IPv4}, addresses: newSet(v4)})
	}
	if v6 != nil {
		b.families = append(b.families, familyBlocks{Family: Family{AFI: IPv6}, addresses: newSet(v6)})
	}
	return b, nil
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

// Contains reports whether every address of p is in the family of p's
// addresses without SAFI. It is false for an invalid prefix and for a family
// that inherits, whose addresses b does not know. Host bits of p are ignored.
// An IPv4-mapped IPv6 prefix is IPv6: it is never looked up among IPv4
// addresses.
func (b Blocks) Contains(p netip.Prefix) bool {
	if !p.IsValid() {
		return false
	}
	family := Family{AFI: IPv6}
	if p.Addr().Is4() {
		family.AFI = IPv4
	}
	f, ok := b.family(family)
	return ok && f.addresses.covers(fromPrefix(p.Masked()))
}

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

// Ranges yields the address ranges of the families without SAFI, IPv4 first,
// in ascending order; no two overlap or touch. A family that inherits yields
// nothing.
func (b Blocks) Ranges() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		for _, f := range b.families {
			if f.SAFI != 0 {
				continue
			}
			for _, s := range f.addresses {
				if !yield(f.toRange(s)) {
					return
				}
			}
		}
	}
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
					if !yield(netip.PrefixFrom(f.toRange(p).From, n)) {
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
