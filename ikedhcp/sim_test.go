package ikedhcp_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/sim"
	"dhcpsec.example/relayinfo"
)

// Four clients, a gateway and two DHCP servers, some of them Responders, live through five minutes in which
// IKE and DHCP messages are lost, duplicated and reordered, the gateway crashes
// and comes back with its last snapshot, a server forgets its leases, SAs are
// rekeyed and closed, and somebody forges replies; then all is well. At each moment
//
//   - no two identities hold one address;
//   - every IKE request gets one response, and no second one;
//   - there is no INFORMATIONAL exchange before the IKE SA stands;
//   - no reply reaches the client of another SA, nor do giaddr or option 82;
//   - a reply is held until the client is told of it, for as long as the SA lives;
//
// and in the end every client has the address that the gateway and a server think
// it has, renews it, and when all have gone nothing is left.
func TestSimulationOfGatewayAndClients(t *testing.T) {
	sim.Seeds(t, 1000, func(t *testing.T, net *sim.Net) {
		w := newWorld(net)
		start := net.Now()
		require.NoError(t, net.RunUntil(start.Add(trouble)))
		w.endTrouble()
		require.NoError(t, net.RunWhile(start.Add(trouble+convergence), func() bool { return !w.served() }))
		require.True(t, w.served(), "%v after the trouble not every client has its address", convergence)
		// What began in the trouble may end in it; what begins now may not.
		require.NoError(t, net.RunUntil(net.Now().Add(2*leaseTime)))
		require.NoError(t, net.RunWhile(net.Now().Add(convergence), func() bool { return !w.served() }))
		w.settled = true
		require.NoError(t, net.RunUntil(net.Now().Add(leaseTime)))
		require.True(t, w.served(), "a renewal without trouble went wrong")
		require.NoError(t, net.RunWhile(net.Now().Add(leaseTime), func() bool { return w.waits() }))
		require.False(t, w.waits(), "an IKE request is without response")
		w.closeAll()
		require.NoError(t, net.RunUntil(net.Now().Add(5*time.Minute)))
		require.Zero(t, w.gateway.relay.Len(), "SAs are left")
		_, armed := w.gateway.relay.Deadline()
		require.False(t, armed, "something is left to be done")
	})
}

const (
	trouble     = 5 * time.Minute
	convergence = 15 * time.Minute
	leaseTime   = time.Minute
	maxLatency  = 500 * time.Millisecond
)

var giaddr = netip.MustParseAddr("192.0.2.1")

// world is one run.
type world struct {
	net     *sim.Net
	faulty  bool // the trouble has not ended
	settled bool // all were served since
	gateway *gateway
	servers []*server
	clients []*client
}

func newWorld(net *sim.Net) *world {
	w := &world{net: net, faulty: true}
	faults := sim.Faults{
		Latency: net.Between(0, maxLatency/10), Jitter: net.Between(0, maxLatency*9/10),
		Loss: net.Rand().Float64() * 0.3, Duplicate: net.Rand().Float64() * 0.3,
	}
	echo := net.Chance(0.8) // the servers know option 82
	g := &gateway{world: w, sas: map[ikedhcp.SPI]*sa{}, config: ikedhcp.RelayConfig{
		GIAddr:         giaddr,
		WaitTime:       net.Between(100*time.Millisecond, 3*time.Second),
		Offers:         []int{0, 2, ikedhcp.AllOffers}[net.Rand().IntN(3)],
		XIDMap:         !echo || net.Chance(0.3),
		ReleaseOnClose: net.Chance(0.3),
		RelayFlags:     net.Chance(0.3),
		MaxHeld:        2 + net.Rand().IntN(7),
	}}
	w.gateway = g
	for i := range 2 {
		s := &server{
			world: w, id: netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)}), echo: echo, direct: net.Chance(0.4),
			leases: map[string]serverLease{}, declined: map[netip.Addr]time.Time{},
		}
		for j := range 4 {
			s.pool = append(s.pool, netip.AddrFrom4([4]byte{10, 99, byte(i), byte(10 + j)}))
		}
		s.in = net.Link(fmt.Sprint("to server ", i), faults, s.hears)
		from := netip.AddrPortFrom(s.id, 67)
		s.out = net.Link(fmt.Sprint("from server ", i), faults, func(pkt []byte) { g.hearsServer(from, pkt) })
		s.toClient = net.Link(fmt.Sprint("from server ", i, " to a client"), faults, func(pkt []byte) { g.hearsIntercepted(from, pkt) })
		w.servers = append(w.servers, s)
		if echo && net.Chance(0.4) {
			s.respond()
		}
		g.config.Servers = append(g.config.Servers, from)
		if net.Chance(0.3) {
			net.After(net.Between(0, trouble), s.forget)
		}
	}
	g.node = sim.NewNode(net, "gateway", g.perform)
	g.boot()
	for range net.Rand().IntN(3) {
		net.After(net.Between(0, trouble), g.crash)
	}
	for range net.Rand().IntN(20) {
		net.After(net.Between(0, trouble), g.forged)
	}
	twins := net.Chance(0.2)     // two devices of one user
	sameChaddr := net.Chance(.3) // RFC 3456 asks for a unique one
	for i := range 4 {
		c := &client{world: w, name: fmt.Sprint("client ", i), identity: fmt.Sprint("user", i), chaddr: []byte{2, 0, 0, 0, 0, byte(i)}}
		c.id = []byte("\x00id" + fmt.Sprint(i))
		if twins && i == 1 {
			c.identity, c.id, c.chaddr = w.clients[0].identity, w.clients[0].id, w.clients[0].chaddr
		}
		if sameChaddr {
			c.chaddr, c.sameXID = []byte{2, 0, 0, 0, 0, 0}, net.Chance(0.5)
		}
		c.node = sim.NewNode(net, c.name, c.perform)
		c.up = net.Link(c.name+" up", faults, func(pkt []byte) { g.hearsIKE(c, pkt) })
		c.down = net.Link(c.name+" down", faults, c.hearsIKE)
		w.clients = append(w.clients, c)
		net.After(net.Between(0, 20*time.Second), c.connect)
		for range net.Rand().IntN(3) {
			net.After(net.Between(0, trouble), c.disconnect)
		}
		for range net.Rand().IntN(3) {
			net.After(net.Between(0, trouble), c.rekey)
		}
	}
	return w
}

