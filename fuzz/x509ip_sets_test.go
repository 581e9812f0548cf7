package fuzz

import (
	"encoding/hex"
	"errors"
	"math/bits"
	"net/netip"
	"slices"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"dhcpsec.example/x509ip"
)

// What ParseLenient accepts is canonical once it is read: it is what Parse
// accepts, or its deviations say why not, and what comes of it parses strictly.
func FuzzX509IPParseLenient(f *testing.F) {
	for _, seed := range []string{
		// Canonical: nothing to tolerate.
		"3012301004020002300a03080020010db8800001",
		// Two prefixes out of order that are one when merged.
		"3010300e0402000130080302000b0302000a",
		// Indefinite lengths all the way.
		"308030800402000130800302000a000000000000",
		// A BIT STRING in two parts.
		"3012301004020001300a23080302000a03020410",
		// Octets after the value.
		"3011300f04020002300903070020010db800000000",
		// The same family twice, and one that is not known.
		"3018300604020001050030060402000105003006040200030500",
	} {
		der, err := hex.DecodeString(seed)
		require.NoError(f, err)
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		b, deviations, err := x509ip.ParseLenient(der)
		strict, strictErr := x509ip.Parse(der)
		if err != nil {
			requireX509IPParseError(t, der, err)
			require.Error(t, strictErr, "what Parse accepts, ParseLenient does")
			return
		}
		for _, d := range deviations {
			requireX509IPParseError(t, der, d)
		}
		require.Equal(t, len(deviations) == 0, strictErr == nil, "%v and %v", deviations, strictErr)
		if strictErr == nil {
			require.True(t, strict.Equal(b))
		}
		if b.IsZero() {
			return
		}
		canonical, err := b.MarshalBinary()
		require.NoError(t, err)
		back, err := x509ip.Parse(canonical)
		require.NoError(t, err, "%x", canonical)
		require.True(t, back.Equal(b))
	})
}

func requireX509IPParseError(t *testing.T, der []byte, err error) {
	t.Helper()
	pe, ok := errors.AsType[*x509ip.ParseError](err)
	require.True(t, ok, "not a *ParseError: %v", err)
	require.True(t, pe.Offset >= 0 && pe.Offset <= len(der), "offset %d in %d octets", pe.Offset, len(der))
}

// AS identifiers: what is accepted encodes to the same octets, reads back from
// its text, and is accepted leniently without deviations.
func FuzzX509IPASIdentifiers(f *testing.F) {
	for _, seed := range []string{
		// All AS numbers.
		"3010a00e300c300a020100020500ffffffff",
		// A number, a range, and inherited routing domains.
		"3019a0133011020300fbf0300a020300fbf4020300fbffa1020500",
		// AS numbers inherited.
		"3004a0020500",
		// Two numbers that should have been merged.
		"300aa0083006020101020102",
	} {
		der, err := hex.DecodeString(seed)
		require.NoError(f, err)
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		a, err := x509ip.ParseASIdentifiers(der)
		lenient, deviations, lenientErr := x509ip.ParseASIdentifiersLenient(der)
		if lenientErr == nil {
			require.Equal(t, len(deviations) == 0, err == nil, "%v and %v", deviations, err)
			if !lenient.IsZero() {
				_, err := lenient.MarshalBinary()
				require.NoError(t, err)
			}
		}
		if err != nil {
			requireX509IPParseError(t, der, err)
			return
		}
		require.NoError(t, lenientErr)
		require.True(t, lenient.Equal(a))
		again, err := a.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, der, again)
		back, err := x509ip.ParseASText(a.String())
		require.NoError(t, err)
		require.True(t, back.Equal(a), "%v", a)
		require.Equal(t, !a.Inherits(), a.Covers(a))
	})
}

// What ParseText accepts has a text that gives the same blocks and that shows in
// a log as it is.
func FuzzX509IPText(f *testing.F) {
	f.Add("none")                                                            // the zero value
	f.Add("10.0.0.0/8, 2001:db8::/32 (SAFI 1), IPv6 (SAFI 2) inherit")       // every kind of element
	f.Add(" 2001:db8::-2001:db8::f ,10.0.0.1-10.0.0.9")                      // space, and an order that is not ours
	f.Add("10.0.0.0/8, 10.0.0.0-10.255.255.255, ::ffff:10.0.0.0/104")        // overlap, and IPv4-mapped
	f.Add("10.0.0.1/8, fe80::1%eth0-fe80::2%eth0, IPv4 inherit, 0.0.0.0/0,") // all of it wrong
	f.Fuzz(func(t *testing.T, text string) {
		b, err := x509ip.ParseText(text)
		if err != nil {
			pe, ok := errors.AsType[*x509ip.ParseError](err)
			require.True(t, ok, "%v", err)
			require.True(t, pe.Offset >= 0 && pe.Offset <= len(text))
			require.True(t, b.IsZero())
			return
		}
		for _, r := range b.String() {
			require.True(t, unicode.IsPrint(r), "character %U in the text", r)
		}
		back, err := x509ip.ParseText(b.String())
		require.NoError(t, err, "%v", b)
		require.True(t, back.Equal(b), "%v", b)
	})
}

