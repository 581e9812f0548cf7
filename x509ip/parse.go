package x509ip

import (
	"encoding/binary"
	"fmt"
	"slices"

	"dhcpsec.example/internal/wire"
)

// ParseError is what [Parse] reports: the field, in the words of RFC 3779, the
// offset in the slice that was passed, and one of the sentinels below.
type ParseError = wire.ParseError

// The sentinels that a [ParseError] wraps.
var (
	ErrTruncated    = wire.ErrTruncated    // an element is cut off by the end of what contains it
	ErrLength       = wire.ErrLength       // a length that the element cannot have
	ErrTrailing     = wire.ErrTrailing     // octets after the end of an element's last part
	ErrValue        = wire.ErrValue        // a value or a tag that RFC 3779 does not allow
	ErrDuplicate    = wire.ErrDuplicate    // a family, or the extension, appears twice
	ErrNotCanonical = wire.ErrNotCanonical // not DER, or not the canonical form of RFC 3779
	ErrTooLarge     = wire.ErrTooLarge     // an element of 16 MiB or more
)

// What exactly is wrong, where the sentinel alone would leave the reader to
// guess.
var (
	errTag        = fmt.Errorf("%w: unexpected ASN.1 tag", ErrValue)
	errIndefinite = fmt.Errorf("%w: indefinite length", ErrNotCanonical)
	errLongLength = fmt.Errorf("%w: length takes more octets than it needs", ErrNotCanonical)
	errUnusedBits = fmt.Errorf("%w: unused bits that are not zero", ErrNotCanonical)
	errNoFamily   = fmt.Errorf("%w: no address family", ErrValue)
	errNoAddress  = fmt.Errorf("%w: no address", ErrValue)
	errOrder      = fmt.Errorf("%w: families out of order", ErrNotCanonical)
	errOverlap    = fmt.Errorf("%w: elements overlap or are out of order", ErrNotCanonical)
	errAdjacent   = fmt.Errorf("%w: elements not merged", ErrNotCanonical)
	errUntrimmed  = fmt.Errorf("%w: end of range not trimmed", ErrNotCanonical)
	errIsPrefix   = fmt.Errorf("%w: range that is a prefix", ErrNotCanonical)
	errReversed   = fmt.Errorf("%w: range ends before it begins", ErrValue)
)

// Parse decodes the value of an IP address delegation extension, the content of
// its extnValue. It accepts DER in the canonical form of RFC 3779 and nothing
// else, so everything it accepts encodes to the same octets again; the package
// comment lists the rulings. An error is a *[ParseError]. The result does not
// alias der.
func Parse(der []byte) (Blocks, error) {
	outer, err := expect(der, 0, len(der), tagSequence, "IPAddrBlocks")
	switch {
	case err != nil:
		return Blocks{}, err
	case outer.end != len(der):
		return Blocks{}, wire.Errorf("IPAddrBlocks", outer.end, ErrTrailing)
	case outer.len() == 0:
		// "If no authorization is being granted for a particular AFI and optional
		// SAFI, then there MUST NOT be an IPAddressFamily member": and an extension
		// without members grants nothing.
		return Blocks{}, wire.Errorf("IPAddrBlocks", 0, errNoFamily)
	}
	families, elements := count(der, outer)
	p := parser{
		der:      der,
		families: make([]familyBlocks, 0, families),
		spans:    make(set, 0, elements),
	}
	for pos := outer.content; pos < outer.end; {
		if pos, err = p.family(pos, outer.end); err != nil {
			return Blocks{}, err
		}
	}
	return Blocks{p.families}, nil
}

// parser holds what is decoded so far. All families share one slice of spans,
// large enough from the start: a decode costs two allocations.
type parser struct {
	der      []byte
	families []familyBlocks
	spans    set
}