// endTrouble makes links reliable.
func (w *world) endTrouble() {
	w.net.Logf("the trouble ends")
	w.faulty = false
	for _, c := range w.clients {
		c.up.Loss, c.up.Duplicate, c.up.Jitter = 0, 0, 0
		c.down.Faults = c.up.Faults
	}
	for _, s := range w.servers {
		s.in.Faults, s.out.Faults, s.toClient.Faults = w.clients[0].up.Faults, w.clients[0].up.Faults, w.clients[0].up.Faults
	}
}

// served: each client has an address, and all agree on whose it is.
func (w *world) served() bool {
	for _, c := range w.clients {
		if c.sa == nil || !c.dhcp.bound() || !w.gateway.node.Up() {
			return false
		}
		if a, ok := w.gateway.relay.Address(c.sa.spi); !ok || a != c.dhcp.addr || a != c.sa.addr {
			return false
		}
		if !slices.ContainsFunc(w.servers, func(s *server) bool { return s.leases[string(c.id)].addr == c.dhcp.addr }) {
			return false
		}
	}
	return true
}

// waits: an IKE request awaits its response.
func (w *world) waits() bool {
	return slices.ContainsFunc(w.clients, func(c *client) bool { return c.request != nil })
}

func (w *world) closeAll() {
	w.settled = false
	for _, c := range w.clients {
		c.gone = true
		c.disconnect()
	}
}

// ikeMessage is as much of an IKE message as this needs: the SPI of the gateway,
// and DHCP payloads, in the octets that carry them. There is no encryption.
type ikeMessage struct {
	spi         ikedhcp.SPI
	exchange    ikedhcp.Exchange
	response    bool
	fromGateway bool
	id          ikedhcp.MessageID
	narrowed    bool // a TSi payload: IKE_AUTH is complete
	refused     bool // a Notify payload INTERNAL_ADDRESS_FAILURE
	messages    [][]byte
}

var gate = func() (g ikedhcp.Gate) {
	g.Observe(ikedhcp.Payload{Type: ikedhcp.PayloadV, Body: []byte(ikedhcp.VendorID)})
	return g
}()

const (
	notify = 41
	tsi    = 44
)

func (m ikeMessage) octets() []byte {
	flags := byte(0)
	if m.response {
		flags |= 0x20
	}
	if !m.fromGateway {
		flags |= 0x08
	}
	var chain []byte
	first := ikedhcp.NoNextPayload
	switch {
	case m.narrowed:
		first, chain = tsi, []byte{0, 0, 0, 4}
	case m.refused:
		first, chain = notify, []byte{0, 0, 0, 4}
	}
	direction := ikedhcp.InRequest
	if m.response {
		direction = ikedhcp.InResponse
	}
	chain, first, err := ikedhcp.Codec{}.AppendPayloads(nil, gate, direction, first, chain, m.messages...)
	if err != nil {
		panic(err)
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 8), uint64(m.spi))
	b = append(b, byte(first), 0x20, byte(m.exchange), flags)
	b = binary.BigEndian.AppendUint32(b, uint32(m.id))
	b = binary.BigEndian.AppendUint32(b, uint32(28+len(chain)))
	return append(b, chain...)
}

func parseIKE(b []byte) (m ikeMessage) {
	m.spi = ikedhcp.SPI(binary.BigEndian.Uint64(b[8:]))
	first := ikedhcp.PayloadType(b[16])
	m.exchange, m.response, m.fromGateway = ikedhcp.Exchange(b[18]), b[19]&0x20 != 0, b[19]&0x08 == 0
	m.id = ikedhcp.MessageID(binary.BigEndian.Uint32(b[20:]))
	m.narrowed, m.refused = first == tsi, first == notify
	for msg, err := range (ikedhcp.Codec{}).Messages(gate, first, b[28:]) {
		if err != nil {
			panic(err)
		}
		m.messages = append(m.messages, msg)
	}
	return m
}

// exchanger is one direction of IKE's request and response: the requester has one
// exchange at a time and retransmits, the responder repeats its response (RFC 7296
// section 2.1).
type exchanger struct {
	nextID  ikedhcp.MessageID
	request []byte // under way, or nil
	waiting [][]byte

	answered ikedhcp.MessageID // last request answered: those of the other side
	response []byte            // to it, or nil if there is none yet
}

// sa is an IKE SA at the gateway. It survives a crash, as the keys of an IKE SA
// would on a gateway with a standby.
type sa struct {
	exchanger
	spi, former ikedhcp.SPI
	client      *client
	rounds      int // of IKE_AUTH until the peer is authenticated
	authentic   bool
	established bool // the response that completes IKE_AUTH is sent
	told        bool // and the relay knows
	closed      bool
	addr        netip.Addr // as the actions have it
	owed        []reply    // taken from a server, and not passed on yet
}

