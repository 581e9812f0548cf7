package ikedhcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
)

// host drives a Client and its clock.
type host struct {
	t      testing.TB
	client *Client
	now    time.Time
}

func newHost(t testing.TB) *host {
	return &host{t: t, client: must(NewClient(ClientConfig{})), now: start}
}

func (c *host) took(acts []Action, err error) []Action {
	c.t.Helper()
	require.NoError(c.t, err)
	return taken(acts)
}

func (c *host) ready() []Action       { return c.took(c.client.Ready(c.now, nil)) }
func (c *host) established() []Action { return c.took(c.client.Established(c.now, nil)) }

func (c *host) local(pkt []byte) []Action { return c.took(c.client.HandleLocal(c.now, pkt, nil)) }

func (c *host) response(id ID, messages ...[]byte) []Action {
	c.t.Helper()
	return c.took(c.client.HandleResponse(c.now, id, messages, nil))
}

func (c *host) inform(id MessageID, messages ...[]byte) []Action {
	c.t.Helper()
	return c.took(c.client.HandleInform(c.now, id, messages, nil))
}

func (c *host) wait(d time.Duration) []Action {
	c.now = c.now.Add(d)
	return taken(c.client.HandleTimeout(c.now, nil))
}

func TestClientHasOneRequestUnderWay(t *testing.T) {
	c := newHost(t)
	c.ready()
	first := only(t, c.local(fromClient(1, dhcp4.Discover)), ActionRequest)
	require.Empty(t, c.local(fromClient(2, dhcp4.Discover)))
	require.Empty(t, c.local(fromClient(3, dhcp4.Discover)))
	next := only(t, c.response(first.ID), ActionRequest)
	require.Equal(t, uint32(2), parsed(next.Messages[0]).XID(), "in their order")
	_, err := c.client.HandleResponse(c.now, first.ID, nil, nil)
	requireDrop(t, ReasonStale, err)
	last := only(t, c.response(next.ID), ActionRequest)
	require.Equal(t, uint32(3), parsed(last.Messages[0]).XID())
}

func TestClientQueueIsBounded(t *testing.T) {
	c := newHost(t)
	for xid := range uint32(DefaultMaxQueue) {
		require.Empty(t, c.local(fromClient(xid, dhcp4.Discover)))
	}
	_, err := c.client.HandleLocal(c.now, fromClient(99, dhcp4.Discover), nil)
	requireDrop(t, ReasonTooMany, err)

	again := fromClient(0, dhcp4.Discover, header(func(h *dhcp4.Header) { h.Secs = 4 }))
	require.Empty(t, c.local(again), "a retransmission takes the place of the packet that waits")
	require.Equal(t, uint32(1), parsed(only(t, c.ready(), ActionRequest).Messages[0]).XID())
}

func TestClientSendsWhatWaitedWhenTheSAStands(t *testing.T) {
	c := newHost(t)
	c.ready()
	last := only(t, c.local(fromClient(1, dhcp4.Request)), ActionRequest)
	require.Empty(t, c.local(fromClient(2, dhcp4.Discover)))
	require.Empty(t, c.established(), "the last IKE_AUTH response is not taken in yet")
	acts := c.response(last.ID, direct(answerTo(fromClient(1, dhcp4.Request), dhcp4.ACK, here)))
	require.Equal(t, []ActionKind{ActionDeliver, ActionRequest}, kinds(acts))
	require.Equal(t, Informational, acts[1].Exchange)
}

func TestClientDeliversAsADHCPServerWould(t *testing.T) {
	c := newHost(t)
	c.ready()
	c.established()
	for _, tc := range []struct {
		name string
		ask  []byte
		to   string
	}{
		{"a client without address", fromClient(1, dhcp4.Request), "255.255.255.255:68"},
		{"a client with an address", fromClient(1, dhcp4.Request, ciaddr(here)), "10.0.0.10:68"},
		{
			"a client that wants a broadcast", fromClient(1, dhcp4.Request, ciaddr(here), header(func(h *dhcp4.Header) { h.Flags = dhcp4.FlagBroadcast })),
			"255.255.255.255:68",
		},
	} {
		reply := direct(answerTo(tc.ask, dhcp4.ACK, here, header(func(h *dhcp4.Header) { h.CIAddr = parsed(tc.ask).CIAddr() })))
		a := only(t, c.inform(1, reply), ActionDeliver)
		require.Equal(t, reply, a.Data, tc.name)
		require.Equal(t, server, a.From, tc.name)
		require.Equal(t, []netip.AddrPort{netip.MustParseAddrPort(tc.to)}, a.To, tc.name)
	}
}

// The other server's OFFER, late, comes in the response to the REQUEST: the ACK is
// still to be asked for.
func TestClientPollsAfterAnOfferThatIsNoAnswer(t *testing.T) {
	c := newHost(t)
	c.ready()
	ask := only(t, c.local(fromClient(1, dhcp4.Request)), ActionRequest)
	late := direct(answerTo(fromClient(1, dhcp4.Discover), dhcp4.Offer, here))
	only(t, c.response(ask.ID, late), ActionDeliver)
	require.Empty(t, only(t, c.wait(DefaultPollTime), ActionRequest).Messages)
}

