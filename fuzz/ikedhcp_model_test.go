package fuzz

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// relayModel says what a Relay does, in the plainest way: everything is found by
// looking at everything. It has no timers, no limits on tables, and its actions
// are text.
type relayModel struct {
	cfg ikedhcp.RelayConfig
	now time.Time
	sas []*modelSA
}

type modelSA struct {
	spi, alias SPI
	aliasEnd   time.Time
	phase      int // 1 open, 2 authenticated, 3 established
	identity   string
	since      time.Time
	addr       byte      // the last octet of 10.0.0.x; 0 is none
	leaseEnd   time.Time // zero is never
	asked      []modelAsked
	early      []modelAsked
	held       []modelReply
	waits      bool
	waitSPI    SPI
	waitID     int
	waitEnd    time.Time
}

type (
	// SPI is short for the type of an SPI.
	SPI = ikedhcp.SPI

	modelAsked struct {
		xid   uint32
		kind  dhcp4.MessageType
		claim byte // ciaddr, or for DECLINE the option 50
		until time.Time
	}
	modelReply struct {
		xid  uint32
		kind dhcp4.MessageType
		addr byte
	}
)

func (r modelReply) String() string { return fmt.Sprintf("%v/%d/%d", r.kind, r.xid, r.addr) }

func (m *relayModel) find(spi SPI) *modelSA {
	for _, s := range m.sas {
		if spi != 0 && (s.spi == spi || s.alias == spi) {
			return s
		}
	}
	return nil
}

func (m *relayModel) open(spi SPI) {
	if m.find(spi) == nil {
		m.sas = append(m.sas, &modelSA{spi: spi, phase: 1})
	}
}

func (m *relayModel) authenticated(spi SPI, identity string) (acts []string) {
	s := m.find(spi)
	if s == nil || s.phase != 1 {
		return nil
	}
	s.phase, s.identity, s.since = 2, identity, m.now
	early := s.early
	s.early = nil
	for _, msg := range early {
		acts, _ = m.toServer(s, msg, acts)
	}
	return acts
}

func (m *relayModel) request(spi SPI, id int, msg *modelAsked) (acts []string) {
	s := m.find(spi)
	if s == nil {
		return nil
	}
	if s.waits {
		acts = m.respond(s, s.waitSPI, s.waitID, acts)
	}
	wait := s.phase == 2 && msg == nil && len(s.held) == 0 &&
		slices.ContainsFunc(s.asked, func(a modelAsked) bool { return m.now.Before(a.until) })
	if msg != nil && s.phase == 1 {
		if len(s.early) < min(4, m.cfg.MaxHeld) {
			s.early = append(s.early, *msg)
		}
	} else if msg != nil {
		var asks bool
		acts, asks = m.toServer(s, *msg, acts)
		wait = asks && !m.enough(s, msg.xid)
	}
	if !wait {
		return m.respond(s, spi, id, acts)
	}
	s.waits, s.waitSPI, s.waitID, s.waitEnd = true, spi, id, m.now.Add(m.cfg.WaitTime)
	return acts
}

func (m *relayModel) toServer(s *modelSA, msg modelAsked, acts []string) ([]string, bool) {
	sent := fmt.Sprintf("to server: %v/%d of %v", msg.kind, msg.xid, s.spi)
	switch msg.kind {
	case dhcp4.Release, dhcp4.Decline:
		if s.addr == 0 || msg.claim != s.addr {
			return acts, false
		}
		s.asked = slices.DeleteFunc(s.asked, func(a modelAsked) bool { return a.kind == dhcp4.Request })
		return append(m.clear(s, acts), sent), false
	}
	if msg.claim != 0 && msg.claim != s.addr {
		return acts, false
	}
	if m.cfg.XIDMap {
		for _, other := range m.sas {
			if a := other.find(msg.xid); other != s && a != nil && m.now.Before(a.until) {
				return acts, false
			}
		}
	}
	s.answered(msg.xid)
	msg.until = m.now.Add(m.cfg.ReplyTime)
	s.asked = append(s.asked, msg)
	return append(acts, sent), true
}

func (s *modelSA) find(xid uint32) *modelAsked {
	for i := range s.asked {
		if s.asked[i].xid == xid {
			return &s.asked[i]
		}
	}
	return nil
}

