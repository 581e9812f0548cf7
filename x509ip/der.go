package x509ip

// The DER identifier octets that RFC 3779 uses.
const (
	tagInteger     = 0x02
	tagBitString   = 0x03
	tagOctetString = 0x04
	tagNull        = 0x05
	tagSequence    = 0x30
	tagASNum       = 0xa0 // [0] EXPLICIT
	tagRDI         = 0xa1 // [1] EXPLICIT

	constructed = 0x20 // the bit that tells a value made of elements
)

// element is the position of one element in the slice being parsed. It has no
// more than four fields, so that it is kept in registers.
type element struct {
	start   int // of the identifier octet
	content int // of the content octets
	end     int // after the content octets
	next    int // after the element, which is end unless the length is indefinite
}

func (e element) len() int { return e.end - e.content }

// reader reads the elements of an extension. What it reads has to be DER,
// unless it is lenient: then it may be BER, and every deviation is noted.
type reader struct {
	der        []byte
	lenient    bool
	deviations []*ParseError
}

// maxDeviations bounds how many deviations are noted before a lenient reader
// gives up.
const maxDeviations = MaxElements

// deviates reports a departure from DER or from the canonical form that does
// not keep the meaning from being known. A lenient reader notes it and goes on.
func (r *reader) deviates(field string, offset int, err error) error {
	if r.lenient && len(r.deviations) == maxDeviations {
		err = ErrTooLarge
	}
	pe := &ParseError{Field: field, Offset: offset, Err: err}
	if !r.lenient || err == ErrTooLarge {
		return pe
	}
	r.deviations = append(r.deviations, pe)
	return nil
}

// element reads the header of the element that starts at pos and has to end at
// or before limit, which is the end of what contains it.
func (r *reader) element(pos, limit int, field string) (element, error) {
	if limit-pos < 2 {
		return element{}, &ParseError{Field: field, Offset: pos, Err: ErrTruncated}
	}
	n := int(r.der[pos+1])
	if n >= 0x80 {
		return r.longElement(pos, limit, field)
	}
	end := pos + 2 + n
	if end > limit {
		return element{}, &ParseError{Field: field, Offset: pos + 1, Err: ErrTruncated}
	}
	return element{start: pos, content: pos + 2, end: end, next: end}, nil
}

// longElement is [reader.element] for what is not a length of one octet.
func (r *reader) longElement(pos, limit int, field string) (element, error) {
	e, flaw, err := longHeader(r.der, pos, limit)
	if flaw != nil {
		if err := r.deviates(field, pos+1, flaw); err != nil {
			return element{}, err
		}
	}
	if err == nil && e.end < 0 {
		e.end, err = endOfContents(r.der, e.content, limit, maxNesting)
		e.next = e.end + 2
	}
	if err != nil {
		return element{}, &ParseError{Field: field, Offset: pos + 1, Err: err}
	}
	return e, nil
}

// expect is [reader.element] for an element whose tag is known. To a lenient
// reader a string may be constructed; see [reader.octets].
func (r *reader) expect(pos, limit int, tag byte, field string) (element, error) {
	e, err := r.element(pos, limit, field)
	if err == nil && r.der[pos] != tag && !r.inParts(pos, tag) {
		err = &ParseError{Field: field, Offset: pos, Err: errTag}
	}
	return e, err
}

// inParts reports whether a constructed string of that tag is at pos, and may
// be there.
func (r *reader) inParts(pos int, tag byte) bool {
	isString := tag == tagBitString || tag == tagOctetString
	return r.lenient && isString && r.der[pos] == tag|constructed
}

// octets returns the content of a BIT STRING or an OCTET STRING, of at most
// maxString octets if it is constructed, which is a deviation: "The encoding of
// DER strings is primitive" (X.690 section 10.2).
func (r *reader) octets(e element, field string) ([]byte, error) {
	tag := r.der[e.start]
	if tag&constructed == 0 {
		return r.der[e.content:e.end], nil
	}
	if err := r.deviates(field, e.start, errConstructed); err != nil {
		return nil, err
	}
	var joined []byte
	for pos := e.content; pos < e.end; {
		part, err := r.element(pos, e.end, field)
		if err != nil {
			return nil, err
		}
		if r.der[pos] != tag&^constructed {
			return nil, &ParseError{Field: field, Offset: pos, Err: errTag}
		}
		content := r.der[part.content:part.end]
		if r.der[pos] == tagBitString {
			// Only the last part may have unused bits, and tells how many.
			if len(content) == 0 || len(joined) > 0 && joined[0] != 0 {
				return nil, &ParseError{Field: field, Offset: pos, Err: ErrLength}
			}
			if len(joined) > 0 {
				joined[0], content = content[0], content[1:]
			}
		}
		if len(joined)+len(content) > maxString {
			return nil, &ParseError{Field: field, Offset: pos, Err: ErrLength}
		}
		joined = append(joined, content...)
		pos = part.next
	}
	return joined, nil
}

// maxString is the longest content of a string of RFC 3779: an IPv6 address
// with the octet that counts unused bits.
const maxString = 1 + 16

// longHeader reads a length in the long or the indefinite form; in the latter
// case e.end is negative. A flaw is what BER allows and DER does not.
func longHeader(der []byte, pos, limit int) (e element, flaw, err error) {
	e = element{start: pos, content: pos + 2}
	octets := der[e.content:limit]
	count := int(der[pos+1] & 0x7f)
	switch {
	case count == 0:
		e.end = -1
		return e, errIndefinite, nil
	case count > len(octets):
		return e, nil, ErrTruncated
	}
	n, significant := 0, 0
	for _, o := range octets[:count] {
		n = n<<8 | int(o)
		if n > 0 {
			significant++
		}
		if significant > 3 {
			return e, flaw, ErrTooLarge
		}
	}
	if significant < count || n < 0x80 {
		flaw = errLongLength
	}
	e.content += count
	e.end = e.content + n
	e.next = e.end
	if e.end > limit {
		err = ErrTruncated
	}
	return e, flaw, err
}

// maxNesting bounds how deep elements of indefinite length are looked into. In
// RFC 3779 an INTEGER is five levels deep.
const maxNesting = 8

// endOfContents returns where the two zero octets are that end the content of
// an element of indefinite length, which begins at pos.
func endOfContents(der []byte, pos, limit, depth int) (int, error) {
	for depth > 0 && limit-pos >= 2 {
		if der[pos] == 0 && der[pos+1] == 0 {
			return pos, nil
		}
		if n := int(der[pos+1]); n < 0x80 {
			pos += 2 + n
			continue
		}
		e, _, err := longHeader(der, pos, limit)
		if err == nil && e.end < 0 {
			e.end, err = endOfContents(der, e.content, limit, depth-1)
			e.next = e.end + 2
		}
		if err != nil {
			return 0, err
		}
		pos = e.next
	}
	if depth == 0 {
		return 0, ErrTooLarge
	}
	return 0, ErrTruncated
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
