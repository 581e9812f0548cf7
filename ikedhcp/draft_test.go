package ikedhcp

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// A test for each sentence of draft-ietf-ipsec-dhcp-over-ike-dhcpd-00 that says
// what to do. K3_14 is sentence 14 of section 3, which the comment quotes.

// "All packets normally sent by the DHCP client are simply intercepted and put
// inside the DHCP payload."
func TestK2_2PacketsOfTheClientArePutIntoPayloads(t *testing.T) {
	for _, typ := range []dhcp4.MessageType{dhcp4.Discover, dhcp4.Request, dhcp4.Release, dhcp4.Decline} {
		c := newHost(t)
		c.ready()
		pkt := fromClient(1, typ)
		require.Equal(t, [][]byte{pkt}, only(t, c.local(pkt), ActionRequest).Messages, "%v", typ)
	}
}

// "If this is during the initial IKE SA creation phase, the the DHCP payloads are
// sent inside the IKE_AUTH packets."
func TestK2_3PayloadsAreInIKEAuthWhileTheSAIsCreated(t *testing.T) {
	c := newHost(t)
	require.Empty(t, c.local(fromClient(1, dhcp4.Discover)), "there is no IKE SA yet")
	a := only(t, c.ready(), ActionRequest)
	require.Equal(t, IKEAuth, a.Exchange)
	require.Equal(t, []dhcp4.MessageType{dhcp4.Discover}, types(a.Messages))
	require.Empty(t, c.response(a.ID))
	require.Equal(t, IKEAuth, only(t, c.local(fromClient(2, dhcp4.Request)), ActionRequest).Exchange)
}

// "If the DHCP packet is intercepted when the IKE SA is already ready, then the
// DHCP payloads are sent as informational exchange."
func TestK2_4PayloadsAreInformationalWhenTheSAStands(t *testing.T) {
	c := newHost(t)
	c.ready()
	require.Empty(t, c.established())
	require.Equal(t, Informational, only(t, c.local(fromClient(1, dhcp4.Request)), ActionRequest).Exchange)
}

// "Informational exchanges MUST NOT be used before the IKE SA creation is finished."
func TestK2_5NoInformationalBeforeTheSAStands(t *testing.T) {
	t.Run("client", func(t *testing.T) {
		c := newHost(t)
		acts := c.ready()
		for xid := range uint32(5) {
			acts = append(acts, c.local(fromClient(xid, dhcp4.Discover))...)
			acts = append(acts, c.response(ID(xid+1))...)
			acts = append(acts, c.wait(DefaultPollTime)...)
		}
		require.NotEmpty(t, acts)
		for _, a := range acts {
			require.Equal(t, IKEAuth, a.Exchange)
		}
	})
	t.Run("gateway", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
		acts := g.reply(answerTo(relayed, dhcp4.Offer, here))
		acts = append(acts, g.reply(answerTo(relayed, dhcp4.Offer, there))...)
		acts = append(acts, g.wait(time.Second)...)
		require.NotContains(t, kinds(acts), ActionInform)
		require.Contains(t, kinds(g.established(alice)), ActionInform, "what is held goes out then")
	})
}

// "replies to the DHCP packets might come as broadcast in some cases (DHCPNAK), and
// to get those working we MUST use DHCP relay processing in the security gateway end."
func TestK2_6ABroadcastNAKComesBackThroughTheRelay(t *testing.T) {
	g := newGateway(t)
	g.open(alice, "alice")
	relayed := g.relayed(alice, fromClient(1, dhcp4.Request, addrOption(dhcp4.OptionRequestedIPAddress, here)))
	nak := answerTo(relayed, dhcp4.NAK, netip.Addr{}, header(func(h *dhcp4.Header) { h.Flags = dhcp4.FlagBroadcast }))
	a := only(t, g.reply(nak), ActionRespond)
	require.Equal(t, []dhcp4.MessageType{dhcp4.NAK}, types(a.Messages))
}

// "Also the actual configuration backend on the other end might not be DHCP server,
// but for example RADIUS server."
func TestK2_7TheBackendNeedNotBeADHCPServer(t *testing.T) {
	g := newGateway(t, func(c *RelayConfig) { c.Servers = []netip.AddrPort{server} })
	s := newResponder(t)
	require.NoError(t, g.relay.OpenSA(g.now, alice))
	g.authenticated(alice, "alice", relayinfo.Fields{SubscriberID: "alice@example.com"})

	ask := only(t, s.message(g.relayed(alice, fromClient(1, dhcp4.Discover))), ActionAssign)
	who := must(ask.Assign.Circuit.SubscriberID())
	require.Equal(t, "alice@example.com", string(who), "RADIUS is asked for somebody by name")
	offer := only(t, s.assigned(ask.ID, here), ActionReply)
	require.Equal(t, server, offer.From)
	require.Equal(t, []dhcp4.MessageType{dhcp4.Offer}, types(only(t, g.reply(offer.Data), ActionRespond).Messages))

	request := fromClient(1, dhcp4.Request, addrOption(dhcp4.OptionRequestedIPAddress, here), addrOption(dhcp4.OptionServerIdentifier, server.Addr()))
	ask = only(t, s.message(g.relayed(alice, request)), ActionAssign)
	acts := g.reply(only(t, s.assigned(ask.ID, here), ActionReply).Data)
	require.Equal(t, []ActionKind{ActionSetAddress, ActionRespond}, kinds(acts))
	require.Equal(t, here, g.address(alice))
}

