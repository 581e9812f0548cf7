package fuzz

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// requirePrintable requires that s can go to a log as it is.
func requirePrintable(t *testing.T, s string) {
	t.Helper()
	for _, r := range s {
		require.True(t, r >= ' ' && r <= '~', "%q", s)
	}
}

func FuzzInfo(f *testing.F) {
	// The circuit id of an IKE gateway: an SPI.
	f.Add([]byte("\x01\x08\x01\x23\x45\x67\x89\xab\xcd\xef"))
	// Nothing: not the same as no option 82.
	f.Add([]byte(""))
	// The second sub-option ends one octet behind the body.
	f.Add([]byte("\x01\x00\x02\x02a"))
	// Codes 0 and 255, which are Pad and End elsewhere.
	f.Add([]byte("\x00\x01a\xff\x00\x00\x00"))
	// Two circuit ids.
	f.Add([]byte("\x01\x01a\x01\x01b"))
	// RADIUS attributes, the second of which counts less than its own header.
	f.Add([]byte("\x07\x05\x01\x03a\x58\x01"))
	// Vendor data that is longer than its sub-option, though not than the body.
	f.Add([]byte("\x09\x05\x00\x00\x7e\xd9\x02\x01\x01a"))
	// Every typed sub-option with a value of the right size.
	f.Add([]byte("\x04\x04\x00\x00\x00\x01\x05\x04\xc6\x33\x64\x00\x06\x01a\x0a\x01\x80\x0b\x04\xc0\x00\x02\x01\x0c\x01a\x13\x00\x97\x01\xff\x98\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		info, err := relayinfo.Parse(body)
		if err != nil {
			var pe *relayinfo.ParseError
			require.ErrorAs(t, err, &pe)
			require.GreaterOrEqual(t, pe.Offset, 0)
			require.LessOrEqual(t, pe.Offset, len(body))
			require.NotErrorIs(t, err, relayinfo.ErrAbsent)
			return
		}
		var fields relayinfo.Fields
		for code, value := range info.All() {
			fields.Other = append(fields.Other, relayinfo.SubOption{Code: code, Value: value})
		}
		again, err := fields.AppendBinary([]byte("before"))
		if len(body) > relayinfo.MaxBody {
			require.ErrorIs(t, err, relayinfo.ErrTooLarge)
			require.Equal(t, []byte("before"), again)
		} else {
			require.NoError(t, err)
			require.Equal(t, append([]byte("before"), body...), again)
		}
		requirePrintable(t, info.String())

		// What the accessors give is what Fields would send.
		var typed relayinfo.Fields
		var errs [8]error
		typed.CircuitID, errs[0] = info.CircuitID()
		typed.RemoteID, errs[1] = info.RemoteID()
		typed.LinkSelection, errs[2] = info.LinkSelection()
		typed.ServerIDOverride, errs[3] = info.ServerIDOverride()
		typed.RelayID, errs[4] = info.RelayID()
		typed.SourcePort, errs[5] = info.SourcePort()
		subscriber, err := info.SubscriberID()
		typed.SubscriberID, errs[6] = string(subscriber), err
		attributes, err := info.RADIUSAttributes()
		typed.RADIUSAttributes, errs[7] = attributes.Bytes(), err
		size := 0
		for _, value := range attributes.All() {
			size += 2 + len(value)
		}
		require.Equal(t, len(attributes.Bytes()), size)
		if class, err := info.DeviceClass(); err == nil {
			typed.DeviceClass = &class
		}
		if flags, err := info.Flags(); err == nil {
			flags &= relayinfo.FlagUnicast // Fields refuses the other bits
			typed.Flags = &flags
		}
		if vss, err := info.VSS(); err == nil {
			typed.VSS = &vss
			requirePrintable(t, vss.String())
		}
		if vendors, err := info.VendorSpecific(); err == nil {
			for enterprise, data := range vendors.All() {
				typed.VendorSpecific = append(typed.VendorSpecific, relayinfo.VendorData{Enterprise: enterprise, Data: data})
			}
		}
		for _, err := range errs {
			var pe *relayinfo.ParseError
			if err != nil && err != relayinfo.ErrAbsent {
				require.ErrorAs(t, err, &pe)
				require.LessOrEqual(t, pe.Offset, len(body))
			}
		}
		rebuilt, err := typed.Info()
		if err != nil {
			return // nothing that Fields has a name for, or too much with VSS-Control added
		}
		_, malformed := info.VSSControl() // Fields sends a proper one with each VSS
		for code, value := range rebuilt.All() {
			if code == relayinfo.CodeFlags || code == relayinfo.CodeVSSControl && malformed != nil {
				continue
			}
			if original, err := info.Get(code); err == nil {
				require.Equal(t, original, value, "%v", code)
			}
		}
	})
}

