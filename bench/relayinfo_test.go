package bench

import (
	"bytes"
	"errors"
	"iter"
	"net"
	"net/netip"
	"slices"
	"testing"

	ggopacket "github.com/google/gopacket"
	glayers "github.com/google/gopacket/layers"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/stretchr/testify/require"

	"dhcpsec.example/relayinfo"
)

var (
	errNotRelayed = errors.New("a request that must not be relayed")
	errNotOurs    = errors.New("a reply that is not ours")
)

// relayer does what a relay agent does to a message, from the octets that came to
// the octets that go. request: refuse what is no BOOTREQUEST, has too many hops,
// a giaddr or an option 82; set giaddr, add one to hops, append option 82; at
// least 300 octets. reply: remove option 82, giaddr to zero, at least 300 octets.
// The result is valid until the next call.
type relayer interface {
	request(msg []byte) ([]byte, error)
	reply(msg []byte) ([]byte, error)
}

// checkingRelayer also refuses a reply that is not ours.
type checkingRelayer interface {
	relayer
	checkedReply(msg []byte) ([]byte, error)
}

// relayers are the implementations. Each reuses whatever its interface lets it
// reuse. copy is the bare copy of the message, which does not do the job: it is
// what the job costs at least.
func relayers(t testing.TB) iter.Seq2[string, relayer] {
	info := relayBody(t)
	buf := make([]byte, 0, 1500)
	return func(yield func(string, relayer) bool) {
		_ = yield("dhcpsec", &dhcpsecRelay{buf, relayinfo.Config{GIAddr: relayGIAddr, Info: info}}) &&
			yield("copy", &copyRelay{buf}) &&
			yield("google-gopacket", &googleRelay{out: ggopacket.NewSerializeBuffer(), giaddr: relayGIAddr.AsSlice(), option: glayers.NewDHCPOption(82, info.Bytes())}) &&
			yield("gopacket-gopacket", &gopacketRelay{out: gopacket.NewSerializeBuffer(), giaddr: relayGIAddr.AsSlice(), option: layers.NewDHCPOption(82, info.Bytes())}) &&
			yield("insomniacslk", &insomniacslkRelay{relayGIAddr.AsSlice(), dhcpv4.OptGeneric(dhcpv4.OptionRelayAgentInformation, info.Bytes())})
	}
}

