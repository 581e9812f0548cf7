package gopkt_test

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"dhcpsec.example/certopt"
	"dhcpsec.example/certopt/gopkt"
	_ "dhcpsec.example/ikedhcp/gopkt" // gopacket panics if two layer types have one number
	"dhcpsec.example/internal/dhcp6"
	_ "dhcpsec.example/relayinfo/gopkt"
)

func TestMain(m *testing.M) {
	gopkt.Register()
	os.Exit(m.Run())
}

const caPointer = "https://ca.example/"

// must is for what the tests build themselves.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// reply is a Reply with a delegated prefix and these options.
func reply(options []byte) []byte {
	w := dhcp6.NewBuilder(nil, dhcp6.Reply, dhcp6.TransactionID{1, 2, 3})
	w.Option(dhcp6.OptionClientID, []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1})
	w.BeginIAPD(1, 1000, 2000)
	w.IAPrefix(3000, 4000, netip.MustParsePrefix("2001:db8:1::/56"))
	w.End()
	w.Raw(options)
	return must(w.Bytes())
}

// replyWithPointer is a Reply with a CA pointer, the last of its options.
func replyWithPointer() []byte {
	return reply(must(certopt.Codec{}.Append(nil, certopt.Options{CAPointer: []byte(caPointer)})))
}

// relay is a relay message of type t around message, its last option.
func relay(t dhcp6.MessageType, hops uint8, message []byte) []byte {
	w := dhcp6.NewRelayBuilder(nil, dhcp6.Relay{
		Type: t, HopCount: hops, LinkAddress: netip.IPv6Unspecified(), PeerAddress: netip.MustParseAddr("fe80::1"),
	})
	w.Option(dhcp6.OptionInterfaceID, []byte("port 3"))
	w.Option(dhcp6.OptionRelayMessage, message)
	return must(w.Bytes())
}

// relays is message in n relay messages.
func relays(n int, message []byte) []byte {
	for hops := range n {
		message = relay(dhcp6.RelayReply, uint8(hops), message)
	}
	return message
}

// frame is an Ethernet frame with payload on these UDP ports.
func frame(src, dst layers.UDPPort, payload []byte) []byte {
	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP, SrcIP: net.ParseIP("fe80::2"), DstIP: net.ParseIP("fe80::1")}
	udp := &layers.UDP{SrcPort: src, DstPort: dst}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(
		buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: mac, DstMAC: mac, EthernetType: layers.EthernetTypeIPv6}, ip, udp, gopacket.Payload(payload),
	); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func relayedReply() []byte { return frame(547, 547, relays(1, replyWithPointer())) }

func TestRegisteredPorts(t *testing.T) {
	message := replyWithPointer()
	for _, ports := range [][2]layers.UDPPort{{547, 546}, {546, 547}, {547, 547}, {547, 40000}, {40000, 547}} {
		packet := gopacket.NewPacket(frame(ports[0], ports[1], message), layers.LayerTypeEthernet, gopacket.Default)
		require.Nil(t, packet.ErrorLayer())
		d, ok := packet.Layer(gopkt.LayerTypeDHCPv6).(*gopkt.DHCPv6)
		require.True(t, ok, "ports %v", ports)
		require.Nil(t, packet.Layer(layers.LayerTypeDHCPv6), "gopacket's own layer must not be in use")
		require.Equal(t, packet.ApplicationLayer(), d)
		require.Equal(t, message, d.LayerContents())
		require.Empty(t, d.LayerPayload())
		require.Contains(t, packet.String(), "DHCPv6CertificateOptions")
		require.Contains(t, packet.Dump(), "DHCPv6CertificateOptions")
	}
}

func TestFields(t *testing.T) {
	data := relays(2, replyWithPointer())
	var d gopkt.DHCPv6
	require.NoError(t, d.DecodeFromBytes(data, gopacket.NilDecodeFeedback))

	require.Len(t, d.Relays, 2)
	for i, hops := range []uint8{1, 0} { // outermost first
		require.Equal(t, dhcp6.RelayReply, d.Relays[i].Type)
		require.Equal(t, hops, d.Relays[i].HopCount)
		require.Equal(t, netip.MustParseAddr("fe80::1"), d.Relays[i].PeerAddress)
	}
	require.Equal(t, dhcp6.Reply, d.Message.Type)
	require.Equal(t, dhcp6.TransactionID{1, 2, 3}, d.Message.TransactionID)
	require.NoError(t, d.CertOptionsErr)
	require.Equal(t, certopt.Options{CAPointer: []byte(caPointer)}, d.CertOptions)
	require.Same(t, &data[len(data)-len(caPointer)], &d.CertOptions.CAPointer[0], "aliases the packet")
}