// "the reply to the information exchange having DHCP payload, might not contain the
// reply to the actual DHCP request, i.e it might be empty, and the reply might be
// sent as separate informational exchange initiated by the security gateway when
// the reply packet is available or during the next reply to IKE_AUTH if the IKE SA
// is not yet ready."
func TestK2_8AResponseMayBeEmptyAndTheReplyComeLater(t *testing.T) {
	t.Run("in an exchange of the gateway", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		relayed := g.relayed(alice, fromClient(9, dhcp4.Request, ciaddr(here)))
		require.Empty(t, only(t, g.wait(DefaultWaitTime), ActionRespond).Messages)
		acts := g.reply(answerTo(relayed, dhcp4.ACK, here))
		require.Equal(t, []dhcp4.MessageType{dhcp4.ACK}, types(only(t, acts, ActionInform).Messages))
	})
	t.Run("in the next response of IKE_AUTH", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
		require.Empty(t, only(t, g.wait(DefaultWaitTime), ActionRespond).Messages)
		require.Empty(t, g.reply(answerTo(relayed, dhcp4.Offer, here)))
		require.Equal(t, []dhcp4.MessageType{dhcp4.Offer}, types(only(t, g.request(alice), ActionRespond).Messages))
	})
	t.Run("at the client", func(t *testing.T) {
		c := newHost(t)
		c.ready()
		c.established()
		request := only(t, c.local(fromClient(1, dhcp4.Request)), ActionRequest)
		require.Empty(t, c.response(request.ID))
		ack := direct(answerTo(fromClient(1, dhcp4.Request), dhcp4.ACK, here))
		acts := c.inform(7, ack)
		require.Equal(t, []ActionKind{ActionEmptyResponse, ActionDeliver}, kinds(acts))
		require.Equal(t, MessageID(7), acts[0].MessageID)
		require.Equal(t, ack, acts[1].Data)
	})
}

// "If the security gateway wants to use existing DHCP server(s) it MUST act as a
// DHCP relay."
func TestK3_1TheGatewayIsARelayAgent(t *testing.T) {
	g := newGateway(t)
	g.open(alice, "alice")
	msg := fromClient(1, dhcp4.Discover)
	a := only(t, g.request(alice, msg), ActionToServer)
	require.Equal(t, []netip.AddrPort{server, second}, a.To)
	require.Equal(t, netip.AddrPortFrom(giaddr, 67), a.From)

	m := parsed(a.Data)
	require.Equal(t, uint8(1), m.Hops(), `RFC 1542 section 4.1.1: "The value of the 'hops' field MUST be incremented"`)
	require.GreaterOrEqual(t, len(a.Data), dhcp4.MinBOOTPLen)
	back := direct(a.Data)
	back[dhcp4.HopsOffset] = 0
	require.Equal(t, msg, back, "all other fields are intact")
}

// "When it receives DHCP payload from the client it MUST set the giaddr field to
// contain one of its own IP addresses, and it SHOULD add DHCP Relay Agent
// Information Option (DHCP option code 82) as last DHCP option just before end option."
func TestK3_2GiaddrIsSetAndOption82IsLast(t *testing.T) {
	g := newGateway(t)
	g.open(alice, "alice")
	relayed := g.relayed(alice, fromClient(1, dhcp4.Discover, option(12, []byte("roadwarrior")...)))
	m := parsed(relayed)
	require.Equal(t, giaddr, m.GIAddr())
	var last dhcp4.Option
	for o := range m.Options() {
		last = o
	}
	require.Equal(t, dhcp4.OptionRelayAgentInfo, last.Code)
	require.Equal(t, dhcp4.OptionEnd, relayed[last.Offset+2+len(last.Data)])
}

// "The Agent Circuit ID Sub-option (sub-option code 1) is filled with the security
// gateways IKE SPI value."
func TestK3_3TheCircuitIDIsTheSPI(t *testing.T) {
	g := newGateway(t)
	g.open(0x0123456789abcdef, "alice")
	relayed := g.relayed(0x0123456789abcdef, fromClient(1, dhcp4.Discover))
	require.Equal(t, "\x01\x08\x01\x23\x45\x67\x89\xab\xcd\xef", string(must(relayinfo.Find(relayed)).Bytes()))
}

// "In some cases the security gateway might put this DHCP relay to its own IP alias
// and use that address in the giaddr field."
func TestK3_4TheGiaddrMayBeAnAlias(t *testing.T) {
	alias := ip("192.0.2.99")
	g := newGateway(t, func(c *RelayConfig) { c.GIAddr, c.Own = alias, []netip.Addr{giaddr} })
	g.open(alice, "alice")
	relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
	require.Equal(t, alias, parsed(relayed).GIAddr())

	_, err := g.tryReply(answerTo(relayed, dhcp4.Offer, here, header(func(h *dhcp4.Header) { h.GIAddr = giaddr })))
	requireDrop(t, ReasonGIAddr, err) // the other DHCP server or relay agent has that address
	only(t, g.reply(answerTo(relayed, dhcp4.Offer, here)), ActionRespond)
}

