package ikedhcp

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

func TestNewRelayRefuses(t *testing.T) {
	for name, spoil := range map[string]func(c *RelayConfig){
		"no giaddr":               func(c *RelayConfig) { c.GIAddr = netip.Addr{} },
		"an IPv6 giaddr":          func(c *RelayConfig) { c.GIAddr = ip("2001:db8::1") },
		"a broadcast giaddr":      func(c *RelayConfig) { c.GIAddr = ip("255.255.255.255") },
		"an IPv6 server":          func(c *RelayConfig) { c.Servers = []netip.AddrPort{netip.MustParseAddrPort("[::1]:67")} },
		"a server without port":   func(c *RelayConfig) { c.Servers = []netip.AddrPort{netip.AddrPortFrom(here, 0)} },
		"a wait of 99 ms":         func(c *RelayConfig) { c.WaitTime = 99 * time.Millisecond },
		"a wait of 31 s":          func(c *RelayConfig) { c.WaitTime = 31 * time.Second },
		"replies before the wait": func(c *RelayConfig) { c.ReplyTime = time.Second },
		"less than no offers":     func(c *RelayConfig) { c.Offers = -1 },
		"a negative setup time":   func(c *RelayConfig) { c.SetupTime = -1 },
		"a negative alias time":   func(c *RelayConfig) { c.AliasTime = -1 },
		"299 octets":              func(c *RelayConfig) { c.MaxSize = 299 },
		"1473 octets":             func(c *RelayConfig) { c.MaxSize = 1473 },
		"no SAs":                  func(c *RelayConfig) { c.MaxSAs = -1 },
		"no transactions":         func(c *RelayConfig) { c.MaxTransactions = -1 },
		"nothing early":           func(c *RelayConfig) { c.MaxEarly = -1 },
		"nothing held":            func(c *RelayConfig) { c.MaxHeld = -1 },
		"256 held":                func(c *RelayConfig) { c.MaxHeld = 256 },
	} {
		cfg := RelayConfig{GIAddr: giaddr}
		spoil(&cfg)
		_, err := NewRelay(cfg)
		require.Error(t, err, name)
	}
}

func TestConfigIsCopied(t *testing.T) {
	servers := []netip.AddrPort{server}
	g := newGateway(t, func(c *RelayConfig) { c.Servers = servers })
	servers[0] = second
	g.open(alice, "alice")
	require.Equal(t, []netip.AddrPort{server}, only(t, g.request(alice, fromClient(1, dhcp4.Discover)), ActionToServer).To)
}

