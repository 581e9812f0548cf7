package x509ip

import (
	"crypto/x509"
	"crypto/x509/pkix"
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
