package x509ip

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func fromText(t testing.TB, text string) Blocks {
	t.Helper()
	b, err := ParseText(text)
	require.NoError(t, err, text)
	return b
}

func TestAlgebra(t *testing.T) {
	tests := []struct {
		b, c                         string
		union, intersect, difference string
	}{
		{"none", "none", "none", "none", "none"},
		{"10.0.0.0/8", "none", "10.0.0.0/8", "none", "10.0.0.0/8"},
		{"none", "10.0.0.0/8", "10.0.0.0/8", "none", "none"},
		{"10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8", "none"},
		{"10.0.0.0/8", "11.0.0.0/8", "10.0.0.0/7", "none", "10.0.0.0/8"},
		{"10.0.0.0/8", "2001:db8::/32", "10.0.0.0/8, 2001:db8::/32", "none", "10.0.0.0/8"},
		{"10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/16, 10.2.0.0-10.255.255.255"},
		{
			"10.0.0.0/8, 2001:db8::/32, 2001:db8::/32 (SAFI 1)", "10.0.0.0/8 (SAFI 1), 2001:db8:1::/48 (SAFI 1)",
			"10.0.0.0/8, 10.0.0.0/8 (SAFI 1), 2001:db8::/32, 2001:db8::/32 (SAFI 1)",
			"2001:db8:1::/48 (SAFI 1)",
			"10.0.0.0/8, 2001:db8::/32, 2001:db8::/48 (SAFI 1), 2001:db8:2::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff (SAFI 1)",
		},
		{"0.0.0.0/0, ::/0", "255.255.255.255/32, ::/128", "0.0.0.0/0, ::/0", "255.255.255.255/32, ::/128", "0.0.0.0-255.255.255.254, ::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	}
	for _, tt := range tests {
		b, c := fromText(t, tt.b), fromText(t, tt.c)
		for _, op := range []struct {
			name string
			f    func(Blocks) (Blocks, error)
			want string
		}{{"union", b.Union, tt.union}, {"intersect", b.Intersect, tt.intersect}, {"difference", b.Difference, tt.difference}} {
			got, err := op.f(c)
			require.NoError(t, err)
			require.Equal(t, op.want, got.String(), "%s of %v and %v", op.name, b, c)
			requireCanonical(t, got)
		}
		require.Equal(t, tt.intersect != "none", b.Overlaps(c), "%v overlaps %v", b, c)
		require.Equal(t, tt.intersect != "none", c.Overlaps(b), "%v overlaps %v", c, b)
	}
}

func TestAlgebraNeedsResolvedFamilies(t *testing.T) {
	plain, inheriting := fromText(t, "10.0.0.0/8, ::/0"), fromText(t, "10.0.0.0/8, IPv6 inherit")
	for _, pair := range [][2]Blocks{{plain, inheriting}, {inheriting, plain}, {inheriting, inheriting}} {
		for _, op := range []func(b, c Blocks) (Blocks, error){Blocks.Union, Blocks.Intersect, Blocks.Difference} {
			b, err := op(pair[0], pair[1])
			require.ErrorIs(t, err, ErrInherits)
			require.True(t, b.IsZero())
		}
		require.True(t, pair[0].Overlaps(pair[1]), "the families that are known overlap")
	}
	require.False(t, fromText(t, "IPv6 inherit").Overlaps(plain), "what is not known does not")
}

// The laws that the operations obey, on blocks of many elements.
func TestAlgebraLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 26))
	must := func(b Blocks, err error) Blocks {
		require.NoError(t, err)
		requireCanonical(t, b)
		return b
	}
	for range 500 {
		b, c := must(FromPrefixes(randomPrefixes(r, 20)...)), must(FromPrefixes(randomPrefixes(r, 20)...))
		union, both := must(b.Union(c)), must(b.Intersect(c))
		onlyB, onlyC := must(b.Difference(c)), must(c.Difference(b))
		require.True(t, union.Equal(must(c.Union(b))), "%v and %v: union commutes", b, c)
		require.True(t, both.Equal(must(c.Intersect(b))), "%v and %v: intersection commutes", b, c)
		require.True(t, union.Equal(must(must(onlyB.Union(both)).Union(onlyC))), "%v and %v: the union is made of three parts", b, c)
		require.False(t, onlyB.Overlaps(c), "%v and %v: the parts are apart", b, c)
		require.False(t, onlyC.Overlaps(b), "%v and %v: the parts are apart", b, c)
		require.True(t, union.Covers(b) && union.Covers(c) && b.Covers(both) && c.Covers(both), "%v and %v: covering", b, c)
		require.Equal(t, onlyC.IsZero(), b.Covers(c), "%v and %v: covering", b, c)
		require.Equal(t, !both.IsZero(), b.Overlaps(c), "%v and %v: overlapping", b, c)
	}
}

