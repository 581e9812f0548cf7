package x509ip

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFromCertificate(t *testing.T) {
	want := blocksOf(t, "2001:db8::/32")
	got, err := FromCertificate(bare(t, want))
	require.NoError(t, err)
	require.True(t, got.Equal(want), "%v", got)

	_, err = FromCertificate(none())
	require.ErrorIs(t, err, ErrNoExtension)
	_, err = FromCertificate(&x509.Certificate{})
	require.ErrorIs(t, err, ErrNoExtension)

	c := bare(t, want)
	c.Extensions = append(c.Extensions, none().Extensions[0], c.Extensions[0])
	_, err = FromCertificate(c)
	require.ErrorIs(t, err, ErrDuplicate)

	c = bare(t, want)
	c.Extensions[0].Critical = false
	_, err = FromCertificate(c)
	require.NoError(t, err, "2.2.2: the extension only SHOULD be critical")

	_, err = FromCertificate(malformed())
	var pe *ParseError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, 2, pe.Offset)

	c.Extensions[0].Value = nil
	_, err = FromCertificate(c)
	require.ErrorIs(t, err, ErrTruncated)
}

// malformed is a certificate whose extension does not parse.
func malformed() *x509.Certificate {
	return &x509.Certificate{Extensions: []pkix.Extension{{Id: OIDIPAddrBlocks(), Value: []byte{0x30, 0x02, 0x05, 0x00}}}}
}

func TestExtensionIsCritical(t *testing.T) {
	e, err := blocksOf(t, "2001:db8:cafe:bebe::/64").Extension()
	require.NoError(t, err)
	require.True(t, e.Critical)
	require.Equal(t, "1.3.6.1.5.5.7.1.7", e.Id.String())
	require.Equal(t, unhex(t, "3013301104020002300b03090020010db8cafebebe"), e.Value)
}