// reply is what tells two replies apart.
type reply struct {
	xid    uint32
	kind   dhcp4.MessageType
	yiaddr netip.Addr
}

func replyOf(b []byte) reply {
	var m dhcp4.Message
	if err := m.Parse(b); err != nil {
		panic(err)
	}
	return reply{m.XID(), m.Type(), m.YIAddr()}
}

// gateway is the security gateway.
type gateway struct {
	*world
	config   ikedhcp.RelayConfig
	node     *sim.Node[ikedhcp.Action]
	relay    *ikedhcp.Relay
	snapshot []byte
	sas      map[ikedhcp.SPI]*sa // under their former SPI too
	lastSPI  ikedhcp.SPI
}

// boot starts the gateway with its last snapshot.
func (g *gateway) boot() {
	relay, err := ikedhcp.NewRelay(g.config)
	if err == nil && g.snapshot != nil {
		err = relay.Restore(g.net.Now(), g.snapshot)
	}
	if err != nil {
		g.net.Fail("the gateway does not start: %v", err)
		return
	}
	g.relay = relay
	for spi, s := range g.sas {
		if s.former == spi || s.closed {
			continue
		}
		if a, _ := relay.Address(spi); a != s.addr {
			g.net.Fail("the snapshot has address %v for SA %v, which has %v", a, spi, s.addr)
		}
		// "What is under way is not part of it."
		s.owed = nil
	}
	g.node.Start(g)
	for _, spi := range slices.Sorted(maps.Keys(g.sas)) {
		if s := g.sas[spi]; s.spi == spi && !s.closed && s.request != nil {
			g.transmit(s, s.request)
		}
	}
}

func (g *gateway) crash() {
	if g.node.Up() {
		g.node.Crash()
		g.net.After(g.net.Between(0, 20*time.Second), g.boot)
	}
}

// Deadline and HandleTimeout are the relay's: the gateway is the machine on the node.
func (g *gateway) Deadline() (time.Time, bool) { return g.relay.Deadline() }

// HandleTimeout stores a snapshot, as every input does.
func (g *gateway) HandleTimeout(now time.Time, acts []ikedhcp.Action) []ikedhcp.Action {
	acts = g.relay.HandleTimeout(now, acts)
	g.snapshot = g.relay.AppendSnapshot(g.snapshot[:0])
	return acts
}

// input makes an input call, and stores a snapshot before anything else happens.
func (g *gateway) input(what string, call func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error)) {
	g.node.Input(func(now time.Time, acts []ikedhcp.Action) []ikedhcp.Action {
		acts, err := call(now, acts)
		if err != nil {
			g.net.Logf("gateway: %s: %v", what, err)
		}
		g.snapshot = g.relay.AppendSnapshot(g.snapshot[:0])
		return acts
	})
}

// open is IKE_SA_INIT, which is not simulated: the gateway chooses an SPI.
func (g *gateway) open(c *client) *sa {
	if !g.node.Up() {
		return nil
	}
	g.lastSPI++
	s := &sa{spi: g.lastSPI, client: c, rounds: 1}
	s.nextID, s.answered = 1, 0
	if g.net.Chance(0.3) {
		s.rounds = 2 + g.net.Rand().IntN(2) // EAP
	}
	if err := g.relay.OpenSA(g.net.Now(), s.spi); err != nil {
		g.net.Fail("an SA is refused: %v", err)
	}
	g.snapshot = g.relay.AppendSnapshot(g.snapshot[:0])
	g.sas[s.spi] = s
	return s
}

func (g *gateway) close(s *sa) {
	if s.closed || !g.node.Up() {
		return
	}
	g.net.Logf("gateway: closes SA %v", s.spi)
	s.closed = true
	g.input("close", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		return g.relay.CloseSA(now, s.spi, acts)
	})
	g.net.After(maxLatency, func() { s.client.lost(s) })
}

// hearsIKE is an IKE message of a client.
func (g *gateway) hearsIKE(c *client, b []byte) {
	m := parseIKE(b)
	s := g.sas[m.spi]
	switch {
	case !g.node.Up() || s == nil || s.client != c:
	case m.response:
		if s.request != nil && m.id == parseIKE(s.request).id {
			s.request = nil
			if len(s.waiting) > 0 {
				s.request, s.waiting = s.waiting[0], s.waiting[1:]
				g.transmit(s, s.request)
			}
		}
	case m.id == s.answered && s.response != nil:
		c.down.Send(s.response)
	case m.id <= s.answered || s.closed:
	default:
		g.request(s, m)
	}
}

// request is a request that has not been answered.
func (g *gateway) request(s *sa, m ikeMessage) {
	if m.exchange == ikedhcp.Informational && !s.established {
		g.net.Fail("an INFORMATIONAL request before the IKE SA stands")
		return
	}
	if m.exchange == ikedhcp.IKEAuth && !s.authentic && int(m.id) >= s.rounds {
		s.authentic = true
		g.input("authenticated", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
			return g.relay.Authenticated(now, s.spi, []byte(s.client.identity), relayinfo.Fields{}, acts)
		})
	}
	g.input("request", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		return g.relay.HandleRequest(now, m.spi, m.id, m.messages, acts)
	})
}

// transmit sends a request of the gateway's until it is answered.
func (g *gateway) transmit(s *sa, request []byte) {
	s.client.down.Send(request)
	g.node.After(2*time.Second, func() {
		if !s.closed && s.request != nil && &s.request[0] == &request[0] {
			g.transmit(s, request)
		}
	})
}

