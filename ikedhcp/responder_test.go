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

// backend drives a Responder and its clock.
type backend struct {
	t         testing.TB
	responder *Responder
	now       time.Time
}

func newResponder(t testing.TB) *backend {
	return &backend{t: t, responder: must(NewResponder(ResponderConfig{ServerID: server.Addr()})), now: start}
}

func (s *backend) message(pkt []byte) []Action {
	s.t.Helper()
	acts, err := s.responder.HandleMessage(s.now, pkt, nil)
	require.NoError(s.t, err)
	return taken(acts)
}

func (s *backend) assigned(id ID, addr netip.Addr, options ...Option) []Action {
	s.t.Helper()
	acts, err := s.responder.HandleAssigned(s.now, id, Assignment{Address: addr, Lease: time.Hour, Options: options}, nil)
	require.NoError(s.t, err)
	return taken(acts)
}

// relayedBy makes a message as the Relay passes it on.
func relayedBy(msg []byte, fields relayinfo.Fields) []byte {
	fields.CircuitID = binary.BigEndian.AppendUint64(nil, uint64(alice))
	out, _, err := relayinfo.Insert(nil, msg, &relayinfo.Config{GIAddr: giaddr, Info: must(fields.Info())})
	return must(out, err)
}

func TestResponderAnswers(t *testing.T) {
	sid := addrOption(dhcp4.OptionServerIdentifier, server.Addr())
	wants := addrOption(dhcp4.OptionRequestedIPAddress, here)
	for _, tc := range []struct {
		name    string
		msg     []byte
		purpose Purpose
		assign  netip.Addr
		reply   dhcp4.MessageType
	}{
		{"DISCOVER", fromClient(1, dhcp4.Discover), PurposeOffer, here, dhcp4.Offer},
		{"DISCOVER that hints at another address", fromClient(1, dhcp4.Discover, wants), PurposeOffer, there, dhcp4.Offer},
		{"REQUEST, selecting", fromClient(1, dhcp4.Request, sid, wants), PurposeLease, here, dhcp4.ACK},
		{"REQUEST, selecting, but the offer is gone", fromClient(1, dhcp4.Request, sid, wants), PurposeLease, there, dhcp4.NAK},
		{"REQUEST, init-reboot", fromClient(1, dhcp4.Request, wants), PurposeLease, here, dhcp4.ACK},
		{"REQUEST, init-reboot, with an address of old", fromClient(1, dhcp4.Request, wants), PurposeLease, there, dhcp4.NAK},
		{"REQUEST, renewing", fromClient(1, dhcp4.Request, ciaddr(here)), PurposeLease, here, dhcp4.ACK},
		{"REQUEST, renewing, refused", fromClient(1, dhcp4.Request, ciaddr(here)), PurposeLease, netip.Addr{}, dhcp4.NAK},
		{"INFORM", fromClient(1, dhcp4.Inform, ciaddr(here)), PurposeInform, netip.Addr{}, dhcp4.ACK},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newResponder(t)
			relayed := relayedBy(tc.msg, relayinfo.Fields{})
			ask := only(t, s.message(relayed), ActionAssign)
			require.Equal(t, tc.purpose, ask.Assign.Purpose)
			require.Equal(t, alice, ask.Assign.SPI())

			var acts []Action
			if tc.purpose == PurposeLease && !tc.assign.IsValid() {
				var err error
				acts, err = s.responder.HandleRefused(s.now, ask.ID, nil)
				require.NoError(t, err)
			} else {
				acts = s.assigned(ask.ID, tc.assign)
			}
			reply := only(t, acts, ActionReply)
			require.Equal(t, []netip.AddrPort{netip.AddrPortFrom(giaddr, 67)}, reply.To)
			m, q := parsed(reply.Data), parsed(relayed)
			require.Equal(t, tc.reply, m.Type())

			// RFC 2131 section 4.3.1, table 3.
			require.Equal(t, dhcp4.BootReply, m.Op())
			require.Equal(t, q.XID(), m.XID())
			require.Equal(t, q.HType(), m.HType())
			require.Equal(t, q.CHAddr(), m.CHAddr())
			require.Equal(t, giaddr, m.GIAddr())
			require.Zero(t, m.Hops())
			id, _ := m.Option(dhcp4.OptionServerIdentifier)
			require.Equal(t, server.Addr().AsSlice(), id)
			_, leased := m.Option(dhcp4.OptionLeaseTime)
			require.Equal(t, tc.purpose != PurposeInform && tc.reply != dhcp4.NAK, leased, "option 51 is in an OFFER and in the ACK to a REQUEST alone")
			if leased {
				require.Equal(t, tc.assign, m.YIAddr())
			} else {
				require.Equal(t, netip.IPv4Unspecified(), m.YIAddr())
			}
			require.Equal(t, tc.reply == dhcp4.NAK, m.Flags()&dhcp4.FlagBroadcast != 0, "RFC 2131 section 4.3.2")
			require.Equal(t, must(relayinfo.Find(relayed)), must(relayinfo.Find(reply.Data)), `RFC 3046 section 2.2: "SHALL echo the entire contents"`)
		})
	}
}

