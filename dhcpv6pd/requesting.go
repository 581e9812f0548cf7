package dhcpv6pd

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"dhcpsec.example/internal/dhcp6"
)

// RequestingRouterConfig configures a [RequestingRouter].
type RequestingRouterConfig struct {
	// Holder is the certificate side. Its DUID is the Client Identifier, its
	// Rand also the source of transaction ids.
	Holder HolderConfig
	// IAs are the IA_PDs to ask for. The first prefix of each, if it has one, is
	// sent as a hint: ::/56 asks for a length, anything else for that prefix.
	// Default: one, with IAID 1 and no hint.
	IAs []IA
	// RapidCommit asks for the two-message exchange (RFC 8415 section 18.2.1).
	RapidCommit bool
	// MaxPrefixes bounds the prefixes held at a time. Default 16.
	MaxPrefixes int
}

// RequestingRouter is the DHCPv6 client for prefix delegation of one upstream
// link, with the certificate side of a [Holder]: see the package comment for
// the states.
//
//	acts := rr.Start(now, nil)
//	for {
//		perform(acts)
//		deadline, armed := rr.Deadline()
//		// wait for a datagram on port 546, or for the deadline, then one of
//		acts, err = rr.HandleMessage(now, datagram, acts[:0])
//		acts = rr.HandleTimeout(now, acts[:0])
//	}
//
// A RequestingRouter is not safe for concurrent use.
type RequestingRouter struct {
	cfg    RequestingRouterConfig
	holder *Holder
	clock  clock
	rng    *rand.Rand
	stats  Stats
	out    []byte // the message last built

	state  RequestingState
	timers [numTimers]time.Time // zero: not armed
	ex     exchange
	pause  time.Duration // before the next discovery, after a failure

	solMaxRT time.Duration // SOL_MAX_RT as servers set it (RFC 8415 section 21.24)
	best     offer         // the best Advertise so far
	server   []byte        // DUID of the server chosen
	leases   []lease
}

// timer names each of a RequestingRouter's timers.
type timer int

const (
	timerExchange timer = iota // send the message in flight (again), or give up
	timerT1                    // renew
	timerT2                    // rebind
	timerLease                 // the first lease expires
	numTimers
)

// offer is an Advertise.
type offer struct {
	server     []byte
	preference uint8
	ias        []IA
}

// lease is a prefix held.
type lease struct {
	iaid                       uint32
	prefix                     netip.Prefix
	preferredUntil, validUntil time.Time // zero is never
	unbound                    bool      // the server knows nothing of it: NoBinding
}

// NewRequestingRouter checks cfg, fills in defaults and makes a router in StateInit.
func NewRequestingRouter(cfg RequestingRouterConfig) (*RequestingRouter, error) {
	cfg.MaxPrefixes = cmp.Or(cfg.MaxPrefixes, 16)
	if len(cfg.IAs) == 0 {
		cfg.IAs = []IA{{IAID: 1}}
	}
	cfg.IAs = cloneIAs(cfg.IAs)
	if len(cfg.IAs) > cfg.MaxPrefixes {
		return nil, errors.New("dhcpv6pd: more IAs than MaxPrefixes")
	}
	for i, ia := range cfg.IAs {
		if slices.ContainsFunc(cfg.IAs[:i], func(o IA) bool { return o.IAID == ia.IAID }) {
			return nil, fmt.Errorf("dhcpv6pd: IAID %d is used twice", ia.IAID)
		}
		// "The client SHOULD NOT send an IA Prefix option with 0 in the
		// "prefix-length" field" (RFC 8415 section 21.22).
		if len(ia.Prefixes) > 1 || len(ia.Prefixes) == 1 && (!ia.Prefixes[0].Prefix.Addr().Is6() || ia.Prefixes[0].Prefix.Bits() <= 0) {
			return nil, fmt.Errorf("dhcpv6pd: IAID %d: at most one hint, an IPv6 prefix other than ::/0", ia.IAID)
		}
	}
	rng := newRand(cfg.Holder.Rand)
	holder, err := newHolder(cfg.Holder, new(ids), rng)
	if err != nil {
		return nil, err
	}
	return &RequestingRouter{cfg: cfg, holder: holder, rng: rng, solMaxRT: retransmissionOf(dhcp6.Solicit).mrt}, nil
}