// "Where the DHCP server does not support the Relay Agent Information Option,
// stateless Relay Agent behavior will not be possible."
func TestK3_6AServerWithoutOption82NeedsTheMap(t *testing.T) {
	g := newGateway(t)
	g.open(alice, "alice")
	relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
	_, err := g.tryReply(without82(answerTo(relayed, dhcp4.Offer, here)))
	requireDrop(t, ReasonNoCircuit, err)
	require.Equal(t, uint64(1), g.relay.Stats()[ReasonNoCircuit])
}

// "In such cases, implementations MAY devise a mapping between the xid, chaddr, and
// IKE SA in order to route the DHCP server response to the appropriate IKE SA."
func TestK3_7TheMapFindsTheSA(t *testing.T) {
	withMap := func(c *RelayConfig) { c.XIDMap, c.SetupTime = true, time.Hour }

	t.Run("each SA gets its own", func(t *testing.T) {
		g := newGateway(t, withMap)
		g.open(alice, "alice")
		g.open(bob, "bob")
		toAlice := g.relayed(alice, fromClient(1, dhcp4.Discover))
		toBob := g.relayed(bob, fromClient(2, dhcp4.Discover))
		require.Equal(t, bob, only(t, g.reply(without82(answerTo(toBob, dhcp4.Offer, there))), ActionRespond).SPI)
		require.Equal(t, alice, only(t, g.reply(without82(answerTo(toAlice, dhcp4.Offer, here))), ActionRespond).SPI)
	})
	t.Run("the first SA keeps its transaction", func(t *testing.T) {
		g := newGateway(t, withMap)
		g.open(alice, "alice")
		g.open(bob, "bob")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
		acts, err := g.tryRequest(bob, fromClient(1, dhcp4.Discover))
		requireDrop(t, ReasonTransactionTaken, err)
		require.Equal(t, []ActionKind{ActionRespond}, kinds(acts), "the second SA's request is answered, but not relayed")
		require.Equal(t, alice, only(t, g.reply(without82(answerTo(relayed, dhcp4.Offer, here))), ActionRespond).SPI)
	})
	t.Run("until it expires", func(t *testing.T) {
		g := newGateway(t, withMap)
		g.open(alice, "alice")
		g.open(bob, "bob")
		g.relayed(alice, fromClient(1, dhcp4.Discover))
		g.wait(DefaultReplyTime - 1)
		_, err := g.tryRequest(bob, fromClient(1, dhcp4.Discover))
		requireDrop(t, ReasonTransactionTaken, err)
		g.now = g.now.Add(1) // not even HandleTimeout is needed
		relayed := g.relayed(bob, fromClient(1, dhcp4.Discover))
		require.Equal(t, bob, only(t, g.reply(without82(answerTo(relayed, dhcp4.Offer, here))), ActionRespond).SPI)
	})
	t.Run("or the SA is closed", func(t *testing.T) {
		g := newGateway(t, withMap)
		g.open(alice, "alice")
		g.open(bob, "bob")
		g.relayed(alice, fromClient(1, dhcp4.Discover))
		g.close(alice)
		g.relayed(bob, fromClient(1, dhcp4.Discover))
	})
	t.Run("a circuit id that is there counts for more", func(t *testing.T) {
		g := newGateway(t, withMap)
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
		reply := answerTo(relayed, dhcp4.Offer, here)
		i := len(reply) - 1
		for reply[i] != byte(alice&0xff) {
			i--
		}
		reply[i]++ // of the SPI in the circuit id
		_, err := g.tryReply(reply)
		requireDrop(t, ReasonUnknownSA, err)
	})
}

// "After sending the request out (either to the configured DHCP server(s) or to
// broadcast address), the security gateway should wait for configurable time
// (default should be few seconds) and collect replies received during that."
func TestK3_9TheGatewayWaitsForReplies(t *testing.T) {
	t.Run("3 seconds", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		g.relayed(alice, fromClient(1, dhcp4.Discover))
		require.Equal(t, []ActionKind{ActionRespond}, kinds(g.requireDeadline(3*time.Second)))
	})
	t.Run("configured", func(t *testing.T) {
		g := newGateway(t, func(c *RelayConfig) { c.WaitTime = 500 * time.Millisecond })
		g.open(alice, "alice")
		g.relayed(alice, fromClient(1, dhcp4.Discover))
		require.Equal(t, []ActionKind{ActionRespond}, kinds(g.requireDeadline(500*time.Millisecond)))
	})
	t.Run("broadcast", func(t *testing.T) {
		g := newGateway(t, func(c *RelayConfig) { c.Servers = nil })
		g.open(alice, "alice")
		a := only(t, g.request(alice, fromClient(1, dhcp4.Discover)), ActionToServer)
		require.Equal(t, []netip.AddrPort{netip.MustParseAddrPort("255.255.255.255:67")}, a.To)
	})
}