func BenchmarkRelayRequest(b *testing.B) {
	msg := relayRequest(b)
	for name, impl := range relayers(b) {
		b.Run("impl="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := impl.request(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRelayReply(b *testing.B) {
	msg := relayReply(b)
	for name, impl := range relayers(b) {
		b.Run("impl="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := impl.reply(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRelayReplyChecked is a reply of which it is not known whether it is ours:
// it is refused unless it is a BOOTREPLY with our giaddr and the echo of our option
// 82, and then edited as in BenchmarkRelayReply.
func BenchmarkRelayReplyChecked(b *testing.B) {
	msg := relayReply(b)
	for name, impl := range relayers(b) {
		impl, ok := impl.(checkingRelayer)
		if !ok {
			continue
		}
		b.Run("impl="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := impl.checkedReply(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOption82Parse is the body of an option 82 with five sub-options.
func BenchmarkOption82Parse(b *testing.B) {
	body := relayBody(b).Bytes()
	b.Run("impl=dhcpsec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := relayinfo.Parse(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("impl=insomniacslk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var o dhcpv4.RelayOptions
			if err := o.FromBytes(body); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestRelayersAgree holds that all make messages that say the same.
func TestRelayersAgree(t *testing.T) {
	request, reply := relayRequest(t), relayReply(t)
	impls := map[string]relayer{}
	for name, impl := range relayers(t) {
		impls[name] = impl
	}
	delete(impls, "copy")
	meaning := func(msg []byte, err error) *dhcpv4.DHCPv4 {
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(msg), 300)
		m, err := dhcpv4.FromBytes(msg)
		require.NoError(t, err)
		return m
	}
	wantRequest, wantReply := meaning(impls["dhcpsec"].request(request)), meaning(impls["dhcpsec"].reply(reply))
	require.Equal(t, relayGIAddr.String(), wantRequest.GatewayIPAddr.String())
	require.Equal(t, relayBody(t).Bytes(), wantRequest.Options.Get(dhcpv4.OptionRelayAgentInformation))
	require.False(t, wantReply.Options.Has(dhcpv4.OptionRelayAgentInformation))
	for name, impl := range impls {
		require.Equal(t, wantRequest, meaning(impl.request(request)), name)
		require.Equal(t, wantReply, meaning(impl.reply(reply)), name)
		if impl, ok := impl.(checkingRelayer); ok {
			require.Equal(t, wantReply, meaning(impl.checkedReply(reply)), name)
			for what, at := range map[string]int{"op": 0, "giaddr": 27, "option 82": bytes.Index(reply, []byte("gw1"))} {
				foreign := bytes.Clone(reply)
				foreign[at] ^= 3
				_, err := impl.checkedReply(foreign)
				require.Error(t, err, "%s: a reply with another %s", name, what)
			}
		}
		_, err := impl.request(bytes.Clone(wantRequest.ToBytes()))
		require.Error(t, err, "%s: a request that is relayed already", name)
	}
}

// The messages.

var (
	relayGIAddr = netip.MustParseAddr("192.0.2.1")
	relayClient = net.HardwareAddr{2, 0, 0, 0, 0, 1}
)

// relayBody is what the relay agent adds.
func relayBody(t testing.TB) relayinfo.Info {
	t.Helper()
	info, err := relayinfo.Fields{
		CircuitID:        []byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef},
		RemoteID:         []byte("gw1.example"),
		LinkSelection:    netip.MustParseAddr("198.51.100.0"),
		SubscriberID:     "alice@vpn.example",
		ServerIDOverride: relayGIAddr,
	}.Info()
	require.NoError(t, err)
	return info
}

// relayRequest is a DHCPREQUEST with the options that an ordinary client sends.
func relayRequest(t testing.TB) []byte {
	t.Helper()
	m, err := dhcpv4.New(
		dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest),
		dhcpv4.WithTransactionID(dhcpv4.TransactionID{0x12, 0x34, 0x56, 0x78}),
		dhcpv4.WithHwAddr(relayClient),
		dhcpv4.WithOption(dhcpv4.OptClientIdentifier(append([]byte{1}, relayClient...))),
		dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(192, 0, 2, 77))),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 53))),
		dhcpv4.WithOption(dhcpv4.OptHostName("roadwarrior")),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("dhcpcd-9.4.1:Linux")),
		dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(1472)),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionDomainName),
	)
	require.NoError(t, err)
	return m.ToBytes()
}

// relayReply is a DHCPACK with the options that an ordinary server sends, and the
// echo of option 82.
func relayReply(t testing.TB) []byte {
	t.Helper()
	request, err := dhcpv4.FromBytes(relayRequest(t))
	require.NoError(t, err)
	m, err := dhcpv4.NewReplyFromRequest(
		request,
		dhcpv4.WithMessageType(dhcpv4.MessageTypeAck),
		dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 77)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 53))),
		dhcpv4.WithLeaseTime(3600),
		dhcpv4.WithGeneric(dhcpv4.OptionRenewTimeValue, []byte{0, 0, 7, 8}),
		dhcpv4.WithGeneric(dhcpv4.OptionRebindingTimeValue, []byte{0, 0, 0x0c, 0x4e}),
		dhcpv4.WithNetmask(net.IPv4Mask(255, 255, 255, 0)),
		dhcpv4.WithRouter(net.IPv4(192, 0, 2, 1)),
		dhcpv4.WithDNS(net.IPv4(192, 0, 2, 53), net.IPv4(192, 0, 2, 54)),
		dhcpv4.WithOption(dhcpv4.OptDomainName("vpn.example")),
	)
	require.NoError(t, err)
	cfg := relayinfo.Config{GIAddr: relayGIAddr, Info: relayBody(t)}
	msg := m.ToBytes()
	msg[0] = 1 // Insert is for requests; what it makes of this one is what a server sends
	msg, _, err = relayinfo.Insert(nil, msg, &cfg)
	require.NoError(t, err)
	msg[0] = 2
	require.NoError(t, relayinfo.Match(msg, &cfg))
	return msg
}

// The implementations.

type dhcpsecRelay struct {
	buf []byte
	cfg relayinfo.Config
}

func (r *dhcpsecRelay) request(msg []byte) ([]byte, error) {
	out, _, err := relayinfo.Insert(r.buf, msg, &r.cfg)
	return out, err
}

func (r *dhcpsecRelay) reply(msg []byte) ([]byte, error) {
	out, _, err := relayinfo.Strip(r.buf, msg)
	return out, err
}

func (r *dhcpsecRelay) checkedReply(msg []byte) ([]byte, error) {
	if err := relayinfo.Match(msg, &r.cfg); err != nil {
		return nil, err
	}
	return r.reply(msg)
}

type copyRelay struct{ buf []byte }

func (r *copyRelay) request(msg []byte) ([]byte, error) { return append(r.buf, msg...), nil }
func (r *copyRelay) reply(msg []byte) ([]byte, error)   { return append(r.buf, msg...), nil }

type googleRelay struct {
	m      glayers.DHCPv4
	out    ggopacket.SerializeBuffer
	giaddr net.IP
	option glayers.DHCPOption
}

