package main

import (
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"dhcpsec.example/certopt"
	"dhcpsec.example/internal/dhcp6"
)

func TestPcapShowsCertificateOptions(t *testing.T) {
	router, _ := chain(t, "2001:db8:8000:100::/56", "2001:db8::/32")
	options, err := certopt.Codec{}.Append(nil, certopt.Options{CAPointer: []byte("https://ca.example/"), Certificate: router})
	require.NoError(t, err)
	w := dhcp6.NewBuilder(nil, dhcp6.Reply, dhcp6.TransactionID{1, 2, 3})
	w.Raw(options)
	reply, err := w.Bytes()
	require.NoError(t, err)
	relay := dhcp6.NewRelayBuilder(nil, dhcp6.Relay{
		Type: dhcp6.RelayReply, LinkAddress: netip.IPv6Unspecified(), PeerAddress: netip.MustParseAddr("fe80::1"),
	})
	relay.Option(dhcp6.OptionRelayMessage, reply)
	relayed, err := relay.Bytes()
	require.NoError(t, err)

	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: net.ParseIP("fe80::2"), DstIP: net.ParseIP("fe80::1")}
	path := filepath.Join(t.TempDir(), "some.pcap")
	writeFrames(
		t, path,
		frame(t, ip, 547, 546, reply),
		frame(t, ip, 547, 547, relayed),
		frame(t, ip, 547, 546, unhex(t, "07010203"+"fde90000")),
		frame(t, ip, 546, 547, unhex(t, "01010203"+"00060003"+"000102")),
	)
	got := inspect("", "-as", "pcap", path)
	require.Equal(t, statusOK, got.status, got.stderr)
	for _, want := range []string{
		"fe80::2 port 547 to fe80::1 port 546\n  Reply xid=010203 65001(19) 65003(",
		"fe80::2 port 547 to fe80::1 port 547\n  Relay-reply hop=0 link=:: peer=fe80::1 [Reply xid=010203 65001(19) 65003(",
		"\n  ca-pointer=\"https://ca.example/\" certificate=",
		"\n    resources: 2001:db8:8000:100::/56\n",
		"\n  Reply xid=010203 65001(0)\n  unusable certificate options: CA pointer: impossible length\n",
		"\n  malformed: ORO at offset 8: impossible length\n",
	} {
		require.Contains(t, got.stdout, want)
	}
}
