package relayinfo

import (
	"bytes"
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
	// ErrPresent: there is an option 82 already, and the policy is Discard; or it
	// is in file or sname, from where Replace cannot remove it.
	ErrPresent = errors.New("option 82 is present on an untrusted circuit")
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

// Config is one relay agent, as seen from one circuit.
type Config struct {
	// GIAddr is our address on the client's link. It must be IPv4, and neither
	// 0.0.0.0 nor a multicast or the limited broadcast address. It should always
	// be the same for one link (RFC 1542 section 4.1.1).
	GIAddr netip.Addr
	// Own lists further addresses of ours that the server may answer to, and that
	// a client must not claim. GIAddr need not be in it. Not modified, not retained.
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

func (c *Config) validate() error {
	switch {
	case !isUnicast(c.GIAddr):
		return errConfigGIAddr
	case c.Policy > Replace:
		return errConfigPolicy
	case c.MaxHops > 16:
		return errConfigHops
	case c.MaxSize != 0 && c.MaxSize < dhcp4.MinBOOTPLen:
		return errConfigSize
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
	return a4[0] < 224 && a4 != [4]byte{} || a4[0] >= 240 && a4 != [4]byte{255, 255, 255, 255}
}

func (c *Config) ours(a netip.Addr) bool { return a == c.GIAddr || slices.Contains(c.Own, a) }

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
// is, in its order. The octets of msg are not modified; dst must not overlap them.
//
// A request that must not be relayed is one of ErrNotRequest, ErrHops, ErrSpoofed,
// ErrRelayed, ErrPresent; a malformed one a *[ParseError]; an Info over [MaxBody]
// octets is ErrTooLarge. On error dst is returned as it came.
func Insert(dst, msg []byte, cfg *Config) ([]byte, Outcome, error) {
	if err := cfg.validate(); err != nil {
		return dst, 0, err
	}
	if len(cfg.Info.body) > MaxBody {
		return dst, 0, ErrTooLarge
	}
	var m dhcp4.Message
	if err := m.Parse(msg); err != nil {
		return dst, 0, err
	}
	edit, err := cfg.edit(&m)
	if err != nil {
		return dst, 0, err
	}

	start := len(dst)
	out := slices.Grow(dst, max(len(msg)+3+len(cfg.Info.body), dhcp4.MinBOOTPLen))
	if edit.remove {
		out = appendWithout82(out, &m)
	} else {
		out = append(out, msg[:m.LastOption()]...)
	}
	if edit.outcome == Added {
		out = append(out, dhcp4.OptionRelayAgentInfo, uint8(len(cfg.Info.body)))
		out = append(out, cfg.Info.body...)
		if !m.HasEnd() {
			out = append(out, dhcp4.OptionEnd)
		}
	}
	out = append(out, msg[m.LastOption():]...)
	out = dhcp4.AppendPadding(out, start)

	out[start+dhcp4.HopsOffset]++ // RFC 1542 section 4.1.1: "The value of the 'hops' field MUST be incremented"
	if edit.setGIAddr {
		giaddr := cfg.GIAddr.As4()
		copy(out[start+dhcp4.GIAddrOffset:], giaddr[:])
	}
	return out, edit.outcome, nil
}

// edit is what Insert does to a request.
type edit struct {
	setGIAddr bool
	remove    bool // the option 82 instances of the options field
	outcome   Outcome
}

// edit decides what to do with the request m, or why to refuse it.
func (c *Config) edit(m *dhcp4.Message) (edit, error) {
	relayed := m.Relayed()
	present := m.RelayAgentInfoSize() > 0 || m.RelayAgentInfoElsewhere()

	switch {
	case m.Op() != dhcp4.BootRequest:
		return edit{}, ErrNotRequest
	case m.Hops() > c.maxHops():
		return edit{}, ErrHops
	case relayed && c.ours(m.GIAddr()):
		// RFC 3046 section 2.1.1: "SHALL discard the packet if the giaddr spoofs a
		// giaddr address implemented by the local agent itself".
		return edit{}, ErrSpoofed
	case c.Policy == Discard && relayed:
		return edit{}, ErrRelayed
	case c.Policy == Discard && present:
		// RFC 3046 section 2.1: "from an untrusted circuit with giaddr set to zero
		// [...] but with a Relay Agent Information option already present in the
		// packet SHALL discard the packet". One in file or sname counts as well: a
		// server would join it to ours (RFC 3396 section 5).
		return edit{}, ErrPresent
	case c.Policy == Replace && m.RelayAgentInfoElsewhere():
		return edit{}, ErrPresent
	}

	e := edit{setGIAddr: !relayed || c.Policy == Replace, remove: c.Policy == Replace && present}
	grown := len(m.Bytes()) + 2 + len(c.Info.body)
	if e.remove {
		grown -= m.RelayAgentInfoSize()
	}
	if !m.HasEnd() {
		grown++
	}
	switch {
	case c.Policy == Forward && (relayed || present):
		e.outcome = Kept
	case !c.Info.IsValid():
		e.outcome = None
	case grown > c.maxSize():
		e.outcome = TooLarge
	default:
		e.outcome = Added
	}
	return e, nil
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
// *[ParseError].
//
// Two differences are no difference. A server that acts on sub-option 151 removes
// 152 (RFC 6607 section 5), and a relay agent must act the same whether
// sub-option 5 comes back or not (RFC 3527 section 3). Under the policy Forward
// the option 82 is not compared: it may be the downstream agent's.
func Match(msg []byte, cfg *Config) error {
	var m dhcp4.Message
	if err := m.Parse(msg); err != nil {
		return err
	}
	switch {
	case m.Op() != dhcp4.BootReply:
		return ErrNotReply
	case !cfg.ours(m.GIAddr()):
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
	for len(sent) > 0 {
		n := 2 + int(sent[1])
		switch code := Code(sent[0]); {
		case bytes.HasPrefix(got, sent[:n]):
			got = got[n:]
		case code != CodeLinkSelection && code != CodeVSSControl:
			return false
		}
		sent = sent[n:]
	}
	return len(got) == 0
}
