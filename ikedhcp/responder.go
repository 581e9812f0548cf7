package ikedhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// The defaults of [ResponderConfig].
const (
	DefaultAssignTime = 10 * time.Second
	DefaultMaxPending = 4096
)

// ResponderConfig configures a [Responder]. Only ServerID is required.
type ResponderConfig struct {
	// ServerID is the server identifier, a unicast IPv4 address. The Relay has it
	// in Servers.
	ServerID netip.Addr
	// AssignTime is how long an ActionAssign may take. What comes later is
	// refused, and the DHCP client has retransmitted by then.
	AssignTime time.Duration
	// MaxPending bounds the ActionAssign under way.
	MaxPending int
}

// Purpose says what an assignment is for.
type Purpose uint8

const (
	// PurposeOffer: to be offered. The client may never come back for it.
	PurposeOffer Purpose = iota + 1
	// PurposeLease: to be leased, as offered before or asked for again.
	PurposeLease
	// PurposeInform: the client has its address and asks for options only.
	PurposeInform
)

var purposeNames = [...]string{PurposeOffer: "offer", PurposeLease: "lease", PurposeInform: "inform"}

func (p Purpose) String() string { return name(purposeNames[:], int(p), "Purpose") }

// AssignRequest is what a DHCP client asks for. Its slices are the machine's, like
// those of the [Action] it is in.
type AssignRequest struct {
	Purpose Purpose
	// Circuit is the option 82 of the relay agent: the SPI as circuit id, and who
	// the client is, if the Relay was given a subscriber id or remote id. It is all
	// that is certain about the client: the rest is what the client says.
	Circuit relayinfo.Info
	// ClientID is option 61, or nil. HType and CHAddr are the hardware address.
	ClientID []byte
	HType    uint8
	CHAddr   []byte
	// Requested is the address that the client has or would like to have; not
	// valid if it names none.
	Requested netip.Addr
}

// SPI is the circuit id, if it is an IKE SPI, or else 0.
func (q AssignRequest) SPI() SPI {
	if id, err := q.Circuit.CircuitID(); err == nil && len(id) == 8 {
		return SPI(binary.BigEndian.Uint64(id))
	}
	return 0
}

// Assignment answers an [AssignRequest].
type Assignment struct {
	// Address is the client's. If it is not what the client asked to lease, the
	// answer is a DHCPNAK. For PurposeInform it is not looked at.
	Address netip.Addr
	// Lease is in whole seconds; 0 is for ever. For PurposeInform it is not looked at.
	Lease time.Duration
	// Options are further options, in the order to send them: subnet mask, DNS
	// servers. Those that the client does not ask for, or that do not fit the
	// message size it accepts, are left out.
	Options []Option
}

// Option is a DHCP option (RFC 2132): a code and up to 255 octets.
type Option struct {
	Code uint8
	Data []byte
}

// Responder is the DHCP server in the gateway itself, for addresses that come from
// a pool, a database, or RADIUS (K2.7): it takes ActionToServer's Data from a
// [Relay], asks the caller for an address, and makes the reply for
// Relay.HandleServer. A DHCP client cannot tell it from another server, and the path to it
// cannot be attacked (K4.2).
//
// It keeps no leases: those are the caller's.
//
// Not safe for concurrent use.
type Responder struct {
	cfg     ResponderConfig
	stats   Stats
	clock   clock
	lastID  ID
	pending map[ID]*assignment
	asked   map[assignmentKey]ID
	expiry  fifo[assignment]
	// circuits counts what is pending for each option 82, that is each IKE SA, lest
	// one client take all of MaxPending.
	circuits map[string]int

	// Memory that actions lend to the caller until the next call.
	out []byte
	tos []netip.AddrPort
}

// maxPerCircuit bounds the ActionAssign under way for one IKE SA.
const maxPerCircuit = 8

// assignment is an ActionAssign under way.
type assignment struct {
	id       ID
	key      assignmentKey
	deadline timer[assignment]
	msg      []byte
	request  AssignRequest // aliases msg
	server   netip.Addr    // the server identifier for this client
}

// assignmentKey is what a retransmission has in common with its original.
type assignmentKey struct {
	transactionKey
	kind    dhcp4.MessageType
	giaddr  netip.Addr
	circuit string
}

