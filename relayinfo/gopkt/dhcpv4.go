// Package gopkt is a gopacket layer for DHCPv4 messages, with option 82 decoded.
// It is meant for captures and tests; a relay agent needs package relayinfo only.
//
// gopacket has a DHCPv4 layer of its own on UDP ports 67 and 68. [Register] puts
// this one in its place, for the whole process:
//
//	gopkt.Register()
//	packet := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
//	if dhcp, ok := packet.Layer(gopkt.LayerTypeDHCPv4).(*gopkt.DHCPv4); ok { ... }
//
// Sources: RFC 2131 section 2, RFC 2132, RFC 3046, RFC 3396. A message that breaks
// them has a gopacket.ErrorLayer; one whose option 82 alone is malformed is
// decoded, and InfoErr says what is wrong with the option.
package gopkt

import (
	"errors"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"dhcpsec.example/internal/dhcp4"
	"dhcpsec.example/relayinfo"
)

// LayerTypeDHCPv4 is the type of [DHCPv4]. Its number is from the range that
// gopacket leaves to applications.
var LayerTypeDHCPv4 = gopacket.RegisterLayerType(1382, gopacket.LayerTypeMetadata{
	Name:    "DHCPv4RelayAgentInfo",
	Decoder: gopacket.DecodeFunc(decode),
})

// Register makes gopacket decode UDP ports 67 and 68 with [DHCPv4]. It changes
// gopacket's global table, so it belongs at the start of a program.
func Register() {
	layers.RegisterUDPPortLayerType(67, LayerTypeDHCPv4)
	layers.RegisterUDPPortLayerType(68, LayerTypeDHCPv4)
}

// Option is one option as it stands in the message. An option that is split (RFC
// 3396) has several.
type Option struct {
	Code uint8
	Data []byte // aliases the packet
}

// DHCPv4 is a BOOTP or DHCP message. Slices alias the packet.
type DHCPv4 struct {
	layers.BaseLayer
	Op, HType, Hops                uint8
	XID                            uint32
	Secs, Flags                    uint16
	CIAddr, YIAddr, SIAddr, GIAddr netip.Addr
	CHAddr                         []byte
	MessageType                    uint8    // option 53, 0 in a BOOTP message
	Options                        []Option // in aggregate order: options, file, sname; no Pad, no End

	// Info is option 82, joined from all its instances in the options field. It
	// is the zero Info if there is none, or if it is malformed.
	Info    relayinfo.Info
	InfoErr error // why option 82 is malformed

	message dhcp4.Message
}

var (
	_ gopacket.Layer         = (*DHCPv4)(nil)
	_ gopacket.DecodingLayer = (*DHCPv4)(nil)
)

// LayerType is [LayerTypeDHCPv4].
func (d *DHCPv4) LayerType() gopacket.LayerType { return LayerTypeDHCPv4 }

// CanDecode is [LayerTypeDHCPv4].
func (d *DHCPv4) CanDecode() gopacket.LayerClass { return LayerTypeDHCPv4 }

// NextLayerType is LayerTypeZero: nothing follows in a message.
func (d *DHCPv4) NextLayerType() gopacket.LayerType { return gopacket.LayerTypeZero }

// DecodeFromBytes makes d the layer for data, the UDP payload. Nothing of what d
// was before remains, but the capacity of Options. The error is a
// *relayinfo.ParseError.
func (d *DHCPv4) DecodeFromBytes(data []byte, df gopacket.DecodeFeedback) error {
	*d = DHCPv4{Options: d.Options[:0]}
	m := &d.message
	if err := m.Parse(data); err != nil {
		if errors.Is(err, relayinfo.ErrTruncated) {
			df.SetTruncated()
		}
		return err
	}
	d.Contents = data
	d.Op, d.HType, d.Hops = m.Op(), m.HType(), m.Hops()
	d.XID, d.Secs, d.Flags = m.XID(), m.Secs(), m.Flags()
	d.CIAddr, d.YIAddr, d.SIAddr, d.GIAddr = m.CIAddr(), m.YIAddr(), m.SIAddr(), m.GIAddr()
	d.CHAddr, d.MessageType = m.CHAddr(), uint8(m.Type())
	for o := range m.Options() {
		d.Options = append(d.Options, Option{o.Code, o.Data})
	}
	d.Info, d.InfoErr = relayinfo.Find(data)
	if d.InfoErr == relayinfo.ErrAbsent {
		d.InfoErr = nil
	}
	return nil
}

// String is one line for a log, with option 82 if there is one.
func (d *DHCPv4) String() string {
	s := d.message.String()
	switch {
	case d.InfoErr != nil:
		s += " option 82: malformed: " + d.InfoErr.Error()
	case d.Info.IsValid():
		s += " option 82: " + d.Info.String()
	}
	return s
}

func decode(data []byte, p gopacket.PacketBuilder) error {
	d := &DHCPv4{}
	if err := d.DecodeFromBytes(data, p); err != nil {
		return err
	}
	p.AddLayer(d)
	p.SetApplicationLayer(d)
	return nil
}

// Payload is nil; it makes DHCPv4 a gopacket.ApplicationLayer.
func (d *DHCPv4) Payload() []byte { return nil }