func (g *gateway) hearsServer(from netip.AddrPort, pkt []byte) {
	g.input("reply", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		full := g.relay.Stats()[ikedhcp.ReasonHeldFull]
		mark := len(acts)
		acts, err := g.relay.HandleServer(now, from, pkt, acts)
		if err == nil {
			g.owe(pkt, full < g.relay.Stats()[ikedhcp.ReasonHeldFull], acts[mark:])
		}
		return acts, err
	})
}

// owe notes that the client is to get what the relay has taken. The SA is the one
// that the relay names if it passes it on, and otherwise the one of the circuit id.
func (g *gateway) owe(pkt []byte, full bool, acts []ikedhcp.Action) {
	spi := ikedhcp.SPI(0)
	for _, a := range acts {
		if a.Kind == ikedhcp.ActionRespond || a.Kind == ikedhcp.ActionInform || a.Kind == ikedhcp.ActionRefuse {
			spi = a.SPI
		}
	}
	if info, err := relayinfo.Find(pkt); err == nil {
		id, _ := info.CircuitID()
		spi = ikedhcp.SPI(binary.BigEndian.Uint64(id))
	}
	s := g.sas[spi]
	if s == nil {
		return // by xid, and held: it cannot be told here whose it is
	}
	if full && len(s.owed) > 0 {
		s.owed = slices.Delete(s.owed, max(0, slices.IndexFunc(s.owed, func(r reply) bool { return r.kind == dhcp4.Offer })), 1)
	}
	s.owed = append(s.owed, replyOf(pkt))
}

func (g *gateway) hearsIntercepted(from netip.AddrPort, pkt []byte) {
	var m dhcp4.Message
	if err := m.Parse(pkt); err != nil {
		panic(err)
	}
	g.input("intercepted", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		return g.relay.HandleIntercepted(now, from, m.CIAddr(), pkt, acts)
	})
}

// forged is a reply that somebody makes up, of a server's address, for an SA and
// the address of another one.
func (g *gateway) forged() {
	if len(g.sas) == 0 {
		return
	}
	spis := slices.Sorted(maps.Keys(g.sas))
	spi := spis[g.net.Rand().IntN(len(spis))]
	victim := g.sas[spis[g.net.Rand().IntN(len(spis))]]
	b := message(dhcp4.Header{Op: dhcp4.BootReply, XID: g.net.Rand().Uint32(), YIAddr: victim.addr, GIAddr: giaddr, CHAddr: victim.client.chaddr},
		option(dhcp4.OptionMessageType, byte(dhcp4.ACK)), option(dhcp4.OptionLeaseTime, 0, 0, 1, 0),
		option(dhcp4.OptionRelayAgentInfo, binary.BigEndian.AppendUint64([]byte{1, 8}, uint64(spi))...))
	g.input("forged reply", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		out, err := g.relay.HandleServer(now, g.config.Servers[0], b, acts)
		if err == nil {
			g.net.Fail("a forged reply is believed")
		}
		return out, err
	})
}

func (g *gateway) perform(a ikedhcp.Action) {
	s := g.sas[a.SPI]
	g.net.Logf("gateway: %v %v %d %v %d messages", a.Kind, a.SPI, a.MessageID, a.Address, len(a.Messages))
	if s == nil && a.Kind != ikedhcp.ActionToServer {
		g.net.Fail("%v for an SA that never was", a.Kind)
		return
	}
	switch a.Kind {
	case ikedhcp.ActionToServer:
		for _, to := range a.To {
			for _, server := range g.servers {
				if to.Addr() == server.id {
					server.in.Send(a.Data)
				}
			}
		}
	case ikedhcp.ActionRespond, ikedhcp.ActionRefuse:
		g.respond(s, a)
	case ikedhcp.ActionInform:
		if !s.told {
			g.net.Fail("an INFORMATIONAL exchange before the IKE SA stands")
		}
		g.passesOn(s, a.Messages)
		request := ikeMessage{spi: s.spi, exchange: ikedhcp.Informational, fromGateway: true, id: s.nextID, messages: a.Messages}.octets()
		s.nextID++
		if s.request != nil {
			s.waiting = append(s.waiting, request)
		} else {
			s.request = request
			g.transmit(s, request)
		}
	case ikedhcp.ActionSetAddress:
		g.set(s, a)
	case ikedhcp.ActionClearAddress:
		if s.addr != a.Address {
			g.net.Fail("%v is cleared at SA %v, which has %v", a.Address, s.spi, s.addr)
		}
		s.addr = netip.Addr{}
	case ikedhcp.ActionDeleteSAs:
		if s.addr != a.Address {
			g.net.Fail("SAs with %v are deleted at SA %v, which has %v", a.Address, s.spi, s.addr)
		}
		s.addr = netip.Addr{}
		if g.settled {
			g.net.Fail("%s is evicted without trouble", s.client.name)
		}
		g.node.After(0, func() { g.close(s) })
	case ikedhcp.ActionLeaseExpired:
		if g.settled {
			g.net.Fail("the lease of %s expires without trouble", s.client.name)
		}
		if g.net.Chance(0.5) {
			g.node.After(0, func() { g.close(s) })
		}
	default:
		g.net.Fail("a relay wants %v", a.Kind)
	}
	for _, m := range append(slices.Clone(a.Messages), a.Data) {
		for i := range m {
			m[i] = 0xa5 // lent until the next call, and not a moment longer
		}
	}
}

// set is an address given to a client.
func (g *gateway) set(s *sa, a ikedhcp.Action) {
	if a.Selector.Start != a.Address || a.Selector.End != a.Address {
		g.net.Fail("TSi is narrowed to %v for the address %v", a.Selector, a.Address)
	}
	if !s.authentic {
		g.net.Fail("an address for a peer that is not authenticated")
	}
	for _, other := range g.sas {
		if other.addr == a.Address && !other.closed && other.client.identity != s.client.identity {
			g.net.Fail("%v for %s while %s has it", a.Address, s.client.name, other.client.name)
		}
	}
	s.addr = a.Address
}

