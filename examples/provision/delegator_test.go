package main

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/dhcpv6pd"
)

func TestPool(t *testing.T) {
	p := pool{delegate: netip.MustParsePrefix("2001:db8:80fe::/55"), holder: make(map[netip.Prefix]lease)}
	first, ok := p.allocate(lease{"a", 1})
	require.True(t, ok)
	require.Equal(t, "2001:db8:80fe::/56", first.Prefix.String())
	again, ok := p.allocate(lease{"a", 1})
	require.True(t, ok)
	require.Equal(t, first, again, "a Request gets what was offered")
	second, ok := p.allocate(lease{"a", 2})
	require.True(t, ok)
	require.Equal(t, "2001:db8:80fe:100::/56", second.Prefix.String())
	_, ok = p.allocate(lease{"b", 1})
	require.False(t, ok, "two prefixes are all there is")
	p.free([]dhcpv6pd.Prefix{first})
	third, ok := p.allocate(lease{"b", 1})
	require.True(t, ok)
	require.Equal(t, first, third)
}
