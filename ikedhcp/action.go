package ikedhcp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// SPI is the IKE SPI that the gateway chose for one IKE SA: the responder's SPI
// if the client initiated the SA (RFC 7296 section 3.1). It is the Agent Circuit
// ID, eight octets in network order. Zero is none.
type SPI uint64

// String is 16 hexadecimal digits.
func (s SPI) String() string { return fmt.Sprintf("%016x", uint64(s)) }

// MessageID is the Message ID of an IKE exchange (RFC 7296 section 2.2).
type MessageID uint32

// ID names an action that asks for an answer. The answer, whenever it comes,
// carries the ID back. IDs are never reused by one machine; zero is none.
type ID uint64

// TrafficSelector is a range of IPv4 addresses, all protocols and all ports (RFC
// 7296 section 3.13.1).
type TrafficSelector struct {
	Start, End netip.Addr
}

// AppendBinary appends the selector as it stands in a TS payload: 16 octets of
// type TS_IPV4_ADDR_RANGE. It fails with [ErrValue] if an address is not IPv4 or
// Start is above End.
func (ts TrafficSelector) AppendBinary(b []byte) ([]byte, error) {
	if !ts.Start.Is4() || !ts.End.Is4() || ts.End.Less(ts.Start) {
		return b, ErrValue
	}
	const tsIPv4AddrRange, anyProtocol, length = 7, 0, 16
	start, end := ts.Start.As4(), ts.End.As4()
	b = append(b, tsIPv4AddrRange, anyProtocol)
	b = binary.BigEndian.AppendUint16(b, length)
	b = append(b, 0, 0, 0xff, 0xff) // ports 0 to 65535
	return append(append(b, start[:]...), end[:]...), nil
}

// String is "start-end".
func (ts TrafficSelector) String() string { return ts.Start.String() + "-" + ts.End.String() }

// Action is one thing the caller has to do for a machine. It is flat: Kind says
// which of the other fields are set, and those not named there are zero.
//
// Actions are performed in the order given, all of them before the next call on
// that machine: Data, To and Messages are the machine's, and valid until then. Copy
// what must live longer. To may be the same slice in all of them: do not write to it.
type Action struct {
	Kind ActionKind

	// SPI is the IKE SA that the action is about.
	SPI SPI
	// MessageID is the IKE request that is answered.
	MessageID MessageID
	// ID is to come back with the answer.
	ID ID

	// Messages are the DHCP messages to put into an IKE message, one payload
	// each, in this order; there may be none.
	Messages [][]byte
	// Data is a DHCP message, the UDP payload of a datagram.
	Data []byte
	// From and To are the ends of that datagram.
	From netip.AddrPort
	To   []netip.AddrPort

	// Address is the client's IP address.
	Address netip.Addr
	// Selector is what TSi is narrowed to: Address alone.
	Selector TrafficSelector
	// Lease is how long Address may be used, counted from now; 0 is for ever.
	Lease time.Duration

	// Exchange is the IKE exchange to send a request in.
	Exchange Exchange
	// Assign is what the client asks for.
	Assign AssignRequest
}

// ActionKind says what an [Action] asks for.
type ActionKind uint8

const (
	// Relay.

	// ActionToServer: send Data to each of To: the DHCP servers, or the limited
	// broadcast address. From is the giaddr, port 67; with RelayConfig.SourcePort
	// any port will do.
	ActionToServer ActionKind = iota + 1
	// ActionRespond: answer the request MessageID of IKE SA SPI, with Messages,
	// perhaps none.
	ActionRespond
	// ActionRefuse: answer the request MessageID of IKE SA SPI, which is to be the
	// end of IKE_AUTH, with the Notify INTERNAL_ADDRESS_FAILURE (36) and no Child
	// SA (RFC 7296 sections 2.21.2 and 3.15.4), and with Messages, perhaps none.
	ActionRefuse
	// ActionInform: start an INFORMATIONAL exchange in IKE SA SPI with Messages.
	// It queues behind requests under way.
	ActionInform
	// ActionSetAddress: Address is the client's behind IKE SA SPI for Lease.
	// Narrow TSi to Selector; if what the client proposes does not contain it,
	// the answer is TS_UNACCEPTABLE (38). It comes again when the lease is renewed.
	ActionSetAddress
	// ActionClearAddress: Address is no longer the client's behind IKE SA SPI.
	// Its Child SAs must carry no more traffic for it, and an SA under construction
	// must not be completed with it.
	ActionClearAddress
	// ActionDeleteSAs: delete the Child SAs of IKE SA SPI that use Address: it
	// was given to another entity. The IKE SA itself may stay. If it is under
	// construction there is nothing to delete yet, and no exchange to do it in
	// (K3.16): do not complete it with Address, but refuse it or wait for the next
	// ActionSetAddress. An ACK for Address may still be among the Messages to come.
	ActionDeleteSAs
	// ActionLeaseExpired: the lease of Address, cleared just before, has ended.
	// The caller may want to delete IKE SA SPI.
	ActionLeaseExpired

	// Client.

	// ActionRequest: start the Exchange with Messages, perhaps none. Answer with
	// HandleResponse and ID.
	ActionRequest
	// ActionDeliver: hand Data to the local DHCP client, as a datagram From a
	// DHCP server To the client.
	ActionDeliver
	// ActionEmptyResponse: answer the gateway's INFORMATIONAL request MessageID,
	// with no payloads.
	ActionEmptyResponse

	// Responder.

	// ActionAssign: find an address and options for Assign. Answer with
	// HandleAssigned or HandleRefused and ID.
	ActionAssign
	// ActionReply: Data is the answer. Give it to Relay.HandleServer, as coming
	// from From, or send it To the relay agent.
	ActionReply
	// ActionFree: the client that Assign tells of has released Address.
	ActionFree
	// ActionDeclined: the client that Assign tells of has found Address in use by
	// somebody else (RFC 2131 section 4.3.3). Do not assign it until that is clear.
	ActionDeclined
)