func TestResponderRELEASEAndDECLINE(t *testing.T) {
	sid := addrOption(dhcp4.OptionServerIdentifier, server.Addr())
	s := newResponder(t)
	acts := s.message(relayedBy(fromClient(1, dhcp4.Release, sid, ciaddr(here)), relayinfo.Fields{}))
	require.Equal(t, []ActionKind{ActionFree}, kinds(acts))
	require.Equal(t, here, acts[0].Address)
	acts = s.message(relayedBy(fromClient(1, dhcp4.Release, sid, ciaddr(here), addrOption(dhcp4.OptionRequestedIPAddress, there)), relayinfo.Fields{}))
	require.Equal(t, here, only(t, acts, ActionFree).Address, "option 50 does not name what is released")
	acts = s.message(relayedBy(fromClient(1, dhcp4.Decline, sid, addrOption(dhcp4.OptionRequestedIPAddress, here)), relayinfo.Fields{}))
	require.Equal(t, []ActionKind{ActionDeclined}, kinds(acts))
	require.Equal(t, here, acts[0].Address)
	require.Equal(t, alice, acts[0].Assign.SPI())
}

func TestResponderOptions(t *testing.T) {
	options := []Option{{1, []byte{255, 255, 255, 0}}, {6, []byte{192, 0, 2, 53}}, {15, []byte("example.com")}}
	codes := func(reply []byte) (list []uint8) {
		for o := range parsed(reply).Options() {
			list = append(list, o.Code)
		}
		return list
	}
	answer := func(parts ...part) []byte {
		s := newResponder(t)
		ask := only(t, s.message(relayedBy(fromClient(1, dhcp4.Discover, parts...), relayinfo.Fields{})), ActionAssign)
		return only(t, s.assigned(ask.ID, here, options...), ActionReply).Data
	}
	t.Run("all, to a client that has no list", func(t *testing.T) {
		require.Equal(t, []uint8{53, 54, 51, 1, 6, 15, 82}, codes(answer()))
	})
	t.Run("those that the client asks for", func(t *testing.T) {
		require.Equal(t, []uint8{53, 54, 51, 6, 82}, codes(answer(option(dhcp4.OptionParameterRequestList, 42, 6))))
	})
	t.Run("the client identifier comes back (RFC 6842 3)", func(t *testing.T) {
		reply := answer(option(dhcp4.OptionClientIdentifier, 0, 'm', 'e'))
		id, _ := parsed(reply).Option(dhcp4.OptionClientIdentifier)
		require.Equal(t, "\x00me", string(id))
	})
	t.Run("what does not fit is left out", func(t *testing.T) {
		options = []Option{{120, make([]byte, 200)}, {121, make([]byte, 200)}, {6, []byte{192, 0, 2, 53}}}
		reply := answer()
		require.Equal(t, []uint8{53, 54, 51, 120, 6, 82}, codes(reply))
		require.LessOrEqual(t, len(reply), 548, "576 octets with IP and UDP headers (RFC 2131 section 2)")
		require.Equal(t, []uint8{53, 54, 51, 120, 121, 6, 82}, codes(answer(option(dhcp4.OptionMaxMessageSize, 5, 220))))
	})
	t.Run("a lease for ever", func(t *testing.T) {
		s := newResponder(t)
		ask := only(t, s.message(relayedBy(fromClient(1, dhcp4.Discover), relayinfo.Fields{})), ActionAssign)
		acts, err := s.responder.HandleAssigned(s.now, ask.ID, Assignment{Address: here}, nil)
		require.NoError(t, err)
		lease, _ := parsed(only(t, acts, ActionReply).Data).Option(dhcp4.OptionLeaseTime)
		require.Equal(t, []byte{255, 255, 255, 255}, lease)
	})
	t.Run("the server-id override is the server identifier (RFC 5107 4)", func(t *testing.T) {
		s := newResponder(t)
		override := relayinfo.Fields{ServerIDOverride: giaddr}
		ask := only(t, s.message(relayedBy(fromClient(1, dhcp4.Discover), override)), ActionAssign)
		reply := only(t, s.assigned(ask.ID, here), ActionReply)
		id, _ := parsed(reply.Data).Option(dhcp4.OptionServerIdentifier)
		require.Equal(t, giaddr.AsSlice(), id)
		require.Equal(t, server, reply.From, "it is still the configured server to the Relay")
		selecting := fromClient(1, dhcp4.Request, addrOption(dhcp4.OptionRequestedIPAddress, here), addrOption(dhcp4.OptionServerIdentifier, giaddr))
		only(t, s.message(relayedBy(selecting, override)), ActionAssign)
	})
}

