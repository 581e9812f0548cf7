package ikedhcp

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"slices"
	"time"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// forceRenew is DHCPFORCERENEW (RFC 3203), the one message that a server sends
// unasked.
const forceRenew dhcp4.MessageType = 9

// infiniteLease is what option 51 says of a lease that does not end (RFC 2131
// section 3.3).
const infiniteLease = math.MaxUint32

// HandleServer takes in a datagram that arrived on giaddr, UDP port 67, or the port
// that requests are sent from: a DHCP server's reply. An error is a *[DropError]:
// nothing has changed but a counter.
func (r *Relay) HandleServer(now time.Time, src netip.AddrPort, pkt []byte, acts []Action) ([]Action, error) {
	at := r.begin(now)
	var m dhcp4.Message
	if err := r.parseReply(&m, src, pkt); err != nil {
		return acts, err
	}
	// A reply whose giaddr is none of ours "MUST be silently discarded" (RFC 1542
	// section 4.1.2).
	if m.GIAddr() != r.cfg.GIAddr {
		return acts, r.stats.drop(ReasonGIAddr, nil)
	}
	s, err := r.circuit(&m, pkt)
	if err != nil {
		return acts, err
	}
	t := r.asked(at, s, &m)
	if t == nil {
		return acts, r.stats.drop(ReasonUnanswerable, nil)
	}
	if setsAddress(t, &m) {
		addr, lease, ok := r.granted(&m)
		if !ok {
			return acts, r.stats.drop(ReasonAddress, nil)
		}
		acts = r.setAddress(at, s, addr, lease, acts)
		r.remember(s, t, &m)
	}
	return r.deliver(at, s, t, &m, acts), nil
}

// HandleIntercepted takes in a datagram that a server sent straight to a client: to
// UDP port 68 of dst, the client's address. It happens where the client names its
// address in ciaddr (RFC 2131 section 4.1), and only while the SA is established.
// An error is a *[DropError]: nothing has changed but a counter.
//
// Such a packet never gives an SA an address, nor takes one away (K3.26). An ACK for a
// renewal of the address extends its lease.
func (r *Relay) HandleIntercepted(now time.Time, src netip.AddrPort, dst netip.Addr, pkt []byte, acts []Action) ([]Action, error) {
	at := r.begin(now)
	var m dhcp4.Message
	if err := r.parseReply(&m, src, pkt); err != nil {
		return acts, err
	}
	// giaddr is 0, or as the request had it.
	if m.Relayed() && m.GIAddr() != r.cfg.GIAddr {
		return acts, r.stats.drop(ReasonGIAddr, nil)
	}
	if _, err := relayinfo.Find(pkt); err != nil && !errors.Is(err, relayinfo.ErrAbsent) {
		return acts, r.stats.drop(ReasonMalformed, err)
	}
	dst = dst.Unmap()
	if !dst.Is4() {
		return acts, r.stats.drop(ReasonUnknownSA, nil)
	}
	head, ok := r.owners[toUint32(dst)]
	if !ok {
		return acts, r.stats.drop(ReasonUnknownSA, nil)
	}
	for i := head; i >= 0; i = r.at(i).nextAt {
		s := r.at(i)
		if m.Type() == forceRenew && s.phase == phaseEstablished {
			return r.forceRenew(at, s, &m, acts)
		}
		t := r.asked(at, s, &m)
		if t == nil {
			continue
		}
		if s.phase != phaseEstablished {
			return acts, r.stats.drop(ReasonState, nil) // K3.24: "never needed for the IKE_AUTH state"
		}
		if setsAddress(t, &m) {
			addr, lease, ok := r.granted(&m)
			if !ok || addr != s.addr {
				return acts, r.stats.drop(ReasonAddress, nil)
			}
			acts = r.setAddress(at, s, addr, lease, acts)
		}
		return r.deliver(at, s, t, &m, acts), nil
	}
	return acts, r.stats.drop(ReasonUnanswerable, nil)
}

func (r *Relay) forceRenew(at instant, s *sa, m *dhcp4.Message, acts []Action) ([]Action, error) {
	if s.flow == nil && !r.newFlow(s) {
		return acts, r.stats.drop(ReasonTooMany, nil)
	}
	return r.deliver(at, s, nil, m, acts), nil
}

