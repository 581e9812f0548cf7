package dhcp6

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"unicode/utf8"

	"dhcpsec.example/internal/wire"
)

// maxNesting is how many options can be open at once: an IA Prefix in an IA_PD
// needs two, and no option of RFC 8415 nests deeper.
const maxNesting = 4

// Builder appends a message, option by option. It fills in every length, and
// [Builder.Bytes] lets nothing out that this package would not parse. The first
// error sticks, and whatever follows it does nothing.
//
// Use it as a local variable: it then lives on the stack and, with room in the
// buffer that it is given, a message is built without allocation.
type Builder struct {
	given []byte // as the caller handed it over
	b     []byte // given and the message so far
	marks [maxNesting]int
	open  int // how many of marks are in use
	err   error
}

// NewBuilder begins a client/server message of type t behind the octets of b.
func NewBuilder(b []byte, t MessageType, xid TransactionID) Builder {
	w := Builder{given: b, b: b}
	if !t.isClientServer() {
		w.err = ErrValue
		return w
	}
	w.b = append(w.b, byte(t), xid[0], xid[1], xid[2])
	return w
}

// NewRelayBuilder begins a relay message behind the octets of b, with the type,
// hop-count and addresses of r; r.Options are not copied. Both addresses must
// be IPv6; their zones are left out. The message to carry is
// Option(OptionRelayMessage, message).
func NewRelayBuilder(b []byte, r Relay) Builder {
	w := Builder{given: b, b: b}
	if !r.Type.isRelay() {
		w.err = ErrValue
		return w
	}
	w.b, w.err = appendRelayHeader(b, r.Type, r)
	return w
}

// Bytes is the buffer with the message appended. On error it is the buffer as
// [NewBuilder] was given it: ErrTooLarge for an option of more than 65535
// octets, ErrValue for a field that cannot be encoded or a Begin without its
// End, or the *[ParseError] of this package's parser, with an offset within
// the message, for options that lose a message.
func (w *Builder) Bytes() ([]byte, error) {
	if w.err == nil && w.open > 0 {
		w.err = ErrValue
	}
	if w.err != nil {
		return w.given, w.err
	}
	if err := checkMessage(w.b[len(w.given):]); err != nil {
		w.err = err
		return w.given, err
	}
	return w.b, nil
}

// checkMessage is what the parser says of the message that b is.
func checkMessage(b []byte) (err error) {
	if isRelayMessage(b) {
		_, err = ParseRelay(b)
	} else {
		_, err = ParseMessage(b)
	}
	return err
}

// Option appends an option with this data.
func (w *Builder) Option(code uint16, data []byte) {
	if w.err == nil {
		w.b, w.err = wire.AppendOption16(w.b, code, data)
	}
}

// OptionUint8 appends an option of one octet.
func (w *Builder) OptionUint8(code uint16, v uint8) {
	w.Option(code, []byte{v})
}

// OptionUint16 appends an option of two octets.
func (w *Builder) OptionUint16(code, v uint16) {
	w.Option(code, []byte{byte(v >> 8), byte(v)})
}

