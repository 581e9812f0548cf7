package bench

import (
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/x509ip"
)

// blockCounts are how many prefixes and ranges an extension holds: a home, a
// provider's customer, a large provider.
var blockCounts = []int{1, 10, 5000}

func BenchmarkIPAddrBlocksParse(b *testing.B) {
	for _, n := range blockCounts {
		der := sampleBlocks(b, n)
		b.Run(fmt.Sprintf("blocks=%d/impl=dhcpsec", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x509ip.Parse(der); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("blocks=%d/impl=encoding-asn1", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parseASN1(der); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestIPAddrBlocksAreTheSame(t *testing.T) {
	for _, n := range blockCounts {
		t.Run(fmt.Sprintf("blocks=%d", n), func(t *testing.T) {
			der := sampleBlocks(t, n)
			blocks, err := x509ip.Parse(der)
			require.NoError(t, err)
			want := slices.Collect(blocks.Ranges())
			require.Len(t, want, n)

			families, err := parseASN1(der)
			require.NoError(t, err)
			require.Len(t, families, 1)
			require.Equal(t, []byte{0, 2}, families[0].AddressFamily)
			var got []x509ip.Range
			for _, r := range families[0].Addresses {
				got = append(got, x509ip.Range{From: fill(r.Min, 0), To: fill(r.Max, 0xff)})
			}
			require.Equal(t, want, got)
		})
	}
}

// sampleBlocks is the value of an extension with n IPv6 blocks, prefixes and
// ranges in turn.
func sampleBlocks(tb testing.TB, n int) []byte {
	prefix := func(customer, subnet, bits int) netip.Prefix {
		addr := [16]byte{0x20, 0x01, 0x0d, 0xb8}
		binary.BigEndian.PutUint16(addr[4:], uint16(customer))
		binary.BigEndian.PutUint16(addr[6:], uint16(subnet))
		return netip.PrefixFrom(netip.AddrFrom16(addr), bits)
	}
	var prefixes []netip.Prefix
	for i := range n {
		if i%2 == 0 {
			prefixes = append(prefixes, prefix(i, 0, 48))
		} else { // three that make a range
			prefixes = append(prefixes, prefix(i, 1, 64), prefix(i, 2, 64), prefix(i, 3, 64))
		}
	}
	blocks, err := x509ip.FromPrefixes(prefixes...)
	require.NoError(tb, err)
	der, err := blocks.AppendBinary(nil)
	require.NoError(tb, err)
	return der
}

// What a program without this module declares to read RFC 3779 section 2.2.3
// with encoding/asn1. A CHOICE has to be looked at by hand.
type (
	asn1Family struct {
		AddressFamily []byte
		Choice        asn1.RawValue
	}
	asn1Range struct {
		Min, Max asn1.BitString
	}
	family struct {
		AddressFamily []byte
		Addresses     []asn1Range
	}
)

// parseASN1 decodes. It does not check what RFC 3779 asks of the content.
func parseASN1(der []byte) ([]family, error) {
	var decoded []asn1Family
	if _, err := asn1.Unmarshal(der, &decoded); err != nil {
		return nil, err
	}
	families := make([]family, len(decoded))
	for i, f := range decoded {
		families[i].AddressFamily = f.AddressFamily
		if f.Choice.Tag == asn1.TagNull {
			continue
		}
		var elements []asn1.RawValue
		if _, err := asn1.Unmarshal(f.Choice.FullBytes, &elements); err != nil {
			return nil, err
		}
		ranges := make([]asn1Range, len(elements))
		for j, e := range elements {
			if e.Tag == asn1.TagSequence {
				if _, err := asn1.Unmarshal(e.FullBytes, &ranges[j]); err != nil {
					return nil, err
				}
				continue
			}
			var prefix asn1.BitString
			if _, err := asn1.Unmarshal(e.FullBytes, &prefix); err != nil {
				return nil, err
			}
			ranges[j] = asn1Range{prefix, prefix}
		}
		families[i].Addresses = ranges
	}
	return families, nil
}

// fill is the IPv6 address that begins with these bits and goes on with those of rest.
func fill(bits asn1.BitString, rest byte) netip.Addr {
	var addr [16]byte
	for i := range addr {
		addr[i] = rest
	}
	n := copy(addr[:], bits.Bytes)
	if unused := 8*n - bits.BitLength; unused > 0 {
		low := byte(1)<<unused - 1
		addr[n-1] = addr[n-1]&^low | rest&low
	}
	return netip.AddrFrom16(addr)
}
