package main

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"dhcpsec.example/x509ip"
)

// host is a SEND host, which knows one trust anchor and believes no router that
// is not certified under it. Its socket stands for ICMPv6: see advertiser.
type host struct {
	conn     *net.UDPConn
	anchor   *x509.Certificate
	ladder   *ladder
	verdicts chan verdict

	// The router's certificate, once a path leads to it, and the addresses that it
	// holds. This host knows one router; in a product this is a cache.
	certificate *x509.Certificate
	held        x509ip.Blocks

	// Path discovery.
	solicited uint16 // identifier of the CPS that awaits its answer, or zero
	path      []*x509.Certificate
	pending   []advertisement // to be judged when there is a path
}

// verdict is what the host makes of one Prefix Information option.
type verdict struct {
	prefix   netip.Prefix
	accepted bool
	why      string
}

const (
	// timestampDelta is TIMESTAMP_DELTA of RFC 3971 section 10.2.
	timestampDelta = 300 * time.Second
	// maxPending bounds the advertisements that await a path, maxPath the
	// certificates of one: anybody on the link can send them.
	maxPending = 4
	maxPath    = 8
)

func newHost(conn *net.UDPConn, anchor *x509.Certificate, l *ladder) *host {
	return &host{conn: conn, anchor: anchor, ladder: l, verdicts: make(chan verdict, 16)}
}

// run is the host's loop. A product repeats the CPS when no answer comes within
// CPS_RETRY (RFC 3971 section 6.4.6).
func (h *host) run(ctx context.Context) {
	datagrams := receive(ctx, h.conn)
	for {
		select {
		case d := <-datagrams:
			if err := h.receive(d); err != nil {
				h.ladder.ignored(nodeHost, err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (h *host) receive(d datagram) error {
	p, err := parsePacket(d.data)
	if err != nil {
		return err
	}
	switch p.icmp[0] {
	case typeRouterAdvertisement:
		a, err := parseRouterAdvertisement(p)
		if err != nil {
			return err
		}
		if h.certificate == nil {
			return h.solicit(a, d.from)
		}
		h.judge(a)
		return nil
	case typePathAdvertisement:
		c, err := parsePathAdvertisement(p)
		if err != nil {
			return err
		}
		return h.collect(c)
	default:
		return nil
	}
}

// solicit puts an advertisement by an unknown router aside and asks for the path
// from the trust anchor to it.
func (h *host) solicit(a advertisement, router netip.AddrPort) error {
	if len(h.pending) == maxPending {
		return errors.New("too many advertisements without a path")
	}
	h.pending = append(h.pending, a)
	if h.solicited != 0 {
		return nil
	}
	h.solicited = uint16(1 + rand.IntN(65535)) // "MUST NOT be zero"
	p, err := pathSolicitation(nodeHost.link(), h.solicited, h.anchor.RawSubject)
	if err != nil {
		return err
	}
	h.ladder.send(nodeHost, nodeRR, "CPS", p, fmt.Sprintf("trust anchor %q", h.anchor.Subject.CommonName))
	_, err = h.conn.WriteToUDPAddrPort(p.bytes(), router)
	return err
}

// collect takes in one certificate of the path. The last one, component 0, is the
// router's own.
func (h *host) collect(c component) error {
	if c.id != h.solicited || h.solicited == 0 {
		return errors.New("a certification path that was not asked for")
	}
	if c.certificate != nil {
		certificate, err := x509.ParseCertificate(c.certificate)
		if err != nil || len(h.path) == maxPath {
			return errors.New("a certificate that does not parse, or one too many")
		}
		h.path = append(h.path, certificate)
	}
	if c.index != 0 {
		return nil
	}
	err := h.verifyPath()
	pending := h.pending
	h.solicited, h.path, h.pending = 0, nil, nil
	for _, a := range pending {
		if err == nil {
			h.judge(a)
		} else {
			h.reject(a, err.Error())
		}
	}
	return nil
}

// verifyPath checks that the path leads from the trust anchor to a router's
// certificate, signatures, validity and addresses (RFC 6494 section 9). Revocation
// is the part that this program leaves out.
func (h *host) verifyPath() error {
	if len(h.path) == 0 {
		return errors.New("no certification path from the trust anchor")
	}
	last := len(h.path) - 1
	paths, err := x509ip.Verify(h.path[last], x509ip.VerifyOptions{
		Roots: []*x509.Certificate{h.anchor}, Intermediates: h.path[:last],
		CurrentTime: time.Now(), KeyUsages: []asn1.ObjectIdentifier{x509ip.OIDSendRouter()},
	})
	if err != nil {
		return err
	}
	held, err := x509ip.VerifiedBlocks(paths[0])
	if err != nil {
		return err
	}
	h.certificate, h.held = h.path[last], held
	return nil
}

// judge gives a verdict on each prefix of an advertisement.
func (h *host) judge(a advertisement) {
	if err := h.authenticate(a); err != nil {
		h.reject(a, err.Error())
		return
	}
	for _, p := range a.prefixes {
		// "nodes SHOULD verify that the prefix specified in this option falls within
		// the range defined by the certificate [...]. Options failing this check are
		// treated as containing uncertified subnet prefixes" (RFC 3971 section 7.3).
		v := verdict{p.prefix, h.held.Contains(p.prefix), "the router's certificate does not hold it"}
		if v.accepted {
			v.why = "within " + h.held.String() + ", which the router is certified for"
		}
		h.say(v)
	}
}

// authenticate checks that an advertisement is recent and signed with the
// certified key (RFC 3971 sections 5.2.2 and 5.3.4.2).
func (h *host) authenticate(a advertisement) error {
	if time.Since(a.timestamp).Abs() >= timestampDelta {
		return errors.New("its timestamp is not of now")
	}
	// "MUST disregard the certificate for SEND if it does not contain an RSA key."
	key, ok := h.certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("the certified key is not RSA")
	}
	if hash, err := keyHash(key); err != nil || hash != a.keyHash {
		return errors.New("not signed with the certified key")
	}
	return a.verify(key)
}

func (h *host) reject(a advertisement, why string) {
	for _, p := range a.prefixes {
		h.say(verdict{p.prefix, false, why})
	}
}

func (h *host) say(v verdict) {
	select {
	case h.verdicts <- v:
	default: // nobody listens
	}
}
