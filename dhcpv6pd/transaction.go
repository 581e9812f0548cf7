package dhcpv6pd

import (
	"bytes"
	"container/list"
	"slices"
	"time"

	"dhcpsec.example/certopt"
	"dhcpsec.example/internal/dhcp6"
)

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

	reserved int // bindings that it may still add

	step    step
	id      ID        // of the action that step waits for; zero while the Registrar works
	since   time.Time // when that action was given
	elem    *list.Element
	options []byte // certificate options of the answer
	// certified is when the certificate in them ends; zero: there is none
	certified time.Time
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
func (d *DelegatingRouter) open(now time.Time, t *transaction, missing int, acts []Action) ([]Action, error) {
	if known := d.transactions[t.transactionKey]; known != nil {
		if t.ask.refused != nil && known.ask.refused == nil || known.ask.proven && !t.ask.proven {
			// Whoever sent this, without the key, does not disturb what is under way.
			if t.ask.refused != nil { // counted when it was examined
				return acts, &DropError{Reason: t.ask.reason(), Err: t.ask.refused}
			}
			return acts, d.stats.drop(ReasonKeyProof, nil)
		}
		if known.msg == t.msg && sameIAs(known.ias, t.ias) && bytes.Equal(known.ask.key, t.ask.key) && known.ask.proven == t.ask.proven {
			// The answer to come is for the latest transmission.
			known.xid, known.path = t.xid, t.path
			return acts, nil
		}
		acts = d.abandon(now, known, acts)
	}
	t.ask.key = bytes.Clone(t.ask.key)
	d.transactions[t.transactionKey] = t
	d.count(t, 1)
	if !t.advertise {
		acts = d.claim(now, t, acts)
	}
	if missing == 0 {
		return d.certify(now, t, acts), nil
	}
	if !t.advertise && len(d.bindings)+d.reserved+missing > d.cfg.MaxBindings {
		d.stats[ReasonTooMany]++
		for i := range t.ias {
			if q := &t.ias[i]; !q.bound {
				q.status = dhcp6.NoPrefixAvail
			}
		}
		return d.certify(now, t, acts), nil
	}
	if !t.advertise {
		t.reserved = missing
		d.reserved += missing
	}
	d.await(now, t, stepAllocate)
	return append(acts, Action{
		Kind: ActionAllocate, ID: t.id, DUID: []byte(t.client.duid), IAID: t.client.iaid,
		IAs: t.unbound(), Link: t.path.link(), Tentative: t.advertise,
	}), nil
}

// lookUp grants what is bound already, a renewal with its lifetimes anew, and
// says how many IAs remain for which prefixes have to be allocated.
func (d *DelegatingRouter) lookUp(now time.Time, t *transaction) (missing int) {
	for i := range t.ias {
		q := &t.ias[i]
		b := d.bindings[clientID{t.client.duid, q.iaid}]
		switch {
		case b != nil && t.renewal():
			q.bound, q.granted = true, slices.Clone(b.prefixes)
		case b != nil && len(b.remaining(now)) > 0:
			q.bound, q.granted = true, b.remaining(now)
		case t.renewal():
			q.status = dhcp6.NoBinding
		default:
			missing++
		}
	}
	return missing
}

// claim makes t the transaction of its IA_PDs: another one that has any of them
// is abandoned, and so is a binding that has run out.
func (d *DelegatingRouter) claim(now time.Time, t *transaction, acts []Action) []Action {
	for _, q := range t.ias {
		ia := clientID{t.client.duid, q.iaid}
		if other := d.claims[ia]; other != nil {
			acts = d.abandon(now, other, acts)
			d.reg.cancel(other.client)
		}
		if b := d.bindings[ia]; b != nil && !q.bound {
			acts = d.unbind(now, b, acts)
		}
	}
	for _, q := range t.ias {
		d.claims[clientID{t.client.duid, q.iaid}] = t
	}
	return acts
}

// certify hands a transaction whose prefixes are known to the Registrar.
func (d *DelegatingRouter) certify(now time.Time, t *transaction, acts []Action) []Action {
	if t.advertise {
		// The pointer in an Advertise is for information: nothing is delegated yet.
		if t.ask.pointer && len(t.granted()) > 0 {
			t.options, _ = d.reg.cfg.Options.Append(nil, certopt.Options{CAPointer: []byte(d.reg.cfg.CAPointer)})
		}
		return d.send(now, t, acts)
	}
	for i := range t.ias {
		q := &t.ias[i]
		if !q.bound {
			continue
		}
		b := d.bindings[clientID{t.client.duid, q.iaid}]
		if b.registration == (clientID{}) { // restored
			b.registration = t.client
		}
		if !t.renewal() {
			q.granted = b.remaining(now) // the allocation may have taken a while
		}
	}
	granted := t.granted()
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
			t.options, t.certified = bytes.Clone(a.Data), a.NotAfter
			acts = d.commit(now, t, a.Outcome, acts)
		}
	}
	return acts
}