func (s *modelSA) answered(xid uint32) {
	s.asked = slices.DeleteFunc(s.asked, func(a modelAsked) bool { return a.xid == xid })
}

func (m *relayModel) enough(s *modelSA, xid uint32) bool {
	offers := 0
	for _, h := range s.held {
		if h.xid == xid && h.kind != dhcp4.Offer {
			return true
		}
		if h.xid == xid {
			offers++
		}
	}
	a := s.find(xid)
	return a != nil && a.kind == dhcp4.Discover && offers >= m.cfg.Offers
}

func (m *relayModel) respond(s *modelSA, spi SPI, id int, acts []string) []string {
	kind := "respond"
	if s.phase == 2 && s.addr == 0 && !m.now.Before(s.since.Add(m.cfg.SetupTime)) {
		kind = "refuse"
	}
	acts = append(acts, fmt.Sprintf("%s %v %d %v", kind, spi, id, s.held))
	s.held, s.waits = nil, false
	return acts
}

func (m *relayModel) established(spi SPI) (acts []string) {
	s := m.find(spi)
	if s == nil || s.phase != 2 {
		return nil
	}
	s.phase = 3
	if len(s.held) > 0 && !s.waits {
		acts = append(acts, fmt.Sprintf("inform %v %v", s.spi, s.held))
		s.held = nil
	}
	return acts
}

// reply is a datagram for giaddr; circuit is the SPI in option 82, or 0 if there
// is no option 82.
func (m *relayModel) reply(circuit SPI, r modelReply, lease uint32) (acts []string) {
	var s *modelSA
	if circuit != 0 {
		s = m.find(circuit)
	} else if m.cfg.XIDMap {
		for _, other := range m.sas {
			if a := other.find(r.xid); a != nil && m.now.Before(a.until) {
				s = other
			}
		}
	}
	if s == nil || !m.answers(s, r) {
		return nil
	}
	if r.kind == dhcp4.ACK && s.find(r.xid).kind != dhcp4.Inform {
		if r.addr == 0 || lease == 0 {
			return nil
		}
		acts = m.set(s, r.addr, lease, acts)
	}
	return m.deliver(s, r, acts)
}

func (m *relayModel) answers(s *modelSA, r modelReply) bool {
	a := s.find(r.xid)
	if a == nil || !m.now.Before(a.until) {
		return false
	}
	switch r.kind {
	case dhcp4.Offer:
		return a.kind == dhcp4.Discover
	case dhcp4.NAK:
		return a.kind == dhcp4.Request
	case dhcp4.ACK:
		return a.kind == dhcp4.Request || a.kind == dhcp4.Inform
	}
	return false
}

func (m *relayModel) set(s *modelSA, addr byte, lease uint32, acts []string) []string {
	if s.addr != addr {
		var evicted []string
		for _, old := range m.sas {
			if old.addr == addr && old.identity != s.identity {
				evicted = append(evicted, fmt.Sprintf("delete SAs of %v for %d", old.spi, addr))
				old.addr, old.leaseEnd = 0, time.Time{}
			}
		}
		slices.Sort(evicted)
		acts = m.clear(s, append(acts, evicted...))
	}
	s.addr, s.leaseEnd = addr, m.now.Add(time.Duration(lease)*time.Second)
	if lease == 1<<32-1 {
		s.leaseEnd = time.Time{}
		lease = 0
	}
	return append(acts, fmt.Sprintf("set %v to %d for %v", s.spi, addr, time.Duration(lease)*time.Second))
}

func (m *relayModel) clear(s *modelSA, acts []string) []string {
	if s.addr != 0 {
		acts = append(acts, fmt.Sprintf("clear %d of %v", s.addr, s.spi))
	}
	s.addr, s.leaseEnd = 0, time.Time{}
	return acts
}

func (m *relayModel) deliver(s *modelSA, r modelReply, acts []string) []string {
	if len(s.held) >= m.cfg.MaxHeld {
		i := max(0, slices.IndexFunc(s.held, func(h modelReply) bool { return h.kind == dhcp4.Offer }))
		s.held = slices.Delete(s.held, i, i+1)
	}
	s.held = append(s.held, r)
	enough := r.kind != dhcp4.Offer || m.enough(s, r.xid)
	if r.kind != dhcp4.Offer {
		s.answered(r.xid)
	}
	if s.waits && enough {
		return m.respond(s, s.waitSPI, s.waitID, acts)
	}
	if !s.waits && s.phase == 3 {
		acts = append(acts, fmt.Sprintf("inform %v %v", s.spi, s.held))
		s.held = nil
	}
	return acts
}