// parseReply checks a datagram as far as nothing of the SA is needed.
func (r *Relay) parseReply(m *dhcp4.Message, src netip.AddrPort, pkt []byte) error {
	if len(r.cfg.Sources) > 0 && !slices.Contains(r.cfg.Sources, src.Addr().Unmap()) {
		return r.stats.drop(ReasonSource, nil)
	}
	if len(pkt) > maxMessage {
		return r.stats.drop(ReasonTooLarge, nil)
	}
	if err := m.Parse(pkt); err != nil {
		return r.stats.drop(ReasonMalformed, err)
	}
	if m.Op() != dhcp4.BootReply {
		return r.stats.drop(ReasonMessageType, nil)
	}
	// Option 82 must not reach the client (K3.14), and in sname or file a relay
	// agent must not touch it (RFC 3046 section 2.1).
	if m.RelayAgentInfoElsewhere() {
		return r.stats.drop(ReasonMalformed, nil)
	}
	return nil
}

// circuit is the SA that a reply names by the circuit id in its option 82; or,
// where the server does not echo that, by xid and chaddr.
func (r *Relay) circuit(m *dhcp4.Message, pkt []byte) (*sa, error) {
	info, err := relayinfo.Find(pkt)
	if errors.Is(err, relayinfo.ErrAbsent) {
		if i, ok := r.xids[keyOf(m)]; ok {
			return r.at(i), nil
		}
		return nil, r.stats.drop(ReasonNoCircuit, nil)
	}
	if err != nil {
		return nil, r.stats.drop(ReasonMalformed, err)
	}
	id, err := info.CircuitID()
	if err != nil {
		return nil, r.stats.drop(ReasonNoCircuit, err)
	}
	if len(id) == 8 {
		if s := r.lookup(SPI(binary.BigEndian.Uint64(id))); s != nil {
			return s, nil
		}
	}
	return nil, r.stats.drop(ReasonUnknownSA, nil)
}

// asked is the transaction of s that m answers, or nil. "The DHCP protocol between
// security gateway and the DHCP server might be vulnerable" (K4.1): what nobody
// has asked for has no effect, whatever circuit it names.
func (r *Relay) asked(at instant, s *sa, m *dhcp4.Message) *transaction {
	if s.flow == nil {
		return nil
	}
	t := s.flow.find(keyOf(m))
	if t == nil || at >= t.until || !t.answeredBy(m) {
		return nil
	}
	return t
}

// setsAddress: the ACK to a DHCPINFORM gives options, and no address.
func setsAddress(t *transaction, m *dhcp4.Message) bool {
	return m.Type() == dhcp4.ACK && t.kind != dhcp4.Inform
}

// granted is the lease in an ACK: an address that a client can have, and a time
// that is 0 for ever.
func (r *Relay) granted(m *dhcp4.Message) (addr uint32, lease time.Duration, ok bool) {
	yiaddr := m.YIAddr()
	if !isUnicast(yiaddr) || yiaddr == r.cfg.GIAddr || slices.Contains(r.cfg.Own, yiaddr) {
		return 0, 0, false
	}
	seconds, _ := m.Option(dhcp4.OptionLeaseTime)
	switch {
	case seconds == nil:
		return toUint32(yiaddr), 0, true
	case len(seconds) != 4 || binary.BigEndian.Uint32(seconds) == 0:
		return 0, 0, false
	case binary.BigEndian.Uint32(seconds) == infiniteLease:
		return toUint32(yiaddr), 0, true
	}
	return toUint32(yiaddr), time.Duration(binary.BigEndian.Uint32(seconds)) * time.Second, true
}