// respond sends the one response to a request. If the client has its address, it
// completes IKE_AUTH.
func (g *gateway) respond(s *sa, a ikedhcp.Action) {
	if a.MessageID <= s.answered {
		g.net.Fail("a second response to request %d of SA %v", a.MessageID, s.spi)
		return
	}
	if a.MessageID != s.answered+1 {
		g.net.Fail("request %d of SA %v is answered after %d", a.MessageID, s.spi, s.answered)
	}
	m := ikeMessage{spi: a.SPI, exchange: ikedhcp.Informational, response: true, fromGateway: true, id: a.MessageID, messages: a.Messages}
	if s.authentic {
		g.passesOn(s, a.Messages)
	} else if len(a.Messages) > 0 {
		g.net.Fail("DHCP messages for a peer that is not authenticated")
	}
	if !s.established {
		m.exchange = ikedhcp.IKEAuth
		m.refused = a.Kind == ikedhcp.ActionRefuse
		m.narrowed = !m.refused && s.authentic && s.addr.IsValid()
	}
	s.answered, s.response = a.MessageID, m.octets()
	s.client.down.Send(s.response)
	switch {
	case m.narrowed:
		s.established = true
		g.tell(s)
	case m.refused:
		g.node.After(0, func() { g.close(s) })
	}
}

// tell has the relay know that the SA stands, a little later than the client does.
func (g *gateway) tell(s *sa) {
	g.net.After(g.net.Between(0, 200*time.Millisecond), func() {
		switch {
		case s.closed:
		case !g.node.Up():
			g.tell(s)
		default:
			s.told = true
			g.input("established", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
				return g.relay.Established(now, s.spi, acts)
			})
			if len(s.owed) > 0 {
				g.net.Fail("SA %v stands, and is not told of %v", s.spi, s.owed)
			}
		}
	})
}

// passesOn checks what goes to a client: all that is owed, and nothing of the
// gateway's own.
func (g *gateway) passesOn(s *sa, messages [][]byte) {
	for _, b := range messages {
		if i := slices.Index(s.owed, replyOf(b)); i >= 0 {
			s.owed = slices.Delete(s.owed, i, i+1)
		}
		g.checkReply(s.client, b)
	}
	if len(s.owed) > 0 {
		g.net.Fail("SA %v is not told of %v", s.spi, s.owed)
	}
}

func (w *world) checkReply(c *client, b []byte) {
	var m dhcp4.Message
	if err := m.Parse(b); err != nil {
		w.net.Fail("%s gets what is no DHCP message: %v", c.name, err)
		return
	}
	if m.Relayed() || m.RelayAgentInfoSize() > 0 {
		w.net.Fail("giaddr or option 82 reaches %s", c.name)
	}
	if id, _ := m.Option(dhcp4.OptionClientIdentifier); string(id) != string(c.id) {
		w.net.Fail("%s gets a reply for %q", c.name, id)
	}
}

// client is an IKE initiator with a DHCP client behind it.
type client struct {
	*world
	exchanger
	name     string
	identity string
	chaddr   []byte
	id       []byte // client identifier
	sameXID  bool   // it begins with the same xid as others
	gone     bool   // for good
	node     *sim.Node[ikedhcp.Action]
	machine  *ikedhcp.Client
	sa       *sa
	stands   bool
	exchange ikedhcp.ID // the Client's name for the request under way
	dhcp     dhcpClient
	up, down *sim.Link
}

// connect begins a new IKE SA.
func (c *client) connect() {
	if c.gone || c.sa != nil {
		return
	}
	s := c.world.gateway.open(c)
	if s == nil {
		c.net.After(5*time.Second, c.connect)
		return
	}
	var err error
	if c.machine, err = ikedhcp.NewClient(ikedhcp.ClientConfig{}); err != nil {
		c.net.Fail("%v", err)
	}
	c.net.Logf("%s: SA %v", c.name, s.spi)
	c.sa, c.stands, c.exchanger = s, false, exchanger{nextID: 1}
	c.node.Start(c.machine)
	c.input("ready", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		return c.machine.Ready(now, acts)
	})
	c.dhcp = dhcpClient{client: c, last: c.dhcp.last}
	c.dhcp.begin()
}

// disconnect ends the SA; sometimes the address is given back before.
func (c *client) disconnect() {
	s := c.sa
	if s == nil {
		return
	}
	if c.dhcp.bound() && c.net.Chance(0.5) {
		c.dhcp.release()
	}
	// The IKE daemon at the other end hears of it sooner or later.
	var close func()
	close = func() {
		if c.world.gateway.close(s); !s.closed {
			c.net.After(time.Second, close)
		}
	}
	c.net.After(c.net.Between(time.Second, 5*time.Second), close)
}

// lost: the SA is gone.
func (c *client) lost(s *sa) {
	if c.sa != s {
		return
	}
	c.input("closed", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		c.machine.Closed(now)
		return acts, nil
	})
	c.node.Crash() // what the DHCP client has under way is void too
	c.sa = nil
	c.net.After(c.net.Between(0, 5*time.Second), c.connect)
}