// "The security gateway might reply immediately when the first reply is received,
// or it might wait for the full time and send all packets received during that time."
func TestK3_10FirstReplyOrAll(t *testing.T) {
	t.Run("first", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
		require.Len(t, only(t, g.reply(answerTo(relayed, dhcp4.Offer, here)), ActionRespond).Messages, 1)
	})
	t.Run("all", func(t *testing.T) {
		g := newGateway(t, func(c *RelayConfig) { c.Offers = AllOffers })
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
		for range 3 {
			require.Empty(t, g.reply(answerTo(relayed, dhcp4.Offer, here)))
		}
		require.Len(t, only(t, g.requireDeadline(DefaultWaitTime), ActionRespond).Messages, 3)
	})
}

// "It normally is not useful to wait for multiple DHCPACK packets, as there should
// only be exactly one of those."
func TestK3_11AnACKOrNAKEndsTheWait(t *testing.T) {
	for _, typ := range []dhcp4.MessageType{dhcp4.ACK, dhcp4.NAK} {
		g := newGateway(t, func(c *RelayConfig) { c.Offers = AllOffers })
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Request))
		reply := answerTo(relayed, typ, here)
		require.Equal(t, []dhcp4.MessageType{typ}, types(only(t, g.reply(reply), ActionRespond).Messages))
		_, err := g.tryReply(reply)
		requireDrop(t, ReasonUnanswerable, err) // there "should only be exactly one"
	}
}

// "when waiting for the DHCPOFFER packets in environment where there are multiple
// DHCP servers available [...] it might be better to wait for more than one
// DHCPOFFER packet."
func TestK3_12WaitForSeveralOffers(t *testing.T) {
	g := newGateway(t, func(c *RelayConfig) { c.Offers = 2 })
	g.open(alice, "alice")
	relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
	require.Empty(t, g.reply(answerTo(relayed, dhcp4.Offer, here)))
	a := only(t, g.reply(answerTo(relayed, dhcp4.Offer, there)), ActionRespond)
	require.Equal(t, here, parsed(a.Messages[0]).YIAddr())
	require.Equal(t, there, parsed(a.Messages[1]).YIAddr())
}

// "When the security gateway gets DHCP replies back from the network it should use
// the DHCP Relay Agent Information to associate the reply to specific IKE SA."
func TestK3_13TheCircuitIDFindsTheSA(t *testing.T) {
	g := newGateway(t)
	g.open(alice, "alice")
	g.open(bob, "bob")
	same := fromClient(1, dhcp4.Discover) // both chose the same xid and chaddr
	toAlice, toBob := g.relayed(alice, same), g.relayed(bob, same)
	require.Equal(t, bob, only(t, g.reply(answerTo(toBob, dhcp4.Offer, there)), ActionRespond).SPI)
	require.Equal(t, alice, only(t, g.reply(answerTo(toAlice, dhcp4.Offer, here)), ActionRespond).SPI)
}

// "The security gateway MUST remove the DHCP Relay Agent Information Option and set
// the giaddr to 0 before encoding the DHCP packet inside the IKE DHCP payload."
func TestK3_14TheClientSeesNeitherGiaddrNorOption82(t *testing.T) {
	g := newGateway(t)
	g.open(alice, "alice")
	reply := answerTo(g.relayed(alice, fromClient(1, dhcp4.Discover)), dhcp4.Offer, here, option(12, []byte("roadwarrior")...))
	got := only(t, g.reply(reply), ActionRespond).Messages[0]
	m := parsed(got)
	require.False(t, m.Relayed())
	require.Zero(t, m.RelayAgentInfoSize())
	name, _ := m.Option(12)
	require.Equal(t, "roadwarrior", string(name), "nothing else is touched")
	require.Equal(t, here, m.YIAddr())
}

