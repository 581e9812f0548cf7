package ikedhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

const (
	// MaxIdentity is the size of the largest identity, in octets.
	MaxIdentity = 1024

	maxMessage  = relayinfo.DefaultMaxSize // of a DHCP message, either way
	maxPayloads = 8                        // DHCP payloads of one IKE request that are looked at
	maxPerCall  = 1024                     // timeouts that one HandleTimeout deals with

	serverPort = 67
	clientPort = 68
)

var (
	errSPI      = errors.New("ikedhcp: SPI is zero")
	errIdentity = fmt.Errorf("ikedhcp: identity is empty or over %d octets", MaxIdentity)
	errFields   = errors.New("ikedhcp: circuit id, flags, server-id override and source port are not for the caller to set")
	errInfoSize = errors.New("ikedhcp: fields do not fit option 82")
	errNotEmpty = errors.New("ikedhcp: Restore on a Relay that has IKE SAs")
)

// Relay is the DHCP relay agent in a security gateway (section 3 of the draft),
// for all its IKE SAs together.
//
// Not safe for concurrent use: scale out with one Relay for each giaddr. An address
// must then come from one of them only, since a Relay evicts (K3.20) among its own
// SAs.
//
// Every IKE_AUTH request of the client is a HandleRequest, whether or not it has
// DHCP payloads, since held replies go out with its response; so is every
// INFORMATIONAL request with DHCP payloads. Each is answered by exactly one
// ActionRespond or ActionRefuse, now or by WaitTime later, unless the call
// returns ReasonDuplicate or ReasonUnknownSA or the SA is closed before.
type Relay struct {
	cfg   RelayConfig
	stats Stats
	clock clock
	saTable

	flows   int     // in use
	early   int     // those that hold messages for an SA that is not authenticated
	spare   []*flow // not in use
	xids    map[transactionKey]int32
	waiting fifo[flow]
	open    fifo[flow]
	aliases fifo[alias]
	leases  leaseHeap

	common  []byte // the sub-options that every option 82 ends with
	servers []netip.AddrPort

	// Memory that actions lend to the caller until the next call, and scratch.
	out   []byte
	views [][]byte
	info  []byte
}

// NewRelay fails if the configuration makes no sense. cfg is copied.
func NewRelay(cfg RelayConfig) (*Relay, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &Relay{cfg: cfg, servers: cfg.Servers}
	if len(r.servers) == 0 {
		r.servers = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), serverPort)}
	}
	common := relayinfo.Fields{SourcePort: cfg.SourcePort}
	if cfg.RelayFlags {
		common.Flags = new(relayinfo.Flags)
	}
	if cfg.ServerIDOverride {
		common.ServerIDOverride = cfg.GIAddr
	}
	var err error
	if r.common, err = common.AppendBinary(nil); err != nil && !errors.Is(err, relayinfo.ErrAbsent) {
		return nil, err
	}
	r.reset()
	return r, nil
}

// reset forgets all SAs.
func (r *Relay) reset() {
	r.saTable = newSATable()
	r.flows, r.early, r.spare = 0, 0, nil
	r.waiting, r.open, r.aliases, r.leases = fifo[flow]{}, fifo[flow]{}, fifo[alias]{}, leaseHeap{}
	if r.cfg.XIDMap {
		r.xids = make(map[transactionKey]int32)
	}
}

// begin starts an input: what the last one lent is the machine's again.
func (r *Relay) begin(now time.Time) instant {
	r.out, r.views = r.out[:0], r.views[:0]
	return r.clock.advance(now)
}

// OpenSA adds an IKE SA whose IKE_SA_INIT is done. spi is the one that the
// gateway chose; it must not be zero, nor in use.
func (r *Relay) OpenSA(now time.Time, spi SPI) error {
	r.begin(now)
	switch {
	case spi == 0:
		return errSPI
	case r.Len() >= r.cfg.MaxSAs:
		return r.stats.drop(ReasonTooMany, nil)
	case !r.add(spi):
		return r.stats.drop(ReasonState, nil)
	}
	return nil
}

