package dhcpv6pd

import (
	"container/heap"
	"time"
)

// binding is one IA_PD delegated: "a group of server data records containing the
// information the server has about the leases in an IA" (RFC 8415 section 4.2).
type binding struct {
	client       clientID
	registration clientID // whose certificate covers it
	prefixes     []Prefix // with the lifetimes granted
	since        time.Time
	end          time.Time // when the last of them ends; zero is never
	heapPos      int
}

func (b *binding) expiry() time.Time { return b.end }
func (b *binding) position() *int    { return &b.heapPos }

// remaining is what is left of the binding at now.
func (b *binding) remaining(now time.Time) []Prefix {
	var out []Prefix
	for _, p := range b.prefixes {
		p.Preferred = remaining(now, until(b.since, p.Preferred))
		p.Valid = remaining(now, until(b.since, p.Valid))
		if p.Valid > 0 {
			out = append(out, p)
		}
	}
	return out
}

func (d *DelegatingRouter) addBinding(b *binding) {
	b.end = until(b.since, longest([]IA{{Prefixes: b.prefixes}}))
	d.bindings[b.client] = b
	heap.Push(&d.ends, b)
}

// extend grants the lifetimes of prefixes anew, counting from now.
func (d *DelegatingRouter) extend(b *binding, now time.Time, prefixes []Prefix) {
	b.prefixes, b.since = prefixes, now
	b.end = until(now, longest([]IA{{Prefixes: prefixes}}))
	heap.Fix(&d.ends, b.heapPos)
}

func (d *DelegatingRouter) removeBinding(b *binding) {
	heap.Remove(&d.ends, b.heapPos)
	delete(d.bindings, b.client)
}
