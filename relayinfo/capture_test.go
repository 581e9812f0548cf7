package relayinfo

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/peertest"
)

// packet is one UDP datagram of a capture.
type packet struct {
	src, dst netip.Addr
	data     []byte
}

func readCapture(t testing.TB, path string) (packets []packet) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	r, err := pcapgo.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	for {
		frame, _, err := r.ReadPacketData()
		if err == io.EOF {
			return packets
		}
		require.NoError(t, err)
		// Our messages never meet gopacket's DHCP layers: only the headers are decoded.
		var ethernet layers.Ethernet
		var ip layers.IPv4
		var udp layers.UDP
		require.NoError(t, ethernet.DecodeFromBytes(frame, gopacket.NilDecodeFeedback))
		require.NoError(t, ip.DecodeFromBytes(ethernet.Payload, gopacket.NilDecodeFeedback))
		require.NoError(t, udp.DecodeFromBytes(ip.Payload, gopacket.NilDecodeFeedback))
		src, _ := netip.AddrFromSlice(ip.SrcIP)
		dst, _ := netip.AddrFromSlice(ip.DstIP)
		packets = append(packets, packet{src, dst, udp.Payload})
	}
}

func writeCapture(t testing.TB, path string, messages ...[]byte) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	w := pcapgo.NewWriter(f)
	require.NoError(t, w.WriteFileHeader(1<<16, layers.LinkTypeEthernet))
	for _, msg := range messages {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4(192, 0, 2, 1), DstIP: net.IPv4(192, 0, 2, 53)}
		udp := &layers.UDP{SrcPort: 67, DstPort: 67}
		require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
		ethernet := &layers.Ethernet{SrcMAC: hardware, DstMAC: hardware, EthernetType: layers.EthernetTypeIPv4}
		buf := gopacket.NewSerializeBuffer()
		require.NoError(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ethernet, ip, udp, gopacket.Payload(msg)))
		require.NoError(t, w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(buf.Bytes()), Length: len(buf.Bytes())}, buf.Bytes()))
	}
}

// TestCaptures replays what passed a relay agent between a client and three
// servers (testdata, written by the interop test of examples/relay4 -capture):
// Insert and Strip must make the same octets of it again.
func TestCaptures(t *testing.T) {
	for _, server := range []string{"kea", "dnsmasq", "dhcpd"} {
		t.Run(server, func(t *testing.T) {
			packets := readCapture(t, filepath.Join("testdata", server+".pcap"))
			relay := netip.MustParseAddr("10.77.0.2")
			var sent Info
			requests, replies, without := 0, 0, 0
			for i, p := range packets {
				switch relay {
				case p.src: // to the server: made of the packet before
					info, err := Find(p.data)
					if err != nil {
						require.Equal(t, ErrAbsent, err)
						without++
					}
					sent = info
					out, _, err := Insert(nil, packets[i-1].data, &Config{GIAddr: relay, Info: info})
					require.NoError(t, err)
					require.Equal(t, p.data, out, "packet %d", i)
					requests++
				case p.dst: // from the server: the packet behind is made of it
					require.NoError(t, Match(p.data, &Config{GIAddr: relay, Info: sent}), "packet %d", i)
					out, _, err := Strip(nil, p.data)
					require.NoError(t, err)
					require.Equal(t, packets[i+1].data, out, "packet %d", i)
					replies++
				}
			}
			require.Equal(t, 8, requests)
			require.GreaterOrEqual(t, replies, 6)
			require.Equal(t, 1, without)
		})
	}
}

// TestInteropTshark compares what Insert writes with what tshark reads.
func TestInteropTshark(t *testing.T) {
	tshark := peertest.Need(t, "tshark", "tshark")
	largest, err := Fields{CircuitID: bytes.Repeat([]byte{0xaa}, 253)}.Info()
	require.NoError(t, err)
	infos := []Info{allFields(t), fiveSubOptions(t), largest, parse(t, "02 00 01 00"), parse(t, "01 01 aa 01 01 bb c8 02 cccc")}
	requests := [][]byte{
		discover(t), buildOpen(t, dhcp4.Header{Op: dhcp4.BootRequest}, messageType(dhcp4.Request)),
		request(t, messageType(dhcp4.Inform), option{dhcp4.OptionOverload, []byte{3}}),
	}
	copy(requests[2][108:], []byte{12, 1, 'f', 255})
	copy(requests[2][44:], []byte{15, 1, 's', 255})
	var messages [][]byte
	var want []string // one line a message
	for _, info := range infos {
		for _, msg := range requests {
			out, outcome, err := Insert(nil, msg, &Config{GIAddr: giaddr, Info: info})
			require.NoError(t, err)
			require.Equal(t, Added, outcome)
			messages = append(messages, out)
			want = append(want, strings.Join(append([]string{"", "1", giaddr.String()}, asTsharkSays(info)...), "|"))
		}
	}
	path := filepath.Join(t.TempDir(), "requests.pcap")
	writeCapture(t, path, messages...)
	args := []string{"-r", path, "-T", "fields", "-E", "separator=|", "-E", "occurrence=a", "-e", "_ws.malformed", "-e", "dhcp.hops", "-e", "dhcp.ip.relay"}
	for _, field := range []string{
		"suboption", "value", "agent_circuit_id", "agent_remote_id", "docsis_device_class", "link_selection", "subscriber_id",
		"radius_attributes", "vi.enterprise", "flags", "server_id_override", "relay_agent_id",
	} {
		args = append(args, "-e", "dhcp.option.agent_information_option."+field)
	}
	out, err := exec.Command(tshark, args...).Output()
	require.NoError(t, err)
	require.Equal(t, want, strings.Split(strings.TrimRight(string(out), "\n"), "\n"))
}

// asTsharkSays is the sub-options of info as the columns that TestInteropTshark asks for.
func asTsharkSays(info Info) []string {
	bytes := func(b []byte) string {
		if len(b) == 0 {
			return "<MISSING>" // tshark's word for bytes of which there are none
		}
		return hex.EncodeToString(b)
	}
	var codes, values, circuits, remotes []string
	columns := make([]string, 8)
	for code, value := range info.All() {
		codes = append(codes, strconv.Itoa(int(code)))
		values = append(values, bytes(value))
		switch code {
		case CodeCircuitID:
			circuits = append(circuits, bytes(value))
		case CodeRemoteID:
			remotes = append(remotes, bytes(value))
		case CodeVendorSpecific:
			vendors, _ := info.VendorSpecific()
			var enterprises []string
			for enterprise, data := range vendors.All() {
				enterprises = append(enterprises, strconv.Itoa(int(enterprise)))
				values = append(values, bytes(data))
			}
			columns[4] = strings.Join(enterprises, ",")
		}
	}
	if v, err := info.DeviceClass(); err == nil {
		columns[0] = fmt.Sprintf("0x%08x", v)
	}
	if v, err := info.LinkSelection(); err == nil {
		columns[1] = v.String()
	}
	if v, err := info.SubscriberID(); err == nil {
		columns[2] = string(v)
	}
	if v, err := info.RADIUSAttributes(); err == nil {
		columns[3] = bytes(v.Bytes())
	}
	if v, err := info.Flags(); err == nil {
		columns[5] = fmt.Sprintf("0x%02x", uint8(v))
	}
	if v, err := info.ServerIDOverride(); err == nil {
		columns[6] = v.String()
	}
	if v, err := info.RelayID(); err == nil {
		columns[7] = bytes(v)
	}
	join := func(s []string) string { return strings.Join(s, ",") }
	return append([]string{join(codes), join(values), join(circuits), join(remotes)}, columns...)
}
