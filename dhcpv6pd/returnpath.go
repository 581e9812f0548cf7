package dhcpv6pd

import (
	"net/netip"
	"slices"

	"dhcpsec.example/internal/dhcp6"
	"dhcpsec.example/internal/wire"
)

// returnPath is how the answer finds the client.
type returnPath struct {
	to     netip.AddrPort
	relays []dhcp6.Relay // outermost first, with the options to echo
}

// link is the link-address of the relay agent nearest to the client.
func (p returnPath) link() netip.Addr {
	if len(p.relays) == 0 {
		return netip.Addr{}
	}
	return p.relays[len(p.relays)-1].LinkAddress
}

// maxEcho bounds the options of all relay agents that an answer has to carry back.
const maxEcho = 1024

// unwrap finds the client's message in a Relay-forward, and the way back.
func (d *DelegatingRouter) unwrap(src netip.AddrPort, pkt []byte) (dhcp6.Message, returnPath, error) {
	var levels [dhcp6.HopCountLimit + 1]dhcp6.Relay
	relays, m, err := dhcp6.Unwrap(pkt, levels[:0])
	if err != nil {
		return m, returnPath{}, d.stats.drop(ReasonMalformed, err)
	}
	path := returnPath{to: src}
	port := uint16(546)
	if len(relays) > 0 {
		port = 547
		if relays[0].Type != dhcp6.RelayForward {
			return m, returnPath{}, d.stats.drop(ReasonMessageType, nil)
		}
		if _, ok := relays[0].RelaySourcePort(); ok {
			port = src.Port() // RFC 8357 section 5.2
		}
		path.relays = slices.Clone(relays)
	}
	if !d.cfg.ReplyToSourcePort {
		path.to = netip.AddrPortFrom(src.Addr(), port)
	}
	total := 0
	for i := range path.relays {
		r := &path.relays[i]
		r.Options = echoed(r.Options)
		if total += len(r.Options); total > maxEcho {
			return m, returnPath{}, d.stats.drop(ReasonTooMany, nil)
		}
	}
	return m, path, nil
}

// echoed copies the options of a Relay-forward that its Relay-reply repeats.
func echoed(options dhcp6.Options) dhcp6.Options {
	var out []byte
	for code, data := range options.All() {
		if code == dhcp6.OptionInterfaceID || code == dhcp6.OptionRelaySourcePort {
			out, _ = wire.AppendOption16(out, code, data) // it came in such an option
		}
	}
	return out
}