// OptionUint32 appends an option of four octets.
func (w *Builder) OptionUint32(code uint16, v uint32) {
	w.Option(code, []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// ORO appends an Option Request option that names these codes (RFC 8415
// section 21.7).
func (w *Builder) ORO(codes ...uint16) {
	w.Begin(OptionORO)
	for _, code := range codes {
		w.uint16(code)
	}
	w.End()
}

// Status appends a Status Code option (section 21.13). The text must be UTF-8
// without NUL; it may be empty.
func (w *Builder) Status(code StatusCode, text string) {
	if w.err == nil && (!utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0) {
		w.err = ErrValue
	}
	w.Begin(OptionStatusCode)
	w.uint16(uint16(code))
	if w.err == nil {
		w.b = append(w.b, text...)
	}
	w.End()
}

// BeginIANA begins an IA_NA (section 21.4), which [Builder.End] ends.
func (w *Builder) BeginIANA(iaid, t1, t2 uint32) {
	w.Begin(OptionIANA)
	w.uint32(iaid)
	w.uint32(t1)
	w.uint32(t2)
}

// BeginIATA begins an IA_TA (section 21.5), which [Builder.End] ends.
func (w *Builder) BeginIATA(iaid uint32) {
	w.Begin(OptionIATA)
	w.uint32(iaid)
}

// BeginIAPD begins an IA_PD (section 21.21), which [Builder.End] ends; the
// options appended in between are its IA_PD-options. T1 and T2 are in seconds.
func (w *Builder) BeginIAPD(iaid, t1, t2 uint32) {
	w.Begin(OptionIAPD)
	w.uint32(iaid)
	w.uint32(t1)
	w.uint32(t2)
}

// BeginIAPrefix begins an IA Prefix (section 21.22), which [Builder.End] ends;
// the options appended in between are its IAprefix-options. The lifetimes are in
// seconds. The prefix must be an IPv6 one; it is not masked.
func (w *Builder) BeginIAPrefix(preferred, valid uint32, p netip.Prefix) {
	if w.err == nil && (!p.IsValid() || !p.Addr().Is6()) {
		w.err = ErrValue
	}
	w.Begin(OptionIAPrefix)
	w.uint32(preferred)
	w.uint32(valid)
	if w.err == nil {
		addr := p.Addr().As16()
		w.b = append(append(w.b, byte(p.Bits())), addr[:]...)
	}
}

// IAPrefix appends an IA Prefix without options, as [Builder.BeginIAPrefix] has it.
func (w *Builder) IAPrefix(preferred, valid uint32, p netip.Prefix) {
	w.BeginIAPrefix(preferred, valid, p)
	w.End()
}

// Begin begins an option whose data is the options appended until
// [Builder.End]. At most 4 options can be open at once.
func (w *Builder) Begin(code uint16) {
	if w.err != nil {
		return
	}
	if w.open == maxNesting {
		w.err = ErrTooLarge
		return
	}
	w.b, w.marks[w.open] = wire.BeginOption16(w.b, code)
	w.open++
}

// End ends the option begun last.
func (w *Builder) End() {
	if w.err != nil {
		return
	}
	if w.open == 0 {
		w.err = ErrValue
		return
	}
	w.open--
	w.b, w.err = wire.EndOption16(w.b, w.marks[w.open])
}

// Raw appends whole options that were encoded elsewhere. Bad framing is a
// *[ParseError] with an offset within options.
func (w *Builder) Raw(options []byte) {
	c := wire.NewCursor(options, 0)
	for w.err == nil && c.Len() > 0 {
		_, _, w.err = c.Option16()
	}
	if w.err == nil {
		w.b = append(w.b, options...)
	}
}

// rebuild appends the options of a parsed message from their typed parts. An
// IA_PD or IA Prefix that is malformed, which does not lose its message, goes
// as it is.
func (w *Builder) rebuild(o Options) {
	for code, data := range o.All() {
		if code != OptionIAPD || !w.rebuildIAPD(data) {
			w.Option(code, data)
		}
	}
}

// rebuildIAPD reports false, having done nothing, if data is malformed.
func (w *Builder) rebuildIAPD(data []byte) bool {
	ia, err := parseIAPD(data, 0)
	if err != nil {
		return false
	}
	w.BeginIAPD(ia.IAID, ia.T1, ia.T2)
	for code, data := range ia.Options.All() {
		if code != OptionIAPrefix || !w.rebuildIAPrefix(data) {
			w.Option(code, data)
		}
	}
	w.End()
	return true
}

// rebuildIAPrefix reports false, having done nothing, if data is malformed.
func (w *Builder) rebuildIAPrefix(data []byte) bool {
	p, err := parseIAPrefix(data, 0)
	if err != nil {
		return false
	}
	w.BeginIAPrefix(p.Preferred, p.Valid, p.Prefix)
	w.Raw(p.Options)
	w.End()
	return true
}

// uint16 appends a field of an option that is open.
func (w *Builder) uint16(v uint16) {
	if w.err == nil {
		w.b = binary.BigEndian.AppendUint16(w.b, v)
	}
}

// uint32 appends a field of an option that is open.
func (w *Builder) uint32(v uint32) {
	if w.err == nil {
		w.b = binary.BigEndian.AppendUint32(w.b, v)
	}
}
