package main

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// patience is how long a test waits for what must come; silence for what must not.
const (
	patience = 5 * time.Second
	silence  = 300 * time.Millisecond
)

// option is one option of a client's message.
type option struct {
	code uint8
	data []byte
}

var clientHardware = []byte{0x02, 0, 0, 0, 0, 0x01}

// clientMessage is a message as a DHCP client sends it.
func clientMessage(t testing.TB, typ dhcp4.MessageType, ciaddr netip.Addr, options ...option) []byte {
	t.Helper()
	msg, err := dhcp4.Header{Op: dhcp4.BootRequest, HType: 1, XID: 0x5eed0000 + uint32(typ), CIAddr: ciaddr, CHAddr: clientHardware}.AppendBinary(nil)
	require.NoError(t, err)
	for _, o := range append([]option{
		{dhcp4.OptionMessageType, []byte{uint8(typ)}},
		{dhcp4.OptionClientIdentifier, append([]byte{1}, clientHardware...)},
		{12, []byte("roadwarrior")},
		{dhcp4.OptionParameterRequestList, []byte{1, 3, 6, 15, 51, 54, 58, 59}},
	}, options...) {
		msg, err = dhcp4.AppendOption(msg, o.code, o.data)
		require.NoError(t, err)
	}
	return dhcp4.AppendEnd(msg, 0)
}

func listen(t testing.TB, addr string) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// receive is the next datagram, or nil if none comes in time.
func receive(t testing.TB, conn *net.UDPConn, wait time.Duration) ([]byte, netip.AddrPort) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(wait)))
	buf := make([]byte, 1<<16)
	n, from, err := conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		var ne net.Error
		require.ErrorAs(t, err, &ne)
		require.True(t, ne.Timeout(), "%v", err)
		return nil, from
	}
	return buf[:n], from
}

func send(t testing.TB, conn *net.UDPConn, msg []byte, to netip.AddrPort) {
	t.Helper()
	_, err := conn.WriteToUDPAddrPort(msg, to)
	require.NoError(t, err)
}

// serveInBackground runs r on conn until the test ends.
func serveInBackground(t testing.TB, r *relay, conn *net.UDPConn, with packetConn) {
	t.Helper()
	done := make(chan error)
	go func() { done <- r.serve(with) }()
	t.Cleanup(func() {
		conn.Close()
		require.ErrorIs(t, <-done, net.ErrClosed)
	})
}

func TestRelayBetweenSockets(t *testing.T) {
	client, clientAddr := listen(t, "127.0.0.1:0")
	server1, server1Addr := listen(t, "127.0.0.1:0")
	server2, server2Addr := listen(t, "127.0.0.1:0")
	r, at, err := newRelay([]string{
		"-listen", "127.0.0.2:0", "-giaddr", "127.0.0.2", "-client", clientAddr.String(),
		"-server", server1Addr.String(), "-server", server2Addr.String(), "-circuit-id", "eth1", "-remote-id", "gw1",
	})
	require.NoError(t, err)
	conn, relayAddr := listen(t, at.String())
	serveInBackground(t, r, conn, conn)

	request := clientMessage(t, dhcp4.Discover, netip.Addr{})
	send(t, client, request, relayAddr)
	relayed, from := receive(t, server1, patience)
	require.Equal(t, relayAddr, from)
	second, _ := receive(t, server2, patience)
	require.Equal(t, relayed, second, "every server gets every request (RFC 1542 4.1.1)")
	info, err := relayinfo.Find(relayed)
	require.NoError(t, err)
	require.Equal(t, `circuit-id "eth1", remote-id "gw1", source-port`, info.String())
	require.Equal(t, []byte{127, 0, 0, 2}, relayed[24:28])

	reply := append([]byte(nil), relayed...)
	reply[0] = dhcp4.BootReply
	send(t, server1, reply, relayAddr)
	got, _ := receive(t, client, patience)
	_, err = relayinfo.Find(got)
	require.Equal(t, relayinfo.ErrAbsent, err)
	require.Equal(t, make([]byte, 4), got[24:28])

	for name, bad := range map[string]func(){
		"a reply from somebody else": func() {
			stranger, _ := listen(t, "127.0.0.9:0")
			send(t, stranger, reply, relayAddr)
		},
		"a reply with another giaddr": func() {
			other := append([]byte(nil), reply...)
			other[27] = 9
			send(t, server1, other, relayAddr)
		},
		"a reply with another option 82": func() {
			i := strings.Index(string(reply), "eth1")
			other := append([]byte(nil), reply...)
			other[i] = 'E'
			send(t, server1, other, relayAddr)
		},
		"no DHCP": func() { send(t, server1, []byte("hello"), relayAddr) },
	} {
		bad()
		got, _ := receive(t, client, silence)
		require.Nil(t, got, name)
	}

	send(t, client, relayed, relayAddr) // giaddr is the relay's own
	got, _ = receive(t, server1, silence)
	require.Nil(t, got, "a spoofed giaddr (RFC 3046 2.1.1)")
}