// A client is not trusted to say where its message comes from, nor whose address
// it has.
func TestClientMessagesThatAreNotRelayed(t *testing.T) {
	requested := addrOption(dhcp4.OptionRequestedIPAddress, there)
	spoil := func(change func(b []byte)) []byte {
		b := fromClient(1, dhcp4.Discover)
		change(b)
		return b
	}
	overloaded := fromClient(1, dhcp4.Discover, option(dhcp4.OptionOverload, 1))
	copy(overloaded[108:], "\x52\x02\x01\x00\xff")
	for _, tc := range []struct {
		name   string
		msg    []byte
		reason Reason
	}{
		{"nothing", nil, ReasonMalformed},
		{"no DHCP message", []byte("?"), ReasonMalformed},
		{"too much", make([]byte, 1473), ReasonTooLarge},
		{"a reply", spoil(func(b []byte) { b[0] = 2 }), ReasonMessageType},
		{"an OFFER", fromClient(1, dhcp4.Offer), ReasonMessageType},
		{"a lease query", fromClient(1, 10), ReasonMessageType},
		{"BOOTP", spoil(func(b []byte) { clear(b[240:243]) }), ReasonMessageType},
		{"a giaddr", fromClient(1, dhcp4.Discover, header(func(h *dhcp4.Header) { h.GIAddr = ip("10.9.9.9") })), ReasonRelayed},
		{"the gateway's giaddr", fromClient(1, dhcp4.Discover, header(func(h *dhcp4.Header) { h.GIAddr = giaddr })), ReasonRelayed},
		{"an option 82", fromClient(1, dhcp4.Discover, option(dhcp4.OptionRelayAgentInfo, 1, 1, 7)), ReasonRelayed},
		{"an empty option 82", fromClient(1, dhcp4.Discover, option(dhcp4.OptionRelayAgentInfo)), ReasonRelayed},
		{"an option 82 in file", overloaded, ReasonRelayed},
		{"five hops", fromClient(1, dhcp4.Discover, header(func(h *dhcp4.Header) { h.Hops = 5 })), ReasonRelayed},
		{"somebody's ciaddr in RENEW", fromClient(1, dhcp4.Request, ciaddr(there)), ReasonAddress},
		{"somebody's ciaddr in RELEASE", fromClient(1, dhcp4.Release, ciaddr(there)), ReasonAddress},
		{"somebody's ciaddr in INFORM", fromClient(1, dhcp4.Inform, ciaddr(there)), ReasonAddress},
		{"somebody's ciaddr in DECLINE", fromClient(1, dhcp4.Decline, ciaddr(there), addrOption(dhcp4.OptionRequestedIPAddress, here)), ReasonAddress},
		{"somebody's address in DECLINE", fromClient(1, dhcp4.Decline, requested), ReasonAddress},
		{"RELEASE of no address", fromClient(1, dhcp4.Release), ReasonAddress},
		{"DECLINE of no address", fromClient(1, dhcp4.Decline), ReasonAddress},
		{"DECLINE of half an address", fromClient(1, dhcp4.Decline, option(dhcp4.OptionRequestedIPAddress, 10, 0)), ReasonAddress},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGateway(t)
			g.leased(alice, "alice", here)
			g.leased(bob, "bob", there)
			acts, err := g.tryRequest(alice, tc.msg)
			requireDrop(t, tc.reason, err)
			require.Equal(t, []ActionKind{ActionRespond}, kinds(acts), "the IKE request is answered all the same")
			require.Equal(t, here, g.address(alice))
			require.Equal(t, there, g.address(bob))
			require.Equal(t, uint64(1), g.relay.Stats()[tc.reason])
		})
	}
	t.Run("an address that the SA does not have", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		for _, msg := range [][]byte{
			fromClient(1, dhcp4.Release, ciaddr(here)), fromClient(1, dhcp4.Request, ciaddr(here)),
			fromClient(1, dhcp4.Decline, addrOption(dhcp4.OptionRequestedIPAddress, here)),
			fromClient(1, dhcp4.Decline, addrOption(dhcp4.OptionRequestedIPAddress, ip("0.0.0.0"))),
		} {
			_, err := g.tryRequest(alice, msg)
			requireDrop(t, ReasonAddress, err)
		}
	})
	t.Run("one bad message among good ones", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		acts, err := g.tryRequest(alice, []byte("?"), fromClient(1, dhcp4.Discover))
		requireDrop(t, ReasonMalformed, err)
		require.Equal(t, []ActionKind{ActionToServer}, kinds(acts))
	})
	t.Run("more than eight", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		var nine [][]byte
		for xid := range uint32(9) {
			nine = append(nine, fromClient(xid, dhcp4.Discover))
		}
		acts, err := g.tryRequest(alice, nine...)
		requireDrop(t, ReasonTooMany, err)
		require.Len(t, acts, 8)
	})
}

// Nothing is relayed for somebody who has not proven who he is.
func TestNothingIsRelayedBeforeAuthenticated(t *testing.T) {
	g := newGateway(t)
	require.NoError(t, g.relay.OpenSA(g.now, alice))
	require.Equal(t, []ActionKind{ActionRespond}, kinds(g.request(alice, fromClient(1, dhcp4.Discover))), "a round of EAP")
	require.Equal(t, []ActionKind{ActionRespond}, kinds(g.request(alice)), "another one")
	_, err := g.tryRequest(alice, fromClient(2, dhcp4.Discover, header(func(h *dhcp4.Header) { h.GIAddr = giaddr })))
	requireDrop(t, ReasonRelayed, err)
	_, err = g.relay.Established(g.now, alice, nil)
	requireDrop(t, ReasonState, err)

	acts := g.authenticated(alice, "alice", relayinfo.Fields{})
	relayed := only(t, acts, ActionToServer).Data
	require.Equal(t, uint32(1), parsed(relayed).XID(), "what was held is relayed now")
	require.Empty(t, g.request(alice), "the request that authenticated waits for the reply")
	require.Equal(t, []dhcp4.MessageType{dhcp4.Offer}, types(only(t, g.reply(answerTo(relayed, dhcp4.Offer, here)), ActionRespond).Messages))
}

func TestEarlyMessagesAreBounded(t *testing.T) {
	g := newGateway(t, func(c *RelayConfig) { c.MaxEarly = 1 })
	require.NoError(t, g.relay.OpenSA(g.now, alice))
	require.NoError(t, g.relay.OpenSA(g.now, bob))
	for xid := range uint32(maxOpen) {
		g.request(alice, fromClient(xid, dhcp4.Discover))
	}
	_, err := g.tryRequest(alice, fromClient(9, dhcp4.Discover))
	requireDrop(t, ReasonTooMany, err)
	_, err = g.tryRequest(bob, fromClient(1, dhcp4.Discover))
	requireDrop(t, ReasonTooMany, err)
	require.Len(t, g.authenticated(alice, "alice", relayinfo.Fields{}), maxOpen)
	g.request(bob, fromClient(1, dhcp4.Discover))
	g.close(bob)
	require.NoError(t, g.relay.OpenSA(g.now, bob))
	g.request(bob, fromClient(1, dhcp4.Discover)) // there is room again
}

