package gopkt_test

import (
	"fmt"

	"github.com/google/gopacket"

	"dhcpsec.example/ikedhcp/gopkt"
)

// An IKE message whose payloads are not encrypted: an IKE_AUTH response without
// any, as the gateway sends it while the DHCP server has not answered yet.
func Example() {
	datagram := []byte{
		0, 0, 0, 0, 0, 0, 0, 1, // initiator's SPI
		0, 0, 0, 0, 0, 0, 0, 2, // responder's SPI
		0, 0x20, 35, gopkt.FlagResponse, // no payload, version 2.0, IKE_AUTH
		0, 0, 0, 1, // Message ID
		0, 0, 0, 28, // Length
	}
	packet := gopacket.NewPacket(datagram, gopkt.LayerTypeIKEv2, gopacket.Default)
	if ike, ok := packet.Layer(gopkt.LayerTypeIKEv2).(*gopkt.IKEv2); ok {
		fmt.Println(ike)
	}
	// Output:
	// IKE_AUTH response 1 SPIi 0000000000000001 SPIr 0000000000000002
}
