package dhcpv6pd

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"dhcpsec.example/internal/dhcp6"
)

// Infinite is the lifetime that never ends, 0xffffffff seconds on the wire
// (RFC 8415 section 7.7).
const Infinite time.Duration = math.MaxUint32 * time.Second

// Prefix is a delegated prefix with its lifetimes: whole seconds, at most
// [Infinite], Preferred at most Valid (RFC 8415 section 21.22).
type Prefix struct {
	Prefix    netip.Prefix
	Preferred time.Duration
	Valid     time.Duration
}

// IA is one IA_PD: an identity association for prefix delegation.
type IA struct {
	IAID     uint32
	Prefixes []Prefix
}

func seconds(s uint32) time.Duration { return time.Duration(s) * time.Second }

// wireSeconds rounds up: what is left of a lifetime is never reported as zero.
func wireSeconds(d time.Duration) uint32 {
	if d >= Infinite {
		return dhcp6.Infinity
	}
	return uint32((max(d, 0) + time.Second - 1) / time.Second)
}

// until is the end of a lifetime that starts now; the zero time is never.
func until(now time.Time, lifetime time.Duration) time.Time {
	if lifetime >= Infinite {
		return time.Time{}
	}
	return now.Add(lifetime)
}

// remaining is the inverse of until.
func remaining(now, end time.Time) time.Duration {
	if end.IsZero() {
		return Infinite
	}
	return max(end.Sub(now), 0)
}

// earlier is the earlier of two times of which the zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due says that the time t, of which the zero time is never, has come.
func due(now, t time.Time) bool { return !t.IsZero() && !t.After(now) }

// delegable says that p is a prefix that can be delegated: IPv6, no host bits,
// neither everything nor multicast nor link-local.
func delegable(p netip.Prefix) bool {
	a := p.Addr()
	return p.IsValid() && a.Is6() && !a.Is4In6() && p.Bits() > 0 && p == p.Masked() &&
		!a.IsMulticast() && !a.IsLinkLocalUnicast()
}

// netPrefixes is the prefixes of all IAs.
func netPrefixes(ias []IA) []netip.Prefix {
	var out []netip.Prefix
	for _, ia := range ias {
		for _, p := range ia.Prefixes {
			out = append(out, p.Prefix)
		}
	}
	return out
}

// shortest returns the shortest preferred and valid lifetimes of all IAs,
// Infinite if there is no prefix.
func shortest(ias []IA) (preferred, valid time.Duration) {
	preferred, valid = Infinite, Infinite
	for _, ia := range ias {
		for _, p := range ia.Prefixes {
			preferred, valid = min(preferred, p.Preferred), min(valid, p.Valid)
		}
	}
	return preferred, valid
}

// longest returns the longest valid lifetime of all IAs.
func longest(ias []IA) (valid time.Duration) {
	for _, ia := range ias {
		for _, p := range ia.Prefixes {
			valid = max(valid, p.Valid)
		}
	}
	return valid
}

func cloneIAs(ias []IA) []IA {
	out := slices.Clone(ias)
	for i := range out {
		out[i].Prefixes = slices.Clone(out[i].Prefixes)
	}
	return out
}
