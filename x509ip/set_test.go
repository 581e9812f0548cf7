package x509ip

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The algebra is tested on a number of two octets, in windows of it that are
// small enough to try everything and to compare with a bitmap. What a value
// leaves of the number is zeros in the start of a span and ones in its end.
type (
	tiny     = number[uint8]
	tinySpan = span[uint8]
	tinySet  = set[uint8]
)

// window is where in a tiny a value of some bits is.
type window struct {
	name  string
	width int // of the value
	shift int // bits below it
}

// The windows of 8 bits: at the top, where any address is and the space ends;
// across both words, where sums carry; and at the bottom.
var windows8 = []window{{"top", 8, 8}, {"across the words", 8, 4}, {"bottom", 8, 0}}

// The windows of 3 bits are likewise.
var windows3 = []window{{"top", 3, 13}, {"across the words", 3, 7}, {"bottom", 3, 0}}

func toTiny(v int) tiny { return tiny{uint8(v >> 8), uint8(v)} }

func (u number[W]) int() int { return int(u.hi)<<wordBits[W]() | int(u.lo) }

func (w window) span(lo, hi int) tinySpan {
	return tinySpan{toTiny(lo << w.shift), toTiny((hi+1)<<w.shift - 1)}
}

// bitmap is the values of up to 8 bits that are in a set.
type bitmap [4]uint64

func (m bitmap) has(v int) bool { return m[v/64]>>(v%64)&1 != 0 }

func bitmapOf(lo, hi int) (m bitmap) {
	for i := range m {
		from, to := max(lo-64*i, 0), min(hi-64*i, 63)
		if from <= to {
			m[i] = ^uint64(0) >> (63 - to) &^ (1<<from - 1)
		}
	}
	return m
}

func combine(a, b bitmap, f func(a, b uint64) uint64) (m bitmap) {
	for i := range m {
		m[i] = f(a[i], b[i])
	}
	return m
}

// set returns the set of the values in m, handed over one by one in random
// order.
func (w window) set(m bitmap, r *rand.Rand) tinySet {
	var spans []tinySpan
	for v := range 1 << w.width {
		if m.has(v) {
			spans = append(spans, w.span(v, v))
		}
	}
	r.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
	return newSet(spans)
}

// bitmap returns the values in s, which has to be as any set has to be.
func (w window) bitmap(s tinySet) (m bitmap, err error) {
	for i, sp := range s {
		switch {
		case sp.hi.less(sp.lo):
			return m, fmt.Errorf("span %d of %v is reversed", i, s)
		case i > 0 && !s[i-1].before(sp):
			return m, fmt.Errorf("span %d of %v overlaps or touches the one before", i, s)
		}
		lo, hi := sp.lo.int()>>w.shift, sp.hi.int()>>w.shift
		if w.span(lo, hi) != sp {
			return m, fmt.Errorf("span %d of %v ends within a value", i, s)
		}
		m = combine(m, bitmapOf(lo, hi), func(a, b uint64) uint64 { return a | b })
	}
	return m, nil
}

func TestNumberExhaustively(t *testing.T) {
	for v := range 1 << 16 {
		u := toTiny(v)
		require.Equal(t, v, u.int())
		require.Equal(t, (v+1)&0xffff, u.next().int(), "%#x + 1", v)
		require.Equal(t, (v-1)&0xffff, u.prev().int(), "%#x - 1", v)
		require.Equal(t, 0xffff-v, u.not().int(), "not %#x", v)
		require.Equal(t, bits.Len16(uint16(v)), u.bitLen(), "bits in %#x", v)
		require.Equal(t, bits.TrailingZeros16(uint16(v)), u.trailingZeros(), "zeros at the end of %#x", v)
	}
	for n := range 17 {
		require.Equal(t, 1<<n-1, lowBits[uint8](n).int(), "%d ones", n)
	}
	require.Equal(t, 16, tiny{}.width())
	require.Equal(t, 32, number[uint16]{}.width())
	require.Equal(t, 128, address{}.width())
	for n := range 129 {
		require.Equal(t, lowBits[uint64](128-n), hostBits(n), "all but %d bits", n)
	}
}

func TestNumberPairsExhaustively(t *testing.T) {
	for _, w := range windows8 {
		for a := range 256 {
			for b := range 256 {
				u, v := toTiny(a<<w.shift), toTiny(b<<w.shift)
				if u.less(v) != (a < b) || u.compare(v) != min(max(a-b, -1), 1) ||
					u.sub(v).int() != (a-b)<<w.shift&0xffff || larger(u, v).int() != max(a, b)<<w.shift ||
					u.and(v).int() != (a&b)<<w.shift || u.or(v).int() != (a|b)<<w.shift || u.xor(v).int() != (a^b)<<w.shift {
					t.Fatalf("%d and %d, %s", a, b, w.name)
				}
			}
		}
	}
}

// Every range of an 8-bit space: its prefix length and its minimal cover.
func TestSpanExhaustively(t *testing.T) {
	for _, w := range windows8 {
		for lo := range 256 {
			for hi := lo; hi < 256; hi++ {
				s := w.span(lo, hi)

				n, isPrefix := s.prefixBits()
				size := hi - lo + 1
				require.Equal(t, size&(size-1) == 0 && lo%size == 0, isPrefix, "%d..%d is a prefix", lo, hi)
				if isPrefix {
					require.Equal(t, 16-w.shift-bits.Len(uint(size))+1, n, "prefix length of %d..%d", lo, hi)
				}

				count, next := 0, s.lo
				for p := range s.prefixes() {
					_, ok := p.prefixBits()
					require.True(t, ok, "part %d of %d..%d is a prefix", count, lo, hi)
					require.Equal(t, next, p.lo, "part %d of %d..%d follows the one before", count, lo, hi)
					next = p.hi.next()
					count++
				}
				require.Equal(t, s.hi.next(), next, "the parts of %d..%d end with it", lo, hi)
				require.Equal(t, fewestPrefixes(lo, hi, 0, 255), count, "prefixes in %d..%d", lo, hi)
			}
		}
	}
}

