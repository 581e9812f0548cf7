// Package gopkt is a gopacket layer for IKEv2 messages, with the DHCP payloads in
// them decoded. It is meant for captures and tests; a gateway needs package
// ikedhcp only.
//
// gopacket has no layer for IKE. [Register] makes it decode UDP port 500 with this
// one, for the whole process:
//
//	gopkt.Register()
//	packet := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
//	if ike, ok := packet.Layer(gopkt.LayerTypeIKEv2).(*gopkt.IKEv2); ok { ... }
//
// What is inside an SK payload is encrypted, and its Body stays as it is: decode
// the plaintext with ikedhcp.Payloads. Captures of gateways under test that leave
// the encryption out decode as a whole.
//
// Sources: RFC 7296 sections 3.1 and 3.2. UDP port 4500 carries ESP as well, with
// a marker to tell the two apart (RFC 3948 section 2.2): cut off its four octets
// and decode the rest with [LayerTypeIKEv2].
package gopkt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"dhcpsec.example/ikedhcp"
	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/internal/wire"
)

// LayerTypeIKEv2 is the type of [IKEv2]. Its number is from the range that
// gopacket leaves to applications.
var LayerTypeIKEv2 = gopacket.RegisterLayerType(1384, gopacket.LayerTypeMetadata{
	Name:    "IKEv2",
	Decoder: gopacket.DecodeFunc(decode),
})

// Register makes gopacket decode UDP port 500 with [IKEv2]. It changes gopacket's
// global table, so it belongs at the start of a program.
func Register() { layers.RegisterUDPPortLayerType(500, LayerTypeIKEv2) }

// HeaderLen is the size of the IKE header, in octets.
const HeaderLen = 28

// The bits of the Flags field that RFC 7296 section 3.1 defines.
const (
	FlagInitiator uint8 = 0x08 // sent by the original initiator of the IKE SA
	FlagVersion   uint8 = 0x10 // the sender could speak a higher major version
	FlagResponse  uint8 = 0x20 // a response
)

// IKEv2 is an IKE message. Slices alias the packet.
type IKEv2 struct {
	layers.BaseLayer
	InitiatorSPI, ResponderSPI ikedhcp.SPI
	NextPayload                ikedhcp.PayloadType // of the first payload
	Version                    uint8               // major in the high four bits, minor in the low ones
	Exchange                   ikedhcp.Exchange
	Flags                      uint8
	MessageID                  ikedhcp.MessageID
	Payloads                   []ikedhcp.Payload

	// Messages are the DHCP messages among Payloads. MessageErr is why the first
	// DHCP payload that is not among them does not hold one.
	Messages   [][]byte
	MessageErr error

	// Codec says which payloads are DHCP payloads. DecodeFromBytes leaves it as
	// it is.
	Codec ikedhcp.Codec
}

var (
	_ gopacket.Layer            = (*IKEv2)(nil)
	_ gopacket.DecodingLayer    = (*IKEv2)(nil)
	_ gopacket.ApplicationLayer = (*IKEv2)(nil)
)

// LayerType is [LayerTypeIKEv2].
func (i *IKEv2) LayerType() gopacket.LayerType { return LayerTypeIKEv2 }

// CanDecode is [LayerTypeIKEv2].
func (i *IKEv2) CanDecode() gopacket.LayerClass { return LayerTypeIKEv2 }

// NextLayerType is LayerTypeZero: nothing follows in a message.
func (i *IKEv2) NextLayerType() gopacket.LayerType { return gopacket.LayerTypeZero }

// Payload is nil; it makes IKEv2 a gopacket.ApplicationLayer.
func (i *IKEv2) Payload() []byte { return nil }

// DecodeFromBytes makes i the layer for data, the UDP payload. Nothing of what i
// was before remains, but Codec, and the capacity of its slices. The error is an
// *ikedhcp.ParseError: a message that is cut short, of another major version than
// 2, or whose Length or chain of payloads does not end where data ends.
func (i *IKEv2) DecodeFromBytes(data []byte, df gopacket.DecodeFeedback) error {
	*i = IKEv2{Codec: i.Codec, Payloads: i.Payloads[:0], Messages: i.Messages[:0]}
	if len(data) < HeaderLen {
		df.SetTruncated()
		return wire.Errorf("IKE header", len(data), ikedhcp.ErrTruncated)
	}
	if data[17]>>4 != 2 {
		return wire.Errorf("IKE major version", 17, ikedhcp.ErrValue)
	}
	switch n := binary.BigEndian.Uint32(data[24:]); {
	case uint64(n) > uint64(len(data)):
		df.SetTruncated()
		return wire.Errorf("IKE Length", 24, ikedhcp.ErrTruncated)
	case int(n) < len(data):
		return wire.Errorf("IKE Length", 24, ikedhcp.ErrTrailing)
	}
	first, chain := ikedhcp.PayloadType(data[16]), data[HeaderLen:]
	for p, err := range ikedhcp.Payloads(first, chain) {
		if err != nil {
			i.Payloads = i.Payloads[:0]
			return wire.Shift(err, HeaderLen)
		}
		i.Payloads = append(i.Payloads, p)
	}
	for m, err := range i.Codec.Messages(openGate(), first, chain) {
		if err == nil {
			i.Messages = append(i.Messages, m)
			continue
		}
		// A critical payload that nobody knows is among Payloads.
		if _, malformed := errors.AsType[*ikedhcp.ParseError](err); malformed && i.MessageErr == nil {
			i.MessageErr = wire.Shift(err, HeaderLen)
		}
	}
	i.Contents = data
	i.InitiatorSPI = ikedhcp.SPI(binary.BigEndian.Uint64(data))
	i.ResponderSPI = ikedhcp.SPI(binary.BigEndian.Uint64(data[8:]))
	i.NextPayload, i.Version, i.Exchange, i.Flags = first, data[17], ikedhcp.Exchange(data[18]), data[19]
	i.MessageID = ikedhcp.MessageID(binary.BigEndian.Uint32(data[20:]))
	return nil
}

// openGate is a gate that somebody has opened: a capture need not have the
// Vendor ID in it.
func openGate() (g ikedhcp.Gate) {
	g.Observe(ikedhcp.Payload{Type: ikedhcp.PayloadV, Body: []byte(ikedhcp.VendorID)})
	return g
}

// Response reports whether the message is a response.
func (i *IKEv2) Response() bool { return i.Flags&FlagResponse != 0 }

// String is one line for a log: the exchange, the payloads with the sizes of their
// bodies, and the DHCP messages.
func (i *IKEv2) String() string {
	var s strings.Builder
	direction := "request"
	if i.Response() {
		direction = "response"
	}
	fmt.Fprintf(&s, "%v %s %d SPIi %v SPIr %v", i.Exchange, direction, i.MessageID, i.InitiatorSPI, i.ResponderSPI)
	for _, p := range i.Payloads {
		fmt.Fprintf(&s, " %v(%d)", p.Type, len(p.Body))
	}
	for _, m := range i.Messages {
		var msg dhcp4.Message
		if msg.Parse(m) == nil {
			s.WriteString(" " + msg.String())
		}
	}
	if i.MessageErr != nil {
		s.WriteString(" DHCP payload: malformed: " + i.MessageErr.Error())
	}
	return s.String()
}

func decode(data []byte, p gopacket.PacketBuilder) error {
	i := &IKEv2{}
	if err := i.DecodeFromBytes(data, p); err != nil {
		return err
	}
	p.AddLayer(i)
	p.SetApplicationLayer(i)
	return nil
}
