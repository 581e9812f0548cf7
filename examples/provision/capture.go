package main

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// The addresses and ports that the capture shows: those that the protocols use
// on a link, instead of the loopback address and ephemeral ports. Packets have no
// link-layer header, and each datagram is one packet however large it is.
const (
	portDHCPClient = 546
	portDHCPServer = 547
	portHTTP       = 80
	firstTCPPort   = 49152 // of HTTP clients
	maxSegment     = 1440
)

// capture writes what the actors send as a pcap file. A nil capture writes nothing.
type capture struct {
	mu      sync.Mutex
	w       *pcapgo.Writer
	err     error // the first
	clients uint16
	open    sync.WaitGroup // recorded connections
}

func newCapture(file io.Writer) (*capture, error) {
	w := pcapgo.NewWriter(file)
	return &capture{w: w}, w.WriteFileHeader(65535, layers.LinkTypeRaw)
}

// close waits for the last connections to end and returns the first error.
func (c *capture) close() error {
	c.open.Wait()
	return c.err
}

// packet records one IPv6 packet.
func (c *capture) packet(ip []byte) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(ip, nil)
}

// dhcp records a DHCPv6 message. What a client sends goes to
// All_DHCP_Relay_Agents_and_Servers.
func (c *capture) dhcp(from, to node, payload []byte) {
	if c == nil {
		return
	}
	ip := &layers.IPv6{NextHeader: layers.IPProtocolUDP, SrcIP: from.link().AsSlice(), DstIP: to.link().AsSlice()}
	udp := &layers.UDP{SrcPort: portDHCPServer, DstPort: portDHCPClient}
	if to == nodeDR {
		ip.DstIP = netip.MustParseAddr("ff02::1:2").AsSlice()
		udp = &layers.UDP{SrcPort: portDHCPClient, DstPort: portDHCPServer}
	}
	udp.SetNetworkLayerForChecksum(ip)
	c.transport(ip, udp, payload)
}

// transport records a packet with its headers, lengths and checksums filled in.
func (c *capture) transport(ip *layers.IPv6, header gopacket.SerializableLayer, payload []byte) {
	ip.Version, ip.HopLimit = 6, 64
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		ip, header, gopacket.Payload(payload))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(buf.Bytes(), err)
}

func (c *capture) write(b []byte, err error) {
	if err == nil {
		err = c.w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Now(), CaptureLength: len(b), Length: len(b)}, b)
	}
	if c.err == nil {
		c.err = err
	}
}

// dialer connects HTTP clients; what they and the server say is recorded.
func (c *capture) dialer(client node) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil || c == nil {
			return conn, err
		}
		c.mu.Lock()
		port := firstTCPPort + c.clients
		c.clients++
		c.mu.Unlock()
		c.open.Add(1)
		r := &recordedConn{Conn: conn, capture: c, client: netip.AddrPortFrom(client.global(), port)}
		r.segment(true, layers.TCP{SYN: true}, nil)
		r.segment(false, layers.TCP{SYN: true}, nil)
		r.segment(true, layers.TCP{}, nil)
		return r, nil
	}
}

// recordedConn is a TCP connection whose octets are recorded as segments.
type recordedConn struct {
	net.Conn
	capture *capture
	client  netip.AddrPort

	mu         sync.Mutex
	sent, rcvd uint32 // sequence numbers of the client and of the server
	closed     bool
}

func (r *recordedConn) Write(b []byte) (int, error) {
	r.data(true, b) // first, lest the answer be recorded before the question
	return r.Conn.Write(b)
}

func (r *recordedConn) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.data(false, b[:n])
	return n, err
}

func (r *recordedConn) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.segment(true, layers.TCP{FIN: true}, nil)
		r.segment(false, layers.TCP{FIN: true}, nil)
		r.segment(true, layers.TCP{}, nil)
		r.capture.open.Done()
	}
	return r.Conn.Close()
}

func (r *recordedConn) data(byClient bool, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(b) > 0 && !r.closed {
		n := min(len(b), maxSegment)
		r.segment(byClient, layers.TCP{PSH: true}, b[:n])
		b = b[n:]
	}
}

// segment records one segment, which acknowledges all that the other side sent.
func (r *recordedConn) segment(byClient bool, tcp layers.TCP, payload []byte) {
	ip := &layers.IPv6{NextHeader: layers.IPProtocolTCP, SrcIP: r.client.Addr().AsSlice(), DstIP: nodeCA.global().AsSlice()}
	tcp.SrcPort, tcp.DstPort = layers.TCPPort(r.client.Port()), portHTTP
	own, other := &r.sent, &r.rcvd
	if !byClient {
		ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
		tcp.SrcPort, tcp.DstPort = tcp.DstPort, tcp.SrcPort
		own, other = other, own
	}
	tcp.Seq, tcp.Ack, tcp.Window = *own, *other, 65535
	tcp.ACK = !tcp.SYN || !byClient
	if !tcp.ACK {
		tcp.Ack = 0
	}
	*own += uint32(len(payload))
	if tcp.SYN || tcp.FIN {
		*own++ // SYN and FIN take a sequence number each
	}
	tcp.SetNetworkLayerForChecksum(ip)
	r.capture.transport(ip, &tcp, payload)
}
