package dhcp6

import (
	"iter"
	"net/netip"

	"dhcpsec.example/internal/wire"
)

// Infinity is the lifetime, T1 or T2 that never ends (RFC 8415 section 7.7).
const Infinity uint32 = 0xffffffff

// IAPD is an Identity Association for Prefix Delegation (section 21.21).
type IAPD struct {
	IAID   uint32
	T1, T2 uint32 // seconds; 0 leaves the time to the client, Infinity is never
	// Options are the IA_PD-options. They alias the message.
	Options Options
}

// IAPrefix is an IA Prefix option (section 21.22).
type IAPrefix struct {
	Preferred, Valid uint32 // lifetimes in seconds; Infinity never ends
	// Prefix is the prefix exactly as on the wire: bits beyond its length may
	// be set. "::/n" is a client's wish for a prefix of that length.
	Prefix netip.Prefix
	// Options are the IAprefix-options. They alias the message.
	Options Options
}

// IAPDs is each IA_PD of a message's options, in wire order. A malformed one
// yields a *[ParseError] with an offset within o and the walk goes on: the rest
// of the message is as good as without it.
//
// That no two have the same IAID (section 21.21) and that T1 does not exceed T2
// is for the caller to check: the one takes a table, the other depends on who
// sent the message.
func (o Options) IAPDs() iter.Seq2[IAPD, error] {
	return func(yield func(IAPD, error) bool) {
		c := wire.NewCursor(o, 0)
		for {
			data, at, ok := next(&c, OptionIAPD)
			if !ok || !yield(parseIAPD(data, at)) {
				return
			}
		}
	}
}

// Prefixes is each IA Prefix of the IA_PD, in wire order. A malformed one
// yields a *[ParseError] with an offset within ia.Options and the walk goes on.
//
// That the preferred lifetime does not exceed the valid one is for the caller
// to check: a client discards such a prefix, a server ignores both lifetimes.
func (ia IAPD) Prefixes() iter.Seq2[IAPrefix, error] {
	return func(yield func(IAPrefix, error) bool) {
		c := wire.NewCursor(ia.Options, 0)
		for {
			data, at, ok := next(&c, OptionIAPrefix)
			if !ok || !yield(parseIAPrefix(data, at)) {
				return
			}
		}
	}
}

// next reads on to the next option of this code, whose data begins at.
func next(c *wire.Cursor, code uint16) (data []byte, at int, ok bool) {
	for c.Len() > 0 {
		got, data, err := c.Option16()
		if err != nil {
			return nil, 0, false
		}
		if got == code {
			return data, c.Offset() - len(data), true
		}
	}
	return nil, 0, false
}

// parseIAPD reads the data of an IA_PD option that begins base octets into the
// caller's slice.
func parseIAPD(data []byte, base int) (ia IAPD, err error) {
	c := wire.NewCursor(data, base)
	if ia.IAID, err = c.Uint32("IA_PD IAID"); err != nil {
		return IAPD{}, err
	}
	if ia.T1, err = c.Uint32("IA_PD T1"); err != nil {
		return IAPD{}, err
	}
	if ia.T2, err = c.Uint32("IA_PD T2"); err != nil {
		return IAPD{}, err
	}
	at := c.Offset()
	ia.Options = c.Rest()
	if err := ia.Options.check(at); err != nil {
		return IAPD{}, err
	}
	return ia, nil
}

// parseIAPrefix reads the data of an IA Prefix option that begins base octets
// into the caller's slice.
func parseIAPrefix(data []byte, base int) (p IAPrefix, err error) {
	c := wire.NewCursor(data, base)
	if p.Preferred, err = c.Uint32("IAPREFIX preferred-lifetime"); err != nil {
		return IAPrefix{}, err
	}
	if p.Valid, err = c.Uint32("IAPREFIX valid-lifetime"); err != nil {
		return IAPrefix{}, err
	}
	at := c.Offset()
	bits, err := c.Uint8("IAPREFIX prefix-length")
	if err != nil {
		return IAPrefix{}, err
	}
	if bits > 128 {
		return IAPrefix{}, wire.Errorf("IAPREFIX prefix-length", at, ErrValue)
	}
	addr, err := c.Bytes(16, "IAPREFIX IPv6-prefix")
	if err != nil {
		return IAPrefix{}, err
	}
	p.Prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte(addr)), int(bits))
	at = c.Offset()
	p.Options = c.Rest()
	if err := p.Options.check(at); err != nil {
		return IAPrefix{}, err
	}
	return p, nil
}
