package x509ip

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFromPrefixes(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		want string
	}{
		{"none", nil, "none"},
		{"one", []string{"2001:db8::/56"}, "2001:db8::/56"},
		{"IPv4 first", []string{"2001:db8::/56", "10.0.0.0/8"}, "10.0.0.0/8, 2001:db8::/56"},
		{"sorted by address, not by length", []string{"10.64.0.0/16", "10.32.0.0/12"}, "10.32.0.0/12, 10.64.0.0/16"},
		{"twice the same", []string{"10.0.0.0/8", "10.0.0.0/8"}, "10.0.0.0/8"},
		{"one within another", []string{"10.1.0.0/16", "10.0.0.0/8", "10.2.0.0/16"}, "10.0.0.0/8"},
		{"adjacent, a prefix", []string{"10.0.1.0/24", "10.0.0.0/24"}, "10.0.0.0/23"},
		{"adjacent, a range", []string{"10.0.1.0/24", "10.0.2.0/24"}, "10.0.1.0-10.0.2.255"},
		{"halves of all IPv6", []string{"8000::/1", "::/1"}, "::/0"},
		{"last address", []string{"255.255.255.255/32", "255.255.255.254/32"}, "255.255.255.254/31"},
		{"IPv4-mapped is IPv6", []string{"::ffff:10.0.0.0/104"}, "::ffff:10.0.0.0/104"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := FromPrefixes(prefixes(tt.in...)...)
			require.NoError(t, err)
			require.Equal(t, tt.want, b.String())
			require.Equal(t, len(tt.in) == 0, b.IsZero())
		})
	}
}

func TestFromPrefixesRefuses(t *testing.T) {
	tests := map[string]netip.Prefix{
		"zero value":       {},
		"no length":        netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), -1),
		"33 bits of IPv4":  netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33),
		"IPv4 host bits":   netip.MustParsePrefix("10.0.0.1/8"),
		"IPv6 host bits":   netip.MustParsePrefix("2001:db8::1/64"),
		"mapped host bits": netip.MustParsePrefix("::ffff:10.0.0.1/104"),
	}
	for name, p := range tests {
		t.Run(name, func(t *testing.T) {
			b, err := FromPrefixes(netip.MustParsePrefix("192.0.2.0/24"), p)
			require.Error(t, err)
			require.True(t, b.IsZero())
		})
	}
}

func TestFromPrefixesKeepsArgument(t *testing.T) {
	in := prefixes("10.2.0.0/16", "10.1.0.0/16", "10.0.0.0/16")
	want := slices.Clone(in)
	_, err := FromPrefixes(in...)
	require.NoError(t, err)
	require.Equal(t, want, in)
}

func TestContains(t *testing.T) {
	b := blocksOf(t, "10.0.0.0/8", "11.0.0.0/16", "2001:db8::/32", "2001:dba:8000::/33")
	tests := []struct {
		prefix string
		want   bool
	}{
		{"10.0.0.0/8", true},
		{"10.255.255.255/32", true},
		{"10.0.0.0/7", false},
		{"0.0.0.0/0", false},
		{"11.0.0.0/16", true},
		{"11.0.0.0/15", false},
		{"11.1.0.0/32", false},
		{"9.255.255.255/32", false},
		{"2001:db8:0:1::/64", true},
		{"2001:db8:0:1::1/64", true}, // host bits do not matter
		{"2001:db8::/31", false},
		{"2001:db9::/64", false},
		{"2001:dba::/64", false},
		{"2001:dba:ffff::/48", true},
		{"ffff::/16", false},
		{"::ffff:10.0.0.0/104", false}, // RFC 4291 section 2.5.5.2: not an IPv4 address
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, b.Contains(netip.MustParsePrefix(tt.prefix)), tt.prefix)
	}
	require.False(t, b.Contains(netip.Prefix{}), "invalid prefix")
	require.False(t, Blocks{}.Contains(netip.MustParsePrefix("10.0.0.0/8")), "no resources")
	mapped := blocksOf(t, "::ffff:10.0.0.0/104")
	require.False(t, mapped.Contains(netip.MustParsePrefix("10.0.0.0/8")), "IPv4 in an IPv4-mapped prefix")
	zoned := netip.PrefixFrom(netip.MustParseAddr("2001:db8::1%eth0"), 64)
	require.True(t, b.Contains(zoned), "a prefix has no zone")
}

