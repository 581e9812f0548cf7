package main

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/relayinfo"
)

// gateway is the security gateway: an IKE responder around an ikedhcp.Relay.
type gateway struct {
	ike, dhcp *net.UDPConn
	relay     *ikedhcp.Relay
	secrets   map[string]string // by identity: whose AUTH payloads are believed
	clients   uint16            // UDP port of DHCP clients: 68, or what stands for it
	ladder    *ladder
	seen      *observations

	sas      map[ikedhcp.SPI]*gatewaySA
	captives map[netip.Addr]context.CancelFunc // the sockets at clients' addresses
	acts     []ikedhcp.Action
	after    []func() // inputs that follow from actions, made when all of those are performed

	datagrams   chan datagram // IKE
	replies     chan datagram // from DHCP servers
	intercepted chan interception
	commands    chan func()
	slow        time.Duration // by how much replies of servers are late
}

// interception is a datagram that was sent to a client's address.
type interception struct {
	datagram
	to netip.Addr
}

// gatewaySA is one IKE SA.
type gatewaySA struct {
	node          node
	peer          netip.AddrPort
	spiI          uint64
	spi           ikedhcp.SPI
	gate          ikedhcp.Gate
	authenticated bool
	established   bool
	selector      ikedhcp.TrafficSelector // what TSi is narrowed to, once there is an address
	id            ikedhcp.MessageID       // of the next request that the gateway makes
	busy          bool                    // with one of those
	waiting       []message
}

// waitTime is how long IKE requests wait for DHCP servers: short, so that a late
// reply need not be very late.
const waitTime = 300 * time.Millisecond

func newGateway(ctx context.Context, c config, servers netip.AddrPort, clients uint16, l *ladder, seen *observations) (*gateway, error) {
	relay, err := ikedhcp.NewRelay(ikedhcp.RelayConfig{
		GIAddr:  c.giaddr,
		Servers: []netip.AddrPort{servers},
		// The relay's socket need not be on port 67, which takes privileges.
		SourcePort: true,
		WaitTime:   waitTime,
	})
	if err != nil {
		return nil, err
	}
	g := &gateway{
		relay: relay, secrets: c.secrets, clients: clients, ladder: l, seen: seen,
		sas: map[ikedhcp.SPI]*gatewaySA{}, captives: map[netip.Addr]context.CancelFunc{},
		datagrams: make(chan datagram), replies: make(chan datagram), intercepted: make(chan interception), commands: make(chan func()),
	}
	if g.ike, err = listen(ctx, ephemeral(localhost())); err != nil {
		return nil, err
	}
	// Servers that know nothing of RFC 8357 answer to their own port of giaddr.
	if g.dhcp, err = listen(ctx, netip.AddrPortFrom(c.giaddr, servers.Port())); err != nil {
		g.dhcp, err = listen(ctx, ephemeral(c.giaddr))
	}
	return g, err
}

func (g *gateway) run(ctx context.Context) {
	fromServers := make(chan datagram)
	receive(ctx, g.ike, g.datagrams)
	receive(ctx, g.dhcp, fromServers)
	timer := time.NewTimer(0)
	for {
		select {
		case d := <-g.datagrams:
			g.handleIKE(ctx, d)
		case d := <-fromServers:
			if g.slow == 0 {
				g.handleServer(ctx, d)
				break
			}
			time.AfterFunc(g.slow, func() {
				select {
				case g.replies <- d:
				case <-ctx.Done():
				}
			})
		case d := <-g.replies:
			g.handleServer(ctx, d)
		case d := <-g.intercepted:
			g.ladder.dhcp(dhcpServer, gatewayNode, d.data, "straight to "+d.to.String()+", intercepted")
			g.seen.intercepted.Add(1)
			g.input(ctx, func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
				return g.relay.HandleIntercepted(time.Now(), d.from, d.to, d.data, acts)
			})
		case command := <-g.commands:
			command()
		case <-timer.C:
			g.input(ctx, func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
				return g.relay.HandleTimeout(time.Now(), acts), nil
			})
		case <-ctx.Done():
			return
		}
		arm(timer, g.relay)
	}
}

