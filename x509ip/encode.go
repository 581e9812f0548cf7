package x509ip

import (
	"encoding/binary"
	"errors"
	"slices"
)

// errNone refuses what RFC 3779 has no encoding for.
var errNone = errors.New("x509ip: no resources to encode")

// MarshalBinary implements [encoding.BinaryMarshaler]; see
// [Blocks.AppendBinary].
func (b Blocks) MarshalBinary() ([]byte, error) { return b.AppendBinary(nil) }

// AppendBinary implements [encoding.BinaryAppender]. It appends the DER of
// IPAddrBlocks in the canonical form of RFC 3779, which is the content of the
// extension's extnValue. It returns dst as it came, and an error, if b is the
// zero value, or [ErrTooLarge] if b has more than [MaxElements] elements.
func (b Blocks) AppendBinary(dst []byte) ([]byte, error) {
	if b.IsZero() {
		return dst, errNone
	}
	var sizes [maxFamilies]struct{ elements, family int }
	content, elements := 0, 0
	for i, f := range b.families {
		elements += len(f.addresses)
		if elements > MaxElements {
			return dst, ErrTooLarge
		}
		s := &sizes[i]
		s.elements = derLen(f.addresses)
		s.family = 2 + f.octets() + headerLen(s.elements) + s.elements
		content += headerLen(s.family) + s.family
	}
	dst = slices.Grow(dst, headerLen(content)+content)
	dst = appendHeader(dst, tagSequence, content)
	for i, f := range b.families {
		dst = appendHeader(dst, tagSequence, sizes[i].family)
		dst = append(dst, tagOctetString, byte(f.octets()), byte(f.AFI>>8), byte(f.AFI))
		if f.SAFI != 0 {
			dst = append(dst, f.SAFI)
		}
		if f.inherit {
			dst = append(dst, tagNull, 0)
			continue
		}
		dst = appendHeader(dst, tagSequence, sizes[i].elements)
		end := len(dst) + sizes[i].elements
		putDER(dst[len(dst):end:end], f.addresses)
		dst = dst[:end]
	}
	return dst, nil
}

// octets is the length of addressFamily.
func (f Family) octets() int {
	if f.SAFI != 0 {
		return 3
	}
	return 2
}

// derLen is the number of octets that the elements of s take. The longest takes
// 40, so the lengths inside one are single octets.
func derLen(s addressSet) int {
	size := 0
	for _, sp := range s {
		if n, ok := sp.prefixBits(); ok {
			size += bitStringLen(n)
		} else {
			size += 2 + bitStringLen(minBits(sp)) + bitStringLen(maxBits(sp))
		}
	}
	return size
}

// putDER writes the elements of s to b, which they fill.
func putDER(b []byte, s addressSet) {
	at := 0
	for _, sp := range s {
		if n, ok := sp.prefixBits(); ok {
			at = putBitString(b, at, sp.lo, n)
			continue
		}
		minBits, maxBits := minBits(sp), maxBits(sp)
		b[at], b[at+1] = tagSequence, byte(bitStringLen(minBits)+bitStringLen(maxBits))
		at = putBitString(b, at+2, sp.lo, minBits)
		at = putBitString(b, at, sp.hi.and(hostBits(maxBits).not()), maxBits)
	}
}

// minBits is what remains of the first address after "removing all the
// least-significant zero-bits".
func minBits(s addressSpan) int { return 128 - s.lo.trailingZeros() }

// maxBits is what remains of the last address after "removing all the
// least-significant one-bits".
func maxBits(s addressSpan) int { return 128 - s.hi.not().trailingZeros() }

// bitStringLen is the length of a BIT STRING of n bits.
func bitStringLen(n int) int { return 3 + (n+7)/8 }

// putBitString writes the first n bits of v, of which the others are zero, to b
// from at on. It returns the position after them.
func putBitString(b []byte, at int, v address, n int) int {
	octets := (n + 7) / 8
	header := b[at : at+3]
	header[0], header[1], header[2] = tagBitString, byte(1+octets), byte(8*octets-n)
	at += 3
	if rest := b[at:]; len(rest) >= 16 {
		// What is written too much is written over by what follows.
		binary.BigEndian.PutUint64(rest, v.hi)
		binary.BigEndian.PutUint64(rest[8:], v.lo)
		return at + octets
	}
	var whole [16]byte
	binary.BigEndian.PutUint64(whole[:8], v.hi)
	binary.BigEndian.PutUint64(whole[8:], v.lo)
	return at + copy(b[at:at+octets], whole[:])
}
