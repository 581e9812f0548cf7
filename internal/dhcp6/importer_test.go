package dhcp6_test

import (
	"net/netip"
	"testing"

	"dhcpsec.example/internal/dhcp6"
	"github.com/stretchr/testify/require"
)

// From another package, where the iterators cannot be inlined as freely as from
// this one, walking a Reply must not allocate either.
func TestWalkingAReplyDoesNotAllocateForAnImporter(t *testing.T) {
	w := dhcp6.NewBuilder(nil, dhcp6.Reply, dhcp6.TransactionID{1, 2, 3})
	w.Option(dhcp6.OptionClientID, []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1})
	w.Option(dhcp6.OptionServerID, []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 2})
	w.BeginIAPD(1, 1000, 2000)
	w.IAPrefix(3000, 4000, netip.MustParsePrefix("2001:db8:8000:100::/56"))
	w.End()
	b, err := w.Bytes()
	require.NoError(t, err)

	prefixes := 0
	allocs := testing.AllocsPerRun(100, func() {
		m, err := dhcp6.ParseMessage(b)
		if err != nil {
			t.Fatal(err)
		}
		for ia, err := range m.Options.IAPDs() {
			if err != nil {
				t.Fatal(err)
			}
			for p, err := range ia.Prefixes() {
				if err != nil {
					t.Fatal(err)
				}
				prefixes += p.Prefix.Bits()
			}
		}
	})
	require.NotZero(t, prefixes)
	require.Zero(t, allocs)
}
