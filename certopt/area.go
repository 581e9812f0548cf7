package certopt

import (
	"iter"

	"dhcpsec.example/internal/wire"
)

// Option is one DHCPv6 option, or one sub-option of a VENDOR_OPTS
// (RFC 8415 §21.1, §21.17).
type Option struct {
	Code uint16
	Data []byte // option-len octets; aliases the area, its capacity ends with it
	// Offset is where Data starts, counted from the start of the area. The
	// option's header is the four octets before it.
	Offset int
}

// Walk yields the options of an option area (what follows the four header
// octets of a client/server message) in wire order, whatever their code. An
// option that runs past the end of the area yields one *[ParseError] with
// [ErrTruncated], and the walk ends there.
//
// Walk does not look inside the options. It allocates nothing.
func Walk(area []byte) iter.Seq2[Option, error] { return walk(area, 0) }

// AppendOption appends one option: code, length, data. It returns b as it came,
// and [ErrTooLarge], if data is longer than the 65535 octets that option-len can
// say.
func AppendOption(b []byte, code uint16, data []byte) ([]byte, error) {
	return wire.AppendOption16(b, code, data)
}

// walk is [Walk] over an area that starts base octets into the caller's slice.
func walk(area []byte, base int) iter.Seq2[Option, error] {
	return func(yield func(Option, error) bool) {
		c := wire.NewCursor(area, base)
		for c.Len() > 0 {
			code, data, err := c.Option16()
			if err != nil {
				yield(Option{}, err)
				return
			}
			if !yield(Option{Code: code, Data: data, Offset: c.Offset() - len(data)}, nil) {
				return
			}
		}
	}
}
