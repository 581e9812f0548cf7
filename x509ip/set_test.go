package x509ip

import (
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A small address space, in the top bits as any other, lets these tests try
// everything and compare with a bitmap.

// tiny is the span of the addresses lo..hi of a space of width bits.
func tiny(lo, hi, width int) span {
	shift := 64 - width
	return span{uint128{uint64(lo) << shift, 0}, uint128{uint64(hi) << shift, 0}.or(lowBits(128 - width))}
}

// ofBitmap returns the set of the addresses whose bits are set, handed over one
// by one in random order.
func ofBitmap(bitmap uint64, width int, r *rand.Rand) set {
	var spans []span
	for a := range 1 << width {
		if bitmap>>a&1 != 0 {
			spans = append(spans, tiny(a, a, width))
		}
	}
	r.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
	return newSet(spans)
}

func TestSetIsSortedDisjointAndMerged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for bitmap := range uint64(1 << 8) {
		s := ofBitmap(bitmap, 3, r)
		var members uint64
		for i, sp := range s {
			if i > 0 {
				require.True(t, s[i-1].before(sp), "set of bitmap %08b: span %d touches the one before", bitmap, i)
			}
			for a := range 1 << 3 {
				if one := tiny(a, a, 3); !one.lo.less(sp.lo) && !sp.hi.less(one.hi) {
					members |= 1 << a
				}
			}
		}
		require.Equal(t, bitmap, members, "members of the set")
	}
}

func TestNewSetMergesOverlapping(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var spans []span
		var bitmap uint64
		for range r.IntN(6) {
			lo := r.IntN(64)
			hi := lo + r.IntN(64-lo)
			spans = append(spans, tiny(lo, hi, 6))
			for a := lo; a <= hi; a++ {
				bitmap |= 1 << a
			}
		}
		require.ElementsMatch(t, ofBitmap(bitmap, 6, r), newSet(spans), "bitmap %064b", bitmap)
	}
}

func TestSetMissingAgreesWithBitmap(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var sets [1 << 8]set
	for bitmap := range sets {
		sets[bitmap] = ofBitmap(uint64(bitmap), 3, r)
	}
	for have := range uint64(len(sets)) {
		for want := range uint64(len(sets)) {
			m, found := sets[have].missing(sets[want])
			lacking := want &^ have
			if lacking == 0 {
				require.False(t, found, "%08b has all of %08b", have, want)
				continue
			}
			first := bits.TrailingZeros64(lacking)
			last := first + bits.TrailingZeros64(^(lacking >> first)) - 1
			require.True(t, found, "%08b lacks some of %08b", have, want)
			require.Equal(t, tiny(first, last, 3), m, "what %08b lacks first of %08b", have, want)
		}
	}
}

func TestSetCoversAgreesWithBitmap(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for have := range uint64(1 << 8) {
		s := ofBitmap(have, 3, r)
		for lo := range 8 {
			for hi := lo; hi < 8; hi++ {
				want := uint64(1)<<(hi+1) - uint64(1)<<lo
				require.Equal(t, want&^have == 0, s.covers(tiny(lo, hi, 3)), "%08b covers %d..%d", have, lo, hi)
			}
		}
	}
}

// Every range of an 8-bit space: its prefix length, its minimal cover, and its
// encoding.
func TestSpanExhaustively(t *testing.T) {
	for lo := range 256 {
		for hi := lo; hi < 256; hi++ {
			s := tiny(lo, hi, 8)

			n, isPrefix := s.prefixBits()
			size := hi - lo + 1
			require.Equal(t, size&(size-1) == 0 && lo%size == 0, isPrefix, "%d..%d is a prefix", lo, hi)
			if isPrefix {
				require.Equal(t, 8-bits.Len(uint(size))+1, n, "prefix length of %d..%d", lo, hi)
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

			b := Blocks{[]familyBlocks{{Family: Family{AFI: IPv4}, addresses: set{s}}}}
			der, err := b.MarshalBinary()
			require.NoError(t, err, "%d..%d", lo, hi)
			back, err := Parse(der)
			require.NoError(t, err, "%d..%d", lo, hi)
			require.True(t, back.Equal(b), "%d..%d came back as %v", lo, hi, back)
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
	for range tiny(1, 254, 8).prefixes() {
		break
	}
	for range tiny(0, 255, 8).prefixes() { // one prefix: the whole space
	}
}
