package ikedhcp_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/peertest"
	"dhcpsec.example/relayinfo"
)

// The lab is two network namespaces and a link between them: gateway and clients
// are in one, the server in the other, all on the ports that RFC 2131 gives them.
const (
	labEnv     = "DHCPSEC_IKEDHCP_LAB" // set in the test process that runs inside the lab
	labServer  = "10.77.0.1"
	labGIAddr  = "10.77.0.2"
	labLink    = "vs" // the server's end
	wrongIP    = "10.66.0.6"
	patience   = 10 * time.Second
	labTimeout = "60s"
)

// peer is a DHCP server and what sets it apart from the others.
type peer struct {
	name, binary, debian string
	config               string
	args                 func(dir string) []string
	ready                string // what it prints when it is up

	informDirect bool // its answer to a relayed DHCPINFORM goes straight to ciaddr
	echoesLong   bool // or leaves out an option 82 of some 240 octets (RFC 3046 section 2.2)
}

var peers = []peer{
	{
		name: "kea", binary: "kea-dhcp4", debian: "kea-dhcp4-server",
		config: `{"Dhcp4": {
			"interfaces-config": {"interfaces": ["vs/10.77.0.1"], "dhcp-socket-type": "udp", "re-detect": false},
			"lease-database": {"type": "memfile", "persist": false}, "valid-lifetime": 3600, "authoritative": true,
			"subnet4": [{"id": 1, "subnet": "10.77.0.0/24", "pools": [{"pool": "10.77.0.100 - 10.77.0.200"}]}],
			"loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}]}}`,
		args:         func(dir string) []string { return []string{"-d", "-c", filepath.Join(dir, "config")} },
		ready:        "DHCP4_STARTED",
		informDirect: true, echoesLong: true,
	},
	{
		name: "dnsmasq", binary: "dnsmasq", debian: "dnsmasq-base",
		config: "port=0\nlog-facility=-\nlog-dhcp\nno-ping\ndhcp-authoritative\nleasefile-ro\ninterface=vs\n" +
			"dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h\n",
		args:  func(dir string) []string { return []string{"--no-daemon", "-C", filepath.Join(dir, "config")} },
		ready: "DHCP, IP range",
	},
	{
		name: "dhcpd", binary: "dhcpd", debian: "isc-dhcp-server",
		config: "authoritative;\nping-check false;\ndefault-lease-time 3600;\nmax-lease-time 3600;\n" +
			"subnet 10.77.0.0 netmask 255.255.255.0 { range 10.77.0.100 10.77.0.200; }\n",
		args: func(dir string) []string {
			return []string{"-4", "-f", "-d", "-cf", filepath.Join(dir, "config"), "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), labLink}
		},
		ready:        "Server starting service",
		informDirect: true, echoesLong: true,
	},
}

// TestInteropServers runs clients' lives through Client and Relay against each server.
func TestInteropServers(t *testing.T) {
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			if os.Getenv(labEnv) != "" {
				p.live(t)
				return
			}
			peertest.Need(t, p.binary, p.debian)
			peertest.Need(t, "ip", "iproute2")
			inLab(t)
		})
	}
}

