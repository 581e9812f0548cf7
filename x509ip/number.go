package x509ip

import "math/bits"

// word is half of a [number].
type word interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64
}

// number is an unsigned integer of two words. number[uint64] holds any IP
// address, number[uint16] any AS number, and number[uint8] is small enough to
// try every value of.
//
// Whatever the family's width, an IP address occupies the top bits: then the
// first N bits of an address are the first N bits of the number, as they are in
// a BIT STRING, and one set serves both families.
type number[W word] struct{ hi, lo W }

// address is a number for IP addresses.
type address = number[uint64]

// wordBits is the number of bits in a word.
func wordBits[W word]() int { return bits.Len64(uint64(^W(0))) }

func (u number[W]) less(v number[W]) bool {
	return u.hi < v.hi || u.hi == v.hi && u.lo < v.lo
}

func (u number[W]) compare(v number[W]) int {
	switch {
	case u.less(v):
		return -1
	case u == v:
		return 0
	}
	return 1
}

func (u number[W]) and(v number[W]) number[W] { return number[W]{u.hi & v.hi, u.lo & v.lo} }
func (u number[W]) or(v number[W]) number[W]  { return number[W]{u.hi | v.hi, u.lo | v.lo} }
func (u number[W]) xor(v number[W]) number[W] { return number[W]{u.hi ^ v.hi, u.lo ^ v.lo} }
func (u number[W]) not() number[W]            { return number[W]{^u.hi, ^u.lo} }

// next is u+1; it wraps at the end of the space.
func (u number[W]) next() number[W] {
	if u.lo++; u.lo == 0 {
		u.hi++
	}
	return u
}

// prev is u-1; it wraps at the start of the space.
func (u number[W]) prev() number[W] {
	if u.lo == 0 {
		u.hi--
	}
	u.lo--
	return u
}

// sub is u-v; it wraps if v is the greater.
func (u number[W]) sub(v number[W]) number[W] {
	d := number[W]{u.hi - v.hi, u.lo - v.lo}
	if u.lo < v.lo {
		d.hi--
	}
	return d
}

// width is the number of bits in a number.
func (u number[W]) width() int { return 2 * wordBits[W]() }

// bitLen is the number of bits that u needs: 0 for zero.
func (u number[W]) bitLen() int {
	if u.hi != 0 {
		return wordBits[W]() + bits.Len64(uint64(u.hi))
	}
	return bits.Len64(uint64(u.lo))
}

// trailingZeros is the width for zero.
func (u number[W]) trailingZeros() int {
	switch {
	case u.lo != 0:
		return bits.TrailingZeros64(uint64(u.lo))
	case u.hi != 0:
		return wordBits[W]() + bits.TrailingZeros64(uint64(u.hi))
	}
	return u.width()
}

// lowBits has the n least significant bits set, 0 <= n <= width.
func lowBits[W word](n int) number[W] {
	half := wordBits[W]()
	if n > half {
		return number[W]{1<<(n-half) - 1, ^W(0)}
	}
	return number[W]{0, 1<<n - 1}
}
