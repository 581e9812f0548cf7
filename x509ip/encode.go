package x509ip

import (
	"errors"
	"slices"
)

// errNone refuses what RFC 3779 has no encoding for.
var errNone = errors.New("x509ip: no resources to encode")

// maxDER bounds what is encoded to what [Parse] reads back: lengths of at most
// three octets.
const maxDER = 1<<24 - 1

// MarshalBinary implements [encoding.BinaryMarshaler]; see
// [Blocks.AppendBinary].
func (b Blocks) MarshalBinary() ([]byte, error) { return b.AppendBinary(nil) }

// AppendBinary implements [encoding.BinaryAppender]. It appends the DER of
// IPAddrBlocks in the canonical form of RFC 3779, which is the content of the
// extension's extnValue. It returns dst as it came, and an error, if b is the
// zero value, or [ErrTooLarge] if the encoding would reach 16 MiB.
func (b Blocks) AppendBinary(dst []byte) ([]byte, error) {
	if b.IsZero() {
		return dst, errNone
	}
	var sizes [maxFamilies]struct{ elements, family int }
	content := 0
	for i, f := range b.families {
		s := &sizes[i]
		s.elements = f.addresses.derLen()
		s.family = 2 + f.octets() + headerLen(s.elements) + s.elements
		content += headerLen(s.family) + s.family
	}
	total := headerLen(content) + content
	if total > maxDER {
		return dst, ErrTooLarge
	}
	dst = slices.Grow(dst, total)
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
		for _, s := range f.addresses {
			dst = s.appendDER(dst)
		}
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

// derLen is the number of octets that the elements of s take.
func (s set) derLen() int {
	size := 0
	for _, sp := range s {
		size += sp.derLen()
	}
	return size
}

// derLen is the number of octets that [span.appendDER] appends. The longest
// element takes 40, so the lengths inside one are single octets.
func (s span) derLen() int {
	if n, ok := s.prefixBits(); ok {
		return bitStringLen(n)
	}
	return 2 + bitStringLen(s.minBits()) + bitStringLen(s.maxBits())
}

func (s span) appendDER(dst []byte) []byte {
	if n, ok := s.prefixBits(); ok {
		return appendBitString(dst, s.lo, n)
	}
	minBits, maxBits := s.minBits(), s.maxBits()
	dst = append(dst, tagSequence, byte(bitStringLen(minBits)+bitStringLen(maxBits)))
	dst = appendBitString(dst, s.lo, minBits)
	return appendBitString(dst, s.hi, maxBits)
}

// minBits is what remains of the first address after "removing all the
// least-significant zero-bits".
func (s span) minBits() int { return 128 - s.lo.trailingZeros() }

// maxBits is what remains of the last address after "removing all the
// least-significant one-bits".
func (s span) maxBits() int { return 128 - s.hi.not().trailingZeros() }

// bitStringLen is the length of a BIT STRING of n bits.
func bitStringLen(n int) int { return 3 + (n+7)/8 }

// appendBitString appends the first n bits of v.
func appendBitString(dst []byte, v uint128, n int) []byte {
	octets := (n + 7) / 8
	bits := v.and(lowBits(128 - n).not()).bytes()
	dst = append(dst, tagBitString, byte(1+octets), byte(8*octets-n))
	return append(dst, bits[:octets]...)
}