// "it MUST keep at least the last DHCP reply it has received, and send it to the
// client when possible (i.e when the client makes next IKE request)."
func TestK3_15RepliesAreHeldForTheNextRequest(t *testing.T) {
	offers := func(g *gateway, n int) {
		relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
		only(t, g.wait(DefaultWaitTime), ActionRespond)
		for i := range n {
			addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
			require.Empty(t, g.reply(answerTo(relayed, dhcp4.Offer, addr)))
		}
	}
	t.Run("in their order", func(t *testing.T) {
		g := newGateway(t, func(c *RelayConfig) { c.SetupTime = time.Hour })
		g.open(alice, "alice")
		offers(g, 3)
		messages := only(t, g.request(alice), ActionRespond).Messages
		require.Len(t, messages, 3)
		for i, m := range messages {
			require.Equal(t, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), parsed(m).YIAddr())
		}
		g.wait(DefaultReplyTime)
		require.Empty(t, only(t, g.request(alice), ActionRespond).Messages, "and once only")
	})
	t.Run("the last ones, if there are too many", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		offers(g, DefaultMaxHeld+2)
		messages := only(t, g.request(alice), ActionRespond).Messages
		require.Len(t, messages, DefaultMaxHeld)
		require.Equal(t, ip("10.0.0.2"), parsed(messages[0]).YIAddr())
		require.Equal(t, uint64(2), g.relay.Stats()[ReasonHeldFull])
	})
	t.Run("the last one, if there is room for one", func(t *testing.T) {
		g := newGateway(t, func(c *RelayConfig) { c.MaxHeld = 1 })
		g.open(alice, "alice")
		offers(g, 3)
		messages := only(t, g.request(alice), ActionRespond).Messages
		require.Len(t, messages, 1)
		require.Equal(t, ip("10.0.0.2"), parsed(messages[0]).YIAddr())
	})
	t.Run("an ACK before OFFERs", func(t *testing.T) {
		g := newGateway(t, func(c *RelayConfig) { c.MaxHeld = 2 })
		g.open(alice, "alice")
		discover := g.relayed(alice, fromClient(1, dhcp4.Discover))
		request := g.relayed(alice, fromClient(2, dhcp4.Request))
		only(t, g.wait(DefaultWaitTime), ActionRespond)
		require.Equal(t, []ActionKind{ActionSetAddress}, kinds(g.reply(answerTo(request, dhcp4.ACK, here))))
		for range 3 {
			require.Empty(t, g.reply(answerTo(discover, dhcp4.Offer, there)))
		}
		messages := only(t, g.request(alice), ActionRespond).Messages
		require.Equal(t, []dhcp4.MessageType{dhcp4.ACK, dhcp4.Offer}, types(messages))
	})
	t.Run("for as long as the SA lives", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		offers(g, 1)
		g.wait(24 * time.Hour)
		messages := only(t, g.request(alice), ActionRefuse).Messages
		require.Equal(t, []dhcp4.MessageType{dhcp4.Offer}, types(messages), "also with a response that is a refusal")
	})
}

// "Security gateway cannot during the IKE SA creation phase initiate exchanges to
// the client itself, it must wait for the client to drive the exchange."
func TestK3_16TheClientDrivesTheExchange(t *testing.T) {
	t.Run("gateway", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Request))
		only(t, g.wait(DefaultWaitTime), ActionRespond)
		acts := g.reply(answerTo(relayed, dhcp4.ACK, here))
		require.Equal(t, []ActionKind{ActionSetAddress}, kinds(acts))
		require.Empty(t, g.wait(DefaultReplyTime))
	})
	t.Run("client", func(t *testing.T) {
		c := newHost(t)
		c.ready()
		_, err := c.client.HandleInform(c.now, 0, nil, nil)
		requireDrop(t, ReasonState, err)
	})
	t.Run("a client with nothing to say polls", func(t *testing.T) {
		c := newHost(t)
		c.ready()
		request := only(t, c.local(fromClient(1, dhcp4.Discover)), ActionRequest)
		require.Empty(t, c.response(request.ID))
		require.Empty(t, c.wait(DefaultPollTime-1))
		poll := only(t, c.wait(1), ActionRequest)
		require.Equal(t, IKEAuth, poll.Exchange)
		require.Empty(t, poll.Messages)
		offer := direct(answerTo(fromClient(1, dhcp4.Discover), dhcp4.Offer, here))
		only(t, c.response(poll.ID, offer), ActionDeliver)
		_, armed := c.client.Deadline()
		require.False(t, armed, "the local client has its answer")
	})
	t.Run("and not for ever", func(t *testing.T) {
		c := newHost(t)
		c.ready()
		request := only(t, c.local(fromClient(1, dhcp4.Discover)), ActionRequest)
		for range DefaultMaxPolls {
			require.Empty(t, c.response(request.ID))
			request = only(t, c.wait(DefaultPollTime), ActionRequest)
		}
		require.Empty(t, c.response(request.ID))
		_, armed := c.client.Deadline()
		require.False(t, armed)
	})
}

// "After the IKE SA is created then the security gateway can send replies back to
// the client as separate informational exchanges."
func TestK3_17RepliesAreInformationalOnceTheSAStands(t *testing.T) {
	g := newGateway(t)
	g.leased(alice, "alice", here)
	relayed := g.relayed(alice, fromClient(9, dhcp4.Request, ciaddr(here)))
	only(t, g.wait(DefaultWaitTime), ActionRespond)
	a := only(t, g.reply(answerTo(relayed, dhcp4.ACK, here)), ActionInform)
	require.Equal(t, alice, a.SPI)
	require.Equal(t, []dhcp4.MessageType{dhcp4.ACK}, types(a.Messages))
}

// "When security gateway sees DHCPACK it must get the yiaddr from the payload and
// configure that to be the clients IP address."
func TestK3_18AnACKSetsTheAddress(t *testing.T) {
	g := newGateway(t)
	g.open(alice, "alice")
	acts := g.lease(alice, here)
	require.Equal(t, []ActionKind{ActionSetAddress, ActionRespond}, kinds(acts), "the address is set before the client hears of it")
	require.Equal(t, alice, acts[0].SPI)
	require.Equal(t, here, acts[0].Address)
	require.Equal(t, time.Hour, acts[0].Lease)
	require.Equal(t, here, g.address(alice))
}

