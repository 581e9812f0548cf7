package bench

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	ggopacket "github.com/google/gopacket"
	glayers "github.com/google/gopacket/layers"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/stretchr/testify/require"

	"dhcpsec.example/relayinfo"
)

// The job measured: take the datagram as it came from the socket, and make the
// datagram that goes out. A request gets giaddr, hops + 1 and an option 82 of five
// sub-options; a reply loses option 82 and giaddr. Everybody reuses whatever its
// interface lets it reuse. "copy" is the bare copy of the datagram: nobody who
// must not edit in place is faster.

var relayGIAddr = netip.MustParseAddr("192.0.2.1")

// relayBody is what the relay agent adds: circuit-id, remote-id, link-selection,
// subscriber-id and server-id-override.
func relayBody(t testing.TB) relayinfo.Info {
	info, err := relayinfo.Fields{
		CircuitID:        []byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef},
		RemoteID:         []byte("gw1.example"),
		LinkSelection:    netip.MustParseAddr("198.51.100.0"),
		SubscriberID:     "alice@vpn.example",
		ServerIDOverride: relayGIAddr,
	}.Info()
	require.NoError(t, err)
	return info
}

var relayClient = net.HardwareAddr{2, 0, 0, 0, 0, 1}

// relayRequest is a DHCPDISCOVER with the options that an ordinary client sends.
func relayRequest(t testing.TB) []byte {
	m, err := dhcpv4.NewDiscovery(
		relayClient,
		dhcpv4.WithOption(dhcpv4.OptClientIdentifier(append([]byte{1}, relayClient...))),
		dhcpv4.WithOption(dhcpv4.OptHostName("roadwarrior")),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("dhcpcd-9.4.1:Linux")),
		dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(1472)),
	)
	require.NoError(t, err)
	return m.ToBytes()
}

// relayReply is a DHCPACK with the options that an ordinary server sends, and the echo.
func relayReply(t testing.TB) []byte {
	request, err := dhcpv4.FromBytes(relayRequest(t))
	require.NoError(t, err)
	reply, err := dhcpv4.NewReplyFromRequest(
		request,
		dhcpv4.WithMessageType(dhcpv4.MessageTypeAck),
		dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 77)),
		dhcpv4.WithServerIP(net.IPv4(192, 0, 2, 53)),
		dhcpv4.WithLeaseTime(3600),
		dhcpv4.WithNetmask(net.IPv4Mask(255, 255, 255, 0)),
		dhcpv4.WithRouter(net.IPv4(192, 0, 2, 1)),
		dhcpv4.WithDNS(net.IPv4(192, 0, 2, 53), net.IPv4(192, 0, 2, 54)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 53))),
		dhcpv4.WithOption(dhcpv4.OptDomainName("vpn.example")),
	)
	require.NoError(t, err)
	cfg := &relayinfo.Config{GIAddr: relayGIAddr, Info: relayBody(t)}
	msg := reply.ToBytes()
	msg[0] = 1 // Insert edits requests; what it does to this one is what a server sends back
	msg, _, err = relayinfo.Insert(nil, msg, cfg)
	require.NoError(t, err)
	msg[0] = 2
	require.NoError(t, relayinfo.Match(msg, cfg))
	return msg
}

