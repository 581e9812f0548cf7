package main

import (
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

// provisioning is how the certificate gets to the requesting router.
type provisioning int

const (
	case1 provisioning = 1 // the Reply points to the certificate server
	case2 provisioning = 2 // the Reply carries the certificate
)

func (p provisioning) String() string {
	if p == case1 {
		return "Case 1: the Reply points to the certificate server"
	}
	return "Case 2: the Reply carries the certificate"
}

// run plays one case, with actors of its own, and says what came of it: whether
// every check held.
func (s *setup) run(ctx context.Context, c provisioning, l *ladder) bool {
	fmt.Fprintf(l.out, "\n%s\n\n", c)
	l.begin()
	o, err := s.play(ctx, c, l)
	if err != nil {
		o.checks = append(o.checks, check{err.Error(), false})
	}
	return o.report(l.out)
}

// play starts the actors and follows the slides: 5 for Case 1, 8 for Case 2.
func (s *setup) play(ctx context.Context, c provisioning, l *ladder) (o outcome, err error) {
	ctx, fail := context.WithCancelCause(ctx)
	var actors sync.WaitGroup
	defer actors.Wait()
	defer fail(nil)

	var sockets [4]*net.UDPConn
	for i := range sockets {
		if sockets[i], err = listenUDP(); err != nil {
			return o, err
		}
		context.AfterFunc(ctx, func() { sockets[i].Close() })
	}
	upstream, downstream, delegatorSocket, hostSocket := sockets[0], sockets[1], sockets[2], sockets[3]
	listener, err := listenTCP()
	if err != nil {
		return o, err
	}
	uri := "http://" + listener.Addr().String()

	ca := newAuthority(s.anchor.certificate, s.issuing, s.registered)
	actors.Go(func() { ca.run(ctx, listener) })

	registrar := dhcpv6pd.RegistrarConfig{AuthorityNotAfter: s.issuing.certificate.NotAfter}
	if c == case1 {
		registrar.CAPointer = uri + "/enroll"
	} else {
		registrar.Certify, registrar.RequireKeyProof = true, true
	}
	dr, err := newDelegator(dhcpv6pd.DelegatingRouterConfig{
		DUID: s.delegatorDUID, Registrar: registrar,
		Preference:        255,  // there is no other: clients need not wait for one
		ReplyToSourcePort: true, // which on loopback is not 546
	}, delegatorSocket, s.pool, raClient{uri + "/ra", s.ra, l}, l)
	if err != nil {
		return o, err
	}
	actors.Go(func() { dr.run(ctx) })

	h := newHost(hostSocket, s.hostAnchor, l)
	actors.Go(func() { h.run(ctx) })

	rr, err := newRequester(dhcpv6pd.RequestingRouterConfig{
		Holder: dhcpv6pd.HolderConfig{
			DUID: s.routerDUID, Key: s.routerKey, OfferKey: c == case2,
			TrustAnchors: []*x509.Certificate{s.anchor.certificate},
		},
		IAs: []dhcpv6pd.IA{{IAID: 1, Prefixes: []dhcpv6pd.Prefix{{Prefix: netip.MustParsePrefix("::/56")}}}},
	}, upstream, addrOf(delegatorSocket), pkcs10{nodeRR, s.routerKey, l}, l, fail)
	if err != nil {
		return o, err
	}
	actors.Go(func() { rr.run(ctx) })

	// From Solicit to certificate.
	if o.got, err = await(ctx, rr.certified, "requesting router", "a certificate"); err != nil {
		return o, err
	}

	// RA, CPS, CPA: once for a prefix inside the delegation, and once for one that
	// is not, which is somebody else's /56. The machine allows only the former.
	inside, outside := subnet(o.got.prefix.Prefix), subnet(next(o.got.prefix.Prefix))
	router := newAdvertiser(downstream, addrOf(hostSocket), s.routerKey, o.got, l)
	actors.Go(func() { router.run(ctx) })
	for _, a := range []struct {
		prefix netip.Prefix
		note   string
	}{{inside, "inside the delegation"}, {outside, "outside, which the library's MayAdvertise forbids"}} {
		if err := router.advertise(o.got.lifetimes(a.prefix, time.Now()), a.note); err != nil {
			return o, err
		}
		v, err := await(ctx, h.verdicts, "host", "a path to the router that advertises "+a.prefix.String())
		if err != nil {
			return o, err
		}
		o.verdicts = append(o.verdicts, v)
	}

	var impostorErr error
	if c == case1 {
		// Whoever knows the DUID could ask: DHCPv6 shows it to everybody on the link.
		_, impostorErr = pkcs10{nodeImpostor, s.impostorKey, l}.enroll(ctx, registrar.CAPointer, s.routerDUID, []netip.Prefix{o.got.prefix.Prefix})
	}

	// The certificate lives as long as the delegation, and that ends now.
	rr.release(ctx)
	if _, err := await(ctx, rr.released, "requesting router", "the answer to its Release"); err != nil {
		return o, err
	}
	if _, err := await(ctx, dr.told, "delegating router", "the certificate server to hear of the Release"); err != nil {
		return o, err
	}

	o.checks, err = s.checks(o, ca)
	if err != nil {
		return o, err
	}
	if c == case1 {
		o.checks = append(o.checks, check{"the certificate server refuses the same DUID with another key", errors.Is(impostorErr, errRefused)})
	}
	return o, nil
}

// await is the next value of ch, or an error that says who waited for what.
func await[T any](ctx context.Context, ch <-chan T, who, what string) (v T, err error) {
	select {
	case v = <-ch:
		return v, nil
	case <-ctx.Done():
		return v, fmt.Errorf("%s waited for %s: %w", who, what, context.Cause(ctx))
	}
}
