package ikedhcp

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"dhcpsec.example/internal/dhcp4"
)

// The defaults of [ClientConfig].
const (
	DefaultMaxQueue = 8
	DefaultPollTime = time.Second
	DefaultMaxPolls = 16
)

// ClientConfig configures a [Client]. The zero ClientConfig is good.
type ClientConfig struct {
	// MaxQueue bounds the packets that wait for the request under way.
	MaxQueue int
	// PollTime is how long after an IKE_AUTH response that has not answered the
	// local DHCP client an empty request asks again: the gateway cannot send a
	// late reply before "the client makes next IKE request" (K3.15).
	PollTime time.Duration
	// MaxPolls bounds the polls for one packet of the local DHCP client.
	MaxPolls int
}

// Client carries the packets of the local DHCP client over one IKE SA (section 2
// of the draft): in IKE_AUTH until the SA stands, in INFORMATIONAL after that. It
// never has more than one request under way.
//
// Not safe for concurrent use.
type Client struct {
	cfg   ClientConfig
	stats Stats
	clock clock
	state ClientState

	lastID  ID
	request ID    // under way, or 0
	queue   queue // packets of the local DHCP client that have not been sent

	unanswered bool              // the last packet sent has replies, and none has come
	xid        uint32            // of that packet
	asked      dhcp4.MessageType // likewise
	polls      int               // since that packet
	pollAt     instant
	pollArmed  bool

	// Memory that actions lend to the caller until the next call.
	out   []byte
	views [][]byte
	tos   []netip.AddrPort
}

// NewClient makes a Client that waits for Ready.
func NewClient(cfg ClientConfig) (*Client, error) {
	cfg.MaxQueue = orDefault(cfg.MaxQueue, DefaultMaxQueue)
	cfg.PollTime = orDefault(cfg.PollTime, DefaultPollTime)
	cfg.MaxPolls = orDefault(cfg.MaxPolls, DefaultMaxPolls)
	if cfg.MaxQueue < 1 || cfg.PollTime < 0 || cfg.MaxPolls < 0 {
		return nil, errors.New("ikedhcp: a field of ClientConfig is negative")
	}
	return &Client{cfg: cfg}, nil
}

func (c *Client) begin(now time.Time) instant {
	c.out, c.views, c.tos = c.out[:0], c.views[:0], c.tos[:0]
	return c.clock.advance(now)
}

// Ready says that IKE_SA_INIT is done and that the gateway has announced DHCP
// payloads (see [Gate]): IKE_AUTH requests may go out. The first one is also
// where IDi, AUTH, the SA and the traffic selectors belong.
func (c *Client) Ready(now time.Time, acts []Action) ([]Action, error) {
	c.begin(now)
	if !c.on(eventReady) {
		return acts, c.stats.drop(ReasonState, nil)
	}
	return c.send(acts), nil
}

// HandleLocal takes in a packet of the local DHCP client: the UDP payload that was
// to go to port 67. It is sent at once, or as soon as the request under way is
// answered; of a packet that is retransmitted while it waits, only the last copy is.
//
// A DHCPINFORM is refused (ReasonInform): "The client MUST NOT use DHCPINFORM
// packets, but use normal DHCP address allocation instead" (K3.29).
func (c *Client) HandleLocal(now time.Time, pkt []byte, acts []Action) ([]Action, error) {
	c.begin(now)
	var m dhcp4.Message
	if len(pkt) > maxMessage {
		return acts, c.stats.drop(ReasonTooLarge, nil)
	}
	if err := m.Parse(pkt); err != nil {
		return acts, c.stats.drop(ReasonMalformed, err)
	}
	switch m.Type() {
	case dhcp4.Discover, dhcp4.Request, dhcp4.Release, dhcp4.Decline:
	case dhcp4.Inform:
		return acts, c.stats.drop(ReasonInform, nil)
	default:
		return acts, c.stats.drop(ReasonMessageType, nil)
	}
	switch {
	case m.Op() != dhcp4.BootRequest:
		return acts, c.stats.drop(ReasonMessageType, nil)
	case m.Relayed(), m.RelayAgentInfoSize() > 0, m.RelayAgentInfoElsewhere():
		return acts, c.stats.drop(ReasonRelayed, nil) // the gateway would refuse it
	}
	if i := slices.IndexFunc(c.queue.entries, func(e entry) bool { return e.xid == m.XID() && e.kind == m.Type() }); i >= 0 {
		c.queue.drop(i)
	}
	if len(c.queue.entries) >= c.cfg.MaxQueue {
		return acts, c.stats.drop(ReasonTooMany, nil)
	}
	c.queue.add(append(c.queue.buf, pkt...), m.XID(), m.Type())
	return c.send(acts), nil
}

// HandleResponse takes in the DHCP messages of an IKE response, of which there may
// be none. id is that of the ActionRequest answered, or 0 if the exchange was of
// the caller's own making. If it is the response that completes the SA, Established
// comes first.
//
// The response is taken whatever the error, except for ReasonStale: acts counts. A
// *[DropError] tells of the first message that was not delivered.
func (c *Client) HandleResponse(now time.Time, id ID, messages [][]byte, acts []Action) ([]Action, error) {
	at := c.begin(now)
	if id != 0 && id != c.request {
		return acts, c.stats.drop(ReasonStale, nil)
	}
	acts, refused := c.deliverAll(messages, acts)
	if id == 0 {
		return acts, refused
	}
	c.request = 0
	if acts = c.send(acts); c.request == 0 && c.state == ClientSetup && c.unanswered && c.polls < c.cfg.MaxPolls {
		c.pollAt, c.pollArmed = at.after(c.cfg.PollTime), true
	}
	return acts, refused
}

