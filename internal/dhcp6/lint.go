package dhcp6

import "dhcpsec.example/internal/wire"

// Lint reports the first fault of a message that [Unwrap] accepts, but that no
// correct peer would send: a known option whose content does not have the form
// that RFC 8415 gives it, here or in the message that relay messages carry. A
// machine makes the best of such a message; a tool that shows it to a person
// should not. The error is a *[ParseError] with an offset within b.
func Lint(b []byte) error {
	if _, _, err := Unwrap(b, nil); err != nil {
		return err
	}
	base := 0
	for isRelayMessage(b) {
		r, err := parseRelay(b, base)
		if err != nil {
			return err
		}
		if err := r.Options.lint(base + RelayHeaderLen); err != nil {
			return err
		}
		at, carried := r.locateMessage()
		b, base = carried, base+RelayHeaderLen+at
	}
	m, err := parseMessage(b, base)
	if err != nil {
		return err
	}
	return m.Options.lint(base + HeaderLen)
}

// lint looks at each option of an area that begins base octets into the caller's
// slice, and into those that have options of their own.
func (o Options) lint(base int) error {
	c := wire.NewCursor(o, base)
	for c.Len() > 0 {
		code, data, err := c.Option16()
		if err != nil {
			return err
		}
		if err := lintOption(code, data, c.Offset()-len(data)); err != nil {
			return err
		}
	}
	return nil
}

// lintOption looks at one option whose data begins at.
func lintOption(code uint16, data []byte, at int) error {
	header := 0 // of an option that has options of its own
	switch code {
	case OptionORO:
		if len(data)%2 != 0 {
			return wire.Errorf(optionName(code), at, ErrLength)
		}
	case OptionPreference:
		return exactly(1, code, data, at)
	case OptionElapsedTime, OptionRelaySourcePort:
		return exactly(2, code, data, at)
	case OptionRapidCommit:
		return exactly(0, code, data, at)
	case OptionSolMaxRT:
		return exactly(4, code, data, at)
	case OptionIANA:
		header = 12
	case OptionIATA, OptionVendorOpts:
		header = 4
	case OptionIAPD:
		ia, err := parseIAPD(data, at)
		if err != nil {
			return err
		}
		return ia.Options.lint(at + len(data) - len(ia.Options))
	case OptionIAPrefix:
		p, err := parseIAPrefix(data, at)
		if err != nil {
			return err
		}
		return p.Options.lint(at + len(data) - len(p.Options))
	}
	if len(data) < header {
		return wire.Errorf(optionName(code), at, ErrTruncated)
	}
	switch code {
	case OptionIANA, OptionIATA:
		return Options(data[header:]).lint(at + header)
	case OptionVendorOpts: // its sub-options have codes of their own
		for c := wire.NewCursor(data[header:], at+header); c.Len() > 0; {
			if _, _, err := c.Option16(); err != nil {
				return err
			}
		}
	}
	return nil
}

// exactly is the check of an option whose data has one size.
func exactly(size int, code uint16, data []byte, at int) error {
	if len(data) != size {
		return wire.Errorf(optionName(code), at, ErrLength)
	}
	return nil
}