// NewResponder fails if the configuration makes no sense.
func NewResponder(cfg ResponderConfig) (*Responder, error) {
	cfg.AssignTime = orDefault(cfg.AssignTime, DefaultAssignTime)
	cfg.MaxPending = orDefault(cfg.MaxPending, DefaultMaxPending)
	switch {
	case !isUnicast(cfg.ServerID):
		return nil, errors.New("ikedhcp: ServerID is not a unicast IPv4 address")
	case cfg.AssignTime < 0 || cfg.MaxPending < 0:
		return nil, errors.New("ikedhcp: a field of ResponderConfig is negative")
	}
	return &Responder{
		cfg: cfg, pending: make(map[ID]*assignment), asked: make(map[assignmentKey]ID), circuits: make(map[string]int),
	}, nil
}

func (s *Responder) begin(now time.Time) instant {
	s.out, s.tos = s.out[:0], s.tos[:0]
	return s.clock.advance(now)
}

// HandleMessage takes in a relayed message: Data of an ActionToServer. An error is
// a *[DropError]: nothing has changed but a counter. A retransmission of a message whose
// ActionAssign is under way is dropped with ReasonDuplicate.
func (s *Responder) HandleMessage(now time.Time, pkt []byte, acts []Action) ([]Action, error) {
	at := s.begin(now)
	if len(pkt) > maxMessage {
		return acts, s.stats.drop(ReasonTooLarge, nil)
	}
	a := &assignment{msg: slices.Clone(pkt)}
	var m dhcp4.Message
	if err := m.Parse(a.msg); err != nil {
		return acts, s.stats.drop(ReasonMalformed, err)
	}
	if m.Op() != dhcp4.BootRequest {
		return acts, s.stats.drop(ReasonMessageType, nil)
	}
	if !m.Relayed() {
		return acts, s.stats.drop(ReasonGIAddr, nil)
	}
	info, err := relayinfo.Find(a.msg)
	if err != nil && !errors.Is(err, relayinfo.ErrAbsent) {
		return acts, s.stats.drop(ReasonMalformed, err)
	}
	a.server = s.cfg.ServerID
	if override, err := info.ServerIDOverride(); err == nil {
		a.server = override // RFC 5107 section 4
	}
	a.request = AssignRequest{Circuit: info, HType: m.HType(), CHAddr: m.CHAddr()}
	a.request.ClientID, _ = m.Option(dhcp4.OptionClientIdentifier)

	requested, hasRequested := m.Option(dhcp4.OptionRequestedIPAddress)
	server, named := m.Option(dhcp4.OptionServerIdentifier)
	if hasRequested && len(requested) != 4 || named && len(server) != 4 {
		return acts, s.stats.drop(ReasonMalformed, nil)
	}
	if named && netip.AddrFrom4([4]byte(server)) != a.server && m.Type() != dhcp4.Discover {
		return acts, s.stats.drop(ReasonServerID, nil)
	}
	// ciaddr counts first: the Relay vouches for it, and a message that has it must
	// not have option 50 (RFC 2131 table 5).
	switch {
	case m.CIAddr() != netip.IPv4Unspecified():
		a.request.Requested = m.CIAddr()
	case hasRequested && m.Type() != dhcp4.Release:
		a.request.Requested = netip.AddrFrom4([4]byte(requested))
	}

	switch m.Type() {
	case dhcp4.Discover:
		a.request.Purpose = PurposeOffer
	case dhcp4.Inform:
		a.request.Purpose = PurposeInform
	case dhcp4.Request, dhcp4.Release, dhcp4.Decline:
		if !a.request.Requested.IsValid() {
			return acts, s.stats.drop(ReasonMalformed, nil)
		}
		a.request.Purpose = PurposeLease
	default:
		return acts, s.stats.drop(ReasonMessageType, nil)
	}
	switch m.Type() {
	case dhcp4.Release:
		return append(acts, Action{Kind: ActionFree, Address: a.request.Requested, Assign: a.request}), nil
	case dhcp4.Decline:
		return append(acts, Action{Kind: ActionDeclined, Address: a.request.Requested, Assign: a.request}), nil
	}

	a.key = assignmentKey{keyOf(&m), m.Type(), m.GIAddr(), string(info.Bytes())}
	if _, asked := s.asked[a.key]; asked {
		return acts, s.stats.drop(ReasonDuplicate, nil)
	}
	if len(s.pending) >= s.cfg.MaxPending || a.key.circuit != "" && s.circuits[a.key.circuit] >= maxPerCircuit {
		return acts, s.stats.drop(ReasonTooMany, nil)
	}
	s.lastID++
	a.id = s.lastID
	s.pending[a.id], s.asked[a.key] = a, a.id
	s.circuits[a.key.circuit]++
	s.expiry.arm(&a.deadline, a, at.after(s.cfg.AssignTime))
	return append(acts, Action{Kind: ActionAssign, ID: a.id, Assign: a.request}), nil
}