func TestAuthenticatedRefuses(t *testing.T) {
	g := newGateway(t, func(c *RelayConfig) { c.SourcePort = true })
	require.NoError(t, g.relay.OpenSA(g.now, alice))
	for name, tc := range map[string]struct {
		identity string
		fields   relayinfo.Fields
	}{
		"no identity":          {"", relayinfo.Fields{}},
		"a long identity":      {strings.Repeat("a", MaxIdentity+1), relayinfo.Fields{}},
		"a circuit id":         {"alice", relayinfo.Fields{CircuitID: []byte{1}}},
		"flags":                {"alice", relayinfo.Fields{Flags: new(relayinfo.Flags)}},
		"a server-id override": {"alice", relayinfo.Fields{ServerIDOverride: here}},
		"a source port":        {"alice", relayinfo.Fields{SourcePort: true}},
		"a circuit id, hidden": {"alice", relayinfo.Fields{Other: []relayinfo.SubOption{{Code: 1}}}},
		"an IPv6 link":         {"alice", relayinfo.Fields{LinkSelection: ip("2001:db8::")}},
		"244 octets":           {"alice", relayinfo.Fields{RemoteID: make([]byte, 242)}},
	} {
		acts, err := g.relay.Authenticated(g.now, alice, []byte(tc.identity), tc.fields, nil)
		require.Error(t, err, name)
		require.Empty(t, acts, name)
	}
	g.authenticated(alice, "alice", relayinfo.Fields{RemoteID: make([]byte, 241)}) // it is open still
	require.Len(t, must(relayinfo.Find(g.relayed(alice, fromClient(1, dhcp4.Discover)))).Bytes(), relayinfo.MaxBody)

	_, err := g.relay.Authenticated(g.now, alice, []byte("bob"), relayinfo.Fields{}, nil)
	requireDrop(t, ReasonState, err) // an identity does not change
	_, err = g.relay.Authenticated(g.now, bob, []byte("bob"), relayinfo.Fields{}, nil)
	requireDrop(t, ReasonUnknownSA, err)
}

func TestSubOptions(t *testing.T) {
	g := newGateway(t, func(c *RelayConfig) { c.ServerIDOverride, c.RelayFlags, c.SourcePort = true, true, true })
	require.NoError(t, g.relay.OpenSA(g.now, alice))
	g.authenticated(alice, "alice", relayinfo.Fields{
		RemoteID: []byte("r"), SubscriberID: "alice", LinkSelection: ip("10.0.0.0"), VSS: &relayinfo.VSS{Type: relayinfo.VSSName, Info: []byte("red")},
	})
	info := must(relayinfo.Find(g.relayed(alice, fromClient(1, dhcp4.Discover))))
	require.Equal(t, giaddr, must(info.ServerIDOverride()), "RFC 5107: renewals come back through the relay")
	require.Equal(t, relayinfo.Flags(0), must(info.Flags()), "RFC 5010: in every option 82, and not known to be unicast")
	require.True(t, must(info.SourcePort()), "RFC 8357")
	require.Equal(t, ip("10.0.0.0"), must(info.LinkSelection()))
	require.Equal(t, "r", string(must(info.RemoteID())))
	require.Equal(t, "alice", string(must(info.SubscriberID())))
	require.Equal(t, "red", string(must(info.VSS()).Info))
}

// A client cannot have its message relayed without option 82 by padding it.
func TestOption82ThatDoesNotFit(t *testing.T) {
	g := newGateway(t, func(c *RelayConfig) { c.MaxSize, c.XIDMap = 400, true })
	g.open(alice, "alice")
	msg := fromClient(1, dhcp4.Discover)
	acts, err := g.tryRequest(alice, append(msg, make([]byte, 389-len(msg))...))
	requireDrop(t, ReasonTooLarge, err)
	require.Equal(t, []ActionKind{ActionRespond}, kinds(acts))
	g.relayed(alice, append(msg, make([]byte, 388-len(msg))...)) // 12 octets of option 82
}

// The ACK to a renewal comes after the RELEASE, when the address is another's.
func TestAReleaseEndsTheRequestUnderWay(t *testing.T) {
	g := newGateway(t)
	g.leased(alice, "alice", here)
	renewal := g.relayed(alice, fromClient(9, dhcp4.Request, ciaddr(here)))
	only(t, g.request(alice, fromClient(10, dhcp4.Release, ciaddr(here))), ActionClearAddress)
	g.leased(bob, "bob", here)
	_, err := g.tryReply(answerTo(renewal, dhcp4.ACK, here))
	requireDrop(t, ReasonUnanswerable, err)
	require.Equal(t, here, g.address(bob))
}

