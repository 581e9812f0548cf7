package x509ip

import (
	"encoding/binary"
	"math/bits"
)

// uint128 is an unsigned integer wide enough for any address. Whatever the
// family's width, an address occupies the top bits: then the first N bits of
// an address are the first N bits of the integer, as they are in a BIT STRING,
// and one algebra serves every width.
type uint128 struct{ hi, lo uint64 }

func (u uint128) less(v uint128) bool {
	return u.hi < v.hi || u.hi == v.hi && u.lo < v.lo
}

func (u uint128) and(v uint128) uint128 { return uint128{u.hi & v.hi, u.lo & v.lo} }
func (u uint128) or(v uint128) uint128  { return uint128{u.hi | v.hi, u.lo | v.lo} }
func (u uint128) xor(v uint128) uint128 { return uint128{u.hi ^ v.hi, u.lo ^ v.lo} }
func (u uint128) not() uint128          { return uint128{^u.hi, ^u.lo} }

// next is u+1; it wraps at the end of the space.
func (u uint128) next() uint128 {
	lo, carry := bits.Add64(u.lo, 1, 0)
	return uint128{u.hi + carry, lo}
}

// prev is u-1; it wraps at the start of the space.
func (u uint128) prev() uint128 { return u.sub(uint128{0, 1}) }

func (u uint128) sub(v uint128) uint128 {
	lo, borrow := bits.Sub64(u.lo, v.lo, 0)
	return uint128{u.hi - v.hi - borrow, lo}
}

// bitLen is the number of bits that u needs: 0 for zero.
func (u uint128) bitLen() int {
	if u.hi != 0 {
		return 64 + bits.Len64(u.hi)
	}
	return bits.Len64(u.lo)
}

// trailingZeros is 128 for zero.
func (u uint128) trailingZeros() int {
	if u.lo != 0 {
		return bits.TrailingZeros64(u.lo)
	}
	return 64 + bits.TrailingZeros64(u.hi)
}

// lowBits has the n least significant bits set, 0 <= n <= 128.
func lowBits(n int) uint128 {
	if n > 64 {
		return uint128{1<<(n-64) - 1, ^uint64(0)}
	}
	return uint128{0, 1<<n - 1}
}

func loadUint128(b [16]byte) uint128 {
	return uint128{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (u uint128) bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], u.hi)
	binary.BigEndian.PutUint64(b[8:], u.lo)
	return b
}
