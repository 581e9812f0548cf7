package main

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/stretchr/testify/require"
)

// datagram is one that the relay has read or written.
type datagram struct {
	received bool
	peer     netip.AddrPort
	data     []byte
}

// recorder is the relay's socket, and keeps what passes.
type recorder struct {
	*net.UDPConn
	mu  sync.Mutex
	all []datagram
	// from is where last begins to look.
	from int
}

func (r *recorder) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := r.UDPConn.ReadFromUDPAddrPort(b)
	if err == nil {
		r.record(datagram{true, from, slices.Clone(b[:n])})
	}
	return n, from, err
}

func (r *recorder) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	r.record(datagram{false, to, slices.Clone(b)})
	return r.UDPConn.WriteToUDPAddrPort(b, to)
}

func (r *recorder) record(d datagram) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, d)
}

// forget makes last blind for what has passed so far.
func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.from = len(r.all)
}

// last is the last datagram received from, or sent to, peer; nil if there is none.
func (r *recorder) last(received bool, peer netip.AddrPort) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range slices.Backward(r.all[r.from:]) {
		if d.received == received && d.peer == peer {
			return d.data
		}
	}
	return nil
}

// save writes the datagrams as a capture. Its timestamps count packets, so that
// it changes only where the packets do.
func (r *recorder) save(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	w := pcapgo.NewWriter(f)
	require.NoError(t, w.WriteFileHeader(1<<16, layers.LinkTypeEthernet))
	for i, d := range r.all {
		local := netip.MustParseAddrPort(relayIP + ":67")
		if d.peer.Addr().IsLoopback() {
			local = netip.MustParseAddrPort("127.0.0.1:67")
		}
		src, dst := local, d.peer
		if d.received {
			src, dst = d.peer, local
		}
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: src.Addr().AsSlice(), DstIP: dst.Addr().AsSlice()}
		udp := &layers.UDP{SrcPort: layers.UDPPort(src.Port()), DstPort: layers.UDPPort(dst.Port())}
		require.NoError(t, udp.SetNetworkLayerForChecksum(ip))
		ethernet := &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
		buf := gopacket.NewSerializeBuffer()
		require.NoError(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ethernet, ip, udp, gopacket.Payload(d.data)))
		require.NoError(t, w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(buf.Bytes()), Length: len(buf.Bytes())}, buf.Bytes()))
	}
}