// setAddress gives addr to s: "if DHCPACK is received to address which is already
// associated with some other entity, then the old entities IPsec SAs are deleted"
// (K3.21), before anything else.
func (r *Relay) setAddress(at instant, s *sa, addr uint32, lease time.Duration, acts []Action) []Action {
	a := fromUint32(addr)
	if s.addr != addr {
		if head, ok := r.owners[addr]; ok && r.at(head).identity != s.identity {
			for i := head; i >= 0; {
				old := r.at(i)
				i = old.nextAt
				acts = append(acts, Action{Kind: ActionDeleteSAs, SPI: old.spi, Address: a})
				r.endLease(old)
			}
		}
		acts = r.clearAddress(s, acts)
		r.own(s, addr)
	}
	if lease == 0 {
		r.leases.remove(r, s)
	} else {
		r.leases.set(r, s, at.after(lease))
	}
	return append(acts, Action{
		Kind: ActionSetAddress, SPI: s.spi, Address: a, Lease: lease, Selector: TrafficSelector{Start: a, End: a},
	})
}

// clearAddress takes the address from s, if it has one.
func (r *Relay) clearAddress(s *sa, acts []Action) []Action {
	if s.addr == 0 {
		return acts
	}
	acts = append(acts, Action{Kind: ActionClearAddress, SPI: s.spi, Address: fromUint32(s.addr)})
	r.endLease(s)
	return acts
}

func (r *Relay) endLease(s *sa) {
	r.leases.remove(r, s)
	r.disown(s)
}

// deliver passes a reply on to the client, now or when its IKE request allows.
// t is what it answers, and nil if it answers nothing.
func (r *Relay) deliver(at instant, s *sa, t *transaction, m *dhcp4.Message, acts []Action) []Action {
	f := s.flow
	r.hold(f, m)
	final := m.Type() == dhcp4.ACK || m.Type() == dhcp4.NAK
	enough := final || t != nil && r.enough(f, t)
	if final && t != nil {
		r.close(f, t)
	}
	switch {
	case f.waiting.armed() && enough:
		acts = r.respond(at, s, f.request, acts)
	case !f.waiting.armed() && s.phase == phaseEstablished:
		acts = r.inform(s, acts)
	}
	return acts
}

// hold puts a reply into the queue, as the client is to see it: "The security
// gateway MUST remove the DHCP Relay Agent Information Option and set the giaddr
// to 0" (K3.14). If the queue is full, the oldest OFFER gives way, since an ACK
// counts for more, or else the oldest reply.
func (r *Relay) hold(f *flow, m *dhcp4.Message) {
	q := &f.queue
	if len(q.entries) >= r.cfg.MaxHeld {
		q.drop(max(0, slices.IndexFunc(q.entries, func(e entry) bool { return e.kind == dhcp4.Offer })))
		r.stats[ReasonHeldFull]++
	}
	buf, _, err := relayinfo.Strip(q.buf, m.Bytes())
	if err != nil {
		return // not possible: option 82 was found well formed, or absent
	}
	q.add(buf, m.XID(), m.Type())
}

// remember keeps what it takes to release the lease that m has confirmed.
func (r *Relay) remember(s *sa, t *transaction, m *dhcp4.Message) {
	if !r.cfg.ReleaseOnClose {
		return
	}
	if s.lessee == nil {
		s.lessee = new(lessee)
	}
	l := s.lessee
	l.htype, l.hlen, l.chaddr = t.htype, t.hlen, t.chaddr
	l.clientID = append(l.clientID[:0], t.clientID...)
	l.server = serverID(m)
}

// release tells the server that the client of s does not need addr any more. Its
// xid is of no account: nobody answers a DHCPRELEASE.
func (r *Relay) release(s *sa, addr uint32, acts []Action) []Action {
	l := s.lessee
	msg, err := dhcp4.Header{
		Op: dhcp4.BootRequest, HType: l.htype, XID: uint32(s.spi), CIAddr: fromUint32(addr), CHAddr: l.chaddr[:l.hlen],
	}.AppendBinary(nil)
	if err != nil {
		return acts // not possible: a parsed message had this chaddr
	}
	msg = append(msg, dhcp4.OptionMessageType, 1, byte(dhcp4.Release), dhcp4.OptionServerIdentifier, 4)
	msg = binary.BigEndian.AppendUint32(msg, l.server)
	if len(l.clientID) > 0 {
		msg = append(msg, dhcp4.OptionClientIdentifier, byte(len(l.clientID)))
		msg = append(msg, l.clientID...)
	}
	msg = dhcp4.AppendEnd(msg, 0)
	if out, err := r.relayed(s, msg); err == nil {
		acts = append(acts, r.toServers(out))
	}
	return acts
}
