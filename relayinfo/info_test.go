package relayinfo

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dhcpsec.example/internal/dhcp4"
)

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func parse(t testing.TB, s string) Info {
	t.Helper()
	info, err := Parse(fromHex(t, s))
	require.NoError(t, err)
	return info
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		offset     int
		err        error
	}{
		{"an empty body (RFC 3046 2.0: at least one sub-option)", "", 0, ErrLength},
		{"a code without length", "01", 1, ErrTruncated},
		{"a value one octet short", "01 02 aa", 1, ErrTruncated},
		{"a second code without length", "01 00 02", 3, ErrTruncated},
		{"a second value over the end", "01 01 aa 02 ff bb", 4, ErrTruncated},
		{"Pad, which has no special meaning here, without length", "01 00 00", 3, ErrTruncated},
		{"End, which has no special meaning here, without length", "01 00 ff", 3, ErrTruncated},
	} {
		t.Run(tc.name, func(t *testing.T) {
			info, err := Parse(fromHex(t, tc.body))
			require.False(t, info.IsValid())
			require.NotErrorIs(t, err, ErrAbsent, "malformed is not absent")
			require.ErrorIs(t, err, tc.err)
			var pe *ParseError
			require.ErrorAs(t, err, &pe)
			require.Equal(t, tc.offset, pe.Offset)
		})
	}
}

func TestParseKeepsOrderAndRepetition(t *testing.T) {
	body := fromHex(t, "c8 02 aabb ff 01 cc 01 00 00 01 dd 01 01 ee 01 00")
	info, err := Parse(body)
	require.NoError(t, err)
	var got []string
	for code, value := range info.All() {
		got = append(got, fmt.Sprintf("%d=%x", code, value))
		require.Equal(t, len(value), cap(value), "an append to a value must not reach the next sub-option")
	}
	require.Equal(t, []string{"200=aabb", "255=cc", "1=", "0=dd", "1=ee", "1="}, got)
	again, err := info.AppendBinary([]byte("before"))
	require.NoError(t, err)
	require.Equal(t, append([]byte("before"), body...), again)

	for range info.All() {
		break // must not panic
	}
}

// RFC 3046 section 2.0 and the circuit-id of an IKE gateway: the SPI.
func TestCircuitIDVector(t *testing.T) {
	spi := fromHex(t, "0123456789abcdef")
	info, err := Fields{CircuitID: spi}.Info()
	require.NoError(t, err)
	option, err := info.AppendOption(nil)
	require.NoError(t, err)
	require.Equal(t, fromHex(t, "52 0a 01 08 0123456789abcdef"), option)
	id, err := info.CircuitID()
	require.NoError(t, err)
	require.Equal(t, spi, id)
}

// accessors is every named accessor, with its result as text.
var accessors = map[Code]func(Info) (string, error){
	CodeCircuitID:     func(i Info) (string, error) { v, err := i.CircuitID(); return fmt.Sprintf("%x", v), err },
	CodeRemoteID:      func(i Info) (string, error) { v, err := i.RemoteID(); return fmt.Sprintf("%x", v), err },
	CodeDeviceClass:   func(i Info) (string, error) { v, err := i.DeviceClass(); return fmt.Sprintf("%#x", v), err },
	CodeLinkSelection: func(i Info) (string, error) { v, err := i.LinkSelection(); return v.String(), err },
	CodeSubscriberID:  func(i Info) (string, error) { v, err := i.SubscriberID(); return string(v), err },
	CodeRADIUSAttributes: func(i Info) (string, error) {
		v, err := i.RADIUSAttributes()
		s := ""
		for typ, value := range v.All() {
			s += fmt.Sprintf("%d=%x ", typ, value)
		}
		return s, err
	},
	CodeVendorSpecific: func(i Info) (string, error) {
		v, err := i.VendorSpecific()
		s := ""
		for enterprise, data := range v.All() {
			s += fmt.Sprintf("%d=%x ", enterprise, data)
		}
		return s, err
	},
	CodeFlags:            func(i Info) (string, error) { v, err := i.Flags(); return v.String(), err },
	CodeServerIDOverride: func(i Info) (string, error) { v, err := i.ServerIDOverride(); return v.String(), err },
	CodeRelayID:          func(i Info) (string, error) { v, err := i.RelayID(); return fmt.Sprintf("%x", v), err },
	CodeSourcePort:       func(i Info) (string, error) { v, err := i.SourcePort(); return fmt.Sprint(v), err },
	CodeVSS:              func(i Info) (string, error) { v, err := i.VSS(); return v.String(), err },
	CodeVSSControl:       func(i Info) (string, error) { v, err := i.VSSControl(); return fmt.Sprint(v), err },
}

