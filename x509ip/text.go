package x509ip

import "net/netip"

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
