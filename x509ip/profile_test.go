package x509ip

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// rsaKey is what all certificates of the strict profile have.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

const repository = "rsync://rpki.example/repository/"

// strictTemplates is a path of the strict profile: trust anchor, authority and
// router.
func strictTemplates(t testing.TB, reconsider bool) [3]Template {
	t.Helper()
	template := Template{
		PublicKey: rsaKey().Public(), SerialNumber: big.NewInt(1), NotBefore: notBefore, NotAfter: notAfter,
		Profile: ProfileStrict, Reconsider: reconsider,
	}
	anchor := template
	anchor.Name, anchor.Authority, anchor.Blocks, anchor.ASIdentifiers = "anchor", true, blocksOf(t, "0.0.0.0/0", "::/0"), as(t, "AS0-4294967295")
	anchor.Publication = Publication{Repository: repository + "ta/", Manifest: repository + "ta/ta.mft"}
	ca := template
	ca.Name, ca.Authority, ca.Blocks, ca.ASIdentifiers = "ca", true, blocksOf(t, "10.0.0.0/8", "2001:db8::/32"), as(t, "AS64496-64511")
	ca.Publication = Publication{CRL: repository + "ta/ta.crl", Issuer: repository + "ta.cer", Repository: repository + "ca/", Manifest: repository + "ca/ca.mft"}
	router := template
	router.Name, router.Blocks = "00030001020304050607", blocksOf(t, "2001:db8:0:100::/56")
	router.Publication = Publication{CRL: repository + "ca/ca.crl", Issuer: repository + "ta/ca.cer", SignedObject: repository + "ca/object"}
	return [3]Template{anchor, ca, router}
}

// strictPath issues the path, leaf first.
func strictPath(t testing.TB, templates [3]Template) []*x509.Certificate {
	t.Helper()
	var path []*x509.Certificate
	var parent *x509.Certificate
	for _, template := range templates {
		c, err := template.Certificate()
		require.NoError(t, err)
		parent = signed(t, c, parent, rsaKey())
		path = append([]*x509.Certificate{parent}, path...)
	}
	return path
}

// signed is [issued] with another key.
func signed(t testing.TB, template, parent *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, template.PublicKey, key)
	require.NoError(t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return c
}

func verifyStrict(path []*x509.Certificate, change func(*VerifyOptions)) error {
	opts := VerifyOptions{
		Roots: path[2:], Intermediates: path[1:2], CurrentTime: midway, Profile: ProfileStrict,
		KeyUsages: []asn1.ObjectIdentifier{OIDSendRouter()},
	}
	if change != nil {
		change(&opts)
	}
	_, err := Verify(path[0], opts)
	return err
}

func TestProfileStrict(t *testing.T) {
	require.NoError(t, verifyStrict(strictPath(t, strictTemplates(t, false)), nil))

	amended := strictPath(t, strictTemplates(t, true))
	require.ErrorAs(t, verifyStrict(amended, nil), new(x509.UnhandledCriticalExtension), "RFC 8360 is not asked for")
	require.NoError(t, verifyStrict(amended, func(o *VerifyOptions) { o.Reconsider = true }))

	// The router claims too much.
	templates := strictTemplates(t, true)
	templates[2].Blocks = blocksOf(t, "2001:db8::/56", "2001:db9::/56")
	overclaiming := strictPath(t, templates)
	require.NoError(t, verifyStrict(overclaiming, func(o *VerifyOptions) { o.Reconsider = true }))
	r, overclaims, err := ReconsiderPath(overclaiming)
	require.NoError(t, err)
	require.Equal(t, "2001:db8::/56", r.Blocks.String())
	require.Len(t, overclaims, 1)
	require.Equal(t, "2001:db9::/56", overclaims[0].Blocks.String())
}

