package dhcp6

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func buildReply(b []byte) ([]byte, error) {
	w := NewBuilder(b, Reply, TransactionID{1, 2, 3})
	w.Option(OptionClientID, clientDUID)
	w.Option(OptionServerID, serverDUID)
	w.BeginIAPD(1, 1000, 2000)
	w.BeginIAPrefix(3000, 4000, netip.MustParsePrefix("2001:db8:8000:100::/56"))
	w.Status(Success, "")
	w.End()
	w.IAPrefix(0, 0, netip.MustParsePrefix("2001:db8:8000:200::/56"))
	w.End()
	w.BeginIAPD(2, 0, 0)
	w.Status(NoPrefixAvail, "no prefix")
	w.End()
	w.OptionUint32(OptionSolMaxRT, 3600)
	w.Option(OptionVendorOpts, vendorData)
	w.Option(65001, caPointer)
	return w.Bytes()
}

var (
	vendorData = append(u32(32473), option(1, []byte("x"))...)
	caPointer  = []byte("https://ca.example/")
)

func buildSolicit(b []byte) ([]byte, error) {
	w := NewBuilder(b, Solicit, TransactionID{1, 2, 3})
	w.Option(OptionClientID, clientDUID)
	w.ORO(OptionSolMaxRT, 65001)
	w.OptionUint16(OptionElapsedTime, 150)
	w.Option(OptionRapidCommit, nil)
	w.BeginIAPD(1, 0, 0)
	w.IAPrefix(0, 0, netip.PrefixFrom(netip.IPv6Unspecified(), 56))
	w.End()
	return w.Bytes()
}

func TestBuilderWritesTheOctetsOfTheRFC(t *testing.T) {
	got, err := buildReply([]byte("before"))
	require.NoError(t, err)
	require.Equal(t, append([]byte("before"), reply()...), got)

	got, err = buildSolicit(nil)
	require.NoError(t, err)
	require.Equal(t, solicit(), got)

	w := NewBuilder(nil, Advertise, TransactionID{1, 2, 3})
	w.OptionUint8(OptionPreference, 255)
	w.BeginIANA(7, 1, 2)
	w.Status(NoAddrsAvail, "é")
	w.End()
	w.BeginIATA(8)
	w.End()
	w.Raw(option(65001, []byte("raw")))
	got, err = w.Bytes()
	require.NoError(t, err)
	require.Equal(t, message(Advertise,
		option(OptionPreference, []byte{255}),
		option(OptionIANA, u32(7), u32(1), u32(2), option(OptionStatusCode, u16(2), []byte("é"))),
		option(OptionIATA, u32(8)),
		option(65001, []byte("raw"))), got)
}

func TestRelayBuilder(t *testing.T) {
	w := NewRelayBuilder(nil, Relay{
		Type: RelayForward, HopCount: 0,
		LinkAddress: netip.MustParseAddr("2001:db8:1::1"), PeerAddress: netip.MustParseAddr("fe80::c%eth0"),
		Options: []byte("not copied"),
	})
	w.Option(OptionInterfaceID, []byte("port 3"))
	w.Option(OptionRelayMessage, solicit())
	got, err := w.Bytes()
	require.NoError(t, err)
	require.Equal(t, relayMessage(RelayForward, 0, "2001:db8:1::1", "fe80::c",
		option(OptionInterfaceID, []byte("port 3")), option(OptionRelayMessage, solicit())), got)
}