func TestAccessors(t *testing.T) {
	for _, tc := range []struct {
		clause string
		code   Code
		body   string
		want   string
		err    error
		offset int // of the error, from the start of body, which begins with sub-option 200 of two octets
	}{
		{"RFC 3046 3.1 opaque", CodeCircuitID, "01 02 aabb", "aabb", nil, 0},
		{"RFC 3046 3.1 empty", CodeCircuitID, "01 00", "", nil, 0},
		{"RFC 3046 3.2 opaque", CodeRemoteID, "02 02 aabb", "aabb", nil, 0},
		{"RFC 3256 four octets", CodeDeviceClass, "04 04 00000001", "0x1", nil, 0},
		{"RFC 3256 three octets", CodeDeviceClass, "04 03 000001", "", ErrLength, 5},
		{"RFC 3527 3 address", CodeLinkSelection, "05 04 c6336400", "198.51.100.0", nil, 0},
		{"RFC 3527 3 five octets", CodeLinkSelection, "05 05 c633640000", "", ErrLength, 5},
		{"RFC 3527 3 empty", CodeLinkSelection, "05 00", "", ErrLength, 5},
		{"RFC 3993 3.1 ASCII", CodeSubscriberID, "06 02 6162", "ab", nil, 0},
		{"RFC 3993 3.1 at least one octet", CodeSubscriberID, "06 00", "", ErrLength, 5},
		{"RFC 3993 3.1 MUST NOT be NULL terminated", CodeSubscriberID, "06 02 6100", "", ErrValue, 7},
		{"RFC 3993 3.1 not ASCII", CodeSubscriberID, "06 02 c3a4", "", ErrValue, 6},
		{"RFC 4014 3 attributes", CodeRADIUSAttributes, "07 08 01 03 61 58 05 706f6f", "1=61 88=706f6f ", nil, 0},
		{"RFC 2865 5 a value may be empty", CodeRADIUSAttributes, "07 02 01 02", "1= ", nil, 0},
		{"RFC 2865 5 the length counts itself", CodeRADIUSAttributes, "07 02 01 01", "", ErrLength, 7},
		{"RFC 2865 5 overrun", CodeRADIUSAttributes, "07 05 01 03 61 58 03", "", ErrTruncated, 10},
		{"RFC 2865 5 no length", CodeRADIUSAttributes, "07 04 01 03 61 58", "", ErrTruncated, 10},
		{"RFC 4014 3 empty", CodeRADIUSAttributes, "07 00", "", ErrLength, 5},
		{"RFC 4243 3 two vendors", CodeVendorSpecific, "09 0c 00007ed9 01 aa 00000009 01 bb", "32473=aa 9=bb ", nil, 0},
		{"RFC 4243 3 no data", CodeVendorSpecific, "09 05 00007ed9 00", "32473= ", nil, 0},
		{"RFC 4243 3 no data length", CodeVendorSpecific, "09 04 00007ed9", "", ErrTruncated, 6},
		{"RFC 4243 3 overrun", CodeVendorSpecific, "09 06 00007ed9 02 aa", "", ErrTruncated, 10},
		{"RFC 4243 3 empty", CodeVendorSpecific, "09 00", "", ErrLength, 5},
		{"RFC 5010 3 unicast", CodeFlags, "0a 01 80", "unicast", nil, 0},
		{"RFC 5010 3 broadcast", CodeFlags, "0a 01 00", "broadcast", nil, 0},
		{"RFC 5010 5 MUST evaluate the first octet of a longer one", CodeFlags, "0a 02 80 01", "unicast", nil, 0},
		{"RFC 5010 3 empty", CodeFlags, "0a 00", "", ErrLength, 5},
		{"RFC 5107 4 address", CodeServerIDOverride, "0b 04 c0000201", "192.0.2.1", nil, 0},
		{"RFC 5107 4 three octets", CodeServerIDOverride, "0b 03 c00002", "", ErrLength, 5},
		{"RFC 6925 4 identifier", CodeRelayID, "0c 01 aa", "aa", nil, 0},
		{"RFC 6925 4 at least one octet", CodeRelayID, "0c 00", "", ErrLength, 5},
		{"RFC 8357 4.1 there", CodeSourcePort, "13 00", "true", nil, 0},
		{"RFC 8357 4.1 no value", CodeSourcePort, "13 01 00", "", ErrLength, 5},
		{"RFC 6607 3.5 name", CodeVSS, "97 04 00 616263", `name "abc"`, nil, 0},
		{"RFC 6607 3.5 a name MUST NOT end in zero", CodeVSS, "97 03 00 6100", "", ErrValue, 8},
		{"RFC 6607 3.5 VPN-ID", CodeVSS, "97 08 01 00010203040506", "vpn-id 0x00010203040506", nil, 0},
		{"RFC 6607 3.5 a VPN-ID is seven octets", CodeVSS, "97 07 01 000102030405", "", ErrLength, 5},
		{"RFC 6607 3.5 global", CodeVSS, "97 01 ff", "global", nil, 0},
		{"RFC 6607 3.5 global MUST NOT have information", CodeVSS, "97 02 ff 00", "", ErrLength, 5},
		{"RFC 6607 3.5 an unassigned type is kept", CodeVSS, "97 02 07 aa", "type 7 0xaa", nil, 0},
		{"RFC 6607 3.2 at least one octet", CodeVSS, "97 00", "", ErrLength, 5},
		{"RFC 6607 3.3 there", CodeVSSControl, "98 00", "true", nil, 0},
		{"RFC 6607 3.3 no value", CodeVSSControl, "98 01 00", "", ErrLength, 5},
	} {
		t.Run(tc.clause, func(t *testing.T) {
			info := parse(t, "c8 02 0000"+tc.body+"c9 00")
			got, err := accessors[tc.code](info)
			if tc.err == nil {
				require.NoError(t, err)
				require.Equal(t, tc.want, got)
				return
			}
			require.ErrorIs(t, err, tc.err)
			require.NotErrorIs(t, err, ErrAbsent)
			var pe *ParseError
			require.ErrorAs(t, err, &pe)
			require.Equal(t, tc.offset, pe.Offset)
		})
	}
}