func TestContainsAddrAndRange(t *testing.T) {
	b := fromText(t, "10.0.0.1-10.0.0.9, 2001:db8::/32, 2001:dba::/32 (SAFI 1)")
	for text, want := range map[string]bool{
		"10.0.0.0": false, "10.0.0.1": true, "10.0.0.9": true, "10.0.0.10": false,
		"2001:db8::": true, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": true, "2001:db9::": false, "2001:db8::1%eth0": true,
		"2001:dba::": false, "::ffff:10.0.0.1": false,
	} {
		a := netip.MustParseAddr(text)
		require.Equal(t, want, b.ContainsAddr(a), text)
		require.Equal(t, want, b.ContainsRange(Range{a, a}), text)
		require.Equal(t, want, b.Contains(netip.PrefixFrom(a.WithZone(""), a.BitLen())), text)
	}
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"10.0.0.1", "10.0.0.9", true},
		{"10.0.0.2", "10.0.0.8", true},
		{"10.0.0.0", "10.0.0.9", false},
		{"10.0.0.1", "10.0.0.10", false},
		{"10.0.0.9", "10.0.0.1", false},
		{"10.0.0.1", "2001:db8::", false},
		{"2001:db8::1%a", "2001:db8::%b", false},
	} {
		require.Equal(t, tt.want, b.ContainsRange(Range{netip.MustParseAddr(tt.from), netip.MustParseAddr(tt.to)}), "%s-%s", tt.from, tt.to)
	}
	require.False(t, b.ContainsAddr(netip.Addr{}))
	require.False(t, b.ContainsRange(Range{}))
	require.False(t, b.ContainsRange(Range{From: netip.MustParseAddr("10.0.0.1")}))
}

func TestFromRanges(t *testing.T) {
	r := func(from, to string) Range { return Range{netip.MustParseAddr(from), netip.MustParseAddr(to)} }
	b, err := FromRanges(r("2001:db8::", "2001:db8::f"), r("10.0.0.4", "10.0.0.9"), r("10.0.0.1", "10.0.0.3"), r("fe80::%eth0", "fe80::1%eth0"))
	require.NoError(t, err)
	require.Equal(t, "10.0.0.1-10.0.0.9, 2001:db8::/124, fe80::/127", b.String())
	again, err := FromRanges(slices.Collect(b.Ranges())...)
	require.NoError(t, err)
	require.True(t, again.Equal(b))
	for _, bad := range []Range{{}, r("10.0.0.2", "10.0.0.1"), r("10.0.0.1", "::1"), {From: netip.MustParseAddr("::")}} {
		b, err := FromRanges(r("10.0.0.4", "10.0.0.9"), bad)
		require.Error(t, err, "%v", bad)
		require.True(t, b.IsZero())
	}
}

func TestFamilies(t *testing.T) {
	b := fromText(t, "IPv4 inherit, 2001:db8::/32, 2001:db8:1::/48 (SAFI 1), 2001:db8:3::/48 (SAFI 1)")
	var families []string
	for f, inherits := range b.Families() {
		families = append(families, f.String())
		require.Equal(t, f.AFI == IPv4, inherits)
	}
	require.Equal(t, []string{"IPv4", "IPv6", "IPv6 (SAFI 1)"}, families)
	for range b.Families() {
		break
	}
	require.Empty(t, slices.Collect(b.FamilyRanges(Family{AFI: IPv4})))
	require.Empty(t, slices.Collect(b.FamilyRanges(Family{AFI: IPv4, SAFI: 1})))
	ranges := slices.Collect(b.FamilyRanges(Family{AFI: IPv6, SAFI: 1}))
	require.Len(t, ranges, 2)
	require.Equal(t, "2001:db8:3::/48", ranges[1].String())
}

// 5,000 elements a set: an operation whose cost grows with the product of the
// sizes would make this test stand out.
func TestAlgebraOfManyElements(t *testing.T) {
	all := scattered(5000)
	b, err := FromPrefixes(all...)
	require.NoError(t, err)
	gaps, err := b.Difference(b)
	require.NoError(t, err)
	require.True(t, gaps.IsZero())
	everything := fromText(t, "2001:db8::/32")
	gaps, err = everything.Difference(b)
	require.NoError(t, err)
	require.Len(t, slices.Collect(gaps.Ranges()), 5000)
	back, err := gaps.Union(b)
	require.NoError(t, err)
	require.True(t, back.Equal(everything))
}
