package bench

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"iter"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/stretchr/testify/require"

	"dhcpsec.example/certopt"
	"dhcpsec.example/internal/dhcp6"
)

// The option codes of certopt.DefaultCodes.
const codeCAPointer, codeCertificate = 65001, 65003

// reply is what a requesting router wants to know from a Reply that delegates a
// prefix and certifies it.
type reply struct {
	xid                dhcp6.TransactionID
	clientID, serverID []byte // DUIDs
	iaid, t1, t2       uint32
	preferred, valid   uint32
	prefix             netip.Prefix
	caPointer          []byte
	certificate        []byte

	// What insomniacslk has in place of the first two. It goes back to octets
	// outside of the measurement.
	clientDUID, serverDUID dhcpv6.DUID
}

// replyCodec is one way to read and write it. Slices of what parse returns alias
// its input where the implementation can do that; build returns octets that are
// valid until the next call.
type replyCodec interface {
	parse(b []byte) (reply, error)
	build(r *reply) ([]byte, error)
}

func replyCodecs() iter.Seq2[string, replyCodec] {
	return func(yield func(string, replyCodec) bool) {
		_ = yield("dhcpsec", new(dhcpsecReply)) &&
			yield("insomniacslk", insomniacslkReply{}) &&
			yield("google-gopacket", newGopacketReply())
	}
}

func BenchmarkReplyParse(b *testing.B) {
	msg := sampleMessage(b)
	for name, impl := range replyCodecs() {
		b.Run("impl="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := impl.parse(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReplyBuild(b *testing.B) {
	r := sampleReply()
	for name, impl := range replyCodecs() {
		b.Run("impl="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := impl.build(&r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestRepliesAreTheSame(t *testing.T) {
	want := sampleReply()
	msg := sampleMessage(t)
	for name, impl := range replyCodecs() {
		t.Run(name, func(t *testing.T) {
			got, err := impl.parse(msg)
			require.NoError(t, err)
			if got.clientDUID != nil {
				got.clientID, got.serverID = got.clientDUID.ToBytes(), got.serverDUID.ToBytes()
				got.clientDUID, got.serverDUID = nil, nil
			}
			require.Equal(t, want, got)

			built, err := impl.build(&want)
			require.NoError(t, err)
			require.Equal(t, msg, built)
		})
	}
}

func sampleReply() reply {
	return reply{
		xid:         dhcp6.TransactionID{1, 2, 3},
		clientID:    []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1},
		serverID:    []byte{0, 2, 0, 0, 0x7e, 0xd9, 0x72, 0x30, 0x30, 0x31},
		iaid:        1,
		t1:          1000,
		t2:          2000,
		preferred:   3000,
		valid:       4000,
		prefix:      netip.MustParsePrefix("2001:db8:8000:100::/56"),
		caPointer:   []byte("http://[2001:db8:ca::1]:8080/cmp"),
		certificate: sampleCertificate(811),
	}
}

func sampleMessage(tb testing.TB) []byte {
	r := sampleReply()
	msg, err := new(dhcpsecReply).build(&r)
	require.NoError(tb, err)
	return msg
}

// sampleCertificate is a certificate of n octets, made to measure by an
// extension without meaning.
func sampleCertificate(n int) []byte {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "00030001020000000001"}}
	for filler := range n {
		template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 999}, Value: make([]byte, filler)}}
		if cert, err := x509.CreateCertificate(nil, &template, &template, key.Public(), key); err == nil && len(cert) == n {
			return cert
		}
	}
	panic("no certificate has that size")
}

// dhcpsecReply reuses one buffer.
type dhcpsecReply struct {
	certs certopt.Codec
	buf   []byte
}

func (d *dhcpsecReply) parse(b []byte) (r reply, err error) {
	m, err := dhcp6.ParseMessage(b)
	if err != nil {
		return reply{}, err
	}
	r.xid = m.TransactionID
	r.clientID, _ = m.Options.ClientID()
	r.serverID, _ = m.Options.ServerID()
	for ia, err := range m.Options.IAPDs() {
		if err != nil {
			return reply{}, err
		}
		r.iaid, r.t1, r.t2 = ia.IAID, ia.T1, ia.T2
		for p, err := range ia.Prefixes() {
			if err != nil {
				return reply{}, err
			}
			r.preferred, r.valid, r.prefix = p.Preferred, p.Valid, p.Prefix
		}
	}
	certs, err := d.certs.Find(m.Options)
	if err != nil {
		return reply{}, err
	}
	r.caPointer, r.certificate = certs.CAPointer, certs.Certificate
	return r, nil
}

func (d *dhcpsecReply) build(r *reply) (msg []byte, err error) {
	w := dhcp6.NewBuilder(d.buf[:0], dhcp6.Reply, r.xid)
	w.Option(dhcp6.OptionClientID, r.clientID)
	w.Option(dhcp6.OptionServerID, r.serverID)
	w.BeginIAPD(r.iaid, r.t1, r.t2)
	w.IAPrefix(r.preferred, r.valid, r.prefix)
	w.End()
	w.Option(codeCAPointer, r.caPointer)
	w.Option(codeCertificate, r.certificate)
	d.buf, err = w.Bytes()
	return d.buf, err
}

type insomniacslkReply struct{}

func (insomniacslkReply) parse(b []byte) (r reply, err error) {
	m, err := dhcpv6.MessageFromBytes(b)
	if err != nil {
		return reply{}, err
	}
	r.xid = m.TransactionID
	r.clientDUID, r.serverDUID = m.Options.ClientID(), m.Options.ServerID()
	ia := m.Options.OneIAPD()
	r.iaid, r.t1, r.t2 = binary.BigEndian.Uint32(ia.IaId[:]), seconds(ia.T1), seconds(ia.T2)
	for _, p := range ia.Options.Prefixes() {
		r.preferred, r.valid = seconds(p.PreferredLifetime), seconds(p.ValidLifetime)
		addr, _ := netip.AddrFromSlice(p.Prefix.IP)
		bits, _ := p.Prefix.Mask.Size()
		r.prefix = netip.PrefixFrom(addr, bits)
	}
	r.caPointer = m.GetOneOption(codeCAPointer).(*dhcpv6.OptionGeneric).OptionData
	r.certificate = m.GetOneOption(codeCertificate).(*dhcpv6.OptionGeneric).OptionData
	return r, nil
}

func (insomniacslkReply) build(r *reply) ([]byte, error) {
	client, err := dhcpv6.DUIDFromBytes(r.clientID)
	if err != nil {
		return nil, err
	}
	server, err := dhcpv6.DUIDFromBytes(r.serverID)
	if err != nil {
		return nil, err
	}
	ia := &dhcpv6.OptIAPD{T1: time.Duration(r.t1) * time.Second, T2: time.Duration(r.t2) * time.Second}
	binary.BigEndian.PutUint32(ia.IaId[:], r.iaid)
	ia.Options.Add(&dhcpv6.OptIAPrefix{
		PreferredLifetime: time.Duration(r.preferred) * time.Second,
		ValidLifetime:     time.Duration(r.valid) * time.Second,
		Prefix:            &net.IPNet{IP: r.prefix.Addr().AsSlice(), Mask: net.CIDRMask(r.prefix.Bits(), 128)},
	})
	m := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeReply, TransactionID: r.xid}
	m.AddOption(dhcpv6.OptClientID(client))
	m.AddOption(dhcpv6.OptServerID(server))
	m.AddOption(ia)
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: codeCAPointer, OptionData: r.caPointer})
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: codeCertificate, OptionData: r.certificate})
	return m.ToBytes(), nil
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// gopacketReply reuses one layer and one buffer. gopacket knows the framing of
// top-level options; what is inside an IA_PD is read and written here by hand.
type gopacketReply struct {
	layer layers.DHCPv6
	iapd  []byte
	out   gopacket.SerializeBuffer
}

