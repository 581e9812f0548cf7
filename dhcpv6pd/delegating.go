package dhcpv6pd

import (
	"bytes"
	"cmp"
	"container/list"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"dhcpsec.example/internal/dhcp6"
	"dhcpsec.example/x509ip"
)

// DelegatingRouterConfig configures a [DelegatingRouter].
type DelegatingRouterConfig struct {
	// DUID is the delegating router's: 3 to 130 octets.
	DUID []byte
	// Registrar is the certificate side. Its AnswerTimeout applies to
	// ActionAllocate and ActionCommit too.
	Registrar RegistrarConfig
	// Preference is sent in each Advertise, unless 0: clients prefer the highest,
	// and take 255 at once (RFC 8415 section 18.2.1).
	Preference uint8
	// RapidCommit answers a Solicit that asks for it with a Reply.
	RapidCommit bool
	// ReplyToSourcePort answers clients and relay agents on the UDP port that
	// their message came from. Without it answers go to port 546 and 547, as
	// RFC 8415 section 7.2 has it, or where a relay agent asks for it to its
	// source port (RFC 8357).
	ReplyToSourcePort bool
	// MaxBindings bounds the IA_PDs delegated. Default 100,000.
	MaxBindings int
	// MaxTransactions bounds the messages that await an answer by the caller: so
	// many that lead to an Advertise, and so many that lead to a Reply. Default 4096.
	MaxTransactions int
	// MaxIAs bounds the IAs of one message, and the prefixes of one IA. Default 8.
	MaxIAs int
}

// DelegatingRouter is the DHCPv6 server for prefix delegation, with the
// certificate side of a [Registrar]. It keeps no pool and no database: for each
// message it asks the caller, by actions, to allocate prefixes, to have a
// certificate issued or the certificate server notified, to commit the binding,
// and only then to send the answer. The caller answers in any order, or never;
// the client's next transmission then starts over what is missing.
//
// A DelegatingRouter is not safe for concurrent use; to use several, distribute
// messages by a hash of the client's DUID.
type DelegatingRouter struct {
	cfg   DelegatingRouterConfig
	reg   *Registrar
	clock clock
	ids   *ids
	stats Stats
	out   []byte // the messages of this call's ActionSends
	reply []byte // the one being built

	bindings map[clientID]*binding
	reserved int // bindings that transactions may still add
	ends     expiryHeap[*binding]

	transactions map[transactionKey]*transaction
	// advertising and replying are how many of them will be answered with an
	// Advertise and with a Reply.
	advertising, replying int

	claims  map[clientID]*transaction // the one, of those to be answered with a Reply, that an IA_PD is in
	pending map[ID]*transaction
	waiting list.List // *transaction whose caller owes an answer, oldest first
}

// NewDelegatingRouter checks cfg, fills in defaults and makes a router without
// bindings.
func NewDelegatingRouter(cfg DelegatingRouterConfig) (*DelegatingRouter, error) {
	if _, err := x509ip.DUIDName(cfg.DUID); err != nil {
		return nil, fmt.Errorf("dhcpv6pd: DUID: %w", err)
	}
	cfg.DUID = bytes.Clone(cfg.DUID)
	cfg.MaxBindings = cmp.Or(cfg.MaxBindings, 100_000)
	cfg.MaxTransactions = cmp.Or(cfg.MaxTransactions, 4096)
	cfg.MaxIAs = cmp.Or(cfg.MaxIAs, 8)
	if cfg.MaxBindings < 0 || cfg.MaxTransactions < 0 || cfg.MaxIAs < 0 {
		return nil, errors.New("dhcpv6pd: limits must not be negative")
	}
	ids := new(ids)
	reg, err := newRegistrar(cfg.Registrar, ids)
	if err != nil {
		return nil, err
	}
	return &DelegatingRouter{
		cfg: cfg, reg: reg, ids: ids,
		bindings:     make(map[clientID]*binding),
		transactions: make(map[transactionKey]*transaction),
		claims:       make(map[clientID]*transaction),
		pending:      make(map[ID]*transaction),
	}, nil
}