func TestVerifyPath(t *testing.T) {
	blocks := func(texts ...string) *x509.Certificate { return bare(t, blocksOf(t, texts...)) }
	parsed := func(hex string) *x509.Certificate { return bare(t, mustParse(t, hex)) }
	anchor := blocks("10.0.0.0/8", "2001:db8::/32")
	tests := []struct {
		name     string
		chain    []*x509.Certificate // the leaf first
		verified string              // the leaf's resources, if the path is valid
		want     PathError           // otherwise; of Missing, only what it prints
		missing  string
	}{
		{"trust anchor alone", []*x509.Certificate{anchor}, "10.0.0.0/8, 2001:db8::/32", PathError{}, ""},
		{"nested", []*x509.Certificate{blocks("2001:db8:1::/64"), blocks("2001:db8:1::/48"), anchor}, "2001:db8:1::/64", PathError{}, ""},
		{"all that the issuer holds", []*x509.Certificate{anchor, anchor}, "10.0.0.0/8, 2001:db8::/32", PathError{}, ""},
		{
			"leaf claims more",
			[]*x509.Certificate{blocks("2001:db8::/47"), blocks("2001:db8:1::/48"), anchor},
			"",
			PathError{Depth: 0, Family: Family{AFI: IPv6}, Err: ErrNotHeld},
			"2001:db8::/48",
		},
		{
			"authority claims more",
			[]*x509.Certificate{blocks("10.0.0.0/8"), blocks("9.0.0.0/8", "10.0.0.0/8"), anchor},
			"",
			PathError{Depth: 1, Family: Family{AFI: IPv4}, Err: ErrNotHeld},
			"9.0.0.0/8",
		},
		{
			"leaf claims what only the trust anchor holds",
			[]*x509.Certificate{blocks("10.1.0.0/16"), blocks("10.0.0.0/16"), anchor},
			"",
			PathError{Depth: 0, Family: Family{AFI: IPv4}, Err: ErrNotHeld},
			"10.1.0.0/16",
		},
		{
			"family that the issuer lacks",
			[]*x509.Certificate{blocks("10.0.0.0/8", "2001:db8::/32"), blocks("10.0.0.0/8"), anchor},
			"",
			PathError{Depth: 0, Family: Family{AFI: IPv6}, Err: ErrNotHeld},
			"2001:db8::/32",
		},
		{
			"SAFI that the issuer lacks",
			[]*x509.Certificate{parsed(ipv6SAFI1), anchor},
			"",
			PathError{Depth: 0, Family: Family{IPv6, 1}, Err: ErrNotHeld},
			"2001:db8::/48",
		},
		{"SAFI", []*x509.Certificate{parsed(ipv6SAFI1), parsed(ipv6SAFI1)}, "2001:db8::/48 (SAFI 1)", PathError{}, ""},
		{"leaf inherits", []*x509.Certificate{parsed(inheritIPv6), blocks("2001:db8:1::/48"), anchor}, "2001:db8:1::/48", PathError{}, ""},
		{
			"leaf inherits one family of two",
			[]*x509.Certificate{parsed(ipv4RangeAndIPv6), anchor},
			"10.0.0.1-10.0.0.9, 2001:db8::/32",
			PathError{},
			"",
		},
		{
			"all but the trust anchor inherit",
			[]*x509.Certificate{parsed(inheritIPv6), parsed(inheritIPv6), parsed(inheritIPv6), anchor},
			"2001:db8::/32",
			PathError{},
			"",
		},
		{"authority inherits", []*x509.Certificate{blocks("2001:db8:1::/48"), parsed(inheritIPv6), anchor}, "2001:db8:1::/48", PathError{}, ""},
		{
			"leaf claims more than what the authority inherits",
			[]*x509.Certificate{blocks("2001:db9::/48"), parsed(inheritIPv6), anchor},
			"",
			PathError{Depth: 0, Family: Family{AFI: IPv6}, Err: ErrNotHeld},
			"2001:db9::/48",
		},
		{
			"SAFI inherits only from the same SAFI",
			[]*x509.Certificate{parsed(inheritIPv6SAFI1), parsed(ipv6AndSAFI1)},
			"2001:db8:2::/48 (SAFI 1)",
			PathError{},
			"",
		},
		{
			"SAFI does not inherit from none",
			[]*x509.Certificate{parsed(inheritIPv6SAFI1), anchor},
			"",
			PathError{Depth: 0, Family: Family{IPv6, 1}, Err: ErrNothingToInherit},
			"",
		},
		{
			"does not inherit past an issuer without the family",
			[]*x509.Certificate{parsed(inheritIPv6), blocks("10.0.0.0/8"), anchor},
			"",
			PathError{Depth: 0, Family: Family{AFI: IPv6}, Err: ErrNothingToInherit},
			"",
		},
		{
			"trust anchor inherits",
			[]*x509.Certificate{blocks("10.0.0.1/32"), parsed(ipv4RangeAndIPv6)},
			"",
			PathError{Depth: 1, Family: Family{AFI: IPv6}, Err: ErrNothingToInherit},
			"",
		},
		{"leaf without the extension", []*x509.Certificate{none(), anchor}, "", PathError{Depth: 0, Err: ErrNoExtension}, ""},
		{"authority without the extension", []*x509.Certificate{blocks("10.0.0.1/32"), none(), anchor}, "", PathError{Depth: 1, Err: ErrNoExtension}, ""},
		{"trust anchor without the extension", []*x509.Certificate{blocks("10.0.0.1/32"), none()}, "", PathError{Depth: 1, Err: ErrNoExtension}, ""},
		{"malformed leaf", []*x509.Certificate{malformed(), anchor}, "", PathError{Depth: 0, Err: ErrValue}, ""},
		{"malformed trust anchor", []*x509.Certificate{anchor, malformed()}, "", PathError{Depth: 1, Err: ErrValue}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := VerifiedBlocks(tt.chain)
			require.Equal(t, err, VerifyPath(tt.chain))
			if tt.want.Err == nil {
				require.NoError(t, err)
				require.Equal(t, tt.verified, b.String())
				return
			}
			var pe *PathError
			require.ErrorAs(t, err, &pe)
			require.ErrorIs(t, err, tt.want.Err)
			require.Equal(t, tt.want.Depth, pe.Depth, "depth of: %v", err)
			require.Equal(t, tt.want.Family, pe.Family, "family of: %v", err)
			if tt.missing == "" {
				require.Zero(t, pe.Missing)
			} else {
				require.Equal(t, tt.missing, pe.Missing.String())
			}
			require.True(t, b.IsZero())
		})
	}
}

func TestVerifyPathMisuse(t *testing.T) {
	require.Error(t, VerifyPath(nil))
	require.Error(t, VerifyPath([]*x509.Certificate{nil}))
}

// The certificates of a chain are not changed by what their subjects inherit.
func TestVerifiedBlocksKeepsCertificates(t *testing.T) {
	leaf := bare(t, mustParse(t, inheritIPv6))
	chain := []*x509.Certificate{leaf, bare(t, blocksOf(t, "2001:db8::/32"))}
	for range 2 {
		b, err := VerifiedBlocks(chain)
		require.NoError(t, err)
		require.Equal(t, "2001:db8::/32", b.String())
	}
}

