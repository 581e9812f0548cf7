package main

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// The octets of SEND (RFC 3971), as much of them as this program needs: Router
// Advertisements (RFC 4861 section 4.2) that are signed, and the solicitation
// and advertisement of certification paths.

// ICMPv6 types.
const (
	typeRouterAdvertisement = 134
	typePathSolicitation    = 148 // CPS
	typePathAdvertisement   = 149 // CPA
)

// Neighbor Discovery options.
const (
	optionPrefixInformation = 3
	optionRSASignature      = 12
	optionTimestamp         = 13
	optionTrustAnchor       = 15
	optionCertificate       = 16
)

// What precedes the options in each message, ICMPv6 header included.
const (
	sizeRouterAdvertisement = 16
	sizePathSolicitation    = 8
	sizePathAdvertisement   = 12
)

const (
	nextHeaderICMPv6 = 58
	sizeIPv6Header   = 40
	// hopLimit shows that no router forwarded a packet: both ends insist on it.
	hopLimit = 255
	// maxOptions bounds the options of one message.
	maxOptions = 32
	// nameIsDER is the Trust Anchor option's Name Type of a DER encoded X.501 Name.
	nameIsDER = 1
	// typeX509 is the Certificate option's Cert Type of an X.509v3 certificate.
	typeX509 = 1
	// allComponents asks for the whole path.
	allComponents = 65535
)

// packet is an ICMPv6 message with the addresses that its checksum, and its
// signature, cover.
type packet struct {
	src, dst netip.Addr
	icmp     []byte // from the Type octet on
}

// bytes is the IPv6 packet, with the checksum filled in.
func (p packet) bytes() []byte {
	binary.BigEndian.PutUint16(p.icmp[2:], p.checksum(p.icmp))
	b := make([]byte, 0, sizeIPv6Header+len(p.icmp))
	b = append(b, 6<<4, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.icmp)))
	b = append(b, nextHeaderICMPv6, hopLimit)
	b = append(b, p.src.AsSlice()...)
	b = append(b, p.dst.AsSlice()...)
	return append(b, p.icmp...)
}

// parsePacket is the inverse of bytes. The result aliases b.
func parsePacket(b []byte) (packet, error) {
	switch {
	case len(b) < sizeIPv6Header+4:
		return packet{}, malformed("IPv6 packet", len(b), "cut short")
	case b[0]>>4 != 6:
		return packet{}, malformed("IP version", 0, "not 6")
	case int(binary.BigEndian.Uint16(b[4:])) != len(b)-sizeIPv6Header:
		return packet{}, malformed("payload length", 4, "not that of the packet")
	case b[6] != nextHeaderICMPv6:
		return packet{}, malformed("next header", 6, "not ICMPv6")
	case b[7] != hopLimit:
		return packet{}, malformed("hop limit", 7, "not 255: the packet was forwarded")
	}
	p := packet{
		src: netip.AddrFrom16([16]byte(b[8:24])), dst: netip.AddrFrom16([16]byte(b[24:40])),
		icmp: b[sizeIPv6Header:],
	}
	if binary.BigEndian.Uint16(p.icmp[2:]) != p.checksum(p.icmp) {
		return packet{}, malformed("checksum", sizeIPv6Header+2, "wrong")
	}
	return p, nil
}

