package dhcpv6pd

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"dhcpsec.example/internal/dhcp6"
	"github.com/stretchr/testify/require"
)

// manyBindings is a DelegatingRouter with n clients, and a Request of one of them.
func manyBindings(b *testing.B, n int) (*DelegatingRouter, []byte) {
	b.Helper()
	d := must(NewDelegatingRouter(DelegatingRouterConfig{DUID: serverDUID, MaxBindings: n + 1}))
	var duid []byte
	for i := range n {
		duid = binary.BigEndian.AppendUint32([]byte{0, 4}, uint32(i))
		p := netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 16), byte(i >> 8), byte(i)}), 56)
		ia := IA{1, []Prefix{{Prefix: p, Preferred: time.Hour, Valid: time.Hour}}}
		require.NoError(b, d.Restore(start, duid, ia, start))
	}
	pkt := message(b, dhcp6.Request, dhcp6.TransactionID{1}, option(dhcp6.OptionClientID, duid), option(dhcp6.OptionServerID, serverDUID), iaPD(1, 0, 0))
	return d, pkt
}

// A Request that is answered from a binding, among 100,000 of them.
func BenchmarkDelegatingRouterAnswersFromABinding(b *testing.B) {
	d, pkt := manyBindings(b, 100_000)
	var acts []Action
	b.ReportAllocs()
	for b.Loop() {
		acts, _ = d.HandleMessage(start, fromClient, pkt, acts[:0])
		if len(acts) != 1 {
			b.Fatal(kinds(acts))
		}
	}
}

// A Solicit and its allocation, up to the Advertise.
func BenchmarkDelegatingRouterAdvertises(b *testing.B) {
	d, _ := manyBindings(b, 100_000)
	pkt := asks(b, dhcp6.Solicit, 1, iaPD(1, 0, 0))
	offer := []IA{{1, []Prefix{lifetime}}}
	var acts []Action
	b.ReportAllocs()
	for b.Loop() {
		acts, _ = d.HandleMessage(start, fromClient, pkt, acts[:0])
		acts, _ = d.HandleAllocated(start, acts[0].ID, offer, acts[:0])
		if len(acts) != 1 {
			b.Fatal(kinds(acts))
		}
	}
}

// A message that is for another server.
func BenchmarkDelegatingRouterDrops(b *testing.B) {
	d, _ := manyBindings(b, 1)
	pkt := message(b, dhcp6.Request, dhcp6.TransactionID{1}, option(dhcp6.OptionClientID, routerDUID), option(dhcp6.OptionServerID, otherDUID), iaPD(1, 0, 0))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.HandleMessage(start, fromClient, pkt, nil); err == nil {
			b.Fatal("accepted")
		}
	}
}
