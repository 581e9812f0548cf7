package dhcp6_test

import (
	"fmt"
	"net/netip"

	"dhcpsec.example/internal/dhcp6"
)

// A delegating router answers a message that came through relay agents.
func Example() {
	packet := relayedSolicit()

	relays, m, err := dhcp6.Unwrap(packet, nil)
	if err != nil {
		fmt.Println("dropped:", err)
		return
	}
	fmt.Println(m)

	clientID, _ := m.Options.ClientID()
	w := dhcp6.NewBuilder(nil, dhcp6.Advertise, m.TransactionID)
	w.Option(dhcp6.OptionClientID, clientID)
	w.Option(dhcp6.OptionServerID, []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 9})
	for ia, err := range m.Options.IAPDs() {
		if err != nil {
			continue // this one is lost, the message is not
		}
		w.BeginIAPD(ia.IAID, 1800, 2880)
		w.IAPrefix(3600, 7200, netip.MustParsePrefix("2001:db8:8000:100::/56"))
		w.End()
	}
	advertise, err := w.Bytes()
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := dhcp6.AppendRelayReply(nil, relays, advertise)
	if err != nil {
		fmt.Println(err)
		return
	}
	relay, err := dhcp6.ParseRelay(answer)
	fmt.Println(relay, err)
	// Output:
	// Solicit xid=0a0b0c client-id=00030001020000000001 oro=82 IA_PD(iaid=1 t1=0 t2=0 ::/56 pref=0 valid=0)
	// Relay-reply hop=0 link=2001:db8::1 peer=fe80::c interface-id="port 3" [Advertise xid=0a0b0c client-id=00030001020000000001 server-id=00030001020000000009 IA_PD(iaid=1 t1=1800 t2=2880 2001:db8:8000:100::/56 pref=3600 valid=7200)] <nil>
}

func relayedSolicit() []byte {
	w := dhcp6.NewBuilder(nil, dhcp6.Solicit, dhcp6.TransactionID{10, 11, 12})
	w.Option(dhcp6.OptionClientID, []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1})
	w.ORO(dhcp6.OptionSolMaxRT)
	w.BeginIAPD(1, 0, 0)
	w.IAPrefix(0, 0, netip.MustParsePrefix("::/56")) // a wish for a /56
	w.End()
	solicit, err := w.Bytes()
	if err != nil {
		panic(err)
	}
	r := dhcp6.NewRelayBuilder(nil, dhcp6.Relay{
		Type:        dhcp6.RelayForward,
		LinkAddress: netip.MustParseAddr("2001:db8::1"),
		PeerAddress: netip.MustParseAddr("fe80::c"),
	})
	r.Option(dhcp6.OptionInterfaceID, []byte("port 3"))
	r.Option(dhcp6.OptionRelayMessage, solicit)
	forward, err := r.Bytes()
	if err != nil {
		panic(err)
	}
	return forward
}