// A client may have no hardware address, only a client identifier.
func TestAnEmptyChaddr(t *testing.T) {
	g := newGateway(t, func(c *RelayConfig) { c.XIDMap, c.ReleaseOnClose = true, true })
	g.open(alice, "alice")
	g.open(bob, "bob")
	none := header(func(h *dhcp4.Header) { h.CHAddr = nil })
	toAlice := g.relayed(alice, fromClient(1, dhcp4.Request, none))
	toBob := g.relayed(bob, fromClient(1, dhcp4.Request)) // the same xid, with a chaddr
	require.Equal(t, bob, only(t, g.reply(without82(answerTo(toBob, dhcp4.ACK, there))), ActionRespond).SPI)
	require.Equal(t, alice, only(t, g.reply(without82(answerTo(toAlice, dhcp4.ACK, here))), ActionRespond).SPI)
	require.Empty(t, parsed(only(t, g.close(alice), ActionToServer).Data).CHAddr())
}

func TestEveryRequestIsAnsweredOnce(t *testing.T) {
	t.Run("a retransmission is not answered twice", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		g.relayed(alice, fromClient(1, dhcp4.Discover))
		acts, err := g.relay.HandleRequest(g.now, alice, g.id, [][]byte{fromClient(1, dhcp4.Discover)}, nil)
		requireDrop(t, ReasonDuplicate, err)
		require.Empty(t, acts)
		require.Equal(t, g.id, only(t, g.wait(DefaultWaitTime), ActionRespond).MessageID)
	})
	t.Run("a second request has the first one answered", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		g.relayed(alice, fromClient(1, dhcp4.Discover))
		acts := g.request(alice, fromClient(2, dhcp4.Discover))
		require.Equal(t, []ActionKind{ActionRespond, ActionToServer}, kinds(acts))
		require.Equal(t, g.id-1, acts[0].MessageID)
		require.Equal(t, g.id, only(t, g.wait(DefaultWaitTime), ActionRespond).MessageID)
	})
	t.Run("RELEASE and DECLINE have no reply to wait for", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		require.Equal(t, []ActionKind{ActionClearAddress, ActionToServer, ActionRespond},
			kinds(g.request(alice, fromClient(9, dhcp4.Release, ciaddr(here)))))
		require.False(t, g.address(alice).IsValid())

		g.leased(bob, "bob", here)
		require.Equal(t, []ActionKind{ActionClearAddress, ActionToServer, ActionRespond},
			kinds(g.request(bob, fromClient(9, dhcp4.Decline, addrOption(dhcp4.OptionRequestedIPAddress, here)))))
		require.False(t, g.address(bob).IsValid())
	})
	t.Run("an INFORMATIONAL without DHCP is answered at once", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		g.relayed(alice, fromClient(9, dhcp4.Request, ciaddr(here)))
		only(t, g.wait(DefaultWaitTime), ActionRespond)
		require.Equal(t, []ActionKind{ActionRespond}, kinds(g.request(alice)))
	})
	t.Run("a poll waits for what is under way", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
		only(t, g.wait(DefaultWaitTime), ActionRespond)
		require.Empty(t, g.request(alice))
		only(t, g.reply(answerTo(relayed, dhcp4.Offer, here)), ActionRespond)
	})
	t.Run("a retransmission over DHCP takes the reply that is held", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
		only(t, g.wait(DefaultWaitTime), ActionRespond)
		g.reply(answerTo(relayed, dhcp4.Offer, here))
		acts := g.request(alice, fromClient(1, dhcp4.Discover))
		require.Equal(t, []ActionKind{ActionToServer, ActionRespond}, kinds(acts))
		require.Len(t, acts[1].Messages, 1)
	})
	t.Run("a held OFFER is not what a REQUEST waits for", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
		only(t, g.wait(DefaultWaitTime), ActionRespond)
		g.reply(answerTo(relayed, dhcp4.Offer, here))
		relayed = g.relayed(alice, fromClient(1, dhcp4.Request))
		require.Equal(t, []dhcp4.MessageType{dhcp4.Offer, dhcp4.ACK}, types(only(t, g.reply(answerTo(relayed, dhcp4.ACK, here)), ActionRespond).Messages))
	})
	t.Run("not after the SA is closed", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
		require.Empty(t, g.close(alice))
		require.Empty(t, g.wait(time.Hour))
		_, err := g.tryReply(answerTo(relayed, dhcp4.Offer, here))
		requireDrop(t, ReasonUnknownSA, err)
	})
}

// RFC 7296 section 3.15.4: INTERNAL_ADDRESS_FAILURE.
func TestAnSAWithoutAddressIsRefusedInTheEnd(t *testing.T) {
	g := newGateway(t)
	g.open(alice, "alice")
	g.now = g.now.Add(DefaultSetupTime - DefaultWaitTime - 1)
	g.relayed(alice, fromClient(1, dhcp4.Discover))
	only(t, g.wait(DefaultWaitTime), ActionRespond) // a nanosecond before
	g.wait(1)
	g.relayed(alice, fromClient(2, dhcp4.Discover))
	refusal := only(t, g.wait(DefaultWaitTime), ActionRefuse)
	require.Equal(t, alice, refusal.SPI)
	require.Equal(t, g.id, refusal.MessageID)
	relayed := g.relayed(alice, fromClient(3, dhcp4.Request))
	require.Equal(t, []ActionKind{ActionSetAddress, ActionRespond}, kinds(g.reply(answerTo(relayed, dhcp4.ACK, here))), "an address that comes at last is used")
}