func TestClientTakesPayloadsOfOtherExchanges(t *testing.T) {
	c := newHost(t)
	c.ready()
	request := only(t, c.local(fromClient(1, dhcp4.Discover)), ActionRequest)
	offer := direct(answerTo(fromClient(1, dhcp4.Discover), dhcp4.Offer, here))
	require.Equal(t, []ActionKind{ActionDeliver}, kinds(c.response(0, offer)))
	require.Empty(t, c.response(request.ID), "the request is still the one under way")
}

func TestClientRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		pkt    []byte
		reason Reason
	}{
		{"no DHCP message", []byte("?"), ReasonMalformed},
		{"too much", make([]byte, 1473), ReasonTooLarge},
		{"a reply", build(dhcp4.Header{Op: dhcp4.BootReply}, dhcp4.Discover), ReasonMessageType},
		{"an OFFER", fromClient(1, dhcp4.Offer), ReasonMessageType},
		{"a giaddr", fromClient(1, dhcp4.Discover, header(func(h *dhcp4.Header) { h.GIAddr = giaddr })), ReasonRelayed},
		{"an option 82", fromClient(1, dhcp4.Discover, option(dhcp4.OptionRelayAgentInfo, 1, 0)), ReasonRelayed},
	} {
		t.Run(tc.name+" of the local client", func(t *testing.T) {
			c := newHost(t)
			c.ready()
			acts, err := c.client.HandleLocal(c.now, tc.pkt, nil)
			requireDrop(t, tc.reason, err)
			require.Empty(t, acts)
		})
	}
	reply := dhcp4.Header{Op: dhcp4.BootReply}
	for _, tc := range []struct {
		name   string
		msg    []byte
		reason Reason
	}{
		{"no DHCP message", []byte("?"), ReasonMalformed},
		{"a request", fromClient(1, dhcp4.ACK), ReasonMessageType},
		{"a DISCOVER", build(reply, dhcp4.Discover), ReasonMessageType},
		{"a giaddr", build(reply, dhcp4.ACK, header(func(h *dhcp4.Header) { h.GIAddr = giaddr })), ReasonRelayed},
		{"an option 82", build(reply, dhcp4.ACK, option(dhcp4.OptionRelayAgentInfo, 1, 0)), ReasonRelayed},
	} {
		t.Run(tc.name+" of the gateway", func(t *testing.T) {
			c := newHost(t)
			c.ready()
			c.established()
			acts, err := c.client.HandleInform(c.now, 1, [][]byte{tc.msg, build(reply, dhcp4.ACK)}, nil)
			requireDrop(t, tc.reason, err)
			require.Equal(t, []ActionKind{ActionEmptyResponse, ActionDeliver}, kinds(acts), "the request is answered, the other message delivered")
		})
	}
}

func TestClientTakesEightMessagesAtOnce(t *testing.T) {
	c := newHost(t)
	c.ready()
	c.established()
	nine := make([][]byte, 9)
	for i := range nine {
		nine[i] = build(dhcp4.Header{Op: dhcp4.BootReply, XID: uint32(i)}, dhcp4.Offer)
	}
	acts, err := c.client.HandleInform(c.now, 1, nine, nil)
	requireDrop(t, ReasonTooMany, err)
	require.Len(t, acts, 1+8)
	for i, a := range taken(acts)[1:] {
		require.Equal(t, nine[i], a.Data, "in their order")
	}
	require.Equal(t, uint64(1), c.client.Stats()[ReasonTooMany])
}

func TestClientStartsAnewAfterClosed(t *testing.T) {
	c := newHost(t)
	_, err := c.client.Established(c.now, nil)
	requireDrop(t, ReasonState, err)
	c.ready()
	_, err = c.client.Ready(c.now, nil)
	requireDrop(t, ReasonState, err)
	old := only(t, c.local(fromClient(1, dhcp4.Discover)), ActionRequest)
	require.Empty(t, c.local(fromClient(2, dhcp4.Discover)))
	c.client.Closed(c.now)
	require.Equal(t, ClientIdle, c.client.State())
	require.Empty(t, c.ready(), "what waited is given up")
	_, err = c.client.HandleResponse(c.now, old.ID, nil, nil)
	requireDrop(t, ReasonStale, err)
	require.NotEqual(t, old.ID, only(t, c.local(fromClient(3, dhcp4.Discover)), ActionRequest).ID)
}

func TestNewClientRefuses(t *testing.T) {
	for _, cfg := range []ClientConfig{{MaxQueue: -1}, {PollTime: -1}, {MaxPolls: -1}} {
		_, err := NewClient(cfg)
		require.Error(t, err)
	}
}
