package dhcp6

import (
	"fmt"

	"dhcpsec.example/internal/wire"
)

// ParseError says what was malformed and where.
type ParseError = wire.ParseError

// What a [ParseError] wraps, and what the encoders return.
var (
	ErrTruncated = wire.ErrTruncated
	ErrLength    = wire.ErrLength
	ErrValue     = wire.ErrValue
	ErrDuplicate = wire.ErrDuplicate
	ErrTooLarge  = wire.ErrTooLarge
)

// MessageType is the msg-type octet (RFC 8415 section 7.3).
type MessageType uint8

// The message types of RFC 8415.
const (
	Solicit            MessageType = 1
	Advertise          MessageType = 2
	Request            MessageType = 3
	Confirm            MessageType = 4
	Renew              MessageType = 5
	Rebind             MessageType = 6
	Reply              MessageType = 7
	Release            MessageType = 8
	Decline            MessageType = 9
	Reconfigure        MessageType = 10
	InformationRequest MessageType = 11
	RelayForward       MessageType = 12
	RelayReply         MessageType = 13
)

// String is the message's name in RFC 8415, or MessageType(n) for any other.
func (t MessageType) String() string {
	switch t {
	case Solicit:
		return "Solicit"
	case Advertise:
		return "Advertise"
	case Request:
		return "Request"
	case Confirm:
		return "Confirm"
	case Renew:
		return "Renew"
	case Rebind:
		return "Rebind"
	case Reply:
		return "Reply"
	case Release:
		return "Release"
	case Decline:
		return "Decline"
	case Reconfigure:
		return "Reconfigure"
	case InformationRequest:
		return "Information-request"
	case RelayForward:
		return "Relay-forward"
	case RelayReply:
		return "Relay-reply"
	}
	return fmt.Sprintf("MessageType(%d)", uint8(t))
}

// isRelay: the message has the header of RFC 8415 section 9.
func (t MessageType) isRelay() bool { return t == RelayForward || t == RelayReply }

// isClientServer: the message has the header of RFC 8415 section 8.
func (t MessageType) isClientServer() bool { return Solicit <= t && t <= InformationRequest }

// TransactionID is the transaction-id of a client/server message.
type TransactionID = [3]byte

// HeaderLen is the number of octets before the options of a client/server
// message: what to add to an offset within [Message.Options] to make it an
// offset within the message.
const HeaderLen = 4

// Message is a client/server message (RFC 8415 section 8). Its Options alias
// the octets it was parsed from.
type Message struct {
	Type          MessageType
	TransactionID TransactionID
	Options       Options
}

// ParseMessage reads the client/server message that b is, which must be of the
// types Solicit to Information-request; a Relay-forward or Relay-reply is for
// [ParseRelay]. It checks all that loses a message (see the package comment),
// allocates nothing unless it fails, and keeps no part of b but the view that
// it returns. The error is a *[ParseError] with an offset within b.
func ParseMessage(b []byte) (Message, error) { return parseMessage(b, 0) }

// parseMessage is ParseMessage for a b that begins base octets into the
// caller's slice.
func parseMessage(b []byte, base int) (Message, error) {
	c := wire.NewCursor(b, base)
	t, err := c.Uint8("msg-type")
	if err != nil {
		return Message{}, err
	}
	// Section 16: "MUST discard any received DHCP messages with an unknown
	// message type".
	if !MessageType(t).isClientServer() {
		return Message{}, wire.Errorf("msg-type", base, ErrValue)
	}
	xid, err := c.Bytes(len(TransactionID{}), "transaction-id")
	if err != nil {
		return Message{}, err
	}
	at := c.Offset()
	m := Message{Type: MessageType(t), TransactionID: TransactionID(xid), Options: c.Rest()}
	if err := m.Options.check(at); err != nil {
		return Message{}, err
	}
	return m, nil
}

// AppendBinary appends the message, built anew from its typed parts: each
// IA_PD and IA Prefix from its fields, and only what this package has no type
// for from its octets. What [ParseMessage] accepted comes out as it was. An
// error leaves b as it came.
func (m Message) AppendBinary(b []byte) ([]byte, error) {
	w := NewBuilder(b, m.Type, m.TransactionID)
	w.rebuild(m.Options)
	return w.Bytes()
}