// checksum is that of an ICMPv6 message between the packet's addresses (RFC 4443
// section 2.3), whatever its checksum field holds.
func (p packet) checksum(icmp []byte) uint16 {
	sum := uint32(len(icmp)) + nextHeaderICMPv6
	add := func(b []byte) {
		for ; len(b) > 1; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	add(p.src.AsSlice())
	add(p.dst.AsSlice())
	add(icmp[:2])
	add(icmp[4:])
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// ndOption is one Neighbor Discovery option.
type ndOption struct {
	kind byte
	body []byte // what follows the Type and Length octets, padding included
	at   int    // where the option starts in the ICMPv6 message
}

// options reads the options behind the first fixed octets of a message.
func (p packet) options(fixed int) ([]ndOption, error) {
	if len(p.icmp) < fixed {
		return nil, malformed("message", len(p.icmp), "cut short")
	}
	if p.icmp[1] != 0 {
		return nil, malformed("code", 1, "not 0")
	}
	var options []ndOption
	for at := fixed; at < len(p.icmp); {
		rest := p.icmp[at:]
		if len(rest) < 8 || len(options) == maxOptions {
			return nil, malformed("option", at, "cut short, or one too many")
		}
		// "All included options MUST have a length that is greater than zero."
		size := int(rest[1]) * 8
		if size == 0 || size > len(rest) {
			return nil, malformed("option length", at+1, "impossible")
		}
		options = append(options, ndOption{rest[0], rest[2:size:size], at})
		at += size
	}
	return options, nil
}

// add appends an option to the message, padded to a multiple of 8 octets.
func (p *packet) add(kind byte, body ...[]byte) error {
	content := bytes.Join(body, nil)
	units := (2 + len(content) + 7) / 8
	if units > 255 {
		return fmt.Errorf("option %d: %d octets do not fit", kind, len(content))
	}
	p.icmp = append(p.icmp, kind, byte(units))
	p.icmp = append(p.icmp, content...)
	p.icmp = append(p.icmp, make([]byte, units*8-2-len(content))...)
	return nil
}

// advertisedPrefix is what a Prefix Information option says (RFC 4861 section
// 4.6.2), with the L and A flags set.
type advertisedPrefix struct {
	prefix           netip.Prefix
	preferred, valid time.Duration // whole seconds
}

// routerAdvertisement is a Router Advertisement to all nodes on the link, signed
// by key. It has no CGA option, which "MAY be present in other messages" than
// Neighbor Solicitations and Advertisements (RFC 3971 section 5.1.1): the host
// finds the key in the router's certificate.
func routerAdvertisement(src netip.Addr, advertised advertisedPrefix, now time.Time, key *rsa.PrivateKey) (packet, error) {
	p := packet{src: src, dst: allNodes(), icmp: make([]byte, sizeRouterAdvertisement)}
	p.icmp[0] = typeRouterAdvertisement
	p.icmp[4] = 64                                // Cur Hop Limit
	binary.BigEndian.PutUint16(p.icmp[6:], 30*60) // Router Lifetime, in seconds

	info := []byte{byte(advertised.prefix.Bits()), 0xc0}
	info = binary.BigEndian.AppendUint32(info, uint32(advertised.valid/time.Second))
	info = binary.BigEndian.AppendUint32(info, uint32(advertised.preferred/time.Second))
	info = append(info, 0, 0, 0, 0)
	if err := p.add(optionPrefixInformation, info, advertised.prefix.Addr().AsSlice()); err != nil {
		return packet{}, err
	}
	// 48 bits of seconds, then 16 bits of a second's fraction (section 5.3.1). A
	// Nonce would only answer a solicitation, and this is none.
	stamp := make([]byte, 6, 14)
	stamp = binary.BigEndian.AppendUint64(stamp, uint64(now.Unix())<<16|uint64(now.Nanosecond())<<16/1e9)
	if err := p.add(optionTimestamp, stamp); err != nil {
		return packet{}, err
	}
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA1, p.signed(len(p.icmp)))
	if err != nil {
		return packet{}, err
	}
	hash, err := keyHash(&key.PublicKey)
	if err != nil {
		return packet{}, err
	}
	return p, p.add(optionRSASignature, []byte{0, 0}, hash[:], signature)
}

// signed is the SHA-1 of what the RSA Signature option at this place in the
// message signs (section 5.2). The Checksum field among it is that of the message
// "constructed in its entirety, without the RSA Signature option" (section 5.2.1):
// the final one depends on the signature.
func (p packet) signed(at int) []byte {
	message := bytes.Clone(p.icmp[:at])
	binary.BigEndian.PutUint16(message[2:], p.checksum(message))
	h := sha1.New()
	// The CGA Message Type tag of SEND.
	h.Write([]byte{0x08, 0x6f, 0xca, 0x5e, 0x10, 0xb2, 0x00, 0xc9, 0x9c, 0x8c, 0xe0, 0x01, 0x64, 0x27, 0x7c, 0x08})
	h.Write(p.src.AsSlice())
	h.Write(p.dst.AsSlice())
	h.Write(message)
	return h.Sum(nil)
}

// keyHash is the Key Hash field: the first 128 bits of the SHA-1 of the public key,
// a DER SubjectPublicKeyInfo.
func keyHash(key *rsa.PublicKey) (hash [16]byte, err error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return hash, err
	}
	sum := sha1.Sum(der)
	return [16]byte(sum[:16]), nil
}

