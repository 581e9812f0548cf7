package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/wire"
	"dhcpsec.example/relayinfo"
)

// decodeDHCPv4 is for a BOOTP or DHCPv4 message (RFC 2131 section 2), with option
// 82 decoded. An option whose size its RFC does not allow is an error.
func decodeDHCPv4(b []byte) (string, []byte, error) {
	var m dhcp4.Message
	if err := m.Parse(b); err != nil {
		return "", nil, err
	}
	header, err := dhcp4.Header{
		Op: m.Op(), HType: m.HType(), Hops: m.Hops(), XID: m.XID(), Secs: m.Secs(), Flags: m.Flags(),
		CIAddr: m.CIAddr(), YIAddr: m.YIAddr(), SIAddr: m.SIAddr(), GIAddr: m.GIAddr(), CHAddr: m.CHAddr(),
	}.AppendBinary(nil)
	if err != nil {
		return "", nil, err
	}
	// Padding, and octets that mean nothing, are as they came; everything else is
	// written again over them.
	reencoded := slices.Clone(b)
	copy(reencoded, header[:28+len(m.CHAddr())])
	text := []string{m.String()}
	if m.Flags()&dhcp4.FlagBroadcast != 0 {
		text = append(text, "flags: broadcast")
	}
	info, err := findInfo(&m)
	if err != nil {
		return "", nil, err
	}
	seen := map[uint8]bool{}
	for o := range m.Options() {
		if !seen[o.Code] {
			seen[o.Code] = true
			value, _ := m.Option(o.Code) // all parts of it, if it was split (RFC 3396)
			if !sizeIsAllowed(o.Code, len(value)) {
				return "", nil, wire.Errorf(fmt.Sprintf("option %d length", o.Code), o.Offset+1, wire.ErrLength)
			}
		}
		option, err := dhcp4.AppendOption(nil, o.Code, o.Data)
		if err != nil {
			return "", nil, err
		}
		copy(reencoded[o.Offset:], option)
		line := fmt.Sprintf("option %d%s", o.Code, describeOption4(o))
		switch o.Field {
		case dhcp4.FieldFile:
			line += " (in file)"
		case dhcp4.FieldSName:
			line += " (in sname)"
		}
		text = append(text, line)
	}
	if info != "" {
		text = append(text, "option 82: "+info)
	}
	if !m.HasEnd() {
		text = append(text, "no End option")
	}
	return strings.Join(text, "\n"), reencoded, nil
}

// decodeOption82 is for the body of an option 82 (RFC 3046): its sub-options,
// without the option's own code and length.
func decodeOption82(b []byte) (string, []byte, error) {
	info, err := relayinfo.Parse(b)
	if err != nil {
		return "", nil, err
	}
	var reencoded []byte
	for code, value := range info.All() {
		reencoded = append(reencoded, byte(code), byte(len(value)))
		reencoded = append(reencoded, value...)
	}
	text, err := describeInfo(info)
	return text, reencoded, err
}

// findInfo is what option 82 of m says, or "" if there is none.
func findInfo(m *dhcp4.Message) (string, error) {
	info, err := relayinfo.Find(m.Bytes())
	if errors.Is(err, relayinfo.ErrAbsent) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	text, err := describeInfo(info)
	return text, m.InRelayAgentInfo(err)
}

// describeInfo is the sub-options of info. A value that its RFC does not allow is
// an error; a sub-option that comes twice is not, though nobody can use it.
func describeInfo(info relayinfo.Info) (string, error) {
	text := info.String()
	for _, check := range []func() error{
		func() error { _, err := info.CircuitID(); return err },
		func() error { _, err := info.RemoteID(); return err },
		func() error { _, err := info.DeviceClass(); return err },
		func() error { _, err := info.LinkSelection(); return err },
		func() error { _, err := info.SubscriberID(); return err },
		func() error { _, err := info.RADIUSAttributes(); return err },
		func() error { _, err := info.VendorSpecific(); return err },
		func() error { _, err := info.Flags(); return err },
		func() error { _, err := info.ServerIDOverride(); return err },
		func() error { _, err := info.RelayID(); return err },
		func() error { _, err := info.SourcePort(); return err },
		func() error { _, err := info.VSS(); return err },
		func() error { _, err := info.VSSControl(); return err },
	} {
		switch err := check(); {
		case err == nil || errors.Is(err, relayinfo.ErrAbsent):
		case errors.Is(err, relayinfo.ErrDuplicate):
			text += "\nunusable: " + reason(err)
		default:
			return "", err
		}
	}
	return text, nil
}

// option4Names is the options that turn up in every network (RFC 2132 unless a
// comment says otherwise).
var option4Names = map[uint8]string{
	1: "subnet mask", 3: "routers", 6: "domain name servers", 12: "host name", 15: "domain name", 28: "broadcast address",
	50: "requested IP address", 51: "lease time", 52: "option overload", 53: "message type", 54: "server identifier",
	55: "parameter request list", 56: "message", 57: "maximum message size", 58: "renewal time T1", 59: "rebinding time T2",
	60: "vendor class identifier", 61: "client identifier",
	80: "rapid commit",            // RFC 4039
	81: "client FQDN",             // RFC 4702
	82: "relay agent information", // RFC 3046
}

// sizeIsAllowed reports whether an option may have n octets (RFC 2132 unless a
// comment says otherwise).
func sizeIsAllowed(code uint8, n int) bool {
	switch code {
	case 1, 28, 50, 51, 54, 58, 59:
		return n == 4
	case 3, 6:
		return n > 0 && n%4 == 0
	case 12, 15, 55, 56, 60:
		return n > 0
	case 57:
		return n == 2
	case 61:
		return n > 1
	case 80: // RFC 4039 section 4
		return n == 0
	}
	return true
}

// describeOption4 is the name and the value of an option, in hex where it is only
// a part of one.
func describeOption4(o dhcp4.Option) string {
	text := ""
	if name, ok := option4Names[o.Code]; ok {
		text = ", " + name
	}
	value := ""
	switch n := len(o.Data); o.Code {
	case 1, 3, 6, 28, 50, 54:
		if n == 0 || n%4 != 0 {
			break
		}
		var addrs []string
		for a := range slices.Chunk(o.Data, 4) {
			addrs = append(addrs, netip.AddrFrom4([4]byte(a)).String())
		}
		value = strings.Join(addrs, ", ")
	case 51, 58, 59:
		if n == 4 {
			value = fmt.Sprintf("%d s", binary.BigEndian.Uint32(o.Data))
		}
	case 57:
		if n == 2 {
			value = fmt.Sprintf("%d octets", binary.BigEndian.Uint16(o.Data))
		}
	case 53:
		value = dhcp4.MessageType(o.Data[0]).String()
	case 12, 15, 56, 60:
		value = strconv.QuoteToASCII(string(o.Data))
	case 55:
		value = strings.Trim(fmt.Sprint(o.Data), "[]")
	case 82:
		value = fmt.Sprintf("%d octets", n) // decodeDHCPv4 joins and decodes it
	}
	if value == "" && len(o.Data) > 0 {
		value = fmt.Sprintf("0x%x", o.Data)
	}
	if value != "" {
		text += ": " + value
	}
	return text
}
