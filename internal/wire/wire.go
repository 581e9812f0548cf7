// Package wire is what every codec of this module shares: one error type with
// an offset, the sentinels it wraps, a bounds-checked cursor, and appenders
// that refuse a value which does not fit its length field.
//
// All integers are big-endian (network order).
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The sentinels a [ParseError], or an error of an encoder, wraps. Packages
// re-export them by value, so errors.Is works across packages.
var (
	// ErrTruncated: the input ends before the field does.
	ErrTruncated = errors.New("truncated")
	// ErrLength: a length field has a value its content cannot have.
	ErrLength = errors.New("impossible length")
	// ErrTrailing: octets follow the end of the value.
	ErrTrailing = errors.New("trailing octets")
	// ErrValue: a field has a value the specification forbids.
	ErrValue = errors.New("forbidden value")
	// ErrDuplicate: a second instance of something that may appear once.
	ErrDuplicate = errors.New("duplicate")
	// ErrNotCanonical: the value is right, but written in a form that the
	// specification forbids.
	ErrNotCanonical = errors.New("not canonical")
	// ErrTooLarge: a configured limit or the capacity of a length field is exceeded.
	ErrTooLarge = errors.New("too large")
)

// ParseError reports malformed octets. It never quotes them: they may hold keys
// or identities, and errors end up in logs.
type ParseError struct {
	Field  string // what was being read, in the specification's words: "IA_PD T1"
	Offset int    // first octet of that field, counted from the start of the caller's slice
	Err    error  // one of the sentinels, or an error that wraps one
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("%s at offset %d: %v", e.Field, e.Offset, e.Err)
}

func (e *ParseError) Unwrap() error { return e.Err }

// Errorf is a *ParseError for field at offset. It exists so that a failing
// parser reads as one line.
func Errorf(field string, offset int, err error) error {
	return &ParseError{Field: field, Offset: offset, Err: err}
}

// Shift adds base to the offset of the *ParseError in err, if there is one. A
// parser that hands a sub-slice to another parser uses it to report offsets in
// its own caller's terms.
func Shift(err error, base int) error {
	var pe *ParseError
	if base == 0 || !errors.As(err, &pe) {
		return err
	}
	return &ParseError{Field: pe.Field, Offset: pe.Offset + base, Err: pe.Err}
}

// Cursor reads a slice front to back. It is a value: copying it saves the
// position. Every slice it returns aliases the input with its capacity capped,
// so that an append by the caller cannot reach what follows.
type Cursor struct {
	data []byte
	pos  int
	base int
}

// NewCursor reads data, reporting offsets that count from base octets before it.
func NewCursor(data []byte, base int) Cursor { return Cursor{data: data, base: base} }

// Offset is the absolute position of the next octet.
func (c *Cursor) Offset() int { return c.base + c.pos }

// Len is the number of octets not read yet.
func (c *Cursor) Len() int { return len(c.data) - c.pos }

// Uint8 reads one octet.
func (c *Cursor) Uint8(field string) (uint8, error) {
	if c.Len() < 1 {
		return 0, Errorf(field, c.Offset(), ErrTruncated)
	}
	v := c.data[c.pos]
	c.pos++
	return v, nil
}

// Uint16 reads two octets.
func (c *Cursor) Uint16(field string) (uint16, error) {
	if c.Len() < 2 {
		return 0, Errorf(field, c.Offset(), ErrTruncated)
	}
	v := binary.BigEndian.Uint16(c.data[c.pos:])
	c.pos += 2
	return v, nil
}

// Uint32 reads four octets.
func (c *Cursor) Uint32(field string) (uint32, error) {
	if c.Len() < 4 {
		return 0, Errorf(field, c.Offset(), ErrTruncated)
	}
	v := binary.BigEndian.Uint32(c.data[c.pos:])
	c.pos += 4
	return v, nil
}

// Bytes reads n octets.
func (c *Cursor) Bytes(n int, field string) ([]byte, error) {
	if n < 0 || c.Len() < n {
		return nil, Errorf(field, c.Offset(), ErrTruncated)
	}
	v := c.data[c.pos : c.pos+n : c.pos+n]
	c.pos += n
	return v, nil
}

// Rest reads all that is left.
func (c *Cursor) Rest() []byte {
	v := c.data[c.pos:len(c.data):len(c.data)]
	c.pos = len(c.data)
	return v
}

// Option16 reads a DHCPv6 option: a 16-bit code, a 16-bit length, that many octets.
func (c *Cursor) Option16() (code uint16, data []byte, err error) {
	if code, err = c.Uint16("option-code"); err != nil {
		return 0, nil, err
	}
	at := c.Offset()
	n, err := c.Uint16("option-len")
	if err != nil {
		return 0, nil, err
	}
	if c.Len() < int(n) {
		return 0, nil, Errorf("option-len", at, ErrTruncated)
	}
	data, err = c.Bytes(int(n), "option-data")
	return code, data, err
}

// AppendOption16 appends a DHCPv6 option. It returns b as it came, and
// ErrTooLarge, if data does not fit a 16-bit length.
func AppendOption16(b []byte, code uint16, data []byte) ([]byte, error) {
	if len(data) > math.MaxUint16 {
		return b, ErrTooLarge
	}
	b = binary.BigEndian.AppendUint16(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...), nil
}

// BeginOption16 appends the header of a DHCPv6 option whose data the caller
// appends next; pass the returned mark to [EndOption16].
func BeginOption16(b []byte, code uint16) (out []byte, mark int) {
	b = binary.BigEndian.AppendUint16(b, code)
	b = append(b, 0, 0)
	return b, len(b)
}

// EndOption16 fills in the length of the option begun at mark. If the data is
// too large it removes the whole option and returns ErrTooLarge.
func EndOption16(b []byte, mark int) ([]byte, error) {
	n := len(b) - mark
	if n > math.MaxUint16 {
		return b[:mark-4], ErrTooLarge
	}
	binary.BigEndian.PutUint16(b[mark-2:], uint16(n))
	return b, nil
}