// advertisement is a Router Advertisement as received.
type advertisement struct {
	packet
	prefixes  []advertisedPrefix
	timestamp time.Time
	keyHash   [16]byte
	signature []byte // with padding, of which only the key's size tells
	signedTo  int    // where the RSA Signature option starts
}

// parseRouterAdvertisement reads a Router Advertisement that is signed; one that
// is not is an error here. Options behind the signature are ignored, as section
// 5.2.2 has it, and so are those unknown.
func parseRouterAdvertisement(p packet) (advertisement, error) {
	a := advertisement{packet: p}
	options, err := p.options(sizeRouterAdvertisement)
	if err != nil {
		return a, err
	}
	for _, o := range options {
		switch o.kind {
		case optionPrefixInformation:
			if len(o.body) != 30 || o.body[0] > 128 {
				return a, malformed("prefix information", o.at, "impossible length")
			}
			a.prefixes = append(a.prefixes, advertisedPrefix{
				prefix:    netip.PrefixFrom(netip.AddrFrom16([16]byte(o.body[14:])), int(o.body[0])),
				valid:     time.Duration(binary.BigEndian.Uint32(o.body[2:])) * time.Second,
				preferred: time.Duration(binary.BigEndian.Uint32(o.body[6:])) * time.Second,
			})
		case optionTimestamp:
			if len(o.body) != 14 {
				return a, malformed("timestamp", o.at, "impossible length")
			}
			stamp := binary.BigEndian.Uint64(o.body[6:])
			a.timestamp = time.Unix(int64(stamp>>16), int64(stamp&0xffff)*1e9>>16)
		case optionRSASignature:
			if len(o.body) < 18 {
				return a, malformed("RSA signature", o.at, "cut short")
			}
			if a.timestamp.IsZero() {
				// "Messages received with the RSA Signature option but without the
				// Timestamp option MUST be silently discarded" (section 5.3.4).
				return a, malformed("timestamp", o.at, "missing before the signature")
			}
			a.keyHash, a.signature, a.signedTo = [16]byte(o.body[2:18]), o.body[18:], o.at
			return a, nil
		}
	}
	return a, malformed("RSA signature", len(p.icmp), "missing")
}

// verify says whether key made the signature.
func (a advertisement) verify(key *rsa.PublicKey) error {
	if len(a.signature) < key.Size() {
		return rsa.ErrVerification
	}
	return rsa.VerifyPKCS1v15(key, crypto.SHA1, a.signed(a.signedTo), a.signature[:key.Size()])
}

// pathSolicitation is a CPS: what leads from this trust anchor to the routers?
// The host, which has no default router yet, asks all of them.
func pathSolicitation(src netip.Addr, id uint16, anchorName []byte) (packet, error) {
	p := packet{src: src, dst: allRouters(), icmp: []byte{typePathSolicitation, 0, 0, 0}}
	p.icmp = binary.BigEndian.AppendUint16(p.icmp, id)
	p.icmp = binary.BigEndian.AppendUint16(p.icmp, allComponents)
	return p, p.addTrustAnchor(anchorName)
}

// parsePathSolicitation reads a CPS. "The first (or only) Trust Anchor option MUST
// contain a DER Encoded X.501 Name" (section 6.4.1): that one is returned.
func parsePathSolicitation(p packet) (id uint16, anchorName []byte, err error) {
	options, err := p.options(sizePathSolicitation)
	if err != nil {
		return 0, nil, err
	}
	if id = binary.BigEndian.Uint16(p.icmp[4:]); id == 0 {
		return 0, nil, malformed("identifier", 4, "zero")
	}
	for _, o := range options {
		if o.kind == optionTrustAnchor {
			anchorName, err = o.trustAnchor()
			return id, anchorName, err
		}
	}
	return 0, nil, malformed("trust anchor", len(p.icmp), "missing")
}

