package relayinfo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strconv"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/wire"
)

// ParseError reports malformed octets: the field, its offset, and one of the
// sentinels below.
type ParseError = wire.ParseError

// The sentinels that errors of this package wrap.
var (
	ErrTruncated = wire.ErrTruncated // the input ends before the field does
	ErrLength    = wire.ErrLength    // a length that the value cannot have
	ErrValue     = wire.ErrValue     // a value that the specification forbids
	ErrDuplicate = wire.ErrDuplicate // a second instance of what may appear once
	ErrTooLarge  = wire.ErrTooLarge  // more than a length field can say

	// ErrAbsent is returned where the option 82 or the sub-option asked for is not
	// there. Nothing is malformed then.
	ErrAbsent = errors.New("absent")
)

// MaxBody is the size of the largest option 82 body, in octets: what its
// one-octet length field can say.
const MaxBody = 255

// Code is a sub-option code. The names that String gives are those of the RFCs.
type Code uint8

// The sub-options that have a named accessor in [Info], and those that RFC 4030
// and RFC 7839 define.
const (
	CodeCircuitID        Code = 1   // RFC 3046 section 3.1
	CodeRemoteID         Code = 2   // RFC 3046 section 3.2
	CodeDeviceClass      Code = 4   // RFC 3256
	CodeLinkSelection    Code = 5   // RFC 3527
	CodeSubscriberID     Code = 6   // RFC 3993
	CodeRADIUSAttributes Code = 7   // RFC 4014
	CodeAuthentication   Code = 8   // RFC 4030
	CodeVendorSpecific   Code = 9   // RFC 4243
	CodeFlags            Code = 10  // RFC 5010
	CodeServerIDOverride Code = 11  // RFC 5107
	CodeRelayID          Code = 12  // RFC 6925
	CodeAccessTechType   Code = 13  // RFC 7839
	CodeAccessNetName    Code = 14  // RFC 7839
	CodeAccessPointName  Code = 15  // RFC 7839
	CodeAccessPointBSSID Code = 16  // RFC 7839
	CodeOperatorID       Code = 17  // RFC 7839
	CodeOperatorRealm    Code = 18  // RFC 7839
	CodeSourcePort       Code = 19  // RFC 8357
	CodeVSS              Code = 151 // RFC 6607 section 3.2
	CodeVSSControl       Code = 152 // RFC 6607 section 3.3
)

// String is the name of the sub-option, or its number.
func (c Code) String() string {
	switch c {
	case CodeCircuitID:
		return "circuit-id"
	case CodeRemoteID:
		return "remote-id"
	case CodeDeviceClass:
		return "device-class"
	case CodeLinkSelection:
		return "link-selection"
	case CodeSubscriberID:
		return "subscriber-id"
	case CodeRADIUSAttributes:
		return "radius-attributes"
	case CodeAuthentication:
		return "authentication"
	case CodeVendorSpecific:
		return "vendor-specific"
	case CodeFlags:
		return "relay-flags"
	case CodeServerIDOverride:
		return "server-id-override"
	case CodeRelayID:
		return "relay-id"
	case CodeAccessTechType:
		return "access-technology-type"
	case CodeAccessNetName:
		return "access-network-name"
	case CodeAccessPointName:
		return "access-point-name"
	case CodeAccessPointBSSID:
		return "access-point-bssid"
	case CodeOperatorID:
		return "operator-id"
	case CodeOperatorRealm:
		return "operator-realm"
	case CodeSourcePort:
		return "source-port"
	case CodeVSS:
		return "vss"
	case CodeVSSControl:
		return "vss-control"
	}
	return "sub-option-" + strconv.Itoa(int(c))
}

// Info is a view of the body of an option 82: one or more sub-options. It aliases
// the octets it was parsed from, which must not change while it is in use;
// [Info.Clone] copies. The zero Info means that there is no option 82: it is not
// valid, and its accessors return [ErrAbsent].
type Info struct{ body []byte }

// Parse checks that body, which is what follows the code and the length of an
// option 82, is a sequence of whole sub-options, and at least one (RFC 3046
// section 2.0). The values of the sub-options are not looked at before their
// accessor is called, so that a bad one does not hide the others.
//
// An empty body is ErrLength and an overrun ErrTruncated, in a *ParseError whose
// offset counts from the start of body. A body over 255 octets is accepted: it is
// what the parts of a split option add up to (RFC 3396 section 7).
func Parse(body []byte) (Info, error) {
	if len(body) == 0 {
		return Info{}, wire.Errorf("option 82 length", 0, ErrLength)
	}
	for i := 0; i < len(body); {
		if i+1 == len(body) {
			return Info{}, wire.Errorf("sub-option length", i+1, ErrTruncated)
		}
		end := i + 2 + int(body[i+1])
		if end > len(body) {
			return Info{}, wire.Errorf("sub-option length", i+1, ErrTruncated)
		}
		i = end
	}
	return Info{body[:len(body):len(body)]}, nil
}

