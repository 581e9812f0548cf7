package main

import (
	"bufio"
	"bytes"
	"flag"
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

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/peertest"
	"dhcpsec.example/relayinfo"
)

var capture = flag.Bool("capture", false, "write the packets of the interop tests to relayinfo/testdata")

// The lab is two network namespaces and a link between them: the relay agent and
// the client are in one, the server in the other. Everything is on the ports
// that RFC 2131 gives it.
const (
	labEnv      = "DHCPSEC_RELAY4_LAB" // set in the test process that runs inside the lab
	relayIP     = "10.77.0.2"          // giaddr
	serverIP    = "10.77.0.1"
	serverLink  = "vs"
	wrongIP     = "10.66.0.6" // an address no server has to give
	clientLocal = "127.0.0.1:68"
)

// peer is a DHCP server and what sets it apart from the others.
type peer struct {
	name, binary, debian string
	config               string // of the server, at serverIP with a pool in 10.77.0.0/24
	args                 func(dir string) []string
	ready                string // what it prints when it is up

	informVia    string // how the answer to a relayed DHCPINFORM comes: "relay" or "direct"
	echoesLongID bool   // or answers without option 82 a request with a circuit id of 235 octets (RFC 3046 section 2.2)
}

var peers = []peer{
	{
		name: "kea", binary: "kea-dhcp4", debian: "kea-dhcp4-server",
		config: `{"Dhcp4": {
			"interfaces-config": {"interfaces": ["vs/10.77.0.1"], "dhcp-socket-type": "udp", "re-detect": false},
			"lease-database": {"type": "memfile", "persist": false},
			"valid-lifetime": 3600, "renew-timer": 900, "rebind-timer": 1800, "authoritative": true,
			"subnet4": [{"id": 1, "subnet": "10.77.0.0/24", "pools": [{"pool": "10.77.0.100 - 10.77.0.200"}],
				"option-data": [{"name": "routers", "data": "10.77.0.1"}, {"name": "domain-name-servers", "data": "10.77.0.53"},
					{"name": "domain-name", "data": "vpn.example"}]}],
			"loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}]}}`,
		args:      func(dir string) []string { return []string{"-d", "-c", filepath.Join(dir, "config")} },
		ready:     "DHCP4_STARTED",
		informVia: "direct", echoesLongID: true,
	},
	{
		name: "dnsmasq", binary: "dnsmasq", debian: "dnsmasq-base",
		config: `port=0
log-facility=-
log-dhcp
no-ping
dhcp-authoritative
leasefile-ro
interface=vs
dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h
dhcp-option=option:router,10.77.0.1
dhcp-option=option:dns-server,10.77.0.53
domain=vpn.example
`,
		args:      func(dir string) []string { return []string{"--no-daemon", "-C", filepath.Join(dir, "config")} },
		ready:     "DHCP, IP range",
		informVia: "relay",
	},
	{
		name: "dhcpd", binary: "dhcpd", debian: "isc-dhcp-server",
		config: `authoritative;
ping-check false;
default-lease-time 3600;
max-lease-time 3600;
option domain-name-servers 10.77.0.53;
option domain-name "vpn.example";
subnet 10.77.0.0 netmask 255.255.255.0 { range 10.77.0.100 10.77.0.200; option routers 10.77.0.1; }
`,
		args: func(dir string) []string {
			return []string{"-4", "-f", "-d", "-cf", filepath.Join(dir, "config"), "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), serverLink}
		},
		ready:     "Server starting service",
		informVia: "direct", echoesLongID: true,
	},
}

// TestInteropServers runs a client's life against each server through this program's code.
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
	args := append(unshare[1:], self, "-test.run", run, "-test.v", "-test.timeout", "60s", "-capture="+strconv.FormatBool(*capture))
	cmd := exec.Command(unshare[0], args...)
	cmd.Env = append(os.Environ(), labEnv+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name(), "the test must have run")
}

