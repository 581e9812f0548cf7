package relayinfo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"dhcpsec.example/internal/dhcp4"
)

// The reasons for which [Insert] and [Match] refuse a message that is well formed.
var (
	// ErrNotRequest: Insert was given a BOOTREPLY.
	ErrNotRequest = errors.New("not a BOOTREQUEST")
	// ErrNotReply: Match was given a BOOTREQUEST.
	ErrNotReply = errors.New("not a BOOTREPLY")
	// ErrHops: the message has passed more relay agents than Config.MaxHops.
	ErrHops = errors.New("too many hops")
	// ErrSpoofed: the message came in with one of our own addresses in giaddr.
	ErrSpoofed = errors.New("giaddr is one of ours")
	// ErrRelayed: giaddr is not zero, and the policy is Discard.
	ErrRelayed = errors.New("giaddr is set on an untrusted circuit")
	// ErrPresent: there is an option 82 already, and the policy is Discard; or the
	// policy is Replace, and it is in file or sname, from where it cannot be removed.
	ErrPresent = errors.New("option 82 is present and must not stay")
	// ErrGIAddr: the giaddr of a reply is none of ours.
	ErrGIAddr = errors.New("giaddr is not ours")
	// ErrEcho: the option 82 of a reply is not the one that was sent.
	ErrEcho = errors.New("option 82 is not the one that was sent")

	errConfigGIAddr = errors.New("relayinfo: Config.GIAddr is not a unicast IPv4 address")
	errConfigHops   = errors.New("relayinfo: Config.MaxHops is over 16")
	errConfigPolicy = errors.New("relayinfo: Config.Policy is unknown")
	errConfigSize   = errors.New("relayinfo: Config.MaxSize is under 300")
)

// Policy says what [Insert] does with a request whose giaddr is not zero or that
// carries an option 82 already. A giaddr that is one of ours is refused whatever
// the policy (RFC 3046 section 2.1.1).
type Policy uint8

const (
	// Discard refuses it: the circuit is untrusted (RFC 3046 section 2.1).
	Discard Policy = iota
	// Forward trusts the relay agent or bridge downstream. A request whose giaddr
	// is set keeps it, and gets no option 82 (RFC 3046 section 2.1.1). One whose
	// giaddr is zero but has an option 82 gets our giaddr and no second option
	// (section 2.1).
	Forward
	// Replace puts our giaddr and our option 82 in place of what came. It breaks
	// RFC 1542 section 4.1.1 (a giaddr that is set is not modified) for the sake
	// of a gateway that must be the only relay agent the server knows of.
	Replace
)

// String is the name of the policy in lower case.
func (p Policy) String() string {
	switch p {
	case Discard:
		return "discard"
	case Forward:
		return "forward"
	case Replace:
		return "replace"
	}
	return "unknown policy"
}

// The defaults of [Config].
const (
	// DefaultMaxHops is from RFC 1542 section 4.1.1.
	DefaultMaxHops = 4
	// DefaultMaxSize is what an Ethernet frame holds: 1500 octets less the IP and
	// UDP headers. RFC 3046 section 2.1 makes the MTU the limit where none is set.
	DefaultMaxSize = 1472
)

// Config is one relay agent, as seen from one circuit. The functions that take
// one neither modify nor retain it.
type Config struct {
	// GIAddr is our address on the client's link. It must be IPv4, and neither
	// 0.0.0.0 nor a multicast or the limited broadcast address. It should always
	// be the same for one link (RFC 1542 section 4.1.1).
	GIAddr netip.Addr
	// Own lists further IPv4 addresses of ours that a server may answer to, and
	// that a client must not claim. GIAddr need not be in it. An address in its
	// IPv6 form (::ffff:192.0.2.1), as sockets report it, counts as the IPv4 one.
	Own []netip.Addr
	// Info is the option 82 to add. The zero Info adds none, which is what RFC
	// 3046 section 2.1 asks for as the default.
	Info Info
	// Policy is what to do with a request that some other relay agent has edited.
	Policy Policy
	// MaxHops is the largest hops value that is still relayed, 1 to 16; 0 means
	// DefaultMaxHops.
	MaxHops uint8
	// MaxSize is the largest message that adding Info may make, in octets of UDP
	// data, at least 300; 0 means DefaultMaxSize.
	MaxSize int
}

// Validate is why [Insert] would refuse c for any message at all, or nil: a field
// out of its range, or [ErrTooLarge] for an Info over [MaxBody] octets. It is for
// those who want to know before the first message comes.
func (c *Config) Validate() error {
	switch {
	case !isUnicast(c.GIAddr):
		return errConfigGIAddr
	case c.Policy > Replace:
		return errConfigPolicy
	case c.MaxHops > 16:
		return errConfigHops
	case c.MaxSize != 0 && c.MaxSize < dhcp4.MinBOOTPLen:
		return errConfigSize
	case len(c.Info.body) > MaxBody:
		return ErrTooLarge
	}
	return nil
}

