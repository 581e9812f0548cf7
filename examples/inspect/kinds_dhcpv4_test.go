package main

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
)

// message4 is a DHCPv4 message with the options field given.
func message4(t *testing.T, options string) []byte {
	t.Helper()
	msg, err := dhcp4.Header{
		Op: dhcp4.BootReply, HType: 1, Hops: 1, XID: 0x12345678, Flags: dhcp4.FlagBroadcast,
		GIAddr: netip.MustParseAddr("192.0.2.1"), CHAddr: []byte{2, 0, 0, 0, 0, 1},
	}.AppendBinary(nil)
	require.NoError(t, err)
	return append(msg, options...)
}

func TestDHCPv4(t *testing.T) {
	const head = "xid 0x12345678 hops 1 ciaddr 0.0.0.0 yiaddr 0.0.0.0 giaddr 192.0.2.1 chaddr 02 00 00 00 00 01\nflags: broadcast\n"
	overloaded := message4(t, "\x34\x01\x03\xff\x00\x00behind")
	copy(overloaded[108:], "\x0f\x02vp\xff")
	copy(overloaded[44:], "\x0f\x01n\xff")
	for _, tc := range []struct {
		name string
		msg  []byte
		want string
	}{
		{
			"options of every form",
			message4(t, "\x35\x01\x05\x36\x04\xc0\x00\x02\x35\x33\x04\x00\x00\x0e\x10\x06\x08\xc0\x00\x02\x35\xc0\x00\x02\x36\x39\x02\x05\xdc\x0c\x02a\x1b\x37\x02\x01\x03\x50\x00\x3d\x02\x00a\xe0\x01\x01\xff"),
			"DHCPACK " + head + "option 53, message type: DHCPACK\noption 54, server identifier: 192.0.2.53\noption 51, lease time: 3600 s\n" +
				"option 6, domain name servers: 192.0.2.53, 192.0.2.54\noption 57, maximum message size: 1500 octets\noption 12, host name: \"a\\x1b\"\n" +
				"option 55, parameter request list: 1 3\noption 80, rapid commit\noption 61, client identifier: 0x0061\noption 224: 0x01",
		},
		{
			"an option in parts (RFC 3396)",
			message4(t, "\x36\x03\xc0\x00\x02\x33\x01\x00\x36\x01\x35\x33\x03\x00\x0e\x10\xff"),
			"BOOTREPLY " + head + "option 54, server identifier: 0xc00002\noption 51, lease time: 0x00\noption 54, server identifier: 0x35\noption 51, lease time: 0x000e10",
		},
		{
			"option 82 in two parts",
			message4(t, "\x52\x03\x01\x02a\x52\x04b\x01\x01c\xff"),
			"BOOTREPLY " + head + "option 82, relay agent information: 3 octets\noption 82, relay agent information: 4 octets\n" +
				"option 82: circuit-id \"ab\", circuit-id \"c\"\nunusable: circuit-id: duplicate",
		},
		{
			"overload", overloaded,
			"BOOTREPLY " + head + "option 52, option overload: 0x03\noption 15, domain name: \"vp\" (in file)\noption 15, domain name: \"n\" (in sname)",
		},
		{"no End", message4(t, "\x0c\x01a"), "BOOTREPLY " + head + "option 12, host name: \"a\"\nno End option"},
	} {
		lines, got := inspectHexLines(t, "dhcpv4", tc.msg)
		require.Equal(t, statusOK, got.status, tc.name)
		require.Equal(t, tc.want, lines[0].Text, tc.name)
		require.Equal(t, hex.EncodeToString(tc.msg), lines[0].Reencoded, tc.name)
	}

	for _, tc := range []struct {
		msg    []byte
		err    string
		offset int
	}{
		{[]byte("short"), "BOOTP header at offset 0: truncated", 0},
		{message4(t, "\x0c\x05a"), "option length at offset 241: truncated", 241},
		{message4(t, "\x52\x00\xff"), "option 82 length at offset 242: impossible length", 242},
		{message4(t, "\x52\x02\x01\x01\xff"), "sub-option length at offset 243: truncated", 243},
		{message4(t, "\x52\x05\x05\x03\x00\x00\x00\xff"), "link-selection at offset 243: impossible length", 243},
		{message4(t, "\x52\x01\x05\x0c\x01a\x52\x04\x03\x00\x00\x00\xff"), "link-selection at offset 248: impossible length", 248},
		{message4(t, "\x36\x03\x00\x00\x00\xff"), "option 54 length at offset 241: impossible length", 241},
		{message4(t, "\x0c\x00\xff"), "option 12 length at offset 241: impossible length", 241},
		{message4(t, "\x06\x05\x00\x00\x00\x00\x00\xff"), "option 6 length at offset 241: impossible length", 241},
		{message4(t, "\x50\x01\x00\xff"), "option 80 length at offset 241: impossible length", 241},
	} {
		lines, got := inspectHexLines(t, "dhcpv4", tc.msg)
		require.Equal(t, statusFailed, got.status)
		require.Equal(t, line{Error: tc.err, Offset: tc.offset}, lines[0])
	}
}