// rekey gives the SA a new SPI.
func (c *client) rekey() {
	g, s := c.world.gateway, c.sa
	if s == nil || s.closed || !s.established || s.former != 0 || !g.node.Up() {
		return
	}
	g.lastSPI++
	if err := g.relay.Rekeyed(g.net.Now(), s.spi, g.lastSPI); err != nil {
		g.net.Fail("rekeying: %v", err)
	}
	g.snapshot = g.relay.AppendSnapshot(g.snapshot[:0])
	g.net.Logf("%s: SA %v is now %v", c.name, s.spi, g.lastSPI)
	s.former, s.spi = s.spi, g.lastSPI
	g.sas[s.spi] = s
}

func (c *client) input(what string, call func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error)) {
	c.node.Input(func(now time.Time, acts []ikedhcp.Action) []ikedhcp.Action {
		acts, err := call(now, acts)
		if err != nil {
			c.net.Logf("%s: %s: %v", c.name, what, err)
		}
		return acts
	})
}

// hearsIKE is an IKE message of the gateway.
func (c *client) hearsIKE(b []byte) {
	m := parseIKE(b)
	switch {
	case c.sa == nil || m.spi != c.sa.spi && m.spi != c.sa.former:
	case !m.response:
		c.hearsInform(m)
	case c.request == nil || m.id != parseIKE(c.request).id:
	case m.refused:
		c.request = nil // and the gateway ends the SA
	default:
		c.request = nil
		if m.narrowed {
			c.stands = true
			c.input("established", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
				return c.machine.Established(now, acts)
			})
		}
		c.input("response", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
			return c.machine.HandleResponse(now, c.exchange, m.messages, acts)
		})
	}
}

// hearsInform is an INFORMATIONAL request of the gateway. One that overtakes the
// IKE_AUTH response is not for a machine to see: IKE has no keys for it yet.
func (c *client) hearsInform(m ikeMessage) {
	switch {
	case !c.stands:
	case m.id == c.answered && c.response != nil:
		c.up.Send(c.response)
	case m.id == c.answered+1:
		c.input("inform", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
			return c.machine.HandleInform(now, m.id, m.messages, acts)
		})
	}
}

func (c *client) perform(a ikedhcp.Action) {
	switch a.Kind {
	case ikedhcp.ActionRequest:
		if (a.Exchange == ikedhcp.Informational) != c.stands {
			c.net.Fail("%s starts %v; the SA stands: %v", c.name, a.Exchange, c.stands)
		}
		if c.request != nil {
			c.net.Fail("%s starts a second request", c.name)
		}
		c.exchange = a.ID
		c.request = ikeMessage{spi: c.sa.spi, exchange: a.Exchange, id: c.nextID, messages: a.Messages}.octets()
		c.nextID++
		c.transmit(c.request)
	case ikedhcp.ActionDeliver:
		c.checkReply(c, a.Data)
		c.dhcp.hears(slices.Clone(a.Data))
	case ikedhcp.ActionEmptyResponse:
		c.answered = a.MessageID
		c.response = ikeMessage{spi: c.sa.spi, exchange: ikedhcp.Informational, response: true, id: a.MessageID}.octets()
		c.up.Send(c.response)
	default:
		c.net.Fail("a client wants %v", a.Kind)
	}
	for _, m := range append(slices.Clone(a.Messages), a.Data) {
		for i := range m {
			m[i] = 0xa5
		}
	}
}

// transmit sends a request until it is answered.
func (c *client) transmit(request []byte) {
	c.up.Send(request)
	c.node.After(2*time.Second, func() {
		if c.request != nil && &c.request[0] == &request[0] {
			c.transmit(request)
		}
	})
}

// dhcpClient is a DHCP client as RFC 2131 has it, as far as is needed to hold an
// address: it knows nothing of IKE.
type dhcpClient struct {
	*client
	step   dhcpStep
	turn   int // counts exchanges: a timer of an earlier one means nothing
	xid    uint32
	server []byte
	addr   netip.Addr
	last   netip.Addr // the address it had in an earlier life
	since  time.Time
}

type dhcpStep int

const (
	dhcpSelecting dhcpStep = iota
	dhcpRebooting
	dhcpRequesting
	dhcpBound
	dhcpRenewing // and rebinding
)

func (d *dhcpClient) bound() bool { return d.step == dhcpBound || d.step == dhcpRenewing }

// begin looks for an address; sometimes for the one it had.
func (d *dhcpClient) begin() {
	d.step = dhcpSelecting
	if d.last.IsValid() && d.net.Chance(0.3) {
		d.step, d.addr = dhcpRebooting, d.last
	}
	d.newTransaction()
	if d.sameXID {
		d.xid, d.sameXID = 0x5a5a5a5a, false
	}
	d.ask(0)
}

func (d *dhcpClient) newTransaction() {
	d.turn++
	d.xid = d.net.Rand().Uint32()
}

// ask sends the message of this step, again and again.
func (d *dhcpClient) ask(tries int) {
	turn := d.turn
	b := dhcp4.Header{Op: dhcp4.BootRequest, HType: 31, XID: d.xid, CHAddr: d.chaddr}
	requested := option(dhcp4.OptionRequestedIPAddress, d.addr.AsSlice()...)
	kind := dhcp4.Request
	var more [][]byte
	switch d.step {
	case dhcpSelecting:
		kind = dhcp4.Discover
	case dhcpRebooting:
		more = [][]byte{requested}
	case dhcpRequesting:
		more = [][]byte{requested, option(dhcp4.OptionServerIdentifier, d.server...)}
	case dhcpRenewing:
		b.CIAddr = d.addr
	}
	d.send(kind, b, more...)
	d.node.After(time.Duration(min(4<<tries, 32))*time.Second, func() {
		switch {
		case d.turn != turn:
		case d.step == dhcpRenewing && d.net.Now().Sub(d.since) >= leaseTime, d.step == dhcpRebooting && tries >= 2, d.step == dhcpRequesting && tries >= 3:
			d.restart()
		default:
			d.ask(tries + 1)
		}
	})
}