// HandleMessage takes in the payload of a datagram that arrived on UDP port 547
// from src: a client's message, or a relay agent's Relay-forward. An error is a
// *DropError: nothing changed but counters.
func (d *DelegatingRouter) HandleMessage(now time.Time, src netip.AddrPort, pkt []byte, acts []Action) ([]Action, error) {
	now = d.begin(now)
	m, path, err := d.unwrap(src, pkt)
	if err != nil {
		return acts, err
	}
	// "Servers MUST discard any received [...] messages" without a Client
	// Identifier, without a Server Identifier that is theirs where one belongs,
	// and with one where none does (RFC 8415 sections 16.2 to 16.9).
	client, ok := m.Options.ClientID()
	if !ok {
		return acts, d.stats.drop(ReasonClientID, nil)
	}
	server, named := m.Options.ServerID()
	switch m.Type {
	case dhcp6.Solicit, dhcp6.Rebind:
		if named {
			return acts, d.stats.drop(ReasonServerID, nil)
		}
	case dhcp6.Request, dhcp6.Renew, dhcp6.Release:
		if !bytes.Equal(server, d.cfg.DUID) {
			return acts, d.stats.drop(ReasonServerID, nil)
		}
	default:
		return acts, d.stats.drop(ReasonMessageType, nil)
	}
	t := &transaction{msg: m.Type, xid: m.TransactionID, path: path}
	if err := d.collectIAs(t, m.Options); err != nil {
		return acts, err
	}
	t.client.duid = string(client)
	t.advertise = m.Type == dhcp6.Solicit && !(d.cfg.RapidCommit && m.Options.RapidCommit())
	if m.Type == dhcp6.Release {
		return d.release(now, t, acts), nil
	}
	if known := d.transactions[t.transactionKey]; known == nil && d.full(t) {
		return acts, d.stats.drop(ReasonTooMany, nil)
	}
	missing := d.lookUp(now, t)
	switch {
	case t.msg == dhcp6.Rebind && len(t.granted()) == 0:
		// Another server may know these leases: one that has no binding for a
		// Rebind, and cannot tell that it is wrong, does not answer (section 18.3.5).
		return acts, d.stats.drop(ReasonNoPrefix, nil)
	case t.advertise:
		t.ask.pointer = d.reg.pointerWanted(m.Options)
	case missing > 0 || len(t.granted()) > 0:
		t.ask = d.reg.examine(client, server, m.TransactionID, m.Options)
		for _, q := range t.ias {
			if b := d.bindings[clientID{t.client.duid, q.iaid}]; b != nil {
				d.reg.pin(now, d.reg.clients[b.registration], &t.ask)
			}
		}
	}
	return d.open(now, t, missing, acts)
}

// HandleAllocated answers an ActionAllocate: for each IA of it for which there
// are prefixes, the prefixes and their lifetimes; an IA that is not there, or
// is there without prefixes, gets NoPrefixAvail. The slices are not retained.
//
// With a *DropError (ReasonStale) the answer came too late, and the prefixes are
// the caller's again. Any other error is of the caller's making (an IA not asked
// for, an impossible prefix or lifetime), and the action still awaits its answer.
func (d *DelegatingRouter) HandleAllocated(now time.Time, id ID, ias []IA, acts []Action) ([]Action, error) {
	now = d.begin(now)
	t := d.pending[id]
	if t == nil || t.step != stepAllocate {
		return acts, d.stats.drop(ReasonStale, nil)
	}
	for i, ia := range ias {
		asked := slices.IndexFunc(t.ias, func(q requestedIA) bool { return q.iaid == ia.IAID && !q.bound })
		if asked < 0 || slices.ContainsFunc(ias[:i], func(o IA) bool { return o.IAID == ia.IAID }) {
			return acts, errors.New("dhcpv6pd: allocation for an IA that was not asked for, or twice")
		}
		if len(ia.Prefixes) > d.cfg.MaxIAs {
			return acts, errors.New("dhcpv6pd: more prefixes for an IA than MaxIAs")
		}
		if err := checkPrefixes(ia.Prefixes); err != nil {
			return acts, err
		}
	}
	d.settle(t)
	for i := range t.ias {
		q := &t.ias[i]
		if q.bound {
			continue
		}
		q.status = dhcp6.NoPrefixAvail
		for _, ia := range ias {
			if ia.IAID == q.iaid && len(ia.Prefixes) > 0 {
				q.granted, q.status = slices.Clone(ia.Prefixes), dhcp6.Success
			}
		}
	}
	return d.certify(now, t, acts), nil
}

// HandleIssued answers an ActionIssue: see [Registrar.HandleIssued].
func (d *DelegatingRouter) HandleIssued(now time.Time, id ID, certificate []byte, chain [][]byte, acts []Action) ([]Action, error) {
	now = d.begin(now)
	mark := len(acts)
	acts, err := d.reg.HandleIssued(now, id, certificate, chain, acts)
	return d.answered(now, acts, mark), err
}

// HandleIssueFailed answers an ActionIssue: see [Registrar.HandleIssueFailed].
func (d *DelegatingRouter) HandleIssueFailed(now time.Time, id ID, acts []Action) ([]Action, error) {
	now = d.begin(now)
	mark := len(acts)
	acts, err := d.reg.HandleIssueFailed(now, id, acts)
	return d.answered(now, acts, mark), err
}