func TestAReplyTooLateIsDropped(t *testing.T) {
	g := newGateway(t)
	g.leased(alice, "alice", here)
	relayed := g.relayed(alice, fromClient(9, dhcp4.Request, ciaddr(here)))
	g.wait(DefaultWaitTime)
	g.now = start.Add(DefaultReplyTime)
	_, err := g.tryReply(answerTo(relayed, dhcp4.ACK, here))
	requireDrop(t, ReasonUnanswerable, err)

	relayed = g.relayed(alice, fromClient(10, dhcp4.Request, ciaddr(here)))
	g.wait(DefaultReplyTime - 1)
	g.reply(answerTo(relayed, dhcp4.ACK, here))
}

// RFC 4039: an ACK to a DISCOVER, if both have the Rapid Commit option.
func TestRapidCommit(t *testing.T) {
	rapid := option(dhcp4.OptionRapidCommit)
	g := newGateway(t)
	g.open(alice, "alice")
	relayed := g.relayed(alice, fromClient(2, dhcp4.Discover))
	_, err := g.tryReply(answerTo(relayed, dhcp4.ACK, here, rapid))
	requireDrop(t, ReasonUnanswerable, err)
	relayed = g.relayed(alice, fromClient(1, dhcp4.Discover, rapid))
	_, err = g.tryReply(answerTo(relayed, dhcp4.ACK, here))
	requireDrop(t, ReasonUnanswerable, err)
	require.Equal(t, []ActionKind{ActionSetAddress, ActionRespond}, kinds(g.reply(answerTo(relayed, dhcp4.ACK, here, rapid))))
}

// Of several servers, those that a REQUEST is not for should be silent (RFC 2131
// section 3.1). Not all are.
func TestTheServerThatWasNotChosenIsNotHeard(t *testing.T) {
	sid := func(a netip.AddrPort) part { return addrOption(dhcp4.OptionServerIdentifier, a.Addr()) }
	g := newGateway(t)
	g.open(alice, "alice")
	relayed := g.relayed(alice, fromClient(1, dhcp4.Request, sid(second)))
	for _, typ := range []dhcp4.MessageType{dhcp4.NAK, dhcp4.ACK} {
		_, err := g.tryReply(answerTo(relayed, typ, there)) // from the first server
		requireDrop(t, ReasonUnanswerable, err)
	}
	h := dhcp4.Header{Op: dhcp4.BootReply, HType: 31, XID: 1, GIAddr: giaddr, YIAddr: here, CHAddr: parsed(relayed).CHAddr()}
	info := option(dhcp4.OptionRelayAgentInfo, must(relayinfo.Find(relayed)).Bytes()...)
	require.Equal(t, []ActionKind{ActionSetAddress, ActionRespond}, kinds(g.reply(build(h, dhcp4.ACK, sid(second), info))))

	relayed = g.relayed(alice, fromClient(2, dhcp4.Request)) // for any
	g.reply(answerTo(relayed, dhcp4.ACK, here))
}

func TestLeases(t *testing.T) {
	t.Run("end", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		acts := g.requireDeadline(time.Hour)
		require.Equal(t, []ActionKind{ActionClearAddress, ActionLeaseExpired}, kinds(acts))
		require.Equal(t, alice, acts[1].SPI)
		require.Equal(t, here, acts[1].Address)
		require.False(t, g.address(alice).IsValid())
	})
	t.Run("end in their order", func(t *testing.T) {
		g := newGateway(t)
		for i, seconds := range []uint32{50, 20, 40, 10, 30, 60} {
			spi := alice + SPI(i)
			g.open(spi, "alice")
			g.reply(answerTo(g.relayed(spi, fromClient(1, dhcp4.Request)), dhcp4.ACK, netip.AddrFrom4([4]byte{10, 0, 0, byte(seconds)}), leaseTime(seconds)))
			g.established(spi)
		}
		g.close(alice + 2)
		for _, seconds := range []byte{10, 20, 30, 50, 60} {
			deadline, _ := g.relay.Deadline()
			acts := g.requireDeadline(deadline.Sub(g.now))
			require.Equal(t, netip.AddrFrom4([4]byte{10, 0, 0, seconds}), only(t, acts, ActionLeaseExpired).Address)
		}
		_, armed := g.relay.Deadline()
		require.False(t, armed)
	})
	t.Run("for ever", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		acts := g.reply(answerTo(g.relayed(alice, fromClient(1, dhcp4.Request)), dhcp4.ACK, here, leaseTime(0xffffffff)))
		require.Zero(t, only(t, acts, ActionSetAddress).Lease)
		_, armed := g.relay.Deadline()
		require.False(t, armed)
	})
	t.Run("for ever, if the ACK does not say", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Request))
		h := dhcp4.Header{Op: dhcp4.BootReply, HType: 31, XID: 1, GIAddr: giaddr, YIAddr: here, CHAddr: parsed(relayed).CHAddr()}
		info := option(dhcp4.OptionRelayAgentInfo, must(relayinfo.Find(relayed)).Bytes()...)
		require.Zero(t, only(t, g.reply(build(h, dhcp4.ACK, info)), ActionSetAddress).Lease)
	})
	t.Run("a NAK changes nothing", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		g.reply(answerTo(g.relayed(alice, fromClient(9, dhcp4.Request, ciaddr(here))), dhcp4.NAK, netip.Addr{}))
		require.Equal(t, here, g.address(alice))
	})
}

