package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	certlayer "dhcpsec.example/certopt/gopkt"
	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/dhcp6"
	relaylayer "dhcpsec.example/relayinfo/gopkt"
)

// decodePcap is for a capture, in pcap or pcapng form: every UDP packet in it that
// is DHCPv4 or DHCPv6 is decoded. One that is malformed is said to be so, and the
// others are not lost. Nothing is encoded anew.
func decodePcap(b []byte) (string, []byte, error) {
	source, err := openCapture(b)
	if err != nil {
		return "", nil, err
	}
	var text []string
	for n := 1; ; n++ {
		frame, info, err := source.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			// What could be read is worth reading.
			text = append(text, fmt.Sprintf("the capture breaks off at packet %d: %s", n, oneLine(err.Error())))
			break
		}
		// Lazy, so that gopacket stops at UDP: its own DHCP layers are not for
		// octets that anybody may have sent.
		packet := gopacket.NewPacket(frame, source.LinkType(), gopacket.DecodeOptions{Lazy: true, NoCopy: true})
		udp, ok := packet.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if !ok {
			continue
		}
		message, ok := describeDatagram(udp)
		network := packet.NetworkLayer()
		if !ok || network == nil {
			continue
		}
		src, dst := network.NetworkFlow().Endpoints()
		text = append(text, fmt.Sprintf("packet %d, %s: %v port %d to %v port %d\n  %s", n, info.Timestamp.UTC().Format("15:04:05.000000"),
			src, udp.SrcPort, dst, udp.DstPort, strings.ReplaceAll(message, "\n", "\n  ")))
	}
	if len(text) == 0 {
		text = append(text, "no DHCP packet")
	}
	return strings.Join(text, "\n"), nil, nil
}

// capture is a reader of either format.
type capture interface {
	gopacket.PacketDataSource
	LinkType() layers.LinkType
}

func openCapture(b []byte) (capture, error) {
	const sectionHeader = 0x0a0d0d0a // begins a pcapng file, the same in either byte order
	if len(b) >= 4 && binary.BigEndian.Uint32(b) == sectionHeader {
		return pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.DefaultNgReaderOptions)
	}
	r, err := pcapgo.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	// Many writers exceed the limit that they put into the file's header; this one
	// bounds what is allocated for a packet.
	r.SetSnaplen(uint32(min(len(b), maxInput)))
	return r, nil
}

// describeDatagram decodes DHCP by its ports, and DHCPv4 on any other port by its
// magic cookie: relay agents and tests need not use the usual ones (RFC 8357).
func describeDatagram(udp *layers.UDP) (text string, ok bool) {
	var err error
	switch {
	case isPort(udp, 67, 68) || hasCookie(udp.Payload):
		var layer relaylayer.DHCPv4
		if err = layer.DecodeFromBytes(udp.Payload, gopacket.NilDecodeFeedback); err == nil {
			text = layer.String()
		}
	case isPort(udp, 546, 547):
		var layer certlayer.DHCPv6
		if err = layer.DecodeFromBytes(udp.Payload, gopacket.NilDecodeFeedback); err == nil {
			text = describeDHCPv6(layer.Relays, layer.Message, layer.CertOptions, layer.CertOptionsErr)
			err = dhcp6.Lint(udp.Payload) // as decodeDHCPv6 does
		}
	default:
		return "", false
	}
	if err != nil {
		text = "malformed: " + oneLine(err.Error())
	}
	return text, true
}

func isPort(udp *layers.UDP, a, b layers.UDPPort) bool {
	return udp.SrcPort == a || udp.SrcPort == b || udp.DstPort == a || udp.DstPort == b
}

func hasCookie(payload []byte) bool {
	return len(payload) >= dhcp4.MinLen && binary.BigEndian.Uint32(payload[dhcp4.MinLen-4:]) == dhcp4.MagicCookie
}
