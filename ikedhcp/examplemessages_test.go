package ikedhcp_test

import (
	"net/netip"

	"dhcpsec.example/internal/dhcp4"
)

// discover and request are what the DHCP client in the examples sends.

func discover() []byte { return exampleMessage(dhcp4.Discover) }

func request(addr string) []byte {
	a := netip.MustParseAddr(addr).As4()
	return exampleMessage(dhcp4.Request, append([]byte{dhcp4.OptionRequestedIPAddress, 4}, a[:]...)...)
}

func exampleMessage(typ dhcp4.MessageType, options ...byte) []byte {
	h := dhcp4.Header{Op: dhcp4.BootRequest, HType: 31, XID: 0x12345678, CHAddr: []byte{0x40, 0, 203, 0, 113, 7, 1}}
	b := must(h.AppendBinary(nil))
	b = append(b, dhcp4.OptionMessageType, 1, byte(typ))
	return dhcp4.AppendEnd(append(b, options...), 0)
}