// Start begins server discovery. In any state but StateInit it does nothing.
func (r *RequestingRouter) Start(now time.Time, acts []Action) []Action {
	now = r.clock.advance(now)
	if r.on(eventStart) {
		r.discover(now, 0)
	}
	return acts
}

// Release gives up all prefixes and tells the server so. The prefixes, and the
// right to advertise them, are lost before the message is sent. At
// ActionPrefixLost advertise them once more: "the prefix MUST have been advertised
// with a Preferred Lifetime and a Valid Lifetime of 0" (RFC 8415 section 18.2.7).
func (r *RequestingRouter) Release(now time.Time, acts []Action) []Action {
	now = r.clock.advance(now)
	released := r.leaseIAs(now)
	if len(released) == 0 {
		if r.on(eventStop) {
			acts = r.loseAll(now, ErrReleased, acts)
		}
		return acts
	}
	if !r.on(eventRelease) {
		return acts
	}
	acts = r.loseAll(now, ErrReleased, acts)
	return r.begin(now, dhcp6.Release, released, acts)
}

// HandleMessage takes in the payload of a datagram that arrived on UDP port 546
// of the upstream link. An error is a *DropError: nothing changed but a counter,
// and SOL_MAX_RT where the message sets it.
func (r *RequestingRouter) HandleMessage(now time.Time, pkt []byte, acts []Action) ([]Action, error) {
	now = r.clock.advance(now)
	m, err := dhcp6.ParseMessage(pkt)
	if err != nil {
		return acts, r.stats.drop(ReasonMalformed, err)
	}
	if m.Type != dhcp6.Advertise && m.Type != dhcp6.Reply {
		return acts, r.stats.drop(ReasonMessageType, nil)
	}
	if r.ex.tries == 0 || m.TransactionID != r.ex.xid {
		return acts, r.stats.drop(ReasonTransactionID, nil)
	}
	// "Clients MUST discard any received Reply message" in which "the message does
	// not include a Server Identifier option", or whose Client Identifier is not
	// ours, and likewise an Advertise (RFC 8415 sections 16.3 and 16.10).
	server, ok := m.Options.ServerID()
	if !ok {
		return acts, r.stats.drop(ReasonServerID, nil)
	}
	if id, _ := m.Options.ClientID(); !bytes.Equal(id, r.holder.cfg.DUID) {
		return acts, r.stats.drop(ReasonClientID, nil)
	}
	// SOL_MAX_RT counts even in an Advertise that is of no other use (section 18.2.9).
	if d, ok := m.Options.SolMaxRT(); ok {
		r.solMaxRT = d
		if r.ex.msg == dhcp6.Solicit {
			r.ex.mrt = d
		}
	}
	switch {
	case m.Type == dhcp6.Advertise && r.state == StateSoliciting:
		return r.handleAdvertise(now, server, m, acts)
	case m.Type == dhcp6.Advertise, r.state == StateSoliciting && !(r.cfg.RapidCommit && m.Options.RapidCommit()):
		return acts, r.stats.drop(ReasonMessageType, nil)
	case r.ex.msg != dhcp6.Solicit && r.ex.msg != dhcp6.Rebind && !bytes.Equal(server, r.server):
		return acts, r.stats.drop(ReasonServerID, nil)
	case r.state == StateReleasing:
		// "regardless of the Status Code" (section 18.2.10.2)
		r.finish(eventDone)
		return acts, nil
	}
	return r.handleReply(now, server, m, acts)
}

// HandleEnrolled answers an ActionEnroll: see [Holder.HandleEnrolled].
func (r *RequestingRouter) HandleEnrolled(now time.Time, id ID, certificate []byte, chain [][]byte, acts []Action) ([]Action, error) {
	return r.holder.HandleEnrolled(r.clock.advance(now), id, certificate, chain, acts)
}

// HandleEnrollFailed answers an ActionEnroll: see [Holder.HandleEnrollFailed].
func (r *RequestingRouter) HandleEnrollFailed(now time.Time, id ID, acts []Action) ([]Action, error) {
	return r.holder.HandleEnrollFailed(r.clock.advance(now), id, acts)
}