// Authenticated says that the peer of an SA has proven identity: its AUTH payload
// was verified, after EAP if there is any. From now on its DHCP messages are
// relayed, those held so far at once. When one IKE request both authenticates and
// has DHCP payloads, this call comes first.
//
// identity is compared octet for octet to tell entities apart: ID type and data
// of the IDi payload, or the EAP identity if that is what was authenticated (RFC
// 7296 section 2.16). It has 1 to [MaxIdentity] octets and is copied.
//
// fields are sub-options for the option 82 of this SA beside those of the
// configuration: remote id, subscriber id, link selection, VSS. CircuitID, Flags,
// ServerIDOverride and SourcePort are the Relay's. An identity or fields that are
// not possible are an error, and the SA stays as it is.
func (r *Relay) Authenticated(now time.Time, spi SPI, identity []byte, fields relayinfo.Fields, acts []Action) ([]Action, error) {
	at := r.begin(now)
	s := r.lookup(spi)
	switch {
	case s == nil:
		return acts, r.stats.drop(ReasonUnknownSA, nil)
	case s.phase != phaseOpen:
		return acts, r.stats.drop(ReasonState, nil)
	case len(identity) == 0 || len(identity) > MaxIdentity:
		return acts, errIdentity
	}
	body, err := r.checkFields(fields)
	if err != nil {
		return acts, err
	}
	s.on(eventAuthenticated)
	s.identity, s.fields, s.since = string(identity), body, at

	if f := s.flow; f != nil {
		for i := range f.queue.entries {
			acts, _, _ = r.toServer(at, s, f.queue.message(i), acts) // what is refused now is counted
		}
		f.queue.clear()
		r.early--
		r.rest(s)
	}
	return acts, nil
}

// checkFields encodes the sub-options that are one SA's own.
func (r *Relay) checkFields(fields relayinfo.Fields) (string, error) {
	body, err := fields.AppendBinary(nil)
	if errors.Is(err, relayinfo.ErrAbsent) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	info, err := relayinfo.Parse(body)
	if err != nil {
		return "", err
	}
	for code := range info.All() {
		switch code {
		case relayinfo.CodeCircuitID, relayinfo.CodeFlags, relayinfo.CodeServerIDOverride, relayinfo.CodeSourcePort:
			return "", errFields
		}
	}
	if circuitIDLen+len(body)+len(r.common) > relayinfo.MaxBody {
		return "", errInfoSize
	}
	return string(body), nil
}

// HandleRequest takes in an IKE request of the client: id is its Message ID,
// messages are its DHCP messages, of which there may be none.
//
// The request is answered in any case: acts counts whatever the error. A
// *[DropError] tells of the first message that was refused; the others were taken.
// With ReasonUnknownSA or ReasonDuplicate, the latter for a retransmission while
// its response waits for replies, there is no answer to come from this call. A
// retransmission of a request that was answered is not for HandleRequest: the caller
// repeats its response (RFC 7296 section 2.1).
//
// A request that comes while another one waits has that one answered at once.
func (r *Relay) HandleRequest(now time.Time, spi SPI, id MessageID, messages [][]byte, acts []Action) ([]Action, error) {
	at := r.begin(now)
	s := r.lookup(spi)
	if s == nil {
		return acts, r.stats.drop(ReasonUnknownSA, nil)
	}
	if f := s.flow; f != nil && f.waiting.armed() {
		if f.request == (request{spi, id}) {
			return acts, r.stats.drop(ReasonDuplicate, nil)
		}
		acts = r.respond(at, s, f.request, acts)
	}

	// An IKE_AUTH request without DHCP messages is the client's way to ask for
	// replies that are still under way: it waits for them, unless there are some.
	wait := s.phase == phaseAuthenticated && len(messages) == 0 && !s.flow.holds() && s.flow.asks(at)
	enough := false
	var refused error
	for i, m := range messages {
		var err error
		switch {
		case i >= maxPayloads:
			err = r.stats.drop(ReasonTooMany, nil)
		case s.phase == phaseOpen:
			// Nothing is relayed for somebody who has not proven who he is.
			err = r.holdEarly(s, m)
		default:
			var t *transaction
			acts, t, err = r.toServer(at, s, m, acts)
			if t != nil {
				wait, enough = true, enough || r.enough(s.flow, t)
			}
		}
		if refused == nil {
			refused = err
		}
	}
	if wait && !enough {
		f := s.flow
		f.request = request{spi, id}
		r.waiting.arm(&f.waiting, f, at.after(r.cfg.WaitTime))
		return acts, refused
	}
	return r.respond(at, s, request{spi, id}, acts), refused
}