// isUnicast: RFC 1542 section 4.1.1: the relay agent "MUST NOT, under any
// circumstances, fill the 'giaddr' field with a broadcast address".
func isUnicast(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	a4 := a.As4()
	const multicast, reserved, broadcast = 0xe0000000, 0xf0000000, 0xffffffff // RFC 1112 section 4
	v := binary.BigEndian.Uint32(a4[:])
	return 0 < v && v < multicast || reserved <= v && v < broadcast
}

// ours reports whether a, which is IPv4, is GIAddr or in Own.
func (c *Config) ours(a netip.Addr) bool {
	return a == c.GIAddr || slices.ContainsFunc(c.Own, func(own netip.Addr) bool { return own.Unmap() == a })
}

func (c *Config) maxHops() uint8 {
	if c.MaxHops == 0 {
		return DefaultMaxHops
	}
	return c.MaxHops
}

func (c *Config) maxSize() int {
	if c.MaxSize == 0 {
		return DefaultMaxSize
	}
	return c.MaxSize
}

// Outcome says what became of Config.Info in a request that [Insert] relays.
type Outcome uint8

const (
	// Added: the request carries it.
	Added Outcome = iota + 1
	// None: there is none in the Config.
	None
	// Kept: the request is from a trusted relay agent or bridge, and left alone.
	Kept
	// TooLarge: with it the message would exceed Config.MaxSize, so it goes without.
	// RFC 3046 section 2.1 wants this counted.
	TooLarge
)

// String is the name of the outcome in lower case.
func (o Outcome) String() string {
	switch o {
	case Added:
		return "added"
	case None:
		return "none"
	case Kept:
		return "kept"
	case TooLarge:
		return "too large"
	}
	return "unknown outcome"
}

// Insert appends to dst the request msg, edited as a relay agent does on the way
// from a client to a server, and reports what became of cfg.Info.
//
// It sets giaddr, adds one to hops, and puts the option behind the last option
// there is, before End and before any Pad around it; a missing End is added with
// it. A message under 300 octets is padded to 300. Everything else stays as it
// is, in its order. Under [Forward], a giaddr that is set stays as well, and what
// has a giaddr or an option 82 gets no option. The octets of msg are not modified;
// dst must not overlap them.
//
// A request that must not be relayed is one of ErrNotRequest, ErrHops, ErrSpoofed,
// ErrRelayed, ErrPresent; a malformed one a *[ParseError]; a cfg that is wrong in
// itself the error of [Config.Validate]. On error dst is returned as it came.
func Insert(dst, msg []byte, cfg *Config) ([]byte, Outcome, error) {
	if err := cfg.Validate(); err != nil {
		return dst, 0, err
	}
	var m dhcp4.Message
	if err := m.Parse(msg); err != nil {
		return dst, 0, err
	}
	if err := cfg.refuse(&m); err != nil {
		return dst, 0, err
	}
	outcome := cfg.outcome(&m)

	start := len(dst)
	out := slices.Grow(dst, max(len(msg)+3+len(cfg.Info.body), dhcp4.MinBOOTPLen))
	if cfg.Policy == Replace {
		out = appendWithout82(out, &m)
	} else {
		out = append(out, msg[:m.LastOption()]...)
	}
	if outcome == Added {
		out = append(out, dhcp4.OptionRelayAgentInfo, uint8(len(cfg.Info.body)))
		out = append(out, cfg.Info.body...)
		if !m.HasEnd() {
			out = append(out, dhcp4.OptionEnd)
		}
	}
	out = append(out, msg[m.LastOption():]...)
	out = dhcp4.AppendPadding(out, start)

	out[start+dhcp4.HopsOffset]++ // RFC 1542 section 4.1.1: "The value of the 'hops' field MUST be incremented"
	if !m.Relayed() || cfg.Policy == Replace {
		giaddr := cfg.GIAddr.As4()
		copy(out[start+dhcp4.GIAddrOffset:], giaddr[:])
	}
	return out, outcome, nil
}

// refuse is why the request m must not be relayed, or nil.
func (c *Config) refuse(m *dhcp4.Message) error {
	relayed := m.Relayed()
	switch {
	case m.Op() != dhcp4.BootRequest:
		return ErrNotRequest
	case m.Hops() > c.maxHops():
		return ErrHops
	case relayed && c.ours(m.GIAddr()):
		// RFC 3046 section 2.1.1: "SHALL discard the packet if the giaddr spoofs a
		// giaddr address implemented by the local agent itself".
		return ErrSpoofed
	case c.Policy == Discard && relayed:
		return ErrRelayed
	case c.Policy == Discard && m.HasRelayAgentInfo():
		// RFC 3046 section 2.1: "from an untrusted circuit with giaddr set to zero
		// [...] but with a Relay Agent Information option already present in the
		// packet SHALL discard the packet". One in file or sname counts as well: a
		// server would join it to ours (RFC 3396 section 7).
		return ErrPresent
	case c.Policy == Replace && m.RelayAgentInfoElsewhere():
		return ErrPresent
	}
	return nil
}