// Find is the option 82 of msg, a whole DHCP message, or [ErrAbsent]. Instances in
// the options field count as parts of one option and are joined, which is the
// only time it copies; RFC 3046 section 2.1 forbids to look for it in file and
// sname. Offsets in a *ParseError count from the start of msg, whether the option
// was split or not.
func Find(msg []byte) (Info, error) {
	var m dhcp4.Message
	if err := m.Parse(msg); err != nil {
		return Info{}, err
	}
	return find(&m)
}

func find(m *dhcp4.Message) (Info, error) {
	var body []byte
	for o := range m.RelayAgentInfo() {
		if body == nil {
			body = o.Data
		} else {
			body = append(body, o.Data...) // the capacity of o.Data is capped: this copies
		}
	}
	if body == nil {
		return Info{}, ErrAbsent
	}
	info, err := Parse(body)
	if err != nil {
		return Info{}, m.InRelayAgentInfo(err)
	}
	return info, nil
}

// IsValid reports whether there is an option 82.
func (i Info) IsValid() bool { return len(i.body) > 0 }

// Bytes is the body, without code and length. It is not a copy.
func (i Info) Bytes() []byte { return i.body }

// Clone is a copy that shares nothing with i.
func (i Info) Clone() Info { return Info{bytes.Clone(i.body)} }

// AppendBinary appends the body, without code and length.
func (i Info) AppendBinary(b []byte) ([]byte, error) { return append(b, i.body...), nil }

// MarshalBinary is AppendBinary to a new slice.
func (i Info) MarshalBinary() ([]byte, error) { return i.AppendBinary(nil) }

// AppendOption appends the whole option: 82, the length, the body. It fails with
// [ErrAbsent] if i is not valid, and with [ErrTooLarge] over [MaxBody] octets.
func (i Info) AppendOption(b []byte) ([]byte, error) {
	if !i.IsValid() {
		return b, ErrAbsent
	}
	return dhcp4.AppendOption(b, dhcp4.OptionRelayAgentInfo, i.body)
}

// All ranges over the sub-options in their order; repeated ones stay apart, and
// codes 0 and 255 are codes like any other. The values alias i. It does not
// allocate.
func (i Info) All() iter.Seq2[Code, []byte] {
	return func(yield func(Code, []byte) bool) {
		for b := i.body; len(b) > 0; {
			end := 2 + int(b[1])
			if !yield(Code(b[0]), b[2:end:end]) {
				return
			}
			b = b[end:]
		}
	}
}

// Get is the value of the sub-option code. Without one it is [ErrAbsent]; with
// several it is [ErrDuplicate], because nobody can tell which of them a server
// goes by: use [Info.All] to see them.
func (i Info) Get(code Code) ([]byte, error) {
	at, err := i.find(code)
	if err != nil {
		return nil, err
	}
	end := at + 2 + int(i.body[at+1])
	return i.body[at+2 : end : end], nil
}

// find is the offset of the only sub-option code.
func (i Info) find(code Code) (int, error) {
	found := -1
	for at := 0; at < len(i.body); at += 2 + int(i.body[at+1]) {
		if Code(i.body[at]) != code {
			continue
		}
		if found >= 0 {
			return 0, wire.Errorf(code.String(), at, ErrDuplicate)
		}
		found = at
	}
	if found < 0 {
		return 0, ErrAbsent
	}
	return found, nil
}

// get is Get for a sub-option whose value check accepts. The error of check
// counts from the value.
func (i Info) get(code Code, check func([]byte) error) ([]byte, error) {
	at, err := i.find(code)
	if err != nil {
		return nil, err
	}
	end := at + 2 + int(i.body[at+1])
	value := i.body[at+2 : end : end]
	if err := check(value); err != nil {
		if _, ok := errors.AsType[*ParseError](err); ok {
			return nil, wire.Shift(err, at+2)
		}
		return nil, wire.Errorf(code.String(), at+1, err)
	}
	return value, nil
}

// CircuitID is sub-option 1: the circuit the request came in by, opaque to all
// but the relay agent that added it. An IKEv2 gateway puts its IKE SPI here.
func (i Info) CircuitID() ([]byte, error) { return i.Get(CodeCircuitID) }

// RemoteID is sub-option 2: the remote end of the circuit, globally unique.
func (i Info) RemoteID() ([]byte, error) { return i.Get(CodeRemoteID) }

// DeviceClass is sub-option 4, the DOCSIS device class, four octets.
func (i Info) DeviceClass() (uint32, error) {
	v, err := i.get(CodeDeviceClass, checkFour)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(v), nil
}

// LinkSelection is sub-option 5: the IPv4 subnet to take the address from, if
// it is not that of giaddr.
func (i Info) LinkSelection() (netip.Addr, error) { return i.addr(CodeLinkSelection) }