// MayAdvertise says whether p may be advertised: see [Holder.MayAdvertise].
func (r *RequestingRouter) MayAdvertise(now time.Time, p netip.Prefix) (until time.Time, ok bool) {
	return r.holder.MayAdvertise(now, p)
}

// State says where the lease is, HolderState where the certificate is.
func (r *RequestingRouter) State() RequestingState { return r.state }

// HolderState says where the certificate is: having a prefix and being allowed
// to advertise it are different states.
func (r *RequestingRouter) HolderState() HolderState { return r.holder.State() }

// Stats returns the counters of both sides.
func (r *RequestingRouter) Stats() Stats {
	s := r.stats
	s.add(&r.holder.stats)
	return s
}

// Deadline is when HandleTimeout has something to do.
func (r *RequestingRouter) Deadline() (time.Time, bool) {
	t, _ := r.holder.Deadline()
	for _, at := range r.timers {
		t = earlier(t, at)
	}
	return t, !t.IsZero()
}

// HandleTimeout does what is due. Called early, or twice, it does nothing.
func (r *RequestingRouter) HandleTimeout(now time.Time, acts []Action) []Action {
	now = r.clock.advance(now)
	if r.expired(now, timerLease) {
		acts = r.expireLeases(now, acts)
	}
	if r.expired(now, timerT2) && r.on(eventT2) {
		r.timers[timerT1] = time.Time{}
		acts = r.begin(now, dhcp6.Rebind, r.renewableIAs(now), acts)
	}
	if r.expired(now, timerT1) && r.on(eventT1) {
		acts = r.begin(now, dhcp6.Renew, r.renewableIAs(now), acts)
	}
	if r.expired(now, timerExchange) {
		acts = r.handleExchangeTimeout(now, acts)
	}
	return r.holder.HandleTimeout(now, acts)
}

// expired says that t has gone off, and disarms it.
func (r *RequestingRouter) expired(now time.Time, t timer) bool {
	if !due(now, r.timers[t]) {
		return false
	}
	r.timers[t] = time.Time{}
	return true
}

func (r *RequestingRouter) handleExchangeTimeout(now time.Time, acts []Action) []Action {
	switch {
	case r.state == StateSoliciting && r.best.server != nil:
		return r.request(now, acts)
	case !r.ex.exhausted():
		return r.transmit(now, acts)
	case r.state == StateReleasing:
		r.finish(eventDone)
		return acts
	default:
		return r.fail(now, ErrNoAnswer, acts)
	}
}

// discover arms the first Solicit. After a failure it waits in addition, longer
// each time, lest a server that offers what it does not give is asked in a loop.
func (r *RequestingRouter) discover(now time.Time, pause time.Duration) {
	r.ex = newExchange(dhcp6.Solicit, r.cfg.IAs, r.rng)
	r.ex.mrt = r.solMaxRT
	r.timers[timerExchange] = now.Add(pause + time.Duration(r.rng.Int64N(int64(solMaxDelay))))
}

// begin starts a message exchange about ias.
func (r *RequestingRouter) begin(now time.Time, msg dhcp6.MessageType, ias []IA, acts []Action) []Action {
	r.ex = newExchange(msg, ias, r.rng)
	return r.transmit(now, acts)
}

// transmit sends the message in flight and arms the timer for the next time.
func (r *RequestingRouter) transmit(now time.Time, acts []Action) []Action {
	msg, err := r.appendMessage(r.out[:0], now)
	r.timers[timerExchange] = now.Add(r.ex.transmitted(now, r.rng))
	if err != nil {
		return append(acts, Action{Kind: ActionFailed, Err: err})
	}
	r.out = msg
	return append(acts, Action{Kind: ActionSend, To: allServers, Data: r.out})
}

// allServers is All_DHCP_Relay_Agents_and_Servers (section 7.1) with the port
// that servers and relay agents listen on (section 7.2).
var allServers = netip.MustParseAddrPort("[ff02::1:2]:547")

