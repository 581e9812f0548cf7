package ikedhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/wire"
)

// ParseError reports malformed octets: the field, its offset, and one of the
// sentinels below.
type ParseError = wire.ParseError

// The sentinels that a [ParseError] of this package wraps.
var (
	ErrTruncated = wire.ErrTruncated // the input ends before the field does
	ErrLength    = wire.ErrLength    // a length that the value cannot have
	ErrTrailing  = wire.ErrTrailing  // octets follow the last payload
	ErrValue     = wire.ErrValue     // a value that the specification forbids
	ErrTooLarge  = wire.ErrTooLarge  // more than a length field or a limit allows
)

// ErrGate: the peer has not sent the Vendor ID without which the private use
// payload type means nothing to it (RFC 7296 section 3.12).
var ErrGate = errors.New("the peer has not announced DHCP payloads")

var errConfigType = errors.New("ikedhcp: Codec.Type is below 128, which IANA assigns, and not forced")

// PayloadType is the value of a Next Payload field (RFC 7296 section 3.2).
type PayloadType uint8

// The payload types that this package looks at.
const (
	NoNextPayload PayloadType = 0  // the last payload of a chain names it
	PayloadV      PayloadType = 43 // Vendor ID
	PayloadSK     PayloadType = 46 // Encrypted and Authenticated
	PayloadSKF    PayloadType = 53 // Encrypted Fragment (RFC 7383 section 2.5)

	// DefaultPayloadType is that of the DHCP payload, for which no number was
	// ever assigned: it is from the private use range of 128 to 255 (RFC 4306
	// section 3.2).
	DefaultPayloadType PayloadType = 200

	firstPayload PayloadType = 33 // RFC 7296 section 3.2 defines 33 to 48
	lastPayload  PayloadType = 48
	firstPrivate PayloadType = 128
)

var payloadNames = [...]string{
	0: "none", 33: "SA", "KE", "IDi", "IDr", "CERT", "CERTREQ", "AUTH", "Nonce", "N", "D", "V", "TSi", "TSr", "SK",
	"CP", "EAP", "GSPM", "IDg", "GSA", "KD", "SKF", "PS",
}

// String is the notation of RFC 7296 section 3.2, or the number.
func (t PayloadType) String() string {
	if t >= firstPrivate {
		return fmt.Sprintf("private(%d)", uint8(t))
	}
	return name(payloadNames[:], int(t), "payload")
}

// Sizes in octets.
const (
	payloadHeaderLen = 4
	// MaxMessage is the largest DHCP message in a payload: what the Payload Length
	// can say less the generic header.
	MaxMessage = math.MaxUint16 - payloadHeaderLen
)

// FlagCritical is the C bit: who does not know the type of the payload must refuse
// the whole request (RFC 7296 section 2.5).
const FlagCritical uint8 = 0x80

// Payload is one payload of a chain.
type Payload struct {
	Type PayloadType
	// Next is the Next Payload field: the type of the payload that follows. In SK
	// and SKF it is the type of the first payload inside (RFC 7296 section 3.14).
	Next PayloadType
	// Flags is the C bit, and the seven bits of RESERVED: zero when sent, ignored
	// when received.
	Flags uint8
	// Body is what follows the generic header. It aliases the chain.
	Body []byte
	// Offset is where the generic header begins, from the start of the chain.
	Offset int
}

// Critical is whether the C bit is set.
func (p Payload) Critical() bool { return p.Flags&FlagCritical != 0 }

// AppendBinary appends the payload: generic header and Body. It fails with
// [ErrTooLarge] if Body has over [MaxMessage] octets.
func (p Payload) AppendBinary(b []byte) ([]byte, error) {
	if len(p.Body) > MaxMessage {
		return b, ErrTooLarge
	}
	return appendPayload(b, p.Next, p.Flags, p.Body), nil
}

func appendPayload(b []byte, next PayloadType, flags uint8, body []byte) []byte {
	b = append(b, uint8(next), flags)
	b = binary.BigEndian.AppendUint16(b, uint16(payloadHeaderLen+len(body)))
	return append(b, body...)
}

// Payloads ranges over a chain of payloads: the plaintext of an SK payload
// without padding, or what follows an IKE header. first is the Next Payload field
// of that SK payload or header. Nothing is interpreted but the generic header;
// types nobody knows are yielded like any other.
//
// A chain that is malformed ends with a *[ParseError]: a Payload Length under 4 is
// ErrLength, one beyond the end ErrTruncated, octets after the last payload
// ErrTrailing. An SK or SKF payload is the last of its chain (RFC 7296 section
// 3.14). It does not allocate unless there is an error.
func Payloads(first PayloadType, chain []byte) iter.Seq2[Payload, error] {
	return func(yield func(Payload, error) bool) { walk(first, chain, yield) }
}