func TestBuilderErrors(t *testing.T) {
	v6 := netip.MustParsePrefix("2001:db8::/32")
	for name, test := range map[string]struct {
		build    func(*Builder)
		sentinel error
	}{
		"option of 65536 octets":           {func(w *Builder) { w.Option(1, make([]byte, 65536)) }, ErrTooLarge},
		"option request of 32768 codes":    {func(w *Builder) { w.ORO(make([]uint16, 32768)...) }, ErrTooLarge},
		"option too large once it ends":    {func(w *Builder) { w.BeginIAPD(1, 0, 0); w.Option(65001, make([]byte, 65520)); w.End() }, ErrTooLarge},
		"IPv4 prefix":                      {func(w *Builder) { w.IAPrefix(1, 2, netip.MustParsePrefix("192.0.2.0/24")) }, ErrValue},
		"invalid prefix":                   {func(w *Builder) { w.IAPrefix(1, 2, netip.Prefix{}) }, ErrValue},
		"prefix too long":                  {func(w *Builder) { w.IAPrefix(1, 2, netip.PrefixFrom(v6.Addr(), 129)) }, ErrValue},
		"status text not UTF-8":            {func(w *Builder) { w.Status(UnspecFail, "\xff") }, ErrValue},
		"status text null-terminated":      {func(w *Builder) { w.Status(UnspecFail, "no\x00") }, ErrValue},
		"Begin without End":                {func(w *Builder) { w.BeginIAPD(1, 0, 0) }, ErrValue},
		"End without Begin":                {func(w *Builder) { w.End() }, ErrValue},
		"five levels":                      {func(w *Builder) { w.Begin(1); w.Begin(1); w.Begin(1); w.Begin(1); w.Begin(1) }, ErrTooLarge},
		"raw octets cut short":             {func(w *Builder) { w.Raw([]byte{0, 1, 0, 1}) }, ErrTruncated},
		"two client identifiers":           {func(w *Builder) { w.Option(1, clientDUID); w.Option(1, clientDUID) }, ErrDuplicate},
		"DUID of two octets":               {func(w *Builder) { w.Option(OptionServerID, []byte{0, 1}) }, ErrLength},
		"first error sticks":               {func(w *Builder) { w.End(); w.Option(1, make([]byte, 65536)); w.BeginIAPD(1, 2, 3) }, ErrValue},
		"error, then a balanced remainder": {func(w *Builder) { w.BeginIAPD(1, 0, 0); w.Status(0, "\x00"); w.IAPrefix(1, 1, v6); w.End() }, ErrValue},
	} {
		t.Run(name, func(t *testing.T) {
			before := append(make([]byte, 0, 64), "before"...)
			w := NewBuilder(before, Reply, TransactionID{1, 2, 3})
			test.build(&w)
			got, err := w.Bytes()
			require.ErrorIs(t, err, test.sentinel)
			require.Equal(t, "before", string(got))
			got, err = w.Bytes()
			require.ErrorIs(t, err, test.sentinel, "asked again")
			require.Equal(t, "before", string(got))
		})
	}
}

func TestBuilderRefusesTypesOfTheOtherHeader(t *testing.T) {
	for _, typ := range []MessageType{0, RelayForward, RelayReply, 14, 255} {
		w := NewBuilder([]byte("before"), typ, TransactionID{})
		w.Option(OptionClientID, clientDUID)
		got, err := w.Bytes()
		require.ErrorIs(t, err, ErrValue, "%s", typ)
		require.Equal(t, "before", string(got))
	}
	w := NewRelayBuilder(nil, Relay{Type: Solicit, LinkAddress: netip.IPv6Unspecified(), PeerAddress: netip.IPv6Unspecified()})
	_, err := w.Bytes()
	require.ErrorIs(t, err, ErrValue)
	w = NewRelayBuilder(nil, Relay{Type: RelayForward, LinkAddress: netip.IPv6Unspecified()})
	_, err = w.Bytes()
	require.ErrorIs(t, err, ErrValue, "no peer address")
	w = NewRelayBuilder(nil, Relay{Type: RelayReply, LinkAddress: netip.IPv6Unspecified(), PeerAddress: netip.IPv6Unspecified()})
	_, err = w.Bytes()
	requireParseError(t, err, "RELAY_MSG", 34, ErrTruncated)
	var zero Builder
	_, err = zero.Bytes()
	require.ErrorIs(t, err, ErrTruncated, "a Builder that nobody made")
}

func TestBuilderLargestOption(t *testing.T) {
	w := NewBuilder(nil, Reply, TransactionID{})
	w.Option(65001, make([]byte, 65535))
	got, err := w.Bytes()
	require.NoError(t, err)
	m, err := ParseMessage(got)
	require.NoError(t, err)
	data, _ := m.Options.Find(65001)
	require.Len(t, data, 65535)
}