func TestResponderAsksOnceForARetransmission(t *testing.T) {
	s := newResponder(t)
	relayed := relayedBy(fromClient(1, dhcp4.Discover), relayinfo.Fields{})
	ask := only(t, s.message(relayed), ActionAssign)
	_, err := s.responder.HandleMessage(s.now, relayed, nil)
	requireDrop(t, ReasonDuplicate, err)
	only(t, s.assigned(ask.ID, here), ActionReply)
	_, err = s.responder.HandleAssigned(s.now, ask.ID, Assignment{Address: here}, nil)
	requireDrop(t, ReasonStale, err)
	require.NotEqual(t, ask.ID, only(t, s.message(relayed), ActionAssign).ID)
}

func TestResponderGivesUp(t *testing.T) {
	s := newResponder(t)
	ask := only(t, s.message(relayedBy(fromClient(1, dhcp4.Request, ciaddr(here)), relayinfo.Fields{})), ActionAssign)
	at, armed := s.responder.Deadline()
	require.True(t, armed)
	require.Equal(t, DefaultAssignTime, at.Sub(s.now))
	s.responder.HandleTimeout(at.Add(-1), nil)
	_, armed = s.responder.Deadline()
	require.True(t, armed, "one nanosecond before the deadline")
	s.responder.HandleTimeout(at, nil)
	_, armed = s.responder.Deadline()
	require.False(t, armed)
	_, err := s.responder.HandleRefused(s.now, ask.ID, nil)
	requireDrop(t, ReasonStale, err)
}