func TestTrustedLink(t *testing.T) {
	r, _, err := newRelay([]string{"-giaddr", "192.0.2.1", "-server", "192.0.2.53", "-circuit-id", "eth1", "-trusted"})
	require.NoError(t, err)
	require.Equal(t, []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:67")}, r.servers)
	msg := clientMessage(t, dhcp4.Discover, netip.Addr{}, option{82, []byte{1, 1, 'x'}})
	out, to, err := r.forward(nil, msg, netip.MustParseAddrPort("192.0.2.9:68"))
	require.NoError(t, err)
	require.Equal(t, r.servers, to)
	info, err := relayinfo.Find(out)
	require.NoError(t, err)
	require.Equal(t, `circuit-id "x"`, info.String())
}

// RFC 3046 section 2.1 forwards what option 82 does not fit into; but what is asked
// from another port than 67 without it is answered to port 67.
func TestNoRoomForOption82(t *testing.T) {
	full := make([]option, 0, 6)
	for range 5 {
		full = append(full, option{224, make([]byte, 235)})
	}
	msg := clientMessage(t, dhcp4.Discover, netip.Addr{}, full...)
	for port, want := range map[string]int{"67": 1, "1067": 0} {
		r, _, err := newRelay([]string{"-giaddr", "192.0.2.1", "-server", "192.0.2.53", "-circuit-id", "eth1", "-listen", "192.0.2.1:" + port})
		require.NoError(t, err)
		r.cfg.MaxSize = len(msg)
		_, to, err := r.forward(nil, msg, netip.MustParseAddrPort("192.0.2.9:68"))
		require.Len(t, to, want, port)
		require.Equal(t, want == 0, err != nil, port)
	}
}

func TestCommandLine(t *testing.T) {
	r, at, err := newRelay([]string{"-giaddr", "192.0.2.1", "-server", "192.0.2.53:1067"})
	require.NoError(t, err)
	require.Equal(t, "0.0.0.0:67", at.String())
	require.False(t, r.cfg.Info.IsValid(), "no option 82 unless one is asked for (RFC 3046 2.1)")

	for _, args := range []string{
		"", "-giaddr 192.0.2.1", "-server 192.0.2.53", "-giaddr 2001:db8::1 -server 192.0.2.53",
		"-giaddr 224.0.0.1 -server 192.0.2.53", "-giaddr ::ffff:192.0.2.1 -server 192.0.2.53",
		"-giaddr 192.0.2.1 -server [2001:db8::53]:67", "-giaddr 192.0.2.1 -server [::ffff:192.0.2.53]:67", "-giaddr 192.0.2.1 -server 0.0.0.0",
		"-giaddr 192.0.2.1 -server 255.255.255.255", "-giaddr 192.0.2.1 -server 239.0.0.1", "-giaddr 192.0.2.1 -server 192.0.2.53 -server 0.0.0.0:67",
		"-giaddr 192.0.2.1 -server 192.0.2.53 -trusted -listen 0.0.0.0:1067",
		"-giaddr 192.0.2.1 -server nowhere", "-giaddr 192.0.2.1 -server 192.0.2.53 more",
		"-giaddr 192.0.2.1 -server 192.0.2.53 -circuit-id " + strings.Repeat("x", 254),
	} {
		_, _, err := newRelay(strings.Fields(args))
		require.Error(t, err, args)
	}
}