func (r *googleRelay) request(msg []byte) ([]byte, error) {
	if err := r.m.DecodeFromBytes(msg, ggopacket.NilDecodeFeedback); err != nil {
		return nil, err
	}
	if r.m.Operation != glayers.DHCPOpRequest || r.m.HardwareOpts > 4 || !r.m.RelayAgentIP.IsUnspecified() || slices.ContainsFunc(r.m.Options, r.is82) {
		return nil, errNotRelayed
	}
	r.m.RelayAgentIP = r.giaddr
	r.m.HardwareOpts++ // the field of this name is hops
	r.m.Options = append(r.m.Options, r.option)
	return r.serialize()
}

func (r *googleRelay) reply(msg []byte) ([]byte, error) {
	if err := r.m.DecodeFromBytes(msg, ggopacket.NilDecodeFeedback); err != nil {
		return nil, err
	}
	r.m.RelayAgentIP = net.IPv4zero
	r.m.Options = slices.DeleteFunc(r.m.Options, r.is82)
	return r.serialize()
}

func (r *googleRelay) checkedReply(msg []byte) ([]byte, error) {
	if err := r.m.DecodeFromBytes(msg, ggopacket.NilDecodeFeedback); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(r.m.Options, r.is82)
	if r.m.Operation != glayers.DHCPOpReply || !r.m.RelayAgentIP.Equal(r.giaddr) || i >= 0 && !bytes.Equal(r.m.Options[i].Data, r.option.Data) {
		return nil, errNotOurs
	}
	r.m.RelayAgentIP = net.IPv4zero
	r.m.Options = slices.DeleteFunc(r.m.Options, r.is82)
	return r.serialize()
}

func (r *googleRelay) is82(o glayers.DHCPOption) bool { return o.Type == 82 }

func (r *googleRelay) serialize() ([]byte, error) {
	if err := r.out.Clear(); err != nil {
		return nil, err
	}
	if err := r.m.SerializeTo(r.out, ggopacket.SerializeOptions{}); err != nil {
		return nil, err
	}
	pad, err := r.out.AppendBytes(max(0, 300-len(r.out.Bytes())))
	clear(pad)
	return r.out.Bytes(), err
}

type gopacketRelay struct {
	m      layers.DHCPv4
	out    gopacket.SerializeBuffer
	giaddr net.IP
	option layers.DHCPOption
}

func (r *gopacketRelay) request(msg []byte) ([]byte, error) {
	if err := r.m.DecodeFromBytes(msg, gopacket.NilDecodeFeedback); err != nil {
		return nil, err
	}
	if r.m.Operation != layers.DHCPOpRequest || r.m.RelayHops > 4 || !r.m.RelayAgentIP.IsUnspecified() || slices.ContainsFunc(r.m.Options, r.is82) {
		return nil, errNotRelayed
	}
	r.m.RelayAgentIP = r.giaddr
	r.m.RelayHops++
	r.m.Options = append(r.m.Options, r.option)
	return r.serialize()
}

func (r *gopacketRelay) reply(msg []byte) ([]byte, error) {
	if err := r.m.DecodeFromBytes(msg, gopacket.NilDecodeFeedback); err != nil {
		return nil, err
	}
	r.m.RelayAgentIP = net.IPv4zero
	r.m.Options = slices.DeleteFunc(r.m.Options, r.is82)
	return r.serialize()
}

func (r *gopacketRelay) is82(o layers.DHCPOption) bool { return o.Type == 82 }

func (r *gopacketRelay) serialize() ([]byte, error) {
	if err := r.out.Clear(); err != nil {
		return nil, err
	}
	if err := r.m.SerializeTo(r.out, gopacket.SerializeOptions{}); err != nil {
		return nil, err
	}
	pad, err := r.out.AppendBytes(max(0, 300-len(r.out.Bytes())))
	clear(pad)
	return r.out.Bytes(), err
}

type insomniacslkRelay struct {
	giaddr net.IP
	option dhcpv4.Option
}

func (r *insomniacslkRelay) request(msg []byte) ([]byte, error) {
	m, err := dhcpv4.FromBytes(msg)
	if err != nil {
		return nil, err
	}
	if m.OpCode != dhcpv4.OpcodeBootRequest || m.HopCount > 4 || !m.GatewayIPAddr.IsUnspecified() || m.Options.Has(dhcpv4.OptionRelayAgentInformation) {
		return nil, errNotRelayed
	}
	m.GatewayIPAddr = r.giaddr
	m.HopCount++
	m.UpdateOption(r.option)
	return m.ToBytes(), nil
}

func (r *insomniacslkRelay) reply(msg []byte) ([]byte, error) {
	m, err := dhcpv4.FromBytes(msg)
	if err != nil {
		return nil, err
	}
	m.GatewayIPAddr = net.IPv4zero
	m.Options.Del(dhcpv4.OptionRelayAgentInformation)
	return m.ToBytes(), nil
}
