package x509ip

// ParseLenient is [Parse] for tools that have to read what others wrote. It
// accepts deviations from DER and from the canonical form as long as the
// meaning is certain, puts them right in the result, and reports each in the
// order in which they were met: the first is where Parse stops. Without any, the
// result is that of Parse. It tolerates
//
//   - BER: lengths that are indefinite or longer than necessary, and strings in
//     parts
//   - octets after the value, which are ignored
//   - unused bits that are not zero, and unused bits of no octet, which are
//     ignored
//   - ends of ranges that are not trimmed, and ranges that are a prefix
//   - addresses that are out of order, overlap or are not merged
//   - families that are out of order or appear more than once
//   - a family that is granted nothing, and an extension without families; the
//     result is then the zero value
//   - families that Parse does not accept, which are left out: what they grant
//     is lost
//
// Everything else is an error, as from Parse. So are more than [MaxElements]
// deviations.
//
// RFC 5280 section 4.1 has certificates be DER, and RFC 3779 says MUST for all
// of this: [Verify] and [VerifyPath] tolerate nothing, and no decision about
// access should either.
func ParseLenient(der []byte) (Blocks, []*ParseError, error) {
	p := parser{reader: reader{der: der, lenient: true}}
	outer, err := p.element(0, len(der), "IPAddrBlocks")
	if err != nil {
		return Blocks{}, nil, err
	}
	if err := p.blocks(outer); err != nil {
		return Blocks{}, nil, err
	}
	c := collector{p.families}
	return c.blocks(), p.deviations, nil
}