func TestProfileLocal(t *testing.T) {
	root := authority(t, "root", nil, blocksOf(t, "::/0"))
	ca := authority(t, "ca", root, mustParse(t, inheritIPv6))
	leaf := router(t, ca, blocksOf(t, "2001:db8::/56"))
	for profile, want := range map[Profile]string{
		ProfileNone: "", ProfileLocal: "", ProfileStrict: "certificate at depth 2: certificate does not conform to the profile: RFC 6487 section 4.3: RSA with SHA-256",
	} {
		_, err := Verify(leaf, VerifyOptions{Roots: []*x509.Certificate{root}, Intermediates: []*x509.Certificate{ca}, CurrentTime: midway, Profile: profile})
		if want == "" {
			require.NoError(t, err, profile)
			continue
		}
		require.ErrorIs(t, err, ErrProfile)
		require.EqualError(t, err, want)
	}
	_, err := Verify(root, VerifyOptions{Roots: []*x509.Certificate{root}, CurrentTime: midway, Profile: ProfileLocal})
	require.ErrorIs(t, err, ErrProfile, "a trust anchor is no router")
}

// What breaks a rule is refused, in the words of that rule, and a rule of the
// strict profile does not concern the local one.
func TestProfileRules(t *testing.T) {
	replace := func(oid asn1.ObjectIdentifier, change func(e *pkix.Extension)) func(c *x509.Certificate) {
		return func(c *x509.Certificate) {
			c.Extensions = slices.Clone(c.Extensions)
			for i := range c.Extensions {
				if c.Extensions[i].Id.Equal(oid) {
					change(&c.Extensions[i])
				}
			}
		}
	}
	remove := func(oid asn1.ObjectIdentifier) func(c *x509.Certificate) {
		return replace(oid, func(e *pkix.Extension) { e.Id = asn1.ObjectIdentifier{1, 2, 3} })
	}
	flip := func(oid asn1.ObjectIdentifier) func(c *x509.Certificate) {
		return replace(oid, func(e *pkix.Extension) { e.Critical = !e.Critical })
	}
	value := func(oid asn1.ObjectIdentifier, der ...[]byte) func(c *x509.Certificate) {
		return replace(oid, func(e *pkix.Extension) { e.Value = slices.Concat(der...) })
	}
	add := func(oid asn1.ObjectIdentifier) func(c *x509.Certificate) {
		return func(c *x509.Certificate) { c.Extensions = append(slices.Clip(c.Extensions), pkix.Extension{Id: oid}) }
	}
	withBlocks := func(text string) func(c *x509.Certificate) {
		return replace(OIDIPAddrBlocks(), func(e *pkix.Extension) {
			changed, err := fromText(t, text).Extension()
			require.NoError(t, err)
			*e = changed
		})
	}
	name := func(sets ...pkix.RelativeDistinguishedNameSET) []byte {
		raw, err := asn1.Marshal(pkix.RDNSequence(sets))
		require.NoError(t, err)
		return raw
	}
	attribute := func(oid asn1.ObjectIdentifier, value any) pkix.RelativeDistinguishedNameSET {
		return pkix.RelativeDistinguishedNameSET{{Type: oid, Value: value}}
	}
	uri := func(text string) []byte { return tlv(0x86, []byte(text)) }
	method := func(oid asn1.ObjectIdentifier, location string) []byte {
		id, err := asn1.Marshal(oid)
		require.NoError(t, err)
		return sequence(id, uri(location))
	}
	const leaf, ca, anchor = 0, 1, 2
	tests := []struct {
		name   string
		depth  int
		change func(c *x509.Certificate)
		rule   string
		strict bool
	}{
		{"version 1", leaf, func(c *x509.Certificate) { c.Version = 1 }, "6487 section 4.1", false},
		{"serial number 0", leaf, func(c *x509.Certificate) { c.SerialNumber = new(big.Int) }, "6487 section 4.2", false},
		{"serial number of 21 octets", leaf, func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 159) }, "6487 section 4.2", false},
		{"basic constraints of a router", leaf, add(oidBasicConstraints), "6487 section 4.8.1", false},
		{"no basic constraints", ca, remove(oidBasicConstraints), "6487 section 4.8.1", false},
		{"basic constraints not critical", ca, flip(oidBasicConstraints), "6487 section 4.8.1", false},
		{"path length", anchor, func(c *x509.Certificate) { c.MaxPathLen = 1 }, "6487 section 4.8.1", false},
		{"no subject key identifier", leaf, remove(oidSubjectKeyID), "6487 section 4.8.2", false},
		{"critical subject key identifier", ca, flip(oidSubjectKeyID), "6487 section 4.8.2", false},
		{"no authority key identifier", leaf, remove(oidAuthorityKeyID), "6487 section 4.8.3", false},
		{"critical authority key identifier", leaf, flip(oidAuthorityKeyID), "6487 section 4.8.3", false},
		{"authority key identifier with serial number", leaf, value(oidAuthorityKeyID, sequence(tlv(0x80, []byte{1}), tlv(0x82, []byte{1}))), "6487 section 4.8.3", false},
		{"no key usage", leaf, remove(oidKeyUsage), "6487 section 4.8.4", false},
		{"key usage not critical", leaf, flip(oidKeyUsage), "6487 section 4.8.4", false},
		{"another key usage", leaf, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }, "6487 section 4.8.4", false},
		{"another key usage of an authority", ca, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature }, "6487 section 4.8.4", false},
		{"extended key usage of an authority", ca, add(oidExtKeyUsage), "6487 section 4.8.5", false},
		{"no extended key usage", leaf, remove(oidExtKeyUsage), "6494 section 7", false},
		{"critical extended key usage", leaf, flip(oidExtKeyUsage), "6494 section 7", false},
		{"no extended key usage of SEND", leaf, func(c *x509.Certificate) {
			c.UnknownExtKeyUsage, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageAny, x509.ExtKeyUsageServerAuth}
		}, "6494 section 7", false},
		{"resources not critical", leaf, flip(OIDIPAddrBlocks()), "6487 section 4.8.10", false},
		{"SAFI", leaf, withBlocks("2001:db8::/56, 2001:db8::/56 (SAFI 1)"), "6487 section 4.8.10", false},
		{"no IPv6 addresses", leaf, withBlocks("10.0.0.0/8"), "6494 section 4", false},
		{"AS numbers not critical", ca, flip(OIDASIdentifiers()), "6487 section 4.8.11", false},
		{"routing domains", ca, value(OIDASIdentifiers(), sequence(tlv(tagRDI, sequence(integer(1))))), "6487 section 4.8.11", false},

		{"signature", leaf, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA384WithRSA }, "6487 section 4.3", true},
		{"issuer without common name", leaf, func(c *x509.Certificate) { c.RawIssuer = name() }, "6487 section 4.4", true},
		{"common name in UTF8String", leaf, func(c *x509.Certificate) {
			c.RawSubject = name(attribute(oidCommonName, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte("x")}))
		}, "6487 section 4.5", true},
		{"two common names", leaf, func(c *x509.Certificate) {
			c.RawSubject = name(attribute(oidCommonName, "x"), attribute(oidCommonName, "y"))
		}, "6487 section 4.5", true},
		{"two serial numbers", leaf, func(c *x509.Certificate) {
			c.RawSubject = name(attribute(oidCommonName, "x"), attribute(oidSerialNumber, "y"), attribute(oidSerialNumber, "y"))
		}, "6487 section 4.5", true},
		{"organization", leaf, func(c *x509.Certificate) {
			c.RawSubject = name(attribute(oidCommonName, "x"), attribute(asn1.ObjectIdentifier{2, 5, 4, 10}, "y"))
		}, "6487 section 4.5", true},
		{"name that is none", leaf, func(c *x509.Certificate) { c.RawSubject = sequence(null()) }, "6487 section 4.5", true},
		{"ECDSA key", leaf, func(c *x509.Certificate) { c.PublicKey = routerKey().Public() }, "7935 section 3", true},
		{"RSA key of another length", leaf, func(c *x509.Certificate) {
			c.PublicKey = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 3071), E: 65537}
		}, "7935 section 3", true},
		{"RSA exponent", leaf, func(c *x509.Certificate) { c.PublicKey = &rsa.PublicKey{N: rsaKey().N, E: 3} }, "7935 section 3", true},
		{"subject key identifier of another key", leaf, func(c *x509.Certificate) { c.SubjectKeyId = []byte{1} }, "6487 section 4.8.2", true},
		{"authority key identifier of another key", leaf, func(c *x509.Certificate) { c.AuthorityKeyId = []byte{1} }, "6487 section 4.8.3", true},
		{"authority key identifier of a trust anchor", anchor, func(c *x509.Certificate) { c.AuthorityKeyId = []byte{1} }, "6487 section 4.8.3", true},
		{"no CRL distribution point", leaf, remove(oidCRLDistribution), "6487 section 4.8.6", true},
		{"CRL distribution point of a trust anchor", anchor, add(oidCRLDistribution), "6487 section 4.8.6", true},
		{"critical CRL distribution point", leaf, flip(oidCRLDistribution), "6487 section 4.8.6", true},
		{"CRL distribution point without rsync", leaf, value(oidCRLDistribution, sequence(sequence(tlv(0xa0, tlv(0xa0, uri("http://x")))))), "6487 section 4.8.6", true},
		{"CRL distribution point that is no URI", leaf, value(oidCRLDistribution, sequence(sequence(tlv(0xa0, tlv(0xa0, uri("rsync://x"), tlv(0x82, []byte("x"))))))), "6487 section 4.8.6", true},
		{"CRL distribution point with reasons", leaf, value(oidCRLDistribution, sequence(sequence(tlv(0xa0, tlv(0xa0, uri("rsync://x"))), tlv(0x81, []byte{0, 0x80})))), "6487 section 4.8.6", true},
		{"CRL distribution point relative to the issuer", leaf, value(oidCRLDistribution, sequence(sequence(tlv(0xa0, tlv(0xa1))))), "6487 section 4.8.6", true},
		{"two CRL distribution points", leaf, value(oidCRLDistribution, sequence(sequence(tlv(0xa0, tlv(0xa0, uri("rsync://x")))), sequence(tlv(0xa0, tlv(0xa0, uri("rsync://x")))))), "6487 section 4.8.6", true},
		{"no authority information access", ca, remove(oidAuthorityInfo), "6487 section 4.8.7", true},
		{"authority information access of a trust anchor", anchor, add(oidAuthorityInfo), "6487 section 4.8.7", true},
		{"authority information access by HTTP", ca, value(oidAuthorityInfo, sequence(method(oidCAIssuers, "http://x"))), "6487 section 4.8.7", true},
		{"another access", ca, value(oidAuthorityInfo, sequence(method(oidCAIssuers, "rsync://x"), method(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1}, "rsync://x"))), "6487 section 4.8.7", true},
		{"no subject information access", ca, remove(oidSubjectInfo), "6487 section 4.8.8", true},
		{"critical subject information access", ca, flip(oidSubjectInfo), "6487 section 4.8.8", true},
		{"no manifest", ca, value(oidSubjectInfo, sequence(method(oidCARepository, "rsync://x"))), "6487 section 4.8.8", true},
		{"no signed object", leaf, value(oidSubjectInfo, sequence(method(oidCARepository, "rsync://x"))), "6487 section 4.8.8", true},
		{"signed object and more", leaf, value(oidSubjectInfo, sequence(method(oidSignedObject, "rsync://x"), method(oidManifest, "rsync://x"))), "6487 section 4.8.8", true},
		{"access that is none", leaf, value(oidSubjectInfo, sequence(null())), "6487 section 4.8.8", true},
		{"no policy", leaf, remove(oidPolicies), "6487 section 4.8.9", true},
		{"policy not critical", leaf, flip(oidPolicies), "6487 section 4.8.9", true},
		{"another policy", leaf, func(c *x509.Certificate) { c.PolicyIdentifiers = []asn1.ObjectIdentifier{{1, 2, 3}} }, "6487 section 4.8.9", true},
		{"two policies", leaf, func(c *x509.Certificate) {
			c.PolicyIdentifiers = []asn1.ObjectIdentifier{OIDResourcePolicy(), {1, 2, 3}}
		}, "6487 section 4.8.9", true},
		{"another extension", leaf, add(asn1.ObjectIdentifier{2, 5, 29, 17}), "6487 section 4: no other", true},
	}
	path := strictPath(t, strictTemplates(t, false))
	require.NoError(t, ProfileStrict.check(path))
	broken := make(map[string]bool)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changed := slices.Clone(path)
			c := *path[tt.depth]
			tt.change(&c)
			changed[tt.depth] = &c

			err := ProfileStrict.check(changed)
			var pe *PathError
			require.ErrorAs(t, err, &pe)
			require.ErrorIs(t, err, ErrProfile)
			require.Equal(t, tt.depth, pe.Depth, "%v", err)
			require.ErrorContains(t, err, "RFC "+tt.rule)
			broken[errors.Unwrap(err).Error()] = true
			err = ProfileLocal.check(changed)
			require.Equal(t, tt.strict, err == nil, "local: %v", err)
			require.NoError(t, ProfileNone.check(changed))
		})
	}
	require.Len(t, broken, len(localRules())+len(strictRules()), "each rule is broken by a test")
}

