package x509ip

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVerify(t *testing.T) {
	root := authority(t, "root", nil, blocksOf(t, "::/0"))
	ca := authority(t, "ca", root, blocksOf(t, "2001:db8::/32"))
	leaf := router(t, ca, blocksOf(t, "2001:db8:1::/56"))
	wide := router(t, ca, blocksOf(t, "2001:db9::/56"))
	inheriting := router(t, ca, mustParse(t, inheritIPv6))
	options := func(change func(o *VerifyOptions)) VerifyOptions {
		o := VerifyOptions{
			Roots:         []*x509.Certificate{root},
			Intermediates: []*x509.Certificate{ca},
			CurrentTime:   midway,
			KeyUsages:     []asn1.ObjectIdentifier{OIDSendRouter()},
		}
		if change != nil {
			change(&o)
		}
		return o
	}

	t.Run("nested", func(t *testing.T) {
		chains, err := Verify(leaf, options(nil))
		require.NoError(t, err)
		require.Len(t, chains, 1)
		require.Len(t, chains[0], 3)
		for i, c := range []*x509.Certificate{leaf, ca, root} {
			require.Same(t, c, chains[0][i], "certificate %d is the caller's", i)
			require.Len(t, c.UnhandledCriticalExtensions, 1, "certificate %d is as it was", i)
		}
	})
	t.Run("inherit", func(t *testing.T) {
		chains, err := Verify(inheriting, options(nil))
		require.NoError(t, err)
		b, err := VerifiedBlocks(chains[0])
		require.NoError(t, err)
		require.Equal(t, "2001:db8::/32", b.String())
	})
	t.Run("trust anchor itself", func(t *testing.T) {
		chains, err := Verify(root, options(func(o *VerifyOptions) { o.KeyUsages = nil }))
		require.NoError(t, err)
		require.Equal(t, [][]*x509.Certificate{{root}}, chains)
	})
	t.Run("not nested", func(t *testing.T) {
		_, err := Verify(wide, options(nil))
		var pe *PathError
		require.ErrorAs(t, err, &pe)
		require.ErrorIs(t, err, ErrNotHeld)
		require.Equal(t, 0, pe.Depth)
		require.Equal(t, "2001:db9::/56", pe.Missing.String())
	})
	t.Run("issuer missing", func(t *testing.T) {
		_, err := Verify(leaf, options(func(o *VerifyOptions) { o.Intermediates = nil }))
		var unknown x509.UnknownAuthorityError
		require.ErrorAs(t, err, &unknown)
	})
	t.Run("no roots: the system's are not used", func(t *testing.T) {
		_, err := Verify(leaf, options(func(o *VerifyOptions) { o.Roots = nil }))
		var unknown x509.UnknownAuthorityError
		require.ErrorAs(t, err, &unknown)
	})
	t.Run("validity", func(t *testing.T) {
		for _, tt := range []struct {
			at    time.Time
			valid bool
		}{{notBefore.Add(-1), false}, {notBefore, true}, {notAfter, true}, {notAfter.Add(1), false}} {
			_, err := Verify(leaf, options(func(o *VerifyOptions) { o.CurrentTime = tt.at }))
			require.Equal(t, tt.valid, err == nil, "at %v: %v", tt.at, err)
		}
	})
	t.Run("6494 section 7: key usage missing", func(t *testing.T) {
		_, err := Verify(leaf, options(func(o *VerifyOptions) {
			o.KeyUsages = append(o.KeyUsages, OIDSendOwner())
		}))
		require.ErrorIs(t, err, ErrKeyUsage)
		_, err = Verify(ca, options(nil))
		require.ErrorIs(t, err, ErrKeyUsage)
	})
	t.Run("another critical extension", func(t *testing.T) {
		c := *leaf
		c.UnhandledCriticalExtensions = append(slices.Clone(c.UnhandledCriticalExtensions), asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 9})
		_, err := Verify(&c, options(nil))
		require.ErrorAs(t, err, new(x509.UnhandledCriticalExtension))
	})
	t.Run("misuse", func(t *testing.T) {
		_, err := Verify(leaf, options(func(o *VerifyOptions) { o.CurrentTime = time.Time{} }))
		require.ErrorContains(t, err, "CurrentTime")
		_, err = Verify(leaf, options(func(o *VerifyOptions) { o.Profile = 99 }))
		require.ErrorContains(t, err, "profile")
		_, err = Verify(nil, options(nil))
		require.ErrorContains(t, err, "nil certificate")
		_, err = Verify(leaf, options(func(o *VerifyOptions) { o.Roots = []*x509.Certificate{nil} }))
		require.ErrorContains(t, err, "nil certificate")
		_, err = Verify(leaf, options(func(o *VerifyOptions) { o.Intermediates = []*x509.Certificate{nil} }))
		require.ErrorContains(t, err, "nil certificate")
	})
}

// RFC 6494 section 7: "Relying parties MUST reject certificates that do not
// contain at least one SEND KeyPurposeId, even if they include the
// anyExtendedKeyUsage OID".
func TestVerifyAnyExtendedKeyUsageIsNotEnough(t *testing.T) {
	root := authority(t, "root", nil, blocksOf(t, "::/0"))
	c := *router(t, root, blocksOf(t, "2001:db8::/56"))
	c.UnknownExtKeyUsage = nil
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	_, err := Verify(&c, VerifyOptions{
		Roots: []*x509.Certificate{root}, CurrentTime: midway, KeyUsages: []asn1.ObjectIdentifier{OIDSendRouter()},
	})
	require.ErrorIs(t, err, ErrKeyUsage)
}

// Two certificates for one authority: the path that holds is found, and if
// neither does, the fault nearest to the leaf is the one to tell.
func TestVerifySeveralPaths(t *testing.T) {
	root := authority(t, "root", nil, blocksOf(t, "2001:db8::/32"))
	good := authority(t, "ca", root, blocksOf(t, "2001:db8:1::/48"))
	other := authority(t, "ca", root, blocksOf(t, "2001:db8:2::/48"))
	broken := authority(t, "ca", root, blocksOf(t, "2001:db9::/32"))
	leaf := router(t, good, blocksOf(t, "2001:db8:1::/56"))
	verify := func(intermediates ...*x509.Certificate) ([][]*x509.Certificate, error) {
		return Verify(leaf, VerifyOptions{
			Roots: []*x509.Certificate{root}, Intermediates: intermediates, CurrentTime: midway,
		})
	}

	chains, err := verify(broken, other, good)
	require.NoError(t, err)
	require.Equal(t, [][]*x509.Certificate{{leaf, good, root}}, chains)

	for _, intermediates := range [][]*x509.Certificate{{broken, other}, {other, broken}} {
		_, err = verify(intermediates...)
		var pe *PathError
		require.ErrorAs(t, err, &pe)
		require.Equal(t, 0, pe.Depth, "%v", err)
	}
}