// commit has the bindings stored that are new or live longer, if there are any,
// before the Reply is sent.
func (d *DelegatingRouter) commit(now time.Time, t *transaction, o Outcome, acts []Action) []Action {
	if o == OutcomeRefused && t.renewal() {
		// What the client has stays its own until it ends; it will ask again.
		return d.abandon(now, t, acts)
	}
	if o == OutcomeRefused {
		// Nothing is delegated: "with no prefixes in the IA_PD and with a Status Code
		// option containing status code NoPrefixAvail in the IA_PD" (section 18.3.2).
		if fresh := t.fresh(); len(fresh) > 0 {
			acts = append(acts, Action{Kind: ActionFree, DUID: []byte(t.client.duid), IAs: fresh})
		}
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
		IAs: changed, NotBefore: now, NotAfter: until(now, d.reservation(changed)),
	})
}

// abandon ends a transaction without an answer: the client will ask again. What
// was allocated for it is freed (a tentative allocation is the caller's to keep
// track of), and no certificate may stand for what is not delegated.
func (d *DelegatingRouter) abandon(now time.Time, t *transaction, acts []Action) []Action {
	d.close(t)
	if t.advertise || t.step == stepAllocate {
		return acts
	}
	fresh := t.fresh()
	if d.stray(t) {
		acts = d.endRegistration(now, t.client, acts)
	}
	if len(fresh) == 0 {
		return acts
	}
	acts = d.reg.retract(now, t.client, netPrefixes(fresh), acts)
	duid := []byte(t.client.duid)
	if t.step == stepCommit {
		acts = append(acts, Action{Kind: ActionForget, DUID: duid, IAs: fresh})
	}
	return append(acts, Action{Kind: ActionFree, DUID: duid, IAs: fresh})
}

// stray says that the registration of t is not the one that ends with its
// bindings, so that a certificate made for t would be left behind.
func (d *DelegatingRouter) stray(t *transaction) bool {
	return slices.ContainsFunc(t.ias, func(q requestedIA) bool {
		b := d.bindings[clientID{t.client.duid, q.iaid}]
		return b != nil && b.registration != t.client
	})
}

// endRegistration revokes what certifies a client, and abandons the transaction
// that waits for the Registrar's answer, which will not come, or has it already.
func (d *DelegatingRouter) endRegistration(now time.Time, client clientID, acts []Action) []Action {
	acts = d.reg.end(now, client, acts)
	if t := d.transactions[transactionKey{client: client}]; t != nil && t.step != stepAllocate {
		acts = d.abandon(now, t, acts)
	}
	return acts
}

func (d *DelegatingRouter) close(t *transaction) {
	d.settle(t)
	d.reserved -= t.reserved
	t.reserved = 0
	if d.transactions[t.transactionKey] == t {
		delete(d.transactions, t.transactionKey)
		d.count(t, -1)
	}
	for _, q := range t.ias {
		if ia := (clientID{t.client.duid, q.iaid}); d.claims[ia] == t {
			delete(d.claims, ia)
		}
	}
}

// count keeps apart how many transactions there are of either kind: Solicits must
// not keep out Requests.
func (d *DelegatingRouter) count(t *transaction, n int) {
	if t.advertise {
		d.advertising += n
	} else {
		d.replying += n
	}
}

// full says that there is no room for t.
func (d *DelegatingRouter) full(t *transaction) bool {
	if t.advertise {
		return d.advertising >= d.cfg.MaxTransactions
	}
	return d.replying >= d.cfg.MaxTransactions
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

// renewal says that the message extends bindings rather than making them.
func (t *transaction) renewal() bool { return t.msg == dhcp6.Renew || t.msg == dhcp6.Rebind }

// grantedIAs is what the answer delegates.
func (t *transaction) grantedIAs() []IA {
	var ias []IA
	for _, q := range t.ias {
		if len(q.granted) > 0 {
			ias = append(ias, IA{q.iaid, q.granted})
		}
	}
	return ias
}

// granted is the prefixes of all IAs.
func (t *transaction) granted() []Prefix {
	var out []Prefix
	for _, q := range t.ias {
		out = append(out, q.granted...)
	}
	return out
}

// fresh is what was allocated for this message and is not bound yet.
func (t *transaction) fresh() []IA {
	var ias []IA
	for _, q := range t.ias {
		if !q.bound && len(q.granted) > 0 {
			ias = append(ias, IA{q.iaid, q.granted})
		}
	}
	return ias
}

// unbound is the IAs for which there is no binding, with their hints.
func (t *transaction) unbound() []IA {
	var ias []IA
	for _, q := range t.ias {
		if !q.bound {
			ias = append(ias, IA{q.iaid, q.hints})
		}
	}
	return ias
}

// sameIAs says that two messages ask for the same IAs.
func sameIAs(a, b []requestedIA) bool {
	return slices.EqualFunc(a, b, func(x, y requestedIA) bool { return x.iaid == y.iaid })
}