// input makes an input call, performs its actions, and then makes the inputs that
// follow from those.
func (g *gateway) input(ctx context.Context, call func(acts []ikedhcp.Action) ([]ikedhcp.Action, error)) {
	acts, err := call(g.acts[:0])
	if err != nil {
		g.ladder.ignored(gatewayNode, err)
	}
	g.acts = acts
	for _, a := range acts {
		g.perform(ctx, a)
	}
	for len(g.after) > 0 {
		next := g.after[0]
		g.after = g.after[1:]
		next()
	}
}

func (g *gateway) handleServer(ctx context.Context, d datagram) {
	g.ladder.dhcp(dhcpServer, gatewayNode, d.data)
	g.input(ctx, func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		acts, err := g.relay.HandleServer(time.Now(), d.from, d.data, acts)
		if err == nil && !slices.ContainsFunc(acts, tells) {
			g.ladder.note(gatewayNode, "holds the reply until the client's next request")
			g.seen.held.Add(1)
		}
		return acts, err
	})
}

// tells: an action that passes replies on to a client.
func tells(a ikedhcp.Action) bool {
	return a.Kind == ikedhcp.ActionRespond || a.Kind == ikedhcp.ActionInform || a.Kind == ikedhcp.ActionRefuse
}

func (g *gateway) handleIKE(ctx context.Context, d datagram) {
	m, err := parseMessage(d.data)
	if err != nil {
		g.ladder.ignored(gatewayNode, err)
		return
	}
	s := g.sas[m.spiR]
	switch {
	case m.exchange == ikeSAInit:
		g.open(m, d.from)
	case s == nil || s.peer != d.from || s.spiI != m.spiI:
	case m.response:
		g.answered(s)
	default:
		g.request(ctx, s, m)
	}
}

// open answers IKE_SA_INIT. The DHCP payload has a private use type: only with a
// peer whose Vendor ID was seen does it mean anything (RFC 7296 section 3.12).
func (g *gateway) open(m message, from netip.AddrPort) {
	s := &gatewaySA{node: nodeOf(m), peer: from, spiI: m.spiI, spi: ikedhcp.SPI(rand.Uint64() | 1)}
	for p, err := range ikedhcp.Payloads(m.first, m.chain) {
		if err == nil {
			s.gate.Observe(p)
		}
	}
	if err := g.relay.OpenSA(time.Now(), s.spi); err != nil {
		g.ladder.ignored(gatewayNode, err)
		return
	}
	g.sas[s.spi] = s
	g.send(s, message{exchange: ikeSAInit, response: true}, saInit()...)
}

// request is a request of a client's.
func (g *gateway) request(ctx context.Context, s *gatewaySA, m message) {
	var messages [][]byte
	for msg, err := range (ikedhcp.Codec{}).Messages(s.gate, m.first, m.chain) {
		if err != nil {
			g.ladder.ignored(gatewayNode, err)
			continue
		}
		messages = append(messages, msg)
	}
	if id, ok := m.find(payloadIDi); ok && !s.authenticated {
		auth, _ := m.find(payloadAUTH)
		if secret, known := g.secrets[string(id)]; !known || !hmac.Equal(auth, authOf(secret, m, id)) {
			g.send(s, message{exchange: m.exchange, response: true, id: m.id}, payload{payloadN, notification(authenticationFailed)})
			g.close(ctx, s)
			return
		}
		s.authenticated = true
		g.input(ctx, func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
			// The server learns who the client is from something that the client
			// cannot choose.
			return g.relay.Authenticated(time.Now(), s.spi, id, relayinfo.Fields{SubscriberID: string(id[4:])}, acts)
		})
	}
	if _, ok := m.find(payloadD); ok {
		g.send(s, message{exchange: m.exchange, response: true, id: m.id})
		g.close(ctx, s)
		return
	}
	g.input(ctx, func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		return g.relay.HandleRequest(time.Now(), s.spi, m.id, messages, acts)
	})
}