// appendMessage builds the message in flight.
func (r *RequestingRouter) appendMessage(b []byte, now time.Time) ([]byte, error) {
	msg := r.ex.msg
	w := dhcp6.NewBuilder(b, msg, r.ex.xid)
	w.Option(dhcp6.OptionClientID, r.holder.cfg.DUID)
	var server []byte
	if msg != dhcp6.Solicit && msg != dhcp6.Rebind {
		server = r.server
		w.Option(dhcp6.OptionServerID, server)
	}
	w.OptionUint16(dhcp6.OptionElapsedTime, r.ex.elapsed(now))
	rapid := msg == dhcp6.Solicit && r.cfg.RapidCommit
	if rapid {
		w.Option(dhcp6.OptionRapidCommit, nil)
	}
	for _, ia := range r.ex.ias {
		// "In a message sent by a client to a server, the T1 and T2 fields SHOULD be
		// set to 0" (section 21.21), and so the lifetimes (section 21.22).
		w.BeginIAPD(ia.IAID, 0, 0)
		for _, p := range ia.Prefixes {
			w.IAPrefix(0, 0, p.Prefix)
		}
		w.End()
	}
	if msg != dhcp6.Release {
		w.ORO(r.holder.AppendRequested([]uint16{dhcp6.OptionSolMaxRT})...)
		if msg != dhcp6.Solicit || rapid {
			if r.ex.options == nil {
				options, err := r.holder.AppendOptions([]byte{}, r.ex.xid, server)
				if err != nil {
					return b, fmt.Errorf("signing the key proof: %w", err)
				}
				r.ex.options = options
			}
			w.Raw(r.ex.options)
		}
	}
	return w.Bytes()
}

// allIAs is every IA asked for: as known has it, otherwise with its hint. An IA
// for which there is no prefix yet is asked for again with each message.
func (r *RequestingRouter) allIAs(known []IA) []IA {
	ias := slices.Clone(r.cfg.IAs)
	for i, ia := range ias {
		if j := slices.IndexFunc(known, func(k IA) bool { return k.IAID == ia.IAID }); j >= 0 {
			ias[i] = known[j]
		}
	}
	return ias
}

// renewableIAs is what a Renew or Rebind names: "The client MUST NOT include
// addresses and prefixes in any IA option that the client did not obtain from
// the server" (section 18.2.4), which leaves of the hints only those for a length.
func (r *RequestingRouter) renewableIAs(now time.Time) []IA {
	held := r.leaseIAs(now)
	ias := r.allIAs(held)
	for i, ia := range ias {
		isHeld := slices.ContainsFunc(held, func(h IA) bool { return h.IAID == ia.IAID })
		if !isHeld && len(ia.Prefixes) > 0 && !ia.Prefixes[0].Prefix.Addr().IsUnspecified() {
			ias[i].Prefixes = nil
		}
	}
	return ias
}

// handleAdvertise keeps the best offer: highest preference first, then most IAs
// served (section 18.2.9). A preference of 255 ends the collection, and so does
// any offer after the first retransmission time (section 18.2.1).
func (r *RequestingRouter) handleAdvertise(now time.Time, server []byte, m dhcp6.Message, acts []Action) ([]Action, error) {
	if status, _ := m.Options.Status(); status != dhcp6.Success {
		return acts, r.stats.drop(ReasonStatus, nil)
	}
	o := offer{preference: m.Options.Preference()}
	for ia, status := range r.ownIAs(m.Options) {
		if status != dhcp6.Success {
			continue
		}
		offered := IA{IAID: ia.IAID}
		for p := range r.usablePrefixes(ia) {
			if p.Valid > 0 && len(offered.Prefixes) < r.cfg.MaxPrefixes {
				offered.Prefixes = append(offered.Prefixes, p)
			}
		}
		if len(offered.Prefixes) > 0 {
			o.ias = append(o.ias, offered)
		}
	}
	if len(o.ias) == 0 {
		// "The client MUST ignore any Advertise message that contains no [...]
		// delegated prefixes" (section 18.2.9)
		return acts, r.stats.drop(ReasonNoPrefix, nil)
	}
	if b := &r.best; b.server == nil || o.preference > b.preference ||
		o.preference == b.preference && len(o.ias) > len(b.ias) {
		o.server = bytes.Clone(server)
		r.best = o
	}
	if o.preference == 255 || r.ex.tries > 1 {
		return r.request(now, acts), nil
	}
	return acts, nil
}