// outcome decides whether the request m, which is to be relayed, gets c.Info.
func (c *Config) outcome(m *dhcp4.Message) Outcome {
	switch {
	case c.Policy == Forward && (m.Relayed() || m.HasRelayAgentInfo()):
		return Kept
	case !c.Info.IsValid():
		return None
	}
	size := len(m.Bytes()) + 2 + len(c.Info.body)
	if c.Policy == Replace {
		size -= m.RelayAgentInfoSize()
	}
	if !m.HasEnd() {
		size++
	}
	if size > c.maxSize() {
		return TooLarge
	}
	return Added
}

// Strip appends to dst the reply msg, edited as a relay agent does on the way
// from a server to a client, and returns the option 82 it held; the zero Info if
// it held none.
//
// It removes every instance of option 82 from the options field, and none from
// file and sname (RFC 3046 section 2.1), and sets giaddr to zero. A message under
// 300 octets is padded to 300. Everything else stays as it is, in its order. The
// octets of msg are not modified; dst must not overlap them. Whether the reply is
// ours to edit is for [Match] to say.
//
// The Info aliases msg, unless the option was split (RFC 3396) and had to be
// joined. A malformed message, or a malformed option 82 in it, is a *[ParseError]
// with an offset as [Find] counts it, and dst is returned as it came.
func Strip(dst, msg []byte) ([]byte, Info, error) {
	var m dhcp4.Message
	if err := m.Parse(msg); err != nil {
		return dst, Info{}, err
	}
	info, err := find(&m)
	if err != nil && err != ErrAbsent {
		return dst, Info{}, err
	}
	start := len(dst)
	out := slices.Grow(dst, max(len(msg), dhcp4.MinBOOTPLen))
	out = appendWithout82(out, &m)
	out = append(out, msg[m.LastOption():]...)
	out = dhcp4.AppendPadding(out, start)
	clear(out[start+dhcp4.GIAddrOffset:][:4])
	return out, info, nil
}

// appendWithout82 appends m up to the end of its last option, without the option
// 82 instances of the options field.
func appendWithout82(b []byte, m *dhcp4.Message) []byte {
	from := 0
	for o := range m.RelayAgentInfo() {
		b = append(b, m.Bytes()[from:o.Offset]...)
		from = o.Offset + 2 + len(o.Data)
	}
	return append(b, m.Bytes()[from:m.LastOption()]...)
}

// Match reports whether the reply msg belongs to the relay agent and circuit that
// cfg describes: nil if it is a BOOTREPLY (else ErrNotReply), if its giaddr is one
// of ours (else ErrGIAddr), and if its option 82, should it have one, is
// cfg.Info (else ErrEcho). RFC 3046 section 2.2 lets a server leave out an option
// 82 that it does not know or has no room for. A malformed message is a
// *[ParseError]. Match does not check cfg itself: see [Config.Validate].
//
// Some differences are no difference. A relay agent must act the same whether
// sub-option 5 comes back or not (RFC 3527 section 3). A server that acts on
// sub-option 151 removes 152, one that does not want to removes both, and one that
// knows better returns another 151, or one where none was sent (RFC 6607 sections
// 5.1 and 7.2). Which VPN the address is from, and whether the client may have it,
// is for the caller to see in [Info.VSS] and [Info.VSSControl] of what came back.
//
// Under the policy Forward the option 82 is not compared: it may be the downstream
// agent's.
func Match(msg []byte, cfg *Config) error {
	var m dhcp4.Message
	if err := m.Parse(msg); err != nil {
		return err
	}
	switch {
	case m.Op() != dhcp4.BootReply:
		return ErrNotReply
	case !m.Relayed() || !cfg.ours(m.GIAddr()):
		// RFC 1542 section 4.1.2: a BOOTREPLY whose giaddr is none of ours "MUST be
		// silently discarded".
		return ErrGIAddr
	case cfg.Policy == Forward:
		return nil
	}
	echo, err := find(&m)
	switch {
	case err == ErrAbsent:
		return nil
	case err != nil:
		return err
	case !isEcho(cfg.Info.body, echo.body):
		return ErrEcho
	}
	return nil
}

// isEcho reports whether got is sent as a server may echo it.
func isEcho(sent, got []byte) bool {
	if bytes.Equal(sent, got) {
		return true
	}
	for {
		sent, got = skipVSS(sent), skipVSS(got)
		if len(sent) == 0 {
			return len(got) == 0
		}
		n := 2 + int(sent[1])
		switch code := Code(sent[0]); {
		case bytes.HasPrefix(got, sent[:n]):
			got = got[n:]
		case code != CodeLinkSelection && code != CodeVSSControl:
			return false
		}
		sent = sent[n:]
	}
}

// skipVSS is body from the first sub-option on that is not 151. RFC 6607 section
// 7.2: a server that uses "different VSS information [...] MUST include that
// alternative VSS information in the VSS sub-option that it returns".
func skipVSS(body []byte) []byte {
	for len(body) > 0 && Code(body[0]) == CodeVSS {
		body = body[2+int(body[1]):]
	}
	return body
}