func TestAbsentIsNotMalformed(t *testing.T) {
	for name, info := range map[string]Info{"no option 82": {}, "other sub-options only": parse(t, "c8 00")} {
		for code, get := range accessors {
			got, err := get(info)
			if code == CodeSourcePort || code == CodeVSSControl {
				require.NoError(t, err)
				require.Equal(t, "false", got, "%s: %v", name, code)
				continue
			}
			require.Equal(t, ErrAbsent, err, "%s: %v", name, code)
		}
	}
}

func TestRepeatedSubOptionHasNoSingleValue(t *testing.T) {
	for code, get := range accessors {
		one := []byte{byte(code), 0}
		info, err := Parse(slices.Concat(one, []byte{200, 0}, one))
		require.NoError(t, err)
		_, err = get(info)
		require.Equal(t, &ParseError{Field: code.String(), Offset: 4, Err: ErrDuplicate}, err)
	}
}

func TestFind(t *testing.T) {
	body := fromHex(t, "01 02 aabb 02 01 cc")
	for _, tc := range []struct {
		name    string
		options []option
		want    []byte
		err     error
	}{
		{"absent", nil, nil, ErrAbsent},
		{"one", []option{relayAgentInfo(body)}, body, nil},
		{"RFC 3396 7: parts MUST be joined in order", []option{relayAgentInfo(body[:3]), {12, []byte("x")}, relayAgentInfo(body[3:])}, body, nil},
		{"empty", []option{relayAgentInfo(nil)}, nil, &ParseError{Field: "option 82 length", Offset: 240 + 3 + 2, Err: ErrLength}},
		{"overrun", []option{relayAgentInfo(body[:3])}, nil, &ParseError{Field: "sub-option length", Offset: 240 + 3 + 2 + 1, Err: ErrTruncated}},
		{"parts that are malformed together", []option{relayAgentInfo(body[:4]), relayAgentInfo(body[:3])}, nil, &ParseError{Field: "sub-option length", Offset: 240 + 3 + 6 + 2 + 1, Err: ErrTruncated}},
		{"a part that ends where the length should be", []option{relayAgentInfo(body[:5]), {12, []byte("x")}, relayAgentInfo(nil)}, nil, &ParseError{Field: "sub-option length", Offset: 240 + 3 + 7 + 3 + 2, Err: ErrTruncated}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			msg := reply(t, append([]option{messageType(dhcp4.ACK)}, tc.options...)...)
			before := slices.Clone(msg)
			info, err := Find(msg)
			require.Equal(t, tc.err, err)
			require.Equal(t, tc.want, info.Bytes())
			require.Equal(t, before, msg)
		})
	}
	_, err := Find(nil)
	require.ErrorIs(t, err, ErrTruncated)
}

