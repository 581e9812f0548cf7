package ikedhcp

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"dhcpsec.example/relayinfo"
)

// AllOffers, as RelayConfig.Offers, collects OFFERs for the whole of WaitTime.
const AllOffers = math.MaxInt

// The defaults of [RelayConfig].
const (
	DefaultWaitTime        = 3 * time.Second
	DefaultReplyTime       = time.Minute
	DefaultSetupTime       = time.Minute
	DefaultAliasTime       = 2 * time.Minute
	DefaultMaxSAs          = 1_000_000
	DefaultMaxTransactions = 100_000
	DefaultMaxEarly        = 4096
	DefaultMaxHeld         = 8
)

// RelayConfig configures a [Relay]. Only GIAddr is required.
type RelayConfig struct {
	// GIAddr is the gateway's address that servers answer to, and by which they
	// choose the pool: a unicast IPv4 address. It may be an alias that only the
	// relay uses, where a DHCP server or relay agent is on this host already.
	GIAddr netip.Addr
	// Own lists further addresses of the gateway, which no client can be given.
	Own []netip.Addr
	// Servers are the DHCP servers, usually on port 67. Empty: requests are
	// broadcast. Every request goes to all of them (RFC 1542 section 4.1.1: those
	// "from a given client MUST be relayed to the same destination (or set of
	// destinations)").
	Servers []netip.AddrPort
	// Sources are the addresses replies may come from, if not those of Servers.
	// If both are empty, replies may come from anywhere: then a client that can
	// reach giaddr can answer itself, and take any address from its owner.
	Sources []netip.Addr

	// WaitTime is how long an IKE request waits for replies, 100 ms to 30 s.
	WaitTime time.Duration
	// Offers is how many OFFERs end the wait: 0 and 1 mean the first, AllOffers
	// that it lasts for the whole of WaitTime. An ACK or NAK ends it at once.
	Offers int
	// ReplyTime is how long after a request its replies are still taken, at least
	// WaitTime. What comes too late to be answered with goes out later.
	ReplyTime time.Duration
	// SetupTime is how long after Authenticated an SA without address gets further
	// rounds of IKE_AUTH. The first request to be answered after that is refused.
	SetupTime time.Duration
	// AliasTime is how long an SPI stands for its SA after it was rekeyed. At least
	// a minute, or replies under way are lost.
	AliasTime time.Duration

	// XIDMap finds the SA of a reply without option 82 by xid and chaddr, for
	// servers that do not echo the option. Without it such a reply is dropped.
	XIDMap bool
	// ReleaseOnClose sends a DHCPRELEASE for the address of an SA that is closed.
	ReleaseOnClose bool
	// ServerIDOverride adds sub-option 11 with GIAddr, so that the client takes
	// the gateway for its server and its renewals come back through the relay
	// whether or not they are intercepted (RFC 5107). Not for several servers that
	// do not know of each other: all of them take the client's REQUEST as theirs.
	ServerIDOverride bool
	// RelayFlags adds sub-option 10. It always says "broadcast": the payload does
	// not tell how the client sent the message (RFC 5010).
	RelayFlags bool
	// SourcePort adds sub-option 19, so that servers answer to the port that the
	// request came from: the gateway then need not bind port 67 (RFC 8357).
	SourcePort bool

	// MaxSize is the largest message that adding option 82 may make; a larger one
	// is refused. 300 to 1472; 0 means relayinfo.DefaultMaxSize, 1472.
	MaxSize int
	// MaxSAs bounds the IKE SAs.
	MaxSAs int
	// MaxTransactions bounds the SAs that wait for a server, that have replies
	// held for them, or that wait to be authenticated. Each takes some hundred
	// octets, and up to MaxHeld messages.
	MaxTransactions int
	// MaxEarly bounds the SAs that have DHCP messages waiting for authentication,
	// since anybody can make one.
	MaxEarly int
	// MaxHeld bounds the replies held for one SA. The last is always kept.
	MaxHeld int
}

func (c *RelayConfig) setDefaults() {
	c.WaitTime = orDefault(c.WaitTime, DefaultWaitTime)
	c.Offers = orDefault(c.Offers, 1)
	c.ReplyTime = orDefault(c.ReplyTime, DefaultReplyTime)
	c.SetupTime = orDefault(c.SetupTime, DefaultSetupTime)
	c.AliasTime = orDefault(c.AliasTime, DefaultAliasTime)
	c.MaxSize = orDefault(c.MaxSize, relayinfo.DefaultMaxSize)
	c.MaxSAs = orDefault(c.MaxSAs, DefaultMaxSAs)
	c.MaxTransactions = orDefault(c.MaxTransactions, DefaultMaxTransactions)
	c.MaxEarly = orDefault(c.MaxEarly, DefaultMaxEarly)
	c.MaxHeld = orDefault(c.MaxHeld, DefaultMaxHeld)
	c.Own, c.Servers, c.Sources = slices.Clone(c.Own), slices.Clone(c.Servers), slices.Clone(c.Sources)
	if len(c.Sources) == 0 {
		for _, s := range c.Servers {
			c.Sources = append(c.Sources, s.Addr())
		}
	}
}

// validate checks c after setDefaults.
func (c *RelayConfig) validate() error {
	switch {
	case !isUnicast(c.GIAddr):
		return errors.New("ikedhcp: GIAddr is not a unicast IPv4 address")
	case slices.ContainsFunc(c.Servers, func(s netip.AddrPort) bool { return !isUnicast(s.Addr()) || s.Port() == 0 }):
		return errors.New("ikedhcp: one of Servers is not a unicast IPv4 address and port")
	case !all4(c.Own), !all4(c.Sources):
		return errors.New("ikedhcp: one of Own or Sources is not an IPv4 address")
	case c.WaitTime < 100*time.Millisecond || c.WaitTime > 30*time.Second:
		return errors.New("ikedhcp: WaitTime is not within 100 ms to 30 s")
	case c.ReplyTime < c.WaitTime:
		return errors.New("ikedhcp: ReplyTime is less than WaitTime")
	case c.Offers < 0, c.SetupTime < 0, c.AliasTime < 0:
		return errors.New("ikedhcp: Offers, SetupTime or AliasTime is negative")
	case c.MaxSize < 300 || c.MaxSize > maxMessage:
		return fmt.Errorf("ikedhcp: MaxSize is not within 300 to %d", maxMessage)
	case c.MaxSAs < 1 || c.MaxSAs > math.MaxInt32, c.MaxTransactions < 1, c.MaxEarly < 1, c.MaxHeld < 1 || c.MaxHeld > 255:
		return errors.New("ikedhcp: a limit is not positive, or too large")
	}
	return nil
}

// all4: an address in another form would never compare equal to one in a packet.
func all4(addrs []netip.Addr) bool {
	return !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !a.Is4() })
}

// isUnicast reports whether a host can have this address.
func isUnicast(a netip.Addr) bool {
	return a.Is4() && a != netip.IPv4Unspecified() && a.As4()[0] != 0 && a.As4()[0] < 224
}
