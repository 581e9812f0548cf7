package x509ip

import (
	"crypto/x509"
	"net/netip"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// scattered returns n prefixes of which no two touch.
func scattered(n int) []netip.Prefix {
	all := make([]netip.Prefix, n)
	for i := range all {
		all[i] = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(i >> 15), byte(i >> 7), byte(i << 1)}), 56)
	}
	return all
}

func benchmarkSizes(b *testing.B, f func(b *testing.B, blocks Blocks)) {
	for _, n := range []int{1, 10, 5000} {
		blocks, err := FromPrefixes(scattered(n)...)
		require.NoError(b, err)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			f(b, blocks)
		})
	}
}

func BenchmarkParse(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, blocks Blocks) {
		der, err := blocks.MarshalBinary()
		require.NoError(b, err)
		for b.Loop() {
			if _, err := Parse(der); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppendBinary(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, blocks Blocks) {
		var der []byte
		for b.Loop() {
			var err error
			if der, err = blocks.AppendBinary(der[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkContains(b *testing.B) {
	p := netip.MustParsePrefix("2001:db8::/64")
	benchmarkSizes(b, func(b *testing.B, blocks Blocks) {
		for b.Loop() {
			if !blocks.Contains(p) {
				b.Fatal("not contained")
			}
		}
	})
}

func BenchmarkCovers(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, blocks Blocks) {
		for b.Loop() {
			if !blocks.Covers(blocks) {
				b.Fatal("not covered")
			}
		}
	})
}

func BenchmarkFromPrefixes(b *testing.B) {
	all := scattered(5000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := FromPrefixes(all...); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyPath(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, blocks Blocks) {
		c := bare(b, blocks)
		chain := []*x509.Certificate{c, c, c}
		for b.Loop() {
			if err := VerifyPath(chain); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, blocks Blocks) {
		der, err := blocks.MarshalBinary()
		require.NoError(b, err)
		var d Decoder
		for b.Loop() {
			if _, err := d.Parse(der); err != nil {
				b.Fatal(err)
			}
		}
	})
}