// HandleInform takes in the DHCP messages of an INFORMATIONAL request of the
// gateway; id is its Message ID. It is answered whatever becomes of the messages,
// but refused (ReasonState) before the SA stands: "Security gateway cannot during
// the IKE SA creation phase initiate exchanges" (K3.16).
func (c *Client) HandleInform(now time.Time, id MessageID, messages [][]byte, acts []Action) ([]Action, error) {
	c.begin(now)
	if c.state != ClientEstablished {
		return acts, c.stats.drop(ReasonState, nil)
	}
	acts = append(acts, Action{Kind: ActionEmptyResponse, MessageID: id})
	return c.deliverAll(messages, acts)
}

// Established says that the IKE SA stands: from now on requests are INFORMATIONAL.
// Call it as soon as the last IKE_AUTH response is verified.
func (c *Client) Established(now time.Time, acts []Action) ([]Action, error) {
	c.begin(now)
	if !c.on(eventStands) {
		return acts, c.stats.drop(ReasonState, nil)
	}
	c.pollArmed = false
	return c.send(acts), nil
}

// Closed says that the IKE SA is gone. Packets that wait are given up: the local
// DHCP client retransmits. The Client may be used for the next SA.
func (c *Client) Closed(now time.Time) {
	c.begin(now)
	c.on(eventClosed)
	c.queue.clear()
	c.request, c.unanswered, c.pollArmed = 0, false, false
}

// Deadline is when HandleTimeout is due; false if nothing is.
func (c *Client) Deadline() (time.Time, bool) {
	if !c.pollArmed {
		return time.Time{}, false
	}
	return c.clock.time(c.pollAt), true
}

// HandleTimeout polls the gateway for a late reply. An early call does nothing.
func (c *Client) HandleTimeout(now time.Time, acts []Action) []Action {
	at := c.begin(now)
	if !c.pollArmed || at < c.pollAt {
		return acts
	}
	c.polls++
	return append(acts, c.newRequest(nil))
}

// State says how far the IKE SA has come.
func (c *Client) State() ClientState { return c.state }

// Stats counts what was ignored.
func (c *Client) Stats() Stats { return c.stats }

// send starts a request with the first packet that waits, if there is one and none
// is under way.
func (c *Client) send(acts []Action) []Action {
	if c.request != 0 || c.state == ClientIdle || len(c.queue.entries) == 0 {
		return acts
	}
	e := c.queue.entries[0]
	msg := c.lend(c.queue.message(0))
	c.queue.drop(0)
	if e.kind == dhcp4.Discover || e.kind == dhcp4.Request {
		c.unanswered, c.xid, c.asked, c.polls = true, e.xid, e.kind, 0
	}
	c.views = append(c.views, msg)
	return append(acts, c.newRequest(c.views[len(c.views)-1:]))
}

// newRequest: "Informational exchanges MUST NOT be used before the IKE SA creation
// is finished" (K2.5).
func (c *Client) newRequest(messages [][]byte) Action {
	exchange := IKEAuth
	if c.state == ClientEstablished {
		exchange = Informational
	}
	c.lastID++
	c.request, c.pollArmed = c.lastID, false
	return Action{Kind: ActionRequest, ID: c.request, Exchange: exchange, Messages: messages}
}

func (c *Client) deliverAll(messages [][]byte, acts []Action) ([]Action, error) {
	var refused error
	for i, msg := range messages {
		var err error
		if i < maxPayloads {
			acts, err = c.deliver(msg, acts)
		} else {
			err = c.stats.drop(ReasonTooMany, nil)
		}
		if refused == nil {
			refused = err
		}
	}
	return acts, refused
}

// deliver hands a message to the local DHCP client as if a server had sent it.
func (c *Client) deliver(msg []byte, acts []Action) ([]Action, error) {
	var m dhcp4.Message
	if err := m.Parse(msg); err != nil {
		return acts, c.stats.drop(ReasonMalformed, err)
	}
	switch m.Type() {
	case dhcp4.Offer, dhcp4.ACK, dhcp4.NAK, forceRenew:
	default:
		return acts, c.stats.drop(ReasonMessageType, nil)
	}
	switch {
	case m.Op() != dhcp4.BootReply:
		return acts, c.stats.drop(ReasonMessageType, nil)
	case m.Relayed(), m.RelayAgentInfoSize() > 0, m.RelayAgentInfoElsewhere():
		// K3.14: the gateway must have removed them.
		return acts, c.stats.drop(ReasonRelayed, nil)
	}
	// A REQUEST has the xid of the OFFER that it accepts (RFC 2131 section 4.4.1): an
	// OFFER held until now is no answer to it.
	if m.XID() == c.xid && m.Type() != forceRenew && (m.Type() != dhcp4.Offer || c.asked == dhcp4.Discover) {
		c.unanswered, c.pollArmed = false, false
	}
	server := netip.IPv4Unspecified()
	if id, _ := m.Option(dhcp4.OptionServerIdentifier); len(id) == 4 {
		server = netip.AddrFrom4([4]byte(id))
	}
	to := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	if ciaddr := m.CIAddr(); isUnicast(ciaddr) && m.Flags()&dhcp4.FlagBroadcast == 0 {
		to = ciaddr // RFC 2131 section 4.1
	}
	c.tos = append(c.tos, netip.AddrPortFrom(to, clientPort))
	return append(acts, Action{
		Kind: ActionDeliver, Data: c.lend(msg), From: netip.AddrPortFrom(server, serverPort), To: c.tos[len(c.tos)-1:],
	}), nil
}

// lend is a copy of msg that is valid until the next call.
func (c *Client) lend(msg []byte) []byte {
	start := len(c.out)
	c.out = append(c.out, msg...)
	return c.out[start:len(c.out):len(c.out)]
}