// component is one CPA: a certificate of a certification path.
type component struct {
	id          uint16 // of the CPS that it answers
	all, index  uint16 // how many there are; which one it is, the last being 0
	anchorName  []byte // in the first component
	certificate []byte // DER; none if the router knows no path
}

// packet is the CPA, which goes to the Solicited-Node multicast address of the host.
func (c component) packet(src, host netip.Addr) (packet, error) {
	p := packet{src: src, dst: solicitedNode(host), icmp: []byte{typePathAdvertisement, 0, 0, 0}}
	for _, v := range []uint16{c.id, c.all, c.index, 0} {
		p.icmp = binary.BigEndian.AppendUint16(p.icmp, v)
	}
	if c.anchorName != nil {
		if err := p.addTrustAnchor(c.anchorName); err != nil {
			return packet{}, err
		}
	}
	if c.certificate != nil {
		if err := p.add(optionCertificate, []byte{typeX509, 0}, c.certificate); err != nil {
			return packet{}, err
		}
	}
	return p, nil
}

func parsePathAdvertisement(p packet) (component, error) {
	options, err := p.options(sizePathAdvertisement)
	if err != nil {
		return component{}, err
	}
	c := component{
		id:    binary.BigEndian.Uint16(p.icmp[4:]),
		all:   binary.BigEndian.Uint16(p.icmp[6:]),
		index: binary.BigEndian.Uint16(p.icmp[8:]),
	}
	for _, o := range options {
		switch {
		case o.kind == optionTrustAnchor && c.anchorName == nil:
			c.anchorName, err = o.trustAnchor()
		case o.kind == optionCertificate && c.certificate == nil:
			c.certificate, err = o.certificate()
		case o.kind == optionCertificate:
			err = malformed("certificate", o.at, "a second one")
		}
		if err != nil {
			return component{}, err
		}
	}
	return c, nil
}

func (p *packet) addTrustAnchor(name []byte) error {
	pad := -(4 + len(name)) & 7
	return p.add(optionTrustAnchor, []byte{nameIsDER, byte(pad)}, name)
}

func (o ndOption) trustAnchor() ([]byte, error) {
	if o.body[0] != nameIsDER {
		return nil, malformed("trust anchor name type", o.at+2, "not a DER encoded X.501 Name")
	}
	end := len(o.body) - int(o.body[1])
	if end < 2 {
		return nil, malformed("trust anchor pad length", o.at+3, "impossible")
	}
	return o.body[2:end:end], nil
}

// certificate has to look for the end of the DER: this option, unlike the Trust
// Anchor option, has no pad length (section 6.4.4).
func (o ndOption) certificate() ([]byte, error) {
	if o.body[0] != typeX509 {
		return nil, malformed("certificate type", o.at+2, "not X.509v3")
	}
	var der asn1.RawValue
	padding, err := asn1.Unmarshal(o.body[2:], &der)
	if err != nil || len(padding) > 7 {
		return nil, malformed("certificate", o.at+4, "not DER, or followed by more than padding")
	}
	return der.FullBytes, nil
}

func malformed(field string, at int, why string) error {
	return fmt.Errorf("%s at octet %d: %s", field, at, why)
}

func allNodes() netip.Addr   { return netip.MustParseAddr("ff02::1") }
func allRouters() netip.Addr { return netip.MustParseAddr("ff02::2") }

// solicitedNode is the Solicited-Node multicast address of a (RFC 4291 section 2.7.1).
func solicitedNode(a netip.Addr) netip.Addr {
	group, unicast := netip.MustParseAddr("ff02::1:ff00:0").As16(), a.As16()
	copy(group[13:], unicast[13:])
	return netip.AddrFrom16(group)
}
