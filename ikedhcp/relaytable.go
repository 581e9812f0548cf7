package ikedhcp

import (
	"encoding/binary"
	"net/netip"

	"dhcpsec.example/internal/dhcp4"
)

// sa is one IKE SA. A gateway has a million of them, so that all which is only
// needed while something goes on is behind a pointer.
type sa struct {
	spi      SPI
	identity string // the peer's, authenticated
	fields   string // sub-options of its option 82
	flow     *flow
	alias    *alias
	lessee   *lessee
	since    instant // when it was authenticated

	index          int32
	addr           uint32 // the client's address, or 0
	prevAt, nextAt int32  // the other SAs with that address, all of one identity; -1 is none
	lease          int32  // its place among the leases, or -1 if it does not end
	phase          phase
}

// alias is an SPI that stands for an SA after that was rekeyed.
type alias struct {
	spi    SPI
	sa     int32
	expiry timer[alias]
}

// lessee is what it takes to release an address on behalf of a client.
type lessee struct {
	htype, hlen uint8
	chaddr      [dhcp4.MaxHLen]byte
	server      uint32
	clientID    []byte
}

const (
	chunkBits = 8
	chunkLen  = 1 << chunkBits

	circuitIDLen = 2 + 8 // of the sub-option with an SPI
)

// saTable holds all SAs densely. They never move, and their indexes are half the
// size of a pointer.
type saTable struct {
	chunks [][]sa
	free   int32 // the first SA not in use, which are linked by nextAt; -1 is none
	spis   map[SPI]int32
	owners map[uint32]int32 // from an address to the first SA that has it
	count  int
}

func newSATable() saTable {
	return saTable{free: -1, spis: make(map[SPI]int32), owners: make(map[uint32]int32)}
}

func (t *saTable) at(i int32) *sa { return &t.chunks[i>>chunkBits][i&(chunkLen-1)] }

// lookup is the SA that spi stands for, or nil.
func (t *saTable) lookup(spi SPI) *sa {
	if i, ok := t.spis[spi]; ok {
		return t.at(i)
	}
	return nil
}

// add makes an SA; false if spi is in use.
func (t *saTable) add(spi SPI) bool {
	if _, used := t.spis[spi]; used {
		return false
	}
	if t.free < 0 {
		chunk := make([]sa, chunkLen)
		first := int32(len(t.chunks)) << chunkBits
		t.chunks = append(t.chunks, chunk)
		for i := range chunk {
			chunk[i].index, chunk[i].nextAt = first+int32(i), first+int32(i)+1
		}
		chunk[chunkLen-1].nextAt = -1
		t.free = first
	}
	s := t.at(t.free)
	t.free = s.nextAt
	*s = sa{index: s.index, spi: spi, prevAt: -1, nextAt: -1, lease: -1}
	s.on(eventOpenSA)
	t.spis[spi] = s.index
	t.count++
	return true
}

// remove takes back an SA without address or alias.
func (t *saTable) remove(s *sa) {
	delete(t.spis, s.spi)
	*s = sa{index: s.index, nextAt: t.free}
	t.free = s.index
	t.count--
}

// own puts s, which has no address, first among those that have addr.
func (t *saTable) own(s *sa, addr uint32) {
	s.addr = addr
	if head, ok := t.owners[addr]; ok {
		s.nextAt, t.at(head).prevAt = head, s.index
	}
	t.owners[addr] = s.index
}

func (t *saTable) disown(s *sa) {
	switch {
	case s.prevAt >= 0:
		t.at(s.prevAt).nextAt = s.nextAt
	case s.nextAt >= 0:
		t.owners[s.addr] = s.nextAt
	default:
		delete(t.owners, s.addr)
	}
	if s.nextAt >= 0 {
		t.at(s.nextAt).prevAt = s.prevAt
	}
	s.addr, s.prevAt, s.nextAt = 0, -1, -1
}

func toUint32(a netip.Addr) uint32 {
	a4 := a.As4()
	return binary.BigEndian.Uint32(a4[:])
}

func fromUint32(a uint32) netip.Addr {
	var a4 [4]byte
	binary.BigEndian.PutUint32(a4[:], a)
	return netip.AddrFrom4(a4)
}

// maxOpen bounds the transactions of one SA. A DHCP client has one, and another
// one when it begins anew; further ones push out the oldest.
const maxOpen = 4

// flow is what an SA has under way. An idle SA has none.
type flow struct {
	sa      int32
	waiting timer[flow] // armed while request waits for replies
	open    timer[flow] // armed while there are transactions: when the last of them ends
	request request

	transactions [maxOpen]transaction
	n            int

	// queue is the replies held for the client; or, of an SA that is not
	// authenticated, the requests held for the server.
	queue queue
}

// request is an IKE request of the client. The SPI is the one that it came in
// with: after a rekeying, the response goes back under the old one.
type request struct {
	spi SPI
	id  MessageID
}

// transactionKey is what a reply has in common with its request.
type transactionKey struct {
	xid         uint32
	htype, hlen uint8
	chaddr      [dhcp4.MaxHLen]byte
}

