package gopkt_test

import (
	"fmt"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"dhcpsec.example/certopt/gopkt"
)

// The certificate options of a Reply on its way through a relay agent.
func Example() {
	gopkt.Register() // instead of gopacket's own DHCPv6 layer

	packet := gopacket.NewPacket(relayedReply(), layers.LayerTypeEthernet, gopacket.NoCopy)
	dhcp, ok := packet.Layer(gopkt.LayerTypeDHCPv6).(*gopkt.DHCPv6)
	if !ok {
		fmt.Println(packet.ErrorLayer())
		return
	}
	for _, relay := range dhcp.Relays {
		fmt.Println(relay.Type, "for", relay.PeerAddress)
	}
	fmt.Println(dhcp.Message)
	if dhcp.CertOptionsErr != nil {
		fmt.Println(dhcp.CertOptionsErr) // the message is as good as without them
		return
	}
	fmt.Println(dhcp.CertOptions)
	// Output:
	// Relay-reply for fe80::1
	// Reply xid=010203 client-id=00030001020000000001 IA_PD(iaid=1 t1=1000 t2=2000 2001:db8:1::/56 pref=3000 valid=4000) 65001(19)
	// ca-pointer="https://ca.example/"
}
