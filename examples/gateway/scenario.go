package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"dhcpsec.example/ikedhcp"
)

// config is what a run is made of.
type config struct {
	giaddr  netip.Addr
	server  netip.AddrPort    // a DHCP server that exists; not valid: one of our own
	secrets map[string]string // of each identity
}

// late is how late replies are, when they are: well after the response that they
// would have been for, and well before the client asks again, pollTime later.
const (
	late     = 2 * waitTime
	pollTime = 4 * waitTime
)

// check is something that has to hold.
type check struct {
	what string
	ok   bool
}

// scenario is the actors and the course of events.
type scenario struct {
	ladder  *ladder
	seen    *observations
	gateway *gateway
	clients map[node]*client
	actors  sync.WaitGroup
	addrs   map[node]netip.Addr // of those that are bound
	checks  []check
}

// play runs the whole course, until all actors have ended. The error is of the surroundings: no sockets, or
// something that was waited for did not come.
func play(ctx context.Context, c config, l *ladder) (*scenario, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &scenario{ladder: l, seen: newObservations(c.giaddr), clients: map[node]*client{}, addrs: map[node]netip.Addr{}}
	defer s.actors.Wait()
	defer cancel()
	server, clients, err := s.startServer(ctx, c)
	if err != nil {
		return nil, err
	}
	if s.gateway, err = newGateway(ctx, c, server, clients, l, s.seen); err != nil {
		return nil, err
	}
	// Mallory's DHCP client says that it is alice's.
	for n, clientID := range map[node]string{alice: "laptop of alice", bob: "phone of bob", mallory: "laptop of alice"} {
		client, err := newClient(ctx, n, c, s.gateway, clientID, l, s.seen)
		if err != nil {
			return nil, err
		}
		s.clients[n] = client
		s.actors.Go(func() { client.run(ctx) })
	}
	s.actors.Go(func() { s.gateway.run(ctx) })
	l.begin()
	for _, step := range []func(context.Context) error{s.connects, s.lateReply, s.heldReply, s.directACK, s.eviction, s.release} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return s, s.verdict(c)
}

// startServer returns where the DHCP server is, and the port of DHCP clients.
func (s *scenario) startServer(ctx context.Context, c config) (netip.AddrPort, uint16, error) {
	if c.server.IsValid() {
		return c.server, portDHCPClient, nil
	}
	// A port that is free at one loopback address now stands for port 68 at all.
	free, cancel := context.WithCancel(ctx)
	conn, err := listen(free, ephemeral(localhost()))
	if err != nil {
		cancel()
		return netip.AddrPort{}, 0, err
	}
	clients := addrOf(conn).Port()
	cancel()
	server, err := newServer(ctx, clients, s.ladder)
	if err != nil {
		return netip.AddrPort{}, 0, err
	}
	s.actors.Go(func() { server.run(ctx) })
	return addrOf(server.conn), clients, nil
}