// request sends a Request to the server of the best offer.
func (r *RequestingRouter) request(now time.Time, acts []Action) []Action {
	r.on(eventSelected)
	r.server = r.best.server
	return r.begin(now, dhcp6.Request, r.allIAs(r.best.ias), acts)
}

// handleReply takes in the Reply to a Request, Renew, Rebind, or Solicit with
// Rapid Commit (section 18.2.10.1).
func (r *RequestingRouter) handleReply(now time.Time, server []byte, m dhcp6.Message, acts []Action) ([]Action, error) {
	switch status, _ := m.Options.Status(); status {
	case dhcp6.UnspecFail, dhcp6.UseMulticast:
		// UnspecFail: "the client MUST limit the rate at which it retransmits
		// the message [...] to the same server", which the timer does, as it
		// "resends the original message using multicast". "Otherwise (no status
		// code or another status code), the client processes the Reply"
		// (section 18.2.10).
		return acts, r.stats.drop(ReasonStatus, nil)
	}
	next := slices.Clone(r.leases)
	named, noBinding := false, false
	var served []dhcp6.IAPD
	for ia, status := range r.ownIAs(m.Options) {
		named = true
		switch status {
		case dhcp6.Success:
		case dhcp6.NoBinding:
			noBinding = true
			for i := range next {
				next[i].unbound = next[i].unbound || next[i].iaid == ia.IAID
			}
			continue
		default:
			continue
		}
		for p := range r.usablePrefixes(ia) {
			next = r.update(now, next, ia.IAID, p)
		}
		served = append(served, ia)
	}
	renewal := r.state == StateRenewing || r.state == StateRebinding
	switch {
	case renewal && !named:
		// "MAY just wait for the normal retransmission time"
		return acts, r.stats.drop(ReasonNoPrefix, nil)
	case r.state == StateSoliciting && len(next) == 0:
		// Not a "suitable" Reply to a Solicit with Rapid Commit (section 18.2.1):
		// the Advertises of other servers still count.
		return acts, r.stats.drop(ReasonNoPrefix, nil)
	case r.state == StateRequesting:
		// "The client continues to use other bindings for which the server did not
		// return an error": those with one had this Request to come back.
		next = slices.DeleteFunc(next, func(l lease) bool { return l.unbound })
	}

	gone := missing(r.leases, next)
	r.leases = next
	if len(gone) > 0 {
		acts = append(acts, Action{Kind: ActionPrefixLost, IAs: leaseIAs(now, gone), Err: ErrWithdrawn})
	}
	r.armLease()
	switch {
	case noBinding && renewal:
		// "Sends a Request message to the server that responded if any of the
		// IAs in the Reply message contain the NoBinding status code."
		r.on(eventNoBinding)
		r.server = bytes.Clone(server)
		r.timers[timerT1], r.timers[timerT2] = time.Time{}, time.Time{}
		if len(next) > 0 { // with the lifetimes that the Reply has for other IAs
			acts = append(acts, Action{Kind: ActionPrefixBound, DUID: r.server, IAs: r.leaseIAs(now)})
		}
		acts = r.holder.HandleLease(now, r.heldPrefixes(now), ErrWithdrawn, acts)
		return r.begin(now, dhcp6.Request, r.allIAs(r.leaseIAs(now)), acts), nil
	case len(next) == 0:
		r.stats[ReasonNoPrefix]++
		return r.fail(now, ErrNoPrefixAvail, acts), nil
	}
	r.finish(eventBound)
	r.pause = 0
	r.server = bytes.Clone(server)
	held := r.leaseIAs(now)
	r.armRenewal(now, held, served)
	acts = append(acts, Action{Kind: ActionPrefixBound, DUID: r.server, IAs: held})
	return r.holder.HandleReply(now, m.Options, r.heldPrefixes(now), acts), nil
}

