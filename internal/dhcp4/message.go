// Package dhcp4 is a checked view of a BOOTP or DHCP message, and the few
// appenders that build one.
//
//	 0               1               2               3
//	+---------------+---------------+---------------+---------------+
//	|     op (1)    |   htype (1)   |   hlen (1)    |   hops (1)    |    0
//	+---------------+---------------+---------------+---------------+
//	|                            xid (4)                            |    4
//	+-------------------------------+-------------------------------+
//	|           secs (2)            |B|         flags (2)           |    8
//	+-------------------------------+-------------------------------+
//	|   ciaddr (4), yiaddr (4), siaddr (4), giaddr (4)              |   12
//	+---------------------------------------------------------------+
//	|   chaddr (16), sname (64), file (128)                         |   28
//	+---------------------------------------------------------------+
//	|   magic cookie 99.130.83.99 (4)                               |  236
//	+---------------------------------------------------------------+
//	|   options: code (1), length (1), data; Pad 0 and End 255      |  240
//	|   have no length                                              |
//	+---------------------------------------------------------------+
//
// Sources: RFC 951, RFC 1542, RFC 2131 sections 2 and 4.1, RFC 2132 sections 2,
// 3.1, 3.2, 9.3 and 9.6, RFC 3396.
//
// Rulings where the documents leave room:
//
//   - A message without the magic cookie is an error: nobody can say where its
//     options are. A BOOTP message, which has the cookie and no message type
//     (option 53), is accepted.
//   - A message shorter than 300 octets is accepted (RFC 1542 section 2.1 would
//     discard it), because servers in use send such replies.
//   - A missing End is accepted; the options then end with the message. Octets
//     after End mean nothing and are kept as they are.
//   - Only an option overload (52) in the options field has an effect (RFC 2131
//     section 4.1: the options field is interpreted first).
//   - Options 52 and 53 may not be repeated or split: their value is one octet.
//   - An option never crosses the end of the field it is in (RFC 3396 section 5).
package dhcp4

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"dhcpsec.example/internal/wire"
)

// Sizes and positions, in octets.
const (
	// MinLen is the least a message can be: the BOOTP header and the magic cookie.
	MinLen = 240
	// MinBOOTPLen is what the UDP data of a BOOTP message has at least (RFC 1542
	// section 2.1). Shorter messages are padded to it by those who send them.
	MinBOOTPLen = 300
	// MaxHLen is the size of the chaddr field.
	MaxHLen = 16

	HopsOffset   = 3
	GIAddrOffset = 24

	ciaddrOffset = 12
	yiaddrOffset = 16
	siaddrOffset = 20
	chaddrOffset = 28
	snameOffset  = 44
	fileOffset   = 108
	cookieOffset = 236
)

// MagicCookie begins the options field (RFC 2131 section 3).
const MagicCookie uint32 = 99<<24 | 130<<16 | 83<<8 | 99

// The values of op.
const (
	BootRequest uint8 = 1
	BootReply   uint8 = 2
)

// FlagBroadcast is the BROADCAST bit of flags (RFC 2131 section 2, figure 2).
const FlagBroadcast uint16 = 0x8000

// Message is a view of a message that [Message.Parse] has accepted. It aliases the
// octets given to Parse: they must not change while the view is in use. The zero
// Message is not valid.
type Message struct {
	data          []byte
	last          int // offset behind the last option of the options field
	end           int // offset of End, or len(data) if it is missing
	info          int // offset of the first option 82 of the options field
	infoSize      int // octets that all of them take, codes and lengths included
	infoElsewhere bool
	overload      uint8
	msgType       MessageType
}

// Parse makes m the view of data, the UDP payload, from the op field to the end
// of the datagram. It checks sizes, op, hlen, magic cookie, and that each option
// lies within its field. The error is a [*wire.ParseError], after which m is the
// zero Message.
//
// It fills in m, and does not return it, because a copy of m costs as much as the
// checks do.
func (m *Message) Parse(data []byte) error {
	*m = Message{data: data}
	err := m.parse()
	if err != nil {
		*m = Message{}
	}
	return err
}

func (m *Message) parse() (err error) {
	data := m.data
	if len(data) < MinLen || data[0] != BootRequest && data[0] != BootReply || data[2] > MaxHLen ||
		binary.BigEndian.Uint32(data[cookieOffset:]) != MagicCookie {
		return headerError(data)
	}
	if m.last, m.end, err = m.scan(data, MinLen, FieldOptions); err != nil {
		return err
	}
	if m.overload&overloadFile != 0 {
		if _, _, err = m.scan(data[:cookieOffset], fileOffset, FieldFile); err != nil {
			return err
		}
	}
	if m.overload&overloadSName != 0 {
		_, _, err = m.scan(data[:fileOffset], snameOffset, FieldSName)
	}
	return err
}

