package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"dhcpsec.example/dhcpv6pd"
)

// requester is the requesting router on its upstream link: a socket and a loop
// around a dhcpv6pd.RequestingRouter. advertiser is its downstream side.
type requester struct {
	machine *dhcpv6pd.RequestingRouter
	conn    *net.UDPConn
	server  netip.AddrPort // the delegating router's
	enroll  enroller
	ladder  *ladder
	fail    func(error) // ends the run

	inputs    inputs
	work      sync.WaitGroup  // goroutines that answer actions
	bound     dhcpv6pd.Prefix // what the last Reply delegated
	boundAt   time.Time
	certified chan certified // of capacity 1
	releasing bool
	released  chan struct{} // closed when the Release is answered
}

// certified is what a requesting router has when it may advertise.
type certified struct {
	prefix      dhcpv6pd.Prefix // as of the Reply
	boundAt     time.Time       // when that came
	certificate *x509.Certificate
	chain       []*x509.Certificate // its issuer first, without the trust anchor
	// advertise says until when the machine allows these prefixes to be advertised.
	advertise map[netip.Prefix]time.Time
}

// ends is when the delegation does.
func (c certified) ends() time.Time { return c.boundAt.Add(c.prefix.Valid) }

// lifetimes are those to advertise p with: they "MUST NOT exceed the corresponding
// remaining lifetimes of the delegated prefix" (RFC 8415 section 18.2.10.1), and
// hosts stop believing when the certificate ends.
func (c certified) lifetimes(p netip.Prefix, now time.Time) advertisedPrefix {
	until := c.ends()
	if t := c.advertise[p]; !t.IsZero() {
		until = t
	}
	valid := max(until.Sub(now), 0).Truncate(time.Second)
	preferred := max(c.boundAt.Add(c.prefix.Preferred).Sub(now), 0).Truncate(time.Second)
	return advertisedPrefix{p, min(preferred, valid), valid}
}

func newRequester(config dhcpv6pd.RequestingRouterConfig, conn *net.UDPConn, server netip.AddrPort, enroll enroller, l *ladder, fail func(error)) (*requester, error) {
	machine, err := dhcpv6pd.NewRequestingRouter(config)
	if err != nil {
		return nil, err
	}
	return &requester{
		machine: machine, conn: conn, server: server, enroll: enroll, ladder: l, fail: fail,
		inputs: make(inputs), certified: make(chan certified, 1), released: make(chan struct{}),
	}, nil
}

// run is the loop: one input, then what the machine wants done, in that order,
// before the next input.
func (r *requester) run(ctx context.Context) {
	defer r.work.Wait()
	datagrams := receive(ctx, r.conn)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	acts := r.machine.Start(time.Now(), nil)
	for {
		for _, a := range acts {
			r.perform(ctx, a)
		}
		if r.releasing && r.machine.State() == dhcpv6pd.StateInit {
			close(r.released)
			return
		}
		arm(timer, r.machine)
		var err error
		select {
		case d := <-datagrams:
			acts, err = r.machine.HandleMessage(time.Now(), d.data, acts[:0])
		case in := <-r.inputs:
			acts, err = in(time.Now(), acts[:0])
		case <-timer.C:
			acts = r.machine.HandleTimeout(time.Now(), acts[:0])
		case <-ctx.Done():
			return
		}
		if err != nil { // the machine took no notice of the input, and neither need we
			r.ladder.ignored(nodeRR, err)
		}
	}
}

// perform does one thing for the machine.
func (r *requester) perform(ctx context.Context, a dhcpv6pd.Action) {
	switch a.Kind {
	case dhcpv6pd.ActionSend:
		// a.To is All_DHCP_Relay_Agents_and_Servers. On a real link, send there from
		// port 546; here the delegating router is the socket next door.
		r.ladder.dhcp(nodeRR, nodeDR, a.Data)
		if _, err := r.conn.WriteToUDPAddrPort(a.Data, r.server); err != nil {
			r.fail(err)
		}
	case dhcpv6pd.ActionPrefixBound:
		// A product configures its downstream interfaces now. It does not advertise yet.
		r.bound, r.boundAt = a.IAs[0].Prefixes[0], time.Now()
	case dhcpv6pd.ActionEnroll:
		// The loop goes on while the certificate server works. What the goroutine
		// uses of the action is copied: the next input overwrites it.
		a = a.Clone()
		r.work.Go(func() {
			chain, err := r.enroll.enroll(ctx, a.URI, a.DUID, a.Prefixes)
			r.inputs.give(ctx, func(now time.Time, acts []dhcpv6pd.Action) ([]dhcpv6pd.Action, error) {
				if err != nil || len(chain) == 0 {
					return r.machine.HandleEnrollFailed(now, a.ID, acts)
				}
				return r.machine.HandleEnrolled(now, a.ID, chain[0], chain[1:], acts)
			})
		})
	case dhcpv6pd.ActionCertified:
		certificate, err := x509.ParseCertificate(a.Certificate)
		chain, err2 := x509.ParseCertificates(bytes.Join(a.Chain, nil))
		if err != nil || err2 != nil {
			r.fail(errors.Join(err, err2))
			return
		}
		c := certified{
			prefix: r.bound, boundAt: r.boundAt, certificate: certificate, chain: chain,
			advertise: make(map[netip.Prefix]time.Time),
		}
		for _, p := range []netip.Prefix{subnet(r.bound.Prefix), subnet(next(r.bound.Prefix))} {
			if until, ok := r.machine.MayAdvertise(time.Now(), p); ok {
				c.advertise[p] = until
			}
		}
		select {
		case r.certified <- c:
		default: // a later certificate, which nobody waits for
		}
	case dhcpv6pd.ActionCertificateRejected, dhcpv6pd.ActionFailed:
		// The machine tries again by itself; this program is not that patient.
		r.fail(fmt.Errorf("%s: %w", a.Kind, a.Err))
	case dhcpv6pd.ActionPrefixLost, dhcpv6pd.ActionCertificateLost:
		// A product stops advertising here: a last Router Advertisement with
		// lifetimes of zero, before the next action is performed.
	}
}

// release gives the prefix back; r.released tells when that is done.
func (r *requester) release(ctx context.Context) {
	r.inputs.give(ctx, func(now time.Time, acts []dhcpv6pd.Action) ([]dhcpv6pd.Action, error) {
		r.releasing = true
		return r.machine.Release(now, acts), nil
	})
}
