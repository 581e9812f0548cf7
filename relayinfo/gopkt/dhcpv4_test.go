package gopkt_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"

	"dhcpsec.example/relayinfo"
	"dhcpsec.example/relayinfo/gopkt"
)

func TestMain(m *testing.M) {
	gopkt.Register()
	os.Exit(m.Run())
}

// frames is the packets of a capture of ours.
func frames(t testing.TB, name string) (all [][]byte) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", name+".pcap"))
	require.NoError(t, err)
	r, err := pcapgo.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	for {
		frame, _, err := r.ReadPacketData()
		if err != nil {
			return all
		}
		all = append(all, frame)
	}
}

func decode(t testing.TB, frame []byte) *gopkt.DHCPv4 {
	t.Helper()
	packet := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	require.Nil(t, packet.ErrorLayer())
	d, ok := packet.Layer(gopkt.LayerTypeDHCPv4).(*gopkt.DHCPv4)
	require.True(t, ok)
	require.Nil(t, packet.Layer(layers.LayerTypeDHCPv4), "gopacket's own layer must not be in use")
	require.Equal(t, packet.ApplicationLayer(), d)
	return d
}

func TestCapturesDecode(t *testing.T) {
	for _, server := range []string{"kea", "dnsmasq", "dhcpd"} {
		all := frames(t, server)
		require.NotEmpty(t, all)
		with := 0
		for _, frame := range all {
			d := decode(t, frame)
			require.Equal(t, frame[14+20+8:], d.LayerContents())
			require.Empty(t, d.LayerPayload())
			require.NoError(t, d.InfoErr)
			require.Equal(t, uint32(0x5eed), d.XID>>16)
			require.Equal(t, []byte{2, 0, 0, 0, 0, 1}, d.CHAddr)
			require.NotZero(t, d.MessageType)
			require.NotEmpty(t, d.Options)
			if d.Info.IsValid() {
				with++
				last := d.Options[len(d.Options)-1]
				require.Equal(t, gopkt.Option{Code: 82, Data: d.Info.Bytes()}, last)
			}
		}
		require.GreaterOrEqual(t, with, 10, server)
	}
}

func TestString(t *testing.T) {
	all := frames(t, "kea")
	require.Equal(t, "DHCPDISCOVER xid 0x5eed0001 hops 0 ciaddr 0.0.0.0 yiaddr 0.0.0.0 giaddr 0.0.0.0 chaddr 02 00 00 00 00 01", decode(t, all[0]).String())
	require.Equal(t, `DHCPDISCOVER xid 0x5eed0001 hops 1 ciaddr 0.0.0.0 yiaddr 0.0.0.0 giaddr 10.77.0.2 chaddr 02 00 00 00 00 01 option 82: circuit-id "spi 0123456789abcdef", remote-id "gateway 1"`, decode(t, all[1]).String())
}

func TestMalformed(t *testing.T) {
	relayed := frames(t, "kea")[1]
	message := relayed[14+20+8:]

	// An option 82 that is no sequence of sub-options does not hide the message.
	bad := slices.Clone(message)
	bad[bytes.Index(bad, []byte("\x01\x14spi"))+1] = 0xff
	var d gopkt.DHCPv4
	require.NoError(t, d.DecodeFromBytes(bad, gopacket.NilDecodeFeedback))
	require.False(t, d.Info.IsValid())
	require.ErrorIs(t, d.InfoErr, relayinfo.ErrTruncated)
	require.Contains(t, d.String(), "option 82: malformed: sub-option length at offset")

	for name, data := range map[string][]byte{
		"nothing":     nil,
		"hlen 228":    slices.Concat(message[:2], []byte{228}, message[3:]),
		"cut options": message[:250],
	} {
		err := d.DecodeFromBytes(data, gopacket.NilDecodeFeedback)
		var pe *relayinfo.ParseError
		require.ErrorAs(t, err, &pe, name)
		require.Equal(t, gopkt.DHCPv4{Options: d.Options}, d, "%s: nothing of the last message may remain", name)
		require.Empty(t, d.Options, name)
		require.Equal(t, "invalid DHCP message", d.String(), name)

		packet := gopacket.NewPacket(data, gopkt.LayerTypeDHCPv4, gopacket.Default)
		if len(data) > 0 {
			require.NotNil(t, packet.ErrorLayer(), name)
			require.Equal(t, name == "cut options", packet.Metadata().Truncated, name)
		}
	}
}

func TestReuseDoesNotAllocate(t *testing.T) {
	var ethernet layers.Ethernet
	var ip layers.IPv4
	var udp layers.UDP
	var dhcp gopkt.DHCPv4
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &ethernet, &ip, &udp, &dhcp)
	var decoded []gopacket.LayerType
	frame := frames(t, "dhcpd")[2]
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := parser.DecodeLayers(frame, &decoded); err != nil {
			panic(err)
		}
	}))
	require.Equal(t, gopkt.LayerTypeDHCPv4, decoded[len(decoded)-1])
	require.True(t, dhcp.Info.IsValid())
}