func BenchmarkRelayRequest(b *testing.B) {
	msg, info := relayRequest(b), relayBody(b)
	buf := make([]byte, 0, 1500)

	b.Run("dhcpsec", func(b *testing.B) {
		cfg := &relayinfo.Config{GIAddr: relayGIAddr, Info: info}
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := relayinfo.Insert(buf, msg, cfg); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("copy", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = append(buf[:0], msg...)
		}
	})
	b.Run("google-gopacket", func(b *testing.B) {
		var m glayers.DHCPv4
		out := ggopacket.NewSerializeBuffer()
		giaddr := net.IP(relayGIAddr.AsSlice())
		option := glayers.NewDHCPOption(82, info.Bytes())
		b.ReportAllocs()
		for b.Loop() {
			if err := m.DecodeFromBytes(msg, ggopacket.NilDecodeFeedback); err != nil {
				b.Fatal(err)
			}
			if m.Operation != glayers.DHCPOpRequest || m.HardwareOpts > 4 || !m.RelayAgentIP.IsUnspecified() ||
				slices.ContainsFunc(m.Options, func(o glayers.DHCPOption) bool { return o.Type == 82 }) {
				b.Fatal("a request that must not be relayed")
			}
			m.RelayAgentIP = giaddr
			m.HardwareOpts++ // the field of this name is hops
			m.Options = append(m.Options, option)
			if err := out.Clear(); err != nil {
				b.Fatal(err)
			}
			if err := m.SerializeTo(out, ggopacket.SerializeOptions{}); err != nil {
				b.Fatal(err)
			}
			if _, err := out.AppendBytes(max(0, 300-len(out.Bytes()))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("gopacket-gopacket", func(b *testing.B) {
		var m layers.DHCPv4
		out := gopacket.NewSerializeBuffer()
		giaddr := net.IP(relayGIAddr.AsSlice())
		option := layers.NewDHCPOption(82, info.Bytes())
		b.ReportAllocs()
		for b.Loop() {
			if err := m.DecodeFromBytes(msg, gopacket.NilDecodeFeedback); err != nil {
				b.Fatal(err)
			}
			if m.Operation != layers.DHCPOpRequest || m.RelayHops > 4 || !m.RelayAgentIP.IsUnspecified() ||
				slices.ContainsFunc(m.Options, func(o layers.DHCPOption) bool { return o.Type == 82 }) {
				b.Fatal("a request that must not be relayed")
			}
			m.RelayAgentIP = giaddr
			m.RelayHops++
			m.Options = append(m.Options, option)
			if err := out.Clear(); err != nil {
				b.Fatal(err)
			}
			if err := m.SerializeTo(out, gopacket.SerializeOptions{}); err != nil {
				b.Fatal(err)
			}
			if _, err := out.AppendBytes(max(0, 300-len(out.Bytes()))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("insomniacslk", func(b *testing.B) {
		giaddr := net.IP(relayGIAddr.AsSlice())
		option := dhcpv4.OptGeneric(dhcpv4.OptionRelayAgentInformation, info.Bytes())
		b.ReportAllocs()
		for b.Loop() {
			m, err := dhcpv4.FromBytes(msg)
			if err != nil {
				b.Fatal(err)
			}
			m.GatewayIPAddr = giaddr
			m.HopCount++
			m.UpdateOption(option)
			_ = m.ToBytes()
		}
	})
}

func BenchmarkRelayReply(b *testing.B) {
	msg := relayReply(b)
	buf := make([]byte, 0, 1500)

	b.Run("dhcpsec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := relayinfo.Strip(buf, msg); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("copy", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = append(buf[:0], msg...)
		}
	})
	b.Run("google-gopacket", func(b *testing.B) {
		var m glayers.DHCPv4
		out := ggopacket.NewSerializeBuffer()
		b.ReportAllocs()
		for b.Loop() {
			if err := m.DecodeFromBytes(msg, ggopacket.NilDecodeFeedback); err != nil {
				b.Fatal(err)
			}
			m.RelayAgentIP = net.IPv4zero
			m.Options = slices.DeleteFunc(m.Options, func(o glayers.DHCPOption) bool { return o.Type == 82 })
			if err := out.Clear(); err != nil {
				b.Fatal(err)
			}
			if err := m.SerializeTo(out, ggopacket.SerializeOptions{}); err != nil {
				b.Fatal(err)
			}
			if _, err := out.AppendBytes(max(0, 300-len(out.Bytes()))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("gopacket-gopacket", func(b *testing.B) {
		var m layers.DHCPv4
		out := gopacket.NewSerializeBuffer()
		b.ReportAllocs()
		for b.Loop() {
			if err := m.DecodeFromBytes(msg, gopacket.NilDecodeFeedback); err != nil {
				b.Fatal(err)
			}
			m.RelayAgentIP = net.IPv4zero
			m.Options = slices.DeleteFunc(m.Options, func(o layers.DHCPOption) bool { return o.Type == 82 })
			if err := out.Clear(); err != nil {
				b.Fatal(err)
			}
			if err := m.SerializeTo(out, gopacket.SerializeOptions{}); err != nil {
				b.Fatal(err)
			}
			if _, err := out.AppendBytes(max(0, 300-len(out.Bytes()))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("insomniacslk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m, err := dhcpv4.FromBytes(msg)
			if err != nil {
				b.Fatal(err)
			}
			m.GatewayIPAddr = net.IPv4zero
			m.Options.Del(dhcpv4.OptionRelayAgentInformation)
			_ = m.ToBytes()
		}
	})
}

func BenchmarkOption82Body(b *testing.B) {
	body := relayBody(b).Bytes()

	b.Run("dhcpsec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := relayinfo.Parse(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("insomniacslk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var o dhcpv4.RelayOptions
			if err := o.FromBytes(body); err != nil {
				b.Fatal(err)
			}
		}
	})
}
