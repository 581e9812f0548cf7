package main

import (
	"bytes"
	"crypto/rsa"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var anyPrefix = netip.MustParsePrefix("2001:db8:8000::/64")

// signedRA is a Router Advertisement as it comes off the wire.
func signedRA(t *testing.T, key *rsa.PrivateKey, now time.Time) packet {
	t.Helper()
	p, err := routerAdvertisement(nodeRR.link(), advertisedPrefix{anyPrefix, 30 * time.Minute, time.Hour}, now, key)
	require.NoError(t, err)
	return reparse(t, p)
}

func reparse(t *testing.T, p packet) packet {
	t.Helper()
	p, err := parsePacket(p.bytes())
	require.NoError(t, err)
	return p
}

func TestChecksumOfAKnownPacket(t *testing.T) {
	// A Router Solicitation from :: to ff02::2 without options. 0xff02 + 2 + 8 + 58
	// + 0x8500 is 0x18446, folded 0x8447, and its complement 0x7bb8.
	p := packet{src: netip.IPv6Unspecified(), dst: allRouters(), icmp: []byte{133, 0, 0, 0, 0, 0, 0, 0}}
	require.Equal(t, "7bb8", hex.EncodeToString(p.bytes()[sizeIPv6Header+2:sizeIPv6Header+4]))
}

func TestRouterAdvertisementRoundTrip(t *testing.T) {
	s := newTestSetup(t)
	now := time.Now()
	a, err := parseRouterAdvertisement(signedRA(t, s.routerKey, now))
	require.NoError(t, err)
	require.Equal(t, []advertisedPrefix{{anyPrefix, 30 * time.Minute, time.Hour}}, a.prefixes)
	require.WithinDuration(t, now, a.timestamp, time.Second/1<<15)
	hash, err := keyHash(&s.routerKey.PublicKey)
	require.NoError(t, err)
	require.Equal(t, hash, a.keyHash)
	require.NoError(t, a.verify(&s.routerKey.PublicKey))
	require.Error(t, a.verify(&s.impostorKey.PublicKey))
}

func TestSignatureCoversTheWholeAdvertisement(t *testing.T) {
	s := newTestSetup(t)
	p := signedRA(t, s.routerKey, time.Now())
	whole, err := parseRouterAdvertisement(p)
	require.NoError(t, err)
	unsigned := func(at int) bool {
		// The checksum is computed anew, and what the RSA Signature option has
		// around key hash and signature means nothing.
		option := whole.signedTo
		return at == 2 || at == 3 || at == option+2 || at == option+3 || at >= option+20+s.routerKey.Size()
	}
	verified := func(p packet) bool {
		a, err := parseRouterAdvertisement(p)
		return err == nil && a.keyHash == whole.keyHash && a.verify(&s.routerKey.PublicKey) == nil
	}
	for at := 1; at < len(p.icmp); at++ {
		changed := packet{p.src, p.dst, bytes.Clone(p.icmp)}
		changed.icmp[at] ^= 1
		require.Equal(t, unsigned(at), verified(reparse(t, changed)), "octet %d changed", at)
	}
	require.False(t, verified(packet{nodeHost.link(), p.dst, p.icmp}), "another source address")
	require.False(t, verified(packet{p.src, nodeHost.link(), p.icmp}), "another destination address")
}

func TestOptionsBehindTheSignatureAreIgnored(t *testing.T) { // RFC 3971 section 5.2.2
	s := newTestSetup(t)
	p := signedRA(t, s.routerKey, time.Now())
	require.NoError(t, p.add(optionPrefixInformation, make([]byte, 30)))
	a, err := parseRouterAdvertisement(reparse(t, p))
	require.NoError(t, err)
	require.Len(t, a.prefixes, 1)
	require.NoError(t, a.verify(&s.routerKey.PublicKey))
}

func TestPathMessagesRoundTrip(t *testing.T) {
	s := newTestSetup(t)
	name := s.anchor.certificate.RawSubject
	for pad := range 8 { // every length of padding
		p, err := pathSolicitation(nodeHost.link(), 7, name[:len(name)-pad])
		require.NoError(t, err)
		id, got, err := parsePathSolicitation(reparse(t, p))
		require.NoError(t, err)
		require.Equal(t, uint16(7), id)
		require.Equal(t, name[:len(name)-pad], got)
	}
	for _, c := range []component{
		{id: 7, all: 2, index: 1, anchorName: name, certificate: s.issuing.certificate.Raw},
		{id: 7, all: 2, index: 0, certificate: s.ra.certificate.Raw},
		{id: 7, anchorName: name},
	} {
		p, err := c.packet(nodeRR.link(), nodeHost.link())
		require.NoError(t, err)
		require.Equal(t, "ff02::1:ff00:1", p.dst.String(), "the host's Solicited-Node multicast address")
		got, err := parsePathAdvertisement(reparse(t, p))
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
}

func TestCertificateTooLargeForItsOption(t *testing.T) {
	// "Length: in units of 8 octets" in one octet: 2040, less 4 of header.
	_, err := component{certificate: make([]byte, 2037)}.packet(nodeRR.link(), nodeHost.link())
	require.Error(t, err)
	_, err = component{certificate: make([]byte, 2036)}.packet(nodeRR.link(), nodeHost.link())
	require.NoError(t, err)
}

func parseAny(p packet) error {
	var err error
	switch p.icmp[0] {
	case typeRouterAdvertisement:
		_, err = parseRouterAdvertisement(p)
	case typePathSolicitation:
		_, _, err = parsePathSolicitation(p)
	case typePathAdvertisement:
		_, err = parsePathAdvertisement(p)
	}
	return err
}

func TestEveryTruncation(t *testing.T) {
	s := newTestSetup(t)
	name := s.anchor.certificate.RawSubject
	solicitation, err := pathSolicitation(nodeHost.link(), 7, name)
	require.NoError(t, err)
	advertisement, err := component{7, 1, 0, name, s.ra.certificate.Raw}.packet(nodeRR.link(), nodeHost.link())
	require.NoError(t, err)
	// A CPA may have any of its options, or none: those are whole messages.
	trustAnchor := sizePathAdvertisement + (4+len(name)+7)/8*8
	for _, tt := range []struct {
		name  string
		p     packet
		whole []int
	}{
		{"RA", signedRA(t, s.routerKey, time.Now()), nil},
		{"CPS", solicitation, nil},
		{"CPA", advertisement, []int{sizePathAdvertisement, trustAnchor}},
	} {
		b := tt.p.bytes()
		for n := range b {
			_, err := parsePacket(b[:n])
			require.Error(t, err, "%s: packet of %d octets", tt.name, n)
		}
		for n := 4; n < len(tt.p.icmp); n++ {
			cut := packet{tt.p.src, tt.p.dst, bytes.Clone(tt.p.icmp[:n])}
			err := parseAny(reparse(t, cut))
			require.Equal(t, slices.Contains(tt.whole, n), err == nil, "%s: message of %d octets: %v", tt.name, n, err)
		}
		require.NoError(t, parseAny(reparse(t, tt.p)))
	}
}

func TestMalformedPackets(t *testing.T) {
	s := newTestSetup(t)
	good := signedRA(t, s.routerKey, time.Now()).bytes()
	for _, tt := range []struct {
		name string
		at   int
		with byte
		want string
	}{
		{"IPv4", 0, 4 << 4, "IP version at octet 0"},
		{"payload length", 5, good[5] + 8, "payload length at octet 4"},
		{"not ICMPv6", 6, 17, "next header at octet 6"},
		{"forwarded", 7, 254, "hop limit at octet 7"},
		{"checksum", sizeIPv6Header + 3, good[sizeIPv6Header+3] + 1, "checksum at octet 42"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(good)
			b[tt.at] = tt.with
			_, err := parsePacket(b)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestMalformedMessages(t *testing.T) {
	head := func(icmpType byte, fixed int) []byte {
		b := make([]byte, fixed)
		b[0] = icmpType
		return b
	}
	ra := func(options ...byte) []byte {
		return append(head(typeRouterAdvertisement, sizeRouterAdvertisement), options...)
	}
	cps := func(id uint16, options ...byte) []byte {
		b := head(typePathSolicitation, sizePathSolicitation)
		binary.BigEndian.PutUint16(b[4:], id)
		return append(b, options...)
	}
	cpa := func(options ...byte) []byte {
		return append(head(typePathAdvertisement, sizePathAdvertisement), options...)
	}
	timestamp := append([]byte{optionTimestamp, 2}, make([]byte, 14)...)
	for _, tt := range []struct {
		name string
		icmp []byte
		want string
	}{
		{"code", []byte{typePathSolicitation, 1, 0, 0, 0, 1, 0, 0}, "code at octet 1"},
		{"option of length zero", ra(1, 0, 0, 0, 0, 0, 0, 0), "option length at octet 17"},
		{"option beyond the message", ra(1, 2, 0, 0, 0, 0, 0, 0), "option length at octet 17"},
		{"one option too many", ra(bytes.Repeat([]byte{1, 1, 0, 0, 0, 0, 0, 0}, maxOptions+1)...), "option at octet 272"},
		{"unsigned", ra(timestamp...), "RSA signature at octet 32: missing"},
		{"prefix information of 8 octets", ra(3, 1, 64, 0, 0, 0, 0, 0), "prefix information at octet 16"},
		{"prefix length 129", ra(append([]byte{3, 4, 129}, make([]byte, 29)...)...), "prefix information at octet 16"},
		{"timestamp of 8 octets", ra(13, 1, 0, 0, 0, 0, 0, 0), "timestamp at octet 16"},
		{"signature without key hash", ra(append(timestamp, 12, 1, 0, 0, 0, 0, 0, 0)...), "RSA signature at octet 32"},
		{"signature without timestamp", ra(append([]byte{12, 3}, make([]byte, 22)...)...), "timestamp at octet 16: missing"},
		{"identifier zero", cps(0, 15, 1, 1, 0, 1, 2, 3, 4), "identifier at octet 4"},
		{"no trust anchor", cps(1, 1, 1, 0, 0, 0, 0, 0, 0), "trust anchor at octet 16: missing"},
		{"trust anchor by FQDN", cps(1, 15, 1, 2, 0, 1, 2, 3, 4), "trust anchor name type at octet 10"},
		{"trust anchor all padding and more", cps(1, 15, 1, 1, 5, 1, 2, 3, 4), "trust anchor pad length at octet 11"},
		{"certificate type", cpa(16, 1, 2, 0, 0x30, 2, 5, 0), "certificate type at octet 14"},
		{"certificate longer than its option", cpa(16, 1, 1, 0, 0x30, 3, 5, 0), "certificate at octet 16"},
		{"two certificates", cpa(bytes.Repeat([]byte{16, 1, 1, 0, 0x30, 2, 5, 0}, 2)...), "certificate at octet 20: a second one"},
		{"more than padding", cpa(append([]byte{16, 2, 1, 0, 0x30, 2, 5, 0}, make([]byte, 8)...)...), "certificate at octet 16"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.ErrorContains(t, parseAny(reparse(t, packet{nodeRR.link(), allNodes(), tt.icmp})), tt.want)
		})
	}
}