func (g *gateway) close(ctx context.Context, s *gatewaySA) {
	delete(g.sas, s.spi)
	g.input(ctx, func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) { return g.relay.CloseSA(time.Now(), s.spi, acts) })
}

func (g *gateway) perform(ctx context.Context, a ikedhcp.Action) {
	s := g.sas[a.SPI] // nil if it is being closed: then there is nobody to tell
	switch {
	case s != nil, a.Kind == ikedhcp.ActionToServer, a.Kind == ikedhcp.ActionClearAddress:
	default:
		return
	}
	switch a.Kind {
	case ikedhcp.ActionToServer:
		g.seen.relayed(a.Data)
		for _, to := range a.To {
			g.ladder.dhcp(gatewayNode, dhcpServer, a.Data)
			if _, err := g.dhcp.WriteToUDPAddrPort(a.Data, to); err != nil {
				g.ladder.ignored(gatewayNode, err)
			}
		}
	case ikedhcp.ActionSetAddress:
		g.ladder.note(gatewayNode, "the address of %s is %v, TSi is narrowed to %v", s.node, a.Address, a.Selector)
		g.seen.set(s.node, a.Address)
		s.selector = a.Selector
		g.intercept(ctx, a.Address)
	case ikedhcp.ActionClearAddress:
		g.ladder.note(gatewayNode, "%v is nobody's", a.Address)
		g.seen.cleared(a.Address)
		if s != nil {
			s.selector = ikedhcp.TrafficSelector{}
		}
		g.letGo(a.Address)
	case ikedhcp.ActionDeleteSAs:
		g.ladder.note(gatewayNode, "%v is given to another identity: the SAs of %s are deleted", a.Address, s.node)
		g.seen.evict(s.node)
		s.selector = ikedhcp.TrafficSelector{}
		if !s.established {
			break // its next request finds it without an address
		}
		g.ask(s, payload{payloadD, deleteIKESA()})
		g.after = append(g.after, func() { g.close(ctx, s) })
	case ikedhcp.ActionRespond, ikedhcp.ActionRefuse:
		g.respond(ctx, s, a)
	case ikedhcp.ActionInform:
		g.seen.informs.Add(1)
		g.ask(s, dhcpPayloads(a.Messages)...)
	case ikedhcp.ActionLeaseExpired:
		g.ladder.note(gatewayNode, "the lease of %s is over", s.node)
	}
}

// respond answers a request. Once there is an address, the response is the one
// that completes IKE_AUTH.
func (g *gateway) respond(ctx context.Context, s *gatewaySA, a ikedhcp.Action) {
	m := message{exchange: ikedhcp.Informational, response: true, id: a.MessageID}
	payloads := dhcpPayloads(a.Messages)
	if len(a.Messages) == 0 {
		g.seen.emptyResponses.Add(1)
	}
	if s.established {
		g.send(s, m, payloads...)
		return
	}
	m.exchange = ikedhcp.IKEAuth
	if a.Kind == ikedhcp.ActionRefuse {
		g.send(s, m, append(payloads, payload{payloadN, notification(internalAddressFailure)})...)
		return
	}
	if !s.selector.Start.IsValid() {
		g.send(s, m, payloads...)
		return
	}
	tsi, err := selectors(s.selector)
	if err != nil {
		g.ladder.ignored(gatewayNode, err)
		return
	}
	tsr, err := selectors(anywhere())
	if err != nil {
		g.ladder.ignored(gatewayNode, err)
		return
	}
	g.send(s, m, append(payloads, payload{payloadSA, nil}, payload{payloadTSi, tsi}, payload{payloadTSr, tsr})...)
	s.established = true
	g.after = append(g.after, func() {
		g.input(ctx, func(acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
			return g.relay.Established(time.Now(), s.spi, acts)
		})
	})
}

