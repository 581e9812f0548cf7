package fuzz

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"unicode"

	"dhcpsec.example/x509ip"
	"github.com/stretchr/testify/require"
)

// Whatever Parse accepts is canonical: it encodes to the same octets, its
// ranges are in order with a gap between any two, and its prefixes make the
// same blocks again.
func FuzzX509IPParse(f *testing.F) {
	for _, seed := range []string{
		// All IPv4 addresses: a BIT STRING without octets.
		"300b3009040200013003030100",
		// A /56, as delegated to a requesting router.
		"3012301004020002300a03080020010db8800001",
		// A range whose last address is all ones, so that nothing is left of it.
		"3014301204020001300c300a03050000000001030100",
		// A range and an inherited family.
		"30203016040200013010300e0305000a0000010305010a0000083006040200020500",
		// Every family twice, without and with a SAFI.
		"3038300a0402000130040302000a300b040300010130040302000a300d04020002300703050020010db8300e0403000201300703050020010db8",
		// A length that needs the long form, and does not have it.
		"308111300f04020002300903070020010db80000",
		// Two prefixes that should have been merged.
		"301c301a04020002301403080020010db880000103080020010db8800002",
	} {
		der, err := hex.DecodeString(seed)
		require.NoError(f, err)
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		b, err := x509ip.Parse(der)
		if err != nil {
			pe, ok := errors.AsType[*x509ip.ParseError](err)
			require.True(t, ok, "not a *ParseError: %v", err)
			require.True(t, pe.Offset >= 0 && pe.Offset <= len(der), "offset %d in %d octets", pe.Offset, len(der))
			require.True(t, b.IsZero())
			return
		}
		again, err := b.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, der, again)
		require.Equal(t, !b.Inherits(), b.Covers(b))
		for _, r := range b.String() {
			require.True(t, unicode.IsPrint(r), "character %U in the text", r)
		}
		var last x509ip.Range
		for r := range b.Ranges() {
			require.True(t, r.From.Compare(r.To) <= 0, "%v", r)
			if last.To.BitLen() == r.From.BitLen() {
				require.True(t, last.To.Next().Less(r.From), "%v then %v", last, r)
			}
			last = r
		}
		parts := slices.Collect(b.Prefixes())
		for _, p := range parts {
			require.True(t, b.Contains(p), "%v", p)
		}
		plain, err := x509ip.FromPrefixes(parts...)
		require.NoError(t, err)
		require.Equal(t, slices.Collect(b.Ranges()), slices.Collect(plain.Ranges()))
	})
}

// Two lists of prefixes, each read from octets: what FromPrefixes makes of one
// comes back from its encoding, contains every prefix of it, and covers the
// other exactly if it contains every prefix of that.
func FuzzX509IPFromPrefixes(f *testing.F) {
	// One IPv6 prefix each, the second within the first.
	f.Add([]byte{0x20, 48}, []byte{0x20, 56})
	// Two halves of the IPv4 addresses, which are one prefix.
	f.Add([]byte{0x00, 1, 0x80, 1}, []byte{0x00, 0})
	// Three prefixes, two of which touch.
	f.Add([]byte{0x0a, 8, 0x0b, 8, 0x0d, 8}, []byte{0x0a, 7})
	f.Fuzz(func(t *testing.T, one, other []byte) {
		all, wanted := x509ipPrefixes(one), x509ipPrefixes(other)
		b, err := x509ip.FromPrefixes(all...)
		require.NoError(t, err)
		c, err := x509ip.FromPrefixes(wanted...)
		require.NoError(t, err)
		for _, p := range all {
			require.True(t, b.Contains(p), "%v in %v", p, b)
		}
		covers := true
		for _, p := range wanted {
			covers = covers && b.Contains(p)
		}
		require.Equal(t, covers, b.Covers(c), "%v covers %v", b, c)
		require.Equal(t, len(all) == 0, b.IsZero())
		if b.IsZero() {
			return
		}
		der, err := b.MarshalBinary()
		require.NoError(t, err)
		back, err := x509ip.Parse(der)
		require.NoError(t, err)
		require.True(t, back.Equal(b), "%v came back as %v", b, back)
	})
}

// x509ipPrefixes reads pairs of an octet, which begins and ends the address,
// and a prefix length: those up to 32 are of IPv4.
func x509ipPrefixes(data []byte) []netip.Prefix {
	var all []netip.Prefix
	for pair := range slices.Chunk(data, 2) {
		if len(pair) < 2 || pair[1] > 128 {
			continue
		}
		a := netip.AddrFrom4([4]byte{0: pair[0], 3: pair[0]})
		if pair[1] > 32 {
			a = netip.AddrFrom16([16]byte{0: pair[0], 15: pair[0]})
		}
		all = append(all, netip.PrefixFrom(a, int(pair[1])).Masked())
	}
	return all
}