func TestPathErrorText(t *testing.T) {
	anchor := bare(t, blocksOf(t, "10.0.0.0/8"))
	require.EqualError(t, VerifyPath([]*x509.Certificate{bare(t, mustParse(t, ipv6SAFI1)), anchor}),
		"certificate at depth 0: 2001:db8::/48 (SAFI 1): resource not held by the issuer at depth 1")
	require.EqualError(t, VerifyPath([]*x509.Certificate{bare(t, mustParse(t, inheritIPv6)), anchor}),
		"certificate at depth 0: IPv6: nothing to inherit")
	require.EqualError(t, VerifyPath([]*x509.Certificate{none(), anchor}),
		"certificate at depth 0: no IP address delegation extension")
	require.EqualError(t, VerifyPath([]*x509.Certificate{malformed(), anchor}),
		"certificate at depth 0: IP address delegation extension: IPAddressFamily at offset 2: forbidden value: unexpected ASN.1 tag")
}

// claims is a certificate of which only the extensions matter, in the manner of
// RFC 3779, or with v2 of RFC 8360.
func claims(t testing.TB, blocks, numbers string, v2 bool) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{}
	b, a := fromText(t, blocks), as(t, numbers)
	ip, asn := b.Extension, a.Extension
	if v2 {
		ip, asn = b.ExtensionV2, a.ExtensionV2
		c.PolicyIdentifiers = []asn1.ObjectIdentifier{OIDResourcePolicyV2()}
	}
	if !b.IsZero() {
		e, err := ip()
		require.NoError(t, err)
		c.Extensions = append(c.Extensions, e)
	}
	if !a.IsZero() {
		e, err := asn()
		require.NoError(t, err)
		c.Extensions = append(c.Extensions, e)
	}
	return c
}

func TestVerifyPathOfASIdentifiers(t *testing.T) {
	c := func(blocks, numbers string) *x509.Certificate { return claims(t, blocks, numbers, false) }
	anchor := c("::/0", "AS1-100, RDI 1-10")
	tests := []struct {
		name  string
		chain []*x509.Certificate
		held  string
		err   string
	}{
		{"nested", []*x509.Certificate{c("2001:db8::/32", "AS5, RDI 2"), c("::/0", "AS1-10, RDI 1-2"), anchor}, "AS5, RDI 2", ""},
		{"inherit", []*x509.Certificate{c("::/0", "AS inherit, RDI 2"), c("::/0", "AS1-10, RDI inherit"), anchor}, "AS1-10, RDI 2", ""},
		{"without addresses", []*x509.Certificate{c("none", "AS7"), c("none", "AS7-8"), anchor}, "AS7", ""},
		{"without identifiers", []*x509.Certificate{c("::/0", "none"), anchor}, "none", ""},
		{
			"claims more",
			[]*x509.Certificate{c("::/0", "AS5, AS101-102, AS200"), anchor},
			"",
			"certificate at depth 0: AS101-102, AS200: resource not held by the issuer at depth 1",
		},
		{
			"claims more than what the authority inherits",
			[]*x509.Certificate{c("::/0", "AS101"), c("::/0", "AS inherit"), c("::/0", "AS inherit, RDI 1"), anchor},
			"",
			"certificate at depth 0: AS101: resource not held by the issuer at depth 3",
		},
		{
			"routing domains are no numbers",
			[]*x509.Certificate{c("::/0", "RDI 50"), c("::/0", "AS50, RDI inherit"), anchor},
			"",
			"certificate at depth 0: RDI 50: resource not held by the issuer at depth 2",
		},
		{
			"3.3 authority without the extension",
			[]*x509.Certificate{c("::/0", "AS5"), c("::/0", "none"), anchor},
			"",
			"certificate at depth 0: AS5: resource not held by the issuer at depth 1",
		},
		{
			"nothing to inherit",
			[]*x509.Certificate{c("::/0", "RDI inherit"), c("::/0", "AS1"), anchor},
			"",
			"certificate at depth 0: RDI inherit: nothing to inherit",
		},
		{
			"trust anchor inherits",
			[]*x509.Certificate{c("::/0", "AS1"), c("::/0", "AS inherit, RDI 1")},
			"",
			"certificate at depth 1: AS inherit: nothing to inherit",
		},
		{
			"addresses from an authority without",
			[]*x509.Certificate{c("2001:db8::/32", "AS1"), c("none", "AS1"), anchor},
			"",
			"certificate at depth 0: 2001:db8::/32: resource not held by the issuer at depth 1",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := VerifiedResources(tt.chain)
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.held, r.ASIdentifiers.String())
		})
	}
	_, err := VerifiedBlocks([]*x509.Certificate{c("none", "AS7"), anchor})
	require.ErrorIs(t, err, ErrNoExtension, "AS identifiers are no addresses")
}