// ownIAs yields the IA_PDs of a message that are ours and well formed, each once,
// with their status.
func (r *RequestingRouter) ownIAs(options dhcp6.Options) func(yield func(dhcp6.IAPD, dhcp6.StatusCode) bool) {
	return func(yield func(dhcp6.IAPD, dhcp6.StatusCode) bool) {
		seen := make([]uint32, 0, len(r.cfg.IAs))
		for ia, err := range options.IAPDs() {
			// "If a client receives an IA_PD with T1 greater than T2 and both [...]
			// are greater than 0, the client discards the IA_PD option" (section 21.21)
			if err != nil || ia.T1 > ia.T2 && ia.T2 > 0 || slices.Contains(seen, ia.IAID) ||
				!slices.ContainsFunc(r.cfg.IAs, func(o IA) bool { return o.IAID == ia.IAID }) {
				r.stats[ReasonIA]++
				continue
			}
			seen = append(seen, ia.IAID)
			status, _ := ia.Options.Status()
			if !yield(ia, status) {
				return
			}
		}
	}
}

// usablePrefixes yields the prefixes of an IA_PD that are well formed, host bits
// cleared. "The client MUST discard any prefixes for which the preferred lifetime
// is greater than the valid lifetime" (section 21.22).
func (r *RequestingRouter) usablePrefixes(ia dhcp6.IAPD) func(yield func(Prefix) bool) {
	return func(yield func(Prefix) bool) {
		for p, err := range ia.Prefixes() {
			if err != nil || p.Preferred > p.Valid || !delegable(p.Prefix.Masked()) {
				r.stats[ReasonIA]++
				continue
			}
			if !yield(Prefix{Prefix: p.Prefix.Masked(), Preferred: seconds(p.Preferred), Valid: seconds(p.Valid)}) {
				return
			}
		}
	}
}

// update puts one prefix of a Reply into the leases: it adds, refreshes, or with
// a valid lifetime of 0 removes it.
func (r *RequestingRouter) update(now time.Time, leases []lease, iaid uint32, p Prefix) []lease {
	i := slices.IndexFunc(leases, func(l lease) bool { return l.iaid == iaid && l.prefix == p.Prefix })
	switch {
	case p.Valid == 0 && i >= 0:
		return slices.Delete(leases, i, i+1)
	case p.Valid == 0:
		return leases
	case i < 0 && len(leases) >= r.cfg.MaxPrefixes:
		r.stats[ReasonTooMany]++
		return leases
	case i < 0:
		leases = append(leases, lease{iaid: iaid, prefix: p.Prefix})
		i = len(leases) - 1
	}
	leases[i].preferredUntil = until(now, p.Preferred)
	leases[i].validUntil = until(now, p.Valid)
	leases[i].unbound = false
	return leases
}

// armRenewal arms T1 and T2 at the earliest that any IA held asks for: "the
// client MUST select T1 and T2 times from all IA options that will guarantee that
// the client initiates transmissions of Renew/Rebind messages not later than at
// the T1/T2 times associated with any of the client's bindings" (section 18.2.4).
// An IA that the Reply does not serve keeps the T2 that it has.
func (r *RequestingRouter) armRenewal(now time.Time, held []IA, served []dhcp6.IAPD) {
	first, second := Infinite, Infinite
	rebind := time.Time{}
	for i, ia := range held {
		var t1, t2 uint32
		if j := slices.IndexFunc(served, func(s dhcp6.IAPD) bool { return s.IAID == ia.IAID }); j >= 0 {
			t1, t2 = served[j].T1, served[j].T2
		} else {
			rebind = r.timers[timerT2]
		}
		renewAfter, rebindAfter := renewalTimes(t1, t2, held[i:i+1])
		first, second = min(first, renewAfter), min(second, rebindAfter)
	}
	r.timers[timerT1], r.timers[timerT2] = until(now, first), earlier(until(now, second), rebind)
}

// minRenewal bounds the rate of Renews: where T1 is 0 the client "MUST choose a
// time to avoid packet storms. In particular, it MUST NOT transmit immediately"
// (section 14.2).
const minRenewal = time.Second

// renewalTimes is the T1 and T2 of an IA. They count in seconds and are 0 where
// the time "is to be left to the discretion of the client" (section 21.21): then
// half and four fifths of the shortest preferred lifetime, as the same section
// recommends to servers, or where only one is 0, in that ratio to the other.
func renewalTimes(t1, t2 uint32, ia []IA) (first, second time.Duration) {
	preferred, valid := shortest(ia)
	if preferred == 0 {
		preferred = valid // deprecated, but still to be kept
	}
	first, second = seconds(t1), seconds(t2)
	if t1 == 0 {
		first = Infinite
		if preferred < Infinite {
			first = max(preferred/2, minRenewal)
		}
		if t2 != 0 {
			first = max(min(first, second/8*5), minRenewal)
		}
	}
	if t2 == 0 {
		second = Infinite
		if preferred < Infinite {
			second = max(preferred/5*4, first/5*8)
		}
	}
	return first, second
}