// RFC 3396 section 7 lets an option exceed what one length octet can say.
func TestJoinedBodyMayExceed255(t *testing.T) {
	part := append([]byte{200, 198}, make([]byte, 198)...)
	msg := reply(t, relayAgentInfo(part), relayAgentInfo(part))
	info, err := Find(msg)
	require.NoError(t, err)
	require.Len(t, info.Bytes(), 400)
	b, err := info.AppendOption([]byte("before"))
	require.ErrorIs(t, err, ErrTooLarge, "it must not be split or cut when sent")
	require.Equal(t, []byte("before"), b)
}

func TestInfoAliasesAndCloneCopies(t *testing.T) {
	body := append(fromHex(t, "01 02 aabb"), "after"...)
	info, err := Parse(body[:4])
	require.NoError(t, err)
	require.Equal(t, 4, cap(info.Bytes()), "an append to the body must not reach what follows")
	clone := info.Clone()
	body[2] = 0
	id, err := info.CircuitID()
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0xbb}, id)
	id, err = clone.CircuitID()
	require.NoError(t, err)
	require.Equal(t, []byte{0xaa, 0xbb}, id)
	require.False(t, Info{}.Clone().IsValid())
}

func TestZeroInfo(t *testing.T) {
	var info Info
	require.False(t, info.IsValid())
	require.Empty(t, info.Bytes())
	_, err := info.AppendOption(nil)
	require.ErrorIs(t, err, ErrAbsent)
	for range info.All() {
		t.Fatal("a sub-option of nothing")
	}
	b, err := info.MarshalBinary()
	require.NoError(t, err)
	require.Empty(t, b)
}

