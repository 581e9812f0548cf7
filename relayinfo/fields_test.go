package relayinfo

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFieldsLayout(t *testing.T) {
	for _, tc := range []struct {
		clause string
		fields Fields
		want   string
	}{
		{"RFC 3046 3.1", Fields{CircuitID: []byte{0xaa}}, "01 01 aa"},
		{"RFC 3046 3.1 empty but there", Fields{CircuitID: []byte{}}, "01 00"},
		{"RFC 3046 3.2", Fields{RemoteID: []byte{0xaa}}, "02 01 aa"},
		{"RFC 3256", Fields{DeviceClass: new(uint32(1))}, "04 04 00000001"},
		{"RFC 3527 3", Fields{LinkSelection: netip.MustParseAddr("198.51.100.0")}, "05 04 c6336400"},
		{"RFC 3993 3.1", Fields{SubscriberID: "ab"}, "06 02 6162"},
		{"RFC 4014 3", Fields{RADIUSAttributes: []byte("\x01\x03a")}, "07 03 01 03 61"},
		{"RFC 4243 3", Fields{VendorSpecific: []VendorData{{32473, []byte{0xaa}}, {9, nil}}}, "09 0b 00007ed9 01 aa 00000009 00"},
		{"RFC 5010 3 unicast", Fields{Flags: new(FlagUnicast)}, "0a 01 80"},
		{"RFC 5010 4 broadcast is said as well", Fields{Flags: new(Flags(0))}, "0a 01 00"},
		{"RFC 5107 4", Fields{ServerIDOverride: netip.MustParseAddr("192.0.2.1")}, "0b 04 c0000201"},
		{"RFC 6925 4", Fields{RelayID: []byte{0xaa}}, "0c 01 aa"},
		{"RFC 8357 4.1", Fields{SourcePort: true}, "13 00"},
		{"RFC 6607 5 VSS-Control MUST go with VSS", Fields{VSS: &VSS{VSSGlobal, nil}}, "97 01 ff 98 00"},
		{"others as they are, 0 and 255 too", Fields{Other: []SubOption{{0, []byte{0xaa}}, {255, nil}, {0, nil}}}, "00 01 aa ff 00 00 00"},
	} {
		t.Run(tc.clause, func(t *testing.T) {
			info, err := tc.fields.Info()
			require.NoError(t, err)
			require.Equal(t, fromHex(t, tc.want), info.Bytes())
			_, err = Parse(info.Bytes())
			require.NoError(t, err)
		})
	}
}

func TestFieldsRefuse(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fields Fields
		err    error
		text   string
	}{
		{"no sub-option", Fields{}, ErrAbsent, "without a sub-option"},
		{"a value of 256 octets", Fields{CircuitID: make([]byte, 256)}, ErrTooLarge, "circuit-id"},
		{"an unknown value of 256 octets", Fields{Other: []SubOption{{200, make([]byte, 256)}}}, ErrTooLarge, "sub-option-200"},
		{"a body of 256 octets", Fields{CircuitID: make([]byte, 126), RemoteID: make([]byte, 126)}, ErrTooLarge, "256 octets"},
		{"one value too large for the body", Fields{CircuitID: make([]byte, 254)}, ErrTooLarge, "256 octets"},
		{"an IPv6 link", Fields{LinkSelection: netip.MustParseAddr("2001:db8::")}, ErrValue, "link-selection"},
		{"an IPv4 address in IPv6 form", Fields{ServerIDOverride: netip.MustParseAddr("::ffff:192.0.2.1")}, ErrValue, "server-id-override"},
		{"a subscriber-id that ends in NUL (RFC 3993 3.1 MUST NOT)", Fields{SubscriberID: "a\x00"}, ErrValue, "subscriber-id"},
		{"a subscriber-id that is not ASCII", Fields{SubscriberID: "ä"}, ErrValue, "subscriber-id"},
		{"RADIUS attributes that overrun", Fields{RADIUSAttributes: []byte{1, 4, 0}}, ErrTruncated, "radius-attributes"},
		{"no RADIUS attributes", Fields{RADIUSAttributes: []byte{}}, ErrLength, "radius-attributes"},
		{"no vendor", Fields{VendorSpecific: []VendorData{}}, ErrLength, "vendor-specific"},
		{"vendor data of 256 octets", Fields{VendorSpecific: []VendorData{{9, make([]byte, 256)}}}, ErrTooLarge, "vendor-specific"},
		{"flags with a reserved bit (RFC 5010 3: MUST be zero)", Fields{Flags: new(FlagUnicast | 1)}, ErrValue, "relay-flags"},
		{"an empty relay-id (RFC 6925 4)", Fields{RelayID: []byte{}}, ErrLength, "relay-id"},
		{"a global VSS with information (RFC 6607 3.5 MUST NOT)", Fields{VSS: &VSS{VSSGlobal, []byte{0}}}, ErrLength, "vss"},
		{"a VPN-ID of six octets (RFC 6607 3.5)", Fields{VSS: &VSS{VSSVPNID, make([]byte, 6)}}, ErrLength, "vss"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := make([]byte, 6, 1000)
			copy(b, "before")
			got, err := tc.fields.AppendBinary(b)
			require.ErrorIs(t, err, tc.err)
			require.ErrorContains(t, err, tc.text)
			require.Equal(t, []byte("before"), got, "on error the slice comes back as it was")
			info, err := tc.fields.Info()
			require.ErrorIs(t, err, tc.err)
			require.False(t, info.IsValid())
		})
	}
}

func TestLargestBody(t *testing.T) {
	info, err := Fields{CircuitID: make([]byte, 253)}.Info()
	require.NoError(t, err)
	require.Len(t, info.Bytes(), MaxBody)
	option, err := info.AppendOption(nil)
	require.NoError(t, err)
	require.Equal(t, []byte{82, 255, 1, 253}, option[:4])
}
