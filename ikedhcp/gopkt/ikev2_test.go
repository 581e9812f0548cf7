package gopkt_test

import (
	"encoding/binary"
	"net"
	"os"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/ikedhcp/gopkt"
	"dhcpsec.example/internal/dhcp4"
)

func TestMain(m *testing.M) {
	gopkt.Register()
	os.Exit(m.Run())
}

// discover is a DHCPDISCOVER.
func discover(t testing.TB) []byte {
	t.Helper()
	b, err := dhcp4.Header{Op: dhcp4.BootRequest, HType: 31, XID: 0x5eed0001, CHAddr: []byte{2, 0, 0, 0, 0, 1}}.AppendBinary(nil)
	require.NoError(t, err)
	b, err = dhcp4.AppendOption(b, dhcp4.OptionMessageType, []byte{byte(dhcp4.Discover)})
	require.NoError(t, err)
	return dhcp4.AppendEnd(b, 0)
}

// message is an IKE_AUTH request with the payloads of chain and DHCP messages.
func message(t testing.TB, first ikedhcp.PayloadType, chain []byte, messages ...[]byte) []byte {
	t.Helper()
	var gate ikedhcp.Gate
	gate.Observe(ikedhcp.Payload{Type: ikedhcp.PayloadV, Body: []byte(ikedhcp.VendorID)})
	chain, first, err := ikedhcp.Codec{}.AppendPayloads(nil, gate, ikedhcp.InRequest, first, chain, messages...)
	require.NoError(t, err)
	b := binary.BigEndian.AppendUint64(nil, 0x1111111111111111)
	b = binary.BigEndian.AppendUint64(b, 0x2222222222222222)
	b = append(b, byte(first), 0x20, byte(ikedhcp.IKEAuth), gopkt.FlagInitiator)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(gopkt.HeaderLen+len(chain)))
	return append(b, chain...)
}

// frame is an Ethernet frame with data as a datagram from port 500 to port 500.
func frame(t testing.TB, data []byte) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{192, 0, 2, 2}}
	udp := &layers.UDP{SrcPort: 500, DstPort: 500}
	require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
	buf := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4},
		ip, udp, gopacket.Payload(data)))
	return buf.Bytes()
}

func TestIKEMessageInAFrame(t *testing.T) {
	idi := []byte{0, 0, 0, 8, 1, 2, 3, 4}
	data := message(t, 35, idi, discover(t), discover(t))
	packet := gopacket.NewPacket(frame(t, data), layers.LayerTypeEthernet, gopacket.Default)
	require.Nil(t, packet.ErrorLayer())
	ike, ok := packet.ApplicationLayer().(*gopkt.IKEv2)
	require.True(t, ok)
	require.Equal(t, gopkt.LayerTypeIKEv2, ike.LayerType())
	require.Equal(t, data, ike.LayerContents())
	require.Empty(t, ike.LayerPayload())
	require.Equal(t, ikedhcp.SPI(0x1111111111111111), ike.InitiatorSPI)
	require.Equal(t, ikedhcp.SPI(0x2222222222222222), ike.ResponderSPI)
	require.Equal(t, ikedhcp.PayloadType(35), ike.NextPayload)
	require.Equal(t, uint8(0x20), ike.Version)
	require.Equal(t, ikedhcp.IKEAuth, ike.Exchange)
	require.Equal(t, ikedhcp.MessageID(1), ike.MessageID)
	require.False(t, ike.Response())
	require.Len(t, ike.Payloads, 3)
	require.Equal(t, idi[4:], ike.Payloads[0].Body)
	require.Equal(t, [][]byte{discover(t), discover(t)}, ike.Messages)
	require.NoError(t, ike.MessageErr)
}

func TestOtherPayloadTypeByCodec(t *testing.T) {
	chain, err := ikedhcp.Payload{Body: discover(t)}.AppendBinary(nil)
	require.NoError(t, err)
	data := message(t, 222, chain)
	var ike gopkt.IKEv2
	require.NoError(t, ike.DecodeFromBytes(data, gopacket.NilDecodeFeedback))
	require.Empty(t, ike.Messages)
	ike.Codec.Type = 222
	require.NoError(t, ike.DecodeFromBytes(data, gopacket.NilDecodeFeedback))
	require.Len(t, ike.Messages, 1)
}

