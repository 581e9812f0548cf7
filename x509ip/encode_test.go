package x509ip

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// randomPrefixes returns up to n prefixes of both families, close enough to
// each other that many overlap or touch.
func randomPrefixes(r *rand.Rand, n int) []netip.Prefix {
	all := make([]netip.Prefix, r.IntN(n)+1)
	for i := range all {
		if r.IntN(2) == 0 {
			a := netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(2)), byte(r.IntN(256))})
			all[i] = netip.PrefixFrom(a, 20+r.IntN(13)).Masked()
			continue
		}
		a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(r.IntN(256))}
		a[7] = byte(r.IntN(4))
		all[i] = netip.PrefixFrom(netip.AddrFrom16(a), 62+r.IntN(67)).Masked()
	}
	return all
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 3000 {
		all := randomPrefixes(r, 12)
		b, err := FromPrefixes(all...)
		require.NoError(t, err)
		der, err := b.AppendBinary(nil)
		require.NoError(t, err)
		back, err := Parse(der)
		require.NoError(t, err, "%v", all)
		require.True(t, back.Equal(b), "%v came back as %v", b, back)
	}
}

// The same octets as an encoder that computes no lengths.
func TestAppendBinaryAgreesWithBuilder(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 500 {
		b, err := FromPrefixes(randomPrefixes(r, 60)...)
		require.NoError(t, err)
		der, err := b.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, built(t, b), der, "%v", b)
	}
}

func built(t testing.TB, b Blocks) []byte {
	t.Helper()
	var out cryptobyte.Builder
	out.AddASN1(asn1.SEQUENCE, func(out *cryptobyte.Builder) {
		for _, f := range b.families {
			out.AddASN1(asn1.SEQUENCE, func(out *cryptobyte.Builder) {
				out.AddASN1OctetString([]byte{byte(f.AFI >> 8), byte(f.AFI)})
				out.AddASN1(asn1.SEQUENCE, func(out *cryptobyte.Builder) {
					for _, s := range f.addresses {
						buildElement(out, f.toRange(s))
					}
				})
			})
		}
	})
	der, err := out.Bytes()
	require.NoError(t, err)
	return der
}

func buildElement(out *cryptobyte.Builder, r Range) {
	if p, err := netip.ParsePrefix(r.String()); err == nil {
		buildBits(out, p.Addr().AsSlice(), p.Bits())
		return
	}
	out.AddASN1(asn1.SEQUENCE, func(out *cryptobyte.Builder) {
		from, to := r.From.AsSlice(), r.To.AsSlice()
		buildBits(out, from, trimmed(from, 0))
		buildBits(out, to, trimmed(to, 1))
	})
}

// trimmed is how many bits of octets are left without those at the end that
// equal bit.
func trimmed(octets []byte, bit byte) int {
	n := 8 * len(octets)
	for n > 0 && octets[(n-1)/8]>>(7-(n-1)%8)&1 == bit {
		n--
	}
	return n
}

func buildBits(out *cryptobyte.Builder, octets []byte, n int) {
	out.AddASN1(asn1.BIT_STRING, func(out *cryptobyte.Builder) {
		used := bytes.Clone(octets[:(n+7)/8])
		unused := 8*len(used) - n
		out.AddUint8(uint8(unused))
		if unused > 0 {
			used[len(used)-1] &= 0xff << unused
		}
		out.AddBytes(used)
	})
}

func TestAppendBinaryOfNothing(t *testing.T) {
	dst := []byte("as it came")
	out, err := Blocks{}.AppendBinary(dst)
	require.Error(t, err)
	require.Equal(t, "as it came", string(out))
	_, err = Blocks{}.Extension()
	require.Error(t, err)
}

func TestAppendBinaryTooLarge(t *testing.T) {
	one := fromPrefix(netip.MustParsePrefix("2001:db8::1/128"))
	spans := slices.Repeat(addressSet{one}, MaxElements+1)
	dst := []byte("as it came")
	out, err := Blocks{[]familyBlocks{{Family: Family{AFI: IPv6}, addresses: spans}}}.AppendBinary(dst)
	require.ErrorIs(t, err, ErrTooLarge)
	require.Equal(t, "as it came", string(out))
}

func TestAppendBinaryAppends(t *testing.T) {
	b := mustParse(t, ipv6AndSAFI1)
	dst := append(make([]byte, 0, 100), "before"...)
	out, err := b.AppendBinary(dst)
	require.NoError(t, err)
	require.Equal(t, "before", string(out[:6]))
	require.Equal(t, unhex(t, ipv6AndSAFI1), out[6:])
}

func TestAppendBinaryAllocatesNothing(t *testing.T) {
	b := blocksOf(t, "10.0.0.0/8", "2001:db8::/32", "2001:dba::/32")
	buffer := make([]byte, 0, 256)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := b.AppendBinary(buffer); err != nil {
			t.Fatal(err)
		}
	}))
}