// do has an actor's own goroutine do something.
func do(ctx context.Context, commands chan<- func(), f func()) {
	done := make(chan struct{})
	select {
	case commands <- func() { f(); close(done) }:
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// await is the next event of a client, which must be what.
func (s *scenario) await(ctx context.Context, n node, what string) (event, error) {
	select {
	case e := <-s.clients[n].events:
		if e.what != what {
			return e, fmt.Errorf("%s is %s, not %s", n, e.what, what)
		}
		if what == bound {
			s.addrs[n] = e.addr
		}
		return e, nil
	case <-ctx.Done():
		return event{}, fmt.Errorf("%s is not %s in time", n, what)
	}
}

func (s *scenario) check(ok bool, format string, args ...any) {
	s.checks = append(s.checks, check{fmt.Sprintf(format, args...), ok})
}

// connects: IKE_SA_INIT, and DISCOVER to ACK inside IKE_AUTH.
func (s *scenario) connects(ctx context.Context) error {
	s.ladder.step("alice connects: her DHCP client's packets travel in IKE_AUTH")
	do(ctx, s.clients[alice].commands, s.clients[alice].connect)
	e, err := s.await(ctx, alice, bound)
	if err != nil {
		return err
	}
	s.check(e.addr.IsValid(), "alice's DHCP client got an address in IKE_AUTH")
	s.check(e.selector == ikedhcp.TrafficSelector{Start: e.addr, End: e.addr}, "TSi is narrowed to that address (K3.19)")
	return nil
}

func (s *scenario) slow(ctx context.Context, d time.Duration) {
	do(ctx, s.gateway.commands, func() { s.gateway.slow = d })
}

// lateReply: the response to a renewal is empty, and the ACK is sent after it.
func (s *scenario) lateReply(ctx context.Context) error {
	s.ladder.step("alice renews, and the server's reply is late: it comes in an exchange of the gateway's own")
	s.slow(ctx, late)
	empty, informs := s.seen.emptyResponses.Load(), s.seen.informs.Load()
	do(ctx, s.clients[alice].commands, func() { s.clients[alice].dhcp.renew(time.Now()) })
	if _, err := s.await(ctx, alice, renewed); err != nil {
		return err
	}
	s.check(s.seen.emptyResponses.Load() > empty, "the response to her INFORMATIONAL request was empty (K2.8)")
	s.check(s.seen.informs.Load() > informs, "the reply came in an INFORMATIONAL exchange of the gateway (K3.17)")
	return nil
}

// heldReply: the gateway may not begin an exchange, and waits for the client to ask.
func (s *scenario) heldReply(ctx context.Context) error {
	s.ladder.step("bob connects, and each reply is late: the gateway holds it for his next request")
	held, informs := s.seen.held.Load(), s.seen.informs.Load()
	do(ctx, s.clients[bob].commands, s.clients[bob].connect)
	e, err := s.await(ctx, bob, bound)
	if err != nil {
		return err
	}
	s.slow(ctx, 0)
	s.check(s.seen.held.Load() > held, "a reply that came between two requests was held (K3.15)")
	s.check(s.seen.informs.Load() == informs, "the gateway began no exchange while bob's IKE SA was set up (K3.16)")
	s.check(e.addr.IsValid() && e.selector.Start == e.addr, "bob has an address, and TSi is narrowed to it")
	return nil
}

// directACK: a reply to ciaddr, not to giaddr.
func (s *scenario) directACK(ctx context.Context) error {
	if s.seen.notIntercepting.Load() {
		s.ladder.step("an ACK straight to a client's address is not shown: it takes privileges to bind port 68")
		return nil
	}
	s.ladder.step("a program of bob's sends a DHCPINFORM: the server's ACK goes straight to his address")
	do(ctx, s.clients[bob].commands, s.clients[bob].inform)
	_, err := s.await(ctx, bob, informed)
	s.check(err == nil, "the ACK reached bob inside IKE (K3.23)")
	if err != nil {
		return err
	}
	if s.seen.intercepted.Load() == 0 {
		s.ladder.note(dhcpServer, "this server answers a DHCPINFORM through the relay: there was nothing to intercept")
	}
	return nil
}

// eviction: one address for two identities.
func (s *scenario) eviction(ctx context.Context) error {
	s.ladder.step("mallory connects with alice's client identifier: the server gives the same address to another identity")
	do(ctx, s.clients[mallory].commands, s.clients[mallory].connect)
	e, err := s.await(ctx, mallory, bound)
	if err != nil {
		return err
	}
	_, err = s.await(ctx, alice, deleted)
	s.check(err == nil, "alice's SAs were deleted (K3.20)")
	s.check(e.addr == s.addrs[alice], "mallory has the address that alice had")
	s.check(s.seen.before("eviction of alice", "address for mallory"), "before mallory had the address")
	return nil
}

// release: bob gives his address back.
func (s *scenario) release(ctx context.Context) error {
	s.ladder.step("bob releases his address and disconnects")
	do(ctx, s.clients[bob].commands, func() {
		s.clients[bob].dhcp.release()
		s.clients[bob].disconnect()
	})
	_, err := s.await(ctx, bob, gone)
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	s.check(slices.Contains(s.seen.free, s.addrs[bob]), "the address bob released is nobody's")
	return err
}

// verdict adds the checks about all messages.
func (s *scenario) verdict(c config) error {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	s.check(s.seen.messages > 0 && s.seen.badRelay == 0, "all %d messages to the server had giaddr %v, and option 82 with the SPI as last option (K3.2, K3.3)", s.seen.messages, c.giaddr)
	s.check(s.seen.leaked == 0, "neither giaddr nor option 82 reached a DHCP client (K3.14)")
	if !c.server.IsValid() {
		s.check(s.seen.intercepted.Load() > 0, "the ACK to the DHCPINFORM was intercepted on its way to bob's address (K3.22)")
	}
	return nil
}

// report prints the checks and says whether all of them held.
func (s *scenario) report(out io.Writer) bool {
	fmt.Fprintf(out, "\nChecks\n\n")
	allHeld := true
	for _, c := range s.checks {
		said := "ok"
		if !c.ok {
			said, allHeld = "FAILED", false
		}
		fmt.Fprintf(out, "  %-6s  %s\n", said, c.what)
	}
	return allHeld
}