func newGopacketReply() *gopacketReply {
	return &gopacketReply{out: gopacket.NewSerializeBuffer()}
}

// Where an IA Prefix option stands in an IA_PD without others, and how long its
// data is.
const prefixAt, prefixLen = 12, 25

func (g *gopacketReply) parse(b []byte) (r reply, err error) {
	if err := g.layer.DecodeFromBytes(b, gopacket.NilDecodeFeedback); err != nil {
		return reply{}, err
	}
	r.xid = dhcp6.TransactionID(g.layer.TransactionID)
	for _, o := range g.layer.Options {
		switch o.Code {
		case layers.DHCPv6OptClientID:
			r.clientID = o.Data
		case layers.DHCPv6OptServerID:
			r.serverID = o.Data
		case layers.DHCPv6OptIAPD:
			if len(o.Data) != prefixAt+4+prefixLen || binary.BigEndian.Uint16(o.Data[prefixAt:]) != uint16(layers.DHCPv6OptIAPrefix) {
				return reply{}, errors.New("IA_PD")
			}
			r.iaid = binary.BigEndian.Uint32(o.Data)
			r.t1 = binary.BigEndian.Uint32(o.Data[4:])
			r.t2 = binary.BigEndian.Uint32(o.Data[8:])
			p := o.Data[prefixAt+4:]
			r.preferred = binary.BigEndian.Uint32(p)
			r.valid = binary.BigEndian.Uint32(p[4:])
			r.prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte(p[9:])), int(p[8]))
		case layers.DHCPv6Opt(codeCAPointer):
			r.caPointer = o.Data
		case layers.DHCPv6Opt(codeCertificate):
			r.certificate = o.Data
		}
	}
	return r, nil
}

func (g *gopacketReply) build(r *reply) ([]byte, error) {
	ia := g.iapd[:0]
	ia = binary.BigEndian.AppendUint32(ia, r.iaid)
	ia = binary.BigEndian.AppendUint32(ia, r.t1)
	ia = binary.BigEndian.AppendUint32(ia, r.t2)
	ia = binary.BigEndian.AppendUint16(ia, uint16(layers.DHCPv6OptIAPrefix))
	ia = binary.BigEndian.AppendUint16(ia, prefixLen)
	ia = binary.BigEndian.AppendUint32(ia, r.preferred)
	ia = binary.BigEndian.AppendUint32(ia, r.valid)
	addr := r.prefix.Addr().As16()
	ia = append(append(ia, byte(r.prefix.Bits())), addr[:]...)
	g.iapd = ia

	g.layer.MsgType = layers.DHCPv6MsgTypeReply
	g.layer.TransactionID = r.xid[:]
	g.layer.Options = append(g.layer.Options[:0],
		layers.NewDHCPv6Option(layers.DHCPv6OptClientID, r.clientID),
		layers.NewDHCPv6Option(layers.DHCPv6OptServerID, r.serverID),
		layers.NewDHCPv6Option(layers.DHCPv6OptIAPD, ia),
		layers.NewDHCPv6Option(layers.DHCPv6Opt(codeCAPointer), r.caPointer),
		layers.NewDHCPv6Option(layers.DHCPv6Opt(codeCertificate), r.certificate),
	)
	if err := g.out.Clear(); err != nil {
		return nil, err
	}
	if err := g.layer.SerializeTo(g.out, gopacket.SerializeOptions{}); err != nil {
		return nil, err
	}
	return g.out.Bytes(), nil
}
