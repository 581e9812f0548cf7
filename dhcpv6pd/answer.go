package dhcpv6pd

import (
	"slices"
	"time"

	"dhcpsec.example/internal/dhcp6"
)

// send sends the Advertise or Reply of a transaction, which ends it.
func (d *DelegatingRouter) send(now time.Time, t *transaction, acts []Action) []Action {
	d.close(t)
	reply, err := d.appendReply(d.reply[:0], t)
	if err != nil {
		d.stats[ReasonTooMany]++
		return acts
	}
	d.reply = reply
	start := len(d.out)
	if d.out, err = dhcp6.AppendRelayReply(d.out, t.path.relays, reply); err != nil {
		d.stats[ReasonTooMany]++
		return acts
	}
	return append(acts, Action{Kind: ActionSend, To: t.path.to, Data: d.out[start:len(d.out):len(d.out)]})
}

// appendReply builds the message itself. Servers "MUST NOT cache" responses
// (RFC 8415 section 18.3): it is made of what holds now.
func (d *DelegatingRouter) appendReply(b []byte, t *transaction) ([]byte, error) {
	msg := dhcp6.Reply
	if t.advertise {
		msg = dhcp6.Advertise
	}
	w := dhcp6.NewBuilder(b, msg, t.xid)
	w.Option(dhcp6.OptionClientID, []byte(t.client.duid))
	w.Option(dhcp6.OptionServerID, d.cfg.DUID)
	switch {
	case t.advertise && d.cfg.Preference > 0:
		w.OptionUint8(dhcp6.OptionPreference, d.cfg.Preference)
	case t.msg == dhcp6.Solicit && !t.advertise:
		w.Option(dhcp6.OptionRapidCommit, nil)
	case t.msg == dhcp6.Release:
		w.Status(dhcp6.Success, "")
	}
	// "The server SHOULD return the same T1 and T2 for all IAs"; half and four
	// fifths of the shortest preferred lifetime (section 21.21).
	preferred, _ := shortest(t.grantedIAs())
	t1, t2 := dhcp6.Infinity, dhcp6.Infinity
	if preferred < Infinite {
		t1, t2 = wireSeconds(preferred/2), wireSeconds(preferred/5*4)
	}
	for _, q := range t.ias {
		switch {
		case len(q.granted) > 0:
			w.BeginIAPD(q.iaid, t1, t2)
			for _, p := range q.granted {
				w.IAPrefix(wireSeconds(p.Preferred), wireSeconds(p.Valid), p.Prefix)
			}
			w.End()
		case q.status != dhcp6.Success:
			w.BeginIAPD(q.iaid, 0, 0)
			w.Status(q.status, statusText(q.status))
			w.End()
		}
	}
	// "If the server will not assign any addresses to any IAs" it says so in
	// each; a renewal or release finds no binding instead (sections 18.3.2 to 18.3.7).
	status := dhcp6.NoBinding
	if t.msg == dhcp6.Solicit || t.msg == dhcp6.Request {
		status = dhcp6.NoAddrsAvail
	}
	for _, o := range t.others {
		if o.code == dhcp6.OptionIANA {
			w.BeginIANA(o.iaid, 0, 0)
		} else {
			w.BeginIATA(o.iaid)
		}
		w.Status(status, statusText(status))
		w.End()
	}
	w.Raw(t.options)
	return w.Bytes()
}

func statusText(s dhcp6.StatusCode) string {
	switch s {
	case dhcp6.NoPrefixAvail:
		return "no prefix available"
	case dhcp6.NoBinding:
		return "no binding"
	default:
		return "prefixes only"
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
