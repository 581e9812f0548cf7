package x509ip

import (
	"encoding/binary"
	"fmt"
	"slices"

	"dhcpsec.example/internal/wire"
)

// ParseError is what the parsers report: the field, in the words of RFC 3779, the
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
	ErrTooLarge     = wire.ErrTooLarge     // an element of 16 MiB or more, or more than [MaxElements]
)

// What exactly is wrong, where the sentinel alone would leave the reader to
// guess.
var (
	errTag           = fmt.Errorf("%w: unexpected ASN.1 tag", ErrValue)
	errConstructed   = fmt.Errorf("%w: string in parts", ErrNotCanonical)
	errIndefinite    = fmt.Errorf("%w: indefinite length", ErrNotCanonical)
	errLongLength    = fmt.Errorf("%w: length takes more octets than it needs", ErrNotCanonical)
	errUnusedBits    = fmt.Errorf("%w: unused bits that are not zero", ErrNotCanonical)
	errNoFamily      = fmt.Errorf("%w: no address family", ErrValue)
	errNoAddress     = fmt.Errorf("%w: no address", ErrValue)
	errOrder         = fmt.Errorf("%w: families out of order", ErrNotCanonical)
	errOverlap       = fmt.Errorf("%w: elements overlap or are out of order", ErrNotCanonical)
	errAdjacent      = fmt.Errorf("%w: elements not merged", ErrNotCanonical)
	errUntrimmed     = fmt.Errorf("%w: end of range not trimmed", ErrNotCanonical)
	errIsPrefix      = fmt.Errorf("%w: range that is a prefix", ErrNotCanonical)
	errContradiction = fmt.Errorf("%w: family both inherits and has addresses", ErrDuplicate)
	errReversed      = fmt.Errorf("%w: range ends before it begins", ErrValue)
)

// MaxElements is how many prefixes and ranges, or numbers and ranges of
// numbers, an extension may have: far more than any certificate in use, and
// few enough that what [Parse] allocates stays below 10 MB whatever it is fed.
const MaxElements = 1 << 18

// Parse decodes the value of an IP address delegation extension, the content of
// its extnValue. It accepts DER in the canonical form of RFC 3779 and nothing
// else, so everything it accepts encodes to the same octets again; the package
// comment lists the rulings. An error is a *[ParseError]. The result does not
// alias der. It allocates twice, whatever the number of elements.
func Parse(der []byte) (Blocks, error) {
	var d Decoder
	return d.Parse(der)
}

// A Decoder parses one extension after the other into the same memory. The zero
// value is ready for use. A Decoder must not be used by several goroutines at
// once.
type Decoder struct{ p parser }

// Parse is the function [Parse], except that the result belongs to d: it is
// valid until the next call of Parse on d, which overwrites it. [Blocks.Clone]
// keeps it for longer. Once the memory of d suffices, Parse allocates nothing.
func (d *Decoder) Parse(der []byte) (Blocks, error) {
	p := &d.p
	p.der = der
	defer func() { p.der = nil }()
	outer, err := p.element(0, len(der), "IPAddrBlocks")
	if err != nil {
		return Blocks{}, err
	}
	families, elements := p.count(outer)
	if p.families = p.families[:0]; families > cap(p.families) {
		p.families = make([]familyBlocks, 0, families)
	}
	if p.spans = p.spans[:0]; elements > cap(p.spans) {
		p.spans = make(addressSet, 0, elements)
	}
	if err := p.blocks(outer); err != nil {
		return Blocks{}, err
	}
	return Blocks{p.families}, nil
}

// parser holds what is decoded so far. All families share one slice of spans,
// large enough from the start: a decode costs two allocations.
type parser struct {
	reader
	families []familyBlocks
	spans    addressSet
}

// count returns how many families there are and how many elements in their
// sets, but no more than can be accepted. It checks only what it needs to find
// its way and stops where it cannot, since the parse stops there too.
func (r *reader) count(outer element) (families, elements int) {
	for pos := outer.content; pos < outer.end && families < maxFamilies; {
		seq, err := r.element(pos, outer.end, "")
		if err != nil {
			break
		}
		families++
		pos = seq.end
		addressFamily, err := r.element(seq.content, seq.end, "")
		if err != nil {
			break
		}
		choice, err := r.element(addressFamily.end, seq.end, "")
		if err != nil {
			break
		}
		elements += countElements(r.der[choice.content:choice.end])
	}
	return families, min(elements, MaxElements)
}

