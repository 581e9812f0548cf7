package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"dhcpsec.example/dhcpv6pd"
)

// What the loops of the actors are made of.

// datagram is the payload of one, and who sent it.
type datagram struct {
	from netip.AddrPort
	data []byte
}

// receive reads conn in a goroutine of its own, so that an actor's loop can wait
// for datagrams, answers and timers at once. It ends when conn is closed.
func receive(ctx context.Context, conn *net.UDPConn) <-chan datagram {
	datagrams := make(chan datagram)
	go func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return // closed
			}
			select {
			case datagrams <- datagram{from, bytes.Clone(buf[:n])}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return datagrams
}

// input is an answer to an action, which a goroutine hands to the loop: a machine
// is not safe for concurrent use, and only its loop calls it.
type input func(now time.Time, acts []dhcpv6pd.Action) ([]dhcpv6pd.Action, error)

// inputs are the answers on their way to a loop.
type inputs chan input

func (c inputs) give(ctx context.Context, in input) {
	select {
	case c <- in:
	case <-ctx.Done():
	}
}

// arm sets timer to a machine's next deadline.
func arm(timer *time.Timer, machine interface{ Deadline() (time.Time, bool) }) {
	if at, ok := machine.Deadline(); ok {
		timer.Reset(time.Until(at))
	} else {
		timer.Stop()
	}
}

// listenUDP opens a socket on an ephemeral port of the loopback interface.
func listenUDP() (*net.UDPConn, error) {
	return listen(func(address string) (*net.UDPConn, error) {
		return net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	})
}

// listenTCP is the same for the certificate server.
func listenTCP() (net.Listener, error) {
	return listen(func(address string) (net.Listener, error) { return net.Listen("tcp", address) })
}

// listen falls back to IPv4 where loopback has no IPv6 address: what the messages
// say is IPv6 in any case.
func listen[T any](open func(address string) (T, error)) (T, error) {
	socket, err6 := open("[::1]:0")
	if err6 == nil {
		return socket, nil
	}
	socket, err4 := open("127.0.0.1:0")
	if err4 == nil {
		return socket, nil
	}
	return socket, errors.Join(err6, err4)
}

// addrOf is where others reach conn.
func addrOf(conn *net.UDPConn) netip.AddrPort {
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}