// SubscriberID is sub-option 6, an NVT ASCII string of at least one octet that
// does not end in NUL (RFC 3993 section 3.1). It may hold control characters.
func (i Info) SubscriberID() ([]byte, error) { return i.get(CodeSubscriberID, checkSubscriberID) }

// RADIUSAttributes is sub-option 7: the attributes of a RADIUS Access-Accept.
func (i Info) RADIUSAttributes() (RADIUSAttributes, error) {
	v, err := i.get(CodeRADIUSAttributes, checkRADIUS)
	return RADIUSAttributes{v}, err
}

// VendorSpecific is sub-option 9: data of one or more vendors.
func (i Info) VendorSpecific() (VendorSpecific, error) {
	v, err := i.get(CodeVendorSpecific, checkVendorSpecific)
	return VendorSpecific{v}, err
}

// Flags is sub-option 10. If it is longer than one octet the first one counts
// (RFC 5010 section 5).
func (i Info) Flags() (Flags, error) {
	v, err := i.get(CodeFlags, checkNotEmpty)
	if err != nil {
		return 0, err
	}
	return Flags(v[0]), nil
}

// ServerIDOverride is sub-option 11: the IPv4 address that the server is to give
// as its server identifier, so that renewals come through the relay agent.
func (i Info) ServerIDOverride() (netip.Addr, error) { return i.addr(CodeServerIDOverride) }

// RelayID is sub-option 12: the relay agent's stable identifier, at least one octet.
func (i Info) RelayID() ([]byte, error) { return i.get(CodeRelayID, checkNotEmpty) }

// SourcePort reports whether sub-option 19 is there: the server then answers to
// the UDP port the request came from and not to 67. It has no value.
func (i Info) SourcePort() (bool, error) { return i.flag(CodeSourcePort) }

// VSS is sub-option 151: the virtual subnet, that is the VPN, to take the address
// from. See [Info.VSSControl] for what it means in a reply.
func (i Info) VSS() (VSS, error) {
	v, err := i.get(CodeVSS, checkVSS)
	if err != nil {
		return VSS{}, err
	}
	return VSS{Type: VSSType(v[0]), Info: v[1:]}, nil
}

// VSSControl reports whether sub-option 152 is there. It goes with VSS in a
// request; if it comes back in a reply, the server did not act on the VSS
// (RFC 6607 section 5). It has no value.
func (i Info) VSSControl() (bool, error) { return i.flag(CodeVSSControl) }

func (i Info) addr(code Code) (netip.Addr, error) {
	v, err := i.get(code, checkFour)
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.AddrFrom4([4]byte(v)), nil
}

// flag reads a sub-option that has no value: its presence is its meaning.
func (i Info) flag(code Code) (bool, error) {
	_, err := i.get(code, checkEmpty)
	if errors.Is(err, ErrAbsent) {
		return false, nil
	}
	return err == nil, err
}

// String shows every sub-option on one line, for a log. Values are hex but for
// addresses and plain text. Of RADIUS attributes, which may hold secrets, only type
// and size are shown, and only the size if they are malformed.
func (i Info) String() string {
	if !i.IsValid() {
		return "no option 82"
	}
	b := make([]byte, 0, 128)
	for code, value := range i.All() {
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(b, code.String()...)
		b = appendValue(b, code, value)
	}
	return string(b)
}

// MarshalText is String, for encoders of text.
func (i Info) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// appendValue writes a value that passes its check in the style of its type, and
// any other as hex, if it may be shown.
func appendValue(b []byte, code Code, v []byte) []byte {
	switch {
	case len(v) == 0:
		return b
	case isText(code) && isPlainText(v):
		return strconv.AppendQuote(append(b, ' '), string(v))
	case (code == CodeLinkSelection || code == CodeServerIDOverride) && len(v) == 4:
		return netip.AddrFrom4([4]byte(v)).AppendTo(append(b, ' '))
	case code == CodeRADIUSAttributes:
		if checkRADIUS(v) != nil {
			return fmt.Appendf(b, " malformed(%d octets)", len(v))
		}
		for typ, value := range (RADIUSAttributes{v}).All() {
			b = fmt.Appendf(b, " %d(%d octets)", typ, len(value))
		}
		return b
	case code == CodeVendorSpecific && checkVendorSpecific(v) == nil:
		for enterprise, data := range (VendorSpecific{v}).All() {
			b = fmt.Appendf(b, " %d:0x%x", enterprise, data)
		}
		return b
	case code == CodeFlags && len(v) == 1:
		return append(append(b, ' '), Flags(v[0]).String()...)
	case code == CodeVSS:
		return append(append(b, ' '), VSS{VSSType(v[0]), v[1:]}.String()...)
	}
	return fmt.Appendf(b, " 0x%x", v)
}

// isText: the sub-options whose value people often choose to be text.
func isText(code Code) bool {
	switch code {
	case CodeCircuitID, CodeRemoteID, CodeSubscriberID, CodeRelayID:
		return true
	}
	return false
}

func isPlainText(s []byte) bool {
	for _, c := range s {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(s) > 0
}