func (r *RequestingRouter) armLease() {
	r.timers[timerLease] = time.Time{}
	for _, l := range r.leases {
		r.timers[timerLease] = earlier(r.timers[timerLease], l.validUntil)
	}
}

func (r *RequestingRouter) expireLeases(now time.Time, acts []Action) []Action {
	var gone []lease
	kept := r.leases[:0:0]
	for _, l := range r.leases {
		if due(now, l.validUntil) {
			gone = append(gone, l)
		} else {
			kept = append(kept, l)
		}
	}
	if len(kept) == 0 {
		acts = r.loseAll(now, ErrExpired, acts)
		if r.on(eventLost) {
			r.discover(now, 0)
		}
		return acts
	}
	r.leases = kept
	r.armLease()
	if r.ex.msg != 0 {
		// "the client may also need to modify values [...] if a valid lifetime for
		// any of the client's leases expires before retransmission" (section 15)
		r.ex.ias = r.renewableIAs(now)
	}
	acts = append(acts, Action{Kind: ActionPrefixLost, IAs: leaseIAs(now, gone), Err: ErrExpired})
	return r.holder.HandleLease(now, r.heldPrefixes(now), ErrExpired, acts)
}

// fail gives up the exchange and the leases and starts discovery over:
// "Whenever a client restarts the DHCP server discovery process [...], the
// client SHOULD stop using all the [...] delegated prefixes for which it has
// bindings" (section 18.2.10.1).
func (r *RequestingRouter) fail(now time.Time, err error, acts []Action) []Action {
	acts = append(acts, Action{Kind: ActionFailed, Err: err})
	acts = r.loseAll(now, err, acts)
	r.on(eventFailed)
	r.pause = min(max(2*r.pause, time.Second), 2*time.Minute)
	r.discover(now, r.pause+jitter(r.rng, r.pause))
	return acts
}

func (r *RequestingRouter) loseAll(now time.Time, err error, acts []Action) []Action {
	lost := r.leaseIAs(now)
	r.leases = nil
	r.ex = exchange{}
	r.best = offer{}
	r.timers = [numTimers]time.Time{}
	if len(lost) > 0 {
		acts = append(acts, Action{Kind: ActionPrefixLost, IAs: lost, Err: err})
	}
	return r.holder.HandleLease(now, nil, err, acts)
}

// finish ends the exchange in flight: later copies of the answer match nothing.
func (r *RequestingRouter) finish(e requestingEvent) {
	r.on(e)
	r.ex = exchange{}
	r.best = offer{}
	r.timers[timerExchange] = time.Time{}
}

func (r *RequestingRouter) leaseIAs(now time.Time) []IA { return leaseIAs(now, r.leases) }

func (r *RequestingRouter) heldPrefixes(now time.Time) []Prefix {
	var out []Prefix
	for _, ia := range r.leaseIAs(now) {
		out = append(out, ia.Prefixes...)
	}
	return out
}

// leaseIAs groups leases by IA, with the lifetimes that remain.
func leaseIAs(now time.Time, leases []lease) []IA {
	var ias []IA
	for _, l := range leases {
		i := slices.IndexFunc(ias, func(ia IA) bool { return ia.IAID == l.iaid })
		if i < 0 {
			ias = append(ias, IA{IAID: l.iaid})
			i = len(ias) - 1
		}
		ias[i].Prefixes = append(ias[i].Prefixes, Prefix{
			Prefix:    l.prefix,
			Preferred: remaining(now, l.preferredUntil),
			Valid:     remaining(now, l.validUntil),
		})
	}
	return ias
}

// missing is the leases of before that are not in after.
func missing(before, after []lease) []lease {
	var out []lease
	for _, l := range before {
		if !slices.ContainsFunc(after, func(o lease) bool { return o.iaid == l.iaid && o.prefix == l.prefix }) {
			out = append(out, l)
		}
	}
	return out
}