// Established says that the IKE SA stands: the last IKE_AUTH response is sent. The
// gateway may now start exchanges itself, and does so for replies that it holds.
func (r *Relay) Established(now time.Time, spi SPI, acts []Action) ([]Action, error) {
	r.begin(now)
	s := r.lookup(spi)
	switch {
	case s == nil:
		return acts, r.stats.drop(ReasonUnknownSA, nil)
	case !s.on(eventEstablished):
		return acts, r.stats.drop(ReasonState, nil)
	}
	if s.flow.holds() && !s.flow.waiting.armed() {
		acts = r.inform(s, acts)
	}
	return acts, nil
}

// Rekeyed says that the IKE SA old goes on under the SPI spi. Option 82 has the
// new one from now on. The old one still stands for the SA, in replies and in
// input calls, until AliasTime has passed or it is rekeyed again; CloseSA for the
// old one, when the old IKE SA is deleted, does nothing.
func (r *Relay) Rekeyed(now time.Time, old, spi SPI) error {
	at := r.begin(now)
	s := r.lookup(old)
	switch {
	case s == nil:
		return r.stats.drop(ReasonUnknownSA, nil)
	case spi == 0:
		return errSPI
	case s.spi != old || r.lookup(spi) != nil:
		return r.stats.drop(ReasonState, nil)
	}
	r.rename(at, s, old, spi)
	return nil
}

func (r *Relay) rename(at instant, s *sa, old, spi SPI) {
	r.dropAlias(s)
	r.spis[spi], s.spi = s.index, spi
	s.alias = &alias{spi: old, sa: s.index}
	r.aliases.arm(&s.alias.expiry, s.alias, at.after(r.cfg.AliasTime))
}

func (r *Relay) dropAlias(s *sa) {
	if s.alias == nil {
		return
	}
	r.aliases.stop(&s.alias.expiry)
	delete(r.spis, s.alias.spi)
	s.alias = nil
}

// CloseSA says that an IKE SA is gone, and its Child SAs with it. Its address is
// cleared, and given back to the server if so configured; a request that waits and
// replies that are held come to nothing.
func (r *Relay) CloseSA(now time.Time, spi SPI, acts []Action) ([]Action, error) {
	r.begin(now)
	s := r.lookup(spi)
	if s == nil {
		return acts, r.stats.drop(ReasonUnknownSA, nil)
	}
	if s.spi != spi {
		return acts, nil // the SA that the rekeyed one has left behind
	}
	addr, shared := s.addr, s.nextAt >= 0 || s.prevAt >= 0
	acts = r.clearAddress(s, acts)
	if addr != 0 && !shared && s.lessee != nil {
		acts = r.release(s, addr, acts)
	}
	if f := s.flow; f != nil {
		if s.phase == phaseOpen {
			r.early--
		}
		f.queue.clear()
		r.waiting.stop(&f.waiting)
		r.closeAll(f)
		r.rest(s)
	}
	r.dropAlias(s)
	r.remove(s)
	return acts, nil
}

// Deadline is when HandleTimeout is due; false if nothing is.
func (r *Relay) Deadline() (time.Time, bool) {
	at, armed := r.waiting.earliest(0, false)
	at, armed = r.open.earliest(at, armed)
	at, armed = r.aliases.earliest(at, armed)
	at, armed = r.leases.earliest(at, armed)
	if !armed {
		return time.Time{}, false
	}
	return r.clock.time(at), true
}

// HandleTimeout answers requests that have waited for long enough, forgets
// transactions and aliases, and clears addresses whose lease has ended. One call
// deals with a bounded number of them; if there are more, Deadline is not after
// now. An early call does nothing.
func (r *Relay) HandleTimeout(now time.Time, acts []Action) []Action {
	at := r.begin(now)
	for range maxPerCall {
		if f := r.waiting.due(at); f != nil {
			acts = r.respond(at, r.at(f.sa), f.request, acts)
		} else if f := r.open.due(at); f != nil {
			r.closeAll(f)
			r.rest(r.at(f.sa))
		} else if a := r.aliases.due(at); a != nil {
			r.dropAlias(r.at(a.sa))
		} else if i, ok := r.leases.due(at); ok {
			s := r.at(i)
			addr := s.addr
			acts = r.clearAddress(s, acts)
			acts = append(acts, Action{Kind: ActionLeaseExpired, SPI: s.spi, Address: fromUint32(addr)})
		} else {
			break
		}
	}
	return acts
}

// Len is the number of IKE SAs.
func (r *Relay) Len() int { return r.count }

// Stats counts what was ignored.
func (r *Relay) Stats() Stats { return r.stats }

