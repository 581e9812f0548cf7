package x509ip

import (
	"fmt"
	"math/bits"
	"slices"

	"dhcpsec.example/internal/wire"
)

// What is wrong with AS identifiers, besides what is in parse.go.
var (
	errNotASElement = fmt.Errorf("%w: neither number nor range nor inherit", ErrValue)
	errNoAS         = fmt.Errorf("%w: no identifier", ErrValue)
	errLongInteger  = fmt.Errorf("%w: INTEGER takes more octets than it needs", ErrNotCanonical)
	errIsOne        = fmt.Errorf("%w: range of one number", ErrNotCanonical)
)

// ParseASIdentifiers decodes the value of an AS identifier delegation extension,
//
//	ASIdentifiers      ::= SEQUENCE {
//	   asnum              [0] EXPLICIT ASIdentifierChoice OPTIONAL,
//	   rdi                [1] EXPLICIT ASIdentifierChoice OPTIONAL }
//	ASIdentifierChoice ::= CHOICE {
//	   inherit            NULL,
//	   asIdsOrRanges      SEQUENCE OF ASIdOrRange }
//	ASIdOrRange        ::= CHOICE {
//	   id                 ASId,
//	   range              SEQUENCE { min, max ASId } }
//	ASId               ::= INTEGER
//
// as strictly as [Parse], with the same errors and limits: numbers and ranges
// ascend, are merged where they touch, and a range has at least two numbers.
func ParseASIdentifiers(der []byte) (ASIdentifiers, error) {
	p := asParser{reader: reader{der: der}}
	return p.identifiers()
}

// ParseASIdentifiersLenient is [ParseASIdentifiers] in the manner of
// [ParseLenient]. It tolerates BER, octets after the value, numbers that are out
// of order, overlap or are not merged, INTEGERs that are longer than necessary,
// ranges of one number, and sets without any.
func ParseASIdentifiersLenient(der []byte) (ASIdentifiers, []*ParseError, error) {
	p := asParser{reader: reader{der: der, lenient: true}}
	a, err := p.identifiers()
	if err != nil {
		return ASIdentifiers{}, nil, err
	}
	a.asnum.members, a.rdi.members = newSet(a.asnum.members), newSet(a.rdi.members)
	return a, p.deviations, nil
}

// MarshalBinary implements [encoding.BinaryMarshaler]; see
// [ASIdentifiers.AppendBinary].
func (a ASIdentifiers) MarshalBinary() ([]byte, error) { return a.AppendBinary(nil) }

// AppendBinary implements [encoding.BinaryAppender]. It appends the DER of
// ASIdentifiers, which is the content of the extension's extnValue. Its errors
// are those of [Blocks.AppendBinary].
func (a ASIdentifiers) AppendBinary(dst []byte) ([]byte, error) {
	switch {
	case a.IsZero():
		return dst, errNone
	case len(a.asnum.members)+len(a.rdi.members) > MaxElements:
		return dst, ErrTooLarge
	}
	asnum, rdi := asChoiceLen(a.asnum), asChoiceLen(a.rdi)
	content := asnum + rdi
	for _, n := range []int{asnum, rdi} {
		if n > 0 {
			content += headerLen(n)
		}
	}
	dst = slices.Grow(dst, headerLen(content)+content)
	dst = appendHeader(dst, tagSequence, content)
	dst = appendASChoice(dst, tagASNum, asnum, a.asnum)
	return appendASChoice(dst, tagRDI, rdi, a.rdi), nil
}

// asChoiceLen is the length of the ASIdentifierChoice of c, if any.
func asChoiceLen(c claim[uint16]) int {
	switch {
	case c.absent():
		return 0
	case c.inherit:
		return 2
	}
	n := asElementsLen(c.members)
	return headerLen(n) + n
}

func asElementsLen(s set[uint16]) (n int) {
	for _, sp := range s {
		n += asIDLen(sp.lo)
		if sp.lo != sp.hi {
			n += 2 + asIDLen(sp.hi)
		}
	}
	return n
}

// asIDLen is the length of an INTEGER, which begins with the sign.
func asIDLen(n number[uint16]) int { return 2 + n.bitLen()/8 + 1 }

func appendASChoice(dst []byte, tag byte, size int, c claim[uint16]) []byte {
	if size == 0 {
		return dst
	}
	dst = appendHeader(dst, tag, size)
	if c.inherit {
		return append(dst, tagNull, 0)
	}
	dst = appendHeader(dst, tagSequence, asElementsLen(c.members))
	for _, sp := range c.members {
		if sp.lo != sp.hi {
			dst = append(dst, tagSequence, byte(asIDLen(sp.lo)+asIDLen(sp.hi)))
			dst = appendASID(dst, sp.lo)
		}
		dst = appendASID(dst, sp.hi)
	}
	return dst
}

func appendASID(dst []byte, n number[uint16]) []byte {
	octets := asIDLen(n) - 2
	dst = append(dst, tagInteger, byte(octets))
	value := uint64(n.hi)<<16 | uint64(n.lo)
	for i := octets - 1; i >= 0; i-- {
		dst = append(dst, byte(value>>(8*i)))
	}
	return dst
}

type asParser struct {
	reader
	elements int // decoded so far, of both kinds
}

