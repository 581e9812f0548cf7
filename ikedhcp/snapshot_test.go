package ikedhcp

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/wire"
	"dhcpsec.example/relayinfo"
)

// restored is a gateway with the snapshot of g, some time later.
func (g *gateway) restored(later time.Duration) *gateway {
	g.t.Helper()
	r := must(NewRelay(g.relay.cfg))
	now := g.now.Add(later)
	require.NoError(g.t, r.Restore(now, g.relay.AppendSnapshot(nil)))
	return &gateway{t: g.t, relay: r, now: now, id: g.id}
}

// populated is a gateway whose snapshot has everything that one can have.
func populated(t testing.TB) *gateway {
	g := newGateway(t, func(c *RelayConfig) { c.ReleaseOnClose = true })
	require.NoError(t, g.relay.OpenSA(g.now, 1)) // not authenticated
	g.open(2, "two")                             // no address
	g.leased(alice, "alice", here)
	g.leased(alice+1, "alice", here)
	require.NoError(t, g.relay.OpenSA(g.now, bob))
	g.authenticated(bob, "bob", relayinfo.Fields{SubscriberID: "bob"})
	request := fromClient(1, dhcp4.Request, option(dhcp4.OptionClientIdentifier, 0, 'm', 'e'))
	g.reply(answerTo(g.relayed(bob, request), dhcp4.ACK, there, leaseTime(0xffffffff)))
	require.NoError(t, g.relay.Rekeyed(g.now, bob, bob+0x100))
	return g
}

func TestRestoreIsTheInverseOfSnapshot(t *testing.T) {
	g := populated(t)
	again := g.restored(0)
	require.Equal(t, g.relay.AppendSnapshot(nil), again.relay.AppendSnapshot(nil))
	require.Equal(t, g.relay.Len(), again.relay.Len())

	require.Equal(t, here, again.address(alice))
	require.Equal(t, there, again.address(bob), "the old SPI is an alias still")
	relayed := again.relayed(bob+0x100, fromClient(9, dhcp4.Request, ciaddr(there)))
	require.Equal(t, "bob", string(must(must(relayinfo.Find(relayed)).SubscriberID())))
	require.Contains(t, kinds(again.close(bob+0x100)), ActionToServer, "the DHCPRELEASE")
}

// Restore and the same inputs give the same outputs.
func TestRestoredRelayGoesOnAsBefore(t *testing.T) {
	before := populated(t)
	after := before.restored(0)
	steps := []func(g *gateway) []Action{
		func(g *gateway) []Action { return g.authenticated(1, "one", relayinfo.Fields{}) },
		func(g *gateway) []Action { return g.request(2, fromClient(1, dhcp4.Discover)) },
		func(g *gateway) []Action { return g.wait(DefaultWaitTime) },
		func(g *gateway) []Action { return g.lease(2, there) }, // evicts bob
		func(g *gateway) []Action { return g.established(2) },
		func(g *gateway) []Action {
			return g.request(alice, fromClient(3, dhcp4.Release, ciaddr(here)))
		},
		func(g *gateway) []Action { return g.close(alice + 1) },
		func(g *gateway) []Action { return g.wait(time.Hour) },
	}
	for i, step := range steps {
		want := step(before)
		require.Equal(t, want, step(after), "step %d", i)
	}
}

func TestLeasesEndDuringARestart(t *testing.T) {
	g := newGateway(t)
	g.leased(alice, "alice", here)
	g.leased(bob, "bob", there)
	again := g.restored(time.Hour - 1)
	require.Empty(t, again.wait(0))
	require.Len(t, again.wait(1), 4)

	again = g.restored(2 * time.Hour)
	require.Equal(t, here, again.address(alice))
	require.Equal(t, []ActionKind{ActionClearAddress, ActionLeaseExpired, ActionClearAddress, ActionLeaseExpired}, kinds(again.wait(0)))
}

func TestRestoreRefuses(t *testing.T) {
	good := populated(t).relay.AppendSnapshot(nil)
	with := func(change func(b []byte) []byte) []byte { return change(slices.Clone(good)) }
	const first = len(snapshotHeader) + 4
	for _, tc := range []struct {
		name     string
		snapshot []byte
		err      error
	}{
		{"another header", with(func(b []byte) []byte { b[0]++; return b }), ErrValue},
		{"another version", with(func(b []byte) []byte { b[7]++; return b }), ErrValue},
		{"an SA too many", with(func(b []byte) []byte { b[11]++; return b }), ErrTruncated},
		{"four thousand million SAs", with(func(b []byte) []byte { binary.BigEndian.PutUint32(b[8:], 1<<32-1); return b }), ErrLength},
		{"an SA too few", with(func(b []byte) []byte { b[11]--; return b }), ErrTrailing},
		{"no SPI", with(func(b []byte) []byte { clear(b[first:][:8]); return b }), ErrValue},
		{"an SPI twice", with(func(b []byte) []byte { binary.BigEndian.PutUint64(b[first:], uint64(alice)); return b }), wire.ErrDuplicate},
		{"an alias of another SA", with(func(b []byte) []byte { binary.BigEndian.PutUint64(b[first+8:], uint64(alice)); return b }), wire.ErrDuplicate},
		{"an SA that is its own alias", with(func(b []byte) []byte { b[first+15] = 1; return b }), ErrValue},
		{"no phase", with(func(b []byte) []byte { b[first+16] = 0; return b }), ErrValue},
		{"phase 4", with(func(b []byte) []byte { b[first+16] = 4; return b }), ErrValue},
		{"authenticated as nobody", with(func(b []byte) []byte { b[first+16] = 2; return b }), ErrValue},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := must(NewRelay(RelayConfig{GIAddr: giaddr}))
			err := r.Restore(start, tc.snapshot)
			require.ErrorIs(t, err, tc.err)
			pe, ok := errors.AsType[*ParseError](err)
			require.True(t, ok)
			require.LessOrEqual(t, pe.Offset, len(tc.snapshot))
			require.Zero(t, r.Len())
			require.NoError(t, r.Restore(start, good), "the Relay is as good as new")
		})
	}
	t.Run("every truncation", func(t *testing.T) {
		r := must(NewRelay(RelayConfig{GIAddr: giaddr}))
		for n := range good {
			err := r.Restore(start, good[:n])
			pe, ok := errors.AsType[*ParseError](err)
			require.True(t, ok, "%d octets: %v", n, err)
			require.LessOrEqual(t, pe.Offset, n)
		}
	})
	t.Run("every octet set to every value", func(t *testing.T) {
		r := must(NewRelay(RelayConfig{GIAddr: giaddr}))
		for i := range good {
			for _, v := range []byte{0, 1, 0x7f, 0x80, 0xff} {
				changed := slices.Clone(good)
				changed[i] = v
				if r.Restore(start, changed) == nil {
					r.HandleTimeout(start.Add(time.Hour), nil)
					r.AppendSnapshot(nil)
					r.reset()
				}
			}
		}
	})
	t.Run("more than MaxSAs", func(t *testing.T) {
		r := must(NewRelay(RelayConfig{GIAddr: giaddr, MaxSAs: 4}))
		require.ErrorIs(t, r.Restore(start, good), ErrTooLarge)
	})
	t.Run("two identities with one address", func(t *testing.T) {
		g := newGateway(t)
		g.leased(alice, "alice", here)
		g.leased(alice+1, "alice", here)
		s := g.relay.lookup(alice)
		s.identity = "mallory"
		require.ErrorIs(t, must(NewRelay(RelayConfig{GIAddr: giaddr})).Restore(start, g.relay.AppendSnapshot(nil)), wire.ErrDuplicate)
	})
	t.Run("a Relay in use", func(t *testing.T) {
		g := newGateway(t)
		g.open(alice, "alice")
		require.Error(t, g.relay.Restore(start, good))
		require.Equal(t, 1, g.relay.Len())
	})
}
