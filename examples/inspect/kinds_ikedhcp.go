package main

import (
	"errors"
	"fmt"
	"strings"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/wire"
)

// decodeIKEPayloads is for a chain of IKEv2 payloads that is not, or not any more,
// encrypted (RFC 7296 section 3.2). A chain does not say what its first payload
// is, so the object is the Next Payload octet of what was around it (an IKE
// header, or an SK payload), and then the chain:
//
//	c8  00 00 01 30  <a DHCP message>     a chain of one DHCP payload, type 200
//
// DHCP payloads have the default type, and their messages are decoded.
func decodeIKEPayloads(b []byte) (string, []byte, error) {
	if len(b) == 0 {
		return "", nil, wire.Errorf("Next Payload of the first payload", 0, wire.ErrTruncated)
	}
	const firstLen = 1
	first, chain := ikedhcp.PayloadType(b[0]), b[firstLen:]
	var text []string
	reencoded := []byte{b[0]}
	for p, err := range ikedhcp.Payloads(first, chain) {
		if err == nil {
			reencoded, err = p.AppendBinary(reencoded)
		}
		if err != nil {
			return "", nil, wire.Shift(err, firstLen)
		}
		line := fmt.Sprintf("%v, %d octets", p.Type, len(p.Body))
		if p.Critical() {
			line += ", critical"
		}
		if reserved := p.Flags &^ ikedhcp.FlagCritical; reserved != 0 {
			line += fmt.Sprintf(", reserved bits 0x%02x", reserved)
		}
		if p.Type == ikedhcp.PayloadV && string(p.Body) == ikedhcp.VendorID {
			line += ": DHCP payloads are understood"
		}
		if p.Type == ikedhcp.DefaultPayloadType {
			var m dhcp4.Message
			if err := m.Parse(p.Body); err != nil {
				line += ", unusable: " + reason(err)
			} else {
				line += ": " + m.String()
				if m.Type() == 0 {
					line += ", unusable: not DHCP, which has a message type"
				}
			}
		}
		text = append(text, line)
	}
	// The messages as a gateway takes them: what it would refuse is worth a line.
	var gate ikedhcp.Gate
	gate.Observe(ikedhcp.Payload{Type: ikedhcp.PayloadV, Body: []byte(ikedhcp.VendorID)})
	for _, err := range (ikedhcp.Codec{}).Messages(gate, first, chain) {
		if critical, ok := errors.AsType[*ikedhcp.CriticalError](err); ok {
			text = append(text, fmt.Sprintf("a request with %v must be refused: critical, and of unknown type", critical.Type))
		}
	}
	if len(text) == 0 {
		text = []string{"no payloads"}
	}
	return strings.Join(text, "\n"), reencoded, nil
}
