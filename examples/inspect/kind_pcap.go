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
	"dhcpsec.example/internal/wire"
	relaylayer "dhcpsec.example/relayinfo/gopkt"
)

// maxPacket is the largest packet that is read from a capture, in octets: what
// capture programs write at most.
const maxPacket = 256 << 10

// decodePcap is for a capture in classic pcap form; pcapng and gzip are not read.
// Every UDP packet in it that is DHCPv4 or DHCPv6 is decoded. One that is malformed
// is said to be so, and the others are not lost. Nothing is encoded anew.
func decodePcap(b []byte) (string, []byte, error) {
	link, err := linkLayer(b)
	if err != nil {
		return "", nil, err
	}
	source, err := pcapgo.NewReader(bytes.NewReader(b))
	if err != nil {
		return "", nil, err
	}
	// Many writers exceed the limit that they put into the file's header; this one
	// bounds what is allocated for a packet.
	source.SetSnaplen(uint32(min(len(b), maxPacket)))
	var text []string
	undecoded := 0
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
		packet := gopacket.NewPacket(frame, link, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
		udp, ok := packet.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if !ok {
			if packet.TransportLayer() == nil && (packet.ErrorLayer() != nil || packet.Layer(gopacket.LayerTypeFragment) != nil) {
				undecoded++
			}
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
	if undecoded > 0 {
		text = append(text, fmt.Sprintf("packets not decoded, being damaged, fragments, or of an unknown protocol: %d", undecoded))
	}
	return strings.Join(text, "\n"), nil, nil
}

// linkLayer is what decodes the packets of the capture b, by the link type in its
// header:
//
//	 0               1               2               3
//	+---------------+---------------+---------------+---------------+
//	|                magic number, in the writer's order            |    0
//	+-------------------------------+-------------------------------+
//	|         version major         |         version minor         |    4
//	+-------------------------------+-------------------------------+
//	|            reserved (8), largest packet (4)                   |    8
//	+---------------------------------------------------------------+
//	|                           link type                           |   20
//	+---------------------------------------------------------------+
//
// pcapgo is not asked: it keeps 8 of the 32 bits, so that one type passes for
// another. Nor is it given the other formats. It unpacks gzip without a bound, and
// a pcapng file can make it panic, or allocate whatever a block claims to hold.
func linkLayer(b []byte) (gopacket.Decoder, error) {
	const (
		headerLen    = 24
		microseconds = 0xa1b2c3d4
		nanoseconds  = 0xa1b23c4d
		pcapng       = 0x0a0d0d0a // the same in either byte order
		gzip         = 0x1f8b     // two octets
	)
	if len(b) < headerLen {
		return nil, wire.Errorf("pcap header", 0, wire.ErrTruncated)
	}
	var order binary.ByteOrder = binary.BigEndian
	switch magic := order.Uint32(b); {
	case magic == microseconds, magic == nanoseconds:
	case magic == pcapng:
		return nil, errors.New("this is pcapng, which is not read: convert it to classic pcap")
	case magic>>16 == gzip:
		return nil, errors.New("this is gzip, which is not read: unpack it to classic pcap")
	default:
		order = binary.LittleEndian
		if magic := order.Uint32(b); magic != microseconds && magic != nanoseconds {
			return nil, errors.New("this is not a classic pcap file, and no other capture is read")
		}
	}
	switch linkType := order.Uint32(b[20:]); linkType {
	case 0, 108: // the loopback interface of the BSDs
		return layers.LinkTypeNull, nil
	case 1:
		return layers.LinkTypeEthernet, nil
	case 9:
		return layers.LinkTypePPP, nil
	case 101, 228, 229: // IP without a link layer: either version, IPv4, IPv6
		return layers.LinkTypeRaw, nil
	case 105:
		return layers.LinkTypeIEEE802_11, nil
	case 113: // "any" of Linux
		return layers.LinkTypeLinuxSLL, nil
	case 127:
		return layers.LinkTypeIEEE80211Radio, nil
	default:
		return nil, wire.Errorf("pcap link type", 20, fmt.Errorf("%d is not read", linkType))
	}
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