func TestASIdentifiersFromCertificate(t *testing.T) {
	a, err := ASIdentifiersFromCertificate(claims(t, "::/0", "AS7", false))
	require.NoError(t, err)
	require.Equal(t, "AS7", a.String())
	_, err = ASIdentifiersFromCertificate(claims(t, "::/0", "none", false))
	require.ErrorIs(t, err, ErrNoASExtension)
	_, err = ASIdentifiersFromCertificate(claims(t, "::/0", "AS7", true))
	require.ErrorIs(t, err, ErrNoASExtension, "that of RFC 8360 is another")
	c := claims(t, "::/0", "AS7", false)
	c.Extensions[1].Value = []byte{0x30}
	_, err = ASIdentifiersFromCertificate(c)
	require.ErrorIs(t, err, ErrTruncated)
	require.ErrorIs(t, VerifyPath([]*x509.Certificate{c}), ErrTruncated)
	c.Extensions = append(c.Extensions, c.Extensions[1])
	_, err = ASIdentifiersFromCertificate(c)
	require.ErrorIs(t, err, ErrDuplicate)
}

// Who does not hold what is missing: the nearest issuer that says itself what it
// holds of that family.
func TestPathErrorNamesTheHolder(t *testing.T) {
	c := func(blocks string) *x509.Certificate { return claims(t, blocks, "none", false) }
	anchor := c("0.0.0.0/0, ::/0, ::/0 (SAFI 1)")
	for _, tt := range []struct {
		chain  []*x509.Certificate
		issuer int
	}{
		{[]*x509.Certificate{c("2001:db9::/32"), c("2001:db8::/32"), anchor}, 1},
		{[]*x509.Certificate{c("2001:db9::/32"), c("IPv6 inherit"), c("2001:db8::/32"), anchor}, 2},
		{[]*x509.Certificate{c("2001:db9::/32"), c("IPv4 inherit, 2001:db8::/32"), c("10.0.0.0/8, 2001:db8::/32"), anchor}, 1},
		{[]*x509.Certificate{c("2001:db9::/32 (SAFI 1)"), c("IPv6 inherit, 2001:db8::/32 (SAFI 1)"), anchor}, 1},
		{[]*x509.Certificate{c("2001:db9::/32 (SAFI 1)"), c("2001:db8::/32, IPv6 (SAFI 1) inherit"), c("2001:db8::/32 (SAFI 1), IPv6 inherit"), anchor}, 2},
		{[]*x509.Certificate{c("::/0"), c("IPv6 inherit"), c("IPv6 inherit"), c("2001:db8::/32")}, 3},
	} {
		_, err := VerifiedBlocks(tt.chain)
		var pe *PathError
		require.ErrorAs(t, err, &pe)
		require.ErrorIs(t, err, ErrNotHeld)
		require.Equal(t, 0, pe.Depth)
		require.Equal(t, tt.issuer, pe.Issuer, "%v", err)
	}
}

