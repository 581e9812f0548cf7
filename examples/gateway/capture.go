package main

import (
	"io"
	"sync"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// The ports that the capture shows: those of the protocols, instead of ephemeral
// ones. Packets have no link-layer header.
const (
	portIKE        = 500
	portDHCPServer = 67
	portDHCPClient = 68
)

// capture writes what the actors send as a pcap file, IKE messages without their SK
// payload: as they would be before encryption. A nil capture writes nothing.
type capture struct {
	mu  sync.Mutex
	w   *pcapgo.Writer
	err error // the first
}

func newCapture(file io.Writer) (*capture, error) {
	w := pcapgo.NewWriter(file)
	return &capture{w: w}, w.WriteFileHeader(65535, layers.LinkTypeRaw)
}

func (c *capture) ike(from, to node, payload []byte) { c.packet(from, to, portIKE, portIKE, payload) }

func (c *capture) dhcp(from, to node, payload []byte) {
	c.packet(from, to, portDHCPServer, portDHCPServer, payload)
}

func (c *capture) packet(from, to node, source, destination layers.UDPPort, payload []byte) {
	if c == nil {
		return
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.address().AsSlice(), DstIP: to.address().AsSlice()}
	udp := &layers.UDP{SrcPort: source, DstPort: destination}
	buf := gopacket.NewSerializeBuffer()
	err := udp.SetNetworkLayerForChecksum(ip)
	if err == nil {
		err = gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(payload))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		b := buf.Bytes()
		err = c.w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Now(), CaptureLength: len(b), Length: len(b)}, b)
	}
	if c.err == nil {
		c.err = err
	}
}