func (d *dhcpClient) send(kind dhcp4.MessageType, h dhcp4.Header, more ...[]byte) {
	options := append([][]byte{option(dhcp4.OptionMessageType, byte(kind)), option(dhcp4.OptionClientIdentifier, d.id...)}, more...)
	pkt := message(h, options...)
	d.net.Logf("%s: %v xid %08x ciaddr %v", d.name, kind, h.XID, h.CIAddr)
	d.input("local", func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
		return d.machine.HandleLocal(now, pkt, acts)
	})
}

func (d *dhcpClient) restart() {
	d.addr, d.last = netip.Addr{}, netip.Addr{}
	d.begin()
}

func (d *dhcpClient) release() {
	d.newTransaction()
	d.step = dhcpSelecting // and does not ask again
	d.send(dhcp4.Release, dhcp4.Header{Op: dhcp4.BootRequest, HType: 31, XID: d.xid, CIAddr: d.addr, CHAddr: d.chaddr},
		option(dhcp4.OptionServerIdentifier, d.server...))
	d.last = d.addr
}

// hears is a reply.
func (d *dhcpClient) hears(pkt []byte) {
	d.node.After(0, func() { d.take(pkt) })
}

func (d *dhcpClient) take(pkt []byte) {
	var m dhcp4.Message
	if err := m.Parse(pkt); err != nil || m.XID() != d.xid {
		return
	}
	server, _ := m.Option(dhcp4.OptionServerIdentifier)
	switch {
	case m.Type() == dhcp4.Offer && d.step == dhcpSelecting:
		d.step, d.server, d.addr = dhcpRequesting, server, m.YIAddr()
		d.turn++
		d.ask(0)
	case m.Type() == dhcp4.ACK && (d.step == dhcpRequesting || d.step == dhcpRebooting || d.step == dhcpRenewing):
		if d.net.Chance(0.02) && d.faulty && d.step != dhcpRenewing {
			d.newTransaction()
			d.send(dhcp4.Decline, dhcp4.Header{Op: dhcp4.BootRequest, HType: 31, XID: d.xid, CHAddr: d.chaddr},
				option(dhcp4.OptionRequestedIPAddress, m.YIAddr().AsSlice()...), option(dhcp4.OptionServerIdentifier, server...))
			d.step = dhcpSelecting
			turn := d.turn
			d.node.After(10*time.Second, func() {
				if d.turn == turn {
					d.restart()
				}
			})
			return
		}
		d.step, d.server, d.addr, d.last, d.since = dhcpBound, server, m.YIAddr(), m.YIAddr(), d.net.Now()
		d.newTransaction()
		turn := d.turn
		d.node.After(leaseTime/2, func() {
			if d.turn == turn {
				d.step = dhcpRenewing
				d.ask(0)
			}
		})
	case m.Type() == dhcp4.NAK && (d.step == dhcpRequesting || d.step == dhcpRebooting || d.step == dhcpRenewing):
		d.turn++
		d.restart()
	}
}

// server is a DHCP server with a pool of its own.
type server struct {
	*world
	id       netip.Addr
	pool     []netip.Addr
	echo     bool                   // it knows option 82
	direct   bool                   // it answers renewals straight to the client
	leases   map[string]serverLease // by client identifier
	declined map[netip.Addr]time.Time
	in       *sim.Link
	out      *sim.Link // to giaddr
	toClient *sim.Link

	node      *sim.Node[ikedhcp.Action]
	responder *ikedhcp.Responder // or nil
}

type serverLease struct {
	addr netip.Addr
	end  time.Time
}

// forget loses all leases, so that addresses are given out twice.
func (s *server) forget() {
	s.net.Logf("server %v forgets all leases", s.id)
	clear(s.leases)
}

// free says that a client may have addr.
func (s *server) free(addr netip.Addr, id string) bool {
	now := s.net.Now()
	for other, l := range s.leases {
		if l.addr == addr && other != id && now.Before(l.end) {
			return false
		}
	}
	return slices.Contains(s.pool, addr) && !now.Before(s.declined[addr])
}

func (s *server) hears(pkt []byte) {
	var m dhcp4.Message
	if err := m.Parse(pkt); err != nil || m.GIAddr() != giaddr {
		s.net.Fail("the gateway sends a server %v, %v", &m, err)
		return
	}
	if s.responder != nil {
		s.input(func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
			return s.responder.HandleMessage(now, pkt, acts)
		})
		return
	}
	clientID, _ := m.Option(dhcp4.OptionClientIdentifier)
	id := string(clientID)
	var addr netip.Addr
	if b, ok := m.Option(dhcp4.OptionRequestedIPAddress); ok {
		addr = netip.AddrFrom4([4]byte(b))
	}
	chosen, named := m.Option(dhcp4.OptionServerIdentifier)
	if named && netip.AddrFrom4([4]byte(chosen)) != s.id {
		return
	}
	switch m.Type() {
	case dhcp4.Discover:
		if addr, ok := s.choose(id); ok {
			s.reply(&m, dhcp4.Offer, addr)
		}
	case dhcp4.Request:
		if m.CIAddr() != netip.IPv4Unspecified() {
			addr = m.CIAddr()
		}
		switch {
		case s.lease(id, addr):
			s.reply(&m, dhcp4.ACK, addr)
		case slices.Contains(s.pool, addr):
			s.reply(&m, dhcp4.NAK, netip.Addr{})
		}
	case dhcp4.Release:
		s.release(id, m.CIAddr())
	case dhcp4.Decline:
		s.decline(id, addr)
	}
}