func TestRekeyed(t *testing.T) {
	const next = alice + 0x100
	t.Run("the new SPI is the circuit id", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		require.NoError(t, g.relay.Rekeyed(g.now, alice, next))
		relayed := g.relayed(next, fromClient(9, dhcp4.Request, ciaddr(here)))
		require.Equal(t, "\xa1\x1c\xe0\x00\x00\x00\x01\x01", string(must(must(relayinfo.Find(relayed)).CircuitID())))
		require.Equal(t, next, only(t, g.reply(answerTo(relayed, dhcp4.ACK, here)), ActionRespond).SPI)
	})
	t.Run("a reply to the old one is still taken", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		relayed := g.relayed(alice, fromClient(9, dhcp4.Request, ciaddr(here)))
		require.NoError(t, g.relay.Rekeyed(g.now, alice, next))
		acts := g.reply(answerTo(relayed, dhcp4.ACK, here))
		require.Equal(t, next, only(t, acts, ActionSetAddress).SPI)
		require.Equal(t, alice, only(t, acts, ActionRespond).SPI, "the request was made under the old SPI")
	})
	t.Run("closing the old one closes nothing", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		require.NoError(t, g.relay.Rekeyed(g.now, alice, next))
		require.Empty(t, g.close(alice))
		require.Equal(t, here, g.address(next))
		require.Equal(t, []ActionKind{ActionClearAddress}, kinds(g.close(next)))
		require.Zero(t, g.relay.Len())
		require.NoError(t, g.relay.OpenSA(g.now, alice), "neither SPI is left")
	})
	t.Run("the old one is forgotten", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		require.NoError(t, g.relay.Rekeyed(g.now, alice, next))
		require.Empty(t, g.requireDeadline(DefaultAliasTime))
		require.False(t, g.address(alice).IsValid())
		require.Equal(t, here, g.address(next))
	})
	t.Run("and so is the one before", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		require.NoError(t, g.relay.Rekeyed(g.now, alice, next))
		require.NoError(t, g.relay.Rekeyed(g.now, next, next+1))
		require.False(t, g.address(alice).IsValid())
		require.Equal(t, here, g.address(next))
		require.Equal(t, 1, g.relay.Len())
	})
	t.Run("refused", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		g.open(bob, "bob")
		require.Error(t, g.relay.Rekeyed(g.now, alice, 0))
		requireDrop(t, ReasonState, g.relay.Rekeyed(g.now, alice, bob))
		requireDrop(t, ReasonState, g.relay.Rekeyed(g.now, alice, alice))
		requireDrop(t, ReasonUnknownSA, g.relay.Rekeyed(g.now, next, next+1))
		require.NoError(t, g.relay.Rekeyed(g.now, alice, next))
		requireDrop(t, ReasonState, g.relay.Rekeyed(g.now, alice, next+1)) // it is an alias now
	})
}