func TestContainsNeedsTheFamilyItself(t *testing.T) {
	p := netip.MustParsePrefix("2001:db8::/64")
	require.False(t, mustParse(t, ipv6SAFI1).Contains(p), "addresses with a SAFI")
	require.False(t, mustParse(t, inheritIPv6).Contains(p), "addresses not known")
}

func TestCovers(t *testing.T) {
	tests := []struct {
		name string
		b, c Blocks
		want bool
	}{
		{"itself", mustParse(t, ipv4PrefixIPv6), mustParse(t, ipv4PrefixIPv6), true},
		{"a part", mustParse(t, ipv4PrefixIPv6), blocksOf(t, "10.1.0.0/16", "10.3.0.0/16"), true},
		{"more", blocksOf(t, "10.0.0.0/8"), blocksOf(t, "10.0.0.0/7"), false},
		{"one family less", blocksOf(t, "10.0.0.0/8"), mustParse(t, ipv4PrefixIPv6), false},
		{"across the gap of two", blocksOf(t, "10.0.0.0/24", "10.0.2.0/24"), blocksOf(t, "10.0.0.0/22"), false},
		{"across two that touch", blocksOf(t, "10.0.1.0/24", "10.0.2.0/24"), blocksOf(t, "10.0.1.128/25", "10.0.2.0/25"), true},
		{"nothing", blocksOf(t, "10.0.0.0/8"), Blocks{}, true},
		{"nothing by nothing", Blocks{}, Blocks{}, true},
		{"something by nothing", Blocks{}, blocksOf(t, "10.0.0.0/8"), false},
		{"SAFI by SAFI", mustParse(t, ipv6AndSAFI1), mustParse(t, "3013301104030002013"+"00a0308"+"0020010db8000200"), true},
		{"SAFI by none", blocksOf(t, "2001:db8::/32"), mustParse(t, ipv6SAFI1), false},
		{"none by SAFI", mustParse(t, ipv6SAFI1), blocksOf(t, "2001:db8::/48"), false},
		{"inherit on the right", blocksOf(t, "::/0"), mustParse(t, inheritIPv6), false},
		{"inherit on the left", mustParse(t, ipv4RangeAndIPv6), blocksOf(t, "10.0.0.1/32"), false},
		{"inherit on both sides", mustParse(t, inheritIPv6), mustParse(t, inheritIPv6), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, tt.b.Covers(tt.c), "%v covers %v", tt.b, tt.c)
		})
	}
}

// Against a model that looks at every prefix of the minimal cover on its own.
func TestCoversAgreesWithModel(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	covered := 0
	for range 3000 {
		b, err := FromPrefixes(randomPrefixes(r, 12)...)
		require.NoError(t, err)
		c, err := FromPrefixes(randomPrefixes(r, 3)...)
		require.NoError(t, err)
		want := true
		for p := range c.Prefixes() {
			within := false
			for q := range b.Ranges() {
				within = within || q.From.Compare(p.Addr()) <= 0 && lastAddr(p).Compare(q.To) <= 0 && q.From.BitLen() == p.Addr().BitLen()
			}
			require.Equal(t, within, b.Contains(p), "%v contains %v", b, p)
			want = want && within
		}
		require.Equal(t, want, b.Covers(c), "%v covers %v", b, c)
		if want {
			covered++
		}
	}
	require.Greater(t, covered, 100, "cases with the answer true")
}