// live is the test inside the lab.
func (p peer) live(t *testing.T) {
	server := startLab(t)
	p.start(t, server)

	wire := &recorder{}
	client, _ := listen(t, "0.0.0.0:68")
	life := func(args ...string) *exchange {
		r, at, err := newRelay(append([]string{"-giaddr", relayIP, "-server", serverIP, "-client", clientLocal}, args...))
		require.NoError(t, err)
		conn, _ := listen(t, at.String())
		wire.UDPConn = conn
		done := make(chan error)
		go func() { done <- r.serve(wire) }()
		x := &exchange{client: client, wire: wire, info: r.cfg.Info}
		x.stop = func() { conn.Close(); <-done }
		return x
	}

	x := life("-circuit-id", "spi 0123456789abcdef", "-remote-id", "gateway 1")
	offer := x.viaRelay(t, "DISCOVER", clientMessage(t, dhcp4.Discover, netip.Addr{}), dhcp4.Offer)
	serverID, ok := offer.Option(dhcp4.OptionServerIdentifier)
	require.True(t, ok)
	leased := offer.YIAddr()
	requested := option{dhcp4.OptionRequestedIPAddress, leased.AsSlice()}
	toServer := option{dhcp4.OptionServerIdentifier, serverID}

	ack := x.viaRelay(t, "REQUEST, selecting", clientMessage(t, dhcp4.Request, netip.Addr{}, requested, toServer), dhcp4.ACK)
	require.Equal(t, leased, ack.YIAddr())
	ack = x.viaRelay(t, "REQUEST, renewing", clientMessage(t, dhcp4.Request, leased), dhcp4.ACK)
	require.Equal(t, leased, ack.YIAddr())
	x.viaRelay(t, "REQUEST, init-reboot with a wrong address", clientMessage(t, dhcp4.Request, netip.Addr{}, option{dhcp4.OptionRequestedIPAddress, netip.MustParseAddr(wrongIP).AsSlice()}), dhcp4.NAK)

	// The client now has its address, and the server may answer to it.
	command(t, "ip", "addr", "add", leased.String()+"/24", "dev", "vc")
	inform := clientMessage(t, dhcp4.Inform, leased)
	if p.informVia == "relay" {
		ack = x.viaRelay(t, "INFORM", inform, dhcp4.ACK)
	} else {
		ack = x.direct(t, "INFORM", inform, dhcp4.ACK)
	}
	require.True(t, ack.YIAddr().IsUnspecified(), "an answer to INFORM grants no address")
	x.unanswered(t, "RELEASE", clientMessage(t, dhcp4.Release, leased, toServer))
	x.stop()

	x = life()
	x.viaRelay(t, "DISCOVER without option 82", clientMessage(t, dhcp4.Discover, netip.Addr{}), dhcp4.Offer)
	x.stop()

	x = life("-circuit-id", strings.Repeat("circuit", 34)[:235])
	x.noEcho = !p.echoesLongID
	x.viaRelay(t, "DISCOVER with a circuit id of 235 octets", clientMessage(t, dhcp4.Discover, netip.Addr{}), dhcp4.Offer)
	x.stop()

	if *capture {
		wire.save(t, filepath.Join("..", "..", "relayinfo", "testdata", p.name+".pcap"))
	}
}

// startLab makes the server's namespace and the link, and returns the command
// prefix that runs something there.
func startLab(t *testing.T) (server []string) {
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
	command(t, "ip", "link", "add", "vc", "type", "veth", "peer", "name", serverLink, "netns", pid)
	command(t, "ip", "addr", "add", relayIP+"/24", "dev", "vc")
	command(t, "ip", "link", "set", "vc", "up")
	for _, args := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "addr", "add", serverIP + "/24", "dev", serverLink},
		{"ip", "link", "set", serverLink, "up"},
	} {
		command(t, slices.Concat(server, args)...)
	}
	require.Eventually(t, func() bool {
		out, err := exec.Command(server[0], slices.Concat(server[1:], []string{"ip", "link", "show", serverLink})...).Output()
		return err == nil && bytes.Contains(out, []byte("state UP"))
	}, patience, 5*time.Millisecond, "the link is up")
	return server
}

func command(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", args, out)
}

// start runs the server and waits until it is up.
func (p peer) start(t *testing.T, prefix []string) {
	t.Helper()
	binary := peertest.Need(t, p.binary, p.debian)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), []byte(p.config), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "leases"), nil, 0o644))
	startServer(t, slices.Concat(prefix, []string{binary}, p.args(dir)), dir, p.ready)
}

// startServer runs a daemon in the foreground, waits for it to print ready, and
// ends it with the test, whose log gets the output if the test has failed.
func startServer(t *testing.T, args []string, dir, ready string) {
	t.Helper()
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
			if waiting && strings.Contains(lines.Text(), ready) {
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
		t.Fatalf("%s has ended", args[0])
	case <-time.After(patience):
		t.Fatalf("%s does not start", args[0])
	}
}

// exchange is one client behind one relay.
type exchange struct {
	client *net.UDPConn
	wire   *recorder
	info   relayinfo.Info // what the relay adds
	noEcho bool           // the server leaves it out of its answer
	stop   func()
}

// viaRelay sends request and requires an answer of type want through the relay:
// the server's packet, but for giaddr and option 82.
func (x *exchange) viaRelay(t *testing.T, name string, request []byte, want dhcp4.MessageType) *dhcp4.Message {
	t.Helper()
	relayed, got := x.send(t, name, request, patience)
	require.NotNil(t, got, "%s: no answer", name)
	x.requireRelayed(t, name, request, relayed)

	fromServer := x.wire.last(true, netip.MustParseAddrPort(serverIP+":67"))
	require.Equal(t, relayIP, netip.AddrFrom4([4]byte(fromServer[24:28])).String(), "%s: the server answers to giaddr", name)
	expected, echo := naiveStrip(fromServer)
	require.Equal(t, expected, got, "%s: the client sees the server's packet", name)
	require.Equal(t, make([]byte, 4), got[24:28], "%s: giaddr", name)
	if x.noEcho {
		require.Nil(t, echo, "%s: the server leaves out option 82", name)
	} else {
		require.True(t, bytes.Equal(x.info.Bytes(), echo), "%s: the server echoes option 82 as it was", name)
	}
	return x.parse(t, name, got, want)
}