// A message of very many options takes a moment; a look at all of them for each
// would take minutes.
func TestDHCPv4ManyOptions(t *testing.T) {
	text, _, err := decodeDHCPv4(message4(t, strings.Repeat("\xe0\x00", 300_000)))
	require.NoError(t, err)
	require.Equal(t, 300_000, strings.Count(text, "\noption 224"))
}

func TestOption82(t *testing.T) {
	lines, got := inspectHexLines(
		t, "option82",
		[]byte("\x01\x08\x01\x23\x45\x67\x89\xab\xcd\xef\x05\x04\xc6\x33\x64\x00\xc8\x01?\x01\x00"),
		[]byte("\x01\x02a"), []byte("\x01\x00\x02"), nil, []byte("\x01\x00\x05\x03\x00\x00\x00"),
	)
	require.Equal(t, statusFailed, got.status)
	require.Equal(t, "circuit-id 0x0123456789abcdef, link-selection 198.51.100.0, sub-option-200 0x3f, circuit-id\nunusable: circuit-id: duplicate", lines[0].Text)
	require.Equal(t, "01080123456789abcdef0504c6336400c8013f0100", lines[0].Reencoded)
	require.Equal(t, line{Error: "sub-option length at offset 1: truncated", Offset: 1}, lines[1])
	require.Equal(t, line{Error: "sub-option length at offset 3: truncated", Offset: 3}, lines[2])
	require.Equal(t, line{Error: "option 82 length at offset 0: impossible length"}, lines[3])
	require.Equal(t, line{Error: "link-selection at offset 3: impossible length", Offset: 3}, lines[4])
}

// writeFrames writes Ethernet frames as a capture file.
func writeFrames(t *testing.T, path string, frames ...[]byte) {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	require.NoError(t, w.WriteFileHeader(1<<16, layers.LinkTypeEthernet))
	for i, frame := range frames {
		require.NoError(t, w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(frame), Length: len(frame)}, frame))
	}
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
}

func frame(t *testing.T, ip gopacket.NetworkLayer, src, dst layers.UDPPort, payload []byte) []byte {
	t.Helper()
	ethernet := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
	if ip.LayerType() == layers.LayerTypeIPv6 {
		ethernet.EthernetType = layers.EthernetTypeIPv6
	}
	udp := &layers.UDP{SrcPort: src, DstPort: dst}
	require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
	buf := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		ethernet, ip.(gopacket.SerializableLayer), udp, gopacket.Payload(payload)))
	return buf.Bytes()
}

