package main

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/internal/dhcp4"
)

// client is a remote-access client: an IKE initiator around an ikedhcp.Client, with
// a DHCP client that is not its own.
type client struct {
	node     node
	identity []byte // IDi
	secret   string
	gateway  netip.AddrPort
	conn     *net.UDPConn
	machine  *ikedhcp.Client
	dhcp     *dhcpClient
	ladder   *ladder
	seen     *observations
	commands chan func()
	events   chan event

	spiI     uint64
	spiR     ikedhcp.SPI
	gate     ikedhcp.Gate
	id       ikedhcp.MessageID // of the next request
	inFlight ikedhcp.ID        // the Client's name for the request under way, or 0
	leaving  bool              // the IKE SA is to be deleted, or is being
}

// event is something that the scenario waits for.
type event struct {
	what     string
	addr     netip.Addr
	selector ikedhcp.TrafficSelector
}

// What happens to a client.
const (
	bound    = "bound"    // addr is its, and TSi is narrowed to selector
	renewed  = "renewed"  // addr is its for another while
	informed = "informed" // an answer to its DHCPINFORM
	deleted  = "deleted"  // the gateway has deleted the IKE SA
	gone     = "gone"     // the client has
	refused  = "refused"  // the gateway does not let it in
)

func newClient(ctx context.Context, n node, c config, g *gateway, clientID string, l *ladder, seen *observations) (*client, error) {
	machine, err := ikedhcp.NewClient(ikedhcp.ClientConfig{PollTime: pollTime})
	if err != nil {
		return nil, err
	}
	conn, err := listen(ctx, ephemeral(localhost()))
	if err != nil {
		return nil, err
	}
	identity := idFQDN(n.String() + ".example")
	return &client{
		node: n, identity: identity, secret: c.secrets[string(identity)], gateway: addrOf(g.ike), conn: conn, machine: machine,
		dhcp: &dhcpClient{
			id: append([]byte{0}, clientID...), chaddr: []byte{0x40, 0, 0, byte(n)}, xid: uint32(n) << 24,
		},
		ladder: l, seen: seen, commands: make(chan func()), events: make(chan event, 16),
	}, nil
}

func (c *client) run(ctx context.Context) {
	datagrams := make(chan datagram)
	receive(ctx, c.conn, datagrams)
	c.dhcp.send = func(packet []byte) {
		c.input(func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
			return c.machine.HandleLocal(time.Now(), packet, acts)
		})
	}
	timer := time.NewTimer(0)
	for {
		select {
		case d := <-datagrams:
			c.handle(d)
		case command := <-c.commands:
			command()
		case <-timer.C:
			c.input(func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
				return c.machine.HandleTimeout(time.Now(), acts), nil
			})
			c.dhcp.handleTimeout(time.Now())
		case <-ctx.Done():
			return
		}
		arm(timer, c.machine, c.dhcp)
	}
}

// connect begins the IKE SA, and the DHCP client on the new interface.
func (c *client) connect() {
	c.spiI = uint64(c.node)<<56 | rand.Uint64()>>8
	c.spiR, c.gate, c.id = 0, ikedhcp.Gate{}, 0
	c.request(ikeSAInit, saInit()...)
	c.dhcp.begin(time.Now())
}

// inform is what no Client does (K3.29), but what other implementations may: ask
// for options by DHCPINFORM. It needs an IKE exchange that the Client knows
// nothing of.
func (c *client) inform() {
	c.request(ikedhcp.Informational, payload{ikedhcp.DefaultPayloadType, c.dhcp.message(dhcp4.Inform, c.dhcp.addr)})
}

// disconnect deletes the IKE SA, when the request under way is answered.
func (c *client) disconnect() {
	c.leaving = true
	if c.inFlight == 0 {
		c.request(ikedhcp.Informational, payload{payloadD, deleteIKESA()})
		c.machine.Closed(time.Now())
	}
}

// input makes an input call and performs its actions.
func (c *client) input(call func(acts []ikedhcp.Action) ([]ikedhcp.Action, error)) {
	// Delivering to the DHCP client leads to the next input: the actions are this
	// call's own.
	acts, err := call(nil)
	if err != nil {
		c.ladder.ignored(c.node, err)
	}
	var deliveries [][]byte
	for _, a := range acts {
		switch a.Kind {
		case ikedhcp.ActionRequest:
			c.inFlight = a.ID
			c.request(a.Exchange, c.payloads(a)...)
		case ikedhcp.ActionEmptyResponse:
			c.send(message{exchange: ikedhcp.Informational, response: true, id: a.MessageID})
		case ikedhcp.ActionDeliver:
			deliveries = append(deliveries, append([]byte(nil), a.Data...))
		}
	}
	for _, d := range deliveries {
		c.deliver(d)
	}
}

