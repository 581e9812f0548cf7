package x509ip

import (
	"iter"
	"slices"
)

// span is the numbers from lo to hi, both included; lo <= hi.
type span[W word] struct{ lo, hi number[W] }

// set is a set of numbers: spans in ascending order, no two of which overlap or
// touch. That form is unique, so equal sets have equal spans, and it is the
// canonical form of RFC 3779. A set is never changed once made. Every operation
// walks its operands once.
type set[W word] []span[W]

// addressSpan and addressSet are those of IP addresses.
type (
	addressSpan = span[uint64]
	addressSet  = set[uint64]
)

// newSet sorts and merges spans, which it takes over.
func newSet[W word](spans []span[W]) set[W] {
	slices.SortFunc(spans, func(a, b span[W]) int { return a.lo.compare(b.lo) })
	s := set[W](spans[:0])
	for _, sp := range spans {
		s = s.add(sp)
	}
	return s
}

// add appends sp, which starts no earlier than the last span of s, or extends
// that.
func (s set[W]) add(sp span[W]) set[W] {
	n := len(s)
	if n == 0 || s[n-1].before(sp) {
		return append(s, sp)
	}
	if s[n-1].hi.less(sp.hi) {
		s[n-1].hi = sp.hi
	}
	return s
}

// before reports whether at least one number lies between the end of s and the
// start of t, so that the two cannot be one span.
func (s span[W]) before(t span[W]) bool {
	return s.hi.less(t.lo) && s.hi.next().less(t.lo)
}

// covers reports whether all of sp is in s.
func (s set[W]) covers(sp span[W]) bool {
	// The only candidate is the last span that starts at or before sp: spans do
	// not touch, so no two of them together cover what neither does alone.
	i, found := slices.BinarySearchFunc(s, sp.lo, func(e span[W], lo number[W]) int { return e.lo.compare(lo) })
	if !found {
		i--
	}
	return i >= 0 && !s[i].hi.less(sp.hi)
}

// missing returns the first numbers of t that are not in s.
func (s set[W]) missing(t set[W]) (m span[W], ok bool) {
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
	return span[W]{}, false
}

// overlaps reports whether any number is in both.
func (s set[W]) overlaps(t set[W]) bool {
	for range s.common(t) {
		return true
	}
	return false
}

// union is the numbers that are in s or t.
func (s set[W]) union(t set[W]) set[W] {
	u := make(set[W], 0, len(s)+len(t))
	for len(s) > 0 && len(t) > 0 {
		if s[0].lo.less(t[0].lo) {
			u, s = u.add(s[0]), s[1:]
		} else {
			u, t = u.add(t[0]), t[1:]
		}
	}
	for _, sp := range s {
		u = u.add(sp)
	}
	for _, sp := range t {
		u = u.add(sp)
	}
	return u
}

// intersect is the numbers that are in both s and t.
func (s set[W]) intersect(t set[W]) set[W] { return slices.Collect(s.common(t)) }

// common yields the spans of the intersection.
func (s set[W]) common(t set[W]) iter.Seq[span[W]] {
	return func(yield func(span[W]) bool) {
		for i, j := 0, 0; i < len(s) && j < len(t); {
			both := span[W]{larger(s[i].lo, t[j].lo), t[j].hi}
			if s[i].hi.less(t[j].hi) {
				both.hi = s[i].hi
				i++
			} else {
				j++
			}
			if !both.hi.less(both.lo) && !yield(both) {
				return
			}
		}
	}
}

func larger[W word](a, b number[W]) number[W] {
	if a.less(b) {
		return b
	}
	return a
}

// difference is the numbers of s that are not in t.
func (s set[W]) difference(t set[W]) set[W] {
	var d set[W]
	j := 0
	for _, sp := range s {
		for j < len(t) && t[j].hi.less(sp.lo) {
			j++
		}
		left := true // whether anything of sp remains
		// The last span of t that is looked at here may reach into the next of s.
		for k := j; left && k < len(t) && !sp.hi.less(t[k].lo); k++ {
			j = k
			if sp.lo.less(t[k].lo) {
				d = append(d, span[W]{sp.lo, t[k].lo.prev()})
			}
			if left = t[k].hi.less(sp.hi); left {
				sp.lo = t[k].hi.next()
			}
		}
		if left {
			d = append(d, sp)
		}
	}
	return d
}

// prefixBits returns the length of the prefix that is exactly s, if there is
// one.
//
// RFC 3779 section 2.2.3.7: "LET N = the number of matching most-significant
// bits in the lowest and highest addresses of the range IF all the remaining
// bits in the lowest address are zero-bits AND all the remaining bits in the
// highest address are one-bits THEN the range MUST be encoded as an N-bit
// IPAddress".
func (s span[W]) prefixBits() (n int, ok bool) {
	// Where the bits differ they are 0 in the lowest and 1 in the highest, and
	// those places are all the remaining ones.
	differ := s.lo.xor(s.hi)
	ok = s.lo.and(differ) == number[W]{} && differ.and(differ.next()) == number[W]{}
	return differ.width() - differ.bitLen(), ok
}

// prefixes yields, as spans, the fewest prefixes that make up s.
func (s span[W]) prefixes() iter.Seq[span[W]] {
	return func(yield func(span[W]) bool) {
		for {
			// The largest prefix that starts here is limited by the alignment of
			// its start and by how many numbers are left.
			n := s.lo.trailingZeros()
			if left := s.hi.sub(s.lo).next(); left != (number[W]{}) { // zero: the whole space
				n = min(n, left.bitLen()-1)
			}
			p := span[W]{s.lo, s.lo.or(lowBits[W](n))}
			if !yield(p) || p.hi == s.hi {
				return
			}
			s.lo = p.hi.next()
		}
	}
}