// "This clients IP address is used during the IKE_AUTH exchange to narrowing the
// TSi selector down to only include clients IP address."
func TestK3_19TheSelectorIsTheAddressAlone(t *testing.T) {
	g := newGateway(t)
	g.open(alice, "alice")
	selector := only(t, g.lease(alice, here), ActionSetAddress).Selector
	require.Equal(t, TrafficSelector{Start: here, End: here}, selector)
	require.Equal(t, "\x07\x00\x00\x10\x00\x00\xff\xff\x0a\x00\x00\x0a\x0a\x00\x00\x0a", string(must(selector.AppendBinary(nil))))
}

// "Security gateway MUST also make sure that if the same client IP address is given
// out to two different entities (== clients IKE SA authenticated IKE identity are
// different) the older one of those IPsec SAs is deleted."
func TestK3_20AnAddressIsOneEntitys(t *testing.T) {
	t.Run("the older entity's SAs are deleted", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		g.leased(alice+1, "alice", here)
		g.open(bob, "bob")
		acts := g.lease(bob, here)
		require.Equal(t, []ActionKind{ActionDeleteSAs, ActionDeleteSAs, ActionSetAddress, ActionRespond}, kinds(acts),
			"before the address is anybody else's, and before the client hears of it")
		require.ElementsMatch(t, []SPI{alice, alice + 1}, []SPI{acts[0].SPI, acts[1].SPI})
		require.Equal(t, here, acts[0].Address)
		require.False(t, g.address(alice).IsValid())
		require.False(t, g.address(alice+1).IsValid())
		require.Equal(t, here, g.address(bob))
		require.NotContains(t, kinds(g.close(alice)), ActionClearAddress, "the address is no longer alice's to clear")
	})
	t.Run("the same entity keeps its SAs", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		g.open(alice+1, "alice")
		require.Equal(t, []ActionKind{ActionSetAddress, ActionRespond}, kinds(g.lease(alice+1, here)))
		require.Equal(t, here, g.address(alice))
		require.Equal(t, here, g.address(alice+1))
	})
	t.Run("identities are compared whole", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "\x02alice", here)
		g.open(bob, "\x03alice") // the same data, as another ID type
		only(t, g.lease(bob, here), ActionDeleteSAs)
	})
}

// "I.e if DHCPACK is received to address which is already associated with some
// other entity, then the old entities IPsec SAs are deleted."
func TestK3_21AnACKAtAnyTimeEvicts(t *testing.T) {
	g := newGateway(t)
	g.leased(alice, "alice", here)
	g.leased(bob, "bob", there)
	relayed := g.relayed(bob, fromClient(9, dhcp4.Request, ciaddr(there)))
	acts := g.reply(answerTo(relayed, dhcp4.ACK, here))
	require.Equal(t, []ActionKind{ActionDeleteSAs, ActionClearAddress, ActionSetAddress, ActionRespond}, kinds(acts))
	require.Equal(t, alice, acts[0].SPI)
	require.Equal(t, there, acts[1].Address, "bob's own old address")
}

// "The DHCP server should be sending the reply packets to the Relay address, i.e to
// the security gateway, but in some cases the DHCP server might also try to send
// the packet directly to the client's IP address (DHCP renewing state, or replies
// to DHCPINFORMs)."
func TestK3_22DirectRepliesAreTaken(t *testing.T) {
	for _, tc := range []struct {
		name string
		msg  []byte
		ack  netip.Addr
		acts []ActionKind
	}{
		{"renewing", fromClient(9, dhcp4.Request, ciaddr(here)), here, []ActionKind{ActionSetAddress, ActionRespond}},
		{"inform", fromClient(9, dhcp4.Inform, ciaddr(here)), netip.Addr{}, []ActionKind{ActionRespond}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGateway(t)
			g.leased(alice, "alice", here)
			relayed := g.relayed(alice, tc.msg)
			acts, err := g.intercepted(here, direct(answerTo(relayed, dhcp4.ACK, tc.ack)))
			require.NoError(t, err)
			require.Equal(t, tc.acts, kinds(acts))
		})
	}
}

// "The security gateway SHOULD try to intercept all DHCP packets going directly to
// clients IP address and encapsulate them inside the DHCP payload in the IKE SA."
func TestK3_23DirectPacketsGoIntoTheIKESA(t *testing.T) {
	g := newGateway(t)
	g.leased(alice, "alice", here)
	relayed := g.relayed(alice, fromClient(9, dhcp4.Inform, ciaddr(here)))
	only(t, g.wait(DefaultWaitTime), ActionRespond)
	ack := direct(answerTo(relayed, dhcp4.ACK, netip.Addr{}))
	acts, err := g.intercepted(here, ack)
	require.NoError(t, err)
	require.Equal(t, [][]byte{ack}, only(t, acts, ActionInform).Messages)

	force := build(dhcp4.Header{Op: dhcp4.BootReply, XID: 77}, forceRenew)
	acts, err = g.intercepted(here, force)
	require.NoError(t, err)
	require.Equal(t, [][]byte{force}, only(t, acts, ActionInform).Messages, "what a server sends unasked, too (RFC 3203)")
}

