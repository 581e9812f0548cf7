package gopkt

import (
	"errors"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"dhcpsec.example/certopt"
	"dhcpsec.example/internal/dhcp6"
)

// LayerTypeDHCPv6 is the type of [DHCPv6]. Its number is from the range that
// gopacket leaves to applications.
var LayerTypeDHCPv6 = gopacket.RegisterLayerType(1383, gopacket.LayerTypeMetadata{
	Name:    "DHCPv6CertificateOptions",
	Decoder: gopacket.DecodeFunc(decode),
})

// Register makes gopacket decode UDP ports 546 and 547 with [DHCPv6]. It changes
// gopacket's global table, so it belongs at the start of a program.
func Register() {
	layers.RegisterUDPPortLayerType(546, LayerTypeDHCPv6)
	layers.RegisterUDPPortLayerType(547, LayerTypeDHCPv6)
}

// Relay is one Relay-forward or Relay-reply (RFC 8415 section 9): Type, HopCount,
// LinkAddress, PeerAddress and Options, among them the message that it carries.
type Relay = dhcp6.Relay

// Message is the message of a client or a server (RFC 8415 section 8): Type,
// TransactionID and Options. Options is the option area as it stands in the
// packet; its methods, such as All, Find, ClientID and IAPDs, read it.
type Message = dhcp6.Message

// DHCPv6 is a DHCPv6 message with the relay messages around it. Slices alias the
// packet.
type DHCPv6 struct {
	layers.BaseLayer
	Relays  []Relay // outermost first; at most 9
	Message Message

	// CertOptions are the certificate options of Message, under their default
	// codes. It is the zero Options if there are none, or if one is malformed.
	CertOptions certopt.Options
	// CertOptionsErr says why they are malformed: a *certopt.ParseError with an
	// offset within Message.Options.
	CertOptionsErr error
}

var (
	_ gopacket.ApplicationLayer = (*DHCPv6)(nil)
	_ gopacket.DecodingLayer    = (*DHCPv6)(nil)
)

// LayerType is [LayerTypeDHCPv6].
func (d *DHCPv6) LayerType() gopacket.LayerType { return LayerTypeDHCPv6 }

// CanDecode is [LayerTypeDHCPv6].
func (d *DHCPv6) CanDecode() gopacket.LayerClass { return LayerTypeDHCPv6 }

// NextLayerType is LayerTypeZero: nothing follows in a message.
func (d *DHCPv6) NextLayerType() gopacket.LayerType { return gopacket.LayerTypeZero }

// Payload is nil; it makes DHCPv6 a gopacket.ApplicationLayer.
func (d *DHCPv6) Payload() []byte { return nil }

// DecodeFromBytes makes d the layer for data, the UDP payload. Nothing of what d
// was before remains, but the capacity of Relays; with room there, a well-formed
// message is decoded without allocation. The error is a *certopt.ParseError with
// an offset within data.
func (d *DHCPv6) DecodeFromBytes(data []byte, df gopacket.DecodeFeedback) error {
	*d = DHCPv6{Relays: d.Relays[:0]}
	relays, message, err := dhcp6.Unwrap(data, d.Relays)
	if err != nil {
		if errors.Is(err, certopt.ErrTruncated) {
			df.SetTruncated()
		}
		return err
	}
	d.Contents = data
	d.Relays, d.Message = relays, message
	d.CertOptions, d.CertOptionsErr = certopt.Codec{}.Find(message.Options)
	return nil
}

// String is one line for a log: the message, within its relay messages if it has
// any, and the certificate options.
func (d *DHCPv6) String() string {
	s := d.Message.String()
	if len(d.Relays) > 0 {
		s = d.Relays[0].String() // shows all that it carries
	}
	if d.CertOptionsErr != nil {
		return s + "; certificate options: malformed: " + d.CertOptionsErr.Error()
	}
	return s + "; " + d.CertOptions.String()
}

func decode(data []byte, p gopacket.PacketBuilder) error {
	d := &DHCPv6{}
	if err := d.DecodeFromBytes(data, p); err != nil {
		return err
	}
	p.AddLayer(d)
	p.SetApplicationLayer(d)
	return nil
}