func (m *relayModel) intercepted(dst byte, r modelReply, lease uint32) (acts []string) {
	for _, s := range m.sas {
		if s.addr != dst || dst == 0 || !m.answers(s, r) {
			continue
		}
		if s.phase != 3 {
			return nil
		}
		if r.kind == dhcp4.ACK && s.find(r.xid).kind != dhcp4.Inform {
			if r.addr != dst || lease == 0 {
				return nil
			}
			acts = m.set(s, r.addr, lease, acts)
		}
		return m.deliver(s, r, acts)
	}
	return nil
}

// ambiguous: SAs of one identity that share an address and have asked the same. It
// is all the same to the client which of them an intercepted reply goes to.
func (m *relayModel) ambiguous(dst byte, r modelReply) bool {
	n := 0
	for _, s := range m.sas {
		if s.addr == dst && m.answers(s, r) {
			n++
		}
	}
	return n > 1
}

func (m *relayModel) rekeyed(old, spi SPI) {
	if s := m.find(old); s != nil && s.spi == old && m.find(spi) == nil {
		s.alias, s.spi, s.aliasEnd = old, spi, m.now.Add(m.cfg.AliasTime)
	}
}

func (m *relayModel) closeSA(spi SPI) (acts []string) {
	s := m.find(spi)
	if s == nil || s.spi != spi {
		return nil
	}
	acts = m.clear(s, acts)
	m.sas = slices.DeleteFunc(m.sas, func(o *modelSA) bool { return o == s })
	return acts
}

func (m *relayModel) timeout() (acts []string) {
	for _, s := range m.sas {
		if s.waits && !m.now.Before(s.waitEnd) {
			acts = m.respond(s, s.waitSPI, s.waitID, acts)
		}
		if s.alias != 0 && !m.now.Before(s.aliasEnd) {
			s.alias = 0
		}
		if !s.leaseEnd.IsZero() && !m.now.Before(s.leaseEnd) {
			addr := s.addr
			acts = append(m.clear(s, acts), fmt.Sprintf("lease of %d at %v expired", addr, s.spi))
		}
	}
	return acts
}

func (m *relayModel) restored() {
	for _, s := range m.sas {
		s.asked, s.early, s.held, s.waits = nil, nil, nil, false
		if s.alias != 0 {
			s.aliasEnd = m.now.Add(m.cfg.AliasTime)
		}
	}
}

// relayText is the actions of a Relay in the words of the model.
func relayText(t *testing.T, acts []ikedhcp.Action) (text []string) {
	requireIKEDHCPActions(t, acts)
	last := func(a netip.Addr) byte { return a.As4()[3] }
	deleted := 0
	for _, a := range acts {
		held := make([]modelReply, 0, len(a.Messages))
		for _, b := range a.Messages {
			var m dhcp4.Message
			require.NoError(t, m.Parse(b))
			held = append(held, modelReply{m.XID(), m.Type(), last(m.YIAddr())})
		}
		switch a.Kind {
		case ikedhcp.ActionToServer:
			var m dhcp4.Message
			require.NoError(t, m.Parse(a.Data))
			info, err := relayinfo.Find(a.Data)
			require.NoError(t, err)
			id, err := info.CircuitID()
			require.NoError(t, err)
			text = append(text, fmt.Sprintf("to server: %v/%d of %v", m.Type(), m.XID(), SPI(binary.BigEndian.Uint64(id))))
		case ikedhcp.ActionRespond:
			text = append(text, fmt.Sprintf("respond %v %d %v", a.SPI, a.MessageID, held))
		case ikedhcp.ActionRefuse:
			text = append(text, fmt.Sprintf("refuse %v %d %v", a.SPI, a.MessageID, held))
		case ikedhcp.ActionInform:
			text = append(text, fmt.Sprintf("inform %v %v", a.SPI, held))
		case ikedhcp.ActionSetAddress:
			require.Equal(t, ikedhcp.TrafficSelector{Start: a.Address, End: a.Address}, a.Selector)
			text = append(text, fmt.Sprintf("set %v to %d for %v", a.SPI, last(a.Address), a.Lease))
		case ikedhcp.ActionClearAddress:
			text = append(text, fmt.Sprintf("clear %d of %v", last(a.Address), a.SPI))
		case ikedhcp.ActionDeleteSAs:
			text = append(text, fmt.Sprintf("delete SAs of %v for %d", a.SPI, last(a.Address)))
			deleted++
		case ikedhcp.ActionLeaseExpired:
			text = append(text, fmt.Sprintf("lease of %d at %v expired", last(a.Address), a.SPI))
		default:
			t.Fatalf("%v is no action of a Relay", a.Kind)
		}
	}
	slices.Sort(text[:min(deleted, len(text))]) // they come first, in no order
	ikedhcpTaken(acts)
	return text
}

