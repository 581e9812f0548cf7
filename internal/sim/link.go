package sim

import (
	"bytes"
	"time"
)

// Faults is what a link does to packets. The zero value delivers each at once.
type Faults struct {
	// Latency is how long a packet takes at least, Jitter how much longer at most.
	// Packets that are sent less than Jitter apart may overtake each other.
	Latency, Jitter time.Duration
	// Loss is the probability that a packet is lost, Duplicate that a second copy
	// of one that is not arrives too, each with its own delay.
	Loss, Duplicate float64
}

// Link carries packets one way.
type Link struct {
	Faults // may be changed at any time: what is under way arrives as it would have

	net     *Net
	name    string
	deliver func(packet []byte)
}

// Link makes a link. deliver owns the packet that it is called with.
func (n *Net) Link(name string, faults Faults, deliver func(packet []byte)) *Link {
	return &Link{Faults: faults, net: n, name: name, deliver: deliver}
}

// Send puts a copy of packet on the way, or none, or two.
func (l *Link) Send(packet []byte) {
	copies := 1
	switch {
	case l.net.Chance(l.Loss):
		copies = 0
		l.net.Logf("%s: a packet of %d octets is lost", l.name, len(packet))
	case l.net.Chance(l.Duplicate):
		copies = 2
		l.net.Logf("%s: a packet of %d octets is duplicated", l.name, len(packet))
	}
	for range copies {
		octets := bytes.Clone(packet)
		l.net.After(l.net.Between(l.Latency, l.Latency+l.Jitter), func() { l.deliver(octets) })
	}
}