func keyOf(m *dhcp4.Message) transactionKey {
	k := transactionKey{xid: m.XID(), htype: m.HType(), hlen: m.HLen()}
	copy(k.chaddr[:], m.CHAddr())
	return k
}

// transaction is a message of the client whose reply is still to come.
type transaction struct {
	transactionKey
	kind     dhcp4.MessageType
	rapid    bool   // a DISCOVER that asks for an ACK (RFC 4039)
	server   uint32 // the server that a REQUEST is for, or 0
	until    instant
	clientID []byte // option 61, if it will be needed
}

// answeredBy reports whether reply is one that t may have. A REQUEST that accepts
// the offer of one server is for that server alone to answer (RFC 2131 section 3.1).
func (t *transaction) answeredBy(reply *dhcp4.Message) bool {
	if id := serverID(reply); t.server != 0 && id != 0 && id != t.server {
		return false
	}
	switch reply.Type() {
	case dhcp4.Offer:
		return t.kind == dhcp4.Discover
	case dhcp4.NAK:
		return t.kind == dhcp4.Request
	case dhcp4.ACK:
		if t.kind == dhcp4.Discover {
			_, rapid := reply.Option(dhcp4.OptionRapidCommit)
			return t.rapid && rapid
		}
		return true
	}
	return false
}

// serverID is option 54, or 0.
func serverID(m *dhcp4.Message) uint32 {
	if id, _ := m.Option(dhcp4.OptionServerIdentifier); len(id) == 4 {
		return binary.BigEndian.Uint32(id)
	}
	return 0
}

// find is the transaction with this key, or nil.
func (f *flow) find(key transactionKey) *transaction {
	for i := range f.transactions[:f.n] {
		if t := &f.transactions[i]; t.transactionKey == key {
			return t
		}
	}
	return nil
}

func (f *flow) oldest() *transaction {
	oldest := &f.transactions[0]
	for i := range f.transactions[:f.n] {
		if t := &f.transactions[i]; t.until < oldest.until {
			oldest = t
		}
	}
	return oldest
}

// holds reports whether there are replies for the client. f may be nil.
func (f *flow) holds() bool { return f != nil && len(f.queue.entries) > 0 }

// asks reports whether replies are still to come. f may be nil.
func (f *flow) asks(at instant) bool {
	if f == nil {
		return false
	}
	for i := range f.transactions[:f.n] {
		if at < f.transactions[i].until {
			return true
		}
	}
	return false
}

// newFlow gives s a flow, which it does not have; false if there are too many.
func (r *Relay) newFlow(s *sa) bool {
	if r.flows >= r.cfg.MaxTransactions {
		return false
	}
	r.flows++
	if n := len(r.spare); n > 0 {
		s.flow, r.spare = r.spare[n-1], r.spare[:n-1]
	} else {
		s.flow = new(flow)
	}
	s.flow.sa = s.index
	return true
}

const (
	maxSpare    = 1024
	maxSpareBuf = 8192
)

// rest takes the flow from an SA that has nothing under way any more. What it
// has lent to the caller stays as it is until the next call.
func (r *Relay) rest(s *sa) {
	f := s.flow
	if f == nil || f.n > 0 || f.waiting.armed() || f.holds() {
		return
	}
	s.flow = nil
	r.flows--
	if len(r.spare) < maxSpare {
		if cap(f.queue.buf) > maxSpareBuf {
			f.queue.buf = nil
		}
		r.spare = append(r.spare, f)
	}
}

// close ends one transaction of f.
func (r *Relay) close(f *flow, t *transaction) {
	if r.xids != nil {
		delete(r.xids, t.transactionKey)
	}
	f.n--
	last := &f.transactions[f.n]
	*t, *last = *last, *t // a swap, so that each clientID keeps a memory of its own
	if f.n == 0 {
		r.open.stop(&f.open)
	}
}

func (r *Relay) closeAll(f *flow) {
	for f.n > 0 {
		r.close(f, &f.transactions[f.n-1])
	}
}

// queue is messages in their order, in one piece of memory.
type queue struct {
	buf     []byte
	entries []entry
}

// entry is one message: it ends at end, and begins where the one before ends.
type entry struct {
	end  int
	xid  uint32
	kind dhcp4.MessageType
}

// add takes in buf, which is q.buf with one message appended.
func (q *queue) add(buf []byte, xid uint32, kind dhcp4.MessageType) {
	q.buf = buf
	q.entries = append(q.entries, entry{len(buf), xid, kind})
}

func (q *queue) message(i int) []byte {
	start := 0
	if i > 0 {
		start = q.entries[i-1].end
	}
	end := q.entries[i].end
	return q.buf[start:end:end]
}

// drop removes message i.
func (q *queue) drop(i int) {
	n := len(q.message(i))
	start := q.entries[i].end - n
	q.buf = append(q.buf[:start], q.buf[start+n:]...)
	q.entries = append(q.entries[:i], q.entries[i+1:]...)
	for j := range q.entries[i:] {
		q.entries[i+j].end -= n
	}
}

func (q *queue) clear() { q.buf, q.entries = q.buf[:0], q.entries[:0] }