// Address is the address of the client behind an SA, if it has one.
func (r *Relay) Address(spi SPI) (netip.Addr, bool) {
	if s := r.lookup(spi); s != nil && s.addr != 0 {
		return fromUint32(s.addr), true
	}
	return netip.Addr{}, false
}

// parseRequest checks a client's message as far as nothing of the SA is needed.
func (r *Relay) parseRequest(m *dhcp4.Message, msg []byte) error {
	if len(msg) > maxMessage {
		return r.stats.drop(ReasonTooLarge, nil)
	}
	if err := m.Parse(msg); err != nil {
		return r.stats.drop(ReasonMalformed, err)
	}
	if m.Op() != dhcp4.BootRequest {
		return r.stats.drop(ReasonMessageType, nil)
	}
	switch m.Type() {
	case dhcp4.Discover, dhcp4.Request, dhcp4.Inform, dhcp4.Release, dhcp4.Decline:
	default:
		return r.stats.drop(ReasonMessageType, nil)
	}
	// "A trusted circuit may contain a trusted downstream [...] network element",
	// an untrusted one is discarded from (RFC 3046 section 2.1): a client at the
	// other end of an IKE SA is not trusted.
	if m.Relayed() || m.RelayAgentInfoSize() > 0 || m.RelayAgentInfoElsewhere() {
		return r.stats.drop(ReasonRelayed, nil)
	}
	return nil
}

// holdEarly keeps a message of an SA that is not authenticated.
func (r *Relay) holdEarly(s *sa, msg []byte) error {
	var m dhcp4.Message
	if err := r.parseRequest(&m, msg); err != nil {
		return err
	}
	if s.flow == nil {
		if r.early >= r.cfg.MaxEarly || !r.newFlow(s) {
			return r.stats.drop(ReasonTooMany, nil)
		}
		r.early++
	}
	q := &s.flow.queue
	if len(q.entries) >= min(r.cfg.MaxHeld, maxOpen) {
		return r.stats.drop(ReasonTooMany, nil)
	}
	q.add(append(q.buf, msg...), m.XID(), m.Type())
	return nil
}

// toServer relays a message of an authenticated client. It returns the
// transaction, if the message asks for replies.
func (r *Relay) toServer(at instant, s *sa, msg []byte, acts []Action) ([]Action, *transaction, error) {
	var m dhcp4.Message
	if err := r.parseRequest(&m, msg); err != nil {
		return acts, nil, err
	}
	if !r.mayClaim(s, &m) {
		return acts, nil, r.stats.drop(ReasonAddress, nil)
	}
	out, err := r.relayed(s, msg)
	if err != nil {
		return acts, nil, err
	}
	var t *transaction
	switch m.Type() {
	case dhcp4.Release, dhcp4.Decline:
		// The server may give the address to somebody else as soon as it hears.
		acts = r.clearAddress(s, acts)
		r.closeRequests(s)
	default:
		if t, err = r.ask(at, s, &m); err != nil {
			return acts, nil, err
		}
	}
	return append(acts, r.toServers(out)), t, nil
}

// mayClaim reports whether the addresses that a client names as its own are the
// SA's. What it would like to have is for the server to judge.
func (r *Relay) mayClaim(s *sa, m *dhcp4.Message) bool {
	claimed := toUint32(m.CIAddr())
	switch m.Type() {
	case dhcp4.Release:
		return claimed != 0 && claimed == s.addr
	case dhcp4.Decline:
		// RFC 2131 table 5: ciaddr 0, the address in option 50.
		requested, _ := m.Option(dhcp4.OptionRequestedIPAddress)
		return s.addr != 0 && (claimed == 0 || claimed == s.addr) && len(requested) == 4 &&
			binary.BigEndian.Uint32(requested) == s.addr
	}
	return claimed == 0 || claimed == s.addr
}

// relayed appends to r.out what goes to the server for msg, and returns that part.
func (r *Relay) relayed(s *sa, msg []byte) ([]byte, error) {
	r.info = append(r.info[:0], byte(relayinfo.CodeCircuitID), 8)
	r.info = binary.BigEndian.AppendUint64(r.info, uint64(s.spi))
	r.info = append(append(r.info, s.fields...), r.common...)
	info, err := relayinfo.Parse(r.info)
	if err != nil {
		return nil, err
	}
	start := len(r.out)
	out, outcome, err := relayinfo.Insert(r.out, msg, &relayinfo.Config{GIAddr: r.cfg.GIAddr, Info: info, MaxSize: r.cfg.MaxSize})
	if err != nil {
		return nil, r.stats.drop(ReasonRelayed, err)
	}
	if outcome == relayinfo.TooLarge {
		// RFC 3046 section 2.1 would forward it without the option. But then a client
		// could leave out, by padding, what tells the server who it is.
		return nil, r.stats.drop(ReasonTooLarge, nil)
	}
	r.out = out
	return out[start:len(out):len(out)], nil
}

