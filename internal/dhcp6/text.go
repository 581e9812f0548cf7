package dhcp6

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
)

// Limits of a summary, in octets: where it is cut off, and how much of a
// sender's text or opaque value it quotes. What is cut ends in "...".
const (
	maxSummary = 4096
	maxQuote   = 64
)

// String is the message in one line, for a log: its type, transaction id and
// options in wire order. Options that this package gives no meaning to, and
// those that are malformed, appear as NAME(octets) or CODE(octets).
//
//	Reply xid=010203 client-id=00030001020000000001 IA_PD(iaid=1 t1=1000 t2=2000 2001:db8:1::/56 pref=3000 valid=4000) 65001(32)
//
// The line has no control characters, whatever the message holds, and its
// length is bounded.
func (m Message) String() string {
	var s summary
	s.message(m)
	return string(s)
}

// String is the relay message and all that it carries in one line, each level
// in brackets within the one around it, as [Message.String] has it.
//
//	Relay-forward hop=0 link=2001:db8::1 peer=fe80::1 interface-id="port 3" [Solicit xid=010203 elapsed=0ms]
func (r Relay) String() string {
	var s summary
	s.relay(r, maxRelays)
	return string(s)
}

// String is the IA_PD as in [Message.String].
func (ia IAPD) String() string {
	var s summary
	s.iapd(ia)
	return string(s)
}

// String is the prefix with its lifetimes and options as in [Message.String].
func (p IAPrefix) String() string {
	var s summary
	s.iaprefix(p)
	return string(s)
}

// summary is the line so far. Every single thing added to it is of bounded
// size, and the loops stop once it is full.
type summary []byte

func (s *summary) full() bool { return len(*s) >= maxSummary }

func (s *summary) text(v string)     { *s = append(*s, v...) }
func (s *summary) hex(v []byte)      { *s = hex.AppendEncode(*s, v) }
func (s *summary) number(v uint64)   { *s = strconv.AppendUint(*s, v, 10) }
func (s *summary) addr(a netip.Addr) { *s = a.AppendTo(*s) }

// seconds is for the fields in which 0xffffffff is infinity.
func (s *summary) seconds(v uint32) {
	if v == Infinity {
		s.text("infinity")
		return
	}
	s.number(uint64(v))
}

// quote is for octets that somebody else chose.
func (s *summary) quote(v []byte) {
	*s = strconv.AppendQuote(*s, string(v[:min(len(v), maxQuote)]))
	if len(v) > maxQuote {
		s.text("...")
	}
}

func (s *summary) message(m Message) {
	s.text(m.Type.String())
	s.text(" xid=")
	s.hex(m.TransactionID[:])
	for code, data := range m.Options.All() {
		if !s.next() {
			return
		}
		if code == OptionIAPD {
			if ia, err := parseIAPD(data, 0); err == nil {
				s.iapd(ia)
				continue
			}
		}
		s.option(code, data)
	}
}

// relay shows at most levels levels of relay messages, so that nesting costs
// neither stack nor length.
func (s *summary) relay(r Relay, levels int) {
	s.text(r.Type.String())
	s.text(" hop=")
	s.number(uint64(r.HopCount))
	s.text(" link=")
	s.addr(r.LinkAddress)
	s.text(" peer=")
	s.addr(r.PeerAddress)
	for code, data := range r.Options.All() {
		if !s.next() {
			return
		}
		if code != OptionRelayMessage {
			s.option(code, data)
			continue
		}
		s.carried(data, levels-1)
	}
}

// carried is the message in a Relay Message option.
func (s *summary) carried(data []byte, levels int) {
	if isRelayMessage(data) {
		if r, err := ParseRelay(data); err == nil && levels > 0 {
			s.text("[")
			s.relay(r, levels)
			s.text("]")
			return
		}
	} else if m, err := ParseMessage(data); err == nil {
		s.text("[")
		s.message(m)
		s.text("]")
		return
	}
	s.option(OptionRelayMessage, data)
}

func (s *summary) iapd(ia IAPD) {
	s.text("IA_PD(iaid=")
	s.number(uint64(ia.IAID))
	s.text(" t1=")
	s.seconds(ia.T1)
	s.text(" t2=")
	s.seconds(ia.T2)
	for code, data := range ia.Options.All() {
		if !s.next() {
			break
		}
		if code == OptionIAPrefix {
			if p, err := parseIAPrefix(data, 0); err == nil {
				s.iaprefix(p)
				continue
			}
		}
		s.option(code, data)
	}
	s.text(")")
}

func (s *summary) iaprefix(p IAPrefix) {
	*s = p.Prefix.AppendTo(*s)
	s.text(" pref=")
	s.seconds(p.Preferred)
	s.text(" valid=")
	s.seconds(p.Valid)
	for code, data := range p.Options.All() {
		if !s.next() {
			return
		}
		s.option(code, data)
	}
}

// next separates two options and reports whether there is room for another.
func (s *summary) next() bool {
	if s.full() {
		s.text(" ...")
		return false
	}
	s.text(" ")
	return true
}

// option is an option without options of its own.
func (s *summary) option(code uint16, data []byte) {
	switch {
	case code == OptionClientID && len(data) <= MaxDUIDLen:
		s.text("client-id=")
		s.hex(data)
	case code == OptionServerID && len(data) <= MaxDUIDLen:
		s.text("server-id=")
		s.hex(data)
	case code == OptionORO && len(data)%2 == 0:
		s.oro(data)
	case code == OptionPreference && len(data) == 1:
		s.text("preference=")
		s.number(uint64(data[0]))
	case code == OptionElapsedTime && len(data) == 2:
		s.text("elapsed=")
		s.number(uint64(binary.BigEndian.Uint16(data)) * 10)
		s.text("ms")
	case code == OptionStatusCode && len(data) >= 2:
		s.text("status=")
		s.text(StatusCode(binary.BigEndian.Uint16(data)).String())
		if len(data) > 2 {
			s.quote(data[2:])
		}
	case code == OptionRapidCommit && len(data) == 0:
		s.text("rapid-commit")
	case code == OptionInterfaceID:
		s.text("interface-id=")
		s.quote(data)
	case code == OptionSolMaxRT && len(data) == 4:
		s.text("sol-max-rt=")
		s.seconds(binary.BigEndian.Uint32(data))
	case code == OptionRelaySourcePort && len(data) == 2:
		s.text("relay-port=")
		s.number(uint64(binary.BigEndian.Uint16(data)))
	default:
		if name := optionName(code); name != "" {
			s.text(name)
		} else {
			s.number(uint64(code))
		}
		s.text("(")
		s.number(uint64(len(data)))
		s.text(")")
	}
}

func (s *summary) oro(codes []byte) {
	s.text("oro=")
	for i := 0; i < len(codes); i += 2 {
		if s.full() {
			s.text("...")
			return
		}
		if i > 0 {
			s.text(",")
		}
		s.number(uint64(binary.BigEndian.Uint16(codes[i:])))
	}
}