// "This is never needed for the IKE_AUTH state as the DHCP server will not try to
// send packets directly to the client."
func TestK3_24NothingIsInterceptedDuringIKEAuth(t *testing.T) {
	g := newGateway(t)
	g.open(alice, "alice")
	only(t, g.lease(alice, here), ActionSetAddress)
	relayed := g.relayed(alice, fromClient(9, dhcp4.Request, ciaddr(here)))
	_, err := g.intercepted(here, direct(answerTo(relayed, dhcp4.ACK, here)))
	requireDrop(t, ReasonState, err)
	_, err = g.intercepted(here, build(dhcp4.Header{Op: dhcp4.BootReply}, forceRenew))
	requireDrop(t, ReasonUnanswerable, err)
}

// "As any of those packets going directly to the client cannot have effect to the
// security gateway operations, there is no mandatory requirement [...]"
func TestK3_26DirectPacketsMoveNoAddress(t *testing.T) {
	g := newGateway(t)
	g.leased(alice, "alice", here)
	g.leased(bob, "bob", there)
	relayed := g.relayed(alice, fromClient(9, dhcp4.Request, ciaddr(here)))

	_, err := g.intercepted(here, direct(answerTo(relayed, dhcp4.ACK, there)))
	requireDrop(t, ReasonAddress, err)
	_, err = g.intercepted(there, direct(answerTo(relayed, dhcp4.ACK, there)))
	requireDrop(t, ReasonUnanswerable, err) // bob has asked for nothing
	require.Equal(t, here, g.address(alice))
	require.Equal(t, there, g.address(bob))
}

// "Only packet that could affect the security gateway operations are the DHCPACKs
// which have different IP address than given in previous case, and those packets
// cannot be sent to the client directly."
func TestK3_27AnACKWithANewAddressMovesTheSA(t *testing.T) {
	g := newGateway(t)
	g.leased(alice, "alice", here)
	relayed := g.relayed(alice, fromClient(9, dhcp4.Request, ciaddr(here)))
	acts := g.reply(answerTo(relayed, dhcp4.ACK, there))
	require.Equal(t, []ActionKind{ActionClearAddress, ActionSetAddress, ActionRespond}, kinds(acts))
	require.Equal(t, here, acts[0].Address)
	require.Equal(t, there, acts[1].Address)
	require.Equal(t, there, g.address(alice))
}

// "If client never gets DHCPACK back [...] when in DHCP renewing state, it moves to
// DHCP rebinding state, which uses broadcasts, and the client will get packets through."
func TestK3_28AClientWhoseACKWasLostRebinds(t *testing.T) {
	g := newGateway(t)
	g.leased(alice, "alice", here)
	g.relayed(alice, fromClient(9, dhcp4.Request, ciaddr(here))) // the ACK goes past the gateway
	only(t, g.wait(DefaultWaitTime), ActionRespond)
	g.wait(20 * time.Minute)
	relayed := g.relayed(alice, fromClient(10, dhcp4.Request, ciaddr(here)))
	acts := g.reply(answerTo(relayed, dhcp4.ACK, here))
	require.Equal(t, []ActionKind{ActionSetAddress, ActionRespond}, kinds(acts))
	require.Equal(t, []ActionKind{ActionClearAddress, ActionLeaseExpired}, kinds(g.requireDeadline(time.Hour)), "the lease counts from then")
}

// "The client MUST NOT use DHCPINFORM packets, but use normal DHCP address
// allocation instead."
func TestK3_29TheClientRefusesINFORM(t *testing.T) {
	c := newHost(t)
	c.ready()
	_, err := c.client.HandleLocal(c.now, fromClient(1, dhcp4.Inform), nil)
	requireDrop(t, ReasonInform, err)
}

// "The security gateway does need to support DHCPINFORM processing." Perhaps it
// meant "does not need"; it is relayed, and never sets an address.
func TestK3_30INFORMIsRelayedAndSetsNoAddress(t *testing.T) {
	for _, yiaddr := range []netip.Addr{{}, there} {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		g.leased(bob, "bob", there)
		relayed := g.relayed(alice, fromClient(9, dhcp4.Inform, ciaddr(here)))
		acts := g.reply(answerTo(relayed, dhcp4.ACK, yiaddr))
		require.Equal(t, []ActionKind{ActionRespond}, kinds(acts))
		require.Equal(t, here, g.address(alice))
		require.Equal(t, there, g.address(bob))
	}
}

