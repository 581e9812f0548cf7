package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
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

// pcapHeader is the header of a capture in classic form, in the order given.
func pcapHeader(order binary.AppendByteOrder, magic, linkType uint32) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(order.AppendUint16(b, 2), 4)
	b = append(b, make([]byte, 8)...)
	return order.AppendUint32(order.AppendUint32(b, 0xffffffff), linkType)
}

func TestPcapRefuses(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := w.Write(pcapHeader(binary.LittleEndian, 0xa1b2c3d4, 1))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	for _, tc := range []struct {
		name string
		file []byte
		err  string
	}{
		{"nothing", nil, "pcap header at offset 0: truncated"},
		{"a header one octet short", pcapHeader(binary.LittleEndian, 0xa1b2c3d4, 1)[:23], "pcap header at offset 0: truncated"},
		{
			"pcapng whose time resolution is 2 to the -127, a divisor of zero",
			unhex(t, "0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000"+
				"0100000020000000010000000000000009000100ff0000000000000020000000"+
				"060000002400000000000000000000000000000004000000040000000102030424000000"),
			"this is pcapng, which is not read",
		},
		{
			"pcapng with a block of 2 GiB",
			unhex(t, "0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000"+"06000000f0ffff7f"),
			"this is pcapng, which is not read",
		},
		{"gzip", zipped.Bytes(), "this is gzip, which is not read"},
		{"something else", []byte("no capture, but long enough"), "this is not a classic pcap file"},
		{"LINUX_SLL2, whose low octet is no type's", pcapHeader(binary.LittleEndian, 0xa1b2c3d4, 276), "pcap link type at offset 20: 276 is not read"},
		{"a type whose low octet is Ethernet's", pcapHeader(binary.BigEndian, 0xa1b23c4d, 257), "257 is not read"},
		{"USB, which is no network", pcapHeader(binary.BigEndian, 0xa1b2c3d4, 220), "220 is not read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := inspect(string(tc.file), "-as", "pcap")
			require.Equal(t, statusFailed, got.status)
			require.Contains(t, got.stderr, tc.err)
			require.Empty(t, got.stdout)
		})
	}
}

func TestPcapLinkTypesAndByteOrders(t *testing.T) {
	ip4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4(192, 0, 2, 1), DstIP: net.IPv4(192, 0, 2, 53)}
	ethernet := frame(t, ip4, 67, 67, message4(t, "\x35\x01\x05\xff"))
	raw := ethernet[14:]
	for linkType, packet := range map[uint32][]byte{
		0:   append([]byte{2, 0, 0, 0}, raw...),
		1:   ethernet,
		101: raw,
		108: append([]byte{0, 0, 0, 2}, raw...),
		113: append(unhex(t, "0000000100060200000000010000"+"0800"), raw...),
		228: raw,
	} {
		for _, magic := range []uint32{0xa1b2c3d4, 0xa1b23c4d} {
			for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
				file := append(pcapHeader(order, magic, linkType), make([]byte, 8)...)
				file = order.AppendUint32(order.AppendUint32(file, uint32(len(packet))), uint32(len(packet)))
				text, _, err := decodePcap(append(file, packet...))
				require.NoError(t, err)
				require.Contains(t, text, "DHCPACK", "link type %d, %v", linkType, order)
			}
		}
	}
}

func TestPcapPacketThatClaimsTooMuch(t *testing.T) {
	file := append(pcapHeader(binary.BigEndian, 0xa1b2c3d4, 1), make([]byte, 8)...)
	file = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(file, 0x7fffffff), 0x7fffffff)
	text, _, err := decodePcap(file)
	require.NoError(t, err)
	require.Contains(t, text, "the capture breaks off at packet 1: capture length exceeds snap length")
}

func TestPcapFragmentsAreMentioned(t *testing.T) {
	ip4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, Flags: layers.IPv4MoreFragments, SrcIP: net.IPv4(192, 0, 2, 1), DstIP: net.IPv4(192, 0, 2, 53)}
	path := filepath.Join(t.TempDir(), "some.pcap")
	writeFrames(t, path, frame(t, ip4, 67, 67, message4(t, "\x35\x01\x05\xff")))
	got := inspect("", "-as", "pcap", path)
	require.Equal(t, "no DHCP packet\npackets not decoded, being damaged, fragments, or of an unknown protocol: 1\n", got.stdout)
}
