package gopkt_test

import (
	"bytes"
	"fmt"
	"os"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcapgo"

	"dhcpsec.example/relayinfo/gopkt"
)

// The option 82 that a relay agent added, in the second packet of a capture.
func Example() {
	gopkt.Register() // instead of gopacket's own DHCPv4 layer
	data, err := os.ReadFile("../testdata/kea.pcap")
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := pcapgo.NewReader(bytes.NewReader(data))
	if err != nil {
		fmt.Println(err)
		return
	}
	packets := gopacket.NewPacketSource(r, r.LinkType())
	for range 2 {
		packet, err := packets.NextPacket()
		if err != nil {
			fmt.Println(err)
			return
		}
		if dhcp, ok := packet.Layer(gopkt.LayerTypeDHCPv4).(*gopkt.DHCPv4); ok {
			fmt.Println(dhcp.GIAddr, dhcp.Info)
		}
	}
	// Output:
	// 0.0.0.0 no option 82
	// 10.77.0.2 circuit-id "spi 0123456789abcdef", remote-id "gateway 1"
}
