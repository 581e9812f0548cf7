package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/ikedhcp/gopkt"
	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/peertest"
)

func TestMain(m *testing.M) {
	gopkt.Register()
	os.Exit(m.Run())
}

// shown runs the program, which must succeed.
func shown(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	require.Equal(t, statusOK, run(args, &stdout, &stderr), "%s%s", &stdout, &stderr)
	require.Empty(t, stderr.String())
	require.NotContains(t, stdout.String(), "FAILED")
	return stdout.String()
}

func TestWholeCourse(t *testing.T) {
	t.Parallel()
	out := shown(t)
	// In this order, whatever is between.
	rest := out
	for _, want := range []string{
		"IKE messages are not encrypted",
		"-- alice connects", "IKE_AUTH request 1", "DHCPDISCOVER", "option 82: circuit-id 0x", `subscriber-id "alice.example"`,
		"DHCPOFFER yiaddr 127.99.0.10", "DHCPACK yiaddr 127.99.0.10", "TSi 127.99.0.10-127.99.0.10",
		"-- alice renews", "INFORMATIONAL response 3    no payloads", "gateway -> alice    INFORMATIONAL request 0     DHCP",
		"-- bob connects", "gateway: holds the reply until the client's next request", "TSi 127.99.0.11-127.99.0.11",
		"-- a program of bob's", "straight to 127.99.0.11, intercepted",
		"-- mallory connects", "the SAs of alice are deleted", "the address of mallory is 127.99.0.10",
		"-- bob releases", "DHCPRELEASE", "127.99.0.11 is nobody's",
		"Checks",
	} {
		_, after, found := strings.Cut(rest, want)
		require.True(t, found, "%q is missing, or too early, in\n%s", want, out)
		rest = after
	}
	require.Equal(t, 15, strings.Count(rest, "  ok  "), "checks in\n%s", rest)
}

func TestCaptureDecodes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.pcap")
	shown(t, "-pcap", file, "-v")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	r, err := pcapgo.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	exchanges := map[string]int{}
	messages := map[dhcp4.MessageType]int{}
	for {
		b, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		packet := gopacket.NewPacket(b, r.LinkType(), gopacket.Default)
		ike, ok := packet.Layer(gopkt.LayerTypeIKEv2).(*gopkt.IKEv2)
		if !ok {
			continue
		}
		require.NoError(t, ike.MessageErr)
		exchanges[fmt.Sprint(ike.Exchange, ike.Response())]++
		for _, b := range ike.Messages {
			var m dhcp4.Message
			require.NoError(t, m.Parse(b))
			require.Equal(t, ike.Response() || ike.Flags&gopkt.FlagInitiator == 0, m.Op() == dhcp4.BootReply, "requests and replies go their way")
			messages[m.Type()]++
		}
	}
	require.Equal(t, exchanges["IKE_AUTHfalse"], exchanges["IKE_AUTHtrue"], "each request has one response")
	require.Equal(t, exchanges["INFORMATIONALfalse"], exchanges["INFORMATIONALtrue"], "each request has one response")
	for kind, n := range map[dhcp4.MessageType]int{dhcp4.Discover: 3, dhcp4.Offer: 3, dhcp4.Request: 4, dhcp4.ACK: 5, dhcp4.Inform: 1, dhcp4.Release: 1} {
		require.Equal(t, n, messages[kind], kind.String())
	}

	t.Run("TestInterop", func(t *testing.T) {
		tshark := peertest.Need(t, "tshark", "tshark")
		out, err := exec.Command(tshark, "-r", file, "-Y", "isakmp", "-V").CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.False(t, bytes.Contains(out, []byte("Malformed")), "tshark finds a malformed packet")
		require.Contains(t, string(out), "Payload: Private Use (200)")
	})
}

func TestUsage(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		status int
		stderr string
	}{
		"help":           {[]string{"-h"}, statusOK, "-giaddr ADDR"},
		"unknown flag":   {[]string{"-not"}, statusUsage, "not defined"},
		"an argument":    {[]string{"now"}, statusUsage, "usage: gateway"},
		"bad server":     {[]string{"-server", "nowhere"}, statusUsage, "usage: gateway"},
		"bad giaddr":     {[]string{"-giaddr", "::g"}, statusUsage, "usage: gateway"},
		"giaddr is IPv6": {[]string{"-giaddr", "::1"}, statusFailed, "GIAddr"},
		"no such folder": {[]string{"-pcap", filepath.Join(t.TempDir(), "not", "there")}, statusFailed, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, test.status, run(test.args, &stdout, &stderr))
			require.Contains(t, stderr.String(), test.stderr)
		})
	}
}

func TestServerPort(t *testing.T) {
	c, err := newConfig("192.0.2.9", "127.0.0.2")
	require.NoError(t, err)
	require.Equal(t, netip.MustParseAddrPort("192.0.2.9:67"), c.server)
	c, err = newConfig("192.0.2.9:1067", "127.0.0.2")
	require.NoError(t, err)
	require.Equal(t, netip.MustParseAddrPort("192.0.2.9:1067"), c.server)
}

func TestIKEMessages(t *testing.T) {
	first, chain, err := chainOf(payload{payloadIDi, idFQDN("alice.example")}, payload{ikedhcp.DefaultPayloadType, make([]byte, 300)})
	require.NoError(t, err)
	m := message{spiI: 1, spiR: 2, exchange: ikedhcp.IKEAuth, initiator: true, id: 7, first: first, chain: chain}
	b, err := m.sealed()
	require.NoError(t, err)
	got, err := parseMessage(b)
	require.NoError(t, err)
	require.Equal(t, m, got)
	for n := range b {
		_, err := parseMessage(b[:n])
		require.ErrorIs(t, err, errNotIKE, "%d octets of %d", n, len(b))
	}
	for at := range b {
		for _, v := range []byte{0, 1, 0x7f, 0xff} {
			bad := bytes.Clone(b)
			bad[at] = v
			if m, err := parseMessage(bad); err == nil {
				m.notify()
				m.find(payloadTSi)
			}
		}
	}
}

// TestInteropKea is the whole course against a server that many have.
func TestInteropKea(t *testing.T) {
	kea := peertest.Need(t, "kea-dhcp4", "kea-dhcp4-server")
	dir, port := t.TempDir(), peertest.FreeUDPPort(t)
	file := filepath.Join(dir, "kea.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"Dhcp4": {
		"interfaces-config": {"interfaces": ["lo/127.0.0.1"], "dhcp-socket-type": "udp", "outbound-interface": "same-as-inbound", "re-detect": false},
		"lease-database": {"type": "memfile", "persist": false}, "valid-lifetime": 3600, "authoritative": true,
		"subnet4": [{"id": 1, "subnet": "127.99.0.0/24", "relay": {"ip-addresses": ["127.0.0.2"]}, "pools": [{"pool": "127.99.0.10 - 127.99.0.200"}]}],
		"loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]}]}}`), 0o600))
	log := &lockedBuffer{}
	cmd := exec.Command(kea, "-d", "-c", file, "-p", fmt.Sprint(port))
	cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "DHCP4_STARTED") }, 10*time.Second, 20*time.Millisecond, "%s", log)
	out := shown(t, "-server", fmt.Sprintf("127.0.0.1:%d", port))
	require.Contains(t, out, "TSi 127.99.0.10-127.99.0.10")
	if !strings.Contains(out, "it takes privileges") {
		require.Contains(t, out, "straight to 127.99.0.11, intercepted", "Kea answers a relayed DHCPINFORM straight to ciaddr")
	}
}