// "If real DHCP server is used, then the DHCP protocol between security gateway and
// the DHCP server might be vulnerable to different kind of attacks."
func TestK4_1RepliesAreNotBelievedUnchecked(t *testing.T) {
	asIs := func(b []byte) []byte { return b }
	at := func(offset int, xor byte) func([]byte) []byte {
		return func(b []byte) []byte { b[offset] ^= xor; return b }
	}
	for _, tc := range []struct {
		name   string
		src    netip.AddrPort
		typ    dhcp4.MessageType
		yiaddr netip.Addr
		parts  []part
		spoil  func([]byte) []byte
		reason Reason
	}{
		{name: "from somebody else", src: netip.MustParseAddrPort("203.0.113.66:67"), spoil: asIs, reason: ReasonSource},
		{name: "with another xid", spoil: at(7, 1), reason: ReasonUnanswerable},
		{name: "with another chaddr", spoil: at(30, 1), reason: ReasonUnanswerable},
		{name: "with another htype", spoil: at(1, 1), reason: ReasonUnanswerable},
		{name: "with another giaddr", spoil: at(27, 4), reason: ReasonGIAddr},
		{name: "without giaddr", parts: []part{header(func(h *dhcp4.Header) { h.GIAddr = netip.Addr{} })}, spoil: asIs, reason: ReasonGIAddr},
		{name: "that is a request", spoil: at(0, 3), reason: ReasonMessageType},
		{name: "of a type that answers nothing", typ: dhcp4.Offer, spoil: asIs, reason: ReasonUnanswerable},
		{name: "with the gateway's address", yiaddr: giaddr, spoil: asIs, reason: ReasonAddress},
		{name: "with another address of the gateway", yiaddr: ip("192.0.2.2"), spoil: asIs, reason: ReasonAddress},
		{name: "without address", yiaddr: ip("0.0.0.0"), spoil: asIs, reason: ReasonAddress},
		{name: "with a multicast address", yiaddr: ip("224.0.0.1"), spoil: asIs, reason: ReasonAddress},
		{name: "with the broadcast address", yiaddr: ip("255.255.255.255"), spoil: asIs, reason: ReasonAddress},
		{name: "with a lease of no time", parts: []part{leaseTime(0)}, spoil: asIs, reason: ReasonAddress},
		{name: "with half a lease time", parts: []part{option(dhcp4.OptionLeaseTime, 1, 0)}, spoil: asIs, reason: ReasonAddress},
		{name: "of no DHCP message", spoil: func(b []byte) []byte { return b[:100] }, reason: ReasonMalformed},
		{name: "of 1473 octets", spoil: func(b []byte) []byte { return append(b, make([]byte, 1473-len(b))...) }, reason: ReasonTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGateway(t, func(c *RelayConfig) { c.Own = []netip.Addr{ip("192.0.2.2")} })
			g.leased(alice, "alice", here)
			g.open(bob, "bob")
			relayed := g.relayed(bob, fromClient(1, dhcp4.Request))
			if !tc.src.IsValid() {
				tc.src = server
			}
			if !tc.yiaddr.IsValid() {
				tc.yiaddr = here // it would evict alice
			}
			if tc.typ == 0 {
				tc.typ = dhcp4.ACK
			}
			acts, err := g.relay.HandleServer(g.now, tc.src, tc.spoil(answerTo(relayed, tc.typ, tc.yiaddr, tc.parts...)), nil)
			requireDrop(t, tc.reason, err)
			require.Empty(t, acts)
			require.Equal(t, here, g.address(alice), "nobody is evicted")
			only(t, g.reply(answerTo(relayed, dhcp4.ACK, there)), ActionRespond) // and the true reply is still taken
		})
	}
	t.Run("for an SA that has asked for nothing", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		g.open(bob, "bob")
		relayed := g.relayed(alice, fromClient(9, dhcp4.Request, ciaddr(here)))
		forged := answerTo(relayed, dhcp4.ACK, here)
		info := relayinfo.Fields{CircuitID: binary.BigEndian.AppendUint64(nil, uint64(bob))}
		forged = build(dhcp4.Header{Op: dhcp4.BootReply, HType: 31, XID: 9, YIAddr: here, GIAddr: giaddr, CHAddr: parsed(forged).CHAddr()},
			dhcp4.ACK, leaseTime(60), option(dhcp4.OptionRelayAgentInfo, must(info.AppendBinary(nil))...))
		_, err := g.tryReply(forged)
		requireDrop(t, ReasonUnanswerable, err)
		require.Equal(t, here, g.address(alice))
	})
}

// "If the DHCP server is inside the security gateway itself then such attacks are
// not possible."
func TestK4_2TheResponderNeedsNoNetwork(t *testing.T) {
	// Nothing but its own address is a source, and datagrams are never from there.
	g := newGateway(t, func(c *RelayConfig) { c.Servers = []netip.AddrPort{server} })
	s := newResponder(t)
	g.open(alice, "alice")
	ask := only(t, s.message(g.relayed(alice, fromClient(1, dhcp4.Discover))), ActionAssign)
	reply := only(t, s.assigned(ask.ID, here), ActionReply)
	_, err := g.relay.HandleServer(g.now, second, reply.Data, nil)
	requireDrop(t, ReasonSource, err)
	acts, err := g.relay.HandleServer(g.now, reply.From, reply.Data, nil)
	require.NoError(t, err)
	require.Equal(t, []ActionKind{ActionRespond}, kinds(acts))
}
