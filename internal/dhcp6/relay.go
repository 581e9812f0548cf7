package dhcp6

import (
	"encoding/binary"
	"net/netip"

	"dhcpsec.example/internal/wire"
)

// HopCountLimit is HOP_COUNT_LIMIT (RFC 8415 section 7.6): a relay agent
// discards a Relay-forward whose hop-count has reached it, so that a message
// arrives within HopCountLimit+1 levels at most.
const HopCountLimit = 8

// maxRelays is the number of levels that the hop-counts 0 to HopCountLimit make.
const maxRelays = HopCountLimit + 1

// RelayHeaderLen is the number of octets before the options of a relay message.
const RelayHeaderLen = 34

// Relay is one level of a Relay-forward or Relay-reply message (RFC 8415
// section 9). Its Options alias the octets it was parsed from.
type Relay struct {
	Type        MessageType
	HopCount    uint8
	LinkAddress netip.Addr // IPv6; "::" where the relay agent gives none
	PeerAddress netip.Addr // IPv6
	Options     Options
}

// ParseRelay reads the Relay-forward or Relay-reply message that b is, one
// level deep: what it carries is [Relay.Message], not parsed; see [Unwrap] for
// all levels. There must be exactly one Relay Message option. The error is a
// *[ParseError] with an offset within b.
func ParseRelay(b []byte) (Relay, error) { return parseRelay(b, 0) }

// parseRelay is ParseRelay for a b that begins base octets into the caller's slice.
func parseRelay(b []byte, base int) (Relay, error) {
	c := wire.NewCursor(b, base)
	t, err := c.Uint8("msg-type")
	if err != nil {
		return Relay{}, err
	}
	if !MessageType(t).isRelay() {
		return Relay{}, wire.Errorf("msg-type", base, ErrValue)
	}
	hops, err := c.Uint8("hop-count")
	if err != nil {
		return Relay{}, err
	}
	link, err := c.Bytes(16, "link-address")
	if err != nil {
		return Relay{}, err
	}
	peer, err := c.Bytes(16, "peer-address")
	if err != nil {
		return Relay{}, err
	}
	at := c.Offset()
	r := Relay{
		Type:        MessageType(t),
		HopCount:    hops,
		LinkAddress: netip.AddrFrom16([16]byte(link)),
		PeerAddress: netip.AddrFrom16([16]byte(peer)),
		Options:     c.Rest(),
	}
	if err := r.Options.check(at); err != nil {
		return Relay{}, err
	}
	// Sections 9.1 and 9.2: "MUST include a Relay Message option". A second
	// one check has refused.
	if _, ok := r.Options.Find(OptionRelayMessage); !ok {
		return Relay{}, wire.Errorf(optionName(OptionRelayMessage), c.Offset(), ErrTruncated)
	}
	return r, nil
}

// Message is the message that this level carries: the data of the Relay
// Message option (section 21.10), not checked. It aliases the octets that r
// was parsed from.
func (r Relay) Message() []byte {
	_, data := r.locateMessage()
	return data
}

// InterfaceID is the Interface-Id option of the relay agent, an opaque value
// (section 21.18).
func (r Relay) InterfaceID() ([]byte, bool) { return r.Options.Find(OptionInterfaceID) }

// RelaySourcePort is the Downstream Source Port of the Relay Source Port option
// (RFC 8357 section 4.2): 0 if only this relay agent uses a port other than
// 547. It is not ok if the option is absent or not two octets.
func (r Relay) RelaySourcePort() (port uint16, ok bool) {
	data, _ := r.Options.Find(OptionRelaySourcePort)
	if len(data) != 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(data), true
}

// AppendBinary appends the relay message, built anew from its typed parts, and
// so are the messages it carries as far as this package can read them. What
// [ParseRelay] accepted comes out as it was. An error leaves b as it came.
func (r Relay) AppendBinary(b []byte) ([]byte, error) {
	return appendRelay(b, r, maxRelays)
}

// appendRelay is AppendBinary with a limit to the levels that are built anew.
func appendRelay(b []byte, r Relay, levels int) ([]byte, error) {
	w := NewRelayBuilder(b, r)
	for code, data := range r.Options.All() {
		if code != OptionRelayMessage {
			w.Option(code, data)
			continue
		}
		w.Begin(code)
		out, err := appendCarried(w.b, data, levels-1)
		if err != nil {
			// Not a message that this package reads. It goes as it is, as it does
			// through a relay agent (section 19.1).
			out = append(out, data...)
		}
		w.b = out
		w.End()
	}
	return w.Bytes()
}