func TestInfoString(t *testing.T) {
	for _, tc := range []struct{ body, want string }{
		{"", "no option 82"},
		{"01 03 616263 02 01 0a", `circuit-id "abc", remote-id 0x0a`},
		{"01 00 02 00", "circuit-id, remote-id"},
		{"04 04 00000001 05 04 c6336400 05 01 aa", "device-class 0x00000001, link-selection 198.51.100.0, link-selection 0xaa"},
		{"06 04 61220a62", "subscriber-id 0x61220a62"},
		{"06 03 612262", `subscriber-id "a\"b"`},
		{"07 05 01 05 616263 07 01 01 07 00", "radius-attributes 1(3 octets), radius-attributes malformed(1 octets), radius-attributes"},
		{"09 06 00007ed9 01 aa 09 01 00", "vendor-specific 32473:0xaa, vendor-specific 0x00"},
		{"0a 01 80 0a 01 41 0a 02 8000", "relay-flags unicast, relay-flags broadcast+0x41, relay-flags 0x8000"},
		{"0b 04 c0000201 0c 02 0001", "server-id-override 192.0.2.1, relay-id 0x0001"},
		{"13 00 97 01 ff 98 00", "source-port, vss global, vss-control"},
		{"97 03 00 0a62 97 03 01 aabb", "vss type 0 0x0a62, vss vpn-id 0xaabb"},
		{"97 01 00 97 01 07 97 00", "vss type 0, vss type 7, vss"},
		{"00 01 aa ff 00 08 01 bb", "sub-option-0 0xaa, sub-option-255, authentication 0xbb"},
	} {
		var info Info
		if tc.body != "" {
			info = parse(t, tc.body)
		}
		require.Equal(t, tc.want, info.String())
		text, err := info.MarshalText()
		require.NoError(t, err)
		require.Equal(t, tc.want, string(text))
	}
}

func TestCodeNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for c := range 256 {
		name := Code(c).String()
		require.False(t, seen[name], name)
		seen[name] = true
	}
}

// everyAccessor calls all that reads an Info, so that a bad index would panic.
func everyAccessor(info Info) {
	_ = info.String()
	for _, get := range accessors {
		_, _ = get(info)
	}
}

func TestEveryTruncationOfABody(t *testing.T) {
	body := allFields(t).Bytes()
	for n := range len(body) {
		cut := slices.Clone(body[:n])
		info, err := Parse(cut)
		if err == nil {
			everyAccessor(info)
			continue
		}
		var pe *ParseError
		require.ErrorAs(t, err, &pe)
		require.LessOrEqual(t, pe.Offset, n)
	}
}

func TestEveryOctetOfABodySetToEveryValue(t *testing.T) {
	body := allFields(t).Bytes()
	for i := range body {
		for v := range 256 {
			changed := slices.Clone(body)
			changed[i] = byte(v)
			info, err := Parse(changed)
			if err != nil {
				var pe *ParseError
				require.ErrorAs(t, err, &pe)
				require.LessOrEqual(t, pe.Offset, len(body))
				continue
			}
			everyAccessor(info)
			total := 0
			for _, value := range info.All() {
				total += 2 + len(value)
			}
			require.Equal(t, len(body), total, "octet %d set to %d: an overrun was accepted", i, v)
		}
	}
}

// allFields is a body with every sub-option that Fields knows.
func allFields(t testing.TB) Info {
	t.Helper()
	info, err := Fields{
		CircuitID:        []byte("circuit"),
		RemoteID:         []byte("remote"),
		DeviceClass:      new(uint32(1)),
		LinkSelection:    netip.MustParseAddr("198.51.100.0"),
		SubscriberID:     "alice",
		RADIUSAttributes: []byte("\x01\x03a\x58\x05poo"),
		VendorSpecific:   []VendorData{{32473, []byte("data")}, {9, nil}},
		Flags:            new(FlagUnicast),
		ServerIDOverride: netip.MustParseAddr("192.0.2.1"),
		RelayID:          []byte("relay"),
		SourcePort:       true,
		VSS:              &VSS{VSSName, []byte("vpn")},
		Other:            []SubOption{{200, []byte("unknown")}},
	}.Info()
	require.NoError(t, err)
	return info
}