// payloads is those of a request for the Client. The first IKE_AUTH request is
// also where the client says who it is, and proposes what the SA is for.
func (c *client) payloads(a ikedhcp.Action) []payload {
	all := dhcpPayloads(a.Messages)
	if a.Exchange != ikedhcp.IKEAuth || c.id != 1 {
		return all
	}
	ts, err := selectors(anywhere())
	if err != nil {
		c.ladder.ignored(c.node, err)
	}
	auth := authOf(c.secret, message{spiI: c.spiI, spiR: c.spiR}, c.identity)
	return append([]payload{{payloadIDi, c.identity}, {payloadAUTH, auth}, {payloadSA, nil}, {payloadTSi, ts}, {payloadTSr, ts}}, all...)
}

// deliver hands a packet to the DHCP client, and reports what came of it.
func (c *client) deliver(packet []byte) {
	c.seen.delivered(packet)
	was := c.dhcp.state
	c.dhcp.hear(time.Now(), packet)
	var m dhcp4.Message
	if m.Parse(packet) != nil || m.Type() != dhcp4.ACK {
		return
	}
	switch {
	case !isSet(m.YIAddr()):
		c.events <- event{what: informed}
	case was == dhcpRenewing:
		c.events <- event{what: renewed, addr: c.dhcp.addr}
	case was == dhcpRequesting:
		c.events <- event{what: bound, addr: c.dhcp.addr, selector: c.seen.narrowed(c.node)}
	}
}

func isSet(a netip.Addr) bool { return a != netip.IPv4Unspecified() }

func (c *client) handle(d datagram) {
	m, err := parseMessage(d.data)
	if err != nil {
		c.ladder.ignored(c.node, err)
		return
	}
	if m.spiI != c.spiI || d.from != c.gateway {
		return
	}
	var messages [][]byte
	for msg, err := range (ikedhcp.Codec{}).Messages(c.gate, m.first, m.chain) {
		if err != nil {
			c.ladder.ignored(c.node, err)
			continue
		}
		messages = append(messages, msg)
	}
	switch {
	case m.exchange == ikeSAInit:
		c.ready(m)
	case !m.response:
		c.asked(m, messages)
	default:
		c.answered(m, messages)
	}
}

// ready is the end of IKE_SA_INIT.
func (c *client) ready(m message) {
	for p, err := range ikedhcp.Payloads(m.first, m.chain) {
		if err == nil {
			c.gate.Observe(p)
		}
	}
	c.spiR = m.spiR
	if !c.gate.Open() {
		c.events <- event{what: refused} // the gateway does not know DHCP payloads
		return
	}
	c.input(func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) { return c.machine.Ready(time.Now(), acts) })
}

// asked is a request of the gateway's.
func (c *client) asked(m message, messages [][]byte) {
	if _, ok := m.find(payloadD); ok {
		c.send(message{exchange: m.exchange, response: true, id: m.id})
		c.machine.Closed(time.Now())
		c.events <- event{what: deleted}
		return
	}
	c.input(func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		return c.machine.HandleInform(time.Now(), m.id, messages, acts)
	})
}

// answered is a response. If it has a TSi payload, the IKE SA stands with it.
func (c *client) answered(m message, messages [][]byte) {
	if kind, ok := m.notify(); ok {
		c.ladder.note(c.node, "the gateway refuses: notification %d", kind)
		c.events <- event{what: refused}
		return
	}
	if body, ok := m.find(payloadTSi); ok {
		if ts, ok := parseSelector(body); ok {
			c.seen.narrow(c.node, ts)
		}
		c.input(func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) { return c.machine.Established(time.Now(), acts) })
	}
	if c.leaving && c.inFlight == 0 {
		c.events <- event{what: gone}
		return
	}
	id := c.inFlight // 0: an exchange of this program's own
	c.inFlight = 0
	c.input(func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		return c.machine.HandleResponse(time.Now(), id, messages, acts)
	})
	if c.leaving {
		c.disconnect()
	}
}

// request starts an exchange.
func (c *client) request(exchange ikedhcp.Exchange, payloads ...payload) {
	m := message{exchange: exchange, id: c.id}
	c.id++
	c.send(m, payloads...)
}

func (c *client) send(m message, payloads ...payload) {
	var err error
	if m.first, m.chain, err = chainOf(payloads...); err != nil {
		c.ladder.ignored(c.node, err)
		return
	}
	m.spiI, m.spiR, m.initiator = c.spiI, c.spiR, true
	c.ladder.ike(c.node, gatewayNode, m)
	octets, err := m.sealed()
	if err == nil {
		_, err = c.conn.WriteToUDPAddrPort(octets, c.gateway)
	}
	if err != nil {
		c.ladder.ignored(c.node, err)
	}
}
