package dhcpv6pd

import (
	"bytes"
	"container/list"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/internal/dhcp6"
	"dhcpsec.example/internal/wire"
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
	// MaxTransactions bounds the messages that await an answer by the caller.
	// Default 4096.
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
	ends     expiryHeap[*binding]

	transactions map[transactionKey]*transaction
	pending      map[ID]*transaction
	waiting      list.List // *transaction whose caller owes an answer, oldest first
}

// transactionKey names a transaction: each client has at most one that will be
// answered with an Advertise, and one with a Reply.
type transactionKey struct {
	client    clientID
	advertise bool
}

// transaction is a message whose answer waits for the caller.
type transaction struct {
	transactionKey
	msg    dhcp6.MessageType
	xid    dhcp6.TransactionID
	path   returnPath
	ias    []requestedIA
	others []foreignIA
	ask    ask

	step    step
	id      ID // of the action that step waits for; zero while the Registrar works
	since   time.Time
	elem    *list.Element
	options []byte // certificate options of the answer
}

// step is what a transaction waits for.
type step uint8

const (
	stepAllocate step = iota
	stepCertify
	stepCommit
)

// requestedIA is one IA_PD of a message and what becomes of it.
type requestedIA struct {
	iaid    uint32
	hints   []Prefix
	granted []Prefix         // lifetimes count from now
	bound   bool             // granted by a binding that exists
	status  dhcp6.StatusCode // why nothing is granted
}

// foreignIA is an IA_NA or IA_TA, which gets no address from a delegating router.
type foreignIA struct {
	code uint16
	iaid uint32
}

// returnPath is how the answer finds the client.
type returnPath struct {
	to     netip.AddrPort
	relays []dhcp6.Relay // outermost first, with the options to echo
}

// NewDelegatingRouter checks cfg, fills in defaults and makes a router without
// bindings.
func NewDelegatingRouter(cfg DelegatingRouterConfig) (*DelegatingRouter, error) {
	if _, err := x509ip.DUIDName(cfg.DUID); err != nil {
		return nil, fmt.Errorf("dhcpv6pd: DUID: %w", err)
	}
	cfg.DUID = bytes.Clone(cfg.DUID)
	cfg.MaxBindings = orDefault(cfg.MaxBindings, 100_000)
	cfg.MaxTransactions = orDefault(cfg.MaxTransactions, 4096)
	cfg.MaxIAs = orDefault(cfg.MaxIAs, 8)
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
		pending:      make(map[ID]*transaction),
	}, nil
}