func TestProfileText(t *testing.T) {
	require.Equal(t, "none local strict Profile(3)", ProfileNone.String()+" "+ProfileLocal.String()+" "+ProfileStrict.String()+" "+Profile(3).String())
}

func TestTemplateRefuses(t *testing.T) {
	otherKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tests := []struct {
		name   string
		which  int // 0 trust anchor, 1 authority, 2 router
		change func(t *Template)
	}{
		{"nothing certified", 1, func(t *Template) { t.Blocks, t.ASIdentifiers = Blocks{}, ASIdentifiers{} }},
		{"key usage of an authority", 1, func(t *Template) { t.KeyUsages = sendKeyUsages() }},
		{"key usage that is not SEND's", 2, func(t *Template) { t.KeyUsages = []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}} }},
		{"SAFI", 1, func(s *Template) { s.Blocks = mustParse(t, ipv6SAFI1) }},
		{"routing domains", 1, func(s *Template) { s.ASIdentifiers = as(t, "RDI 1") }},
		{"no IPv6 addresses", 2, func(s *Template) { s.Blocks = blocksOf(t, "10.0.0.0/8") }},
		{"ECDSA", 2, func(t *Template) { t.PublicKey = otherKey.Public() }},
		{"no CRL", 2, func(t *Template) { t.Publication.CRL = "" }},
		{"CRL of a trust anchor alone", 0, func(t *Template) { t.Publication.CRL = repository }},
		{"no signed object", 2, func(t *Template) { t.Publication.SignedObject = "" }},
		{"AS numbers alone", 1, func(t *Template) { t.Blocks = Blocks{} }},
		{"repository of a router", 2, func(t *Template) { t.Publication.Repository = repository }},
		{"no manifest", 1, func(t *Template) { t.Publication.Manifest = "http://rpki.example/" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			template := strictTemplates(t, false)[tt.which]
			_, err := template.Certificate()
			require.NoError(t, err)
			tt.change(&template)
			c, err := template.Certificate()
			require.Error(t, err)
			require.Nil(t, c)
		})
	}
}