// appendCarried appends the message that a relay message carries, built anew.
func appendCarried(b, carried []byte, levels int) ([]byte, error) {
	if !isRelayMessage(carried) {
		m, err := ParseMessage(carried)
		if err != nil {
			return b, err
		}
		return m.AppendBinary(b)
	}
	if levels == 0 {
		return b, ErrTooLarge
	}
	r, err := ParseRelay(carried)
	if err != nil {
		return b, err
	}
	return appendRelay(b, r, levels)
}

// isRelayMessage: of the two headers, b has that of RFC 8415 section 9.
func isRelayMessage(b []byte) bool { return len(b) > 0 && MessageType(b[0]).isRelay() }

// Unwrap reads a message through all the relay messages around it. It appends
// these to relays, outermost first, and returns the client/server message
// within; for a message that came straight from a client it appends none. All
// alias b. On error relays comes back as it was, and the error is a
// *[ParseError] with an offset within b: ErrTooLarge for more than
// HopCountLimit+1 levels, ErrValue for a level of another type than the
// outermost, since neither direction produces a mixture (sections 19.1, 19.3).
//
// With room for the levels in relays it does not allocate.
func Unwrap(b []byte, relays []Relay) ([]Relay, Message, error) {
	out, base := relays, 0
	for isRelayMessage(b) {
		if len(out)-len(relays) == maxRelays {
			return relays, Message{}, wire.Errorf(optionName(OptionRelayMessage), base, ErrTooLarge)
		}
		if len(out) > len(relays) && MessageType(b[0]) != out[len(relays)].Type {
			return relays, Message{}, wire.Errorf("msg-type", base, ErrValue)
		}
		r, err := parseRelay(b, base)
		if err != nil {
			return relays, Message{}, err
		}
		out = append(out, r)
		at, data := r.locateMessage()
		b, base = data, base+RelayHeaderLen+at
	}
	m, err := parseMessage(b, base)
	if err != nil {
		return relays, Message{}, err
	}
	return out, m, nil
}

// locateMessage is Message with its offset within r.Options.
func (r Relay) locateMessage() (offset int, data []byte) {
	c := wire.NewCursor(r.Options, 0)
	for c.Len() > 0 {
		code, data, err := c.Option16()
		if err != nil {
			break
		}
		if code == OptionRelayMessage {
			return c.Offset() - len(data), data
		}
	}
	return 0, nil
}

// AppendRelayReply appends reply wrapped for its way back through the relay
// agents of forwards, the Relay-forward levels that the request came in,
// outermost first, as [Unwrap] gives them (RFC 8415 section 19.3). Each level
// copies hop-count, link-address and peer-address, and its relay agent's
// Interface-Id (section 21.18) and Relay Source Port (RFC 8357 section 5.2).
// Without forwards it appends reply alone.
//
// An error leaves b as it came: ErrTooLarge for more than HopCountLimit+1
// levels or a level that exceeds 65535 octets, ErrValue for a level that is not a
// Relay-forward or an address that is not IPv6. It does not allocate if b has room.
func AppendRelayReply(b []byte, forwards []Relay, reply []byte) ([]byte, error) {
	if len(forwards) > maxRelays {
		return b, ErrTooLarge
	}
	out := b
	var marks [maxRelays]int
	for i, forward := range forwards {
		if forward.Type != RelayForward {
			return b, ErrValue
		}
		var err error
		if out, err = appendRelayHeader(out, RelayReply, forward); err != nil {
			return b, err
		}
		if id, ok := forward.InterfaceID(); ok {
			if out, err = wire.AppendOption16(out, OptionInterfaceID, id); err != nil {
				return b, err
			}
		}
		if port, ok := forward.RelaySourcePort(); ok {
			out = binary.BigEndian.AppendUint16(out, OptionRelaySourcePort)
			out = binary.BigEndian.AppendUint16(out, 2)
			out = binary.BigEndian.AppendUint16(out, port)
		}
		out, marks[i] = wire.BeginOption16(out, OptionRelayMessage)
	}
	out = append(out, reply...)
	for i := len(forwards) - 1; i >= 0; i-- {
		var err error
		if out, err = wire.EndOption16(out, marks[i]); err != nil {
			return b, err
		}
	}
	return out, nil
}

// appendRelayHeader appends the header of a relay message of type t with the
// fields of r. The wire has no zones, so a zone of an address is left out.
func appendRelayHeader(b []byte, t MessageType, r Relay) ([]byte, error) {
	if !r.LinkAddress.Is6() || !r.PeerAddress.Is6() {
		return b, ErrValue
	}
	link, peer := r.LinkAddress.As16(), r.PeerAddress.As16()
	b = append(b, byte(t), r.HopCount)
	b = append(b, link[:]...)
	return append(b, peer[:]...), nil
}
