package relayinfo

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"

	"dhcpsec.example/internal/wire"
)

// Flags is the value of sub-option 10 (RFC 5010 section 3). The bits without a
// name must be zero when sent and are ignored when received.
type Flags uint8

// FlagUnicast says that the relay agent received the request as a unicast
// packet. A relay agent that knows the sub-option adds it to every request, and
// without this bit it says "received as a broadcast" (RFC 5010 section 4).
const FlagUnicast Flags = 0x80

// String is "unicast" or "broadcast", and the reserved bits if one is set.
func (f Flags) String() string {
	s := "broadcast"
	if f&FlagUnicast != 0 {
		s = "unicast"
	}
	if mbz := f &^ FlagUnicast; mbz != 0 {
		s += fmt.Sprintf("+0x%02x", uint8(mbz))
	}
	return s
}

// RADIUSAttributes is the value of sub-option 7: attributes in RADIUS form (RFC
// 2865 section 5). The zero value has none.
type RADIUSAttributes struct{ raw []byte }

// Bytes is the value as it stands on the wire. It is not a copy.
func (a RADIUSAttributes) Bytes() []byte { return a.raw }

// All ranges over the attributes: type and value, which is not a copy.
func (a RADIUSAttributes) All() iter.Seq2[uint8, []byte] {
	return func(yield func(uint8, []byte) bool) {
		for b := a.raw; len(b) > 0; {
			end := int(b[1])
			if !yield(b[0], b[2:end:end]) {
				return
			}
			b = b[end:]
		}
	}
}

// VendorSpecific is the value of sub-option 9. The zero value has no vendor's data.
type VendorSpecific struct{ raw []byte }

// Bytes is the value as it stands on the wire. It is not a copy.
func (v VendorSpecific) Bytes() []byte { return v.raw }

// All ranges over the data of each vendor, by IANA enterprise number. The data
// is not a copy.
func (v VendorSpecific) All() iter.Seq2[uint32, []byte] {
	return func(yield func(uint32, []byte) bool) {
		for b := v.raw; len(b) > 0; {
			end := 5 + int(b[4])
			if !yield(binary.BigEndian.Uint32(b), b[5:end:end]) {
				return
			}
			b = b[end:]
		}
	}
}

// VSSType says what the info of a [VSS] is (RFC 6607 section 3.5).
type VSSType uint8

// The types that are assigned; others are kept as they are.
const (
	VSSName   VSSType = 0   // an NVT ASCII VPN identifier
	VSSVPNID  VSSType = 1   // an RFC 2685 VPN-ID, seven octets
	VSSGlobal VSSType = 255 // the global, default VPN; no info
)

// VSS is virtual subnet selection information, the value of sub-option 151.
type VSS struct {
	Type VSSType
	Info []byte // from a parsed option: not a copy
}

// String shows the type and the info, without control characters.
func (v VSS) String() string {
	switch {
	case v.Type == VSSGlobal && len(v.Info) == 0:
		return "global"
	case v.Type == VSSName && isPlainText(v.Info):
		return "name " + strconv.Quote(string(v.Info))
	case v.Type == VSSVPNID:
		return fmt.Sprintf("vpn-id 0x%x", v.Info)
	}
	s := fmt.Sprintf("type %d", uint8(v.Type))
	if len(v.Info) > 0 {
		s += fmt.Sprintf(" 0x%x", v.Info)
	}
	return s
}

// The checks below say what the value of a sub-option may be; Info's accessors
// and Fields share them. A plain sentinel is about the whole value, a *ParseError
// about what stands at an offset in it.

func checkEmpty(v []byte) error {
	if len(v) != 0 {
		return ErrLength
	}
	return nil
}

func checkNotEmpty(v []byte) error {
	if len(v) == 0 {
		return ErrLength
	}
	return nil
}

func checkFour(v []byte) error {
	if len(v) != 4 {
		return ErrLength
	}
	return nil
}

// checkSentFlags is for Fields alone: who receives such bits ignores them. RFC 5010
// section 3: "MBZ: MUST BE ZERO (reserved for future use)".
func checkSentFlags(v []byte) error {
	if Flags(v[0])&^FlagUnicast != 0 {
		return ErrValue
	}
	return nil
}

func checkSubscriberID(v []byte) error {
	if len(v) == 0 {
		return ErrLength
	}
	return checkNVTASCII(v)
}

// checkNVTASCII: RFC 3993 section 3.1 and RFC 6607 section 3.5 both ask for NVT
// ASCII that is not terminated with a zero octet.
func checkNVTASCII(v []byte) error {
	for i, c := range v {
		if c > 0x7f || c == 0 && i == len(v)-1 {
			return wire.Errorf("NVT ASCII string", i, ErrValue)
		}
	}
	return nil
}

// checkRADIUS: the length of an attribute counts its own two octets (RFC 2865 section 5).
func checkRADIUS(v []byte) error {
	for i := 0; i < len(v); {
		if i+1 == len(v) {
			return wire.Errorf("RADIUS attribute length", i+1, ErrTruncated)
		}
		n := int(v[i+1])
		if n < 2 {
			return wire.Errorf("RADIUS attribute length", i+1, ErrLength)
		}
		if n > len(v)-i {
			return wire.Errorf("RADIUS attribute length", i+1, ErrTruncated)
		}
		i += n
	}
	return checkNotEmpty(v)
}

func checkVendorSpecific(v []byte) error {
	for i := 0; i < len(v); {
		if len(v)-i < 5 {
			return wire.Errorf("vendor-specific enterprise number and length", i, ErrTruncated)
		}
		n := 5 + int(v[i+4])
		if n > len(v)-i {
			return wire.Errorf("vendor-specific data length", i+4, ErrTruncated)
		}
		i += n
	}
	return checkNotEmpty(v)
}

// checkVSS: RFC 6607 section 3.5.
func checkVSS(v []byte) error {
	if len(v) == 0 {
		return ErrLength
	}
	switch info := v[1:]; VSSType(v[0]) {
	case VSSName:
		if err := checkNVTASCII(info); err != nil {
			return wire.Shift(err, 1)
		}
	case VSSVPNID:
		if len(info) != 7 {
			return ErrLength
		}
	case VSSGlobal:
		if len(info) != 0 {
			return ErrLength
		}
	}
	return nil
}
