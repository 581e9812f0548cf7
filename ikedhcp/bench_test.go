package ikedhcp_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"

	"github.com/stretchr/testify/require"
)

// What importers see: these tests stand outside of the package, since an iterator
// that is free of allocations inside it may not be so for others.

var benchServer = netip.MustParseAddrPort("198.51.100.1:67")

// load is a Relay with n established SAs, each with an address, and what it takes
// to make events for them without allocating.
type load struct {
	relay    *ikedhcp.Relay
	now      time.Time
	acts     []ikedhcp.Action
	renew    []byte
	ack      []byte
	messages [1][]byte
	n        int
	id       ikedhcp.MessageID
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newLoad(n int) *load {
	giaddr := netip.MustParseAddr("192.0.2.1")
	l := &load{
		relay: must(ikedhcp.NewRelay(ikedhcp.RelayConfig{GIAddr: giaddr, Servers: []netip.AddrPort{benchServer}, MaxSAs: n + 1, MaxTransactions: n + 1})),
		now:   time.Unix(1_900_000_000, 0),
		n:     n,
	}
	chaddr := []byte{0x40, 0, 203, 0, 113, 7, 1}
	msg := must(dhcp4.Header{Op: dhcp4.BootRequest, HType: 31, CHAddr: chaddr}.AppendBinary(nil))
	l.renew = dhcp4.AppendEnd(append(msg, dhcp4.OptionMessageType, 1, byte(dhcp4.Request)), 0)

	msg = must(dhcp4.Header{Op: dhcp4.BootReply, HType: 31, GIAddr: giaddr, CHAddr: chaddr}.AppendBinary(nil))
	msg = append(msg, dhcp4.OptionMessageType, 1, byte(dhcp4.ACK), dhcp4.OptionLeaseTime, 4, 0, 0, 0x0e, 0x10)
	msg = append(msg, dhcp4.OptionRelayAgentInfo, 10, byte(relayinfo.CodeCircuitID), 8, 0, 0, 0, 0, 0, 0, 0, 0)
	l.ack = dhcp4.AppendEnd(msg, 0)

	for i := range n {
		spi := spiOf(i)
		if err := l.relay.OpenSA(l.now, spi); err != nil {
			panic(err)
		}
		identity := fmt.Sprintf("\x03user%07d@vpn.example.com....", i) // 32 octets
		l.acts = must(l.relay.Authenticated(l.now, spi, []byte(identity), relayinfo.Fields{}, l.acts[:0]))
		l.request(i)
		l.reply(i)
		l.acts = must(l.relay.Established(l.now, spi, l.acts[:0]))
		if i%64 == 0 {
			l.now = l.now.Add(time.Millisecond)
		}
	}
	return l
}

func spiOf(i int) ikedhcp.SPI { return ikedhcp.SPI(uint64(i)*0x9e3779b97f4a7c15 + 1) }

func (l *load) request(i int) {
	l.id++
	binary.BigEndian.PutUint32(l.renew[4:], uint32(l.id))
	l.messages[0] = l.renew
	l.acts = must(l.relay.HandleRequest(l.now, spiOf(i), l.id, l.messages[:], l.acts[:0]))
	if len(l.acts) != 1 || l.acts[0].Kind != ikedhcp.ActionToServer {
		panic("the request was not relayed")
	}
}

func (l *load) reply(i int) {
	binary.BigEndian.PutUint32(l.ack[4:], uint32(l.id))
	binary.BigEndian.PutUint32(l.ack[16:], 10<<24+1+uint32(i)) // yiaddr
	binary.BigEndian.PutUint64(l.ack[dhcp4.MinLen+3+6+4:], uint64(spiOf(i)))
	l.acts = must(l.relay.HandleServer(l.now, benchServer, l.ack, l.acts[:0]))
	if len(l.acts) != 2 || l.acts[1].Kind != ikedhcp.ActionRespond {
		panic("the reply was not passed on")
	}
}

// A renewal, from the IKE request to its response, and the timer that is armed for
// it, allocate nothing once the Relay has seen a few.
func TestRelayDoesNotAllocate(t *testing.T) {
	l := newLoad(1000)
	i := 0
	require.Zero(t, testing.AllocsPerRun(5000, func() {
		l.request(i % l.n)
		l.relay.Deadline()
		l.reply(i % l.n)
		l.now = l.now.Add(time.Millisecond)
		i++
	}), "a renewal")
	require.Zero(t, testing.AllocsPerRun(5000, func() {
		l.request(i % l.n)
		l.now = l.now.Add(ikedhcp.DefaultWaitTime)
		l.acts = l.relay.HandleTimeout(l.now, l.acts[:0])
		l.now = l.now.Add(ikedhcp.DefaultReplyTime - ikedhcp.DefaultWaitTime)
		l.acts = l.relay.HandleTimeout(l.now, l.acts[:0])
		i++
	}), "a request that nobody answers")
}

func TestPayloadsDoNotAllocate(t *testing.T) {
	gate, messages := openedGate(), [][]byte{newLoad(1).renew}
	var codec ikedhcp.Codec
	before := must(ikedhcp.Payload{Type: 35, Body: make([]byte, 20)}.AppendBinary(nil))
	chain, first, err := codec.AppendPayloads(nil, gate, ikedhcp.InRequest, 35, before, messages...)
	require.NoError(t, err)
	dst := make([]byte, 0, len(chain))
	n := 0
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		for p, err := range ikedhcp.Payloads(first, chain) {
			if err != nil {
				panic(err)
			}
			n += len(p.Body)
		}
		for m, err := range codec.Messages(gate, first, chain) {
			if err != nil {
				panic(err)
			}
			n += len(m)
		}
		dst, _, err = codec.AppendPayloads(dst[:0], gate, ikedhcp.InRequest, 35, before, messages...)
		if err != nil {
			panic(err)
		}
	}))
	require.Equal(t, chain, dst)
}