// direct sends request and requires the answer past the relay, from the server.
func (x *exchange) direct(t *testing.T, name string, request []byte, want dhcp4.MessageType) *dhcp4.Message {
	t.Helper()
	x.wire.forget()
	relayed, got := x.send(t, name, request, patience)
	require.NotNil(t, got, "%s: no answer", name)
	x.requireRelayed(t, name, request, relayed)
	require.Nil(t, x.wire.last(true, netip.MustParseAddrPort(serverIP+":67")), "%s: the relay must not see it", name)
	return x.parse(t, name, got, want)
}

// unanswered sends request, which reaches the server and stays without an answer.
func (x *exchange) unanswered(t *testing.T, name string, request []byte) {
	t.Helper()
	relayed, got := x.send(t, name, request, silence)
	require.Nil(t, got, "%s: an answer", name)
	x.requireRelayed(t, name, request, relayed)
}

func (x *exchange) send(t *testing.T, name string, request []byte, wait time.Duration) (relayed, got []byte) {
	t.Helper()
	_, err := x.client.WriteToUDPAddrPort(request, netip.MustParseAddrPort("127.0.0.1:67"))
	require.NoError(t, err, name)
	got, _ = receive(t, x.client, wait)
	return x.wire.last(false, netip.MustParseAddrPort(serverIP+":67")), got
}

// requireRelayed requires that relayed is request with giaddr, hops and option 82.
func (x *exchange) requireRelayed(t *testing.T, name string, request, relayed []byte) {
	t.Helper()
	require.NotNil(t, relayed, "%s: not relayed", name)
	back, info := naiveStrip(relayed)
	require.True(t, bytes.Equal(x.info.Bytes(), info), "%s: option 82 as configured", name)
	require.Equal(t, request[3]+1, back[3], "%s: hops", name)
	back[3] = request[3]
	require.Equal(t, request, back[:len(request)], "%s: the server sees the client's packet", name)
	require.Empty(t, bytes.Trim(back[len(request):], "\x00"), name)
}

func (x *exchange) parse(t *testing.T, name string, got []byte, want dhcp4.MessageType) *dhcp4.Message {
	t.Helper()
	var m dhcp4.Message
	require.NoError(t, m.Parse(got), name)
	require.Equal(t, want, m.Type(), name)
	return &m
}

// TestInteropKeaAnswersToSourcePort needs no privileges: with the source port sub-option
// (RFC 8357) no port below 1024 is involved.
func TestInteropKeaAnswersToSourcePort(t *testing.T) {
	binary := peertest.Need(t, "kea-dhcp4", "kea-dhcp4-server")
	port := strconv.Itoa(peertest.FreeUDPPort(t))
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	require.NoError(t, os.WriteFile(config, []byte(`{"Dhcp4": {
		"interfaces-config": {"interfaces": ["lo/127.0.0.1"], "dhcp-socket-type": "udp", "re-detect": false},
		"lease-database": {"type": "memfile", "persist": false}, "valid-lifetime": 3600,
		"subnet4": [{"id": 1, "subnet": "10.99.0.0/24", "relay": {"ip-addresses": ["127.0.0.2"]},
			"pools": [{"pool": "10.99.0.10 - 10.99.0.200"}]}],
		"loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}]}}`), 0o644))
	startServer(t, []string{binary, "-d", "-c", config, "-p", port}, dir, "DHCP4_STARTED")

	client, clientAddr := listen(t, "127.0.0.1:0")
	r, at, err := newRelay([]string{"-listen", "127.0.0.2:0", "-giaddr", "127.0.0.2", "-server", "127.0.0.1:" + port, "-client", clientAddr.String(), "-circuit-id", "lo"})
	require.NoError(t, err)
	conn, relayAddr := listen(t, at.String())
	serveInBackground(t, r, conn, conn)
	send(t, client, clientMessage(t, dhcp4.Discover, netip.Addr{}), relayAddr)
	got, _ := receive(t, client, patience)
	require.NotNil(t, got, "no answer")
	var m dhcp4.Message
	require.NoError(t, m.Parse(got))
	require.Equal(t, dhcp4.Offer, m.Type())
}

// naiveStrip does what Strip does, by other means: the first option 82 of the
// options field cut out, giaddr zero, at least 300 octets.
func naiveStrip(msg []byte) (rest, body []byte) {
	rest = slices.Clone(msg)
	clear(rest[24:28])
	for i := 240; i < len(rest) && rest[i] != 255; {
		switch {
		case rest[i] == 0:
			i++
			continue
		case rest[i] == 82:
			end := i + 2 + int(rest[i+1])
			body = slices.Clone(rest[i+2 : end])
			rest = slices.Delete(rest, i, end)
			for len(rest) < 300 {
				rest = append(rest, 0)
			}
			return rest, body
		}
		i += 2 + int(rest[i+1])
	}
	for len(rest) < 300 {
		rest = append(rest, 0)
	}
	return rest, nil
}