// HandleAssigned answers an ActionAssign. A *[DropError] (ReasonStale) means that
// the answer came too late, and that the address is the caller's again. Any other
// error is of the caller's making (an address, a time or an option that cannot be
// sent), and the action still awaits its answer.
func (s *Responder) HandleAssigned(now time.Time, id ID, granted Assignment, acts []Action) ([]Action, error) {
	s.begin(now)
	a := s.pending[id]
	if a == nil {
		return acts, s.stats.drop(ReasonStale, nil)
	}
	if err := granted.validate(a.request.Purpose); err != nil {
		return acts, err
	}
	s.settle(a)
	switch q := a.request; {
	case q.Purpose == PurposeOffer:
		return s.reply(a, dhcp4.Offer, granted, acts), nil
	case q.Purpose == PurposeLease && granted.Address != q.Requested:
		return s.reply(a, dhcp4.NAK, Assignment{}, acts), nil
	}
	return s.reply(a, dhcp4.ACK, granted, acts), nil
}

// HandleRefused answers an ActionAssign: the client gets nothing. For a lease it is told
// so by a DHCPNAK; else nothing is sent. A *[DropError] (ReasonStale) means
// that the answer came too late.
//
// A server that knows nothing of a client that asks for its old address "MUST
// remain silent" (RFC 2131 section 4.3.2) if there are other servers: do not answer then.
func (s *Responder) HandleRefused(now time.Time, id ID, acts []Action) ([]Action, error) {
	s.begin(now)
	a := s.pending[id]
	if a == nil {
		return acts, s.stats.drop(ReasonStale, nil)
	}
	s.settle(a)
	if a.request.Purpose == PurposeLease {
		acts = s.reply(a, dhcp4.NAK, Assignment{}, acts)
	}
	return acts, nil
}

// Deadline is when HandleTimeout is due; false if nothing is.
func (s *Responder) Deadline() (time.Time, bool) {
	at, armed := s.expiry.earliest(0, false)
	if !armed {
		return time.Time{}, false
	}
	return s.clock.time(at), true
}

// HandleTimeout gives up what was not answered within AssignTime, a bounded number
// of them in one call. It has no actions; an early call does nothing.
func (s *Responder) HandleTimeout(now time.Time, acts []Action) []Action {
	at := s.begin(now)
	for range maxPerCall {
		a := s.expiry.due(at)
		if a == nil {
			break
		}
		s.settle(a)
	}
	return acts
}

// Stats counts what was ignored.
func (s *Responder) Stats() Stats { return s.stats }

func (s *Responder) settle(a *assignment) {
	s.expiry.stop(&a.deadline)
	delete(s.pending, a.id)
	delete(s.asked, a.key)
	if s.circuits[a.key.circuit]--; s.circuits[a.key.circuit] == 0 {
		delete(s.circuits, a.key.circuit)
	}
}

// isReserved: the options that are not the caller's to set. The Responder knows
// them, or they are no options that a server sends.
func isReserved(code uint8) bool {
	switch code {
	case dhcp4.OptionPad, dhcp4.OptionRequestedIPAddress, dhcp4.OptionLeaseTime, dhcp4.OptionOverload,
		dhcp4.OptionMessageType, dhcp4.OptionServerIdentifier, dhcp4.OptionParameterRequestList,
		dhcp4.OptionMaxMessageSize, dhcp4.OptionClientIdentifier, dhcp4.OptionRapidCommit,
		dhcp4.OptionRelayAgentInfo, dhcp4.OptionEnd:
		return true
	}
	return false
}

