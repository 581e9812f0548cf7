package main

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// advertiser is the requesting router on its downstream link, where hosts are. A
// UDP socket stands for the ICMPv6 socket, and a datagram for an IPv6 packet:
// ICMPv6 would need root.
type advertiser struct {
	conn       *net.UDPConn
	host       netip.AddrPort
	key        *rsa.PrivateKey
	path       []*x509.Certificate // the router's, its issuer's, and so on
	anchorName []byte              // DER; subject of the trust anchor, which path ends short of
	ladder     *ladder
}

func newAdvertiser(conn *net.UDPConn, host netip.AddrPort, key *rsa.PrivateKey, c certified, l *ladder) *advertiser {
	path := append([]*x509.Certificate{c.certificate}, c.chain...)
	return &advertiser{conn: conn, host: host, key: key, path: path, anchorName: path[len(path)-1].RawIssuer, ladder: l}
}

// run answers what hosts ask.
func (a *advertiser) run(ctx context.Context) {
	datagrams := receive(ctx, a.conn)
	for {
		select {
		case d := <-datagrams:
			if err := a.answer(d.data); err != nil {
				a.ladder.ignored(nodeRR, err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// answer answers a CPS: one CPA for each certificate, "ordered so that the
// certificate after the trust anchor is sent first" (RFC 3971 section 6.4.2).
func (a *advertiser) answer(data []byte) error {
	p, err := parsePacket(data)
	if err != nil {
		return err
	}
	if p.icmp[0] != typePathSolicitation {
		return nil
	}
	id, anchorName, err := parsePathSolicitation(p)
	if err != nil {
		return err
	}
	if !bytes.Equal(anchorName, a.anchorName) {
		// "If the router is unable to find a path to the requested anchor, it SHOULD
		// send an advertisement without any certificates" (section 6.4.5).
		return a.send(component{id: id, anchorName: anchorName}, p.src)
	}
	for i := len(a.path) - 1; i >= 0; i-- {
		c := component{id: id, all: uint16(len(a.path)), index: uint16(i), certificate: a.path[i].Raw}
		if i == len(a.path)-1 {
			c.anchorName = anchorName
		}
		if err := a.send(c, p.src); err != nil {
			return err
		}
	}
	return nil
}

func (a *advertiser) send(c component, to netip.Addr) error {
	p, err := c.packet(nodeRR.link(), to)
	if err != nil {
		return err
	}
	what := "no path to that trust anchor"
	if c.certificate != nil {
		what = fmt.Sprintf("component %d of %d: certificate %s", c.index, c.all, certificateText(c.certificate))
	}
	a.ladder.send(nodeRR, nodeHost, "CPA", p, what)
	_, err = a.conn.WriteToUDPAddrPort(p.bytes(), a.host)
	return err
}

// advertise sends a Router Advertisement for a prefix; note is for the ladder.
func (a *advertiser) advertise(p advertisedPrefix, note string) error {
	ra, err := routerAdvertisement(nodeRR.link(), p, time.Now(), a.key)
	if err != nil {
		return err
	}
	a.ladder.send(nodeRR, nodeHost, "RA", ra,
		fmt.Sprintf("%s preferred %.0f s valid %.0f s", p.prefix, p.preferred.Seconds(), p.valid.Seconds()),
		"signed, "+note)
	_, err = a.conn.WriteToUDPAddrPort(ra.bytes(), a.host)
	return err
}
