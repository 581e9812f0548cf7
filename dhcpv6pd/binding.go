package dhcpv6pd

import (
	"container/heap"
	"slices"
	"time"

	"dhcpsec.example/internal/dhcp6"
)

// binding is one IA_PD delegated: "the information the server has about the
// addresses or delegated prefixes in an Identity Association" (RFC 8415 section 4.2).
type binding struct {
	client       clientID
	registration clientID  // whose certificate covers it; zero: none does
	prefixes     []Prefix  // with the lifetimes granted
	since        time.Time // when these begin to count
	end          time.Time // when the last of them ended for sure; zero is never
	heapPos      int
}

func (b *binding) expiry() time.Time { return b.end }
func (b *binding) position() *int    { return &b.heapPos }

// remaining is what is left of the binding at now.
func (b *binding) remaining(now time.Time) []Prefix {
	var out []Prefix
	for _, p := range b.prefixes {
		p.Preferred = remaining(now, until(b.since, p.Preferred))
		p.Valid = remaining(now, until(b.since, p.Valid))
		if p.Valid > 0 {
			out = append(out, p)
		}
	}
	return out
}

// grace is for how long a binding is kept beyond the lifetimes that the client was
// told: these are rounded up to seconds, and count from when the Reply arrives.
const grace = 2 * time.Second

// reservation is for how long, from an ActionCommit on, prefixes must not be
// delegated to anybody else: the answer to it may take some time, and only then
// the Reply is sent.
func (d *DelegatingRouter) reservation(ias []IA) time.Duration {
	valid := longest(ias)
	if valid >= Infinite {
		return Infinite
	}
	return valid + d.reg.cfg.AnswerTimeout + grace
}

func (d *DelegatingRouter) addBinding(b *binding) {
	d.bindings[b.client] = b
	heap.Push(&d.ends, b)
}

// grant gives prefixes to b, with lifetimes that count from now.
func (b *binding) grant(now time.Time, prefixes []Prefix) {
	b.prefixes, b.since, b.end = prefixes, now, time.Time{}
	if valid := longest([]IA{{Prefixes: prefixes}}); valid < Infinite {
		b.end = now.Add(valid + grace)
	}
}

func (d *DelegatingRouter) removeBinding(b *binding) {
	heap.Remove(&d.ends, b.heapPos)
	delete(d.bindings, b.client)
}

// bind makes or extends the bindings that were committed, and notes for all of the
// message's which registration has their certificate.
func (d *DelegatingRouter) bind(now time.Time, t *transaction, acts []Action) []Action {
	for _, q := range t.ias {
		if len(q.granted) == 0 {
			continue
		}
		id := clientID{t.client.duid, q.iaid}
		b := d.bindings[id]
		if b == nil {
			b = &binding{client: id, registration: t.client}
			b.grant(now, q.granted)
			d.addBinding(b)
			continue
		}
		if b.registration != t.client {
			if d.reg.binds(b.registration, netPrefixes([]IA{{Prefixes: b.prefixes}})) {
				acts = d.endRegistration(now, b.registration, acts)
			}
			b.registration = t.client
		}
		if t.renewal() {
			b.grant(now, q.granted)
			heap.Fix(&d.ends, b.heapPos)
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
		var kept, released []Prefix
		for _, p := range b.prefixes {
			if slices.ContainsFunc(q.hints, func(h Prefix) bool { return h.Prefix == p.Prefix }) {
				released = append(released, p)
			} else {
				kept = append(kept, p)
			}
		}
		switch {
		case len(released) == 0: // what it names is not the client's
			q.status = dhcp6.Success
		case len(kept) == 0:
			q.status = dhcp6.Success
			acts = d.unbind(now, b, acts)
		default:
			q.status = dhcp6.Success
			b.prefixes = kept
			acts = d.disturb(now, b, acts)
			acts = append(acts,
				Action{Kind: ActionCommit, DUID: []byte(t.client.duid), IAID: q.iaid, IAs: []IA{{q.iaid, kept}}, NotBefore: b.since, NotAfter: until(b.since, d.reservation([]IA{{Prefixes: kept}}))},
				Action{Kind: ActionFree, DUID: []byte(t.client.duid), IAs: []IA{{q.iaid, released}}})
		}
	}
	return d.send(now, t, acts)
}

// unbind ends a binding, and the certificate that covers it.
func (d *DelegatingRouter) unbind(now time.Time, b *binding, acts []Action) []Action {
	d.removeBinding(b)
	acts = d.disturb(now, b, acts)
	duid, ias := []byte(b.client.duid), []IA{{b.client.iaid, b.prefixes}}
	return append(acts,
		Action{Kind: ActionForget, DUID: duid, IAs: ias},
		Action{Kind: ActionFree, DUID: duid, IAs: ias})
}

// disturb ends what relies on a binding that is no more what it was: its
// certificate, and a renewal under way, which must not bring it back.
func (d *DelegatingRouter) disturb(now time.Time, b *binding, acts []Action) []Action {
	acts = d.endRegistration(now, b.registration, acts)
	if t := d.claims[b.client]; t != nil {
		acts = d.abandon(now, t, acts)
		acts = d.endRegistration(now, t.client, acts)
	}
	return acts
}
