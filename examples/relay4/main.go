// Command relay4 is a plain DHCPv4 relay agent (RFC 1542 section 4.1, RFC 3046) on
// one UDP socket, to copy and to change.
//
//	relay4 -giaddr 192.0.2.1 -server 198.51.100.53 -circuit-id eth1
//
// It relays what clients broadcast on the link of -giaddr to every -server, and
// their answers back. On a port other than 67 it asks the servers to answer there
// (RFC 8357), so it also runs unprivileged:
//
//	relay4 -listen 127.0.0.2:1067 -giaddr 127.0.0.2 -server 127.0.0.1:10067 -client 127.0.0.1:10068
//
// A reply goes to the limited broadcast address, as RFC 1542 section 4.1.2 allows
// where unicast is not possible: it is not, from an ordinary socket, before the
// client has its address. On a host with several links, bind the socket to one.
//
// A -server is one unicast IPv4 address: the socket reaches no other kind, and what
// comes from a server is told from what anybody sends by the address it was asked at.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"dhcpsec.example/relayinfo"
)

func main() {
	r, listen, err := newRelay(os.Args[1:])
	if err != nil {
		log.Fatal(err)
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(listen))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("relaying from %v to %v with option 82: %v", conn.LocalAddr(), r.servers, r.cfg.Info)
	log.Fatal(r.serve(conn))
}

// relay is a relay agent for one link.
type relay struct {
	cfg     relayinfo.Config
	servers []netip.AddrPort // every request goes to all of them (RFC 1542 section 4.1.1)
	clients []netip.AddrPort // where replies go: one broadcast address
}

// newRelay makes a relay from the command line.
func newRelay(args []string) (r *relay, listen netip.AddrPort, err error) {
	broadcast := netip.MustParseAddr("255.255.255.255")
	r = &relay{clients: []netip.AddrPort{netip.AddrPortFrom(broadcast, 68)}}
	listen = netip.MustParseAddrPort("0.0.0.0:67")
	var fields relayinfo.Fields
	f := flag.NewFlagSet("relay4", flag.ContinueOnError)
	f.TextVar(&listen, "listen", listen, "`address:port` to receive on, from clients and from servers")
	f.TextVar(&r.cfg.GIAddr, "giaddr", netip.Addr{}, "our `address` on the clients' link; servers answer to it")
	f.TextVar(&r.clients[0], "client", r.clients[0], "`address:port` that replies are sent to")
	f.Func("server", "`address[:port]` of a server; more than one may be given", func(s string) error {
		if !strings.Contains(s, ":") {
			s += ":67"
		}
		server, err := netip.ParseAddrPort(s)
		if a := server.Addr(); err == nil && (!a.Is4() || a.IsUnspecified() || a.IsMulticast() || a == broadcast) {
			err = errors.New("not a unicast IPv4 address")
		}
		r.servers = append(r.servers, server)
		return err
	})
	f.Func("circuit-id", "`text` for sub-option 1", func(s string) error { fields.CircuitID = []byte(s); return nil })
	f.Func("remote-id", "`text` for sub-option 2", func(s string) error { fields.RemoteID = []byte(s); return nil })
	f.BoolFunc("trusted", "the link is trusted: forward what a relay agent on it has edited", func(string) error {
		r.cfg.Policy = relayinfo.Forward
		return nil
	})
	if err := f.Parse(args); err != nil {
		return nil, listen, err
	}
	switch {
	case f.NArg() > 0 || !r.cfg.GIAddr.IsValid() || len(r.servers) == 0:
		return nil, listen, errors.New("-giaddr and at least one -server are needed, and nothing but options")
	case r.cfg.Policy == relayinfo.Forward && listen.Port() != 67:
		// What is forwarded without our option 82 is answered to port 67.
		return nil, listen, errors.New("-trusted needs port 67 to listen on (RFC 8357)")
	}
	// RFC 8357 section 5.1: on a port other than 67 it "MUST include the Source Port Sub-option".
	fields.SourcePort = listen.Port() != 67
	if r.cfg.Info, err = fields.Info(); err != nil && !errors.Is(err, relayinfo.ErrAbsent) {
		return nil, listen, err
	}
	return r, listen, r.cfg.Validate()
}

// packetConn is what relay needs of a *net.UDPConn.
type packetConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
}

// serve relays until conn fails.
func (r *relay) serve(conn packetConn) error {
	in, out := make([]byte, 1<<16), make([]byte, 0, 1<<16)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(in)
		if err != nil {
			return err
		}
		msg, to, err := r.forward(out, in[:n], from)
		if err != nil {
			log.Printf("%v: dropped: %v", from, err)
			continue
		}
		for _, addr := range to {
			if _, err := conn.WriteToUDPAddrPort(msg, addr); err != nil {
				log.Printf("%v: not sent: %v", addr, err)
			}
		}
	}
}

// forward edits one datagram and says where it goes.
func (r *relay) forward(dst, msg []byte, from netip.AddrPort) (out []byte, to []netip.AddrPort, err error) {
	out, outcome, err := relayinfo.Insert(dst, msg, &r.cfg)
	if !errors.Is(err, relayinfo.ErrNotRequest) {
		if outcome == relayinfo.TooLarge {
			if on, _ := r.cfg.Info.SourcePort(); on {
				return dst, nil, errors.New("no room for option 82, without which the answer would go to port 67")
			}
			log.Printf("%v: no room for option 82", from)
		}
		return out, r.servers, err
	}
	// Anybody can send to a UDP port: a reply counts only from a server we asked.
	if !slices.ContainsFunc(r.servers, func(s netip.AddrPort) bool { return s.Addr() == from.Addr().Unmap() }) {
		return dst, nil, fmt.Errorf("a reply from %v, which is not a server", from)
	}
	if err := relayinfo.Match(msg, &r.cfg); err != nil {
		return dst, nil, err
	}
	out, _, err = relayinfo.Strip(dst, msg)
	return out, r.clients, err
}