func (r *Relay) toServers(data []byte) Action {
	return Action{Kind: ActionToServer, Data: data, From: netip.AddrPortFrom(r.cfg.GIAddr, serverPort), To: r.servers}
}

// ask opens the transaction of a message that has replies.
func (r *Relay) ask(at instant, s *sa, m *dhcp4.Message) (*transaction, error) {
	key := keyOf(m)
	if owner, taken := r.xids[key]; taken && owner != s.index {
		// The first SA keeps it: a second one must not draw the replies to itself.
		f := r.at(owner).flow
		if t := f.find(key); at < t.until {
			return nil, r.stats.drop(ReasonTransactionTaken, nil)
		}
		r.close(f, f.find(key))
		r.rest(r.at(owner))
	}
	if s.flow == nil && !r.newFlow(s) {
		return nil, r.stats.drop(ReasonTooMany, nil)
	}
	f := s.flow
	t := f.find(key)
	if t == nil {
		if f.n == maxOpen {
			r.close(f, f.oldest())
		}
		t = &f.transactions[f.n]
		f.n++
		t.transactionKey = key
		if r.xids != nil {
			r.xids[key] = s.index
		}
	}
	t.kind, t.server, t.until = m.Type(), 0, at.after(r.cfg.ReplyTime)
	_, t.rapid = m.Option(dhcp4.OptionRapidCommit)
	if t.kind == dhcp4.Request {
		t.server = serverID(m)
	}
	t.clientID = t.clientID[:0]
	if r.cfg.ReleaseOnClose {
		id, _ := m.Option(dhcp4.OptionClientIdentifier)
		t.clientID = append(t.clientID, id[:min(len(id), math.MaxUint8)]...)
	}
	r.open.arm(&f.open, f, t.until)
	return t, nil
}

// closeRequests ends what can lead to an ACK for a client that gives its address
// back: one still under way must not give it to the client again, when it may be
// another's.
func (r *Relay) closeRequests(s *sa) {
	if s.flow == nil {
		return
	}
	for i := s.flow.n - 1; i >= 0; i-- {
		if t := &s.flow.transactions[i]; t.kind == dhcp4.Request || t.rapid {
			r.close(s.flow, t)
		}
	}
}

// enough reports whether the replies held for t are what its wait is for.
func (r *Relay) enough(f *flow, t *transaction) bool {
	offers := 0
	for _, e := range f.queue.entries {
		switch {
		case e.xid != t.xid:
		case e.kind == dhcp4.ACK, e.kind == dhcp4.NAK:
			return true
		case e.kind == dhcp4.Offer:
			offers++
		}
	}
	return t.kind == dhcp4.Discover && offers >= r.cfg.Offers
}

// respond answers the IKE request q with all that is held.
func (r *Relay) respond(at instant, s *sa, q request, acts []Action) []Action {
	a := Action{Kind: ActionRespond, SPI: q.spi, MessageID: q.id}
	if s.phase == phaseAuthenticated && s.addr == 0 && at >= s.since.after(r.cfg.SetupTime) {
		a.Kind = ActionRefuse
	}
	if f := s.flow; f != nil {
		r.waiting.stop(&f.waiting)
		if s.phase != phaseOpen {
			a.Messages = r.lend(f)
			r.rest(s)
		}
	}
	return append(acts, a)
}

// inform sends all that is held in an exchange of the gateway's own.
func (r *Relay) inform(s *sa, acts []Action) []Action {
	acts = append(acts, Action{Kind: ActionInform, SPI: s.spi, Messages: r.lend(s.flow)})
	r.rest(s)
	return acts
}

// lend empties the queue into a list that is valid until the next call.
func (r *Relay) lend(f *flow) [][]byte {
	if !f.holds() {
		return nil
	}
	start := len(r.views)
	for i := range f.queue.entries {
		r.views = append(r.views, f.queue.message(i))
	}
	f.queue.clear()
	return r.views[start:len(r.views):len(r.views)]
}
