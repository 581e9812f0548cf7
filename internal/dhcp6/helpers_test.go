package dhcp6

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The tests spell octets out with these, not with the Builder, so that a fault
// common to Builder and parser does not hide.

func option(code uint16, parts ...[]byte) []byte {
	data := slices.Concat(parts...)
	b := binary.BigEndian.AppendUint16(nil, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

func u16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func message(t MessageType, options ...[]byte) []byte {
	return append([]byte{byte(t), 1, 2, 3}, slices.Concat(options...)...)
}

func relayMessage(t MessageType, hops uint8, link, peer string, options ...[]byte) []byte {
	l, p := netip.MustParseAddr(link).As16(), netip.MustParseAddr(peer).As16()
	return slices.Concat([]byte{byte(t), hops}, l[:], p[:], slices.Concat(options...))
}

// nested is a client message within that many Relay-forwards.
func nested(levels int, inner []byte) []byte {
	for hop := range levels {
		inner = relayMessage(RelayForward, uint8(hop), "::", "fe80::1", option(OptionRelayMessage, inner))
	}
	return inner
}

var (
	clientDUID = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1}
	serverDUID = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 2}
)

// iaprefix is an IA Prefix option with a prefix as it stands, not masked.
func iaprefix(preferred, valid uint32, bits uint8, addr string, options ...[]byte) []byte {
	a := netip.MustParseAddr(addr).As16()
	return option(OptionIAPrefix, u32(preferred), u32(valid), []byte{bits}, a[:], slices.Concat(options...))
}

func iapd(iaid, t1, t2 uint32, options ...[]byte) []byte {
	return option(OptionIAPD, u32(iaid), u32(t1), u32(t2), slices.Concat(options...))
}

// reply is a Reply with one of everything that a Reply of prefix delegation has.
func reply() []byte {
	return message(Reply,
		option(OptionClientID, clientDUID),
		option(OptionServerID, serverDUID),
		iapd(1, 1000, 2000,
			iaprefix(3000, 4000, 56, "2001:db8:8000:100::", option(OptionStatusCode, u16(0))),
			iaprefix(0, 0, 56, "2001:db8:8000:200::")),
		iapd(2, 0, 0, option(OptionStatusCode, u16(6), []byte("no prefix"))),
		option(OptionSolMaxRT, u32(3600)),
		option(OptionVendorOpts, u32(32473), option(1, []byte("x"))),
		option(65001, []byte("https://ca.example/")))
}

// solicit is a Solicit with one of everything that a Solicit has.
func solicit() []byte {
	return message(Solicit,
		option(OptionClientID, clientDUID),
		option(OptionORO, u16(OptionSolMaxRT), u16(65001)),
		option(OptionElapsedTime, u16(150)),
		option(OptionRapidCommit),
		iapd(1, 0, 0, iaprefix(0, 0, 56, "::")))
}

// twoRelays is solicit as it comes from a relay agent behind another one.
func twoRelays() []byte {
	inner := relayMessage(RelayForward, 0, "2001:db8:1::1", "fe80::c",
		option(OptionInterfaceID, []byte("port 3")),
		option(OptionRelayMessage, solicit()),
		option(OptionRelaySourcePort, u16(0)))
	return relayMessage(RelayForward, 1, "::", "2001:db8:2::a",
		option(OptionRelaySourcePort, u16(1000)),
		option(OptionRelayMessage, inner))
}

func requireParseError(t *testing.T, err error, field string, offset int, sentinel error) {
	t.Helper()
	var pe *ParseError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, ParseError{Field: field, Offset: offset, Err: sentinel}, *pe)
}
