package dhcp6

import (
	"encoding/binary"
	"fmt"
	"iter"
	"time"

	"dhcpsec.example/internal/wire"
)

// The option codes of RFC 8415 (section 21), and the Relay Source Port of RFC 8357.
const (
	OptionClientID               uint16 = 1
	OptionServerID               uint16 = 2
	OptionIANA                   uint16 = 3
	OptionIATA                   uint16 = 4
	OptionIAAddr                 uint16 = 5
	OptionORO                    uint16 = 6
	OptionPreference             uint16 = 7
	OptionElapsedTime            uint16 = 8
	OptionRelayMessage           uint16 = 9
	OptionAuth                   uint16 = 11
	OptionUnicast                uint16 = 12
	OptionStatusCode             uint16 = 13
	OptionRapidCommit            uint16 = 14
	OptionUserClass              uint16 = 15
	OptionVendorClass            uint16 = 16
	OptionVendorOpts             uint16 = 17
	OptionInterfaceID            uint16 = 18
	OptionReconfMsg              uint16 = 19
	OptionReconfAccept           uint16 = 20
	OptionIAPD                   uint16 = 25
	OptionIAPrefix               uint16 = 26
	OptionInformationRefreshTime uint16 = 32
	OptionSolMaxRT               uint16 = 82
	OptionInfMaxRT               uint16 = 83
	OptionRelaySourcePort        uint16 = 135
)

// The size of a DUID in octets, its 2-octet type included (RFC 8415 section 11.1).
const (
	MinDUIDLen = 3
	MaxDUIDLen = 130
)

// StatusCode is the status-code of a Status Code option (RFC 8415 section 21.13).
type StatusCode uint16

// The status codes of RFC 8415.
const (
	Success       StatusCode = 0
	UnspecFail    StatusCode = 1
	NoAddrsAvail  StatusCode = 2
	NoBinding     StatusCode = 3
	NotOnLink     StatusCode = 4
	UseMulticast  StatusCode = 5
	NoPrefixAvail StatusCode = 6
)

// String is the status's name in RFC 8415, or StatusCode(n) for any other.
func (s StatusCode) String() string {
	switch s {
	case Success:
		return "Success"
	case UnspecFail:
		return "UnspecFail"
	case NoAddrsAvail:
		return "NoAddrsAvail"
	case NoBinding:
		return "NoBinding"
	case NotOnLink:
		return "NotOnLink"
	case UseMulticast:
		return "UseMulticast"
	case NoPrefixAvail:
		return "NoPrefixAvail"
	}
	return fmt.Sprintf("StatusCode(%d)", uint16(s))
}

// Options is an option area: the options of a message, an IA_PD or an IA
// Prefix, one after the other (RFC 8415 section 21.1). The parsers of this
// package hand out only areas that they have checked. On octets from elsewhere
// the methods are safe too: an area ends, for them, where its framing breaks.
//
// All that the methods return aliases the area and is capped, so that an append
// to it cannot reach what follows. None of them allocates.
type Options []byte

// All is the code and the data of each option, in wire order.
func (o Options) All() iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		c := wire.NewCursor(o, 0)
		for c.Len() > 0 {
			code, data, err := c.Option16()
			if err != nil || !yield(code, data) {
				return
			}
		}
	}
}

// Find is the data of the first option with this code.
func (o Options) Find(code uint16) ([]byte, bool) {
	for c, data := range o.All() {
		if c == code {
			return data, true
		}
	}
	return nil, false
}

// ClientID is the DUID of the client (section 21.2).
func (o Options) ClientID() ([]byte, bool) { return o.Find(OptionClientID) }

// ServerID is the DUID of the server (section 21.3).
func (o Options) ServerID() ([]byte, bool) { return o.Find(OptionServerID) }

// Requests reports whether the Option Request option names code (section 21.7).
// Without that option, and with one of an odd number of octets, nothing is requested.
func (o Options) Requests(code uint16) bool {
	oro, _ := o.Find(OptionORO)
	if len(oro)%2 != 0 {
		return false
	}
	for ; len(oro) > 0; oro = oro[2:] {
		if binary.BigEndian.Uint16(oro) == code {
			return true
		}
	}
	return false
}

// Preference is the preference of an Advertise's server (section 21.8). One
// without the option, or with one that is not one octet, has preference 0, as
// section 18.2.1 has it for the absent option.
func (o Options) Preference() uint8 {
	if data, _ := o.Find(OptionPreference); len(data) == 1 {
		return data[0]
	}
	return 0
}

// ElapsedTime is how long the client has been trying, in steps of 10 ms
// (section 21.9); 655.35 s means that or longer. It is not ok if the option is
// absent or not two octets.
func (o Options) ElapsedTime() (elapsed time.Duration, ok bool) {
	data, _ := o.Find(OptionElapsedTime)
	if len(data) != 2 {
		return 0, false
	}
	return time.Duration(binary.BigEndian.Uint16(data)) * 10 * time.Millisecond, true
}