func TestPcap(t *testing.T) {
	ip4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4(192, 0, 2, 1), DstIP: net.IPv4(192, 0, 2, 53)}
	ip6 := &layers.IPv6{Version: 6, HopLimit: 1, NextHeader: layers.IPProtocolUDP, SrcIP: net.ParseIP("fe80::1"), DstIP: net.ParseIP("ff02::1:2")}
	solicit := []byte("\x01\x12\x34\x56\x00\x01\x00\x0a\x00\x03\x00\x01\x02\x00\x00\x00\x00\x01")
	hlen228 := message4(t, "\x35\x01\x01\xff")
	hlen228[2] = 228
	path := filepath.Join(t.TempDir(), "some.pcap")
	writeFrames(
		t, path,
		frame(t, ip4, 67, 67, message4(t, "\x35\x01\x05\x52\x03\x01\x01a\xff")),
		frame(t, ip4, 53, 53, []byte("something else")),
		frame(t, ip6, 546, 547, solicit),
		frame(t, ip4, 40000, 10067, message4(t, "\x35\x01\x01\xff")),
		frame(t, ip4, 68, 67, hlen228),
		[]byte("no frame"),
		frame(t, ip6, 546, 547, solicit[:3]),
	)
	got := inspect("", "-as", "pcap", path)
	require.Equal(t, statusOK, got.status, got.stderr)
	for _, want := range []string{
		"packet 1, 00:00:00.000000: 192.0.2.1 port 67 to 192.0.2.53 port 67\n  DHCPACK xid 0x12345678 hops 1 ciaddr 0.0.0.0 yiaddr 0.0.0.0 giaddr 192.0.2.1 chaddr 02 00 00 00 00 01 option 82: circuit-id \"a\"\n",
		"packet 3, 00:00:02.000000: fe80::1 port 546 to ff02::1:2 port 547\n  Solicit ",
		"packet 4, 00:00:03.000000: 192.0.2.1 port 40000 to 192.0.2.53 port 10067\n  DHCPDISCOVER ",
		"packet 5, 00:00:04.000000: 192.0.2.1 port 68 to 192.0.2.53 port 67\n  malformed: hlen at offset 2: impossible length\n",
		"packet 7, 00:00:06.000000: fe80::1 port 546 to ff02::1:2 port 547\n  malformed: ",
	} {
		require.Contains(t, got.stdout, want)
	}
	require.NotContains(t, got.stdout, "packet 2")
	require.NotContains(t, got.stdout, "packet 6")
	require.Contains(t, got.stdout, "\npackets not decoded, being damaged, fragments, or of an unknown protocol: 1\n")

	file, err := os.ReadFile(path)
	require.NoError(t, err)
	for n := range file {
		_, _, _ = decodePcap(file[:n]) // must not panic
	}
	got = inspect(string(file[:len(file)-1]), "-as", "pcap")
	require.Equal(t, statusOK, got.status)
	require.Contains(t, got.stdout, "the capture breaks off at packet 7: ")

	require.Equal(t, statusFailed, inspect("no capture", "-as", "pcap").status)
	empty := filepath.Join(t.TempDir(), "empty.pcap")
	writeFrames(t, empty)
	require.Equal(t, "no DHCP packet\n", inspect("", "-as", "pcap", empty).stdout)
}

func TestOurCapturesAreReadWhole(t *testing.T) {
	for _, server := range []string{"kea", "dnsmasq", "dhcpd"} {
		path := filepath.Join("..", "..", "relayinfo", "testdata", server+".pcap")
		got := inspect("", "-as", "pcap", path)
		require.Equal(t, statusOK, got.status)
		require.NotContains(t, got.stdout, "malformed")
		require.GreaterOrEqual(t, strings.Count(got.stdout, "packet "), 28, server)

		file, err := os.ReadFile(path)
		require.NoError(t, err)
		r, err := pcapgo.NewReader(bytes.NewReader(file))
		require.NoError(t, err)
		for {
			frame, _, err := r.ReadPacketData()
			if err != nil {
				break
			}
			msg := frame[14+20+8:] // Ethernet, IPv4 and UDP headers
			_, reencoded, err := decodeDHCPv4(msg)
			require.NoError(t, err)
			require.Equal(t, msg, reencoded)
		}
	}
}