// Two sets of the 256 addresses of a /24, each read from octets as ranges,
// against bitmaps of them; and the encoding against an encoder that computes no
// lengths.
func FuzzX509IPAlgebra(f *testing.F) {
	f.Add([]byte{0, 255}, []byte{16, 31})              // a part of the whole
	f.Add([]byte{0, 9, 20, 29, 40, 49}, []byte{5, 44}) // one that crosses three
	f.Add([]byte{255, 255, 0, 0}, []byte{254, 255})    // the last address
	f.Add([]byte{}, []byte{7, 7})                      // nothing
	f.Add([]byte{1, 2, 3, 4}, []byte{2, 3})            // ranges that touch
	f.Fuzz(func(t *testing.T, one, other []byte) {
		b, m := x509ipSet(t, one)
		c, n := x509ipSet(t, other)
		check := func(name string, got x509ip.Blocks, want func(i int) bool) {
			ranges := slices.Collect(got.Ranges())
			starts := 0
			for i := range m {
				a := x509ipAddr(i)
				require.Equal(t, want(i), got.ContainsAddr(a), "%s of %v and %v: %v", name, b, c, a)
				if want(i) && (i == 0 || !want(i-1)) {
					starts++
				}
			}
			require.Len(t, ranges, starts, "%s of %v and %v", name, b, c)
			x509ipAgreesWithBuilder(t, got)
		}
		union, err := b.Union(c)
		require.NoError(t, err)
		check("union", union, func(i int) bool { return m[i] || n[i] })
		both, err := b.Intersect(c)
		require.NoError(t, err)
		check("intersection", both, func(i int) bool { return m[i] && n[i] })
		rest, err := b.Difference(c)
		require.NoError(t, err)
		check("difference", rest, func(i int) bool { return m[i] && !n[i] })

		overlaps, covers, equal := false, true, true
		for i := range m {
			overlaps = overlaps || m[i] && n[i]
			covers = covers && (m[i] || !n[i])
			equal = equal && m[i] == n[i]
		}
		require.Equal(t, overlaps, b.Overlaps(c))
		require.Equal(t, covers, b.Covers(c))
		require.Equal(t, equal, b.Equal(c))
		for r := range c.Ranges() {
			p := netip.PrefixFrom(r.From, 32)
			require.Equal(t, b.ContainsAddr(r.From), b.Contains(p))
			require.Equal(t, b.ContainsRange(r), func() bool {
				for i := int(r.From.As4()[3]); i <= int(r.To.As4()[3]); i++ {
					if !m[i] {
						return false
					}
				}
				return true
			}())
		}
	})
}

func x509ipAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }

// x509ipSet reads pairs of octets, the ends of ranges in either order.
func x509ipSet(t *testing.T, data []byte) (b x509ip.Blocks, m [256]bool) {
	var ranges []x509ip.Range
	for pair := range slices.Chunk(data, 2) {
		lo, hi := int(slices.Min(pair)), int(slices.Max(pair))
		ranges = append(ranges, x509ip.Range{From: x509ipAddr(lo), To: x509ipAddr(hi)})
		for i := lo; i <= hi; i++ {
			m[i] = true
		}
	}
	b, err := x509ip.FromRanges(ranges...)
	require.NoError(t, err)
	return b, m
}

// x509ipAgreesWithBuilder compares the encoding of b, which has IPv4 addresses
// alone, with what cryptobyte makes of its ranges.
func x509ipAgreesWithBuilder(t *testing.T, b x509ip.Blocks) {
	t.Helper()
	if b.IsZero() {
		return
	}
	var out cryptobyte.Builder
	out.AddASN1(asn1.SEQUENCE, func(out *cryptobyte.Builder) {
		out.AddASN1(asn1.SEQUENCE, func(out *cryptobyte.Builder) {
			out.AddASN1OctetString([]byte{0, 1})
			out.AddASN1(asn1.SEQUENCE, func(out *cryptobyte.Builder) {
				for r := range b.Ranges() {
					from, to := x509ipUint32(r.From), x509ipUint32(r.To)
					same := bits.LeadingZeros32(from ^ to)
					if from<<same == 0 && ^to<<same == 0 {
						x509ipAddBits(out, from, same)
						continue
					}
					out.AddASN1(asn1.SEQUENCE, func(out *cryptobyte.Builder) {
						x509ipAddBits(out, from, 32-bits.TrailingZeros32(from))
						x509ipAddBits(out, to, 32-bits.TrailingZeros32(^to))
					})
				}
			})
		})
	})
	want, err := out.Bytes()
	require.NoError(t, err)
	got, err := b.MarshalBinary()
	require.NoError(t, err)
	require.Equal(t, want, got, "%v", b)
}

func x509ipUint32(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// x509ipAddBits adds a BIT STRING of the first n bits of v.
func x509ipAddBits(out *cryptobyte.Builder, v uint32, n int) {
	out.AddASN1(asn1.BIT_STRING, func(out *cryptobyte.Builder) {
		octets := (n + 7) / 8
		out.AddUint8(uint8(8*octets - n))
		v &^= uint32(uint64(1)<<(32-n) - 1)
		for i := range octets {
			out.AddUint8(uint8(v >> (24 - 8*i)))
		}
	})
}
