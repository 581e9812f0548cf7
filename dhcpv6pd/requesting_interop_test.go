package dhcpv6pd

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dhcpsec.example/internal/dhcp6"
	"dhcpsec.example/internal/peertest"
	"github.com/stretchr/testify/require"
)

// Kea is the delegating router: it knows the certificate options by its
// configuration only. It listens on loopback, where there is no multicast, so
// that a relay agent stands between it and our RequestingRouter. The router's
// clock is virtual and jumps from deadline to deadline; Kea answers in real time.

// keaRelay is that relay agent.
type keaRelay struct {
	conn *net.UDPConn
	kea  netip.AddrPort
}

// startKea runs kea-dhcp6 with a delegation pool 2001:db8:8000::/40 of /56s, and
// these host reservations.
func startKea(t *testing.T, reservations ...map[string]any) *keaRelay {
	t.Helper()
	kea := peertest.Need(t, "kea-dhcp6", "kea-dhcp6-server")
	dir, port := t.TempDir(), peertest.FreeUDPPort(t)
	config, err := json.Marshal(map[string]any{"Dhcp6": map[string]any{
		"interfaces-config": map[string]any{"interfaces": []string{"lo/::1"}, "re-detect": false},
		"server-id":         map[string]any{"type": "EN", "enterprise-id": 32473, "identifier": "6472303031", "persist": false},
		"lease-database":    map[string]any{"type": "memfile", "persist": false},
		"renew-timer":       1000, "rebind-timer": 2000, "preferred-lifetime": 3000, "valid-lifetime": 4000,
		"mac-sources": []string{"duid"},
		"option-def": []map[string]any{
			{"name": "ca-pointer", "code": 65001, "space": "dhcp6", "type": "string"},
			{"name": "rr-cert", "code": 65003, "space": "dhcp6", "type": "binary"},
		},
		// Without always-send, so that it comes because it is asked for.
		"option-data": []map[string]any{{"name": "ca-pointer", "space": "dhcp6", "data": caURI}},
		"subnet6": []map[string]any{{
			"id": 1, "subnet": "::1/128", "interface": "lo", "reservations": append([]map[string]any{}, reservations...), // not null
			"pd-pools": []map[string]any{{"prefix": "2001:db8:8000::", "prefix-len": 40, "delegated-len": 56}},
		}},
		"loggers": []map[string]any{{"name": "kea-dhcp6", "severity": "INFO", "output_options": []map[string]any{{"output": "stdout"}}}},
	}})
	require.NoError(t, err)
	file := filepath.Join(dir, "kea-dhcp6.json")
	require.NoError(t, os.WriteFile(file, config, 0o600))

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, kea, "-d", "-c", file, "-p", fmt.Sprint(port))
	cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel() // kills Kea, which ends its output
		<-done
		_ = cmd.Wait()
	})
	started := make(chan bool, 1)
	var complaints strings.Builder // Kea's, until it has started
	go func() {
		defer close(done)
		up := false
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if !up && strings.Contains(lines.Text(), "ERROR") {
				fmt.Fprintln(&complaints, lines.Text())
			}
			if !up && strings.Contains(lines.Text(), "DHCP6_STARTED") {
				up = true
				started <- true
			}
		}
		if !up {
			started <- false
		}
	}()
	require.True(t, <-started, "Kea does not start:\n%s", &complaints)

	conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &keaRelay{conn: conn, kea: netip.AddrPortFrom(netip.IPv6Loopback(), uint16(port))}
}