func (g *Assignment) validate(p Purpose) error {
	if p != PurposeInform {
		if !isUnicast(g.Address) {
			return errors.New("ikedhcp: assigned address is not a unicast IPv4 address")
		}
		if g.Lease < 0 || g.Lease%time.Second != 0 || g.Lease/time.Second >= infiniteLease {
			return errors.New("ikedhcp: lease is not a number of whole seconds under 2^32-1")
		}
	}
	for i, o := range g.Options {
		switch {
		case isReserved(o.Code):
			return fmt.Errorf("ikedhcp: option %d is not for an assignment", o.Code)
		case len(o.Data) > math.MaxUint8:
			return fmt.Errorf("ikedhcp: option %d: %w", o.Code, ErrTooLarge)
		case slices.ContainsFunc(g.Options[:i], func(p Option) bool { return p.Code == o.Code }):
			return fmt.Errorf("ikedhcp: option %d is there twice", o.Code)
		}
	}
	return nil
}

// defaultMaxSize is what every client accepts: "a message of up to 576 octets" (RFC 2131 section 2), IP and UDP headers included.
const (
	ipUDPLen       = 28
	defaultMaxSize = 576 - ipUDPLen
)

// reply makes the answer to a (RFC 2131 section 4.3.1, table 3).
func (s *Responder) reply(a *assignment, kind dhcp4.MessageType, granted Assignment, acts []Action) []Action {
	var m dhcp4.Message
	if err := m.Parse(a.msg); err != nil {
		return acts // not possible: it was parsed before
	}
	h := dhcp4.Header{
		Op: dhcp4.BootReply, HType: m.HType(), XID: m.XID(), Flags: m.Flags(), GIAddr: m.GIAddr(), CHAddr: m.CHAddr(),
	}
	lease := false
	switch {
	case kind == dhcp4.NAK:
		// "If 'giaddr' is set in the DHCPREQUEST message [...] The server MUST set
		// the broadcast bit in the DHCPNAK" (RFC 2131 section 4.3.2).
		h.Flags |= dhcp4.FlagBroadcast
	case a.request.Purpose == PurposeInform:
		h.CIAddr = m.CIAddr() // and no yiaddr, no lease time (RFC 2131 section 4.3.5)
	default:
		h.YIAddr, lease = granted.Address, true
		if kind == dhcp4.ACK {
			h.CIAddr = m.CIAddr()
		}
	}
	b, err := h.AppendBinary(s.out)
	if err != nil {
		return acts // not possible: all addresses are IPv4, and chaddr is m's
	}
	b = append(b, dhcp4.OptionMessageType, 1, byte(kind), dhcp4.OptionServerIdentifier, 4)
	server := a.server.As4()
	b = append(b, server[:]...)
	if lease {
		seconds := uint32(granted.Lease / time.Second)
		if seconds == 0 {
			seconds = infiniteLease
		}
		b = binary.BigEndian.AppendUint32(append(b, dhcp4.OptionLeaseTime, 4), seconds)
	}
	if id := a.request.ClientID; id != nil && len(id) <= math.MaxUint8 {
		// "the server MUST return the 'client identifier' option, unaltered, in its
		// response message" (RFC 6842 section 3).
		b = append(append(b, dhcp4.OptionClientIdentifier, byte(len(id))), id...)
	}

	// Option 82 comes back as it was, and last (RFC 3046 section 2.2): what room
	// there is for other options depends on it.
	var echo []byte
	if info := a.request.Circuit; info.IsValid() {
		echo, _ = info.AppendOption(nil) // over 255 octets: a reply without it
	}
	wanted, limited := m.Option(dhcp4.OptionParameterRequestList)
	for _, o := range granted.Options {
		asked := !limited || slices.Contains(wanted, o.Code)
		if asked && len(b)+2+len(o.Data)+len(echo)+1 <= maxReply(&m) {
			b = append(append(b, o.Code, byte(len(o.Data))), o.Data...)
		}
	}
	b = dhcp4.AppendEnd(append(b, echo...), 0)
	s.out = b
	s.tos = append(s.tos, netip.AddrPortFrom(m.GIAddr(), serverPort))
	return append(acts, Action{
		Kind: ActionReply, Data: b, From: netip.AddrPortFrom(s.cfg.ServerID, serverPort), To: s.tos,
	})
}

// maxReply is the largest message that the client accepts, in octets of UDP data.
func maxReply(m *dhcp4.Message) int {
	size, _ := m.Option(dhcp4.OptionMaxMessageSize)
	if len(size) != 2 {
		return defaultMaxSize
	}
	return max(defaultMaxSize, min(int(binary.BigEndian.Uint16(size))-ipUDPLen, maxMessage))
}