// The operations of FuzzRelayOps.
const (
	opOpen = iota
	opAuthenticated
	opRequest
	opEstablished
	opReply
	opIntercepted
	opRekeyed
	opClose
	opWait
	opRestart
	relayOpCount
)

// FuzzRelayOps drives a Relay and the model by operations of four octets each, and
// compares all that they do. The first octet of all chooses the configuration.
func FuzzRelayOps(f *testing.F) {
	discover, ask, inform, release := byte(0), byte(1), byte(2), byte(3)
	offer, ack := byte(0), byte(1)
	// DISCOVER to ACK, as it should be.
	f.Add([]byte{
		0, opOpen, 1, 0, 0, opAuthenticated, 1, 0, 0, opRequest, 1, discover, 0, opReply, 1, offer, 1, opRequest, 1, ask, 0, opReply, 1, ack, 1,
		opEstablished, 1, 0, 0, opWait, 3, 0, 0,
	})
	// A second identity is given the address of the first.
	f.Add([]byte{
		0, opOpen, 1, 0, 0, opAuthenticated, 1, 0, 0, opRequest, 1, ask, 0, opReply, 1, ack, 1, opEstablished, 1, 0, 0,
		opOpen, 2, 0, 0, opAuthenticated, 2, 1, 0, opRequest, 2, ask, 0, opReply, 2, ack, 1,
	})
	// A late reply, held, and delivered with the answer to a poll.
	f.Add([]byte{0, opOpen, 1, 0, 0, opAuthenticated, 1, 0, 0, opRequest, 1, discover, 0, opWait, 1, 0, 0, opReply, 1, offer, 1, opRequest, 1, 9, 0})
	// Two SAs with the same xid, and a server that does not echo option 82.
	f.Add([]byte{1, opOpen, 1, 0, 0, opAuthenticated, 1, 0, 0, opOpen, 2, 0, 0, opAuthenticated, 2, 1, 0, opRequest, 1, discover, 0, opRequest, 2, discover, 0, opReply, 0, offer, 1})
	// EAP: the DISCOVER comes before the identity.
	f.Add([]byte{2, opOpen, 1, 0, 0, opRequest, 1, discover, 0, opAuthenticated, 1, 0, 0, opRequest, 1, 9, 0, opReply, 1, offer, 1})
	// The SA is rekeyed between INFORM and its intercepted ACK, then released and closed.
	f.Add([]byte{
		0, opOpen, 1, 0, 0, opAuthenticated, 1, 0, 0, opRequest, 1, ask, 0, opReply, 1, ack, 1, opEstablished, 1, 0, 0,
		opRequest, 1, inform, 1, opRekeyed, 1, 3, 0, opIntercepted, 1, ack, 0, opRequest, 3, release, 1, opClose, 1, 0, 0, opClose, 3, 0, 0,
	})
	// A restart with a lease, which then ends.
	f.Add([]byte{0, opOpen, 1, 0, 0, opAuthenticated, 1, 0, 0, opRequest, 1, ask, 0, opReply, 1, ack, 1, opRestart, 0, 0, 0, opWait, 3, 0, 0, opWait, 3, 0, 0})
	f.Fuzz(relayOps)
}