func lastAddr(p netip.Prefix) netip.Addr {
	a := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(a); i++ {
		a[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(a)
	return last
}

func TestRangesAndPrefixes(t *testing.T) {
	b := blocksOf(t, "10.0.1.0/24", "10.0.2.0/24", "2001:db8::/32")
	require.Equal(t, []Range{
		{netip.MustParseAddr("10.0.1.0"), netip.MustParseAddr("10.0.2.255")},
		{netip.MustParseAddr("2001:db8::"), netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")},
	}, slices.Collect(b.Ranges()))
	require.Equal(t, prefixes("10.0.1.0/24", "10.0.2.0/24", "2001:db8::/32"), slices.Collect(b.Prefixes()))

	for range b.Ranges() {
		break
	}
	for range b.Prefixes() {
		break
	}

	require.Equal(t, prefixes("2001:db8:1::/48"), slices.Collect(mustParse(t, ipv6AndSAFI1).Prefixes()), "without SAFI only")
	require.Len(t, slices.Collect(mustParse(t, ipv6AndSAFI1).Ranges()), 1, "without SAFI only")
	require.Len(t, slices.Collect(mustParse(t, ipv4RangeAndIPv6).Ranges()), 1, "nothing for a family that inherits")
	require.Empty(t, slices.Collect(Blocks{}.Ranges()))
}

func TestPrefixesMakeTheSameBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for range 500 {
		b, err := FromPrefixes(randomPrefixes(r, 20)...)
		require.NoError(t, err)
		again, err := FromPrefixes(slices.Collect(b.Prefixes())...)
		require.NoError(t, err)
		require.True(t, again.Equal(b), "%v became %v", b, again)
	}
}

func TestEqual(t *testing.T) {
	different := []Blocks{
		{},
		blocksOf(t, "10.0.0.0/8"), blocksOf(t, "10.0.0.0/9"), blocksOf(t, "10.0.0.0/8", "12.0.0.0/8"), blocksOf(t, "::/0"),
		mustParse(t, inheritIPv6), mustParse(t, inheritIPv6SAFI1), mustParse(t, ipv6SAFI1), mustParse(t, ipv6AndSAFI1),
	}
	for i, b := range different {
		for j, c := range different {
			require.Equal(t, i == j, b.Equal(c), "%v equals %v", b, c)
		}
	}
}

func TestInherits(t *testing.T) {
	require.True(t, mustParse(t, ipv4RangeAndIPv6).Inherits())
	require.False(t, mustParse(t, ipv6AndSAFI1).Inherits())
	require.False(t, Blocks{}.Inherits())
}

func TestQueriesAllocateNothing(t *testing.T) {
	b := blocksOf(t, "10.0.0.0/8", "2001:db8::/32", "2001:dba::/32")
	p := netip.MustParsePrefix("2001:dba:1::/64")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if !b.Contains(p) || !b.ContainsAddr(p.Addr()) || !b.ContainsRange(Range{p.Addr(), p.Addr()}) || !b.Covers(b) || !b.Overlaps(b) || !b.Equal(b) || b.Inherits() {
			t.Fatal("wrong answer")
		}
		for r := range b.Ranges() {
			if !r.From.IsValid() {
				t.Fatal("invalid range")
			}
		}
		for p := range b.Prefixes() {
			if !b.Contains(p) {
				t.Fatal("not contained")
			}
		}
	}))
}

func TestText(t *testing.T) {
	tests := []struct{ hex, want string }{
		{ipv4PrefixIPv6, "10.0.0.0/8, 2001:db8::/32"},
		{ipv4RangeAndIPv6, "10.0.0.1-10.0.0.9, IPv6 inherit"},
		{ipv6AndSAFI1, "2001:db8:1::/48, 2001:db8:2::/48 (SAFI 1)"},
		{inheritIPv4, "IPv4 inherit"},
		{inheritIPv6SAFI1, "IPv6 (SAFI 1) inherit"},
	}
	for _, tt := range tests {
		b := mustParse(t, tt.hex)
		require.Equal(t, tt.want, b.String())
		asJSON, err := json.Marshal(map[string]Blocks{"blocks": b})
		require.NoError(t, err)
		require.JSONEq(t, `{"blocks":"`+tt.want+`"}`, string(asJSON))
	}
	appended, err := Blocks{}.AppendText([]byte("blocks: "))
	require.NoError(t, err)
	require.Equal(t, "blocks: none", string(appended))
}

func TestRangeText(t *testing.T) {
	tests := []struct {
		from, to, want string
	}{
		{"10.0.0.0", "10.0.0.255", "10.0.0.0/24"},
		{"10.0.0.0", "10.0.0.254", "10.0.0.0-10.0.0.254"},
		{"10.0.0.7", "10.0.0.7", "10.0.0.7/32"},
		{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"},
		{"0.0.0.0", "255.255.255.255", "0.0.0.0/0"},
		// Not what this package makes, but a Range is only two addresses.
		{"10.0.0.9", "10.0.0.1", "10.0.0.9-10.0.0.1"},
		{"10.0.0.0", "::1", "10.0.0.0-::1"},
		{"fe80::1%\x1b[2J", "fe80::2%\n", "fe80::1-fe80::2"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, Range{netip.MustParseAddr(tt.from), netip.MustParseAddr(tt.to)}.String())
	}
	require.Equal(t, "none", Range{}.String())
}

func TestFamilyText(t *testing.T) {
	require.Equal(t, "IPv4", Family{AFI: IPv4}.String())
	require.Equal(t, "IPv6 (SAFI 128)", Family{IPv6, 128}.String())
	require.Equal(t, "AFI 25 (SAFI 70)", Family{25, 70}.String())
}