var actionNames = [...]string{
	ActionToServer:      "ToServer",
	ActionRespond:       "Respond",
	ActionRefuse:        "Refuse",
	ActionInform:        "Inform",
	ActionSetAddress:    "SetAddress",
	ActionClearAddress:  "ClearAddress",
	ActionDeleteSAs:     "DeleteSAs",
	ActionLeaseExpired:  "LeaseExpired",
	ActionRequest:       "Request",
	ActionDeliver:       "Deliver",
	ActionEmptyResponse: "EmptyResponse",
	ActionAssign:        "Assign",
	ActionReply:         "Reply",
	ActionFree:          "Free",
	ActionDeclined:      "Declined",
}

func (k ActionKind) String() string { return name(actionNames[:], int(k), "Action") }

// Exchange is an IKE exchange type (RFC 7296 section 3.1).
type Exchange uint8

// The exchanges that carry DHCP payloads.
const (
	IKEAuth       Exchange = 35
	Informational Exchange = 37
)

func (e Exchange) String() string {
	switch e {
	case IKEAuth:
		return "IKE_AUTH"
	case Informational:
		return "INFORMATIONAL"
	}
	return name(nil, int(e), "Exchange")
}

// Reason says why a machine ignored an input, or part of one.
type Reason uint8

const (
	// ReasonMalformed: the octets are no DHCP message.
	ReasonMalformed Reason = iota
	// ReasonMessageType: not a message for this direction, role or state.
	ReasonMessageType
	// ReasonTooLarge: a DHCP message of over 1472 octets, or one that has no room
	// for option 82 within RelayConfig.MaxSize.
	ReasonTooLarge
	// ReasonUnknownSA: no such IKE SA, or a circuit id that names none.
	ReasonUnknownSA
	// ReasonState: not in this state of the SA: an SPI in use, an identity that
	// changes, an SA that is not authenticated or established.
	ReasonState
	// ReasonDuplicate: an IKE request that is being answered already.
	ReasonDuplicate
	// ReasonRelayed: a client's message with giaddr or option 82, or that has
	// passed too many relay agents: the circuit is not trusted (RFC 3046 section 2.1).
	ReasonRelayed
	// ReasonAddress: an address that is not the SA's own in a client's message, or
	// one in a reply that no client can have.
	ReasonAddress
	// ReasonSource: a reply that does not come from a configured server.
	ReasonSource
	// ReasonGIAddr: a reply whose giaddr is not ours (RFC 1542 section 4.1.2).
	ReasonGIAddr
	// ReasonNoCircuit: a reply that names no circuit, and nothing else tells the SA.
	ReasonNoCircuit
	// ReasonUnanswerable: a reply that answers nothing the SA has asked.
	ReasonUnanswerable
	// ReasonTransactionTaken: another SA already uses this xid and chaddr.
	ReasonTransactionTaken
	// ReasonTooMany: a limit of the configuration is reached.
	ReasonTooMany
	// ReasonHeldFull: the oldest reply held for an SA gave way to a newer one.
	ReasonHeldFull
	// ReasonInform: the local DHCP client sent a DHCPINFORM, which it must not.
	ReasonInform
	// ReasonStale: an answer to an action that is over or never was.
	ReasonStale
	// ReasonServerID: the message is for another DHCP server.
	ReasonServerID

	numReasons
)

var reasonNames = [numReasons]string{
	ReasonMalformed:        "malformed message",
	ReasonMessageType:      "unexpected message type",
	ReasonTooLarge:         "message too large",
	ReasonUnknownSA:        "unknown IKE SA",
	ReasonState:            "wrong state",
	ReasonDuplicate:        "request is being answered",
	ReasonRelayed:          "relayed before",
	ReasonAddress:          "address not acceptable",
	ReasonSource:           "not a configured server",
	ReasonGIAddr:           "giaddr is not ours",
	ReasonNoCircuit:        "no circuit id",
	ReasonUnanswerable:     "answers nothing outstanding",
	ReasonTransactionTaken: "transaction is another SA's",
	ReasonTooMany:          "limit reached",
	ReasonHeldFull:         "held reply given up",
	ReasonInform:           "DHCPINFORM",
	ReasonStale:            "stale answer",
	ReasonServerID:         "for another server",
}

func (r Reason) String() string { return name(reasonNames[:], int(r), "Reason") }

// DropError reports an input, or a part of one, that a machine ignored: it has
// changed nothing but the counter of Reason.
type DropError struct {
	Reason Reason
	Err    error // more about it, or nil
}

func (e *DropError) Error() string {
	if e.Err == nil {
		return "dropped: " + e.Reason.String()
	}
	return "dropped: " + e.Reason.String() + ": " + e.Err.Error()
}

func (e *DropError) Unwrap() error { return e.Err }

// Stats counts, by Reason, what a machine ignored since it was made.
type Stats [numReasons]uint64

// drop counts r and makes the error for it.
func (s *Stats) drop(r Reason, err error) error {
	s[r]++
	return &DropError{Reason: r, Err: err}
}

func name(names []string, i int, kind string) string {
	if i < len(names) && names[i] != "" {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", kind, i)
}
