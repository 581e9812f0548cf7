// Package gopkt is a gopacket layer for DHCPv6 messages, with the certificate
// options of package certopt decoded. It is meant for captures and tests; a router
// needs package certopt only.
//
// gopacket has a DHCPv6 layer of its own on UDP ports 546 and 547. [Register] puts
// this one in its place, for the whole process:
//
//	gopkt.Register()
//	packet := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
//	if dhcp, ok := packet.Layer(gopkt.LayerTypeDHCPv6).(*gopkt.DHCPv6); ok { ... }
//
// One layer is the whole UDP payload: a Relay-forward or Relay-reply, the relay
// messages within it, and the message of the client or server that they carry.
//
//	UDP payload    Relay-forward [ Relay-forward [ Request ] ]
//	DHCPv6.Relays  0 ............. 1
//	DHCPv6.Message                                 Request
//
// # Rulings
//
//   - A message that breaks RFC 8415 in a way that loses it has a
//     gopacket.ErrorLayer, and so has one of a type that RFC 8415 does not define,
//     one in more than 9 relay messages (section 7.6, HOP_COUNT_LIMIT), and one in
//     which Relay-forward and Relay-reply are mixed.
//   - A malformed certificate option does not lose its message (RFC 7227
//     section 21.1): CertOptionsErr says what is wrong with it.
//   - The certificate options are looked for as the zero [certopt.Codec] has them,
//     since no code is assigned. Where routers use another codec, its Find does the
//     same: codec.Find(dhcp.Message.Options).
//   - Every error that can come of octets that end too early sets gopacket's mark
//     for a truncated packet, whether the capture or the sender cut them off.
package gopkt
