package x509ip

import "dhcpsec.example/internal/wire"

// The DER identifier octets that IPAddrBlocks uses.
const (
	tagBitString   = 0x03
	tagOctetString = 0x04
	tagNull        = 0x05
	tagSequence    = 0x30
)

// element is the position of one DER element in the slice being parsed.
type element struct {
	start   int // of the identifier octet
	content int // of the content octets
	end     int // after the content octets
	tag     byte
}

func (e element) len() int { return e.end - e.content }

// readElement reads the header of the DER element that starts at pos and has to
// end at or before limit, which is the end of what contains it.
func readElement(der []byte, pos, limit int, field string) (element, error) {
	if limit-pos < 2 {
		return element{}, wire.Errorf(field, pos, ErrTruncated)
	}
	e := element{start: pos, content: pos + 2, tag: der[pos]}
	n := int(der[pos+1])
	if n >= 0x80 {
		var err error
		if n, e.content, err = readLongLength(der, pos+1, limit); err != nil {
			return element{}, wire.Errorf(field, pos+1, err)
		}
	}
	if n > limit-e.content {
		return element{}, wire.Errorf(field, pos+1, ErrTruncated)
	}
	e.end = e.content + n
	return e, nil
}

// expect is [readElement] for an element whose tag is known.
func expect(der []byte, pos, limit int, tag byte, field string) (element, error) {
	e, err := readElement(der, pos, limit, field)
	if err == nil && e.tag != tag {
		err = wire.Errorf(field, pos, errTag)
	}
	return e, err
}

// readLongLength reads length octets in the long form, of which the first is at
// pos.
func readLongLength(der []byte, pos, limit int) (n, next int, err error) {
	octets := int(der[pos] & 0x7f)
	pos++
	switch {
	case octets == 0:
		return 0, 0, errIndefinite
	case octets > limit-pos:
		return 0, 0, ErrTruncated
	case der[pos] == 0:
		return 0, 0, errLongLength
	case octets > 3:
		return 0, 0, ErrTooLarge
	}
	for _, o := range der[pos : pos+octets] {
		n = n<<8 | int(o)
	}
	if n < 0x80 {
		return 0, 0, errLongLength
	}
	return n, pos + octets, nil
}

// headerLen is the number of octets that the identifier and the length of n
// content octets take.
func headerLen(n int) int {
	size := 2
	if n >= 0x80 {
		for ; n > 0; n >>= 8 {
			size++
		}
	}
	return size
}

// appendHeader appends the identifier and length octets of n content octets.
func appendHeader(b []byte, tag byte, n int) []byte {
	b = append(b, tag)
	octets := headerLen(n) - 2
	if octets == 0 {
		return append(b, byte(n))
	}
	b = append(b, 0x80|byte(octets))
	for i := octets - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}