// count returns how many families there are and how many elements in their
// sets. It checks only what it needs to find its way and stops where it cannot,
// since the parse stops there too. An element takes at least two octets, so the
// memory that a hostile extension can claim is bounded by its own size.
func count(der []byte, outer element) (families, elements int) {
	for pos := outer.content; pos < outer.end; {
		seq, err := readElement(der, pos, outer.end, "")
		if err != nil {
			return families, elements
		}
		families++
		pos = seq.end
		addressFamily, err := readElement(der, seq.content, seq.end, "")
		if err != nil {
			return families, elements
		}
		choice, err := readElement(der, addressFamily.end, seq.end, "")
		if err != nil {
			return families, elements
		}
		for at := choice.content; at < choice.end; elements++ {
			e, err := readElement(der, at, choice.end, "")
			if err != nil {
				return families, elements
			}
			at = e.end
		}
	}
	return families, elements
}

// family decodes
//
//	IPAddressFamily ::= SEQUENCE {
//	   addressFamily    OCTET STRING (SIZE (2..3)),
//	   ipAddressChoice  IPAddressChoice }
//
// and returns the position after it.
func (p *parser) family(pos, limit int) (next int, err error) {
	seq, err := expect(p.der, pos, limit, tagSequence, "IPAddressFamily")
	if err != nil {
		return 0, err
	}
	family, pos, err := p.addressFamily(seq)
	if err != nil {
		return 0, err
	}
	if n := len(p.families); n > 0 {
		switch c := p.families[n-1].compare(family); {
		case c == 0:
			return 0, wire.Errorf("addressFamily", seq.content, ErrDuplicate)
		case c > 0:
			return 0, wire.Errorf("addressFamily", seq.content, errOrder)
		}
	}
	choice, err := readElement(p.der, pos, seq.end, "ipAddressChoice")
	if err != nil {
		return 0, err
	}
	f := familyBlocks{Family: family}
	switch choice.tag {
	case tagNull:
		if choice.len() != 0 {
			return 0, wire.Errorf("inherit", choice.start, ErrLength)
		}
		f.inherit = true
	case tagSequence:
		if f.addresses, err = p.addresses(choice, family.addrBits()); err != nil {
			return 0, err
		}
	default:
		return 0, wire.Errorf("ipAddressChoice", choice.start, errTag)
	}
	if choice.end != seq.end {
		return 0, wire.Errorf("IPAddressFamily", choice.end, ErrTrailing)
	}
	p.families = append(p.families, f)
	return seq.end, nil
}

// addressFamily decodes the first part of seq. "The addressFamily element is an
// OCTET STRING containing a two-octet Address Family Identifier (AFI), in
// network byte order, optionally followed by a one-octet Subsequent Address
// Family Identifier (SAFI)."
func (p *parser) addressFamily(seq element) (f Family, next int, err error) {
	e, err := expect(p.der, seq.content, seq.end, tagOctetString, "addressFamily")
	if err != nil {
		return Family{}, 0, err
	}
	octets := p.der[e.content:e.end]
	switch len(octets) {
	case 2:
	case 3:
		// A SAFI of 0 is reserved, and Family takes it for none.
		if f.SAFI = octets[2]; !knownSAFI(f.SAFI) {
			return Family{}, 0, wire.Errorf("addressFamily SAFI", e.content+2, ErrValue)
		}
	default:
		return Family{}, 0, wire.Errorf("addressFamily", e.start, ErrLength)
	}
	f.AFI = binary.BigEndian.Uint16(octets)
	if f.AFI != IPv4 && f.AFI != IPv6 {
		return Family{}, 0, wire.Errorf("addressFamily AFI", e.content, ErrValue)
	}
	return f, e.end, nil
}

// knownSAFI reports whether s is in use with IP addresses: unicast (1),
// multicast (2), both (3), with MPLS labels (4), tunnel (64), VPLS (65), BGP MDT
// (66), MPLS-labeled VPN (128).
func knownSAFI(s uint8) bool {
	switch s {
	case 1, 2, 3, 4, 64, 65, 66, 128:
		return true
	}
	return false
}

// maxFamilies is how many families there are: two AFIs, each without SAFI or
// with one of eight.
const maxFamilies = 2 * (1 + 8)

