package main

import (
	"context"
	"net"
	"net/netip"
	"time"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// server is the DHCP server that is used if none is named: an ikedhcp.Responder,
// which would usually live inside the gateway, behind a socket of its own.
type server struct {
	conn      *net.UDPConn
	responder *ikedhcp.Responder
	clients   uint16                // UDP port where clients listen, in place of 68
	leases    map[string]netip.Addr // by client identifier
	ladder    *ladder
}

// The pool is 127.99.0.10 and up: what the server sends straight to a client
// comes to this host too.
const firstInPool = 10

// leaseTime is what the server leases for.
const leaseTime = time.Hour

func newServer(ctx context.Context, clients uint16, l *ladder) (*server, error) {
	conn, err := listen(ctx, ephemeral(localhost()))
	if err != nil {
		return nil, err
	}
	responder, err := ikedhcp.NewResponder(ikedhcp.ResponderConfig{ServerID: localhost()})
	if err != nil {
		return nil, err
	}
	return &server{conn: conn, responder: responder, clients: clients, leases: map[string]netip.Addr{}, ladder: l}, nil
}

func (s *server) run(ctx context.Context) {
	datagrams := make(chan datagram)
	receive(ctx, s.conn, datagrams)
	for {
		select {
		case d := <-datagrams:
			s.handle(d)
		case <-ctx.Done():
			return
		}
	}
}

// handle answers one message. The pool answers at once, so that there are no
// timers to keep.
func (s *server) handle(d datagram) {
	acts, err := s.responder.HandleMessage(time.Now(), d.data, nil)
	if err != nil {
		s.ladder.ignored(dhcpServer, err)
	}
	for len(acts) > 0 {
		a := acts[0]
		acts = acts[1:]
		switch a.Kind {
		case ikedhcp.ActionAssign:
			acts, err = s.responder.HandleAssigned(time.Now(), a.ID, s.assign(a.Assign), acts)
			if err != nil {
				s.ladder.ignored(dhcpServer, err)
			}
		case ikedhcp.ActionFree:
			delete(s.leases, string(a.Assign.ClientID))
		case ikedhcp.ActionReply:
			s.reply(a.Data, d)
		}
	}
}

// assign gives each client identifier an address, the same one each time.
func (s *server) assign(q ikedhcp.AssignRequest) ikedhcp.Assignment {
	id := string(q.ClientID)
	if !s.leases[id].IsValid() {
		s.leases[id] = addr4(127, 99, 0, byte(firstInPool+len(s.leases)))
	}
	dns := []byte{127, 99, 0, 53}
	return ikedhcp.Assignment{Address: s.leases[id], Lease: leaseTime, Options: []ikedhcp.Option{{Code: 6, Data: dns}}}
}

// reply sends the reply to the relay agent: to the port that the request came
// from, since it has sub-option 19 (RFC 8357). But the ACK to a DHCPINFORM goes
// straight to the client: "The server responds [...] to the address given in the
// 'ciaddr' field" (RFC 2131 section 4.3.5), without anything of the relay agent's.
func (s *server) reply(reply []byte, request datagram) {
	var m dhcp4.Message
	if err := m.Parse(request.data); err != nil {
		return // not possible: the Responder has parsed it
	}
	to := request.from
	if m.Type() == dhcp4.Inform {
		direct, _, err := relayinfo.Strip(nil, reply)
		if err != nil {
			s.ladder.ignored(dhcpServer, err)
			return
		}
		reply, to = direct, netip.AddrPortFrom(m.CIAddr(), s.clients)
	}
	if _, err := s.conn.WriteToUDPAddrPort(reply, to); err != nil {
		s.ladder.ignored(dhcpServer, err)
	}
}