// relayOps makes one run of FuzzRelayOps.
func relayOps(t *testing.T, ops []byte) {
	if len(ops) == 0 || len(ops) > 2048 {
		return
	}
	giaddr := netip.MustParseAddr("192.0.2.1")
	server := netip.MustParseAddrPort("198.51.100.1:67")
	cfg := ikedhcp.RelayConfig{
		GIAddr: giaddr, Servers: []netip.AddrPort{server}, XIDMap: ops[0]&1 != 0,
		Offers: []int{1, 2, ikedhcp.AllOffers}[ops[0]>>1%3], MaxHeld: []int{1, 2, 8}[ops[0]>>3%3],
		WaitTime: 3 * time.Second, ReplyTime: 10 * time.Second, SetupTime: 20 * time.Second, AliasTime: 30 * time.Second,
	}
	newRelay := func() *ikedhcp.Relay {
		r, err := ikedhcp.NewRelay(cfg)
		require.NoError(t, err)
		return r
	}
	r, m := newRelay(), &relayModel{cfg: cfg, now: time.Unix(1_900_000_000, 0)}
	addrs := func(i byte) netip.Addr {
		if i%4 == 0 {
			return netip.IPv4Unspecified()
		}
		return netip.AddrFrom4([4]byte{10, 0, 0, i % 4})
	}
	id := 0
	var log []string
	var acts []ikedhcp.Action
	for ops = ops[1:]; len(ops) >= 4; ops = ops[4:] {
		op, spi, what, with := ops[0]%relayOpCount, SPI(ops[1]%5), ops[2], ops[3]
		// What the last octet is good for: an address, a transaction, a lease.
		addr, xid, lease := with%4, uint32(with>>2%4), []uint32{10, 100, 1<<32 - 1, 0}[with>>4%4]
		kinds := []dhcp4.MessageType{dhcp4.Offer, dhcp4.ACK, dhcp4.NAK, dhcp4.Discover}
		answer := modelReply{xid, kinds[what%4], addr}
		raw := binary.BigEndian.AppendUint32([]byte{dhcp4.OptionLeaseTime, 4}, lease)
		h := dhcp4.Header{Op: dhcp4.BootReply, XID: xid, YIAddr: addrs(addr)}

		var want []string
		acts = acts[:0]
		name := ""
		switch op {
		case opOpen:
			name = fmt.Sprintf("open %v", spi)
			if spi != 0 {
				_ = r.OpenSA(m.now, spi)
				m.open(spi)
			}
		case opAuthenticated:
			identity := []string{"alice", "bob"}[what%2]
			name = fmt.Sprintf("%v is %s", spi, identity)
			acts, _ = r.Authenticated(m.now, spi, []byte(identity), relayinfo.Fields{}, acts)
			want = m.authenticated(spi, identity)
		case opRequest:
			id++
			var messages [][]byte
			var msg *modelAsked
			if what%10 < 5 {
				kind := []dhcp4.MessageType{dhcp4.Discover, dhcp4.Request, dhcp4.Inform, dhcp4.Release, dhcp4.Decline}[what%10]
				msg = &modelAsked{xid: xid, kind: kind, claim: addr}
				ask := dhcp4.Header{Op: dhcp4.BootRequest, XID: xid, CIAddr: addrs(addr)}
				var options []byte
				if kind == dhcp4.Decline {
					ask.CIAddr, options = netip.Addr{}, append([]byte{dhcp4.OptionRequestedIPAddress, 4}, addrs(addr).AsSlice()...)
				}
				messages = append(messages, ikedhcpMessage(ask, kind, options...))
			}
			name = fmt.Sprintf("request %d of %v: %+v", id, spi, msg)
			acts, _ = r.HandleRequest(m.now, spi, ikedhcp.MessageID(id), messages, acts)
			want = m.request(spi, id, msg)
		case opEstablished:
			name = fmt.Sprintf("%v stands", spi)
			acts, _ = r.Established(m.now, spi, acts)
			want = m.established(spi)
		case opReply:
			name = fmt.Sprintf("reply to %v: %v for %d s", spi, answer, lease)
			h.GIAddr = giaddr
			if spi != 0 {
				raw = append(raw, dhcp4.OptionRelayAgentInfo, 10, byte(relayinfo.CodeCircuitID), 8)
				raw = binary.BigEndian.AppendUint64(raw, uint64(spi))
			}
			acts, _ = r.HandleServer(m.now, server, ikedhcpMessage(h, answer.kind, raw...), acts)
			want = m.reply(spi, answer, lease)
		case opIntercepted:
			dst := byte(spi) % 4
			if m.ambiguous(dst, answer) {
				continue
			}
			name = fmt.Sprintf("intercepted at %d: %v for %d s", dst, answer, lease)
			acts, _ = r.HandleIntercepted(m.now, server, addrs(dst), ikedhcpMessage(h, answer.kind, raw...), acts)
			want = m.intercepted(dst, answer, lease)
		case opRekeyed:
			name = fmt.Sprintf("%v goes on as %v", spi, SPI(what%5))
			if what%5 != 0 {
				_ = r.Rekeyed(m.now, spi, SPI(what%5))
				m.rekeyed(spi, SPI(what%5))
			}
		case opClose:
			name = fmt.Sprintf("close %v", spi)
			acts, _ = r.CloseSA(m.now, spi, acts)
			want = m.closeSA(spi)
		case opWait:
			m.now = m.now.Add([]time.Duration{time.Second, 3 * time.Second, 10*time.Second - 1, 100 * time.Second, 1}[spi])
			name = fmt.Sprintf("wait until %v", m.now.Unix())
		case opRestart:
			name = "restart"
			snapshot := r.AppendSnapshot(nil)
			r = newRelay()
			require.NoError(t, r.Restore(m.now, snapshot))
			m.restored()
		}
		log = append(log, name)
		got := relayText(t, acts)
		require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"), "after\n%s", strings.Join(log, "\n"))

		// All that is due at this time, in whatever order.
		got, want = relayText(t, r.HandleTimeout(m.now, acts[:0])), m.timeout()
		slices.Sort(got)
		slices.Sort(want)
		require.Equal(t, want, got, "timeouts after\n%s", strings.Join(log, "\n"))
		deadline, armed := r.Deadline()
		require.False(t, armed && !deadline.After(m.now), "what is due was not done")
		requireRelayIsModel(t, r, m, log)
	}
}