// headerError says which check of parse has failed.
func headerError(data []byte) error {
	switch {
	case len(data) < cookieOffset:
		return wire.Errorf("BOOTP header", 0, wire.ErrTruncated)
	case len(data) < MinLen:
		return wire.Errorf("magic cookie", cookieOffset, wire.ErrTruncated)
	case data[0] != BootRequest && data[0] != BootReply:
		// RFC 1542 section 2.1: op "must contain either the code for a BOOTREQUEST
		// (1) or the code for a BOOTREPLY (2)".
		return wire.Errorf("op", 0, wire.ErrValue)
	case data[2] > MaxHLen:
		return wire.Errorf("hlen", 2, wire.ErrLength)
	}
	return wire.Errorf("magic cookie", cookieOffset, wire.ErrValue)
}

// Bytes is the whole message, as given to Parse.
func (m *Message) Bytes() []byte { return m.data }

// Op is [BootRequest] or [BootReply].
func (m *Message) Op() uint8 { return m.data[0] }

// HType is the hardware type (RFC 1700: 1 is Ethernet; RFC 3456: 31 is an IPsec tunnel).
func (m *Message) HType() uint8 { return m.data[1] }

// HLen is the length of the hardware address, 0 to [MaxHLen].
func (m *Message) HLen() uint8 { return m.data[2] }

// Hops counts the relay agents that the message has passed.
func (m *Message) Hops() uint8 { return m.data[HopsOffset] }

// XID is the transaction id.
func (m *Message) XID() uint32 { return binary.BigEndian.Uint32(m.data[4:]) }

// Secs is the seconds since the client began.
func (m *Message) Secs() uint16 { return binary.BigEndian.Uint16(m.data[8:]) }

// Flags is the flags field, of which only [FlagBroadcast] is defined.
func (m *Message) Flags() uint16 { return binary.BigEndian.Uint16(m.data[10:]) }

// CIAddr is the address that the client says it has, or 0.0.0.0.
func (m *Message) CIAddr() netip.Addr { return m.addr(ciaddrOffset) }

// YIAddr is the address that the server gives to the client, or 0.0.0.0.
func (m *Message) YIAddr() netip.Addr { return m.addr(yiaddrOffset) }

// SIAddr is the address of the next server in bootstrap, or 0.0.0.0.
func (m *Message) SIAddr() netip.Addr { return m.addr(siaddrOffset) }

// Relayed reports whether giaddr is set.
func (m *Message) Relayed() bool { return binary.BigEndian.Uint32(m.data[GIAddrOffset:]) != 0 }

// GIAddr is the address of the relay agent, or 0.0.0.0.
func (m *Message) GIAddr() netip.Addr { return m.addr(GIAddrOffset) }

func (m *Message) addr(offset int) netip.Addr {
	return netip.AddrFrom4([4]byte(m.data[offset:]))
}

// CHAddr is the client's hardware address, [Message.HLen] octets. It aliases the message.
func (m *Message) CHAddr() []byte {
	end := chaddrOffset + int(m.HLen())
	return m.data[chaddrOffset:end:end]
}

// Type is the value of option 53, or 0 in a BOOTP message, which has none.
func (m *Message) Type() MessageType { return m.msgType }

// HasEnd reports whether the options field has an End option.
func (m *Message) HasEnd() bool { return m.end < len(m.data) }

// LastOption is the offset behind the last option of the options field, which
// is where another one may be added: Pad and End follow, or nothing does.
func (m *Message) LastOption() int { return m.last }

// String is one line for a log: no option data, no control characters.
func (m *Message) String() string {
	if m.data == nil {
		return "invalid DHCP message"
	}
	var b strings.Builder
	if m.msgType != 0 {
		b.WriteString(m.msgType.String())
	} else {
		b.WriteString([...]string{BootRequest: "BOOTREQUEST", BootReply: "BOOTREPLY"}[m.Op()])
	}
	fmt.Fprintf(&b, " xid 0x%08x hops %d ciaddr %v yiaddr %v giaddr %v", m.XID(), m.Hops(), m.CIAddr(), m.YIAddr(), m.GIAddr())
	if chaddr := m.CHAddr(); len(chaddr) > 0 {
		fmt.Fprintf(&b, " chaddr % x", chaddr)
	}
	return b.String()
}

// MessageType is the value of option 53 (RFC 2132 section 9.6).
type MessageType uint8

// The message types of RFC 2132 section 9.6.
const (
	Discover MessageType = 1 + iota
	Offer
	Request
	Decline
	ACK
	NAK
	Release
	Inform
)

// String is the name in the standard's words: DHCPDISCOVER.
func (t MessageType) String() string {
	names := [...]string{Discover: "DISCOVER", Offer: "OFFER", Request: "REQUEST", Decline: "DECLINE", ACK: "ACK", NAK: "NAK", Release: "RELEASE", Inform: "INFORM"}
	if t == 0 || int(t) >= len(names) {
		return fmt.Sprintf("DHCP message type %d", uint8(t))
	}
	return "DHCP" + names[t]
}