// fewestPrefixes counts, down the tree of all prefixes, the highest ones within
// lo..hi.
func fewestPrefixes(lo, hi, first, last int) int {
	switch {
	case hi < first || last < lo:
		return 0
	case lo <= first && last <= hi:
		return 1
	}
	middle := (first + last) / 2
	return fewestPrefixes(lo, hi, first, middle) + fewestPrefixes(lo, hi, middle+1, last)
}

func TestPrefixesStopsWhenAsked(t *testing.T) {
	for range windows8[0].span(1, 254).prefixes() {
		break
	}
	for range windows8[0].span(0, 255).prefixes() { // one prefix: the whole space
	}
}

func TestNewSetMergesOverlapping(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, w := range windows8 {
		for range 2000 {
			var spans []tinySpan
			var want bitmap
			for range r.IntN(6) {
				lo := r.IntN(256)
				hi := lo + r.IntN(256-lo)
				spans = append(spans, w.span(lo, hi))
				want = combine(want, bitmapOf(lo, hi), func(a, b uint64) uint64 { return a | b })
			}
			got, err := w.bitmap(newSet(spans))
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
}

// checkPair compares every operation on a and b with bitmaps of their values.
func (w window) checkPair(s, t tinySet, a, b bitmap) error {
	lacking := combine(b, a, func(b, a uint64) uint64 { return b &^ a })
	for _, op := range []struct {
		name string
		got  tinySet
		want bitmap
	}{
		{"union", s.union(t), combine(a, b, func(a, b uint64) uint64 { return a | b })},
		{"intersect", s.intersect(t), combine(a, b, func(a, b uint64) uint64 { return a & b })},
		{"difference", t.difference(s), lacking},
	} {
		got, err := w.bitmap(op.got)
		if err != nil || got != op.want {
			return fmt.Errorf("%s of %v and %v is %v, as a bitmap %x, want %x: %w", op.name, s, t, op.got, got, op.want, err)
		}
	}
	if s.overlaps(t) != (len(s.intersect(t)) > 0) {
		return fmt.Errorf("%v overlaps %v", s, t)
	}
	missing, found := s.missing(t)
	all := t.difference(s)
	if found != (len(all) > 0) || found && missing != all[0] {
		return fmt.Errorf("%v misses %v of %v", s, missing, t)
	}
	for _, sp := range t {
		if _, missing := s.missing(tinySet{sp}); s.covers(sp) == missing {
			return fmt.Errorf("%v covers %v", s, sp)
		}
	}
	return nil
}

// Every set of the 8 values of 3 bits with every other.
func TestSetPairsExhaustively(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, w := range windows3 {
		var sets [256]tinySet
		for m := range sets {
			sets[m] = w.set(bitmap{uint64(m)}, r)
			got, err := w.bitmap(sets[m])
			require.NoError(t, err)
			require.Equal(t, bitmap{uint64(m)}, got, "values of the set")
		}
		for a := range sets {
			for b := range sets {
				if err := w.checkPair(sets[a], sets[b], bitmap{uint64(a)}, bitmap{uint64(b)}); err != nil {
					t.Fatalf("%s: %v", w.name, err)
				}
			}
		}
	}
}

// Every range of 8 bits with every other that could make a difference: one that
// begins and ends at, just before or just after an end of it or of the space.
func TestRangePairsExhaustively(t *testing.T) {
	w := windows8[1]
	for lo := range 256 {
		for hi := lo; hi < 256; hi++ {
			s, a := tinySet{w.span(lo, hi)}, bitmapOf(lo, hi)
			ends := []int{0, lo - 1, lo, lo + 1, hi - 1, hi, hi + 1, 255}
			ends = slices.DeleteFunc(ends, func(v int) bool { return v < 0 || v > 255 })
			slices.Sort(ends)
			ends = slices.Compact(ends)
			for i, from := range ends {
				for _, to := range ends[i:] {
					if err := w.checkPair(s, tinySet{w.span(from, to)}, a, bitmapOf(from, to)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

func TestRandomSetPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	random := func() (m bitmap) {
		for range r.IntN(8) {
			lo := r.IntN(256)
			m = combine(m, bitmapOf(lo, lo+r.IntN(min(40, 256-lo))), func(a, b uint64) uint64 { return a ^ b })
		}
		return m
	}
	for _, w := range windows8 {
		for range 3000 {
			a, b := random(), random()
			if err := w.checkPair(w.set(a, r), w.set(b, r), a, b); err != nil {
				t.Fatalf("%s: %v", w.name, err)
			}
		}
	}
}

// The operands of an operation are not changed, and what is done with its result
// does not reach them.
func TestSetsAreImmutable(t *testing.T) {
	w := windows8[0]
	s, u := tinySet{w.span(0, 9), w.span(20, 29), w.span(40, 49)}, tinySet{w.span(5, 24), w.span(60, 69)}
	keepS, keepU := slices.Clone(s), slices.Clone(u)
	for _, result := range []tinySet{s.union(u), s.intersect(u), s.difference(u), u.difference(s), s.union(nil), s.difference(nil)} {
		clear(result)
	}
	require.Equal(t, keepS, s)
	require.Equal(t, keepU, u)
}