func TestReleaseOnClose(t *testing.T) {
	withRelease := func(c *RelayConfig) { c.ReleaseOnClose = true }
	leased := func(g *gateway, spi SPI) {
		g.open(spi, "alice")
		request := fromClient(1, dhcp4.Request, option(dhcp4.OptionClientIdentifier, 0, 'm', 'e'))
		g.reply(answerTo(g.relayed(spi, request), dhcp4.ACK, here))
		g.established(spi)
	}
	t.Run("the server is told", func(t *testing.T) {
		g := newGateway(t, withRelease)
		leased(g, alice)
		acts := g.close(alice)
		require.Equal(t, []ActionKind{ActionClearAddress, ActionToServer}, kinds(acts))
		m := parsed(acts[1].Data)
		require.Equal(t, dhcp4.Release, m.Type())
		require.Equal(t, here, m.CIAddr())
		require.Equal(t, giaddr, m.GIAddr())
		require.Equal(t, parsed(fromClient(1, dhcp4.Request)).CHAddr(), m.CHAddr())
		require.Equal(t, uint8(31), m.HType())
		id, _ := m.Option(dhcp4.OptionClientIdentifier)
		require.Equal(t, "\x00me", string(id))
		sid, _ := m.Option(dhcp4.OptionServerIdentifier)
		require.Equal(t, server.Addr().AsSlice(), sid)
	})
	t.Run("not while another SA of the client has the address", func(t *testing.T) {
		g := newGateway(t, withRelease)
		leased(g, alice)
		leased(g, alice+1)
		require.Equal(t, []ActionKind{ActionClearAddress}, kinds(g.close(alice)))
		require.Equal(t, []ActionKind{ActionClearAddress, ActionToServer}, kinds(g.close(alice+1)))
	})
	t.Run("not for an address that is gone", func(t *testing.T) {
		g := newGateway(t, withRelease)
		leased(g, alice)
		g.leased(bob, "bob", here)
		require.Empty(t, g.close(alice))
	})
	t.Run("not unless configured", func(t *testing.T) {
		g := newGateway(t)
		leased(g, alice)
		require.Equal(t, []ActionKind{ActionClearAddress}, kinds(g.close(alice)))
	})
}

func TestLimits(t *testing.T) {
	t.Run("SAs", func(t *testing.T) {
		g := newGateway(t, func(c *RelayConfig) { c.MaxSAs = 1 })
		require.NoError(t, g.relay.OpenSA(g.now, alice))
		requireDrop(t, ReasonTooMany, g.relay.OpenSA(g.now, bob))
		g.close(alice)
		require.NoError(t, g.relay.OpenSA(g.now, bob))
		require.Equal(t, 1, g.relay.Len())
	})
	t.Run("SPIs", func(t *testing.T) {
		g := newGateway(t)
		require.Error(t, g.relay.OpenSA(g.now, 0))
		require.NoError(t, g.relay.OpenSA(g.now, alice))
		requireDrop(t, ReasonState, g.relay.OpenSA(g.now, alice))
	})
	t.Run("transactions", func(t *testing.T) {
		g := newGateway(t, func(c *RelayConfig) { c.MaxTransactions = 1 })
		g.open(alice, "alice")
		g.open(bob, "bob")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Request))
		acts, err := g.tryRequest(bob, fromClient(1, dhcp4.Discover))
		requireDrop(t, ReasonTooMany, err)
		require.Equal(t, []ActionKind{ActionRespond}, kinds(acts))
		g.reply(answerTo(relayed, dhcp4.ACK, here))
		g.relayed(bob, fromClient(1, dhcp4.Discover)) // there is room again
	})
	t.Run("a FORCERENEW too many", func(t *testing.T) {
		g := newGateway(t, func(c *RelayConfig) { c.MaxTransactions = 1 })
		g.leased(alice, "alice", here)
		g.open(bob, "bob")
		g.relayed(bob, fromClient(1, dhcp4.Discover))
		_, err := g.intercepted(here, build(dhcp4.Header{Op: dhcp4.BootReply}, forceRenew))
		requireDrop(t, ReasonTooMany, err)
	})
	t.Run("memory that many held replies took is not kept", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		relayed := g.relayed(alice, fromClient(1, dhcp4.Discover))
		g.wait(DefaultWaitTime)
		for range DefaultMaxHeld {
			g.reply(answerTo(relayed, dhcp4.Offer, here, option(224, make([]byte, 255)...), option(225, make([]byte, 255)...), option(226, make([]byte, 255)...)))
		}
		g.close(alice)
		require.Len(t, g.relay.spare, 1)
		require.LessOrEqual(t, cap(g.relay.spare[0].queue.buf), maxSpareBuf)
	})
	t.Run("transactions of one SA: the oldest gives way", func(t *testing.T) {
		g := newGateway(t, func(c *RelayConfig) { c.XIDMap = true })
		g.open(alice, "alice")
		var relayed [][]byte
		for _, xid := range []uint32{0, 1, 2, 3, 0, 4} {
			relayed = append(relayed, only(t, g.request(alice, fromClient(xid, dhcp4.Discover)), ActionToServer).Data)
			g.now = g.now.Add(time.Millisecond)
		}
		_, err := g.tryReply(answerTo(relayed[1], dhcp4.Offer, here)) // the first was renewed by a retransmission
		requireDrop(t, ReasonUnanswerable, err)
		_, err = g.tryReply(without82(answerTo(relayed[1], dhcp4.Offer, here)))
		requireDrop(t, ReasonNoCircuit, err)
		for _, r := range relayed[2:] {
			g.reply(without82(answerTo(r, dhcp4.Offer, here)))
		}
		require.Len(t, g.relay.xids, maxOpen)
		g.close(alice)
		require.Empty(t, g.relay.xids)
	})
}