func TestString(t *testing.T) {
	const message = "Reply xid=010203 client-id=00030001020000000001 IA_PD(iaid=1 t1=1000 t2=2000 2001:db8:1::/56 pref=3000 valid=4000)"
	for _, tc := range []struct {
		name string
		data []byte
		want string
	}{
		{"no certificate options", reply(nil), message + "; no certificate options"},
		{"CA pointer", replyWithPointer(), message + ` 65001(19); ca-pointer="https://ca.example/"`},
		{
			"relayed", relays(1, replyWithPointer()),
			`Relay-reply hop=0 link=:: peer=fe80::1 interface-id="port 3" [` + message + ` 65001(19)]; ca-pointer="https://ca.example/"`,
		},
		{
			"malformed", reply([]byte{0xfd, 0xe9, 0, 0}),
			message + " 65001(0); certificate options: malformed: CA pointer at offset 63: impossible length",
		},
	} {
		var d gopkt.DHCPv6
		require.NoError(t, d.DecodeFromBytes(tc.data, gopacket.NilDecodeFeedback), tc.name)
		require.Equal(t, tc.want, d.String(), tc.name)
	}
}

func TestRFC7227s21_1MalformedCertificateOptionDoesNotLoseTheMessage(t *testing.T) {
	area := must(certopt.Codec{}.Append(nil, certopt.Options{CAPointer: []byte(caPointer)}))
	for name, options := range map[string][]byte{
		"empty":     {0xfd, 0xe9, 0, 0},
		"no URI":    {0xfd, 0xe9, 0, 1, '\n'},
		"no DER":    slices.Concat(area, []byte{0xfd, 0xeb, 0, 1, 0}),
		"duplicate": slices.Concat(area, area),
	} {
		data := relays(1, reply(options))
		var d gopkt.DHCPv6
		require.NoError(t, d.DecodeFromBytes(data, gopacket.NilDecodeFeedback), name)
		require.Len(t, d.Relays, 1, name)
		require.Equal(t, dhcp6.Reply, d.Message.Type, name)
		require.Equal(t, certopt.Options{}, d.CertOptions, name)
		var pe *certopt.ParseError
		require.ErrorAs(t, d.CertOptionsErr, &pe, name)
		require.LessOrEqual(t, pe.Offset, len(d.Message.Options), name)
		require.Nil(t, gopacket.NewPacket(data, gopkt.LayerTypeDHCPv6, gopacket.Default).ErrorLayer(), name)
	}
}