func openedGate() (gate ikedhcp.Gate) {
	gate.Observe(ikedhcp.Payload{Type: ikedhcp.PayloadV, Body: []byte(ikedhcp.VendorID)})
	return gate
}

// An idle SA, established and with an address and an identity of 32 octets, takes
// 256 octets at most.
func TestAnIdleSAIsSmall(t *testing.T) {
	const n = 100_000
	bytes := heapOf(func() any { return newLoad(n) })
	require.LessOrEqual(t, bytes/n, 256, "octets of heap for an idle SA")
}

func heapOf(build func() any) int {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := build()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(v)
	return int(after.HeapAlloc) - int(before.HeapAlloc)
}

func BenchmarkRelay(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("SAs=%d", n), func(b *testing.B) {
			var l *load
			perSA := float64(heapOf(func() any { l = newLoad(n); return l })) / float64(n)
			b.Run("renewal", func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					i = (i + 7919) % n
					l.request(i)
					l.reply(i)
					l.now = l.now.Add(time.Microsecond)
				}
				b.ReportMetric(perSA, "heap-B/SA")
			})
			b.Run("open-close", func(b *testing.B) {
				b.ReportAllocs()
				identity := []byte("\x03somebody@vpn.example.com")
				for b.Loop() {
					if err := l.relay.OpenSA(l.now, 2); err != nil {
						b.Fatal(err)
					}
					l.acts = must(l.relay.Authenticated(l.now, 2, identity, relayinfo.Fields{}, l.acts[:0]))
					l.acts = must(l.relay.CloseSA(l.now, 2, l.acts[:0]))
				}
			})
			b.Run("snapshot", func(b *testing.B) {
				b.ReportAllocs()
				var snapshot []byte
				for b.Loop() {
					snapshot = l.relay.AppendSnapshot(snapshot[:0])
				}
				b.SetBytes(int64(len(snapshot)))
			})
		})
	}
}

// BenchmarkExpiry is one HandleTimeout while 100,000 requests are overdue.
func BenchmarkExpiry(b *testing.B) {
	const n = 100_000
	b.ReportAllocs()
	l := newLoad(n)
	due := 0
	for b.Loop() {
		if due <= 0 {
			b.StopTimer()
			l.now = l.now.Add(ikedhcp.DefaultReplyTime)
			for at, armed := l.relay.Deadline(); armed && !at.After(l.now); at, armed = l.relay.Deadline() {
				l.acts = l.relay.HandleTimeout(l.now, l.acts[:0])
			}
			for i := range n {
				l.request(i)
			}
			l.now, due = l.now.Add(ikedhcp.DefaultWaitTime), n
			b.StartTimer()
		}
		l.acts = l.relay.HandleTimeout(l.now, l.acts[:0])
		due -= len(l.acts)
	}
	b.ReportMetric(float64(len(l.acts)), "events/op")
}

func BenchmarkPayloads(b *testing.B) {
	gate := openedGate()
	var codec ikedhcp.Codec
	renew := newLoad(1).renew
	var before []byte // a chain like that of an IKE_AUTH request
	for i := range 9 {
		next := ikedhcp.PayloadType(36 + i)
		before = must(ikedhcp.Payload{Next: next, Body: make([]byte, 40)}.AppendBinary(before))
	}
	before = must(ikedhcp.Payload{Body: make([]byte, 40)}.AppendBinary(before))
	chain, first, err := codec.AppendPayloads(nil, gate, ikedhcp.InRequest, 35, before, renew)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("walk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			for p, err := range ikedhcp.Payloads(first, chain) {
				if err != nil {
					b.Fatal(err)
				}
				n += len(p.Body)
			}
		}
	})
	b.Run("bare-walk", func(b *testing.B) { // what there is to compare with: a loop over the headers
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			rest := chain
			for next := byte(first); next != 0; {
				size := int(binary.BigEndian.Uint16(rest[2:]))
				if size < 4 || size > len(rest) {
					b.Fatal("malformed")
				}
				next = rest[0]
				n += len(rest[4:size])
				rest = rest[size:]
			}
		}
	})
	b.Run("messages", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for m, err := range codec.Messages(gate, first, chain) {
				if err != nil || len(m) == 0 {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, 2*len(chain))
		for b.Loop() {
			if dst, _, err = codec.AppendPayloads(dst[:0], gate, ikedhcp.InRequest, 35, before, renew); err != nil {
				b.Fatal(err)
			}
		}
	})
}