func TestResponderRefuses(t *testing.T) {
	other := addrOption(dhcp4.OptionServerIdentifier, second.Addr())
	for _, tc := range []struct {
		name   string
		pkt    []byte
		reason Reason
	}{
		{"no DHCP message", []byte("?"), ReasonMalformed},
		{"too much", make([]byte, 1473), ReasonTooLarge},
		{"a reply", build(dhcp4.Header{Op: dhcp4.BootReply, GIAddr: giaddr}, dhcp4.Discover), ReasonMessageType},
		{"what was not relayed", fromClient(1, dhcp4.Discover), ReasonGIAddr},
		{"an OFFER", relayedBy(fromClient(1, dhcp4.Offer), relayinfo.Fields{}), ReasonMessageType},
		{"a REQUEST for another server", relayedBy(fromClient(1, dhcp4.Request, other, ciaddr(here)), relayinfo.Fields{}), ReasonServerID},
		{"a REQUEST for no address", relayedBy(fromClient(1, dhcp4.Request), relayinfo.Fields{}), ReasonMalformed},
		{"half a server identifier", relayedBy(fromClient(1, dhcp4.Request, option(dhcp4.OptionServerIdentifier, 1, 2)), relayinfo.Fields{}), ReasonMalformed},
		{"half a requested address", relayedBy(fromClient(1, dhcp4.Request, option(dhcp4.OptionRequestedIPAddress, 1, 2)), relayinfo.Fields{}), ReasonMalformed},
		{
			"half an option 82", fromClient(1, dhcp4.Discover, header(func(h *dhcp4.Header) { h.GIAddr = giaddr }), option(dhcp4.OptionRelayAgentInfo, 1, 9)),
			ReasonMalformed,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newResponder(t)
			acts, err := s.responder.HandleMessage(s.now, tc.pkt, nil)
			requireDrop(t, tc.reason, err)
			require.Empty(t, acts)
		})
	}
	t.Run("more than MaxPending", func(t *testing.T) {
		s := must(NewResponder(ResponderConfig{ServerID: server.Addr(), MaxPending: 1}))
		_, err := s.HandleMessage(start, relayedBy(fromClient(1, dhcp4.Discover), relayinfo.Fields{}), nil)
		require.NoError(t, err)
		_, err = s.HandleMessage(start, relayedBy(fromClient(2, dhcp4.Discover), relayinfo.Fields{}), nil)
		requireDrop(t, ReasonTooMany, err)
	})
	t.Run("more than one IKE SA may have under way", func(t *testing.T) {
		s := must(NewResponder(ResponderConfig{ServerID: server.Addr()}))
		ask := func(xid uint32, subscriber string) error {
			_, err := s.HandleMessage(start, relayedBy(fromClient(xid, dhcp4.Discover), relayinfo.Fields{SubscriberID: subscriber}), nil)
			return err
		}
		const one, other = "one", "other"
		for xid := range uint32(maxPerCircuit) {
			require.NoError(t, ask(xid, one))
		}
		requireDrop(t, ReasonTooMany, ask(99, one))
		require.NoError(t, ask(99, other), "nobody else suffers")
		at, _ := s.Deadline()
		s.HandleTimeout(at, nil)
		require.NoError(t, ask(100, one))
		require.Len(t, s.circuits, 1, "what is over is not counted")
	})
	t.Run("an offer is refused in silence", func(t *testing.T) {
		s := newResponder(t)
		ask := only(t, s.message(relayedBy(fromClient(1, dhcp4.Discover), relayinfo.Fields{})), ActionAssign)
		acts, err := s.responder.HandleRefused(s.now, ask.ID, nil)
		require.NoError(t, err)
		require.Empty(t, acts)
	})
}

func TestResponderRefusesAssignmentsThatCannotBeSent(t *testing.T) {
	s := newResponder(t)
	ask := only(t, s.message(relayedBy(fromClient(1, dhcp4.Discover), relayinfo.Fields{})), ActionAssign)
	for name, a := range map[string]Assignment{
		"no address":                     {},
		"a multicast address":            {Address: ip("224.0.0.1")},
		"an IPv6 address":                {Address: ip("2001:db8::1")},
		"a negative lease":               {Address: here, Lease: -time.Second},
		"half a second":                  {Address: here, Lease: time.Second / 2},
		"a lease beyond infinity":        {Address: here, Lease: (1<<32 - 1) * time.Second},
		"a message type":                 {Address: here, Options: []Option{{Code: 53, Data: []byte{5}}}},
		"an End option":                  {Address: here, Options: []Option{{Code: 255}}},
		"an option twice":                {Address: here, Options: []Option{{6, make([]byte, 4)}, {6, make([]byte, 4)}}},
		"an option of over 255 octets":   {Address: here, Options: []Option{{6, make([]byte, 256)}}},
		"a relay agent information of 1": {Address: here, Options: []Option{{82, make([]byte, 1)}}},
	} {
		acts, err := s.responder.HandleAssigned(s.now, ask.ID, a, nil)
		require.Error(t, err, name)
		require.Empty(t, acts, name)
	}
	only(t, s.assigned(ask.ID, here), ActionReply) // it still awaits its answer
}

func TestNewResponderRefuses(t *testing.T) {
	for _, cfg := range []ResponderConfig{{}, {ServerID: ip("::1")}, {ServerID: server.Addr(), AssignTime: -1}, {ServerID: server.Addr(), MaxPending: -1}} {
		_, err := NewResponder(cfg)
		require.Error(t, err)
	}
}
