package certopt

import "dhcpsec.example/internal/wire"

// ParseError reports malformed octets: the field, its offset counted from the
// start of the slice the caller passed, and one of the sentinels below. It never
// quotes the octets themselves.
type ParseError = wire.ParseError

// The sentinels that a [ParseError] wraps. They are shared by every package of
// this module.
var (
	ErrTruncated = wire.ErrTruncated // the input ends before the field does
	ErrLength    = wire.ErrLength    // a length its content cannot have, such as an empty option
	ErrTrailing  = wire.ErrTrailing  // octets follow the end of the value
	ErrValue     = wire.ErrValue     // a value, or a DER element, that is not allowed there
	ErrDuplicate = wire.ErrDuplicate // a second instance of an option that may appear once
	ErrTooLarge  = wire.ErrTooLarge  // one of the Limits, or the reach of a length field, is exceeded
)
