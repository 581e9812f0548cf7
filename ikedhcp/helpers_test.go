package ikedhcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// start is when every test begins.
var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// The network of the tests.
var (
	giaddr = ip("192.0.2.1")
	server = netip.MustParseAddrPort("198.51.100.1:67")
	second = netip.MustParseAddrPort("198.51.100.2:67")
	here   = ip("10.0.0.10") // addresses that servers give to clients
	there  = ip("10.0.0.11")
)

const (
	alice = SPI(0xa11ce00000000001) // IKE SAs, and whose they are
	bob   = SPI(0xb0b0000000000002)
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A part changes a message under construction: its header, or the options that
// it appends.
type part func(h *dhcp4.Header) (options []byte)

func option(code uint8, data ...byte) part {
	return func(*dhcp4.Header) []byte { return must(dhcp4.AppendOption(nil, code, data)) }
}

func addrOption(code uint8, a netip.Addr) part { return option(code, a.AsSlice()...) }

func header(change func(h *dhcp4.Header)) part {
	return func(h *dhcp4.Header) []byte { change(h); return nil }
}

func ciaddr(a netip.Addr) part { return header(func(h *dhcp4.Header) { h.CIAddr = a }) }

func leaseTime(seconds uint32) part {
	return option(dhcp4.OptionLeaseTime, binary.BigEndian.AppendUint32(nil, seconds)...)
}

// build makes a DHCP message.
func build(h dhcp4.Header, typ dhcp4.MessageType, parts ...part) []byte {
	options := []byte{dhcp4.OptionMessageType, 1, byte(typ)}
	for _, p := range parts {
		options = append(options, p(&h)...)
	}
	return dhcp4.AppendEnd(append(must(h.AppendBinary(nil)), options...), 0)
}

// fromClient makes a message of the DHCP client with this xid. Its chaddr is the
// one of RFC 3456 section 4.1.
func fromClient(xid uint32, typ dhcp4.MessageType, parts ...part) []byte {
	return build(dhcp4.Header{
		Op: dhcp4.BootRequest, HType: 31, XID: xid, CHAddr: []byte{0x40, 0, 203, 0, 113, 7, 1},
	}, typ, parts...)
}

// answerTo makes what a server says to a relayed message: with its giaddr and its
// option 82, and a lease of an hour.
func answerTo(relayed []byte, typ dhcp4.MessageType, yiaddr netip.Addr, parts ...part) []byte {
	m := parsed(relayed)
	h := dhcp4.Header{
		Op: dhcp4.BootReply, HType: m.HType(), XID: m.XID(), Flags: m.Flags(),
		YIAddr: yiaddr, GIAddr: m.GIAddr(), CHAddr: m.CHAddr(),
	}
	parts = append([]part{addrOption(dhcp4.OptionServerIdentifier, server.Addr())}, parts...)
	if typ != dhcp4.NAK && !slices.ContainsFunc(parts, setsLease) {
		parts = append(parts, leaseTime(3600))
	}
	if info, err := relayinfo.Find(relayed); err == nil {
		parts = append(parts, option(dhcp4.OptionRelayAgentInfo, info.Bytes()...))
	}
	return build(h, typ, parts...)
}

func setsLease(p part) bool {
	o := p(new(dhcp4.Header))
	return len(o) > 0 && o[0] == dhcp4.OptionLeaseTime
}

// without82 is a message without its option 82, as from a server that does not
// know the option.
func without82(msg []byte) []byte {
	keep := bytes.Clone(msg[dhcp4.GIAddrOffset:][:4])
	out, _, err := relayinfo.Strip(nil, msg)
	if err != nil {
		panic(err)
	}
	copy(out[dhcp4.GIAddrOffset:], keep)
	return out
}

// direct is a reply as a server sends it straight to the client.
func direct(reply []byte) []byte {
	return must2(relayinfo.Strip(nil, reply))
}

func must2[T, U any](v T, _ U, err error) T { return must(v, err) }

func parsed(msg []byte) *dhcp4.Message {
	var m dhcp4.Message
	if err := m.Parse(msg); err != nil {
		panic(err)
	}
	return &m
}

// gateway drives a Relay and its clock.
type gateway struct {
	t     testing.TB
	relay *Relay
	now   time.Time
	id    MessageID
}

func newGateway(t testing.TB, configure ...func(c *RelayConfig)) *gateway {
	cfg := RelayConfig{GIAddr: giaddr, Servers: []netip.AddrPort{server, second}}
	for _, f := range configure {
		f(&cfg)
	}
	r, err := NewRelay(cfg)
	require.NoError(t, err)
	return &gateway{t: t, relay: r, now: start}
}

// open makes an SA under construction whose client has proven to be identity.
func (g *gateway) open(spi SPI, identity string) {
	g.t.Helper()
	require.NoError(g.t, g.relay.OpenSA(g.now, spi))
	require.Empty(g.t, g.authenticated(spi, identity, relayinfo.Fields{}))
}

func (g *gateway) authenticated(spi SPI, identity string, fields relayinfo.Fields) []Action {
	g.t.Helper()
	acts, err := g.relay.Authenticated(g.now, spi, []byte(identity), fields, nil)
	require.NoError(g.t, err)
	return taken(acts)
}

func (g *gateway) established(spi SPI) []Action {
	g.t.Helper()
	acts, err := g.relay.Established(g.now, spi, nil)
	require.NoError(g.t, err)
	return taken(acts)
}

// request is the next IKE request of a client; all of its messages are taken.
func (g *gateway) request(spi SPI, messages ...[]byte) []Action {
	g.t.Helper()
	acts, err := g.tryRequest(spi, messages...)
	require.NoError(g.t, err)
	return acts
}

func (g *gateway) tryRequest(spi SPI, messages ...[]byte) ([]Action, error) {
	g.id++
	acts, err := g.relay.HandleRequest(g.now, spi, g.id, messages, nil)
	return taken(acts), err
}

// reply is a datagram of the server, which is taken.
func (g *gateway) reply(msg []byte) []Action {
	g.t.Helper()
	acts, err := g.tryReply(msg)
	require.NoError(g.t, err)
	return acts
}

func (g *gateway) tryReply(msg []byte) ([]Action, error) {
	acts, err := g.relay.HandleServer(g.now, server, msg, nil)
	return taken(acts), err
}

func (g *gateway) intercepted(dst netip.Addr, msg []byte) ([]Action, error) {
	acts, err := g.relay.HandleIntercepted(g.now, server, dst, msg, nil)
	return taken(acts), err
}

func (g *gateway) close(spi SPI) []Action {
	g.t.Helper()
	acts, err := g.relay.CloseSA(g.now, spi, nil)
	require.NoError(g.t, err)
	return taken(acts)
}

// wait lets time pass and handles what is due at the end of it.
func (g *gateway) wait(d time.Duration) []Action {
	g.now = g.now.Add(d)
	return taken(g.relay.HandleTimeout(g.now, nil))
}

// relayed sends one message of the client and is what the servers get.
func (g *gateway) relayed(spi SPI, msg []byte) []byte {
	g.t.Helper()
	return only(g.t, g.request(spi, msg), ActionToServer).Data
}

// lease takes an SA through REQUEST and ACK.
func (g *gateway) lease(spi SPI, addr netip.Addr) []Action {
	g.t.Helper()
	xid := uint32(spi) + uint32(g.id)<<8
	return g.reply(answerTo(g.relayed(spi, fromClient(xid, dhcp4.Request, addrOption(dhcp4.OptionRequestedIPAddress, addr))), dhcp4.ACK, addr))
}

// leased makes an established SA with an address.
func (g *gateway) leased(spi SPI, identity string, addr netip.Addr) {
	g.t.Helper()
	g.open(spi, identity)
	only(g.t, g.lease(spi, addr), ActionSetAddress)
	g.established(spi)
}

func (g *gateway) address(spi SPI) netip.Addr {
	a, _ := g.relay.Address(spi)
	return a
}

// taken copies what a machine returned and then does what a caller may do: it
// overwrites the octets that were lent to it. What a machine still needs must not
// be there.
func taken(acts []Action) []Action {
	out := slices.Clone(acts)
	for i := range out {
		a := &out[i]
		a.Data, a.To = bytes.Clone(a.Data), slices.Clone(a.To)
		a.Assign.Circuit = a.Assign.Circuit.Clone()
		a.Assign.ClientID, a.Assign.CHAddr = bytes.Clone(a.Assign.ClientID), bytes.Clone(a.Assign.CHAddr)
		a.Messages = slices.Clone(a.Messages)
		for j := range a.Messages {
			a.Messages[j] = bytes.Clone(a.Messages[j])
		}
	}
	for _, a := range acts {
		poison(a.Data)
		for _, m := range a.Messages {
			poison(m)
		}
	}
	return out
}

func poison(b []byte) {
	for i := range b {
		b[i] = 0xa5
	}
}

// kinds is what the actions are, in their order.
func kinds(acts []Action) []ActionKind {
	out := make([]ActionKind, len(acts))
	for i, a := range acts {
		out[i] = a.Kind
	}
	return out
}

// only is the one action of this kind.
func only(t testing.TB, acts []Action, kind ActionKind) Action {
	t.Helper()
	var found []Action
	for _, a := range acts {
		if a.Kind == kind {
			found = append(found, a)
		}
	}
	require.Len(t, found, 1, "%v actions among %v", kind, kinds(acts))
	return found[0]
}

// types is the DHCP message types of messages, in their order.
func types(messages [][]byte) []dhcp4.MessageType {
	var out []dhcp4.MessageType
	for _, m := range messages {
		out = append(out, parsed(m).Type())
	}
	return out
}

// requireDrop checks that an input was ignored, and for which reason.
func requireDrop(t testing.TB, reason Reason, err error) {
	t.Helper()
	drop, ok := errors.AsType[*DropError](err)
	require.True(t, ok, "not a *DropError: %v", err)
	require.Equal(t, reason, drop.Reason, "dropped for %v", drop.Reason)
}

// requireDeadline checks what HandleTimeout does one nanosecond before d has
// passed, nothing, and is what it does exactly then.
func (g *gateway) requireDeadline(d time.Duration) []Action {
	g.t.Helper()
	at, ok := g.relay.Deadline()
	require.True(g.t, ok, "no deadline is armed")
	require.Equal(g.t, d, at.Sub(g.now))
	require.Empty(g.t, g.wait(d-1), "one nanosecond before the deadline")
	return g.wait(1)
}