func TestTemplateKeyUsages(t *testing.T) {
	template := strictTemplates(t, false)[2]
	template.KeyUsages = []asn1.ObjectIdentifier{OIDSendOwner(), {1, 3, 6, 1, 5, 5, 7, 3, 2}} // with clientAuth
	c, err := template.Certificate()
	require.NoError(t, err)
	leaf := signed(t, c, nil, rsaKey())
	for usage, want := range map[*asn1.ObjectIdentifier]bool{
		{1, 3, 6, 1, 5, 5, 7, 3, 25}: true, {1, 3, 6, 1, 5, 5, 7, 3, 2}: true, {1, 3, 6, 1, 5, 5, 7, 3, 23}: false, {1, 3, 6, 1, 5, 5, 7, 3, 1}: false,
	} {
		require.Equal(t, want, hasKeyUsage(leaf, *usage), "%v", usage)
	}
}

func TestVerifyCheckRevocation(t *testing.T) {
	path := strictPath(t, strictTemplates(t, false))
	revoked := errors.New("on the list")
	for depth := range path {
		var asked []*x509.Certificate
		err := verifyStrict(path, func(o *VerifyOptions) {
			o.CheckRevocation = func(c, issuer *x509.Certificate) error {
				asked = append(asked, c)
				require.NoError(t, c.CheckSignatureFrom(issuer))
				if c == path[depth] {
					return revoked
				}
				return nil
			}
		})
		if depth == 2 {
			require.NoError(t, err)
			require.Equal(t, []*x509.Certificate{path[1], path[0]}, asked, "a trust anchor is not asked about")
			continue
		}
		var pe *PathError
		require.ErrorAs(t, err, &pe)
		require.ErrorIs(t, err, ErrRevoked)
		require.ErrorIs(t, err, revoked)
		require.Equal(t, depth, pe.Depth)
	}
}