func TestUnknownSA(t *testing.T) {
	g := newGateway(t)
	_, err := g.tryRequest(alice, fromClient(1, dhcp4.Discover))
	requireDrop(t, ReasonUnknownSA, err)
	_, err = g.relay.Established(g.now, alice, nil)
	requireDrop(t, ReasonUnknownSA, err)
	_, err = g.relay.CloseSA(g.now, alice, nil)
	requireDrop(t, ReasonUnknownSA, err)
	for _, dst := range []netip.Addr{{}, here, ip("2001:db8::1")} {
		_, err = g.intercepted(dst, build(dhcp4.Header{Op: dhcp4.BootReply}, forceRenew))
		requireDrop(t, ReasonUnknownSA, err)
	}
	require.Equal(t, uint64(6), g.relay.Stats()[ReasonUnknownSA])
}

func TestInterceptedRefuses(t *testing.T) {
	reply := dhcp4.Header{Op: dhcp4.BootReply}
	overloaded := build(reply, forceRenew, option(dhcp4.OptionOverload, 1))
	copy(overloaded[108:], "\x52\x02\x01\x00\xff")
	for _, tc := range []struct {
		name   string
		pkt    []byte
		reason Reason
	}{
		{"no DHCP message", []byte("?"), ReasonMalformed},
		{"a request", fromClient(1, dhcp4.Discover), ReasonMessageType},
		{"what is for another relay agent", build(reply, dhcp4.ACK, header(func(h *dhcp4.Header) { h.GIAddr = here })), ReasonGIAddr},
		{"half an option 82", build(reply, forceRenew, option(dhcp4.OptionRelayAgentInfo, 1, 9)), ReasonMalformed},
		{"an option 82 in file, where it cannot be removed", overloaded, ReasonMalformed},
		{"an answer to nothing", build(reply, dhcp4.ACK), ReasonUnanswerable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGateway(t)
			g.leased(alice, "alice", here)
			_, err := g.intercepted(here, tc.pkt)
			requireDrop(t, tc.reason, err)
		})
	}
}

// A server may leave in a direct reply what the request had.
func TestInterceptedIsStripped(t *testing.T) {
	g := newGateway(t)
	g.leased(alice, "alice", here)
	relayed := g.relayed(alice, fromClient(9, dhcp4.Inform, ciaddr(here)))
	reply := answerTo(relayed, dhcp4.ACK, netip.Addr{})
	acts, err := g.intercepted(here, reply)
	require.NoError(t, err)
	require.Equal(t, [][]byte{direct(reply)}, only(t, acts, ActionRespond).Messages)
}

func TestRepliesWithoutAUsableCircuit(t *testing.T) {
	for _, tc := range []struct {
		name   string
		info   []byte
		reason Reason
	}{
		{"no circuit id", []byte{2, 1, 7}, ReasonNoCircuit},
		{"two circuit ids", []byte{1, 0, 1, 0}, ReasonNoCircuit},
		{"a circuit id of seven octets", []byte{1, 7, 1, 2, 3, 4, 5, 6, 7}, ReasonUnknownSA},
		{"another gateway's circuit id", []byte{1, 8, 1, 2, 3, 4, 5, 6, 7, 8}, ReasonUnknownSA},
		{"an empty option", nil, ReasonMalformed},
		{"an overrun", []byte{1, 9, 0}, ReasonMalformed},
	} {
		g := newGateway(t, func(c *RelayConfig) { c.XIDMap = true })
		g.open(alice, "alice")
		g.relayed(alice, fromClient(1, dhcp4.Discover))
		h := dhcp4.Header{Op: dhcp4.BootReply, HType: 31, XID: 1, GIAddr: giaddr, CHAddr: parsed(fromClient(1, dhcp4.Discover)).CHAddr()}
		_, err := g.tryReply(build(h, dhcp4.Offer, option(dhcp4.OptionRelayAgentInfo, tc.info...)))
		requireDrop(t, tc.reason, err)
	}
}

func TestHandleTimeoutIsCapped(t *testing.T) {
	g := newGateway(t)
	const n = maxPerCall + 1
	for i := range n {
		spi := SPI(i + 1)
		g.open(spi, "alice")
		g.relayed(spi, fromClient(1, dhcp4.Discover))
	}
	require.Len(t, g.wait(DefaultWaitTime), maxPerCall)
	at, armed := g.relay.Deadline()
	require.True(t, armed)
	require.False(t, at.After(g.now), "there is more to do now")
	require.Len(t, g.wait(0), 1)
	require.Empty(t, g.wait(0))
}

func TestTimeThatRunsBackStandsStill(t *testing.T) {
	g := newGateway(t)
	g.open(alice, "alice")
	g.relayed(alice, fromClient(1, dhcp4.Discover))
	g.now = start.Add(-time.Hour)
	require.Empty(t, g.wait(0))
	g.open(bob, "bob")
	g.relayed(bob, fromClient(1, dhcp4.Discover))
	g.now = start
	require.Len(t, g.wait(DefaultWaitTime), 2)
}