// TestRelayOps runs operations that are random, but likely to make sense: SAs that
// are open, requests that are answered.
func TestRelayOps(t *testing.T) {
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		ops := []byte{byte(rng.Uint32())}
		for spi := range byte(4) {
			ops = append(ops, opOpen, spi+1, 0, 0, opAuthenticated, spi+1, byte(rng.IntN(2)), 0)
			if rng.IntN(2) == 0 {
				ops = append(ops, opEstablished, spi+1, 0, 0)
			}
		}
		for range rng.IntN(60) {
			op := []byte{byte(rng.IntN(relayOpCount)), byte(1 + rng.IntN(4)), byte(rng.Uint32()), byte(rng.Uint32())}
			switch rng.IntN(4) {
			case 0:
				transaction := byte(rng.IntN(2))<<2 | byte(rng.IntN(3))<<4
				addr := byte(1 + rng.IntN(3))
				ops = append(ops, opRequest, op[1], 1, transaction, opReply, op[1], 1, transaction|addr)
			case 1:
				op[0], op[2] = opRequest, byte(rng.IntN(6))
			case 2:
				op[0], op[2] = opReply, byte(rng.IntN(3))
			}
			ops = append(ops, op...)
		}
		require.True(t, t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { relayOps(t, ops) }))
	}
}

// requireRelayIsModel compares what can be asked.
func requireRelayIsModel(t *testing.T, r *ikedhcp.Relay, m *relayModel, log []string) {
	t.Helper()
	require.Equal(t, len(m.sas), r.Len(), "SAs after\n%s", strings.Join(log, "\n"))
	for spi := SPI(1); spi < 5; spi++ {
		var want byte
		if s := m.find(spi); s != nil {
			want = s.addr
		}
		got, ok := r.Address(spi)
		if !ok {
			got = netip.IPv4Unspecified()
		}
		require.Equal(t, want, got.As4()[3], "the address of %v after\n%s", spi, strings.Join(log, "\n"))
	}
	owners := slices.Clone(m.sas)
	slices.SortFunc(owners, func(a, b *modelSA) int { return cmp.Compare(a.addr, b.addr) })
	for i, s := range owners[min(1, len(owners)):] {
		require.False(t, s.addr != 0 && s.addr == owners[i].addr && s.identity != owners[i].identity, "two identities hold one address")
	}
}
