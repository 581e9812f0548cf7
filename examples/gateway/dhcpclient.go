package main

import (
	"net/netip"
	"time"

	"dhcpsec.example/internal/dhcp4"
)

// dhcpClient is the "existing DHCP client" of section 2 of the draft: it knows
// nothing of IKE. What it sends is intercepted, and what it hears comes, as far as
// it can tell, from a DHCP server.
type dhcpClient struct {
	id     []byte // client identifier
	chaddr []byte
	send   func(packet []byte)

	state  dhcpState
	xid    uint32
	server []byte
	addr   netip.Addr
	packet []byte // in flight
	again  time.Time
}

type dhcpState int

const (
	dhcpInit dhcpState = iota
	dhcpSelecting
	dhcpRequesting
	dhcpBound
	dhcpRenewing
)

// retransmit is how long it waits for a reply: RFC 2131 section 4.1, of which this
// is the first delay.
const retransmit = 4 * time.Second

// Deadline is when it sends again what has not been answered.
func (d *dhcpClient) Deadline() (time.Time, bool) { return d.again, !d.again.IsZero() }

func (d *dhcpClient) handleTimeout(now time.Time) {
	if !d.again.IsZero() && !d.again.After(now) {
		d.transmit(now, d.packet)
	}
}

func (d *dhcpClient) transmit(now time.Time, packet []byte) {
	d.packet, d.again = packet, now.Add(retransmit)
	d.send(packet)
}

// begin looks for a server.
func (d *dhcpClient) begin(now time.Time) {
	d.state = dhcpSelecting
	d.transmit(now, d.message(dhcp4.Discover, netip.Addr{}))
}

// renew asks for more time.
func (d *dhcpClient) renew(now time.Time) {
	d.state = dhcpRenewing
	d.transmit(now, d.message(dhcp4.Request, d.addr))
}

// release gives the address up. There is no reply to wait for.
func (d *dhcpClient) release() {
	d.state, d.again = dhcpInit, time.Time{}
	d.send(d.message(dhcp4.Release, d.addr, option(dhcp4.OptionServerIdentifier, d.server)))
}

// hear takes in a packet to port 68.
func (d *dhcpClient) hear(now time.Time, packet []byte) {
	var m dhcp4.Message
	if m.Parse(packet) != nil || m.XID() != d.xid {
		return
	}
	switch {
	case m.Type() == dhcp4.Offer && d.state == dhcpSelecting:
		d.server, _ = m.Option(dhcp4.OptionServerIdentifier)
		d.state = dhcpRequesting
		requested := m.YIAddr().As4()
		d.xid-- // message counts it up: OFFER and REQUEST have one xid
		d.transmit(now, d.message(dhcp4.Request, netip.Addr{},
			option(dhcp4.OptionRequestedIPAddress, requested[:]), option(dhcp4.OptionServerIdentifier, d.server)))
	case m.Type() == dhcp4.ACK && (d.state == dhcpRequesting || d.state == dhcpRenewing):
		d.state, d.addr, d.again = dhcpBound, m.YIAddr(), time.Time{}
	case m.Type() == dhcp4.NAK && (d.state == dhcpRequesting || d.state == dhcpRenewing):
		d.begin(now)
	}
}

// message builds a message of a new transaction. htype 31 and a client identifier
// are what RFC 3456 section 4.1 asks for on an IPsec tunnel.
func (d *dhcpClient) message(kind dhcp4.MessageType, ciaddr netip.Addr, options ...[]byte) []byte {
	d.xid++
	b, err := dhcp4.Header{Op: dhcp4.BootRequest, HType: 31, XID: d.xid, CIAddr: ciaddr, CHAddr: d.chaddr}.AppendBinary(nil)
	if err != nil {
		return nil // not possible: the addresses are IPv4, chaddr is short
	}
	b = append(b, option(dhcp4.OptionMessageType, []byte{byte(kind)})...)
	b = append(b, option(dhcp4.OptionClientIdentifier, d.id)...)
	for _, o := range options {
		b = append(b, o...)
	}
	return dhcp4.AppendEnd(b, 0)
}

// option encodes an option of at most 255 octets.
func option(code uint8, data []byte) []byte {
	return append([]byte{code, byte(len(data))}, data...)
}

func addr4(b ...byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }
