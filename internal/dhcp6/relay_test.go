package dhcp6

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseRelay(t *testing.T) {
	b := twoRelays()
	outer, err := ParseRelay(b)
	require.NoError(t, err)
	require.Equal(t, RelayForward, outer.Type)
	require.Equal(t, uint8(1), outer.HopCount)
	require.Equal(t, netip.IPv6Unspecified(), outer.LinkAddress)
	require.Equal(t, netip.MustParseAddr("2001:db8:2::a"), outer.PeerAddress)
	_, ok := outer.InterfaceID()
	require.False(t, ok)
	port, ok := outer.RelaySourcePort()
	require.True(t, ok)
	require.Equal(t, uint16(1000), port)

	inner, err := ParseRelay(outer.Message())
	require.NoError(t, err)
	require.Zero(t, inner.HopCount)
	id, ok := inner.InterfaceID()
	require.True(t, ok)
	require.Equal(t, "port 3", string(id))
	require.Equal(t, solicit(), inner.Message())
	require.Equal(t, len(inner.Message()), cap(inner.Message()))
}

func TestParseRelayRefusesOtherMessages(t *testing.T) {
	for n := range 256 {
		b := relayMessage(MessageType(n), 0, "::", "fe80::1", option(OptionRelayMessage))
		_, err := ParseRelay(b)
		if n == 12 || n == 13 {
			require.NoError(t, err)
			continue
		}
		requireParseError(t, err, "msg-type", 0, ErrValue)
	}
}

func TestRFC8415Section21_10RelayMessage(t *testing.T) {
	_, err := ParseRelay(relayMessage(RelayForward, 0, "::", "fe80::1"))
	requireParseError(t, err, "RELAY_MSG", 34, ErrTruncated)
	_, err = ParseRelay(relayMessage(RelayForward, 0, "::", "fe80::1", option(OptionInterfaceID, []byte("x"))))
	requireParseError(t, err, "RELAY_MSG", 39, ErrTruncated)
	_, err = ParseRelay(relayMessage(RelayForward, 0, "::", "fe80::1",
		option(OptionRelayMessage, solicit()), option(OptionRelayMessage, solicit())))
	requireParseError(t, err, "RELAY_MSG", 34+4+len(solicit()), ErrDuplicate)

	r, err := ParseRelay(relayMessage(RelayReply, 0, "::", "fe80::1", option(OptionRelayMessage, []byte{200, 1})))
	require.NoError(t, err, "a relay agent processes a relay message regardless of the type of what it carries")
	require.Equal(t, []byte{200, 1}, r.Message())
}

func TestUnwrapLevels(t *testing.T) {
	kept := make([]Relay, 1, 20)
	for levels := range 12 {
		relays, m, err := Unwrap(nested(levels, solicit()), kept)
		if levels > 9 {
			// The tenth level's message begins behind nine headers.
			requireParseError(t, err, "RELAY_MSG", 9*(34+4), ErrTooLarge)
			require.Equal(t, kept, relays)
			continue
		}
		require.NoError(t, err, "%d levels", levels)
		require.Equal(t, Solicit, m.Type)
		require.Len(t, relays, 1+levels)
		for i, r := range relays[1:] {
			require.Equal(t, uint8(levels-1-i), r.HopCount, "outermost first")
		}
	}
}

func TestUnwrapOffsetsCountFromTheOutermostOctet(t *testing.T) {
	for name, test := range map[string]struct {
		inner    []byte
		field    string
		offset   int // within inner
		sentinel error
	}{
		"empty":                      {nil, "msg-type", 0, ErrTruncated},
		"unknown type":               {[]byte{99, 0, 0, 0}, "msg-type", 0, ErrValue},
		"header cut":                 {[]byte{1, 0}, "transaction-id", 1, ErrTruncated},
		"option cut":                 {append(solicit(), 0), "option-code", len(solicit()), ErrTruncated},
		"relay without its message":  {relayMessage(RelayForward, 0, "::", "::"), "RELAY_MSG", 34, ErrTruncated},
		"relay header cut":           {relayMessage(RelayForward, 0, "::", "::")[:20], "peer-address", 18, ErrTruncated},
		"Relay-reply in the forward": {relayMessage(RelayReply, 0, "::", "::", option(9, solicit())), "msg-type", 0, ErrValue},
	} {
		t.Run(name, func(t *testing.T) {
			b := relayMessage(RelayForward, 0, "::", "fe80::1",
				option(OptionInterfaceID, []byte("five5")), option(OptionRelayMessage, test.inner))
			_, _, err := Unwrap(b, nil)
			requireParseError(t, err, test.field, 34+9+4+test.offset, test.sentinel)
		})
	}
}

func TestRFC8415Section19_3RelayReply(t *testing.T) {
	relays, _, err := Unwrap(twoRelays(), nil)
	require.NoError(t, err)
	got, err := AppendRelayReply([]byte("before"), relays, reply())
	require.NoError(t, err)
	inner := relayMessage(RelayReply, 0, "2001:db8:1::1", "fe80::c",
		option(OptionInterfaceID, []byte("port 3")),
		option(OptionRelaySourcePort, u16(0)),
		option(OptionRelayMessage, reply()))
	want := relayMessage(RelayReply, 1, "::", "2001:db8:2::a",
		option(OptionRelaySourcePort, u16(1000)),
		option(OptionRelayMessage, inner))
	require.Equal(t, append([]byte("before"), want...), got)

	back, m, err := Unwrap(got[len("before"):], nil)
	require.NoError(t, err)
	require.Len(t, back, 2)
	require.Equal(t, Reply, m.Type)
}

func TestAppendRelayReplyEchoesNothingElse(t *testing.T) {
	forward, err := ParseRelay(relayMessage(RelayForward, 3, "2001:db8::1", "fe80::1",
		option(37, []byte("remote id")), option(OptionRelaySourcePort, []byte{1}), option(OptionRelayMessage, solicit())))
	require.NoError(t, err)
	got, err := AppendRelayReply(nil, []Relay{forward}, reply())
	require.NoError(t, err)
	require.Equal(t, relayMessage(RelayReply, 3, "2001:db8::1", "fe80::1", option(OptionRelayMessage, reply())), got)
}

func TestAppendRelayReplyWithoutRelays(t *testing.T) {
	got, err := AppendRelayReply(nil, nil, reply())
	require.NoError(t, err)
	require.Equal(t, reply(), got)
}

func TestAppendRelayReplyErrorsLeaveTheBuffer(t *testing.T) {
	good := Relay{Type: RelayForward, LinkAddress: netip.IPv6Unspecified(), PeerAddress: netip.MustParseAddr("fe80::1")}
	with := func(change func(*Relay)) Relay {
		r := good
		change(&r)
		return r
	}
	for name, test := range map[string]struct {
		forwards []Relay
		reply    []byte
		sentinel error
	}{
		"ten levels":             {make([]Relay, 10), reply(), ErrTooLarge},
		"reply of 65536 octets":  {[]Relay{good}, make([]byte, 65536), ErrTooLarge},
		"outer level too large":  {[]Relay{good, good}, make([]byte, 65535-37), ErrTooLarge},
		"Relay-reply":            {[]Relay{good, with(func(r *Relay) { r.Type = RelayReply })}, reply(), ErrValue},
		"no peer address":        {[]Relay{with(func(r *Relay) { r.PeerAddress = netip.Addr{} })}, reply(), ErrValue},
		"no link address":        {[]Relay{with(func(r *Relay) { r.LinkAddress = netip.Addr{} })}, reply(), ErrValue},
		"IPv4 as a peer address": {[]Relay{with(func(r *Relay) { r.PeerAddress = netip.MustParseAddr("192.0.2.1") })}, reply(), ErrValue},
	} {
		t.Run(name, func(t *testing.T) {
			before := append(make([]byte, 0, 256), "before"...)
			got, err := AppendRelayReply(before, test.forwards, test.reply)
			require.ErrorIs(t, err, test.sentinel)
			require.Equal(t, "before", string(got))
		})
	}
	got, err := AppendRelayReply(nil, []Relay{good, good}, make([]byte, 65535-38))
	require.NoError(t, err, "the largest reply for two levels")
	require.Len(t, got, 65535+38)
}

func TestRelayAppendBinaryIsStructuralAtEveryLevel(t *testing.T) {
	for name, b := range map[string][]byte{
		"two relays":        twoRelays(),
		"nine relays":       nested(9, reply()),
		"twelve relays":     nested(12, reply()),
		"empty message":     nested(1, nil),
		"unknown message":   nested(2, []byte{99, 1, 2}),
		"malformed message": nested(2, []byte{1, 1, 2, 3, 0, 1, 0, 9}),
		"malformed relay":   nested(2, []byte{12, 1, 2, 3}),
		"IPv4-mapped peer":  relayMessage(RelayReply, 255, "::ffff:192.0.2.1", "::ffff:192.0.2.2", option(9, reply())),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseRelay(b)
			require.NoError(t, err)
			out, err := r.AppendBinary([]byte("before"))
			require.NoError(t, err)
			require.Equal(t, append([]byte("before"), b...), out)
		})
	}
}

func TestRelayAppendBinaryRefusesWhatDoesNotParse(t *testing.T) {
	r := Relay{Type: RelayForward, LinkAddress: netip.IPv6Unspecified(), PeerAddress: netip.IPv6Unspecified()}
	out, err := r.AppendBinary([]byte("before"))
	requireParseError(t, err, "RELAY_MSG", 34, ErrTruncated)
	require.Equal(t, "before", string(out))
	out, err = Relay{}.AppendBinary(nil)
	require.ErrorIs(t, err, ErrValue)
	require.Empty(t, out)
}

func TestRelayAddressesLoseTheirZone(t *testing.T) {
	r := Relay{
		Type: RelayForward, LinkAddress: netip.IPv6Unspecified(), PeerAddress: netip.MustParseAddr("fe80::1%eth0"),
		Options: option(OptionRelayMessage, solicit()),
	}
	out, err := r.AppendBinary(nil)
	require.NoError(t, err)
	require.True(t, bytes.Equal(relayMessage(RelayForward, 0, "::", "fe80::1", option(9, solicit())), out))
}
