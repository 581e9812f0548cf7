package ikedhcp_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/relayinfo"
)

// A gateway with its own address pool: what the Relay sends to a server goes to the
// Responder, and what that replies goes back.
func Example() {
	gateway := netip.MustParseAddr("192.0.2.1")
	backend := netip.MustParseAddr("192.0.2.2")
	relay, err := ikedhcp.NewRelay(ikedhcp.RelayConfig{
		GIAddr:  gateway,
		Servers: []netip.AddrPort{netip.AddrPortFrom(backend, 67)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	responder, err := ikedhcp.NewResponder(ikedhcp.ResponderConfig{ServerID: backend})
	if err != nil {
		fmt.Println(err)
		return
	}

	now := time.Now()
	type input func(acts []ikedhcp.Action) ([]ikedhcp.Action, error)
	perform := func(todo ...input) {
		for len(todo) > 0 {
			acts, err := todo[0](nil)
			todo = todo[1:]
			if err != nil {
				fmt.Println(err) // ignored, and counted
			}
			// All actions of one call are performed before the next call, since
			// that may overwrite what they point to: hence a list, and copies.
			for _, a := range acts {
				data := bytes.Clone(a.Data)
				switch a.Kind {
				case ikedhcp.ActionToServer: // or a datagram to each of a.To
					todo = append(todo, func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
						return responder.HandleMessage(now, data, acts)
					})
				case ikedhcp.ActionAssign: // or a question to RADIUS
					address := ikedhcp.Assignment{Address: netip.MustParseAddr("10.0.0.10"), Lease: time.Hour}
					todo = append(todo, func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
						return responder.HandleAssigned(now, a.ID, address, acts)
					})
				case ikedhcp.ActionReply:
					todo = append(todo, func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
						return relay.HandleServer(now, a.From, data, acts)
					})
				case ikedhcp.ActionSetAddress:
					fmt.Println("narrow TSi to", a.Selector, "for", a.Lease)
				case ikedhcp.ActionRespond:
					fmt.Println("answer request", a.MessageID, "with", len(a.Messages), "DHCP payloads")
				}
			}
		}
	}

	const spi = 0x0123456789abcdef
	if err := relay.OpenSA(now, spi); err != nil {
		fmt.Println(err)
	}
	alice := []byte("\x03alice@example.com")
	perform(func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		return relay.Authenticated(now, spi, alice, relayinfo.Fields{SubscriberID: "alice"}, acts)
	})
	perform(func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		return relay.HandleRequest(now, spi, 1, [][]byte{discover()}, acts)
	})
	perform(func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		return relay.HandleRequest(now, spi, 2, [][]byte{request("10.0.0.10")}, acts)
	})
	perform(func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		return relay.Established(now, spi, acts)
	})
	fmt.Println(relay.Address(spi))
	// Output:
	// answer request 1 with 1 DHCP payloads
	// narrow TSi to 10.0.0.10-10.0.0.10 for 1h0m0s
	// answer request 2 with 1 DHCP payloads
	// 10.0.0.10 true
}

// The remote-access client: packets of the local DHCP client become requests.
func ExampleClient() {
	client, err := ikedhcp.NewClient(ikedhcp.ClientConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Now()
	show := func(acts []ikedhcp.Action, err error) {
		if err != nil {
			fmt.Println(err)
		}
		for _, a := range acts {
			fmt.Println(a.Kind, a.ID, a.Exchange, len(a.Messages))
		}
	}
	show(client.HandleLocal(now, discover(), nil)) // there is no IKE SA yet
	show(client.Ready(now, nil))
	show(client.HandleLocal(now, request("10.0.0.10"), nil)) // waits for the first response
	show(client.HandleResponse(now, 1, nil, nil))
	show(client.Established(now, nil))
	show(client.HandleResponse(now, 2, nil, nil))
	show(client.HandleLocal(now, request("10.0.0.10"), nil))
	// Output:
	// Request 1 IKE_AUTH 1
	// Request 2 IKE_AUTH 1
	// Request 3 INFORMATIONAL 1
}

// DHCP payloads in the plaintext of an SK payload, written and read.
func ExampleCodec() {
	// The peer's IKE_SA_INIT message had our Vendor ID.
	var gate ikedhcp.Gate
	for p, err := range ikedhcp.Payloads(ikedhcp.PayloadV, ikedhcp.AppendVendorID(nil, ikedhcp.NoNextPayload)) {
		if err != nil {
			fmt.Println(err)
			return
		}
		gate.Observe(p)
	}

	var codec ikedhcp.Codec
	chain, first, err := codec.AppendPayloads(nil, gate, ikedhcp.InRequest, ikedhcp.NoNextPayload, nil, discover(), request("10.0.0.10"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("Next Payload of SK:", first)
	for message, err := range codec.Messages(gate, first, chain) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("a DHCP message of", len(message), "octets")
	}
	// Output:
	// Next Payload of SK: private(200)
	// a DHCP message of 300 octets
	// a DHCP message of 300 octets
}