// dhcpPayloads: a payload for each message. ikedhcp.Codec.AppendPayloads does the
// same for a chain that exists.
func dhcpPayloads(messages [][]byte) (payloads []payload) {
	for _, m := range messages {
		payloads = append(payloads, payload{ikedhcp.DefaultPayloadType, slices.Clone(m)})
	}
	return payloads
}

// ask makes an INFORMATIONAL request, when those before it are answered.
func (g *gateway) ask(s *gatewaySA, payloads ...payload) {
	first, chain, err := chainOf(payloads...)
	if err != nil {
		g.ladder.ignored(gatewayNode, err)
		return
	}
	s.waiting = append(s.waiting, message{exchange: ikedhcp.Informational, id: s.id, first: first, chain: chain})
	s.id++
	if !s.busy {
		g.next(s)
	}
}

func (g *gateway) answered(s *gatewaySA) {
	s.busy = false
	g.next(s)
}

func (g *gateway) next(s *gatewaySA) {
	if len(s.waiting) > 0 {
		s.busy = true
		g.transmit(s, s.waiting[0])
		s.waiting = s.waiting[1:]
	}
}

// send sends a message with these payloads.
func (g *gateway) send(s *gatewaySA, m message, payloads ...payload) {
	var err error
	if m.first, m.chain, err = chainOf(payloads...); err != nil {
		g.ladder.ignored(gatewayNode, err)
		return
	}
	g.transmit(s, m)
}

func (g *gateway) transmit(s *gatewaySA, m message) {
	m.spiI, m.spiR = s.spiI, s.spi
	g.ladder.ike(gatewayNode, s.node, m)
	octets, err := m.sealed()
	if err == nil {
		_, err = g.ike.WriteToUDPAddrPort(octets, s.peer)
	}
	if err != nil {
		g.ladder.ignored(gatewayNode, err)
	}
}

// intercept listens where a server would send what is for the client alone. On a
// gateway this is a packet filter.
func (g *gateway) intercept(ctx context.Context, addr netip.Addr) {
	if g.captives[addr] != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	conn, err := listen(ctx, netip.AddrPortFrom(addr, g.clients))
	if err != nil {
		cancel()
		g.ladder.note(gatewayNode, "what goes straight to %v cannot be intercepted: %v", addr, err)
		g.seen.notIntercepting.Store(true)
		return
	}
	g.captives[addr] = cancel
	datagrams := make(chan datagram)
	receive(ctx, conn, datagrams)
	go func() {
		for {
			select {
			case d := <-datagrams:
				select {
				case g.intercepted <- interception{d, addr}:
				case <-ctx.Done():
				}
			case <-ctx.Done():
				return
			}
		}
	}()
}

func (g *gateway) letGo(addr netip.Addr) {
	if cancel := g.captives[addr]; cancel != nil {
		cancel()
		delete(g.captives, addr)
	}
}

// nodeOf is the client whose SPI this is: clients choose theirs so that the ladder
// can name them.
func nodeOf(m message) node { return node(m.spiI >> 56) }

// saInit is the payloads of IKE_SA_INIT, of which only the last one is real: there
// is no proposal, and the public key is nobody's.
func saInit() []payload {
	const curve25519 = 31
	random := func(n int) (b []byte) {
		for len(b) < n {
			b = binary.BigEndian.AppendUint64(b, rand.Uint64())
		}
		return b
	}
	return []payload{
		{payloadSA, nil},
		{payloadKE, append([]byte{0, curve25519, 0, 0}, random(32)...)},
		{payloadNonce, random(16)},
		{ikedhcp.PayloadV, []byte(ikedhcp.VendorID)},
	}
}