func (p peer) live(t *testing.T) {
	p.start(t, startLab(t))
	g := newLabGateway(t, false)
	alice := g.connect(1, "alice", "laptop", relayinfo.Fields{SubscriberID: "alice"})

	offer := alice.asks(dhcp4.Discover, netip.Addr{}, dhcp4.Offer)
	server, ok := offer.Option(dhcp4.OptionServerIdentifier)
	require.True(t, ok)
	addr := offer.YIAddr()
	chosen := slices.Concat(option(dhcp4.OptionRequestedIPAddress, addr.AsSlice()...), option(dhcp4.OptionServerIdentifier, server...))
	require.False(t, alice.established, "an OFFER completes nothing")

	ack := alice.asks(dhcp4.Request, netip.Addr{}, dhcp4.ACK, chosen)
	require.Equal(t, addr, ack.YIAddr())
	require.True(t, alice.established, "the ACK completes IKE_AUTH")
	require.Equal(t, ikedhcp.TrafficSelector{Start: addr, End: addr}, alice.selector, "TSi is narrowed to the address")
	require.Equal(t, time.Hour, alice.lease)

	alice.lease = 0
	ack = alice.asks(dhcp4.Request, addr, dhcp4.ACK)
	require.Equal(t, addr, ack.YIAddr())
	require.Equal(t, time.Hour, alice.lease, "a renewal is seen by the gateway")

	alice.asks(dhcp4.Request, netip.Addr{}, dhcp4.NAK, option(dhcp4.OptionRequestedIPAddress, netip.MustParseAddr(wrongIP).AsSlice()...))
	got, _ := g.relay.Address(1)
	require.Equal(t, addr, got, "a NAK takes no address away")

	// The gateway catches what goes to the client's address.
	command(t, "ip", "addr", "add", addr.String()+"/32", "dev", "lo")
	g.intercept(addr)
	ack = alice.informs(addr)
	require.True(t, ack.YIAddr().IsUnspecified())
	require.Equal(t, p.informDirect, g.intercepted > 0, "whether the answer to a DHCPINFORM goes straight to the client")
	g.stopIntercepting()
	command(t, "ip", "addr", "del", addr.String()+"/32", "dev", "lo")

	// The same DHCP client, and another identity: the server has no reason not to
	// give it the same address.
	mallory := g.connect(2, "mallory", "laptop", relayinfo.Fields{SubscriberID: "mallory"})
	offer = mallory.asks(dhcp4.Discover, netip.Addr{}, dhcp4.Offer)
	require.Equal(t, addr, offer.YIAddr(), "the server goes by the client identifier")
	require.False(t, alice.evicted, "an OFFER takes nothing away")
	mallory.asks(dhcp4.Request, netip.Addr{}, dhcp4.ACK, chosen)
	require.True(t, alice.evicted, "the older SAs are deleted")
	require.Equal(t, []string{"delete 1", "set 2"}, g.order[len(g.order)-2:], "before the younger have the address")

	mallory.says(dhcp4.Release, addr, option(dhcp4.OptionServerIdentifier, server...))
	_, has := g.relay.Address(2)
	require.False(t, has, "a RELEASE clears the address")
	g.stop()

	p.withoutEcho(t)
}

// withoutEcho: an option 82 so long that the server may have no room for it.
func (p peer) withoutEcho(t *testing.T) {
	long := relayinfo.Fields{RemoteID: bytes.Repeat([]byte("remote"), 37)}
	if p.echoesLong {
		g := newLabGateway(t, false)
		g.connect(3, "bob", "phone", long).asks(dhcp4.Discover, netip.Addr{}, dhcp4.Offer)
		g.stop()
		return
	}
	g := newLabGateway(t, false)
	bob := g.connect(3, "bob", "phone", long)
	bob.local(message(bob.header(netip.Addr{}), bob.options(dhcp4.Discover)...))
	g.pump(func() bool { return g.relay.Stats()[ikedhcp.ReasonNoCircuit] > 0 }, "a reply that names no circuit is dropped and counted")
	require.Empty(t, bob.delivered)
	g.stop()

	g = newLabGateway(t, true)
	bob = g.connect(3, "bob", "phone", long)
	offer := bob.asks(dhcp4.Discover, netip.Addr{}, dhcp4.Offer)
	server, _ := offer.Option(dhcp4.OptionServerIdentifier)
	ack := bob.asks(dhcp4.Request, netip.Addr{}, dhcp4.ACK,
		option(dhcp4.OptionRequestedIPAddress, offer.YIAddr().AsSlice()...), option(dhcp4.OptionServerIdentifier, server...))
	require.Equal(t, offer.YIAddr(), ack.YIAddr(), "with the map of xid and chaddr it is delivered")
	g.stop()
}

// labGateway is a Relay with its socket, and the clients behind it. IKE messages
// are calls: what is on the wire here is DHCP.
type labGateway struct {
	t       *testing.T
	relay   *ikedhcp.Relay
	conn    *net.UDPConn // giaddr, port 67
	caught  *net.UDPConn // a client's address, port 68
	clients map[ikedhcp.SPI]*labClient

	intercepted int
	order       []string // of addresses set and SAs deleted
}

func newLabGateway(t *testing.T, xidMap bool) *labGateway {
	t.Helper()
	relay, err := ikedhcp.NewRelay(ikedhcp.RelayConfig{
		GIAddr: netip.MustParseAddr(labGIAddr), Servers: []netip.AddrPort{netip.MustParseAddrPort(labServer + ":67")}, XIDMap: xidMap,
	})
	require.NoError(t, err)
	return &labGateway{t: t, relay: relay, conn: listenUDP(t, labGIAddr+":67"), clients: map[ikedhcp.SPI]*labClient{}}
}