// The examples of RFC 8360 section 5.
func TestReconsiderPath(t *testing.T) {
	const old, amended = false, true
	anchor := func(v2 bool) *x509.Certificate { return claims(t, "0.0.0.0/0, ::/0", "AS0-4294967295", v2) }
	second := func(v2 bool) *x509.Certificate { return claims(t, "192.0.2.0/24, 2001:db8::/32", "AS64496", v2) }
	third := func(v2 bool) *x509.Certificate { return claims(t, "192.0.2.0/24, 198.51.100.0/24", "AS64496", v2) }
	roa1 := func(v2 bool) *x509.Certificate { return claims(t, "192.0.2.0/24", "none", v2) }
	roa2 := func(v2 bool) *x509.Certificate { return claims(t, "198.51.100.0/24", "none", v2) }
	bgpsec2 := func(v2 bool) *x509.Certificate { return claims(t, "none", "AS64496-64497", v2) }
	type path = []*x509.Certificate
	tests := []struct {
		name       string
		chain      path
		held       string
		overclaims []string
		err        error
		depth      int
	}{
		{"5.1 certificate 2", path{second(old), anchor(old)}, "192.0.2.0/24, 2001:db8::/32, AS64496", nil, nil, 0},
		{"5.1 certificate 3", path{third(old), second(old), anchor(old)}, "", nil, ErrNotHeld, 0},
		{"5.1 ROA 1", path{roa1(old), third(old), second(old), anchor(old)}, "", nil, ErrNotHeld, 1},
		{"5.2 certificate 3", path{third(amended), second(amended), anchor(amended)}, "192.0.2.0/24, AS64496", []string{"0: 198.51.100.0/24"}, nil, 0},
		{"5.2 ROA 1", path{roa1(amended), third(amended), second(amended), anchor(amended)}, "192.0.2.0/24", []string{"1: 198.51.100.0/24"}, nil, 0},
		{"5.2 ROA 2", path{roa2(amended), third(amended), second(amended), anchor(amended)}, "none", []string{"1: 198.51.100.0/24", "0: 198.51.100.0/24"}, nil, 0},
		{"5.2 BGPsec certificate 2", path{bgpsec2(amended), third(amended), second(amended), anchor(amended)}, "AS64496", []string{"1: 198.51.100.0/24", "0: AS64497"}, nil, 0},
		{"5.3 ROA 1", path{roa1(old), third(amended), second(old), anchor(old)}, "192.0.2.0/24", []string{"1: 198.51.100.0/24"}, nil, 0},
		{"5.3 ROA 2", path{roa2(old), third(amended), second(old), anchor(old)}, "", nil, ErrNotHeld, 0},
		{"5.3 BGPsec certificate 2", path{bgpsec2(old), third(amended), second(old), anchor(old)}, "", nil, ErrNotHeld, 0},

		{"inherits what was cut", path{claims(t, "IPv4 inherit", "AS inherit", old), third(amended), second(old), anchor(old)}, "192.0.2.0/24, AS64496", []string{"1: 198.51.100.0/24"}, nil, 0},
		{"inherits nothing", path{claims(t, "IPv4 inherit", "none", amended), roa2(amended), second(old), anchor(old)}, "none", []string{"1: 198.51.100.0/24"}, nil, 0},
		{"inherits nothing by the old rules", path{claims(t, "IPv4 inherit", "none", old), roa2(amended), second(old), anchor(old)}, "", nil, ErrNothingToInherit, 0},
		{"trust anchor inherits", path{claims(t, "IPv4 inherit", "none", amended)}, "", nil, ErrNothingToInherit, 0},
		{"families apart", path{claims(t, "10.0.0.0/8, 2001:db8::/32 (SAFI 1), 2001:db9::/32", "RDI 1", amended), second(old), anchor(old)}, "none", []string{"0: 10.0.0.0/8, 2001:db9::/32, 2001:db8::/32 (SAFI 1), RDI 1"}, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, overclaims, err := ReconsiderPath(tt.chain)
			if tt.err != nil {
				var pe *PathError
				require.ErrorAs(t, err, &pe)
				require.ErrorIs(t, err, tt.err)
				require.Equal(t, tt.depth, pe.Depth)
				require.Nil(t, overclaims)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.held, r.String())
			var got []string
			for _, o := range overclaims {
				got = append(got, strings.TrimPrefix(o.String(), "certificate at depth "))
			}
			require.Equal(t, tt.overclaims, got)
		})
	}
}

// RFC 8360 sections 4.2.2.1 and 4.2.2.3: "This OID MUST only be used in
// conjunction with the alternative Certificate Policy OID".
func TestReconsiderPathNeedsExtensionAndPolicy(t *testing.T) {
	amended, old := claims(t, "::/0", "none", true), claims(t, "::/0", "none", false)
	amended.PolicyIdentifiers = []asn1.ObjectIdentifier{OIDResourcePolicy()}
	old.PolicyIdentifiers = []asn1.ObjectIdentifier{OIDResourcePolicyV2()}
	both := claims(t, "::/0", "none", true)
	both.Extensions = append(both.Extensions, old.Extensions...)
	policies := claims(t, "::/0", "none", true)
	policies.PolicyIdentifiers = append(policies.PolicyIdentifiers, OIDResourcePolicy())
	for _, c := range []*x509.Certificate{amended, old, both, policies} {
		_, _, err := ReconsiderPath([]*x509.Certificate{c})
		require.ErrorIs(t, err, ErrOIDs)
	}
	require.ErrorIs(t, VerifyPath([]*x509.Certificate{claims(t, "::/0", "none", true)}), ErrNoExtension, "without reconsideration there is no such extension")
	_, _, err := ReconsiderPath([]*x509.Certificate{none()})
	require.ErrorIs(t, err, ErrNoExtension)
}