// walk is Payloads. A Payload and an error are as much as the compiler passes in
// registers; one more field would make the walk twice as slow.
func walk(first PayloadType, chain []byte, yield func(Payload, error) bool) {
	next, at := first, 0
	for next != NoNextPayload {
		rest := chain[at:]
		if len(rest) < payloadHeaderLen {
			yield(Payload{}, wire.Errorf("generic payload header", at, ErrTruncated))
			return
		}
		n := int(binary.BigEndian.Uint16(rest[2:]))
		if n < payloadHeaderLen || n > len(rest) {
			yield(Payload{}, lengthError(at, n))
			return
		}
		typ := next
		next = PayloadType(rest[0])
		if !yield(Payload{Type: typ, Next: next, Flags: rest[1], Body: rest[payloadHeaderLen:n:n], Offset: at}, nil) {
			return
		}
		at += n
		if typ == PayloadSK || typ == PayloadSKF {
			break
		}
	}
	if at < len(chain) {
		yield(Payload{}, wire.Errorf("payload chain", at, ErrTrailing))
	}
}

func lengthError(at, n int) error {
	if n < payloadHeaderLen {
		return wire.Errorf("Payload Length", at+2, ErrLength)
	}
	return wire.Errorf("Payload Length", at+2, ErrTruncated)
}

// VendorID is the body of the Vendor ID payload by which both ends announce that
// they know the DHCP payload: "Writers of documents who wish to extend this
// protocol MUST define a Vendor ID payload to announce the ability to implement
// the extension" (RFC 7296 section 3.12). It is the beginning of a SHA-256 digest, as that
// section recommends, of "DHCP over IKE, draft-ietf-ipsec-dhcp-over-ike-dhcpd-00".
const VendorID = "\xd5\x87\xf0\xfa\xae\x1e\x26\xbf\x4b\x71\x90\xa2\xd6\xfd\xbb\xe1"

// Gate tells whether the peer of one IKE SA has announced DHCP payloads. The zero
// Gate is closed. It is a value, for the caller to keep with the SA.
type Gate struct{ open bool }

// Open is whether the peer's [VendorID] was seen.
func (g Gate) Open() bool { return g.open }

// Observe opens the gate if p is a Vendor ID payload with [VendorID]. Show it the
// payloads of the peer's IKE_SA_INIT message, and of any other that may have it.
func (g *Gate) Observe(p Payload) {
	if p.Type == PayloadV && string(p.Body) == VendorID {
		g.open = true
	}
}

// AppendVendorID appends the Vendor ID payload; next is the type of what follows.
func AppendVendorID(b []byte, next PayloadType) []byte {
	b = append(b, uint8(next), 0, 0, payloadHeaderLen+uint8(len(VendorID)))
	return append(b, VendorID...)
}

// CriticalError reports a payload of unknown type with the C bit set. In a
// request, it is answered with the Notify UNSUPPORTED_CRITICAL_PAYLOAD (1), whose
// data is Type in one octet, and nothing of the request is processed (RFC 7296 section
// 2.5). In a response the bit has no business, and the payload is skipped.
type CriticalError struct {
	Type   PayloadType
	Offset int // of the generic header, from the start of the chain
}

func (e *CriticalError) Error() string {
	return fmt.Sprintf("unsupported critical payload %v at offset %d", e.Type, e.Offset)
}

// Codec reads and writes DHCP payloads. The zero Codec has the type
// [DefaultPayloadType] and leaves the C bit clear. The two ends must agree on it.
type Codec struct {
	// Type is the type of the DHCP payload; 0 means DefaultPayloadType. A type
	// below 128 is IANA's to assign, and needs Force.
	Type  PayloadType
	Force bool
	// Critical sets the C bit in requests, so that a peer that does not know the
	// payload refuses the request and does not just pass over it. In responses
	// the bit is never set, whatever this says: RFC 7296 section 2.5 forbids it.
	Critical bool
}

// Direction says which way a DHCP payload goes: which IKE message it is in
// decides about the C bit.
type Direction uint8

const (
	InRequest  Direction = iota // in an IKE request
	InResponse                  // in an IKE response
)