// choose is an address to offer.
func (s *server) choose(id string) (netip.Addr, bool) {
	if addr := s.leases[id].addr; s.free(addr, id) {
		return addr, true
	}
	i := slices.IndexFunc(s.pool, func(a netip.Addr) bool { return s.free(a, id) })
	if i < 0 {
		return netip.Addr{}, false
	}
	return s.pool[i], true
}

// lease gives a client an address, if it may have it, and has no other one.
func (s *server) lease(id string, addr netip.Addr) bool {
	l := s.leases[id]
	if !s.free(addr, id) || l.addr != addr && s.net.Now().Before(l.end) {
		return false
	}
	s.leases[id] = serverLease{addr, s.net.Now().Add(leaseTime)}
	return true
}

func (s *server) release(id string, addr netip.Addr) {
	if s.leases[id].addr == addr {
		delete(s.leases, id)
	}
}

func (s *server) decline(id string, addr netip.Addr) {
	if s.leases[id].addr == addr {
		delete(s.leases, id)
		s.declined[addr] = s.net.Now().Add(time.Minute)
	}
}

// respond has the server be a Responder, which asks for its addresses.
func (s *server) respond() {
	s.node = sim.NewNode(s.net, "server "+s.id.String(), s.perform)
	var err error
	if s.responder, err = ikedhcp.NewResponder(ikedhcp.ResponderConfig{ServerID: s.id, AssignTime: 3 * time.Second}); err != nil {
		s.net.Fail("%v", err)
	}
	s.node.Start(s.responder)
}

func (s *server) input(call func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error)) {
	s.node.Input(func(now time.Time, acts []ikedhcp.Action) []ikedhcp.Action {
		acts, err := call(now, acts)
		if err != nil {
			s.net.Logf("server %v: %v", s.id, err)
		}
		return acts
	})
}

func (s *server) perform(a ikedhcp.Action) {
	id, addr := string(a.Assign.ClientID), a.Address
	switch a.Kind {
	case ikedhcp.ActionAssign:
		purpose, requested, wait := a.Assign.Purpose, a.Assign.Requested, s.net.Between(0, time.Second)
		if s.faulty && s.net.Chance(0.1) {
			wait = s.net.Between(time.Second, time.Minute) // and then nobody waits for it
		}
		s.node.After(wait, func() {
			s.input(func(now time.Time, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
				return s.assign(now, a.ID, purpose, id, requested, acts)
			})
		})
	case ikedhcp.ActionReply:
		if !slices.Equal(a.To, []netip.AddrPort{netip.AddrPortFrom(giaddr, 67)}) {
			s.net.Fail("a reply goes to %v", a.To)
		}
		s.out.Send(a.Data)
	case ikedhcp.ActionFree:
		s.release(id, addr)
	case ikedhcp.ActionDeclined:
		s.decline(id, addr)
	default:
		s.net.Fail("a responder wants %v", a.Kind)
	}
}

func (s *server) assign(now time.Time, aid ikedhcp.ID, purpose ikedhcp.Purpose, id string, requested netip.Addr, acts []ikedhcp.Action) ([]ikedhcp.Action, error) {
	addr, ok := requested, false
	switch {
	case purpose == ikedhcp.PurposeOffer:
		addr, ok = s.choose(id)
	case !slices.Contains(s.pool, requested):
		return acts, nil // another server's: nothing is said
	default:
		ok = s.lease(id, requested)
	}
	if !ok {
		return s.responder.HandleRefused(now, aid, acts)
	}
	return s.responder.HandleAssigned(now, aid, ikedhcp.Assignment{Address: addr, Lease: leaseTime}, acts)
}

func (s *server) reply(to *dhcp4.Message, kind dhcp4.MessageType, addr netip.Addr) {
	clientID, _ := to.Option(dhcp4.OptionClientIdentifier)
	h := dhcp4.Header{
		Op: dhcp4.BootReply, HType: to.HType(), XID: to.XID(), CIAddr: to.CIAddr(), YIAddr: addr, GIAddr: to.GIAddr(), CHAddr: to.CHAddr(),
	}
	options := [][]byte{
		option(dhcp4.OptionMessageType, byte(kind)), option(dhcp4.OptionServerIdentifier, s.id.AsSlice()...),
		option(dhcp4.OptionClientIdentifier, clientID...),
	}
	if kind != dhcp4.NAK {
		options = append(options, option(dhcp4.OptionLeaseTime, 0, 0, 0, byte(leaseTime/time.Second)))
	}
	s.net.Logf("server %v: %v %v xid %08x", s.id, kind, addr, to.XID())
	if s.direct && kind == dhcp4.ACK && h.CIAddr != netip.IPv4Unspecified() {
		h.GIAddr = netip.Addr{}
		s.toClient.Send(message(h, options...))
		return
	}
	if info, ok := to.Option(dhcp4.OptionRelayAgentInfo); ok && s.echo {
		options = append(options, option(dhcp4.OptionRelayAgentInfo, info...))
	}
	s.out.Send(message(h, options...))
}

// message is a DHCP message.
func message(h dhcp4.Header, options ...[]byte) []byte {
	b, err := h.AppendBinary(nil)
	if err != nil {
		panic(err)
	}
	return dhcp4.AppendEnd(append(b, slices.Concat(options...)...), 0)
}

func option(code uint8, data ...byte) []byte {
	b, err := dhcp4.AppendOption(nil, code, data)
	if err != nil {
		panic(err)
	}
	return b
}