// HandleMessage takes in the payload of a datagram that arrived on UDP port 547
// from src: a client's message, or a relay agent's Relay-forward. An error is a
// *DropError: nothing changed but a counter.
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
	if known := d.transactions[t.transactionKey]; known == nil && len(d.transactions) >= d.cfg.MaxTransactions {
		return acts, d.stats.drop(ReasonTooMany, nil)
	}
	t.ask = d.reg.examine(client, server, m.TransactionID, m.Options)
	return d.open(now, t, acts)
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
	d.settle(t)
	if !ok {
		d.stats[ReasonStore]++
		return d.abandon(now, t, acts), nil
	}
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
// of one IA_PD, with the lifetimes they were granted, delegated until notAfter
// (the zero time: for ever). One that ended meanwhile is an error, and so is one
// that exists. The certificate is issued anew with the client's next message.
func (d *DelegatingRouter) Restore(now time.Time, duid []byte, ia IA, notAfter time.Time) error {
	now = d.begin(now)
	client := clientID{string(duid), ia.IAID}
	if _, err := x509ip.DUIDName(duid); err != nil {
		return fmt.Errorf("dhcpv6pd: DUID: %w", err)
	}
	if err := checkPrefixes(ia.Prefixes); err != nil {
		return err
	}
	switch {
	case len(ia.Prefixes) == 0 || due(now, notAfter):
		return ErrExpired
	case d.bindings[client] != nil:
		return errors.New("dhcpv6pd: binding exists")
	case len(d.bindings) >= d.cfg.MaxBindings:
		return ErrFull
	}
	b := &binding{client: client, registration: client, prefixes: slices.Clone(ia.Prefixes), since: now}
	if !notAfter.IsZero() {
		b.since = notAfter.Add(-longest([]IA{ia}))
	}
	d.addBinding(b)
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

// maxEcho bounds the options of all relay agents that an answer has to carry back.
const maxEcho = 1024

// unwrap finds the client's message in a Relay-forward, and the way back.
func (d *DelegatingRouter) unwrap(src netip.AddrPort, pkt []byte) (dhcp6.Message, returnPath, error) {
	var levels [dhcp6.HopCountLimit + 1]dhcp6.Relay
	relays, m, err := dhcp6.Unwrap(pkt, levels[:0])
	if err != nil {
		return m, returnPath{}, d.stats.drop(ReasonMalformed, err)
	}
	path := returnPath{to: src}
	port := uint16(546)
	if len(relays) > 0 {
		port = 547
		if relays[0].Type != dhcp6.RelayForward {
			return m, returnPath{}, d.stats.drop(ReasonMessageType, nil)
		}
		if _, ok := relays[0].RelaySourcePort(); ok {
			port = src.Port() // RFC 8357 section 5.2
		}
		path.relays = slices.Clone(relays)
	}
	if !d.cfg.ReplyToSourcePort {
		path.to = netip.AddrPortFrom(src.Addr(), port)
	}
	total := 0
	for i := range path.relays {
		r := &path.relays[i]
		r.Options = echoed(r.Options)
		if total += len(r.Options); total > maxEcho {
			return m, returnPath{}, d.stats.drop(ReasonTooMany, nil)
		}
	}
	return m, path, nil
}

// echoed copies the options of a Relay-forward that its Relay-reply repeats.
func echoed(options dhcp6.Options) dhcp6.Options {
	var out []byte
	for code, data := range options.All() {
		if code == dhcp6.OptionInterfaceID || code == dhcp6.OptionRelaySourcePort {
			out, _ = wire.AppendOption16(out, code, data) // it came in such an option
		}
	}
	return out
}

// collectIAs lists the IAs of a message. A malformed IA_PD is skipped, and of an
// IAID that comes twice the second.
func (d *DelegatingRouter) collectIAs(t *transaction, options dhcp6.Options) error {
	for code, data := range options.All() {
		if (code == dhcp6.OptionIANA || code == dhcp6.OptionIATA) && len(data) >= 4 {
			t.others = append(t.others, foreignIA{code, uint32(data[0])<<24 | uint32(data[1])<<16 | uint32(data[2])<<8 | uint32(data[3])})
		}
		if len(t.others) > d.cfg.MaxIAs {
			return d.stats.drop(ReasonTooMany, nil)
		}
	}
	for ia, err := range options.IAPDs() {
		if err != nil || slices.ContainsFunc(t.ias, func(q requestedIA) bool { return q.iaid == ia.IAID }) {
			d.stats[ReasonIA]++
			continue
		}
		if len(t.ias) == d.cfg.MaxIAs {
			return d.stats.drop(ReasonTooMany, nil)
		}
		q := requestedIA{iaid: ia.IAID}
		for p, err := range ia.Prefixes() {
			if err != nil || len(q.hints) == d.cfg.MaxIAs {
				d.stats[ReasonIA]++
				continue
			}
			// "servers MUST ignore" the lifetimes of a hint (section 21.22).
			q.hints = append(q.hints, Prefix{Prefix: p.Prefix.Masked()})
		}
		t.ias = append(t.ias, q)
	}
	if len(t.ias) == 0 && len(t.others) == 0 {
		return d.stats.drop(ReasonIA, nil)
	}
	if len(t.ias) > 0 {
		t.client.iaid = slices.MinFunc(t.ias, func(a, b requestedIA) int {
			return int(int64(a.iaid) - int64(b.iaid))
		}).iaid
	}
	return nil
}

// open starts a transaction, or lets a retransmission join the one under way.
func (d *DelegatingRouter) open(now time.Time, t *transaction, acts []Action) ([]Action, error) {
	if known := d.transactions[t.transactionKey]; known != nil {
		if known.msg == t.msg && sameIAs(known.ias, t.ias) {
			if t.ask.refused != nil && known.ask.refused == nil {
				return acts, d.stats.drop(ReasonKeyProof, t.ask.refused)
			}
			if bytes.Equal(known.ask.key, t.ask.key) {
				// The answer to come is for the latest transmission.
				known.xid, known.path = t.xid, t.path
				return acts, nil
			}
		}
		acts = d.abandon(now, known, acts)
	}
	t.ask.key = bytes.Clone(t.ask.key)
	d.transactions[t.transactionKey] = t

	renewal := t.renewal()
	missing, found := 0, 0
	for i := range t.ias {
		q := &t.ias[i]
		b := d.bindings[clientID{t.client.duid, q.iaid}]
		switch {
		case b != nil && !due(now, b.end):
			q.bound = true
			q.granted = b.remaining(now)
			if renewal {
				q.granted = slices.Clone(b.prefixes)
			}
			found++
		case renewal:
			q.status = dhcp6.NoBinding
		default:
			missing++
		}
	}
	switch {
	case t.msg == dhcp6.Rebind && found == 0:
		// Some other server may know these leases: "if the server [...] cannot
		// find a client entry [...] the server may choose to ignore" the message.
		d.close(t)
		return acts, d.stats.drop(ReasonNoPrefix, nil)
	case missing > 0 && !t.advertise && len(d.bindings)+missing > d.cfg.MaxBindings:
		d.stats[ReasonTooMany]++
		for i := range t.ias {
			if q := &t.ias[i]; !q.bound {
				q.status = dhcp6.NoPrefixAvail
			}
		}
	case missing > 0:
		d.await(now, t, stepAllocate)
		return append(acts, Action{
			Kind: ActionAllocate, ID: t.id, DUID: []byte(t.client.duid), IAID: t.client.iaid,
			IAs: t.unbound(), Tentative: t.advertise,
		}), nil
	}
	return d.certify(now, t, acts), nil
}

// certify hands a transaction whose prefixes are known to the Registrar.
func (d *DelegatingRouter) certify(now time.Time, t *transaction, acts []Action) []Action {
	granted := t.granted()
	if t.advertise {
		// The pointer in an Advertise is for information: nothing is delegated yet.
		if t.ask.pointer && t.ask.key == nil && len(granted) > 0 {
			t.options, _ = d.reg.cfg.Options.Append(nil, certopt.Options{CAPointer: []byte(d.reg.cfg.CAPointer)})
		}
		return d.send(now, t, acts)
	}
	if len(granted) == 0 {
		return d.send(now, t, acts)
	}
	t.step = stepCertify
	mark := len(acts)
	acts = d.reg.request(now, t.client, t.xid, t.ask, granted, acts)
	return d.answered(now, acts, mark)
}

// answered turns the ActionAnswers that the Registrar put behind acts[:mark] into
// what follows them: an ActionCommit, or the Reply.
func (d *DelegatingRouter) answered(now time.Time, acts []Action, mark int) []Action {
	for i := mark; i < len(acts); i++ {
		if acts[i].Kind != ActionAnswer {
			continue
		}
		a := acts[i]
		acts = slices.Delete(acts, i, i+1)
		i--
		t := d.transactions[transactionKey{client: clientID{string(a.DUID), a.IAID}}]
		if t != nil && t.step == stepCertify {
			t.options = bytes.Clone(a.Data)
			acts = d.commit(now, t, a.Outcome, acts)
		}
	}
	return acts
}

// commit has the bindings stored that are new or live longer, if there are any,
// before the Reply is sent.
func (d *DelegatingRouter) commit(now time.Time, t *transaction, o Outcome, acts []Action) []Action {
	if o == OutcomeRefused {
		// "on no prefix, Reply with [...] Status NoPrefixAvail inside the IA_PD"
		acts = d.free(t, acts)
		for i := range t.ias {
			if q := &t.ias[i]; q.status == dhcp6.Success {
				q.granted, q.status = nil, dhcp6.NoPrefixAvail
			}
		}
		return d.send(now, t, acts)
	}
	var changed []IA
	for _, q := range t.ias {
		if len(q.granted) > 0 && (!q.bound || t.renewal()) {
			changed = append(changed, IA{q.iaid, q.granted})
		}
	}
	if len(changed) == 0 {
		return d.send(now, t, d.bind(now, t, acts))
	}
	d.await(now, t, stepCommit)
	return append(acts, Action{
		Kind: ActionCommit, ID: t.id, DUID: []byte(t.client.duid), IAID: t.client.iaid,
		IAs: changed, NotAfter: until(now, longest(changed)),
	})
}

// bind makes or extends the bindings that were committed, and notes for all of
// the message's which registration has their certificate.
func (d *DelegatingRouter) bind(now time.Time, t *transaction, acts []Action) []Action {
	for _, q := range t.ias {
		if len(q.granted) == 0 {
			continue
		}
		id := clientID{t.client.duid, q.iaid}
		b := d.bindings[id]
		if b == nil {
			d.addBinding(&binding{client: id, registration: t.client, prefixes: q.granted, since: now})
			continue
		}
		if b.registration != t.client {
			acts = d.reg.endIfBinds(now, b.registration, b.prefixes, acts)
			b.registration = t.client
		}
		if t.renewal() {
			d.extend(b, now, q.granted)
		}
	}
	return acts
}

// release ends the bindings that a Release names (section 18.3.7).
func (d *DelegatingRouter) release(now time.Time, t *transaction, acts []Action) []Action {
	for i := range t.ias {
		q := &t.ias[i]
		q.status = dhcp6.NoBinding
		b := d.bindings[clientID{t.client.duid, q.iaid}]
		if b == nil {
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(b.prefixes), func(p Prefix) bool {
			return slices.ContainsFunc(q.hints, func(h Prefix) bool { return h.Prefix == p.Prefix })
		})
		switch {
		case len(kept) == len(b.prefixes):
		case len(kept) == 0:
			q.status = dhcp6.Success
			acts = d.unbind(now, b, acts)
		default:
			q.status = dhcp6.Success
			acts = d.reg.end(now, b.registration, acts)
			acts = append(acts, Action{Kind: ActionFree, DUID: []byte(t.client.duid), IAs: []IA{{q.iaid, q.hints}}})
			b.prefixes = kept
		}
	}
	return d.send(now, t, acts)
}

// unbind ends a binding, and the certificate that covers it.
func (d *DelegatingRouter) unbind(now time.Time, b *binding, acts []Action) []Action {
	acts = d.reg.end(now, b.registration, acts)
	d.removeBinding(b)
	duid, ias := []byte(b.client.duid), []IA{{b.client.iaid, b.prefixes}}
	return append(acts,
		Action{Kind: ActionForget, DUID: duid, IAs: ias},
		Action{Kind: ActionFree, DUID: duid, IAs: ias})
}

// abandon ends a transaction without an answer: the client will ask again.
func (d *DelegatingRouter) abandon(now time.Time, t *transaction, acts []Action) []Action {
	mark := len(acts)
	if acts = d.free(t, acts); len(acts) > mark {
		// Nor may a certificate stand for what is not delegated.
		acts = d.reg.end(now, t.client, acts)
	}
	d.close(t)
	return acts
}

// free returns to the pool what was allocated for t and is not bound.
func (d *DelegatingRouter) free(t *transaction, acts []Action) []Action {
	var ias []IA
	for _, q := range t.ias {
		if !q.bound && len(q.granted) > 0 {
			ias = append(ias, IA{q.iaid, q.granted})
		}
	}
	if len(ias) == 0 || t.advertise {
		return acts // tentative allocations are the caller's to keep track of
	}
	return append(acts, Action{Kind: ActionFree, DUID: []byte(t.client.duid), IAs: ias})
}

func (d *DelegatingRouter) close(t *transaction) {
	d.settle(t)
	if d.transactions[t.transactionKey] == t {
		delete(d.transactions, t.transactionKey)
	}
}

func (d *DelegatingRouter) await(now time.Time, t *transaction, s step) {
	t.step, t.id, t.since = s, d.ids.next(), now
	d.pending[t.id] = t
	t.elem = d.waiting.PushBack(t)
}

func (d *DelegatingRouter) settle(t *transaction) {
	if t.id != 0 {
		delete(d.pending, t.id)
		d.waiting.Remove(t.elem)
		t.id, t.elem = 0, nil
	}
}