func FuzzInsertStrip(f *testing.F) {
	body := []byte("\x01\x02ab")
	// A message that any client may send.
	f.Add(dhcpv4("\x35\x01\x01\xff\x00\x00"), body, uint8(0))
	// No End, but Pad.
	f.Add(dhcpv4("\x35\x01\x01\x00\x00"), body, uint8(0))
	// Pad and stray octets wherever they can be.
	f.Add(dhcpv4("\x00\x35\x01\x01\x00\x00\xff\x00R\x02"), body, uint8(0))
	// An option 82 in two parts that is to be replaced.
	f.Add(dhcpv4("R\x01\x01\x35\x01\x01\x00R\x01\x00\xff"), body, uint8(2))
	// An option 82 in file, where it must stay.
	f.Add(dhcpv4Overloaded("\x35\x01\x01\xff", "R\x02\x01\x00\xff", "\xff"), body, uint8(1))
	// An option 82 that is no sequence of sub-options.
	f.Add(dhcpv4("R\x01\x01\xff"), body, uint8(1))
	// A body that fills the option.
	f.Add(dhcpv4("\x35\x01\x01\xff"), append([]byte{1, 253}, make([]byte, 253)...), uint8(0))
	f.Fuzz(func(t *testing.T, msg, body []byte, policy uint8) {
		info, err := relayinfo.Parse(body)
		if err != nil || len(body) > relayinfo.MaxBody {
			return
		}
		cfg := &relayinfo.Config{GIAddr: netip.MustParseAddr("192.0.2.1"), Info: info, Policy: relayinfo.Policy(policy % 3), MaxHops: 16}
		given := slices.Clone(msg)
		out, outcome, err := relayinfo.Insert([]byte("dst"), msg, cfg)
		require.Equal(t, given, msg, "Insert must not modify the message given")
		require.Equal(t, "dst", string(out[:3]))
		out = out[3:]
		if err != nil {
			require.Empty(t, out)
			requireStrip(t, msg)
			return
		}
		requireStrip(t, out)

		// Everything but giaddr, hops, option 82 and padding is as it was.
		require.GreaterOrEqual(t, len(out), dhcp4.MinBOOTPLen)
		require.Equal(t, msg[:3], out[:3])
		require.Equal(t, msg[3]+1, out[3])
		require.Equal(t, msg[4:24], out[4:24])
		require.Equal(t, msg[28:240], out[28:240])
		var before, after dhcp4.Message
		require.NoError(t, before.Parse(msg))
		require.NoError(t, after.Parse(out))
		if outcome != relayinfo.Added {
			if cfg.Policy != relayinfo.Replace {
				require.Equal(t, dhcp4.AppendPadding(slices.Clone(msg), 0)[240:], out[240:])
			}
			return
		}
		require.True(t, after.HasEnd())
		end := after.LastOption()
		require.Equal(t, append([]byte{82, uint8(len(body))}, body...), out[end-2-len(body):end], "option 82 is the last option")

		// A server that answers with just the same is believed, and Strip undoes
		// what Insert did.
		reply := slices.Clone(out)
		reply[0] = dhcp4.BootReply
		require.NoError(t, relayinfo.Match(reply, cfg))
		back, echo, err := relayinfo.Strip(nil, out)
		require.NoError(t, err)
		require.Equal(t, body, echo.Bytes())
		if before.RelayAgentInfoSize() > 0 {
			return // it has been replaced
		}
		want := slices.Clone(msg)
		want[3]++
		clear(want[24:28])
		if !before.HasEnd() {
			want = slices.Insert(want, before.LastOption(), dhcp4.OptionEnd)
		}
		require.Equal(t, dhcp4.AppendPadding(want, 0), back)
	})
}

// requireStrip requires of any message that Strip leaves no option 82 for the
// client, or says why it cannot.
func requireStrip(t *testing.T, msg []byte) {
	t.Helper()
	given := slices.Clone(msg)
	out, info, err := relayinfo.Strip([]byte("dst"), msg)
	require.Equal(t, given, msg, "Strip must not modify the message given")
	require.Equal(t, "dst", string(out[:3]))
	if err != nil {
		require.Len(t, out, 3)
		require.False(t, info.IsValid())
		var pe *relayinfo.ParseError
		require.ErrorAs(t, err, &pe)
		require.GreaterOrEqual(t, pe.Offset, 0)
		require.LessOrEqual(t, pe.Offset, len(msg))
		return
	}
	_, err = relayinfo.Find(out[3:])
	require.Equal(t, relayinfo.ErrAbsent, err)
	require.Equal(t, make([]byte, 4), out[3+24:3+28])
}