// HandleNotified answers an ActionNotifyCA: see [Registrar.HandleNotified].
func (d *DelegatingRouter) HandleNotified(now time.Time, id ID, ok bool, acts []Action) ([]Action, error) {
	now = d.begin(now)
	mark := len(acts)
	acts, err := d.reg.HandleNotified(now, id, ok, acts)
	return d.answered(now, acts, mark), err
}

// HandleCommitted answers an ActionCommit. If ok, the Reply is sent; otherwise
// nothing is delegated and nothing sent, and the client will ask again.
func (d *DelegatingRouter) HandleCommitted(now time.Time, id ID, ok bool, acts []Action) ([]Action, error) {
	now = d.begin(now)
	t := d.pending[id]
	if t == nil || t.step != stepCommit {
		return acts, d.stats.drop(ReasonStale, nil)
	}
	if !ok {
		d.stats[ReasonStore]++
		return d.abandon(now, t, acts), nil
	}
	d.settle(t)
	return d.send(now, t, d.bind(now, t, acts)), nil
}

// Reclaim ends the delegation of an IA_PD before its time, as Release does for a
// client: its prefixes are freed, its certificate revoked, and the client's next
// Renew is answered with NoBinding.
func (d *DelegatingRouter) Reclaim(now time.Time, duid []byte, iaid uint32, acts []Action) []Action {
	now = d.begin(now)
	if b := d.bindings[clientID{string(duid), iaid}]; b != nil {
		acts = d.unbind(now, b, acts)
	}
	return acts
}

// Restore puts back, at start, a binding that ActionCommit stored: the prefixes
// of one IA_PD, with lifetimes that count from since, the NotBefore of that action.
// One that ended meanwhile is an error, and so is one that exists.
//
// Of certificates and notifications from before, a new machine knows nothing. The
// next message of the client has a certificate issued anew. What was issued before
// ends with the lifetimes that were stored; if the delegation ends early
// (ActionForget), the caller has to revoke by prefix what it knows of. A key that
// was pinned is pinned no more. The IDs of actions begin anew, so that answers to
// actions of the old machine must not reach it.
func (d *DelegatingRouter) Restore(now time.Time, duid []byte, ia IA, since time.Time) error {
	now = d.begin(now)
	client := clientID{string(duid), ia.IAID}
	if _, err := x509ip.DUIDName(duid); err != nil {
		return fmt.Errorf("dhcpv6pd: DUID: %w", err)
	}
	if err := checkPrefixes(ia.Prefixes); err != nil {
		return err
	}
	if since.After(now) {
		since = now
	}
	end := until(since, d.reservation([]IA{ia}))
	switch {
	case len(ia.Prefixes) == 0 || due(now, end):
		return ErrExpired
	case d.bindings[client] != nil:
		return errors.New("dhcpv6pd: binding exists")
	case len(d.bindings) >= d.cfg.MaxBindings:
		return ErrFull
	}
	d.addBinding(&binding{client: client, prefixes: slices.Clone(ia.Prefixes), since: since, end: end})
	return nil
}

// Bindings is the number of IA_PDs delegated.
func (d *DelegatingRouter) Bindings() int { return len(d.bindings) }

// Stats returns the counters of both sides.
func (d *DelegatingRouter) Stats() Stats {
	s := d.stats
	s.add(&d.reg.stats)
	return s
}

// Deadline is when HandleTimeout has something to do.
func (d *DelegatingRouter) Deadline() (time.Time, bool) {
	t, _ := d.reg.Deadline()
	if e := d.waiting.Front(); e != nil {
		t = earlier(t, e.Value.(*transaction).since.Add(d.reg.cfg.AnswerTimeout))
	}
	if len(d.ends) > 0 {
		t = earlier(t, d.ends[0].end)
	}
	return t, !t.IsZero()
}

// HandleTimeout does what is due, some of it if it is much. Called early, or
// twice, it does nothing.
func (d *DelegatingRouter) HandleTimeout(now time.Time, acts []Action) []Action {
	now = d.begin(now)
	mark := len(acts)
	acts = d.answered(now, d.reg.timeout(now, acts), mark)
	for range maxPerTimeout {
		if e := d.waiting.Front(); e != nil && due(now, e.Value.(*transaction).since.Add(d.reg.cfg.AnswerTimeout)) {
			d.stats[ReasonStore]++
			acts = d.abandon(now, e.Value.(*transaction), acts)
			continue
		}
		if len(d.ends) > 0 && due(now, d.ends[0].end) {
			acts = d.unbind(now, d.ends[0], acts)
			continue
		}
		break
	}
	return acts
}

// begin starts an input call.
func (d *DelegatingRouter) begin(now time.Time) time.Time {
	d.out, d.reg.out = d.out[:0], d.reg.out[:0]
	return d.reg.clock.advance(d.clock.advance(now))
}