// countElements returns how many elements b consists of. None that can be
// accepted has a length of more than one octet.
func countElements(b []byte) (n int) {
	for len(b) >= 2 && b[1] < 0x80 {
		size := 2 + int(b[1])
		if size > len(b) {
			break
		}
		b = b[size:]
		n++
	}
	return n
}

// blocks decodes
//
//	IPAddrBlocks ::= SEQUENCE OF IPAddressFamily
func (p *parser) blocks(outer element) error {
	if p.der[outer.start] != tagSequence {
		return wire.Errorf("IPAddrBlocks", outer.start, errTag)
	}
	if outer.next != len(p.der) {
		if err := p.deviates("IPAddrBlocks", outer.next, ErrTrailing); err != nil {
			return err
		}
	}
	if outer.len() == 0 {
		// "If no authorization is being granted for a particular AFI and optional
		// SAFI, then there MUST NOT be an IPAddressFamily member": and an extension
		// without members grants nothing.
		return p.deviates("IPAddrBlocks", outer.start, errNoFamily)
	}
	for pos := outer.content; pos < outer.end; {
		next, err := p.family(pos, outer.end)
		if err != nil {
			return err
		}
		pos = next
	}
	return nil
}

// family decodes
//
//	IPAddressFamily ::= SEQUENCE {
//	   addressFamily    OCTET STRING (SIZE (2..3)),
//	   ipAddressChoice  IPAddressChoice }
//
// and returns the position after it.
func (p *parser) family(pos, limit int) (next int, err error) {
	seq, err := p.expect(pos, limit, tagSequence, "IPAddressFamily")
	if err != nil {
		return 0, err
	}
	family, known, pos, err := p.addressFamily(seq)
	if err != nil || !known {
		return seq.next, err
	}
	if err := p.order(family, seq.content); err != nil {
		return 0, err
	}
	choice, err := p.element(pos, seq.end, "ipAddressChoice")
	if err != nil {
		return 0, err
	}
	f := familyBlocks{Family: family}
	switch p.der[choice.start] {
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
	if choice.next != seq.end {
		return 0, wire.Errorf("IPAddressFamily", choice.next, ErrTrailing)
	}
	return seq.next, p.addFamily(f, seq.content)
}

// order checks that family comes after the last one: "There MUST be only one
// IPAddressFamily SEQUENCE per unique combination of AFI and SAFI.  Each SEQUENCE
// MUST be ordered by ascending addressFamily values".
func (p *parser) order(family Family, offset int) error {
	n := len(p.families)
	if n == 0 || p.families[n-1].compare(family) < 0 {
		return nil
	}
	if slices.ContainsFunc(p.families, func(f familyBlocks) bool { return f.Family == family }) {
		return p.deviates("addressFamily", offset, ErrDuplicate)
	}
	return p.deviates("addressFamily", offset, errOrder)
}

// addFamily keeps f. What a lenient parser has to put right, it does here.
func (p *parser) addFamily(f familyBlocks, offset int) error {
	if !p.lenient {
		p.families = append(p.families, f)
		return nil
	}
	if !f.inherit && len(f.addresses) == 0 {
		return nil // it was noted that there are none
	}
	i := slices.IndexFunc(p.families, func(g familyBlocks) bool { return g.Family == f.Family })
	switch {
	case i < 0:
		p.families = append(p.families, f)
	case p.families[i].inherit != f.inherit:
		return wire.Errorf("addressFamily", offset, errContradiction)
	default:
		p.families[i].addresses = append(p.families[i].addresses, f.addresses...)
	}
	return nil
}

// addressFamily decodes the first part of seq. "The addressFamily element is an
// OCTET STRING containing a two-octet Address Family Identifier (AFI), in
// network byte order, optionally followed by a one-octet Subsequent Address
// Family Identifier (SAFI)."
func (p *parser) addressFamily(seq element) (f Family, known bool, next int, err error) {
	e, err := p.expect(seq.content, seq.end, tagOctetString, "addressFamily")
	if err != nil {
		return Family{}, false, 0, err
	}
	octets, err := p.octets(e, "addressFamily")
	if err != nil {
		return Family{}, false, 0, err
	}
	if len(octets) < 2 || len(octets) > 3 {
		return Family{}, false, 0, wire.Errorf("addressFamily", e.start, ErrLength)
	}
	f.AFI = binary.BigEndian.Uint16(octets)
	if f.AFI != IPv4 && f.AFI != IPv6 {
		return Family{}, false, 0, p.deviates("addressFamily AFI", e.content, ErrValue)
	}
	// A SAFI of 0 is reserved, and Family takes it for none.
	if len(octets) == 3 {
		if f.SAFI = octets[2]; !knownSAFI(f.SAFI) {
			return Family{}, false, 0, p.deviates("addressFamily SAFI", e.content+2, ErrValue)
		}
	}
	return f, true, e.next, nil
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
func (p *parser) addresses(seq element, width int) (addressSet, error) {
	if seq.len() == 0 {
		return nil, p.deviates("addressesOrRanges", seq.start, errNoAddress)
	}
	first := len(p.spans)
	for pos := seq.content; ; {
		if pos = p.plainElements(first, pos, seq.end, width); pos == seq.end {
			return slices.Clip(p.spans[first:]), nil
		}
		s, next, err := p.addressOrRange(pos, seq.end, width)
		if err != nil {
			return nil, err
		}
		n := len(p.spans)
		if n > first && !p.spans[n-1].before(s) {
			// "Any pair of IPAddressOrRange choices in an extension MUST NOT overlap
			// each other.  Any contiguous address prefixes or ranges MUST be combined".
			flaw := errOverlap
			if p.spans[n-1].hi.less(s.lo) {
				flaw = errAdjacent
			}
			if err := p.deviates("IPAddressOrRange", pos, flaw); err != nil {
				return nil, err
			}
		}
		if n == MaxElements {
			return nil, wire.Errorf("IPAddressOrRange", pos, ErrTooLarge)
		}
		p.spans = append(p.spans, s)
		pos = next
	}
}

// plainElements decodes elements from pos on as long as nothing is wrong with
// them, which is how nearly every extension is to its end, and returns the
// position of the first that it leaves to [parser.addressOrRange] to accept or
// refuse. It is there for speed alone.
func (p *parser) plainElements(first, pos, limit, width int) int {
	der, spans := p.der[:limit], p.spans
	for pos < limit && len(spans) < MaxElements {
		var s addressSpan
		next := 0
		if der[pos] == tagBitString {
			var host address
			if s.lo, host, next = plainBits(der, pos, width); next == 0 {
				break
			}
			s.hi = s.lo.or(host)
		} else if s, next = plainRange(der, pos, width); next == 0 {
			break
		}
		if n := len(spans); n > first && !spans[n-1].before(s) {
			break
		}
		spans = append(spans, s)
		pos = next
	}
	p.spans = spans
	return pos
}

// plainBits is [parser.ipAddress] for a BIT STRING that starts at pos. host is
// the bits that do not belong to it. If anything is not plain, next is 0.
func plainBits(der []byte, pos, width int) (a, host address, next int) {
	b := der[pos:]
	if len(b) < 3 || b[0] != tagBitString {
		return a, host, 0
	}
	octets, unused := int(b[1])-1, uint(b[2])
	b = b[3:]
	if uint(octets) > uint(min(width/8, len(b))) || unused > 7 {
		return a, host, 0
	}
	if len(b) >= 16 {
		// What is loaded beyond the BIT STRING is masked.
		a = address{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
	} else {
		var last [16]byte
		copy(last[:], b)
		a = loadAddress(last)
	}
	if unused > 0 && (octets == 0 || b[octets-1]&(1<<unused-1) != 0) {
		return a, host, 0
	}
	host = hostBits(8*octets - int(unused))
	return a.and(host.not()), host, pos + 3 + octets
}

// plainRange is [parser.addressRange] likewise.
func plainRange(der []byte, pos, width int) (s addressSpan, next int) {
	if len(der)-pos < 2 || der[pos] != tagSequence {
		return s, 0
	}
	lo, loHost, at := plainBits(der, pos+2, width)
	if at == 0 {
		return s, 0
	}
	hi, hiHost, next := plainBits(der, at, width)
	if next != pos+2+int(der[pos+1]) {
		return s, 0
	}
	s = addressSpan{lo, hi.or(hiHost)}
	_, isPrefix := s.prefixBits()
	if isPrefix || s.hi.less(s.lo) || s.lo.trailingZeros() != loHost.bitLen() || s.hi.not().trailingZeros() != hiHost.bitLen() {
		return s, 0
	}
	return s, next
}

// hostBits has all but the first n bits set.
func hostBits(n int) address {
	return address{^uint64(0) >> uint(n), ^uint64(0) >> uint(max(n-64, 0))}
}

// addressOrRange decodes an IPAddressOrRange and returns the position after it.
func (p *parser) addressOrRange(pos, limit, width int) (s addressSpan, next int, err error) {
	e, err := p.element(pos, limit, "IPAddressOrRange")
	if err != nil {
		return addressSpan{}, 0, err
	}
	switch tag := p.der[pos]; {
	case tag == tagBitString, p.inParts(pos, tagBitString):
		s, err = p.addressPrefix(e, width)
	case tag == tagSequence:
		s, err = p.addressRange(e, width)
	default:
		err = wire.Errorf("IPAddressOrRange", pos, errTag)
	}
	return s, e.next, err
}

func (p *parser) addressPrefix(e element, width int) (addressSpan, error) {
	a, n, err := p.ipAddress(e, width, "addressPrefix")
	return addressSpan{a, a.or(hostBits(n))}, err
}

// addressRange decodes
//
//	IPAddressRange ::= SEQUENCE {
//	   min  IPAddress,
//	   max  IPAddress }
func (p *parser) addressRange(seq element, width int) (addressSpan, error) {
	minEnd, err := p.expect(seq.content, seq.end, tagBitString, "addressRange min")
	if err != nil {
		return addressSpan{}, err
	}
	maxEnd, err := p.expect(minEnd.next, seq.end, tagBitString, "addressRange max")
	if err != nil {
		return addressSpan{}, err
	}
	if maxEnd.next != seq.end {
		return addressSpan{}, wire.Errorf("addressRange", maxEnd.next, ErrTrailing)
	}
	lo, n, err := p.ipAddress(minEnd, width, "addressRange min")
	if err != nil {
		return addressSpan{}, err
	}
	// "The BIT STRING for the minimum address results from removing all the
	// least-significant zero-bits from the minimum address."
	if lo.trailingZeros() != 128-n {
		if err := p.deviates("addressRange min", minEnd.start, errUntrimmed); err != nil {
			return addressSpan{}, err
		}
	}
	hi, n, err := p.ipAddress(maxEnd, width, "addressRange max")
	if err != nil {
		return addressSpan{}, err
	}
	// "The BIT STRING for the maximum address results from removing all the
	// least-significant one-bits from the maximum address."
	hi = hi.or(hostBits(n))
	if hi.not().trailingZeros() != 128-n {
		if err := p.deviates("addressRange max", maxEnd.start, errUntrimmed); err != nil {
			return addressSpan{}, err
		}
	}
	s := addressSpan{lo, hi}
	if hi.less(lo) {
		return addressSpan{}, wire.Errorf("addressRange", seq.start, errReversed)
	}
	if _, ok := s.prefixBits(); ok {
		// "any range of addresses that can be encoded as a prefix MUST be encoded
		// using an IPAddress element"
		return s, p.deviates("addressRange", seq.start, errIsPrefix)
	}
	return s, nil
}

// ipAddress decodes a BIT STRING of n bits, which it returns as the top bits of
// an otherwise zero number.
func (p *parser) ipAddress(e element, width int, field string) (a address, n int, err error) {
	content, err := p.octets(e, field)
	if err != nil {
		return address{}, 0, err
	}
	octets := len(content) - 1
	if octets < 0 || octets > width/8 {
		return address{}, 0, wire.Errorf(field, e.start, ErrLength)
	}
	unused := int(content[0])
	if unused > 7 {
		return address{}, 0, wire.Errorf(field, e.content, ErrValue)
	}
	if unused > 0 && octets == 0 {
		return address{}, 0, p.deviates(field, e.content, ErrValue)
	}
	var b [16]byte
	copy(b[:], content[1:])
	a, n = loadAddress(b), 8*octets-unused
	if host := hostBits(n); a.and(host) != (address{}) {
		// "The DER encoding specifies that these unused bits MUST be set to
		// zero-bits."
		err = p.deviates(field, e.end-1, errUnusedBits)
		a = a.and(host.not())
	}
	return a, n, err
}
