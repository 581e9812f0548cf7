package x509ip

import (
	"cmp"
	"iter"
	"slices"
)

// span is the addresses from lo to hi, both included; lo <= hi.
type span struct{ lo, hi uint128 }

// set is a set of addresses: spans in ascending order, no two of which overlap
// or touch. That form is unique, so equal sets have equal spans, and it is the
// canonical form of RFC 3779. A set is never changed once made.
//
// Nothing here knows how wide an address is: see [uint128].
type set []span

// newSet sorts and merges spans, which it takes over.
func newSet(spans []span) set {
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.lo.hi, b.lo.hi), cmp.Compare(a.lo.lo, b.lo.lo))
	})
	s := spans[:0]
	for _, sp := range spans {
		if n := len(s); n > 0 && !s[n-1].before(sp) {
			if s[n-1].hi.less(sp.hi) {
				s[n-1].hi = sp.hi
			}
			continue
		}
		s = append(s, sp)
	}
	return s
}

// before reports whether at least one address lies between the end of s and
// the start of t, so that the two cannot be one span.
func (s span) before(t span) bool {
	return s.hi.less(t.lo) && s.hi.next().less(t.lo)
}

// covers reports whether all of sp is in s.
func (s set) covers(sp span) bool {
	// The only candidate is the last span that starts at or before sp: spans do
	// not touch, so no two of them together cover what neither does alone.
	i, found := slices.BinarySearchFunc(s, sp.lo, func(e span, lo uint128) int {
		return cmp.Or(cmp.Compare(e.lo.hi, lo.hi), cmp.Compare(e.lo.lo, lo.lo))
	})
	if !found {
		i--
	}
	return i >= 0 && !s[i].hi.less(sp.hi)
}

// missing returns the first addresses of t that are not in s. It walks both
// sets once.
func (s set) missing(t set) (m span, ok bool) {
	i := 0
	for _, sp := range t {
		for i < len(s) && s[i].hi.less(sp.lo) {
			i++
		}
		switch {
		case i == len(s):
			return sp, true
		case sp.lo.less(s[i].lo):
			if !sp.hi.less(s[i].lo) {
				sp.hi = s[i].lo.prev()
			}
			return sp, true
		case s[i].hi.less(sp.hi):
			sp.lo = s[i].hi.next()
			if i+1 < len(s) && !sp.hi.less(s[i+1].lo) {
				sp.hi = s[i+1].lo.prev()
			}
			return sp, true
		}
	}
	return span{}, false
}

// prefixBits returns the length of the prefix that is exactly s, if there is
// one.
//
// RFC 3779 section 2.2.3.7: "LET N = the number of matching most-significant
// bits in the lowest and highest addresses of the range IF all the remaining
// bits in the lowest address are zero-bits AND all the remaining bits in the
// highest address are one-bits THEN the range MUST be encoded as an N-bit
// IPAddress".
func (s span) prefixBits() (n int, ok bool) {
	remaining := s.lo.xor(s.hi).bitLen()
	host := lowBits(remaining)
	return 128 - remaining, s.lo.and(host) == uint128{} && s.lo.or(host) == s.hi
}

// prefixes yields, as spans, the fewest prefixes that make up s.
func (s span) prefixes() iter.Seq[span] {
	return func(yield func(span) bool) {
		for {
			// The largest prefix that starts here is limited by the alignment of
			// its start and by how many addresses are left.
			n := s.lo.trailingZeros()
			if left := s.hi.sub(s.lo).next(); left != (uint128{}) { // zero: the whole space
				n = min(n, left.bitLen()-1)
			}
			p := span{s.lo, s.lo.or(lowBits(n))}
			if !yield(p) || p.hi == s.hi {
				return
			}
			s.lo = p.hi.next()
		}
	}
}
