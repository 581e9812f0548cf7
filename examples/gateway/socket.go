package main

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"time"
)

// What the loops of the actors are made of.

// datagram is the payload of one, and who sent it.
type datagram struct {
	from netip.AddrPort
	data []byte
}

// listen opens a socket, which is closed when ctx ends.
func listen(ctx context.Context, at netip.AddrPort) (*net.UDPConn, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err == nil {
		context.AfterFunc(ctx, func() { conn.Close() })
	}
	return conn, err
}

// ephemeral is a port of addr that the system chooses.
func ephemeral(addr netip.Addr) netip.AddrPort { return netip.AddrPortFrom(addr, 0) }

// localhost is where the actors' sockets are that need no address of their own.
func localhost() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 1}) }

// addrOf is where others reach conn.
func addrOf(conn *net.UDPConn) netip.AddrPort {
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// receive reads conn in a goroutine of its own, so that an actor's loop can wait
// for datagrams, commands and timers at once. It ends when conn is closed.
func receive(ctx context.Context, conn *net.UDPConn, to chan<- datagram) {
	go func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return // closed
			}
			select {
			case to <- datagram{from, bytes.Clone(buf[:n])}:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// arm sets timer to the earliest of the deadlines that are armed.
func arm(timer *time.Timer, machines ...interface{ Deadline() (time.Time, bool) }) {
	timer.Stop()
	var first time.Time
	for _, m := range machines {
		if at, ok := m.Deadline(); ok && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if !first.IsZero() {
		timer.Reset(time.Until(first))
	}
}