// addresses decodes
//
//	addressesOrRanges SEQUENCE OF IPAddressOrRange
//
//	IPAddressOrRange ::= CHOICE {
//	   addressPrefix  IPAddress,
//	   addressRange   IPAddressRange }
func (p *parser) addresses(seq element, width int) (set, error) {
	if seq.len() == 0 {
		return nil, wire.Errorf("addressesOrRanges", seq.start, errNoAddress)
	}
	first := len(p.spans)
	for pos := seq.content; pos < seq.end; {
		e, err := readElement(p.der, pos, seq.end, "IPAddressOrRange")
		if err != nil {
			return nil, err
		}
		var s span
		switch e.tag {
		case tagBitString:
			s, err = p.addressPrefix(e, width)
		case tagSequence:
			s, err = p.addressRange(e, width)
		default:
			err = wire.Errorf("IPAddressOrRange", pos, errTag)
		}
		if err != nil {
			return nil, err
		}
		if n := len(p.spans); n > first && !p.spans[n-1].before(s) {
			// "Any pair of IPAddressOrRange choices in an extension MUST NOT overlap
			// each other.  Any contiguous address prefixes or ranges MUST be combined".
			if p.spans[n-1].hi.less(s.lo) {
				return nil, wire.Errorf("IPAddressOrRange", pos, errAdjacent)
			}
			return nil, wire.Errorf("IPAddressOrRange", pos, errOverlap)
		}
		p.spans = append(p.spans, s)
		pos = e.end
	}
	return slices.Clip(p.spans[first:]), nil
}

func (p *parser) addressPrefix(e element, width int) (span, error) {
	bits, n, err := p.ipAddress(e, width, "addressPrefix")
	return span{bits, bits.or(lowBits(128 - n))}, err
}

// addressRange decodes
//
//	IPAddressRange ::= SEQUENCE {
//	   min  IPAddress,
//	   max  IPAddress }
func (p *parser) addressRange(seq element, width int) (span, error) {
	minEnd, err := expect(p.der, seq.content, seq.end, tagBitString, "addressRange min")
	if err != nil {
		return span{}, err
	}
	maxEnd, err := expect(p.der, minEnd.end, seq.end, tagBitString, "addressRange max")
	if err != nil {
		return span{}, err
	}
	if maxEnd.end != seq.end {
		return span{}, wire.Errorf("addressRange", maxEnd.end, ErrTrailing)
	}
	lo, n, err := p.ipAddress(minEnd, width, "addressRange min")
	if err != nil {
		return span{}, err
	}
	// "The BIT STRING for the minimum address results from removing all the
	// least-significant zero-bits from the minimum address."
	if lo.trailingZeros() != 128-n {
		return span{}, wire.Errorf("addressRange min", minEnd.start, errUntrimmed)
	}
	hi, n, err := p.ipAddress(maxEnd, width, "addressRange max")
	if err != nil {
		return span{}, err
	}
	// "The BIT STRING for the maximum address results from removing all the
	// least-significant one-bits from the maximum address."
	hi = hi.or(lowBits(128 - n))
	if hi.not().trailingZeros() != 128-n {
		return span{}, wire.Errorf("addressRange max", maxEnd.start, errUntrimmed)
	}
	s := span{lo, hi}
	if hi.less(lo) {
		return span{}, wire.Errorf("addressRange", seq.start, errReversed)
	}
	if _, ok := s.prefixBits(); ok {
		// "any range of addresses that can be encoded as a prefix MUST be encoded
		// using an IPAddress element"
		return span{}, wire.Errorf("addressRange", seq.start, errIsPrefix)
	}
	return s, nil
}

// ipAddress decodes a BIT STRING of n bits, which it returns as the top bits of
// an otherwise zero integer.
func (p *parser) ipAddress(e element, width int, field string) (bits uint128, n int, err error) {
	octets := e.len() - 1
	if octets < 0 || octets > width/8 {
		return uint128{}, 0, wire.Errorf(field, e.start, ErrLength)
	}
	unused := int(p.der[e.content])
	if unused > 7 || unused > 0 && octets == 0 {
		return uint128{}, 0, wire.Errorf(field, e.content, ErrValue)
	}
	var b [16]byte
	copy(b[:], p.der[e.content+1:e.end])
	bits, n = loadUint128(b), 8*octets-unused
	if bits.and(lowBits(128-n)) != (uint128{}) {
		// "The DER encoding specifies that these unused bits MUST be set to
		// zero-bits."
		return uint128{}, 0, wire.Errorf(field, e.end-1, errUnusedBits)
	}
	return bits, n, nil
}