func TestAnotherCodecReadsTheMessagesOptions(t *testing.T) {
	codec := certopt.Codec{Enterprise: 32473}
	want := certopt.Options{CAPointer: []byte(caPointer)}
	var d gopkt.DHCPv6
	require.NoError(t, d.DecodeFromBytes(reply(must(codec.Append(nil, want))), gopacket.NilDecodeFeedback))
	require.NoError(t, d.CertOptionsErr)
	require.Equal(t, certopt.Options{}, d.CertOptions)
	got, err := codec.Find(d.Message.Options)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestMalformedMessages(t *testing.T) {
	message := replyWithPointer()
	unknown := bytes.Clone(message)
	unknown[0] = 14 // LEASEQUERY, RFC 5007
	for _, tc := range []struct {
		name string
		data []byte
		want error
	}{
		{"nothing", nil, certopt.ErrTruncated},
		{"header cut short", message[:3], certopt.ErrTruncated},
		{"option cut short", message[:len(message)-1], certopt.ErrTruncated},
		{"unknown message type", unknown, certopt.ErrValue},
		{"unknown message type, relayed", relays(1, unknown), certopt.ErrValue},
		{"two Client Identifiers", slices.Concat(message, []byte{0, 1, 0, 3, 0, 3, 0}), certopt.ErrDuplicate},
		{"RFC 8415 section 7.6: too many relay messages", relays(dhcp6.HopCountLimit+2, message), certopt.ErrTooLarge},
		{"Relay-forward in Relay-reply", relay(dhcp6.RelayReply, 1, relay(dhcp6.RelayForward, 0, message)), certopt.ErrValue},
	} {
		t.Run(tc.name, func(t *testing.T) { requireRefused(t, tc.data, tc.want) })
	}

	var d gopkt.DHCPv6
	require.NoError(t, d.DecodeFromBytes(relays(dhcp6.HopCountLimit+1, message), gopacket.NilDecodeFeedback))
	require.Len(t, d.Relays, dhcp6.HopCountLimit+1)
}

// requireRefused checks all that is said of data, and that a layer that held
// another message before holds nothing after.
func requireRefused(t *testing.T, data []byte, want error) {
	t.Helper()
	var d gopkt.DHCPv6
	require.NoError(t, d.DecodeFromBytes(relays(2, replyWithPointer()), gopacket.NilDecodeFeedback))
	err := d.DecodeFromBytes(data, gopacket.NilDecodeFeedback)
	var pe *certopt.ParseError
	require.ErrorAs(t, err, &pe)
	require.ErrorIs(t, err, want)
	require.GreaterOrEqual(t, pe.Offset, 0)
	require.LessOrEqual(t, pe.Offset, len(data))
	require.Equal(t, gopkt.DHCPv6{Relays: []gopkt.Relay{}}, d)
	require.NotEmpty(t, d.String())

	if len(data) == 0 {
		return // gopacket does not call a decoder for no octets
	}
	packet := gopacket.NewPacket(data, gopkt.LayerTypeDHCPv6, gopacket.Default)
	require.NotNil(t, packet.ErrorLayer())
	require.Equal(t, err, packet.ErrorLayer().Error())
	require.Nil(t, packet.Layer(gopkt.LayerTypeDHCPv6))
	require.Equal(t, want == certopt.ErrTruncated, packet.Metadata().Truncated)
}

func TestEveryTruncation(t *testing.T) {
	// The only place where a cut leaves a message is between its options.
	message := replyWithPointer()
	ends := map[int]bool{dhcp6.HeaderLen: true}
	for option, err := range certopt.Walk(message[dhcp6.HeaderLen:]) {
		require.NoError(t, err)
		ends[dhcp6.HeaderLen+option.Offset+len(option.Data)] = true
	}
	for n := range message {
		if ends[n] {
			var d gopkt.DHCPv6
			require.NoError(t, d.DecodeFromBytes(message[:n], gopacket.NilDecodeFeedback), "cut to %d octets", n)
			continue
		}
		requireRefused(t, message[:n], certopt.ErrTruncated)
	}

	// A cut within relay messages, which end with what they carry, leaves none.
	data := relays(2, message)
	for n := range data {
		requireRefused(t, data[:n], certopt.ErrTruncated)
	}
}

// Any packet decodes in a layer that was used before as it does in a fresh one.
func TestReuseLeaksNothing(t *testing.T) {
	whole := relays(2, replyWithPointer())
	packets := [][]byte{
		whole, replyWithPointer(), reply(nil), reply([]byte{0xfd, 0xe9, 0, 0}), nil,
		relays(dhcp6.HopCountLimit+1, reply(nil)), relays(1, replyWithPointer()),
	}
	for i := range whole {
		for _, octet := range []byte{0, 0xff, whole[i] ^ 1} {
			changed := bytes.Clone(whole)
			changed[i] = octet
			packets = append(packets, changed)
		}
	}
	var reused gopkt.DHCPv6
	for i, data := range packets {
		fresh := gopkt.DHCPv6{Relays: []gopkt.Relay{}}
		want := fresh.DecodeFromBytes(data, gopacket.NilDecodeFeedback)
		require.Equal(t, want, reused.DecodeFromBytes(data, gopacket.NilDecodeFeedback), "packet %d", i)
		require.Equal(t, fresh, reused, "packet %d", i)
		require.Equal(t, fresh.String(), reused.String(), "packet %d", i)
	}
}

func TestReuseDoesNotAllocate(t *testing.T) {
	var ethernet layers.Ethernet
	var ip layers.IPv6
	var udp layers.UDP
	var dhcp gopkt.DHCPv6
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &ethernet, &ip, &udp, &dhcp)
	var decoded []gopacket.LayerType
	data := frame(547, 547, relays(dhcp6.HopCountLimit+1, replyWithPointer()))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := parser.DecodeLayers(data, &decoded); err != nil {
			panic(err)
		}
	}))
	require.Equal(t, gopkt.LayerTypeDHCPv6, decoded[len(decoded)-1])
	require.Len(t, dhcp.Relays, dhcp6.HopCountLimit+1)
	require.Equal(t, caPointer, string(dhcp.CertOptions.CAPointer))
}