func (g *labGateway) stop() { g.conn.Close() }

func (g *labGateway) intercept(addr netip.Addr) { g.caught = listenUDP(g.t, addr.String()+":68") }

func (g *labGateway) stopIntercepting() {
	g.caught.Close()
	g.caught = nil
}

func listenUDP(t *testing.T, at string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// labClient is one client: the Client, and what a DHCP client would have heard.
type labClient struct {
	gateway   *labGateway
	spi       ikedhcp.SPI
	machine   *ikedhcp.Client
	clientID  string
	xid       uint32
	messageID ikedhcp.MessageID
	requests  map[ikedhcp.MessageID]ikedhcp.ID
	delivered [][]byte

	established, evicted bool
	selector             ikedhcp.TrafficSelector
	lease                time.Duration
}

// connect sets up an IKE SA, up to where DHCP begins.
func (g *labGateway) connect(spi ikedhcp.SPI, identity, clientID string, fields relayinfo.Fields) *labClient {
	g.t.Helper()
	machine, err := ikedhcp.NewClient(ikedhcp.ClientConfig{})
	require.NoError(g.t, err)
	c := &labClient{gateway: g, spi: spi, machine: machine, clientID: clientID, xid: uint32(spi) << 16, requests: map[ikedhcp.MessageID]ikedhcp.ID{}}
	g.clients[spi] = c
	require.NoError(g.t, g.relay.OpenSA(time.Now(), spi))
	g.does(func(now time.Time) ([]ikedhcp.Action, error) {
		return g.relay.Authenticated(now, spi, []byte(identity), fields, nil)
	})
	c.does(func(now time.Time) ([]ikedhcp.Action, error) { return machine.Ready(now, nil) })
	return c
}

func (c *labClient) header(ciaddr netip.Addr) dhcp4.Header {
	return dhcp4.Header{Op: dhcp4.BootRequest, HType: 1, XID: c.xid, CIAddr: ciaddr, CHAddr: []byte{2, 0, 0, 0, 0, c.clientID[0]}}
}

func (c *labClient) options(kind dhcp4.MessageType, more ...[]byte) [][]byte {
	return append([][]byte{
		option(dhcp4.OptionMessageType, byte(kind)), option(dhcp4.OptionClientIdentifier, []byte("\x00"+c.clientID)...),
	}, more...)
}

// says has the DHCP client send a message that has no answer.
func (c *labClient) says(kind dhcp4.MessageType, ciaddr netip.Addr, more ...[]byte) {
	c.xid++
	c.local(message(c.header(ciaddr), c.options(kind, more...)...))
}

// asks has the DHCP client send a message, and wait for the answer. A REQUEST that
// names a server belongs to the DISCOVER before it.
func (c *labClient) asks(kind dhcp4.MessageType, ciaddr netip.Addr, want dhcp4.MessageType, more ...[]byte) *dhcp4.Message {
	c.gateway.t.Helper()
	c.xid++
	c.delivered = nil
	c.local(message(c.header(ciaddr), c.options(kind, more...)...))
	return c.answer(want)
}

// informs sends a DHCPINFORM past the Client, which refuses it (K3.29): the gateway
// has to support it all the same (K3.30).
func (c *labClient) informs(ciaddr netip.Addr) *dhcp4.Message {
	t, g := c.gateway.t, c.gateway
	t.Helper()
	c.xid++
	c.delivered = nil
	inform := message(c.header(ciaddr), c.options(dhcp4.Inform)...)
	_, err := c.machine.HandleLocal(time.Now(), inform, nil)
	drop, ok := errors.AsType[*ikedhcp.DropError](err)
	require.True(t, ok)
	require.Equal(t, ikedhcp.ReasonInform, drop.Reason)

	c.messageID++
	g.does(func(now time.Time) ([]ikedhcp.Action, error) {
		return g.relay.HandleRequest(now, c.spi, c.messageID, [][]byte{inform}, nil)
	})
	return c.answer(dhcp4.ACK)
}

func (c *labClient) answer(want dhcp4.MessageType) *dhcp4.Message {
	t := c.gateway.t
	t.Helper()
	c.gateway.pump(func() bool { return len(c.delivered) > 0 }, want.String())
	var m dhcp4.Message
	require.NoError(t, m.Parse(c.delivered[0]))
	require.Equal(t, want, m.Type())
	require.Equal(t, c.xid, m.XID())
	require.False(t, m.Relayed(), "giaddr reaches the client")
	require.Zero(t, m.RelayAgentInfoSize(), "option 82 reaches the client")
	return &m
}

func (c *labClient) local(packet []byte) {
	c.does(func(now time.Time) ([]ikedhcp.Action, error) { return c.machine.HandleLocal(now, packet, nil) })
}

// does makes an input call to the Client and performs the actions.
func (c *labClient) does(call func(now time.Time) ([]ikedhcp.Action, error)) {
	t, g := c.gateway.t, c.gateway
	t.Helper()
	acts, err := call(time.Now())
	require.NoError(t, err)
	for _, a := range acts {
		switch a.Kind {
		case ikedhcp.ActionRequest:
			require.Equal(t, c.established, a.Exchange == ikedhcp.Informational, "an INFORMATIONAL exchange when the SA stands, and not before")
			c.messageID++
			c.requests[c.messageID] = a.ID
			messages := cloneAll(a.Messages)
			g.does(func(now time.Time) ([]ikedhcp.Action, error) {
				return g.relay.HandleRequest(now, c.spi, c.messageID, messages, nil)
			})
		case ikedhcp.ActionDeliver:
			c.delivered = append(c.delivered, bytes.Clone(a.Data))
		}
	}
}

// does makes an input call to the Relay and performs the actions.
func (g *labGateway) does(call func(now time.Time) ([]ikedhcp.Action, error)) {
	g.t.Helper()
	acts, err := call(time.Now())
	if _, dropped := errors.AsType[*ikedhcp.DropError](err); err != nil && !dropped {
		require.NoError(g.t, err)
	}
	acts = slices.Clone(acts)
	for i := range acts {
		acts[i].Messages = cloneAll(acts[i].Messages)
	}
	for _, a := range acts {
		c := g.clients[a.SPI]
		switch a.Kind {
		case ikedhcp.ActionToServer:
			for _, to := range a.To {
				_, err := g.conn.WriteToUDPAddrPort(a.Data, to)
				require.NoError(g.t, err)
			}
		case ikedhcp.ActionSetAddress:
			c.selector, c.lease = a.Selector, a.Lease
			g.order = append(g.order, fmt.Sprint("set ", uint64(a.SPI)))
		case ikedhcp.ActionDeleteSAs:
			c.evicted = true
			g.order = append(g.order, fmt.Sprint("delete ", uint64(a.SPI)))
		case ikedhcp.ActionRespond:
			g.responds(c, a)
		case ikedhcp.ActionInform:
			c.does(func(now time.Time) ([]ikedhcp.Action, error) {
				return c.machine.HandleInform(now, a.MessageID, a.Messages, nil)
			})
		}
	}
}

// responds is an IKE response: the first one with an address completes IKE_AUTH.
func (g *labGateway) responds(c *labClient, a ikedhcp.Action) {
	stands := !c.established && c.selector.Start.IsValid()
	if stands {
		c.established = true
		c.does(func(now time.Time) ([]ikedhcp.Action, error) { return c.machine.Established(now, nil) })
	}
	id := c.requests[a.MessageID]
	c.does(func(now time.Time) ([]ikedhcp.Action, error) {
		return c.machine.HandleResponse(now, id, a.Messages, nil)
	})
	if stands {
		g.does(func(now time.Time) ([]ikedhcp.Action, error) { return g.relay.Established(now, c.spi, nil) })
	}
}

// pump lets everybody work until done.
func (g *labGateway) pump(done func() bool, what string) {
	g.t.Helper()
	for end := time.Now().Add(patience); !done(); {
		require.True(g.t, time.Now().Before(end), "%s does not come; ignored: %v", what, g.relay.Stats())
		if from, pkt := read(g.conn); pkt != nil {
			g.does(func(now time.Time) ([]ikedhcp.Action, error) { return g.relay.HandleServer(now, from, pkt, nil) })
		}
		if g.caught != nil {
			if from, pkt := read(g.caught); pkt != nil {
				g.intercepted++
				to := g.caught.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
				g.does(func(now time.Time) ([]ikedhcp.Action, error) {
					return g.relay.HandleIntercepted(now, from, to, pkt, nil)
				})
			}
		}
		g.does(func(now time.Time) ([]ikedhcp.Action, error) { return g.relay.HandleTimeout(now, nil), nil })
		for _, c := range g.clients {
			c.does(func(now time.Time) ([]ikedhcp.Action, error) { return c.machine.HandleTimeout(now, nil), nil })
		}
	}
}

// read is a datagram, if one comes soon.
func read(conn *net.UDPConn) (netip.AddrPort, []byte) {
	b := make([]byte, 2048)
	conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	n, from, err := conn.ReadFromUDPAddrPort(b)
	if err != nil {
		return from, nil
	}
	return from, b[:n]
}

func cloneAll(messages [][]byte) (out [][]byte) {
	for _, m := range messages {
		out = append(out, bytes.Clone(m))
	}
	return out
}

// inLab runs the current test again, as a process in namespaces of its own.
func inLab(t *testing.T) {
	t.Helper()
	unshare := []string{"unshare", "--user", "--map-root-user", "--net", "--mount"}
	if os.Getuid() == 0 && exec.Command(unshare[0], append(unshare[1:], "true")...).Run() != nil {
		unshare = []string{"unshare", "--net", "--mount"}
	}
	if out, err := exec.Command(unshare[0], append(unshare[1:], "true")...).CombinedOutput(); err != nil {
		if os.Getenv("DHCPSEC_INTEROP") == "require" {
			t.Fatalf("DHCPSEC_INTEROP=require, and network namespaces are not permitted: %v %s", err, out)
		}
		t.Skipf("network namespaces are not permitted: %v %s", err, out)
	}
	self, err := os.Executable()
	require.NoError(t, err)
	run := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	cmd := exec.Command(unshare[0], append(unshare[1:], self, "-test.run", run, "-test.v", "-test.timeout", labTimeout)...)
	cmd.Env = append(os.Environ(), labEnv+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name(), "the test must have run")
}

// startLab makes the server's namespace and the link, and returns the command
// prefix that runs something there.
func startLab(t *testing.T) (server []string) {
	t.Helper()
	command(t, "ip", "link", "set", "lo", "up")
	holder := exec.Command("unshare", "--net", "sleep", "120")
	require.NoError(t, holder.Start())
	t.Cleanup(func() {
		holder.Process.Kill()
		holder.Wait()
	})
	pid := strconv.Itoa(holder.Process.Pid)
	ours, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		theirs, err := os.Readlink("/proc/" + pid + "/ns/net")
		return err == nil && theirs != ours
	}, patience, time.Millisecond, "the server's namespace")

	server = []string{"nsenter", "-t", pid, "-n"}
	command(t, "ip", "link", "add", "vc", "type", "veth", "peer", "name", labLink, "netns", pid)
	command(t, "ip", "addr", "add", labGIAddr+"/24", "dev", "vc")
	command(t, "ip", "link", "set", "vc", "up")
	for _, args := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "addr", "add", labServer + "/24", "dev", labLink},
		{"ip", "link", "set", labLink, "up"},
	} {
		command(t, slices.Concat(server, args)...)
	}
	require.Eventually(t, func() bool {
		out, err := exec.Command(server[0], slices.Concat(server[1:], []string{"ip", "link", "show", labLink})...).Output()
		return err == nil && bytes.Contains(out, []byte("state UP"))
	}, patience, 5*time.Millisecond, "the link is up")
	return server
}

func command(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", args, out)
}

// start runs the server in the foreground, waits until it is up, and ends it with
// the test, whose log gets the output if the test has failed.
func (p peer) start(t *testing.T, prefix []string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), []byte(p.config), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "leases"), nil, 0o644))
	args := slices.Concat(prefix, []string{peertest.Need(t, p.binary, p.debian)}, p.args(dir))
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = w, w
	require.NoError(t, cmd.Start())
	w.Close()

	up, ended := make(chan struct{}), make(chan struct{})
	var output bytes.Buffer
	go func() {
		defer close(ended)
		waiting := true
		for lines := bufio.NewScanner(r); lines.Scan(); {
			fmt.Fprintln(&output, lines.Text())
			if waiting && strings.Contains(lines.Text(), p.ready) {
				waiting = false
				close(up)
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		<-ended
		if t.Failed() {
			t.Logf("%s", output.Bytes())
		}
	})
	select {
	case <-up:
	case <-ended:
		t.Fatalf("%s has ended", p.name)
	case <-time.After(patience):
		t.Fatalf("%s does not start", p.name)
	}
}
