package dhcpv6pd

import (
	"time"

	"dhcpsec.example/internal/dhcp6"
)

// send sends the Advertise or Reply of a transaction, which ends it.
func (d *DelegatingRouter) send(now time.Time, t *transaction, acts []Action) []Action {
	d.close(t)
	if !t.advertise {
		// What was granted is bound by now, and some time has passed.
		for i := range t.ias {
			q := &t.ias[i]
			if len(q.granted) > 0 {
				q.granted = d.bindings[clientID{t.client.duid, q.iaid}].remaining(now)
			}
			if len(q.granted) == 0 && q.bound {
				q.status = dhcp6.NoPrefixAvail // it ran out meanwhile
			}
		}
	}
	reply, err := d.appendReply(d.reply[:0], now, t)
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
func (d *DelegatingRouter) appendReply(b []byte, now time.Time, t *transaction) ([]byte, error) {
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
	// "The T1/T2 times set in each applicable IA option for a Reply MUST be the
	// same values across all IAs" (section 18.3.2): half and four fifths of the
	// shortest preferred lifetime (section 21.21).
	preferred, _ := shortest(t.grantedIAs())
	if !t.certified.IsZero() { // or of the certificate, which must be renewed too
		preferred = min(preferred, remaining(now, t.certified))
	}
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
	// "The server MUST return the IA option in the Reply message with no addresses
	// in the IA and a Status Code option containing status code NoAddrsAvail in the
	// IA" (section 18.3.2); a renewal or release finds no binding instead.
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