// identifiers decodes the whole extension.
func (p *asParser) identifiers() (a ASIdentifiers, err error) {
	outer, err := p.expect(0, len(p.der), tagSequence, "ASIdentifiers")
	if err != nil {
		return ASIdentifiers{}, err
	}
	if outer.next != len(p.der) {
		if err := p.deviates("ASIdentifiers", outer.next, ErrTrailing); err != nil {
			return ASIdentifiers{}, err
		}
	}
	if outer.len() == 0 {
		// "If no authorization is being granted for a particular form of AS
		// identifier, then there MUST NOT be a corresponding asnum/rdi member".
		return ASIdentifiers{}, p.deviates("ASIdentifiers", outer.start, errNoAS)
	}
	pos := outer.content
	for _, part := range []struct {
		tag  byte
		name string
		to   *claim[uint16]
	}{{tagASNum, "asnum", &a.asnum}, {tagRDI, "rdi", &a.rdi}} {
		if pos == outer.end || p.der[pos] != part.tag {
			continue
		}
		e, err := p.element(pos, outer.end, part.name)
		if err != nil {
			return ASIdentifiers{}, err
		}
		if *part.to, err = p.choice(e, part.name); err != nil {
			return ASIdentifiers{}, err
		}
		pos = e.next
	}
	if pos != outer.end {
		return ASIdentifiers{}, wire.Errorf("ASIdentifiers", pos, errTag)
	}
	return a, nil
}

// choice decodes the content of e, an ASIdentifierChoice.
func (p *asParser) choice(e element, field string) (c claim[uint16], err error) {
	choice, err := p.element(e.content, e.end, field)
	switch {
	case err != nil:
		return c, err
	case choice.next != e.end:
		return c, wire.Errorf(field, choice.next, ErrTrailing)
	}
	switch p.der[choice.start] {
	case tagNull:
		if choice.len() != 0 {
			return c, wire.Errorf(field, choice.start, ErrLength)
		}
		c.inherit = true
	case tagSequence:
		c.members, err = p.members(choice)
	default:
		err = wire.Errorf(field, choice.start, errTag)
	}
	return c, err
}

// members decodes asIdsOrRanges.
func (p *asParser) members(seq element) (set[uint16], error) {
	if seq.len() == 0 {
		return nil, p.deviates("asIdsOrRanges", seq.start, errNoAS)
	}
	s := make(set[uint16], 0, min(countElements(p.der[seq.content:seq.end]), MaxElements-p.elements))
	for pos := seq.content; pos < seq.end; {
		sp, next, err := p.idOrRange(pos, seq.end)
		if err != nil {
			return nil, err
		}
		n := len(s)
		if n > 0 && !s[n-1].before(sp) {
			// "Any pair of items in the asIdsOrRanges SEQUENCE MUST NOT overlap.  Any
			// contiguous series of AS identifiers MUST be combined into a single range
			// whenever possible."
			flaw := errOverlap
			if s[n-1].hi.less(sp.lo) {
				flaw = errAdjacent
			}
			if err := p.deviates("ASIdOrRange", pos, flaw); err != nil {
				return nil, err
			}
		}
		if p.elements == MaxElements {
			return nil, wire.Errorf("ASIdOrRange", pos, ErrTooLarge)
		}
		p.elements++
		s = append(s, sp)
		pos = next
	}
	return s, nil
}

// idOrRange decodes an ASIdOrRange and returns the position after it.
func (p *asParser) idOrRange(pos, limit int) (s span[uint16], next int, err error) {
	e, err := p.element(pos, limit, "ASIdOrRange")
	if err != nil {
		return s, 0, err
	}
	if p.der[pos] != tagSequence {
		s.lo, next, err = p.id(pos, limit, "ASIdOrRange")
		return span[uint16]{s.lo, s.lo}, next, err
	}
	if s.lo, pos, err = p.id(e.content, e.end, "ASRange min"); err != nil {
		return s, 0, err
	}
	if s.hi, pos, err = p.id(pos, e.end, "ASRange max"); err != nil {
		return s, 0, err
	}
	switch {
	case pos != e.end:
		err = wire.Errorf("ASRange", pos, ErrTrailing)
	case s.hi.less(s.lo):
		err = wire.Errorf("ASRange", e.start, errReversed)
	case s.hi == s.lo:
		err = p.deviates("ASRange", e.start, errIsOne)
	}
	return s, e.next, err
}

// id decodes an ASId and returns the position after it.
func (p *asParser) id(pos, limit int, field string) (n number[uint16], next int, err error) {
	e, err := p.expect(pos, limit, tagInteger, field)
	if err != nil {
		return n, 0, err
	}
	octets := p.der[e.content:e.end]
	switch {
	case len(octets) == 0:
		return n, 0, wire.Errorf(field, pos, ErrLength)
	case octets[0] >= 0x80: // negative
		return n, 0, wire.Errorf(field, pos, ErrValue)
	}
	value := uint64(0)
	for _, o := range octets {
		if bits.Len64(value) > 32 {
			break
		}
		value = value<<8 | uint64(o)
	}
	if bits.Len64(value) > 32 {
		return n, 0, wire.Errorf(field, pos, ErrTooLarge)
	}
	if len(octets) > 1 && octets[0] == 0 && octets[1] < 0x80 {
		err = p.deviates(field, pos, errLongInteger)
	}
	return number[uint16]{uint16(value >> 16), uint16(value)}, e.next, err
}
