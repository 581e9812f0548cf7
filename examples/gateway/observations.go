package main

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// observations is what the checks at the end are made of. Both sides of the wire
// note what they see.
type observations struct {
	intercepted     atomic.Int64 // packets of servers straight to a client's address
	notIntercepting atomic.Bool  // such packets cannot be caught here
	emptyResponses  atomic.Int64
	informs         atomic.Int64 // INFORMATIONAL exchanges that the gateway began
	held            atomic.Int64 // replies that came while no request waited for them

	mu        sync.Mutex
	giaddr    netip.Addr
	badRelay  int // messages to the server without our giaddr, or with option 82 not last
	messages  int // to the server
	leaked    int // replies to a client with giaddr or option 82
	selectors map[node]ikedhcp.TrafficSelector
	addresses map[node]netip.Addr
	evicted   []node
	free      []netip.Addr // cleared
	order     []string     // of evictions and addresses set
}

func newObservations(giaddr netip.Addr) *observations {
	return &observations{giaddr: giaddr, selectors: map[node]ikedhcp.TrafficSelector{}, addresses: map[node]netip.Addr{}}
}

// relayed looks at a message to the DHCP server (K3.2, K3.3).
func (o *observations) relayed(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.messages++
	var m dhcp4.Message
	if m.Parse(b) != nil || m.GIAddr() != o.giaddr {
		o.badRelay++
		return
	}
	var last dhcp4.Option
	for option := range m.Options() {
		last = option
	}
	info, err := relayinfo.Find(b)
	id, _ := info.CircuitID()
	if err != nil || last.Code != dhcp4.OptionRelayAgentInfo || len(id) != 8 {
		o.badRelay++
	}
}

// delivered looks at a message to a DHCP client (K3.14).
func (o *observations) delivered(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var m dhcp4.Message
	if m.Parse(b) != nil || m.Relayed() || m.RelayAgentInfoSize() > 0 {
		o.leaked++
	}
}

func (o *observations) set(n node, a netip.Addr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.addresses[n] = a
	o.order = append(o.order, "address for "+n.String())
}

func (o *observations) cleared(a netip.Addr) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.free = append(o.free, a)
}

func (o *observations) evict(n node) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.evicted = append(o.evicted, n)
	o.order = append(o.order, "eviction of "+n.String())
}

// narrow is the TSi that a client was given.
func (o *observations) narrow(n node, ts ikedhcp.TrafficSelector) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.selectors[n] = ts
}

func (o *observations) narrowed(n node) ikedhcp.TrafficSelector {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.selectors[n]
}

// before says that a was noted before b.
func (o *observations) before(a, b string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	i, j := slices.Index(o.order, a), slices.Index(o.order, b)
	return i >= 0 && i < j
}