// exchange relays a client's message to Kea and returns what Kea answers.
func (k *keaRelay) exchange(t *testing.T, msg []byte) []byte {
	t.Helper()
	w := dhcp6.NewRelayBuilder(nil, dhcp6.Relay{
		Type: dhcp6.RelayForward, LinkAddress: netip.IPv6Loopback(), PeerAddress: netip.MustParseAddr("fe80::1"),
	})
	// The answer is to come to the port that this came from (RFC 8357).
	w.OptionUint16(dhcp6.OptionRelaySourcePort, 0)
	w.Option(dhcp6.OptionRelayMessage, msg)
	forward, err := w.Bytes()
	require.NoError(t, err)
	_, err = k.conn.WriteToUDPAddrPort(forward, k.kea)
	require.NoError(t, err)

	require.NoError(t, k.conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	buf := make([]byte, 1<<16)
	n, err := k.conn.Read(buf)
	require.NoError(t, err, "Kea does not answer the %v", parsed(t, msg).Type)
	relay, err := dhcp6.ParseRelay(buf[:n])
	require.NoError(t, err)
	require.Equal(t, dhcp6.RelayReply, relay.Type)
	return relay.Message()
}

// ask sends the message last sent to Kea and delivers the answer.
func (x *rrTest) ask(t *testing.T, kea *keaRelay) []Action {
	t.Helper()
	acts, err := x.handle(kea.exchange(t, x.sent))
	require.NoError(t, err)
	return acts
}

// bindAt runs Solicit, Advertise, Request and Reply.
func (x *rrTest) bindAt(t *testing.T, kea *keaRelay) []Action {
	t.Helper()
	x.start()
	x.ask(t, kea)
	x.fire() // the end of the first RT: Kea sends no Preference
	x.requireSent(dhcp6.Request)
	acts := x.ask(t, kea)
	x.requireState(StateBound)
	return acts
}

func reservation(duid []byte, prefix string, certificate []byte) map[string]any {
	return map[string]any{
		"duid": hex.EncodeToString(duid), "prefixes": []string{prefix},
		"option-data": []map[string]any{{
			"name": "rr-cert", "space": "dhcp6", "csv-format": false, "data": hex.EncodeToString(certificate),
		}},
	}
}

func TestInteropKeaCase1(t *testing.T) {
	kea := startKea(t)
	x := newRRTest(t)
	acts := x.bindAt(t, kea)
	require.Equal(t, []ActionKind{ActionPrefixBound, ActionEnroll}, kinds(acts))
	bound := acts[0].IAs[0].Prefixes[0]
	require.True(t, prefix("2001:db8:8000::/40").Contains(bound.Prefix.Addr()))
	require.Equal(t, 56, bound.Prefix.Bits())
	require.Equal(t, 4000*time.Second, bound.Valid)
	require.Equal(t, serverDUID[:8], acts[0].DUID[:8])
	enroll := acts[1]
	require.Equal(t, caURI, enroll.URI, "the pointer that Kea was told to hand out")
	require.Equal(t, []netip.Prefix{bound.Prefix}, enroll.Prefixes)

	notAfter := enroll.NotAfter.Truncate(time.Second)
	only(t, x.enrolled(enroll.ID, trustAnchor().router(routerKey().Public(), routerDUID, start, notAfter, bound.Prefix)), ActionCertified)
	x.requireHolder(HolderCertified)
	require.True(t, x.mayAdvertise(bound.Prefix.String()))
}

func TestInteropKeaCase2(t *testing.T) {
	end := start.Add(time.Hour)
	good := trustAnchor().router(routerKey().Public(), routerDUID, start, end, prefix(delegated))
	wrong := trustAnchor().router(routerKey().Public(), routerDUID, start, end, prefix("2001:db8:8000:200::/56"))
	kea := startKea(t, reservation(routerDUID, delegated, good), reservation(otherDUID, "2001:db8:8000:300::/56", wrong))

	t.Run("certificate by host reservation", func(t *testing.T) {
		x := newRRTest(t, withKey)
		acts := x.bindAt(t, kea)
		require.Equal(t, []netip.Prefix{prefix(delegated)}, only(t, acts, ActionCertified).Prefixes)
		require.Equal(t, good, only(t, acts, ActionCertified).Certificate)
		x.requireHolder(HolderCertified)
		require.True(t, x.mayAdvertise(delegated))
	})
	t.Run("certificate for another prefix", func(t *testing.T) {
		x := newRRTest(t, withKey, func(c *RequestingRouterConfig) { c.Holder.DUID = otherDUID })
		acts := x.bindAt(t, kea)
		require.ErrorIs(t, only(t, acts, ActionCertificateRejected).Err, ErrWrongPrefixes)
		require.Equal(t, prefix("2001:db8:8000:300::/56"), only(t, acts, ActionPrefixBound).IAs[0].Prefixes[0].Prefix)
		require.False(t, x.mayAdvertise("2001:db8:8000:300::/56"))
		require.NotEqual(t, HolderCertified, x.rr.HolderState())
	})
}

func TestInteropKeaRenewRebindRelease(t *testing.T) {
	kea := startKea(t)
	x := newRRTest(t, withIAs(IA{IAID: 1}, IA{IAID: 2}))
	acts := x.bindAt(t, kea)
	held := only(t, acts, ActionPrefixBound).IAs
	require.Len(t, held, 2)
	refused := only(t, acts, ActionEnroll)
	_, err := x.rr.HandleEnrollFailed(x.now, refused.ID, nil)
	require.NoError(t, err)

	until := func(typ dhcp6.MessageType) {
		t.Helper()
		for x.sent = nil; x.sent == nil || parsed(t, x.sent).Type != typ; {
			x.fire()
		}
	}
	until(dhcp6.Renew)
	x.requireState(StateRenewing)
	require.Equal(t, held, only(t, x.ask(t, kea), ActionPrefixBound).IAs, "the same, for as long again")
	x.requireState(StateBound)

	until(dhcp6.Rebind)
	x.requireState(StateRebinding)
	require.Equal(t, held, only(t, x.ask(t, kea), ActionPrefixBound).IAs)
	x.requireState(StateBound)

	x.release()
	x.requireSent(dhcp6.Release)
	require.Empty(t, x.ask(t, kea))
	x.requireState(StateInit)
}

// Kea answers a Rebind that names a prefix it does not know with a new one, and
// the old one at lifetimes of zero.
func TestInteropKeaRebindOfAForeignPrefix(t *testing.T) {
	kea := startKea(t)
	x := newRRTest(t)
	const foreign = "2001:db8:7000:100::/56"
	x.rebind(iaPD(1, 1000, 2000, iaPrefix(foreign, 3000, 4000)), caPointer(t))
	acts := x.ask(t, kea)
	require.Equal(t, prefix(foreign), only(t, acts, ActionPrefixLost).IAs[0].Prefixes[0].Prefix)
	held := only(t, acts, ActionPrefixBound).IAs[0].Prefixes
	require.Len(t, held, 1)
	require.True(t, prefix("2001:db8:8000::/40").Contains(held[0].Prefix.Addr()))
	require.Less(t, slices.Index(kinds(acts), ActionPrefixLost), slices.Index(kinds(acts), ActionPrefixBound))
}
