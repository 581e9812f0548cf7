package x509ip

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"dhcpsec.example/internal/wire"
)

// String returns b as one line: the elements in the order of the encoding,
// separated by ", ". An element is a prefix, a range, or a family that
// inherits; one that belongs to a SAFI names it:
//
//	10.0.0.0-10.0.0.9, 2001:db8::/32, 2001:db8:1::/48 (SAFI 1)
//	10.0.0.0/8, IPv6 inherit, IPv6 (SAFI 2) inherit
//
// The zero value is "none".
func (b Blocks) String() string {
	text, _ := b.AppendText(nil)
	return string(text)
}

// MarshalText implements [encoding.TextMarshaler]. It returns what
// [Blocks.String] returns and does not fail.
func (b Blocks) MarshalText() ([]byte, error) { return b.AppendText(nil) }

// AppendText implements [encoding.TextAppender]. It appends what
// [Blocks.String] returns and does not fail.
func (b Blocks) AppendText(text []byte) ([]byte, error) {
	if b.IsZero() {
		return append(text, "none"...), nil
	}
	separator := ""
	for _, f := range b.families {
		if f.inherit {
			text = append(text, separator...)
			text = append(text, f.Family.String()...)
			text = append(text, " inherit"...)
			separator = ", "
		}
		for _, s := range f.addresses {
			text = append(text, separator...)
			text = f.toRange(s).appendText(text)
			text = append(text, f.safiText()...)
			separator = ", "
		}
	}
	return text, nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]: it sets b to what
// [ParseText] returns. On error b is as it was.
func (b *Blocks) UnmarshalText(text []byte) error {
	parsed, err := ParseText(string(text))
	if err == nil {
		*b = parsed
	}
	return err
}

// What is wrong with a text.
var (
	errNotElement = fmt.Errorf("%w: neither prefix nor range nor inherit", ErrValue)
	errFamily     = fmt.Errorf("%w: unknown family or SAFI", ErrValue)
)

// ParseText is the reverse of [Blocks.String]: elements that are separated by
// commas, each a prefix, a range or a family that inherits, and "none" for the
// zero value. The elements may come in any order, overlap and touch, and there
// may be space around them. Nothing is guessed: an address without a length is
// not a prefix, and a prefix may not have host bits set. An error is a
// *[ParseError], whose offset is that of the element in text.
func ParseText(text string) (Blocks, error) {
	if strings.TrimSpace(text) == "none" {
		return Blocks{}, nil
	}
	var c collector
	offset, elements := 0, 0
	for part := range strings.SplitSeq(text, ",") {
		if elements++; elements > MaxElements {
			return Blocks{}, wire.Errorf("blocks", offset, ErrTooLarge)
		}
		element := strings.TrimSpace(part)
		if err := c.addText(element); err != nil {
			return Blocks{}, wire.Errorf("element", offset+strings.Index(part, element), err)
		}
		offset += len(part) + len(",")
	}
	return c.blocks(), nil
}

// addText adds one element of a text.
func (c *collector) addText(element string) error {
	if family, inherits := strings.CutSuffix(element, " inherit"); inherits {
		name, safi, ok := cutSAFI(family)
		if !ok || name != "IPv4" && name != "IPv6" {
			return errFamily
		}
		f := Family{AFI: IPv6, SAFI: safi}
		if name == "IPv4" {
			f.AFI = IPv4
		}
		e := c.entry(f)
		e.inherit = true
		return e.consistent()
	}
	addresses, safi, ok := cutSAFI(element)
	if !ok {
		return errFamily
	}
	r, err := parseRange(addresses)
	if err != nil {
		return err
	}
	f := familyOf(r.From)
	f.SAFI = safi
	c.add(f, addressSpan{fromAddr(r.From), fromEnd(r.To)})
	return c.entry(f).consistent()
}

// consistent refuses a family that both inherits and has addresses.
func (f *familyBlocks) consistent() error {
	if f.inherit && len(f.addresses) > 0 {
		return errContradiction
	}
	return nil
}

// cutSAFI cuts off what [Family.safiText] returns; without it the SAFI is 0.
func cutSAFI(text string) (rest string, safi uint8, ok bool) {
	rest, tail, found := strings.Cut(text, " (SAFI ")
	if !found {
		return text, 0, true
	}
	digits, closed := strings.CutSuffix(tail, ")")
	n, err := strconv.ParseUint(digits, 10, 8)
	return rest, uint8(n), closed && err == nil && knownSAFI(uint8(n))
}

// parseRange is the reverse of [Range.String]. An error says nothing of what the
// text is.
func parseRange(text string) (Range, error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		p, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			return Range{}, errNotElement
		case p != p.Masked():
			return Range{}, errHostBits
		}
		s := fromPrefix(p)
		return familyOf(p.Addr()).toRange(s), nil
	}
	first, err := netip.ParseAddr(from)
	last, err2 := netip.ParseAddr(to)
	if errors.Join(err, err2) != nil || first.Zone() != "" || last.Zone() != "" || first.BitLen() != last.BitLen() {
		return Range{}, errNotElement
	}
	r := Range{first, last}
	if !r.valid() {
		return Range{}, errReversed
	}
	return r, nil
}

// appendText appends what [Range.String] returns.
func (r Range) appendText(b []byte) []byte {
	if !r.From.IsValid() || !r.To.IsValid() {
		return append(b, "none"...)
	}
	if r.From.BitLen() == r.To.BitLen() {
		s := addressSpan{fromAddr(r.From), fromEnd(r.To)}
		if n, ok := s.prefixBits(); ok {
			return netip.PrefixFrom(r.From, n).AppendTo(b)
		}
	}
	b = r.From.WithZone("").AppendTo(b)
	b = append(b, '-')
	return r.To.WithZone("").AppendTo(b)
}