func TestMalformedDHCPDoesNotHideTheMessage(t *testing.T) {
	data := message(t, 0, nil, discover(t), []byte{1, 2, 3}, discover(t))
	var ike gopkt.IKEv2
	require.NoError(t, ike.DecodeFromBytes(data, gopacket.NilDecodeFeedback))
	require.Len(t, ike.Payloads, 3)
	require.Len(t, ike.Messages, 2)
	var pe *ikedhcp.ParseError
	require.ErrorAs(t, ike.MessageErr, &pe)
	require.Equal(t, ikedhcp.ErrTruncated, pe.Err)
	at := ike.Payloads[1].Offset + gopkt.HeaderLen
	require.GreaterOrEqual(t, pe.Offset, at, "offsets count from the start of the IKE message")
	require.LessOrEqual(t, pe.Offset, at+4+3)
	require.Contains(t, ike.String(), "DHCP payload: malformed: ")
}

func TestMalformed(t *testing.T) {
	good := message(t, 0, nil, discover(t))
	changed := func(at int, v byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = v
		return b
	}
	for name, data := range map[string][]byte{
		"IKEv1":                        changed(17, 0x10),
		"Length too small":             changed(27, good[27]-1),
		"Length of four gigabytes":     changed(24, 0xff),
		"a payload length beyond it":   changed(30, 0xff),
		"a payload length that lacks":  changed(31, good[31]-1),
		"more payloads than there are": changed(28, 200),
	} {
		refused(t, name, data)
	}
	for n := range good {
		refused(t, "cut short", good[:n])
	}
}

func refused(t *testing.T, name string, data []byte) {
	t.Helper()
	ike := gopkt.IKEv2{MessageID: 7, Messages: [][]byte{{1}}, Payloads: []ikedhcp.Payload{{Type: 1}}}
	err := ike.DecodeFromBytes(data, gopacket.NilDecodeFeedback)
	var pe *ikedhcp.ParseError
	require.ErrorAs(t, err, &pe, name)
	require.LessOrEqual(t, pe.Offset, len(data), name)
	require.GreaterOrEqual(t, pe.Offset, 0, name)
	require.Zero(t, ike.MessageID, "%s: something of the last message remains", name)
	require.Empty(t, ike.Payloads, name)
	require.Empty(t, ike.Messages, name)
	if len(data) > 0 {
		require.NotNil(t, gopacket.NewPacket(data, gopkt.LayerTypeIKEv2, gopacket.Default).ErrorLayer(), name)
	}
}

func TestString(t *testing.T) {
	var ike gopkt.IKEv2
	require.NoError(t, ike.DecodeFromBytes(message(t, 0, nil, discover(t)), gopacket.NilDecodeFeedback))
	require.Equal(t, "IKE_AUTH request 1 SPIi 1111111111111111 SPIr 2222222222222222 private(200)(300) "+
		"DHCPDISCOVER xid 0x5eed0001 hops 0 ciaddr 0.0.0.0 yiaddr 0.0.0.0 giaddr 0.0.0.0 chaddr 02 00 00 00 00 01", ike.String())
}

func TestReuseDoesNotAllocate(t *testing.T) {
	var ethernet layers.Ethernet
	var ip layers.IPv4
	var udp layers.UDP
	var ike gopkt.IKEv2
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &ethernet, &ip, &udp, &ike)
	var decoded []gopacket.LayerType
	data := frame(t, message(t, 35, []byte{0, 0, 0, 8, 1, 2, 3, 4}, discover(t)))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := parser.DecodeLayers(data, &decoded); err != nil {
			panic(err)
		}
	}))
	require.Equal(t, gopkt.LayerTypeIKEv2, decoded[len(decoded)-1])
	require.Len(t, ike.Messages, 1)
}
