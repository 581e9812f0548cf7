package fuzz

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/wire"
)

// dhcpv4 is a BOOTREQUEST with the options field given.
func dhcpv4(options string) []byte {
	b, err := dhcp4.Header{Op: dhcp4.BootRequest, HType: 1, XID: 0x12345678, CHAddr: []byte{2, 0, 0, 0, 0, 1}}.AppendBinary(nil)
	if err != nil {
		panic(err)
	}
	return append(b, options...)
}

// dhcpv4Overloaded is one whose file and sname hold options, too.
func dhcpv4Overloaded(options, file, sname string) []byte {
	b := dhcpv4("\x34\x01\x03" + options)
	copy(b[108:236], file)
	copy(b[44:108], sname)
	return b
}

func FuzzDHCPv4(f *testing.F) {
	// A message that any client may send.
	f.Add(dhcpv4("\x35\x01\x01\x3d\x07\x01\x02\x00\x00\x00\x00\x01\x37\x02\x01\x03\xff\x00\x00"))
	// No option, no End.
	f.Add(dhcpv4(""))
	// The last option stops where its length would be.
	f.Add(dhcpv4("\x35\x01\x01\x0c"))
	// Options in all three fields, one of them split over all three.
	f.Add(dhcpv4Overloaded("\x43\x01a\xff", "\x43\x01b\xff", "\x43\x01c\xff"))
	// The option in file ends exactly at the cookie.
	f.Add(dhcpv4Overloaded("\xff", "\x0c\x7e"+string(make([]byte, 126)), "\xff"))
	// File says that sname is overloaded, which nobody may believe.
	f.Add(dhcpv4Overloaded("\xff", "\x34\x01\x02\xff", "\x0c\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m dhcp4.Message
		if err := m.Parse(data); err != nil {
			var pe *wire.ParseError
			require.ErrorAs(t, err, &pe)
			require.GreaterOrEqual(t, pe.Offset, 0)
			require.LessOrEqual(t, pe.Offset, len(data))
			return
		}

		header, err := dhcp4.Header{
			Op: m.Op(), HType: m.HType(), Hops: m.Hops(), XID: m.XID(), Secs: m.Secs(), Flags: m.Flags(),
			CIAddr: m.CIAddr(), YIAddr: m.YIAddr(), SIAddr: m.SIAddr(), GIAddr: m.GIAddr(), CHAddr: m.CHAddr(),
		}.AppendBinary(nil)
		require.NoError(t, err)
		named := 28 + len(m.CHAddr())
		require.Equal(t, data[:named], header[:named], "the header re-encodes to the same octets")

		// Options are apart, in order, each in its field, and what is between them
		// is Pad.
		limits := map[dhcp4.Field][2]int{dhcp4.FieldOptions: {240, len(data)}, dhcp4.FieldFile: {108, 236}, dhcp4.FieldSName: {44, 108}}
		in, at := dhcp4.FieldOptions, 240
		parts := map[uint8][]byte{}
		infos := 0
		for o := range m.Options() {
			if o.Field != in {
				require.Greater(t, o.Field, in)
				in, at = o.Field, limits[o.Field][0]
			}
			require.Empty(t, bytes.Trim(data[at:o.Offset], "\x00"), "only Pad between options")
			again, err := dhcp4.AppendOption(nil, o.Code, o.Data)
			require.NoError(t, err)
			at = o.Offset + len(again)
			require.LessOrEqual(t, at, limits[in][1])
			require.Equal(t, data[o.Offset:at], again, "an option re-encodes to the same octets")
			parts[o.Code] = append(parts[o.Code], o.Data...)
			if o.Field == dhcp4.FieldOptions {
				require.LessOrEqual(t, at, m.LastOption())
				if o.Code == dhcp4.OptionRelayAgentInfo {
					infos++
				}
			}
		}
		for code, want := range parts {
			got, ok := m.Option(code)
			require.True(t, ok)
			require.True(t, bytes.Equal(want, got), "a split option is its parts in order")
		}
		for range m.RelayAgentInfo() {
			infos--
		}
		require.Zero(t, infos, "RelayAgentInfo finds what Options finds")
		requirePrintable(t, m.String())

		if m.HasEnd() {
			var longer dhcp4.Message
			require.NoError(t, longer.Parse(append(slices.Clone(data), "behind End"...)))
			require.Equal(t, m.LastOption(), longer.LastOption(), "octets behind End mean nothing")
		}
	})
}