// Status is the Status Code option of this area and its message (section
// 21.13): Success if there is none. The message is the sender's octets: they
// should be, but need not be, UTF-8 that is fit to print. A code cut short,
// which no checked area holds, is UnspecFail rather than a false Success.
func (o Options) Status() (StatusCode, []byte) {
	data, ok := o.Find(OptionStatusCode)
	switch {
	case !ok:
		return Success, nil
	case len(data) < 2:
		return UnspecFail, nil
	}
	return StatusCode(binary.BigEndian.Uint16(data)), data[2:]
}

// RapidCommit reports whether there is a Rapid Commit option (section 21.14);
// one that is not empty does not count.
func (o Options) RapidCommit() bool {
	data, ok := o.Find(OptionRapidCommit)
	return ok && len(data) == 0
}

// The range of SOL_MAX_RT in seconds (section 21.24).
const (
	minSolMaxRT = 60
	maxSolMaxRT = 86400
)

// SolMaxRT is the SOL_MAX_RT that a server sets (section 21.24). It is not ok
// if the option is absent, not four octets, or outside 60 s to 86400 s, since
// a client "MUST ignore any SOL_MAX_RT option values" there.
func (o Options) SolMaxRT() (rt time.Duration, ok bool) {
	data, _ := o.Find(OptionSolMaxRT)
	if len(data) != 4 {
		return 0, false
	}
	seconds := binary.BigEndian.Uint32(data)
	if seconds < minSolMaxRT || seconds > maxSolMaxRT {
		return 0, false
	}
	return time.Duration(seconds) * time.Second, true
}

// check walks an area that begins base octets into the caller's slice and
// reports what makes it unusable as a whole.
func (o Options) check(base int) error {
	var seen codeSet
	c := wire.NewCursor(o, base)
	for c.Len() > 0 {
		at := c.Offset()
		code, data, err := c.Option16()
		if err != nil {
			return err
		}
		if isSingleton(code) && !seen.add(code) {
			return wire.Errorf(optionName(code), at, ErrDuplicate)
		}
		switch code {
		case OptionClientID, OptionServerID:
			// Section 11.1: a type of two octets, then "at least 1 octet and at
			// most 128 octets".
			if len(data) < MinDUIDLen || len(data) > MaxDUIDLen {
				return wire.Errorf(optionName(code), at+2, ErrLength)
			}
		case OptionStatusCode:
			if len(data) < 2 {
				return wire.Errorf(optionName(code), at+2, ErrLength)
			}
		}
	}
	return nil
}

// isSingleton: section 21 allows the option once in an area. Options that this
// package does not know never count: "These should be ignored as if they were
// not present" (section 16).
func isSingleton(code uint16) bool {
	switch code {
	case OptionClientID, OptionServerID, OptionORO, OptionPreference, OptionElapsedTime,
		OptionRelayMessage, OptionAuth, OptionUnicast, OptionStatusCode, OptionRapidCommit,
		OptionUserClass, OptionInterfaceID, OptionReconfMsg, OptionReconfAccept,
		OptionInformationRefreshTime, OptionSolMaxRT, OptionInfMaxRT, OptionRelaySourcePort:
		return true
	}
	return false
}

// codeSet is a set of the option codes 0 to 191, enough for every singleton.
type codeSet [3]uint64

// add reports whether code is new to the set.
func (s *codeSet) add(code uint16) bool {
	word, bit := &s[code/64], uint64(1)<<(code%64)
	isNew := *word&bit == 0
	*word |= bit
	return isNew
}

// optionName is the name of an option in the IANA registry, without "OPTION_",
// or "" for one that this package does not know.
func optionName(code uint16) string {
	switch code {
	case OptionClientID:
		return "CLIENTID"
	case OptionServerID:
		return "SERVERID"
	case OptionIANA:
		return "IA_NA"
	case OptionIATA:
		return "IA_TA"
	case OptionIAAddr:
		return "IAADDR"
	case OptionORO:
		return "ORO"
	case OptionPreference:
		return "PREFERENCE"
	case OptionElapsedTime:
		return "ELAPSED_TIME"
	case OptionRelayMessage:
		return "RELAY_MSG"
	case OptionAuth:
		return "AUTH"
	case OptionUnicast:
		return "UNICAST"
	case OptionStatusCode:
		return "STATUS_CODE"
	case OptionRapidCommit:
		return "RAPID_COMMIT"
	case OptionUserClass:
		return "USER_CLASS"
	case OptionVendorClass:
		return "VENDOR_CLASS"
	case OptionVendorOpts:
		return "VENDOR_OPTS"
	case OptionInterfaceID:
		return "INTERFACE_ID"
	case OptionReconfMsg:
		return "RECONF_MSG"
	case OptionReconfAccept:
		return "RECONF_ACCEPT"
	case OptionIAPD:
		return "IA_PD"
	case OptionIAPrefix:
		return "IAPREFIX"
	case OptionInformationRefreshTime:
		return "INFORMATION_REFRESH_TIME"
	case OptionSolMaxRT:
		return "SOL_MAX_RT"
	case OptionInfMaxRT:
		return "INF_MAX_RT"
	case OptionRelaySourcePort:
		return "RELAY_PORT"
	}
	return ""
}