// Validate fails if Type is below 128 and not forced, or that of an IKE payload.
func (c Codec) Validate() error {
	switch t := c.payloadType(); {
	case t < firstPrivate && !c.Force:
		return errConfigType
	case t >= firstPayload && t <= lastPayload, t == PayloadSKF:
		return fmt.Errorf("ikedhcp: Codec.Type is %v", t)
	}
	return nil
}

func (c Codec) payloadType() PayloadType {
	return orDefault(c.Type, DefaultPayloadType)
}

// permitted: "Reception of a familiar Vendor ID payload allows an implementation
// to make use of private use numbers" (RFC 7296 section 3.12). A number that was
// assigned needs no permission.
func (c Codec) permitted(gate Gate) bool {
	return gate.open || c.payloadType() < firstPrivate
}

// Messages ranges over the DHCP messages in a chain of payloads, none of which is
// a fault. They alias the chain. Other payloads are skipped. What it reports
// beside them, the loop may go on after, except where a framing error has ended
// the chain:
//
//   - a *[CriticalError] for a payload with the C bit whose type is neither the
//     DHCP payload's nor one of RFC 7296. Types of later RFCs, which the caller
//     may implement, are among those: go on if Type is one of them;
//   - a *[ParseError] for a DHCP payload that does not hold a DHCP message;
//   - a *[ParseError] from [Payloads].
//
// Offsets count from the start of the chain. While the gate is closed, a DHCP
// payload with a private use type is a payload of unknown type.
func (c Codec) Messages(gate Gate, first PayloadType, chain []byte) iter.Seq2[[]byte, error] {
	ours, permitted := c.payloadType(), c.permitted(gate)
	return func(yield func([]byte, error) bool) {
		for p, err := range Payloads(first, chain) {
			switch {
			case err != nil:
			case p.Type == ours && permitted:
				var m dhcp4.Message
				if err = m.Parse(p.Body); err != nil {
					err = wire.Shift(err, p.Offset+payloadHeaderLen)
				} else if m.Type() == 0 {
					err = wire.Errorf("DHCP message type", p.Offset+payloadHeaderLen, ErrValue)
				}
				if err != nil {
					p.Body = nil
				}
			case p.Critical() && (p.Type < firstPayload || p.Type > lastPayload):
				p.Body, err = nil, &CriticalError{Type: p.Type, Offset: p.Offset}
			default:
				continue
			}
			if !yield(p.Body, err) {
				return
			}
		}
	}
}

// AppendPayloads appends to dst the payloads of chain and behind them one DHCP
// payload for each of messages, linked by their Next Payload fields. It returns
// the type of the first payload: what belongs into the Next Payload field of the
// SK payload or the IKE header around. The chain may be empty, with first
// [NoNextPayload], and so may messages. Neither is modified; dst must not overlap
// them.
//
// It fails with [ErrGate] if there are messages and the gate is closed, with
// [ErrTooLarge] if one is over [MaxMessage] octets, with a *[ParseError] if the
// chain is malformed, or ends with SK or SKF, behind which nothing may stand; on
// error dst is returned as it came.
func (c Codec) AppendPayloads(dst []byte, gate Gate, dir Direction, first PayloadType, chain []byte, messages ...[]byte) ([]byte, PayloadType, error) {
	if err := c.Validate(); err != nil {
		return dst, 0, err
	}
	last := -1
	for p, err := range Payloads(first, chain) {
		if err == nil && len(messages) > 0 && (p.Type == PayloadSK || p.Type == PayloadSKF) {
			err = wire.Errorf("payload behind "+p.Type.String(), len(chain), ErrValue)
		}
		if err != nil {
			return dst, 0, err
		}
		last = p.Offset
	}
	if len(messages) > 0 && !c.permitted(gate) {
		return dst, 0, ErrGate
	}
	for _, m := range messages {
		if len(m) > MaxMessage {
			return dst, 0, ErrTooLarge
		}
	}

	start := len(dst)
	dst = append(dst, chain...)
	if len(messages) == 0 {
		return dst, first, nil
	}
	if last < 0 {
		first = c.payloadType()
	} else {
		dst[start+last] = uint8(c.payloadType())
	}
	var flags uint8
	if c.Critical && dir == InRequest {
		flags = FlagCritical
	}
	next := c.payloadType()
	for i, m := range messages {
		if i == len(messages)-1 {
			next = NoNextPayload
		}
		dst = appendPayload(dst, next, flags, m)
	}
	return dst, first, nil
}
